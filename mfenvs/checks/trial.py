"""A game under test: plays it through its public views and compares results bit for bit.

The checks of `mfenvs.check` use these tools. Legend as in `mfenvs.game`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from mfenvs.engine.backend import Backend, CpuBackend, Rule, get_backend
from mfenvs.game import Game
from mfenvs.validate import whole
from mfenvs.views.batched import BatchedEnv
from mfenvs.views.parallel import ParallelEnv

# All results of one call, by name ("obs" or "obs.view", "reward", "info.acting", ...).
Moment = dict[str, np.ndarray]


class ContractError(AssertionError):
    """A game breaks the `Game` contract.

    Attributes:
        check: the name of the check in `mfenvs.check.CHECKS`.
        promise: the part of the contract that it tests.
        expected, actual: the results in words.
        where: the "step" (0 is the reset), "row" and "agent", as far as they are known.
        repeat: the call that repeats the failure.
    """

    def __init__(self, expected: str, actual: object, **where: object) -> None:
        super().__init__(expected, actual, where)
        self.expected, self.actual, self.where = expected, actual, where
        self.check = self.promise = self.repeat = ""

    def of_check(self, check: str, promise: str, trial: Trial) -> ContractError:
        """Adds the check that raised this error; returns the error."""
        given = {"num_rows": trial.num_rows, "steps": trial.steps, "seed": trial.seed}
        listed = [f"{name}={value!r}" for name, value in {**given, **trial.options}.items()]
        self.repeat = f"check({trial.game_class.__name__}, {', '.join(listed)})"
        self.check, self.promise = check, promise
        return self

    def __str__(self) -> str:
        place = ", ".join(f"{name} {value}" for name, value in self.where.items())
        lines = [
            f"check {self.check!r} failed: {self.promise}" if self.check else "a check failed",
            f"  expected: {self.expected}",
            f"  actual:   {self.actual!s}",
            f"  where:    {place}" if place else "",
            f"  repeat:   {self.repeat}" if self.repeat else "",
        ]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class Trial:
    """One game in one configuration, and the length of its runs.

    Attributes:
        game_class: the game.
        num_rows: B of the batches, at least 2.
        steps: the length of a run, at least 20.
        seed: of the games and of the random actions, in [0, 2^61].
        options: fields of the game's Config. By default ``max_cycles`` is a quarter of ``steps``, if the
            game allows that, so that episodes end within a run.

    Raises:
        TypeError, ValueError: for an argument out of range, or from the game's Config.
    """

    game_class: type[Game]
    num_rows: int = 3
    steps: int = 200
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least, most in (("num_rows", 2, 2**16), ("steps", 20, 2**31), ("seed", 0, 2**61)):
            whole(name, getattr(self, name), least, most)
        self.game_class.configure(self.options)
        if self.has_limit and "max_cycles" not in self.options:
            shorter = {**self.options, "max_cycles": self.steps // 4}
            try:
                self.game_class.configure(shorter)
            except (TypeError, ValueError):
                return  # this game does not allow another limit
            object.__setattr__(self, "options", shorter)

    @property
    def has_limit(self) -> bool:
        """Whether ``max_cycles`` is an option of the game."""
        return "max_cycles" in [option.name for option in fields(self.game_class.Config)]

    @cached_property
    def game(self) -> Game:
        return self.build(self.game_class.configure(self.options), get_backend("cpu"))

    def build(self, config: Any, backend: Backend) -> Game:
        make: Callable[..., Game] = self.game_class
        return make(config, backend)

    def batched(self, num_rows: int | None = None, **options: Any) -> BatchedEnv:
        """Returns a new BatchedEnv; ``options`` replace those of the trial."""
        return BatchedEnv(self.game_class, num_rows or self.num_rows, **{**self.options, **options})

    def parallel(self) -> ParallelEnv:
        return ParallelEnv(self.game_class, **self.options)

    # -- play -----------------------------------------------------------------------------------

    def actions(self, num_rows: int | None = None, salt: int = 0) -> np.ndarray:
        """Returns random actions for a run, int64 [steps, B, N] in [-1, A_k) for the A_k actions of the
        agent's type; masks are ignored."""
        shape = (self.steps, num_rows or self.num_rows, self.game.num_agents)
        most = self.game.action_counts if self.game.has_types else self.game.num_actions
        return np.random.default_rng([self.seed, salt]).integers(-1, most, shape)

    def moments(
        self,
        env: BatchedEnv,
        seed: int | Sequence[int] | None = None,
        actions: np.ndarray | None = None,
        resets: Collection[int] = (),
        continued: bool = False,
        prepare: Callable[[], object] = lambda: None,
    ) -> Iterator[Moment]:
        """Plays a run; yields the results of the reset and of each step.

        Args:
            seed: of the first reset; by default the trial's.
            actions: [steps, B, N]; by default the trial's.
            resets: numbers of steps to replace by ``reset()``.
            continued: whether to begin with ``reset()`` instead of ``reset(seed)``.
            prepare: called before every call of the env.
        """
        prepare()
        first = self.seed if seed is None else seed
        yield moment(env, env.reset() if continued else env.reset(seed=first))
        actions = self.actions(env.num_envs) if actions is None else actions
        for step, chosen in enumerate(actions, 1):
            prepare()
            yield moment(env, env.reset() if step in resets else env.step(chosen))

    def play(self, env: BatchedEnv) -> Iterator[tuple[int, np.ndarray, Moment, Moment]]:
        """Plays a run; yields (step, actions, results of the call before, results of the step)."""
        given = self.actions(env.num_envs)
        run = self.moments(env, actions=given)
        before = next(run)
        for step, after in enumerate(run, 1):
            yield step, given[step - 1], before, after
            before = after

    def parallel_moments(self, env: ParallelEnv) -> Iterator[Moment]:
        """Plays a run of the PettingZoo view, with a ``reset()`` after the end of each episode."""
        yield flat(by_agent(env.reset(seed=self.seed)))
        for (chosen,) in self.actions(1):
            yield flat(by_agent(env.step(as_dict(env, chosen)) if env.agents else env.reset()))

    # -- requirements ---------------------------------------------------------------------------

    def require(
        self,
        good: Any,
        expected: str,
        actual: Any,
        step: int | None = None,
        axes: tuple[str, ...] = ("row", "agent"),
        row: int = 0,
    ) -> None:
        """Raises ContractError, with the first place of a failure, unless ``good`` is True everywhere.

        Args:
            good: a bool, or bools over ``axes``.
            expected: in words.
            actual: a value, or an array over the same axes.
            step: the number of the step.
            axes: names of the axes.
            row: the number of the first row in the arrays.
        """
        good = np.asarray(good)
        if good.all():
            return
        where: dict[str, object] = {} if step is None else {"step": step}
        if good.ndim:
            index = tuple(np.argwhere(~good)[0].tolist())
            actual = np.asarray(actual)[index]
            for axis, i in zip(axes, index, strict=False):
                name = f" ({self.game.agents[i]!r})" if axis == "agent" else ""
                where[axis] = f"{i + row if axis == 'row' else i}{name}"
        raise ContractError(expected, actual, **where)

    def require_equal(
        self,
        expected: Moment,
        actual: Moment,
        claim: str,
        step: int,
        axes: tuple[str, ...] = ("row", "agent", "entry"),
        row: int = 0,
    ) -> None:
        """Raises ContractError unless two results agree in names, dtypes, shapes and bits.

        Args:
            claim: what the contract says about them.
        """
        if expected.keys() != actual.keys():
            raise ContractError(f"{claim}: results {sorted(expected)}", sorted(actual), step=step)
        for name in expected:
            one, other = expected[name], actual[name]
            if one.dtype != other.dtype or one.shape != other.shape:
                raise ContractError(f"{claim}: {name} {describe(one)}", describe(other), step=step)
            if one.tobytes() != other.tobytes():
                equal = _equal_bits(one, other)
                value = one[tuple(np.argwhere(~equal)[0])] if one.ndim else one
                self.require(equal, f"{claim}: {name} {value!s}", other, step, axes, row)

    def require_equal_runs(
        self,
        claim: str,
        expected: Iterable[Moment],
        actual: Iterable[Moment],
        axes: tuple[str, ...] = ("row", "agent", "entry"),
    ) -> None:
        """Raises ContractError unless two runs agree after every call."""
        for step, (one, other) in enumerate(zip(expected, actual, strict=True)):
            self.require_equal(one, other, claim, step, axes)

    def require_error(
        self, errors: type[Exception], label: str, call: Callable[[], object]
    ) -> None:
        """Raises ContractError unless a call raises ``errors``, with "allowed: ..." for bad values."""
        expected = f"{label}: a {errors.__name__} that says what is allowed"
        try:
            call()
        except Exception as error:
            complete = "allowed" in str(error) or isinstance(error, RuntimeError)
            self.require(isinstance(error, errors) and complete, expected, repr(error))
        else:
            raise ContractError(expected, "nothing was raised")


