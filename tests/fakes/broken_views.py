"""Games whose snapshots or graphs break a promise of the contract, for the checker to find."""

import numpy as np

from mfenvs.graph import LatticeGraph, RadiusGraph
from mfenvs.ising.game import IsingGame
from tests.fakes.toy_game import Snapshot, ToyGame


class SnapshotOfTheLivingState(ToyGame):
    def snapshot(self, state):
        return Snapshot(state.place, state.status, state.asleep)


class SnapshotThatForgets(ToyGame):
    def snapshot(self, state):
        return super().snapshot(state)._replace(asleep=np.zeros_like(state.asleep))


class PairsTheWrongWay(ToyGame):
    def observe(self, source, out, rows=None, agents=None):
        if rows is not None:
            rows, agents = rows[::-1].copy(), agents[::-1].copy()
        super().observe(source, out, rows, agents)


class TellsOfNoSuchField(ToyGame):
    agent_fields = ("hp",)


class NeedsTheGone(ToyGame):
    """Its zeros are not those of agents who are gone."""

    def snapshot(self, state):
        return super().snapshot(state)._replace(status=state.status ^ 1)

    def observe(self, source, out, rows=None, agents=None):
        if isinstance(source, Snapshot):
            source = source._replace(status=source.status ^ 1)
        super().observe(source, out, rows, agents)


class MovingGraph(RadiusGraph):
    """Keeps positions that go on changing."""

    def __init__(self, place, groups):
        self.place, self.of = place, groups
        super().__init__(place[..., None], 1, groups)

    def neighbors(self, agent, row=0):
        return RadiusGraph(self.place[..., None], 1, self.of).neighbors(agent, row)


class GraphThatMoves(ToyGame):
    def graph(self, source):
        return MovingGraph(source.place, self.groups)


class CountingOneself(LatticeGraph):
    def _sum(self, x):
        return super()._sum(x) + x


class WrongMean(IsingGame):
    def graph(self, source):
        return CountingOneself(self.config.side)


class OwnNeighbor(LatticeGraph):
    def neighbors(self, agent, row=0):
        return np.sort(np.append(super().neighbors(agent, row), agent))


class ListensToItself(IsingGame):
    def graph(self, source):
        return OwnNeighbor(self.config.side)


SNAPSHOTS = (
    SnapshotOfTheLivingState,
    SnapshotThatForgets,
    PairsTheWrongWay,
    TellsOfNoSuchField,
    NeedsTheGone,
)
GRAPHS = (GraphThatMoves, WrongMean, ListensToItself)
