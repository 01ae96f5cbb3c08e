"""A game on trial: played through its public views, compared bit for bit, and told where it fails.

The tools that the checks of `mfenvs.check` are written with. Legend as in `mfenvs.game`.
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
from mfenvs.views.batched import BatchedEnv
from mfenvs.views.parallel import ParallelEnv

# All that one call returned, by name ("obs" or "obs.view", "reward", "info.acting", ...).
Moment = dict[str, np.ndarray]


class ContractError(AssertionError):
    """A game does not keep a promise of the `Game` contract.

    Attributes:
        check: the name of the check in `mfenvs.check.CHECKS`, and ``promise``, what it looks after.
        expected, found: in words.
        where: what is known of "step" (0 is the reset), "row" and "agent".
        repeat: the call that shows the failure again.
    """

    def __init__(self, expected: str, found: object, **where: object) -> None:
        super().__init__(expected, found, where)
        self.expected, self.found, self.where = expected, found, where
        self.check = self.promise = self.repeat = ""

    def told(self, check: str, promise: str, trial: Trial) -> ContractError:
        """This error, with the check that raised it."""
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
            f"  found:    {self.found!s}",
            f"  where:    {place}" if place else "",
            f"  repeat:   {self.repeat}" if self.repeat else "",
        ]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class Trial:
    """One game in one configuration, and how long to play it.

    Attributes:
        game_class: the game.
        num_rows: B of the batches, at least 2, so that rows can be told apart.
        steps: length of a run, at least 20.
        seed: of the games, and of the actions that a run gives them.
        options: fields of the game's Config. Where it has a ``max_cycles`` and none is given, a
            quarter of ``steps`` is tried, so that episodes end and begin within a run.

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
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise TypeError(f"{name}={value!r}; allowed: an integer from {least} to {most}")
            if not least <= value <= most:
                raise ValueError(f"{name}={value!r}; allowed: an integer from {least} to {most}")
        self.game_class.configure(self.options)
        if self.has_limit and "max_cycles" not in self.options:
            shorter = {**self.options, "max_cycles": self.steps // 4}
            try:
                self.game_class.configure(shorter)
            except (TypeError, ValueError):
                return  # a game that allows its own limit only
            object.__setattr__(self, "options", shorter)

    @property
    def has_limit(self) -> bool:
        """Whether ``max_cycles`` is an option of the game."""
        return "max_cycles" in [own.name for own in fields(self.game_class.Config)]

    @cached_property
    def game(self) -> Game:
        return self.build(self.game_class.configure(self.options), get_backend("cpu"))

    def build(self, config: Any, backend: Backend) -> Game:
        make: Callable[..., Game] = self.game_class
        return make(config, backend)

    def batched(self, num_rows: int | None = None, **options: Any) -> BatchedEnv:
        """A new BatchedEnv of the game; ``options`` go over those of the trial."""
        return BatchedEnv(self.game_class, num_rows or self.num_rows, **{**self.options, **options})

    def parallel(self) -> ParallelEnv:
        return ParallelEnv(self.game_class, **self.options)

    # -- play -----------------------------------------------------------------------------------

    def actions(self, num_rows: int | None = None, salt: int = 0) -> np.ndarray:
        """Random actions of a whole run, int64 [steps, B, N] in [-1, A), whatever masks may say."""
        shape = (self.steps, num_rows or self.num_rows, self.game.num_agents)
        return np.random.default_rng([self.seed, salt]).integers(-1, self.game.num_actions, shape)

    def moments(
        self,
        env: BatchedEnv,
        seed: int | Sequence[int] | None = None,
        actions: np.ndarray | None = None,
        resets: Collection[int] = (),
        go_on: bool = False,
        prepare: Callable[[], object] = lambda: None,
    ) -> Iterator[Moment]:
        """Plays a run; yields the moment after the reset and after each step.

        Args:
            seed: of the first reset; None takes the trial's.
            actions: [steps, B, N]; None takes the trial's.
            resets: steps that are replaced by a ``reset()``.
            go_on: begin with ``reset()`` instead of a seed.
            prepare: called before every call of the env.
        """
        prepare()
        first = self.seed if seed is None else seed
        yield moment(env, env.reset() if go_on else env.reset(seed=first))
        actions = self.actions(env.num_envs) if actions is None else actions
        for step, chosen in enumerate(actions, 1):
            prepare()
            yield moment(env, env.reset() if step in resets else env.step(chosen))

    def play(self, env: BatchedEnv) -> Iterator[tuple[int, np.ndarray, Moment, Moment]]:
        """Plays a run; yields (step, the actions given, the moment before, the moment after)."""
        given = self.actions(env.num_envs)
        run = self.moments(env, actions=given)
        before = next(run)
        for step, after in enumerate(run, 1):
            yield step, given[step - 1], before, after
            before = after

    def parallel_moments(self, env: ParallelEnv) -> Iterator[Moment]:
        """Plays a run of the PettingZoo view, with a ``reset()`` wherever an episode has ended."""
        yield flat(by_agent(env.reset(seed=self.seed)))
        for (chosen,) in self.actions(1):
            yield flat(by_agent(env.step(as_dict(env, chosen)) if env.agents else env.reset()))

    # -- verdicts -------------------------------------------------------------------------------

    def hold(
        self,
        good: Any,
        expected: str,
        found: Any,
        step: int | None = None,
        axes: tuple[str, ...] = ("row", "agent"),
        row: int = 0,
    ) -> None:
        """Requires ``good``: a bool, or an array of them over ``axes``, which ``found`` has too.

        Args:
            row: the number of the first row in the arrays.

        Raises:
            ContractError: naming the first place where it does not hold.
        """
        good = np.asarray(good)
        if good.all():
            return
        where: dict[str, object] = {} if step is None else {"step": step}
        if good.ndim:
            index = tuple(np.argwhere(~good)[0].tolist())
            found = np.asarray(found)[index]
            for axis, i in zip(axes, index, strict=False):
                name = f" ({self.game.agents[i]!r})" if axis == "agent" else ""
                where[axis] = f"{i + row if axis == 'row' else i}{name}"
        raise ContractError(expected, found, **where)

    def same(
        self,
        expected: Moment,
        found: Moment,
        claim: str,
        step: int,
        axes: tuple[str, ...] = ("row", "agent", "entry"),
        row: int = 0,
    ) -> None:
        """Requires two moments to agree in names, dtypes, shapes and bits; ``claim`` says why."""
        if expected.keys() != found.keys():
            raise ContractError(f"{claim}: results {sorted(expected)}", sorted(found), step=step)
        for name in expected:
            one, other = expected[name], found[name]
            if one.dtype != other.dtype or one.shape != other.shape:
                raise ContractError(f"{claim}: {name} {kind(one)}", kind(other), step=step)
            if one.tobytes() != other.tobytes():
                alike = _alike(one, other)
                value = one[tuple(np.argwhere(~alike)[0])] if one.ndim else one
                self.hold(alike, f"{claim}: {name} {value!s}", other, step, axes, row)

    def twins(
        self,
        claim: str,
        expected: Iterable[Moment],
        found: Iterable[Moment],
        axes: tuple[str, ...] = ("row", "agent", "entry"),
    ) -> None:
        """Requires two runs, played side by side, to agree at every moment."""
        for step, (one, other) in enumerate(zip(expected, found, strict=True)):
            self.same(one, other, claim, step, axes)

    def raises(self, errors: type[Exception], label: str, call: Callable[[], object]) -> None:
        """Requires ``call`` to raise one of ``errors``, and bad values to say what is allowed."""
        expected = f"{label}: a {errors.__name__} that says what is allowed"
        try:
            call()
        except Exception as error:
            told = "allowed" in str(error) or isinstance(error, RuntimeError)
            self.hold(isinstance(error, errors) and told, expected, repr(error))
        else:
            raise ContractError(expected, "nothing was raised")


def as_dict(env: ParallelEnv, chosen: np.ndarray) -> dict[str, int]:
    """Actions [N] as PettingZoo's dict: agents that choose nothing (-1) are left out."""
    names = zip(env.possible_agents, chosen.tolist(), strict=True)
    return {agent: action for agent, action in names if action >= 0}


def by_agent(returned: tuple[Any, ...]) -> dict[str, Any]:
    """What `ParallelEnv.reset` or ``step`` returned, with a name for each of its dicts."""
    names = ("observations", "rewards", "terminations", "truncations", "infos")
    return dict(zip(names if len(returned) == 5 else (names[0], names[-1]), returned, strict=True))


def results(env: BatchedEnv, returned: tuple[Any, ...]) -> dict[str, Any]:
    """What `reset` or `step` returned, and who is alive, as a tree of the env's own tensors."""
    tree = {"obs": returned[0], "info": returned[-1], "alive": env.alive}
    if len(returned) == 5:
        tree.update(zip(("reward", "terminated", "truncated"), returned[1:4], strict=True))
    return tree


def moment(env: BatchedEnv, returned: tuple[Any, ...]) -> Moment:
    """What `reset` or `step` returned, in memory of its own; a reset gives zeros for the rest."""
    found = flat(results(env, returned))
    shape = (env.num_envs, env.num_agents)
    found.setdefault("reward", np.zeros(shape, np.float32))
    found.setdefault("terminated", np.zeros(shape, np.bool_))
    found.setdefault("truncated", np.zeros(env.num_envs, np.bool_))
    return found


def flat(tree: dict[str, Any], path: str = "") -> Moment:
    """The leaves of nested dicts, copied into arrays, under names joined by dots."""
    leaves: Moment = {}
    for key, branch in tree.items():
        if isinstance(branch, dict):
            leaves.update(flat(branch, f"{path}{key}."))
        else:
            tensor = hasattr(branch, "cpu")
            leaves[path + key] = np.array(branch.numpy(force=True) if tensor else branch)
    return leaves


def row_of(found: Moment, row: int) -> Moment:
    """One row of a moment, as a batch of one."""
    return {name: values[row : row + 1] for name, values in found.items()}


def ended(found: Moment) -> np.ndarray:
    """Rows whose episode a step ended: by the time limit, or with nobody left to act; bool [B]."""
    return found["truncated"] | (found["terminated"] | ~found["alive"]).all(1)


def fingerprints(run: Iterable[Moment], num_rows: int) -> list[str]:
    """A digest of each row's history."""
    digests = [hashlib.sha256() for _ in range(num_rows)]
    for found in run:
        for row, digest in enumerate(digests):
            for values in found.values():
                digest.update(values[row].tobytes())
    return [digest.hexdigest() for digest in digests]


def kind(values: Any) -> str:
    """Dtype and shape in words, or the type of what is no array."""
    if not isinstance(values, np.ndarray):
        return type(values).__name__
    return f"{values.dtype} {list(values.shape)}"


def _alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two arrays of one dtype and shape have the same bits (so that NaN equals itself)."""
    pair = [np.ascontiguousarray(a).reshape(-1, 1).view(np.uint8) for a in (one, other)]
    return (pair[0] == pair[1]).all(1).reshape(one.shape)


class PlainBackend(CpuBackend):
    """Runs rules as ordinary Python, at the points of their index space in any order.

    Args:
        shuffle: whether to shuffle the points; else they come in order.
        budget: how many points this backend is good for; `spent` says when to stop.
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