def as_dict(env: ParallelEnv, chosen: np.ndarray) -> dict[str, int]:
    """Returns actions [N] as a dict for PettingZoo, without the agents that have none (-1)."""
    names = zip(env.possible_agents, chosen.tolist(), strict=True)
    return {agent: action for agent, action in names if action >= 0}


def by_agent(returned: tuple[Any, ...]) -> dict[str, Any]:
    """Names the dicts that `ParallelEnv.reset` or ``step`` returned."""
    names = ("observations", "rewards", "terminations", "truncations", "infos")
    return dict(zip(names if len(returned) == 5 else (names[0], names[-1]), returned, strict=True))


def result_tree(env: BatchedEnv, returned: tuple[Any, ...]) -> dict[str, Any]:
    """Returns the results of `reset` or `step`, and ``alive``, as a tree of the env's tensors."""
    tree = {"obs": returned[0], "info": returned[-1], "alive": env.alive}
    if len(returned) == 5:
        tree.update(zip(("reward", "terminated", "truncated"), returned[1:4], strict=True))
    return tree


def moment(env: BatchedEnv, returned: tuple[Any, ...]) -> Moment:
    """Copies the results of `reset` or `step`. Those that a reset does not have are zeros.

    With several types the observations of each are [B, N, ...], zeros for agents of other types.
    """
    copies = spread(env, flat(result_tree(env, returned)))
    shape = (env.num_envs, env.num_agents)
    copies.setdefault("reward", np.zeros(shape, np.float32))
    copies.setdefault("terminated", np.zeros(shape, np.bool_))
    copies.setdefault("truncated", np.zeros(env.num_envs, np.bool_))
    return copies


