"""Checks of names, options, results, spaces, memory and errors."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces as gym_spaces

from mfenvs.checks.trial import (
    ContractError,
    Moment,
    Trial,
    as_dict,
    by_agent,
    describe,
    flat,
    result_tree,
)
from mfenvs.validate import MAX_SEED
from mfenvs.views.parallel import ParallelEnv

# The axes of an array of the PettingZoo view, whose name contains the agent.
ENTRY = ("entry",)


def names(trial: Trial) -> None:
    """Agents have unique names, a group that has a name, and a type."""
    game, require = trial.game, trial.require
    agents, groups = game.agents, game.group_names
    require(
        bool(agents) and all(isinstance(a, str) for a in agents), "agents to be strings", agents
    )
    twice = [agent for agent in agents if agents.count(agent) > 1]
    require(not twice, "agents to have unique names", twice)
    require(len(set(groups)) == len(groups), "group_names to be unique", groups)
    for name, labels in (("groups", game.groups), ("types", game.types)):
        expected = f"int64 [{len(agents)}]"
        require(describe(labels) == expected, f"{name} to be {expected}", describe(labels))
        require(labels >= 0, f"{name} to be 0 or more", labels, axes=("agent",))
    require(game.groups < len(groups), f"groups below {len(groups)}", game.groups, axes=("agent",))
    if game.has_types:
        types = game.type_names
        require(len(set(types)) == len(types), "type_names to be unique", types)
        require(game.types < len(types), f"types below {len(types)}", game.types, axes=("agent",))


def config(trial: Trial) -> None:
    """Config is a frozen dataclass that refuses unknown options; the game agrees with it."""
    game, require = trial.game, trial.require
    frozen = is_dataclass(game.Config) and game.Config.__dataclass_params__.frozen  # type: ignore[attr-defined]
    require(frozen, "Config to be a frozen dataclass", game.Config)
    made = game.configure(trial.options)
    require(bool(game.config == made), f"game.config to be {made}", game.config)
    require(bool(replace(made) == made), "dataclasses.replace(config) to equal it", replace(made))
    trial.require_error(
        TypeError, "an unknown option", lambda: game.configure({"no such option": 1})
    )
    limit = game.max_cycles
    require(limit is None or limit >= 1, "max_cycles to be None or 1 or more", limit)
    if trial.has_limit:
        require(limit == made.max_cycles, f"max_cycles={made.max_cycles} as in the config", limit)
        trial.require_error(ValueError, "max_cycles=0", lambda: game.configure({"max_cycles": 0}))


def outputs(trial: Trial) -> None:
    """Results of reset and step have the documented names, dtypes and shapes, at every step."""
    env = trial.batched()
    rows, agents = [env.num_envs], [env.num_envs, env.num_agents]
    documented = {
        "reward": f"float32 {agents}",
        "terminated": f"bool {agents}",
        "truncated": f"bool {rows}",
        "alive": f"bool {agents}",
        "info.actions": f"int64 {agents}",
        "info.acting": f"bool {agents}",
        "info.reset": f"bool {rows}",
    }
    if env.game.masks_actions:
        documented["info.action_mask"] = f"int8 {[*agents, env.game.num_actions]}"
    first = None
    for step, results in enumerate(trial.moments(env)):
        for name, expected in documented.items():
            actual = describe(results[name]) if name in results else "nothing"
            trial.require(actual == expected, f"{name}: {expected}", actual, step)
        for name in set(results) - set(documented):
            if name.startswith("info."):
                values = results[name]
                number = values.dtype.kind in "biuf" and values.shape == (env.num_envs,)
                trial.require(number, f"measure {name}: numbers {rows}", describe(values), step)
        # It would replace the action in effect in the PettingZoo view.
        trial.require("info.action" not in results, "no measure named 'action'", "one", step)
        first = first or results.keys()
        trial.require(results.keys() == first, f"always {sorted(first)}", sorted(results), step)


def spaces(trial: Trial) -> None:
    """Observations and global states lie in their spaces, with exactly their dtype and shape."""
    env, require = trial.batched(), trial.require
    game = env.game
    parts: dict[str, gym_spaces.Space[Any]] = {}
    are_of: dict[str, np.ndarray] = {}  # the agents that observe each part
    for k, type_name in enumerate(game.type_names):
        action_space = game.action_space_of(k)
        discrete = isinstance(action_space, gym_spaces.Discrete) and action_space.start == 0
        require(discrete, "single_action_space to be a Discrete from 0", action_space)
        single, path = game.observation_space_of(k), f"obs.{type_name}" if game.has_types else "obs"
        named = {path: single}
        if isinstance(single, gym_spaces.Dict):
            named = {f"{path}.{name}": part for name, part in single.items()}
        parts |= named
        are_of |= dict.fromkeys(named, (game.types == k) | (not game.has_types))
    observing = np.ones((env.num_envs, env.num_agents), np.bool_)
    for step, moment in enumerate(trial.moments(env)):
        shown = sorted(name for name in moment if name.partition(".")[0] == "obs")
        require(shown == sorted(parts), f"observations {sorted(parts)}", shown, step)
        observing |= moment["alive"]
        for name, part in parts.items():
            values, shape = moment[name], (env.num_envs, env.num_agents, *(part.shape or ()))
            expected = f"{np.dtype(part.dtype)} {list(shape)}"
            require(describe(values) == expected, f"{name}: {expected}", describe(values), step)
            seeing = observing & are_of[name]
            require(_inside(part, values) | ~seeing, f"{name} in {part}", values, step)
        observing = moment["alive"]  # an agent observes the step of its death, then zeros
    view = trial.parallel()
    for step, _ in enumerate(trial.parallel_moments(view)):
        state, space = view.state(), view.state_space
        expected = f"{np.dtype(space.dtype)} {list(space.shape or ())}"
        require(describe(state) == expected, f"state(): {expected}", describe(state), step)
        if not game.state_is_bounded:
            continue
        if isinstance(space, gym_spaces.Box):
            inside = np.logical_and(state >= space.low, state <= space.high)
            require(inside, f"state() in {space}", state, step, ENTRY)
        require(space.contains(state), f"state() in {space}", state, step)


def _inside(part: gym_spaces.Space[Any], values: np.ndarray) -> np.ndarray:
    """Returns which observations lie in a space: bool [B, N]."""
    if isinstance(part, gym_spaces.Box):
        # As Box.contains, for all agents at once. NaN is outside.
        inside = np.logical_and(values >= part.low, values <= part.high)
        return np.logical_and.reduce(inside.reshape(*values.shape[:2], -1), axis=-1)
    return np.array([[part.contains(value) for value in row] for row in values])


def memory(trial: Trial) -> None:
    """Inputs are not modified; results stay valid through the next call."""
    env = trial.batched()
    last = result_tree(env, env.reset(seed=trial.seed))
    for step, chosen in enumerate(trial.actions(), 1):
        given, copy = chosen.copy(), flat(last)
        returned = env.step(given)
        trial.require(given == chosen, "the actions not to be modified", given, step)
        trial.require_equal(copy, flat(last), "valid through the next call", step - 1)
        last = result_tree(env, returned)

    view = trial.parallel()
    history = []
    for step, shown in enumerate(_views(trial, view)):
        history.append((step, shown, flat(shown)))
    for step, shown, copy in history:
        claim = "results of the PettingZoo view stay valid"
        trial.require_equal(copy, flat(shown), claim, step, ENTRY)


def _views(trial: Trial, view: ParallelEnv) -> Iterator[dict[str, Any]]:
    """Plays an episode of the PettingZoo view; yields its results, not copied."""
    yield {**by_agent(view.reset(seed=trial.seed)), "state": view.state()}
    for (chosen,) in trial.actions(1):
        if view.agents:
            yield {**by_agent(view.step(as_dict(view, chosen))), "state": view.state()}


def bad_input(trial: Trial) -> None:
    """Bad input raises ValueError, TypeError or RuntimeError, and changes nothing."""
    shape = (trial.num_rows, trial.game.num_agents)
    first = trial.game.agents[0]
    some = np.zeros(shape, np.int64)
    trial.require_error(RuntimeError, "step() before reset()", lambda: trial.batched().step(some))
    trial.require_error(
        RuntimeError, "step() before reset()", lambda: trial.parallel().step({first: 0})
    )
    trial.require_error(RuntimeError, "state() before reset()", lambda: trial.parallel().state())

    _unchanged(trial, trial.batched, trial.moments, _bad_calls(trial), ("row", "agent", "entry"))
    _unchanged(trial, trial.parallel, trial.parallel_moments, _bad_parallel_calls(trial), ENTRY)


BadCall = tuple[str, type[Exception], Callable[[Any], object]]


def _unchanged(
    trial: Trial,
    make: Callable[[], Any],
    play: Callable[[Any], Iterator[Moment]],
    calls: list[BadCall],
    axes: tuple[str, ...],
) -> None:
    """Compares a run with another that has a bad call before each step."""
    env, reference = make(), make()
    run, expected = play(env), play(reference)
    claim = "the same from the start"
    for step, (label, error, call) in enumerate(calls):
        trial.require_equal(next(expected), next(run), claim, step, axes)
        trial.require_error(error, label, partial(call, env))
        claim = f"the same as without the bad call, {label}"
    trial.require_equal(next(expected), next(run), claim, len(calls), axes)


def _bad_calls(trial: Trial) -> list[BadCall]:
    rows, agents = trial.num_rows, trial.game.num_agents
    most = int(trial.game.action_counts[-1])
    legal = np.zeros((rows, agents), np.int64)
    beyond, below = legal.copy(), legal.copy()
    beyond[-1, -1], below[-1, -1] = most, -2
    one_more = np.zeros((rows, agents + 1), np.int64)
    return [
        ("step() with actions [B, N + 1]", ValueError, lambda env: env.step(one_more)),
        ("step() with actions [N]", ValueError, lambda env: env.step(legal[0])),
        ("step() with float actions", TypeError, lambda env: env.step(legal * 1.0)),
        ("step() with bool actions", TypeError, lambda env: env.step(legal > 0)),
        ("step() with lists", TypeError, lambda env: env.step(legal.tolist())),
        (f"step() with an action {most}", ValueError, lambda env: env.step(beyond)),
        ("step() with an action -2", ValueError, lambda env: env.step(below)),
        *_bad_seeds(),
        ("reset() with too many seeds", ValueError, lambda env: env.reset(seed=[0] * (rows + 1))),
        ("observe() of rows alone", ValueError, lambda env: env.observe(env.snapshot(), [0])),
        ("observe() of row B", ValueError, lambda env: env.observe(env.snapshot(), [rows], [0])),
        (
            "observe() of agent N",
            ValueError,
            lambda env: env.observe(env.snapshot(), [0], [agents]),
        ),
    ]


def _bad_parallel_calls(trial: Trial) -> list[BadCall]:
    first, most = trial.game.agents[0], int(trial.game.action_counts[0])
    return [
        ("step() of an unknown agent", ValueError, lambda env: env.step({"no such agent": 0})),
        ("step() with a float", TypeError, lambda env: env.step({first: 0.5})),
        ("step() with a bool", TypeError, lambda env: env.step({first: True})),
        ("step() with a list", TypeError, lambda env: env.step([0])),
        (f"step() with an action {most}", ValueError, lambda env: env.step({first: most})),
        ("step() with an action -1", ValueError, lambda env: env.step({first: -1})),
        *_bad_seeds(),
        ("neighbors() of an unknown agent", ValueError, lambda env: env.neighbors("no such agent")),
        (
            "the space of an unknown agent",
            ValueError,
            lambda env: env.action_space("no such agent"),
        ),
    ]


def _bad_seeds() -> list[BadCall]:
    return [
        ("reset(seed=-1)", ValueError, lambda env: env.reset(seed=-1)),
        ("reset(seed=2**62)", ValueError, lambda env: env.reset(seed=MAX_SEED + 1)),
        ("reset(seed=0.5)", TypeError, lambda env: env.reset(seed=0.5)),
        ("reset(seed=True)", TypeError, lambda env: env.reset(seed=True)),
    ]


def pickling(trial: Trial) -> None:
    """A pickled PettingZoo view loads as a new env with the same options."""
    env = trial.parallel()
    try:
        again = pickle.loads(pickle.dumps(env))
    except Exception as error:
        expected = "a view that pickles: a game class that can be imported, options that pickle"
        raise ContractError(expected, repr(error)) from error
    runs = trial.parallel_moments(env), trial.parallel_moments(again)
    trial.require_equal_runs("the same after pickling", *runs, ENTRY)
