"""The learners of the Ising study: how each is trained, and how far its Q is from the true rewards."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

import mfq
from mfq.policy import Boltzmann, Linear, Mixture
from mfq.studies.ising.config import IsingStudy

WARM_UP = Linear(0.05, 0.95, 1500)
LEARNING_RATE = 0.1


class Method(NamedTuple):
    """A learner and the dynamics that it plays under.

    Attributes:
        mean_field: whether its table is indexed by the neighbours' mean action.
        observing: whether its table is indexed by how many neighbours it observes to be up.
        pairing: which mean action a reward is learned with (`mfq.TabularQ`).
        update: which agents choose in a step (`ising_v0`).
        steps_per_sweep: steps until each agent has chosen once.
    """

    name: str
    mean_field: bool
    observing: bool
    pairing: str
    update: str
    steps_per_sweep: int


METHODS = (
    Method("mfq", True, False, "current", "checkerboard", 2),
    Method("iql-observing", False, True, "current", "checkerboard", 2),
    Method("iql", False, False, "current", "checkerboard", 2),
    Method("mfq-previous", True, False, "previous", "synchronous", 1),
)


def true_rewards(coupling: float, field: float) -> Tensor:
    """Returns r(k, a) of Eq. 33 with k of the four neighbours up: float32 [5, 2]."""
    around = 2.0 * torch.arange(5.0) - 4.0
    sign = torch.tensor([-1.0, 1.0])
    return sign * (field + coupling / 2 * around[:, None])


def neighbours_up(obs: Tensor) -> Tensor:
    """Counts how many of its four neighbours each site observes to be up.

    The state is the number, not one of the 16 patterns: the reward depends on the number alone, and
    MFQ's mean action holds no more.

    Args:
        obs: float32 [B, N, 6], of an environment with ``observe_neighbors``.

    Returns:
        int64 [B, N], 0 to 4.
    """
    return (obs[..., 2:] > 0).sum(-1)


def train(
    study: IsingStudy, method: Method, tick: Callable[[], object]
) -> tuple[mfq.TabularQ, Tensor]:
    """Trains and measures one method at all temperatures at once; a row is one seed of one tau.

    Args:
        study: a resolved study.
        method: the method to train.
        tick: called after each sweep.

    Returns:
        The agent, of B = taus x seeds rows, and the order parameter of each row: float64 [B].
    """
    from mfenvs import ising_v0

    assert study.taus is not None
    env = ising_v0.batched_env(
        num_envs=len(study.taus) * study.seeds,
        side=study.side,
        coupling=study.coupling,
        field=study.field,
        update=method.update,
        observe_neighbors=method.observing,
        initial="up",
        max_cycles=None,
    )
    view = mfq.wrap(env)
    agent = mfq.TabularQ(
        view,
        mean_field=method.mean_field,
        pairing=method.pairing,
        learning_rate=LEARNING_RATE,
        gamma=0.0,
        num_states=5 if method.observing else None,
        state_of=neighbours_up if method.observing else None,
        seed=study.seed,
    )
    total = torch.zeros(env.num_envs, dtype=torch.float64)

    def sweeps(count: int, step: mfq.Step, measured: bool = False) -> mfq.Step:
        def after(done: int, step: mfq.Step) -> None:
            if done % method.steps_per_sweep == 0:
                if measured:
                    total.add_((2 * step.actions.double().mean(1) - 1).abs_())
                tick()

        return mfq.train(view, agent, count * method.steps_per_sweep, step, after)

    def mixture(time: int) -> Tensor:
        up = WARM_UP(time // method.steps_per_sweep)
        return torch.tensor([1 - up, up])

    agent.policy = Mixture(mixture)
    step = sweeps(WARM_UP.steps, view.reset(seed=study.seed))
    agent.policy = Boltzmann(torch.tensor(study.taus).repeat_interleave(study.seeds)[:, None, None])
    step = sweeps(study.burn_in, step)
    sweeps(study.sweeps, step, measured=True)

    return agent, total / study.sweeps


def learn(study: IsingStudy, method: Method, tick: Callable[[], object]) -> tuple[Tensor, Tensor]:
    """Trains a method (`train`) and measures the error of its Q.

    Returns:
        Order parameter and mean squared error of Q, each float64 [taus, seeds].
    """
    agent, orders = train(study, method, tick)
    assert study.taus is not None
    shape = (len(study.taus), study.seeds)
    error = (q_values(agent) - true_rewards(study.coupling, study.field)).square().mean((1, 2, 3))
    return orders.reshape(shape), error.double().reshape(shape)


def q_values(agent: mfq.TabularQ) -> Tensor:
    """Returns Q of every agent by the number of neighbours up, as far as its table has cells for it.

    Returns:
        float32 [B, N, 5, 2]; [B, N, 1, 2] of a learner without input, for which one cell stands for
        all five.
    """
    # A learner has either states or cells of mean action. The last cell of MFQ, "no neighbour", never
    # occurs on a torus.
    return agent.table.flatten(2, 3)[:, :, :5]
