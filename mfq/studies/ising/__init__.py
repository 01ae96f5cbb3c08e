"""Ising: agents that learn from rewards alone, compared with exact physics.

The study measures the order parameter |m| over the temperature tau, on one lattice:

- ``mfq``: mean field Q-learning; its table is indexed by the neighbours' mean action. Q(a, abar)
  converges to the exact reward table, so its Boltzmann policy is a heat bath, and the population
  follows Onsager's solution and Monte Carlo.
- ``iql-observing``: independent Q-learning that observes its neighbours' spins; its table is indexed
  by how many of them are up. In this game that is the same update as MFQ's, with the same results.
- ``iql``: independent Q-learning that observes nothing of its neighbours; its table has one cell.
  Q(a) converges to the reward against the average of the neighbours, and the population follows
  Weiss's mean field theory.
- ``mfq-previous``: the pairing of the authors' code, Q(a_t, abar_{t-1}), with synchronous updates. It
  also learns an average, and follows Weiss.
- ``monte_carlo``: a heat bath on the same lattice, without learning.

So the information that an agent has about its neighbours decides between Onsager and Weiss. A mean
action carries it, and so does an observation; ``iql`` and ``mfq`` differ in their input, not in their
update.

All learners start with the same *warm-up* of coherent exploration: all agents sample from one
distribution whose probability of "up" rises from .05 to .95. In the warm-up each agent meets every
neighbourhood, and the lattice ends ordered, so that no run below the critical temperature spends its
sweeps in stripes or domains.
"""

from mfq.studies.ising.config import IsingStudy, Result
from mfq.studies.ising.study import compare, run

__all__ = ["IsingStudy", "Result", "compare", "run"]
