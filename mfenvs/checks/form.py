"""Checks of what a game says of itself and hands out: names, options, spaces, memory, errors."""

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
    flat,
    kind,
    results,
)
from mfenvs.game import MAX_SEED
from mfenvs.views.parallel import ParallelEnv

# What an array of the PettingZoo view is indexed by: its name has the agent already.
ENTRY = ("entry",)


def names(trial: Trial) -> None:
    """Agents have unique names; each has a group, which has a name, and a type."""
    game, hold = trial.game, trial.hold
    agents, groups = game.agents, game.group_names
    hold(bool(agents) and all(isinstance(a, str) for a in agents), "agents to be strings", agents)
    twice = [agent for agent in agents if agents.count(agent) > 1]
    hold(not twice, "agents to have unique names", twice)
    hold(len(set(groups)) == len(groups), "group_names to be unique", groups)
    for name, labels in (("groups", game.groups), ("types", game.types)):
        wanted = f"int64 [{len(agents)}]"
        hold(kind(labels) == wanted, f"{name} to be {wanted}", kind(labels))
        hold(labels >= 0, f"{name} to be 0 or more", labels, axes=("agent",))
    hold(game.groups < len(groups), f"groups below {len(groups)}", game.groups, axes=("agent",))


def config(trial: Trial) -> None:
    """Config is a frozen dataclass that refuses unknown options; the game keeps to it."""
    game, hold = trial.game, trial.hold
    frozen = is_dataclass(game.Config) and game.Config.__dataclass_params__.frozen  # type: ignore[attr-defined]
    hold(frozen, "Config to be a frozen dataclass", game.Config)
    made = game.configure(trial.options)
    hold(bool(game.config == made), f"game.config to be {made}", game.config)
    hold(bool(replace(made) == made), "dataclasses.replace(config) to equal it", replace(made))
    trial.raises(TypeError, "an unknown option", lambda: game.configure({"no such option": 1}))
    limit = game.max_cycles
    hold(limit is None or limit >= 1, "max_cycles to be None or 1 or more", limit)
    if trial.has_limit:
        hold(limit == made.max_cycles, f"max_cycles={made.max_cycles} as in the config", limit)
        trial.raises(ValueError, "max_cycles=0", lambda: game.configure({"max_cycles": 0}))


def outputs(trial: Trial) -> None:
    """What reset and step return has the promised names, dtypes and shapes, at every step."""
    env = trial.batched()
    rows, agents = [env.num_envs], [env.num_envs, env.num_agents]
    promised = {
        "reward": f"float32 {agents}",
        "terminated": f"bool {agents}",
        "truncated": f"bool {rows}",
        "alive": f"bool {agents}",
        "info.actions": f"int64 {agents}",
        "info.acting": f"bool {agents}",
        "info.reset": f"bool {rows}",
    }
    if env.game.masks_actions:
        promised["info.action_mask"] = f"int8 {[*agents, env.game.num_actions]}"
    first = None
    for step, found in enumerate(trial.moments(env)):
        for name, wanted in promised.items():
            shown = kind(found[name]) if name in found else "nothing"
            trial.hold(shown == wanted, f"{name}: {wanted}", shown, step)
        for name in set(found) - set(promised):
            if name.startswith("info."):
                number = found[name].dtype.kind in "biuf" and found[name].shape == (env.num_envs,)
                trial.hold(number, f"measure {name}: numbers {rows}", kind(found[name]), step)
        # It would hide the action in effect in the PettingZoo view.
        trial.hold("info.action" not in found, "no measure named 'action'", "one", step)
        first = first or found.keys()
        trial.hold(found.keys() == first, f"at every step {sorted(first)}", sorted(found), step)


def spaces(trial: Trial) -> None:
    """Observations and global states lie in their spaces, with exactly their dtype and shape."""
    env, hold = trial.batched(), trial.hold
    game, action_space = env.game, env.single_action_space
    discrete = isinstance(action_space, gym_spaces.Discrete) and action_space.start == 0
    hold(discrete, "single_action_space to be a Discrete from 0", action_space)
    single = game.single_observation_space
    parts = {"obs": single}
    if isinstance(single, gym_spaces.Dict):
        parts = {f"obs.{name}": part for name, part in single.items()}
    watching = np.ones((env.num_envs, env.num_agents), np.bool_)
    for step, moment in enumerate(trial.moments(env)):
        found = sorted(name for name in moment if name.partition(".")[0] == "obs")
        hold(found == sorted(parts), f"observations {sorted(parts)}", found, step)
        watching |= moment["alive"]
        for name, part in parts.items():
            values, shape = moment[name], (env.num_envs, env.num_agents, *(part.shape or ()))
            wanted = f"{np.dtype(part.dtype)} {list(shape)}"
            hold(kind(values) == wanted, f"{name}: {wanted}", kind(values), step)
            hold(_inside(part, values) | ~watching, f"{name} in {part}", values, step)
        watching = moment["alive"]  # an agent sees its own death, and then no more
    view = trial.parallel()
    for step, _ in enumerate(trial.parallel_moments(view)):
        state, space = view.state(), view.state_space
        wanted = f"{np.dtype(space.dtype)} {list(space.shape or ())}"
        hold(kind(state) == wanted, f"state(): {wanted}", kind(state), step)
        if isinstance(space, gym_spaces.Box):
            inside = np.logical_and(state >= space.low, state <= space.high)
            hold(inside, f"state() in {space}", state, step, ENTRY)
        hold(space.contains(state), f"state() in {space}", state, step)


