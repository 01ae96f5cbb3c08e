"""Ising: agents that learn from rewards alone, held against exact physics.

Four curves of the order parameter |m| over the temperature tau, on the same lattice:

- ``mfq``: mean-field Q-learning. Q(a, abar) becomes the exact reward table, so that its Boltzmann
  policy is a heat bath, and the population follows Onsager's solution and Monte Carlo.
- ``iql``: independent Q-learning, a table keyed on nothing. Q(a) becomes the reward against the
  neighbours' average, and the population follows Weiss' mean-field theory.
- ``mfq-previous``: the pairing of the authors' code, Q(a_t, abar_{t-1}), all agents at once. It too
  learns the average, and follows Weiss.
- ``monte_carlo``: a heat bath on the same lattice, no learning.

All learners start alike: a *warm-up* of coherent exploration, in which everybody draws from one coin
whose bias rises from fair to nearly always up. It shows the learners each neighbourhood, and leaves
an ordered lattice, so that no run below the critical temperature is spent in stripes or domains.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from tqdm import tqdm

import mfq
from mfenvs import ising_v0
#from mfenvs.ising import exact
from mfq.policy import Boltzmann, Mixture

BIAS_AT_THE_END = 0.95
DEFAULT_TAUS = (0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.2)
QUICK_TAUS = (0.8, 1.0, 1.2, 1.4, 1.8)


@dataclass(frozen=True)
class IsingStudy:
    """Options of `mfq compare ising`.

    Attributes:
        side: sites along an edge; even.
        coupling: lambda of eq. 33, above 0. The taus scale with it where they are not given.
        field: the same h for all sites. Onsager's solution needs h = 0.
        taus: temperatures of the Boltzmann policy (T = 2 tau).
        seeds: independent populations per tau and method; intervals are over them.
        sweeps: sweeps measured, after burn-in; in a sweep each agent chooses once.
        burn_in: sweeps at the target temperature before.
        warm_up: sweeps of coherent exploration before that.
        seed: of everything.
        quick: a short version of all this (taus, seeds and sweeps), to see that it works.
    """

    side: int = 20
    coupling: float = 1.0
    field: float = 0.0
    taus: tuple[float, ...] = ()
    seeds: int = 8
    sweeps: int = 6000
    burn_in: int = 1000
    warm_up: int = 1500
    seed: int = 0
    quick: bool = False


class Method(NamedTuple):
    """One learner and the dynamics that it plays under."""

    name: str
    mean_field: bool
    pairing: str
    update: str
    steps_per_sweep: int


METHODS = (
    Method("mfq", True, "current", "checkerboard", 2),
    Method("iql", False, "current", "checkerboard", 2),
    Method("mfq-previous", True, "previous", "synchronous", 1),
)


def learn(study: IsingStudy, method: Method, taus: Sequence[float], tick: Callable[[], object]):
    temperature = torch.tensor(taus).repeat_interleave(study.seeds)[:, None, None]
    env = ising_v0.batched_env(
        num_envs=len(taus) * study.seeds,
        side=study.side,
        coupling=study.coupling,
        field=study.field,
        update=method.update,
        initial="up",
        max_cycles=None,
    )
    view = mfq.wrap(env)
    warm_up = study.warm_up * method.steps_per_sweep

    def coin(time: int) -> Tensor:
        up = 0.05 + 0.9 * min(time / warm_up, 1.0)
        return torch.tensor([1.0 - up, up])

    agent = mfq.TabularQ(
        view,
        mean_field=method.mean_field,
        pairing=method.pairing,
        policy=Mixture(coin),
        learning_rate=0.1,
        gamma=0.0,
        seed=study.seed,
    )
    total = torch.zeros(env.num_envs, dtype=torch.float64)

    def measure(done: int, step: mfq.Step) -> None:
        if done % method.steps_per_sweep == 0:
            total.add_((2 * step.actions.double().mean(1) - 1).abs())
            tick()
    step = view.reset(seed=study.seed)
    step = mfq.train(view, agent, warm_up, step)
    agent.policy = Boltzmann(temperature)
    step = mfq.train(view, agent, study.burn_in * method.steps_per_sweep, step)
    mfq.train(view, agent, study.sweeps * method.steps_per_sweep, step, after=measure)
    order = (total / study.sweeps).reshape(len(taus), study.seeds)
    return order, agent
