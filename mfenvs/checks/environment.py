"""Tests whether a PettingZoo ParallelEnv, such as one of your own, keeps PettingZoo's contract."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pettingzoo
from gymnasium import spaces

from mfenvs.validate import flag, whole

CYCLES = 100  # steps of PettingZoo's test, at most
RESULTS = ("observations", "rewards", "terminations", "truncations", "infos")


class EnvError(AssertionError):
    """An environment breaks PettingZoo's contract.

    Attributes:
        problems: one line for each problem.
    """

    def __init__(self, name: str, problems: tuple[str, ...]) -> None:
        super().__init__(name, problems)
        self.name, self.problems = name, problems

    def __str__(self) -> str:
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"{self.name} has problems:\n{listed}"


def check_env(
    env: Any, steps: int = 200, episodes: int = 3, seed: int = 0, rebirth: bool = False
) -> None:
    """Plays random legal actions in an environment and reports what breaks PettingZoo's contract.

    It tests that

    - ``possible_agents`` and ``agents`` are lists of unique names, the second within the first;
    - the spaces of an agent are the same objects at each call, and actions can be sampled;
    - `reset` takes ``seed`` and ``options``, and returns observations and infos of all ``agents``;
    - `step` returns five dicts with an entry for each agent that acted, and observations of those that
      are new among ``agents``;
    - observations have the space's shape and dtype, are finite and lie within the space, and a kept one
      does not change later;
    - rewards are finite numbers, ends are bools, infos are dicts, and each mask allows an action;
    - an agent that has terminated or was truncated leaves ``agents``, no other does, and none returns in
      the same episode;
    - the same seed and the same actions give the same results.

    A problem does not hide the others, where the episode can go on. If there is none, PettingZoo's own
    test runs, too, ``pettingzoo.test.parallel_api_test(env)``, unless ``rebirth`` is allowed.

    Args:
        env: a ``pettingzoo.ParallelEnv``. It is reset, and left within or after an episode.
        steps: the most steps of an episode, 1 or more.
        episodes: to play, 1 or more. The first is played twice, with the same seed and actions.
        seed: of the first episode and of the random actions, 0 or more.
        rebirth: whether agents that have terminated may return in the same episode, which PettingZoo
            excludes.

    Raises:
        EnvError: lists all problems.
        TypeError, ValueError: for another environment or an argument out of range.
    """
    if isinstance(env, pettingzoo.AECEnv):
        raise TypeError(
            f"env is the AECEnv {env}; allowed: a ParallelEnv, for instance "
            "pettingzoo.utils.conversions.aec_to_parallel(env)"
        )
    if not isinstance(env, pettingzoo.ParallelEnv):
        raise TypeError(f"env is a {type(env).__name__}; allowed: a pettingzoo.ParallelEnv")
    for name, value, least in (("steps", steps, 1), ("episodes", episodes, 1), ("seed", seed, 0)):
        whole(name, value, least)
    flag("rebirth", rebirth)
    check = _Check(env, steps, rebirth)
    if check.declarations():  # the rest relies on them
        first = check.episode(seed, np.random.default_rng(seed))
        again = check.episode(seed, np.random.default_rng(seed))
        check.same(first, again)
        for episode in range(1, episodes):
            check.episode(None, np.random.default_rng([seed, episode]))
    if not check.problems and not rebirth:
        check.as_pettingzoo_does()
    if check.problems:
        raise EnvError(type(env.unwrapped).__name__, tuple(check.problems.values()))


class _Stop(Exception):
    """An episode cannot go on, since a result has the wrong form."""


class _Check:
    """One environment under test, and the first problem of each kind."""

    def __init__(self, env: Any, steps: int, rebirth: bool) -> None:
        self.env, self.steps, self.rebirth = env, steps, rebirth
        self.problems: dict[str, str] = {}
        self._possible: set[Any] = set()
        self._stays: set[Any] = set()  # who has ended and is still among agents

    def note(self, kind: str, problem: str) -> None:
        """Notes a problem, unless one of its kind is noted."""
        self.problems.setdefault(kind, problem)

    # -- before an episode ----------------------------------------------------------------------

    def declarations(self) -> bool:
        """Checks ``possible_agents`` and the spaces; returns whether an episode can be played."""
        possible = getattr(self.env, "possible_agents", None)
        if not isinstance(possible, list) or not possible:
            self.note(
                "possible_agents",
                f"possible_agents is {_short(possible)}; allowed: a list of all agents",
            )
            return False
        self._possible = set(possible)
        if len(self._possible) < len(possible):
            self.note(
                "possible_agents", "possible_agents has an agent twice; allowed: unique names"
            )
        methods = ("observation_space", "action_space")
        return all(self._space(agent, method) for agent in possible for method in methods)

    def _space(self, agent: Any, method: str) -> bool:
        """Checks a space of an agent; returns whether it is one."""
        call = f"{method}({agent!r})"
        try:
            space, again = (getattr(self.env, method)(agent) for _ in range(2))
        except Exception as error:
            self.note(method, f"{call} raises {error!r}; allowed: a space for each agent")
            return False
        if not isinstance(space, spaces.Space):
            self.note(method, f"{call} is {_short(space)}; allowed: a gymnasium.spaces.Space")
            return False
        if space is not again:
            self.note(
                method,
                f"{call} is a new object at each call; allowed: the same one, so that seeding it has "
                "an effect. Make spaces in the constructor",
            )
        return True

    # -- an episode -----------------------------------------------------------------------------

    def episode(self, seed: int | None, generator: np.random.Generator) -> list[Any]:
        """Plays an episode; returns copies of its results."""
        history: list[Any] = []
        with contextlib.suppress(_Stop):
            for results in self._play(seed, generator):
                history.append(copy.deepcopy(results))
        return history

    def _play(self, seed: int | None, generator: np.random.Generator) -> Iterator[Any]:
        returned = self._call("reset", lambda: self.env.reset(seed=seed, options={}))
        observations, infos = self._dicts("reset", returned, (RESULTS[0], RESULTS[-1]))
        agents = self._agents("reset")
        self._stays = set()
        self._entries("reset", agents, {"observations": observations, "infos": infos})
        self._observations("reset", observations, infos, agents, agents)
        kept, copies = observations, copy.deepcopy(observations)
        yield returned
        gone: dict[Any, int] = {}
        for step in range(1, self.steps + 1):
            if not agents:
                break
            where = f"step {step}"
            actions = {
                agent: self._action(agent, observations, infos, generator) for agent in agents
            }
            returned = self._call(where, partial(self.env.step, actions))
            parts = dict(zip(RESULTS, self._dicts(where, returned, RESULTS), strict=True))
            after = self._agents(where)
            self._entries(where, agents, parts)
            self._values(where, agents, parts)
            observations, infos = parts["observations"], parts["infos"]
            newcomers = [agent for agent in after if agent not in agents]
            for agent in newcomers:
                if agent not in observations:
                    self.note(
                        "observations of newcomers",
                        f"{agent!r} is new among agents after {where}, which returns no observation of "
                        "it; allowed: its first observation in the results of that step",
                    )
            self._observations(where, observations, infos, agents + newcomers, after)
            if not _equal(kept, copies):
                self.note(
                    "reused",
                    f"observations that were returned before {where} change in it; allowed: new arrays "
                    "from each call",
                )
            kept, copies = observations, copy.deepcopy(observations)
            agents = self._turnover(step, agents, after, parts, gone)
            yield returned

    def _call(self, where: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            what = "reset(seed=..., options={})" if where == "reset" else where
            self.note("raises", f"{what} raises {type(error).__name__}: {error}")
            raise _Stop from error

    def _dicts(self, where: str, returned: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
        allowed = f"allowed: a tuple of {len(names)} dicts by agent: {', '.join(names)}"
        if not isinstance(returned, tuple) or len(returned) != len(names):
            size = f"{len(returned)} values" if isinstance(returned, tuple) else _short(returned)
            self.note("results", f"{where} returns {size}; {allowed}")
            raise _Stop
        dicts = []
        for name, part in zip(names, returned, strict=True):
            if not isinstance(part, Mapping):
                self.note(name, f"{where} returns {name} that are {_short(part)}; {allowed}")
                part = self._instead(name, part)
            dicts.append(part)
        return tuple(dicts)

    def _instead(self, name: str, part: Any) -> Mapping[Any, Any]:
        """Returns what is meant by infos or flags that are no dict, so that the episode goes on."""
        if name == "infos":
            return {agent: {} for agent in self._possible}
        if name in ("terminations", "truncations") and isinstance(part, bool | np.bool_):
            return dict.fromkeys(self._possible, bool(part))
        raise _Stop

    def _agents(self, where: str) -> list[Any]:
        agents = getattr(self.env, "agents", None)
        if not isinstance(agents, list):
            self.note("agents", f"after {where} agents is {_short(agents)}; allowed: a list")
            raise _Stop
        if len(set(agents)) < len(agents):
            self.note("agents", f"after {where} agents has an agent twice; allowed: each once")
        unknown = [agent for agent in agents if agent not in self._possible]
        if unknown:
            text = f"after {where} agents has {unknown[0]!r}; allowed: agents of possible_agents"
            self.note("agents", text)
        return [agent for agent in agents if agent in self._possible]

    def _entries(self, where: str, agents: list[Any], parts: Mapping[str, Any]) -> None:
        """Checks that each part has an entry for each agent that took part, and for no stranger."""
        which = "of agents" if where == "reset" else "that was among agents before"
        for name, part in parts.items():
            missing = [agent for agent in agents if agent not in part]
            if missing:
                text = f"{where} returns no {name} of {missing[0]!r}"
                self.note(name, f"{text}; allowed: an entry for each agent {which}")
            unknown = [agent for agent in part if agent not in self._possible and agent != "common"]
            if unknown and name != "infos":
                text = f"{where} returns {name} of {unknown[0]!r}"
                self.note(f"{name} of strangers", f"{text}; allowed: agents of possible_agents")

    def _values(self, where: str, agents: list[Any], parts: Mapping[str, Any]) -> None:
        """Checks rewards and ends."""
        for agent in agents:
            reward = parts["rewards"].get(agent, 0.0)
            if not _is_finite_number(reward):
                text = f"{where} gives {agent!r} the reward {_short(reward)}"
                self.note("rewards", f"{text}; allowed: a finite number")
            for name in ("terminations", "truncations"):
                value = parts[name].get(agent, False)
                if not isinstance(value, bool | np.bool_):
                    text = f"{where} returns {name}[{agent!r}]={_short(value)}"
                    self.note(name, f"{text}; allowed: True or False")

    def _observations(
        self, where: str, observations: Any, infos: Any, agents: list[Any], after: list[Any]
    ) -> None:
        """Checks observations and infos of ``agents``, and masks of those that act next."""
        next_agents = set(after)
        for agent in agents:
            if agent in observations:
                self._observation(f"{where} shows {agent!r}", observations[agent], agent)
            info = infos.get(agent, {})
            if not isinstance(info, dict):
                text = f"{where} gives {agent!r} the info {_short(info)}; allowed: a dict"
                self.note("infos", text)
                continue
            mask = _mask(observations.get(agent), info)
            size = getattr(self.env.action_space(agent), "n", None)
            if mask is None or size is None or agent not in next_agents:
                continue
            if np.shape(mask) != (size,) or not np.any(mask):
                self.note(
                    "mask",
                    f"{where} gives {agent!r} the action_mask {_short(mask)}; allowed: shape ({size},) "
                    "with at least one 1",
                )

    def _observation(self, what: str, observation: Any, agent: Any) -> None:
        for path, space, value in _leaves(self.env.observation_space(agent), observation):
            name = f"observation{path}"
            if not isinstance(space, spaces.Box):
                if not space.contains(value):
                    text = f"{what} the {name} {_short(value)}; allowed: a value of {space}"
                    self.note(name, text)
                continue
            array = np.asarray(value)
            if array.dtype != space.dtype or array.shape != space.shape:
                self.note(
                    name,
                    f"{what} the {name} {array.dtype} {array.shape}; allowed: {space.dtype} "
                    f"{space.shape}, as its space",
                )
            elif array.dtype.kind == "f" and not np.isfinite(array).all():
                self.note(name, f"{what} the {name} with NaN or infinity; allowed: finite numbers")
            elif not ((array >= space.low) & (array <= space.high)).all():
                self.note(
                    name,
                    f"{what} the {name} with numbers from {array.min():g} to {array.max():g}; allowed: "
                    f"values of {_short(space)}",
                )

    def _action(
        self, agent: Any, observations: Any, infos: Any, generator: np.random.Generator
    ) -> Any:
        """Returns a random action that the mask allows."""
        space = self.env.action_space(agent)
        if not isinstance(space, spaces.Discrete):
            sampled = copy.deepcopy(space)
            sampled.seed(int(generator.integers(2**31)))
            return sampled.sample()
        mask = _mask(observations.get(agent), infos.get(agent))
        if mask is not None and np.shape(mask) == (space.n,) and np.any(mask):
            return int(space.start) + int(generator.choice(np.flatnonzero(mask)))
        return int(space.start) + int(generator.integers(space.n))

    def _turnover(
        self,
        step: int,
        before: list[Any],
        after: list[Any],
        parts: Mapping[str, Any],
        gone: dict[Any, int],
    ) -> list[Any]:
        """Checks which agents left and came; returns those that act next."""
        ended = {a for a in before if parts["terminations"].get(a) or parts["truncations"].get(a)}
        present, acted = set(after), set(before)
        for agent in ended & present:
            self.note(
                "lingers",
                f"{agent!r} terminated or was truncated in step {step} and is still among agents; "
                "allowed: an agent leaves agents in the step in which it ends",
            )
        for agent in acted - present - ended:
            self.note(
                "leaves",
                f"{agent!r} left agents in step {step} without an end; allowed: terminations or "
                "truncations True in the step in which an agent leaves",
            )
        self._stays = (self._stays | ended) & present
        for agent in () if self.rebirth else (present & gone.keys()) - acted - self._stays:
            self.note(
                "rebirth",
                f"{agent!r} ended in step {gone[agent]} and is among agents again after step {step}; "
                "allowed: nobody returns in an episode. Give a newcomer another name, or keep the "
                "agent without an end and let its actions have no effect. mfq accepts it: "
                "check_env(env, rebirth=True)",
            )
        gone.update(dict.fromkeys(ended - present, step))
        return [agent for agent in after if agent not in self._stays]

    def as_pettingzoo_does(self) -> None:
        """Runs PettingZoo's test."""
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            from pettingzoo.test import parallel_api_test

            try:
                parallel_api_test(self.env, num_cycles=min(self.steps, CYCLES))
            except Exception as error:  # an assertion, or what the environment raises
                text = str(error).strip() or "an assertion in it fails"
                self.note("pettingzoo", f"pettingzoo.test.parallel_api_test: {text}")

    # -- two episodes ---------------------------------------------------------------------------

    def same(self, first: list[Any], again: list[Any]) -> None:
        """Checks that two episodes with the same seed and actions are equal."""
        allowed = (
            "allowed: the same as before. Draw all random numbers from a generator that reset seeds"
        )
        for step, (one, other) in enumerate(zip(first, again, strict=False)):
            names = RESULTS if step else (RESULTS[0], RESULTS[-1])
            differing = [n for n, a, b in zip(names, one, other, strict=True) if not _equal(a, b)]
            if differing:
                call = f"step {step}" if step else "reset(seed=...)"
                text = f"with the same seed and actions {call} returns other {', '.join(differing)}"
                self.note("seed", f"{text}; {allowed}")
                return
        if len(first) != len(again):
            text = f"with the same seed and actions an episode has {len(first) - 1} steps, then "
            self.note("seed", f"{text}{len(again) - 1}; {allowed}")


