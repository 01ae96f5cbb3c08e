"""Games that each break one promise of the contract, for the checker to find."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from mfenvs.game import Game
from mfenvs.ising.game import IsingGame
from tests.fakes import broken_views
from tests.fakes.toy_game import GONE, ToyGame


class SameNames(ToyGame):
    def __init__(self, config, backend):
        super().__init__(config, backend)
        self.agents = ("walker",) * config.agents


class GroupWithoutName(ToyGame):
    def __init__(self, config, backend):
        super().__init__(config, backend)
        self.group_names = ("even",)


class SwallowsOptions(ToyGame):
    @classmethod
    def configure(cls, options):
        return super().configure(
            {name: options[name] for name in options if name in vars(cls.Config)}
        )


class ForgetsItsLimit(ToyGame):
    max_cycles = 1000


class MeasureOfAnotherShape(ToyGame):
    def measures(self, state):
        return {"living": (state.status == 1).sum(1, keepdims=True)}


class MeasureThatHidesTheAction(ToyGame):
    def measures(self, state):
        return {"action": state.time}


class NarrowSpace(ToyGame):
    def __init__(self, config, backend):
        super().__init__(config, backend)
        near = spaces.Box(0.0, 1.0, (3,), np.float32)
        self.single_observation_space = spaces.Dict({**self.single_observation_space, "near": near})


class StateOfAnotherDtype(ToyGame):
    def global_state(self, state, row):
        return super().global_state(state, row).astype(np.float64)


class Tampers(ToyGame):
    """Plays a step as it should, then changes what it wrote."""

    def step(self, state, actions, last, out):
        super().step(state, actions, last, out)
        self.tamper(state, actions, last, out)


class DrawsFromEntropy(Tampers):
    def tamper(self, state, actions, last, out):
        out.reward[out.alive] += np.random.default_rng().random()


class DrawsFromNumpy(Tampers):
    def tamper(self, state, actions, last, out):
        np.random.random()  # noqa: NPY002


class SeedsPython(Tampers):
    def tamper(self, state, actions, last, out):
        random.seed(0)


class ReadsNumpy(Tampers):
    """Draws from numpy's global generator and puts it back, so that it never moves."""

    def tamper(self, state, actions, last, out):
        kept = np.random.get_state()  # noqa: NPY002
        out.reward[out.alive & ~out.reset[:, None]] += np.random.random()  # noqa: NPY002
        np.random.set_state(kept)  # noqa: NPY002


class StartsItsStreamsOver(ToyGame):
    def reset(self, state, out, seeds):
        state.counter[:] = 0
        super().reset(state, out, seeds)


class KeepsItsStreamsUnderASeed(ToyGame):
    def reset(self, state, out, seeds):
        position = state.counter.copy()
        super().reset(state, out, seeds)
        if seeds is not None:
            state.counter[:] += position


class OneSeedForAllRows(ToyGame):
    def row_seeds(self, seed, num_rows):
        return np.full(num_rows, seed, np.int64)


class RowsInfluenceEachOther(Tampers):
    def tamper(self, state, actions, last, out):
        out.reward[:] *= 1 + state.place.sum() % 2


class ShowsTheFirstRow(ToyGame):
    def global_state(self, state, row):
        return super().global_state(state, 0)


class CountsInItself(Tampers):
    def reset(self, state, out, seeds):
        self.count = 0
        super().reset(state, out, seeds)

    def tamper(self, state, actions, last, out):
        self.count = getattr(self, "count", 0) + 1
        out.reward[:] *= 1 + self.count % 2


def infect(row, agent, reward):
    """Reads what another point of the same rule writes."""
    if agent > 0:
        reward[row, agent] += reward[row, agent - 1]


class ReliesOnOrder(Tampers):
    def tamper(self, state, actions, last, out):
        self.backend.run(infect, out.reward.shape, out.reward)


class OneRoomForAll(ToyGame):
    def allocate_observation(self, shape, dtype=np.float32):
        rooms = self.__dict__.setdefault("rooms", {})
        return rooms.setdefault(shape, super().allocate_observation(shape, dtype))


class WritesIntoActions(Tampers):
    def tamper(self, state, actions, last, out):
        if actions is not out.actions:
            actions[:] = -1


class WritesIntoTheLastStep(Tampers):
    def tamper(self, state, actions, last, out):
        last.reward[:] = 0


class OneArrayForTheState(ToyGame):
    def global_state(self, state, row):
        self.room = getattr(self, "room", np.zeros(self.state_space.shape, np.float32))
        self.room[:] = super().global_state(state, row)
        return self.room


class PaysAtReset(Tampers):
    def tamper(self, state, actions, last, out):
        out.reward[out.reset] = 1


class PaysInfinity(Tampers):
    def tamper(self, state, actions, last, out):
        out.reward[out.terminated] = -np.inf


class TruncatesLate(IsingGame):
    def __init__(self, config, backend):
        super().__init__(config, backend)
        if config.max_cycles is not None:
            self.params = self.params._replace(max_cycles=config.max_cycles + 1)


class TruncatesWithoutLimit(IsingGame):
    def __init__(self, config, backend):
        super().__init__(config, backend)
        self.params = self.params._replace(max_cycles=config.max_cycles or 10)