def spread(env: BatchedEnv, results: Moment) -> Moment:
    """Returns results in which the observations of a type have an entry for each of the N agents."""
    if not env.game.has_types:
        return results
    whole = dict(results)
    for name, values in results.items():
        part, _, rest = name.partition(".")
        if part == "obs":
            members = env.game.members[env.game.type_names.index(rest.partition(".")[0])]
            whole[name] = np.zeros((len(values), env.num_agents, *values.shape[2:]), values.dtype)
            whole[name][:, members] = values
    return whole


def flat(tree: dict[str, Any], path: str = "") -> Moment:
    """Copies the leaves of nested dicts to arrays, under their keys joined by dots."""
    leaves: Moment = {}
    for key, branch in tree.items():
        if isinstance(branch, dict):
            leaves.update(flat(branch, f"{path}{key}."))
        else:
            tensor = hasattr(branch, "cpu")
            leaves[path + key] = np.array(branch.numpy(force=True) if tensor else branch)
    return leaves


def row_of(results: Moment, row: int) -> Moment:
    """Returns the results of one row, as a batch of one."""
    return {name: values[row : row + 1] for name, values in results.items()}


def ended(results: Moment) -> np.ndarray:
    """Returns where an episode ended, by the time limit or since no agent is left: bool [B]."""
    return results["truncated"] | (results["terminated"] | ~results["alive"]).all(1)


def fingerprints(run: Iterable[Moment], num_rows: int) -> list[str]:
    """Returns a digest of each row's results over a run."""
    digests = [hashlib.sha256() for _ in range(num_rows)]
    for step in run:
        for row, digest in enumerate(digests):
            for values in step.values():
                digest.update(values[row].tobytes())
    return [digest.hexdigest() for digest in digests]


def describe(values: Any) -> str:
    """Returns dtype and shape in words, or the name of the type if this is not an array."""
    if not isinstance(values, np.ndarray):
        return type(values).__name__
    return f"{values.dtype} {list(values.shape)}"


def _equal_bits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns where two arrays of one dtype and shape have the same bits, so that NaN equals NaN."""
    pair = [np.ascontiguousarray(a).reshape(-1, 1).view(np.uint8) for a in (one, other)]
    return (pair[0] == pair[1]).all(1).reshape(one.shape)


class PlainBackend(CpuBackend):
    """Runs rules as ordinary Python.

    Args:
        shuffle: whether to run the points of the index space in random order.
        budget: the number of points to run until `spent` is True.
    """

    def __init__(self, shuffle: bool, budget: int) -> None:
        super().__init__()
        self._generator = np.random.default_rng(0) if shuffle else None
        self._budget = budget

    @property
    def spent(self) -> bool:
        return self._budget <= 0

    def run(self, rule: Rule, extent: Sequence[int], *arguments: Any, work: int = 1) -> None:
        points = np.stack(np.unravel_index(np.arange(int(np.prod(extent))), tuple(extent)), 1)
        if self._generator is not None:
            self._generator.shuffle(points)
        self._budget -= len(points)
        with np.errstate(all="ignore"):  # as compiled rules do
            for point in points.tolist():
                rule(*point, *arguments)