def _leaves(
    space: spaces.Space[Any], value: Any, path: str = ""
) -> Iterator[tuple[str, spaces.Space[Any], Any]]:
    """Yields the parts of a Dict or Tuple space with their values, as far as these have its form."""
    if isinstance(space, spaces.Dict) and isinstance(value, Mapping):
        if value.keys() == space.spaces.keys():
            for key, part in space.items():
                yield from _leaves(part, value[key], f"{path}[{key!r}]")
            return
    elif isinstance(space, spaces.Tuple) and isinstance(value, tuple) and len(value) == len(space):
        for index, part in enumerate(space.spaces):
            yield from _leaves(part, value[index], f"{path}[{index}]")
        return
    yield path, space, value


def _mask(observation: Any, info: Any) -> Any:
    """Returns the action mask of an info or of an observation, or None."""
    for source in (info, observation):
        if isinstance(source, Mapping) and "action_mask" in source:
            return source["action_mask"]
    return None


def _is_finite_number(value: Any) -> bool:
    try:
        return np.ndim(value) == 0 and math.isfinite(value)
    except TypeError:
        return False


def _equal(one: Any, other: Any) -> bool:
    """Returns whether two nested results are equal; NaN equals NaN."""
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and one.keys() == other.keys()
            and all(_equal(one[key], other[key]) for key in one)
        )
    if isinstance(one, tuple | list):
        return (
            isinstance(other, tuple | list)
            and len(one) == len(other)
            and all(map(_equal, one, other))
        )
    try:
        return bool(np.array_equal(one, other, equal_nan=True))
    except TypeError:  # not numbers
        return bool(np.array_equal(one, other))


def _short(value: Any) -> str:
    """Returns a value in at most 80 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