class HeedsActionsAtReset(Tampers):
    def tamper(self, state, actions, last, out):
        out.actions[out.reset] = actions[out.reset]


class PlaysOnWithNobody(Tampers):
    def tamper(self, state, actions, last, out):
        out.over[:] = out.truncated


class TerminatesForever(Tampers):
    def tamper(self, state, actions, last, out):
        out.terminated[~out.alive] = True


class TerminatesAtTheLimit(IsingGame):
    def step(self, state, actions, last, out):
        super().step(state, actions, last, out)
        out.terminated[:] = out.truncated[:, None]


class RaisesTheDead(Tampers):
    def tamper(self, state, actions, last, out):
        rise = (state.status[:, 0] == GONE) & ~out.over
        state.status[rise, 0] = 1
        out.alive[rise, 0] = True


class PaysTheDead(Tampers):
    def tamper(self, state, actions, last, out):
        out.reward[state.status == GONE] = 1


class LetsTheDeadAct(Tampers):
    def tamper(self, state, actions, last, out):
        out.actions[state.status == GONE] = 0


class LetsTheDeadSee(ToyGame):
    def observe(self, source, out, rows=None, agents=None):
        super().observe(source, out, rows, agents)
        gone = source.status == GONE
        out["own"][gone if rows is None else gone[rows, agents]] = 1


class AllowsNothing(Tampers):
    def tamper(self, state, actions, last, out):
        out.mask[state.asleep] = 0


class MaskOfTwos(Tampers):
    def tamper(self, state, actions, last, out):
        out.mask[:] *= 2


class ActsWithoutChoosing(Tampers):
    def tamper(self, state, actions, last, out):
        out.acting[:] = ~out.reset[:, None] & (state.status != GONE)


class ShowsIllegalActions(Tampers):
    def tamper(self, state, actions, last, out):
        ignored = (out.actions == 0) & ~out.acting & ~out.reset[:, None]
        out.actions[ignored] = actions[ignored]


class ChoosesForThem(Tampers):
    def tamper(self, state, actions, last, out):
        out.acting[:, 0] = False


class ResetsUnlikeAutoreset(ToyGame):
    """A ``reset()`` draws once more than the step that starts a row anew."""

    def reset(self, state, out, seeds):
        state.counter[:] += seeds is None
        super().reset(state, out, seeds)


class TakesAnySeed(ToyGame):
    def reset_seeds(self, seed, num_rows, seeded):
        try:
            return super().reset_seeds(seed, num_rows, seeded)
        except ValueError:
            return self.row_seeds(0, num_rows)


class SaysThatNobodyDies(ToyGame):
    fixed_population = True


class HasNoWords(ToyGame):
    def reset_seeds(self, seed, num_rows, seeded):
        try:
            return super().reset_seeds(seed, num_rows, seeded)
        except ValueError:
            raise ValueError("bad seed") from None


class MovesBeforeItRefuses(ToyGame):
    """A bad seed is refused, and counted all the same."""

    def reset_seeds(self, seed, num_rows, seeded):
        try:
            return super().reset_seeds(seed, num_rows, seeded)
        except ValueError:
            self.params = self.params._replace(hazard=0.9)
            raise


def a_local_class() -> type[Game]:
    class CannotBePickled(ToyGame):
        pass

    return CannotBePickled


class Broken(NamedTuple):
    check: str
    game: type[Game]
    options: dict[str, Any]


BROKEN: list[Broken] = [
    Broken(check, game, {"side": 3} if issubclass(game, IsingGame) else {})
    for check, games in {
        "names": (SameNames, GroupWithoutName),
        "config": (SwallowsOptions, ForgetsItsLimit),
        "outputs": (MeasureOfAnotherShape, MeasureThatHidesTheAction),
        "spaces": (NarrowSpace, StateOfAnotherDtype),
        "determinism": (DrawsFromEntropy,),
        "generators": (DrawsFromNumpy, SeedsPython, ReadsNumpy),
        "seeding": (StartsItsStreamsOver, KeepsItsStreamsUnderASeed, OneSeedForAllRows),
        "rows": (RowsInfluenceEachOther, ShowsTheFirstRow),
        "stateless": (CountsInItself,),
        "order": (ReliesOnOrder,),
        "memory": (OneRoomForAll, WritesIntoActions, WritesIntoTheLastStep, OneArrayForTheState),
        "rewards": (PaysAtReset, PaysInfinity),
        "truncation": (TruncatesLate, TruncatesWithoutLimit),
        "autoreset": (HeedsActionsAtReset, PlaysOnWithNobody),
        "deaths": (
            TerminatesForever,
            TerminatesAtTheLimit,
            RaisesTheDead,
            PaysTheDead,
            LetsTheDeadAct,
            LetsTheDeadSee,
            SaysThatNobodyDies,
        ),
        "masks": (AllowsNothing, MaskOfTwos),
        "acting": (ActsWithoutChoosing, ShowsIllegalActions, ChoosesForThem),
        "snapshots": broken_views.SNAPSHOTS,
        "graph": broken_views.GRAPHS,
        "views": (ResetsUnlikeAutoreset,),
        "bad_input": (TakesAnySeed, HasNoWords, MovesBeforeItRefuses),
        "pickling": (a_local_class(),),
    }.items()
    for game in games
]