def _inside(part: gym_spaces.Space[Any], values: np.ndarray) -> np.ndarray:
    """Whose observation lies in a space: bool [B, N]."""
    if isinstance(part, gym_spaces.Box):
        # As Box.contains, but at once: it would take a call an agent. NaN is outside.
        inside = np.logical_and(values >= part.low, values <= part.high)
        return np.logical_and.reduce(inside.reshape(*values.shape[:2], -1), axis=-1)
    return np.array([[part.contains(own) for own in row] for row in values])


def memory(trial: Trial) -> None:
    """Inputs are left as they were; what a call returned stays as it was through the next call."""
    env = trial.batched()
    kept = results(env, env.reset(seed=trial.seed))
    for step, chosen in enumerate(trial.actions(), 1):
        given, copy = chosen.copy(), flat(kept)
        returned = env.step(given)
        trial.hold(given == chosen, "the actions to be left as given", given, step)
        trial.same(copy, flat(kept), "valid through the next call", step - 1)
        kept = results(env, returned)

    view = trial.parallel()
    history = []
    for step, found in enumerate(_views(trial, view)):
        history.append((step, found, flat(found)))
    for step, found, copy in history:
        claim = "what the PettingZoo view gave is the caller's"
        trial.same(copy, flat(found), claim, step, ENTRY)


def _views(trial: Trial, view: ParallelEnv) -> Iterator[dict[str, Any]]:
    """An episode of the PettingZoo view, in the memory that it returned."""
    yield {**by_agent(view.reset(seed=trial.seed)), "state": view.state()}
    for (chosen,) in trial.actions(1):
        if view.agents:
            yield {**by_agent(view.step(as_dict(view, chosen))), "state": view.state()}


def bad_input(trial: Trial) -> None:
    """Bad input raises ValueError, TypeError or RuntimeError, and nothing has changed after it."""
    shape = (trial.num_rows, trial.game.num_agents)
    first = trial.game.agents[0]
    some = np.zeros(shape, np.int64)
    trial.raises(RuntimeError, "step() before reset()", lambda: trial.batched().step(some))
    trial.raises(RuntimeError, "step() before reset()", lambda: trial.parallel().step({first: 0}))
    trial.raises(RuntimeError, "state() before reset()", lambda: trial.parallel().state())

    _unmoved(trial, trial.batched, trial.moments, _bad_calls(trial), ("row", "agent", "entry"))
    _unmoved(trial, trial.parallel, trial.parallel_moments, _bad_parallel_calls(trial), ENTRY)


BadCall = tuple[str, type[Exception], Callable[[Any], object]]


def _unmoved(
    trial: Trial,
    make: Callable[[], Any],
    play: Callable[[Any], Iterator[Moment]],
    calls: list[BadCall],
    axes: tuple[str, ...],
) -> None:
    """Plays two runs side by side, with a bad call before each step of one of them."""
    env, calm = make(), make()
    run, expected = play(env), play(calm)
    claim = "the same from the start"
    for step, (label, error, call) in enumerate(calls):
        trial.same(next(expected), next(run), claim, step, axes)
        trial.raises(error, label, partial(call, env))
        claim = f"the same as without the bad call, {label}"
    trial.same(next(expected), next(run), claim, len(calls), axes)


def _bad_calls(trial: Trial) -> list[BadCall]:
    rows, agents, most = trial.num_rows, trial.game.num_agents, trial.game.num_actions
    fine = np.zeros((rows, agents), np.int64)
    beyond, below = fine.copy(), fine.copy()
    beyond[-1, -1], below[-1, -1] = most, -2
    one_more = np.zeros((rows, agents + 1), np.int64)
    return [
        ("step() with actions [B, N + 1]", ValueError, lambda env: env.step(one_more)),
        ("step() with actions [N]", ValueError, lambda env: env.step(fine[0])),
        ("step() with float actions", TypeError, lambda env: env.step(fine * 1.0)),
        ("step() with bool actions", TypeError, lambda env: env.step(fine > 0)),
        ("step() with lists", TypeError, lambda env: env.step(fine.tolist())),
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
    first, most = trial.game.agents[0], trial.game.num_actions
    return [
        ("step() of an unknown agent", ValueError, lambda env: env.step({"no such agent": 0})),
        ("step() with a float", TypeError, lambda env: env.step({first: 0.5})),
        ("step() with a bool", TypeError, lambda env: env.step({first: True})),
        ("step() with a list", TypeError, lambda env: env.step([0])),
        (f"step() with an action {most}", ValueError, lambda env: env.step({first: most})),
        ("step() with an action -1", ValueError, lambda env: env.step({first: -1})),
        *_bad_seeds(),
        ("neighbors() of nobody", ValueError, lambda env: env.neighbors("no such agent")),
        ("a space of nobody", ValueError, lambda env: env.action_space("no such agent")),
    ]


def _bad_seeds() -> list[BadCall]:
    return [
        ("reset(seed=-1)", ValueError, lambda env: env.reset(seed=-1)),
        ("reset(seed=2**62)", ValueError, lambda env: env.reset(seed=MAX_SEED + 1)),
        ("reset(seed=0.5)", TypeError, lambda env: env.reset(seed=0.5)),
        ("reset(seed=True)", TypeError, lambda env: env.reset(seed=True)),
    ]


def pickling(trial: Trial) -> None:
    """A PettingZoo view comes back from pickle as a new env of the same options."""
    env = trial.parallel()
    try:
        again = pickle.loads(pickle.dumps(env))
    except Exception as error:
        wanted = "a view that pickles: a game class that can be imported, options that pickle"
        raise ContractError(wanted, repr(error)) from error
    runs = trial.parallel_moments(env), trial.parallel_moments(again)
    trial.twins("the same after pickling", *runs, ENTRY)
