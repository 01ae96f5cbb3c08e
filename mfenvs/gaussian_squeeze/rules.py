"""Gaussian squeeze: agents who together should do just so much (Yang et al. 2018, section 5.1).

The stages of a step, each a rule: `begin` (row), `choose` (row, agent), `measure` (row), `pay`
(row, agent). Actions count as 0 to A - 1; -1 is none and adds nothing.
"""

import math

import numpy as np

SHARED, PER_AGENT, OPTIMUM = 0, 1, 2


def objective(total, mu, sigma):
    """G(x) = x exp(-((x - mu) / sigma)^2), the paper's; no factor 2 in the exponent."""
    gap = (total - mu) / sigma
    return total * math.exp(-gap * gap)


def log_gain(total, other, mu, sigma):
    """ln(G(total) / G(other)) of totals above 0, also where both underflow."""
    gap = (other - total) * (other + total - 2.0 * mu)
    return math.log(total / other) + gap / (sigma * sigma)


def performance(total, best, mu, sigma):
    """G(total) / G(best), which has digits where G itself underflows."""
    return math.exp(log_gain(total, best, mu, sigma)) if total > 0 else 0.0


def begin(row, state, last, out):
    """Opens the step: does the row start anew?"""
    anew = last.over[row]
    out.reset[row] = anew
    state.time[row] = 0 if anew else state.time[row] + 1


def choose(row, agent, actions, out):
    """Takes the agent's action; at a reset nobody has one."""
    action = -1 if out.reset[row] else actions[row, agent]
    out.actions[row, agent] = action
    out.acting[row, agent] = action >= 0


def measure(row, params, state, out):
    """Counts the row's actions, scores their sum, and tells whether its time is up."""
    # Sums and exponential stay in one rule: a loop over rows that held the exponential alone might
    # be compiled into vector instructions, whose last bit may depend on how many rows there are.
    bins = state.count.shape[1]
    for action in range(bins):
        state.count[row, action] = 0
    for agent in range(params.num_agents):
        state.count[row, out.actions[row, agent] + 1] += 1
    total = 0
    for action in range(1, bins):
        total += (action - 1) * state.count[row, action]
    state.total[row] = total
    state.objective[row] = objective(np.float64(total), params.mu, params.sigma)
    state.performance[row] = performance(np.float64(total), params.best, params.mu, params.sigma)

    reward = state.performance[row]
    if params.reward == SHARED:
        reward = state.objective[row]
    elif params.reward == PER_AGENT:
        reward = state.objective[row] / params.num_agents
    state.reward[row] = reward

    ended = params.max_cycles >= 0 and state.time[row] >= params.max_cycles
    out.truncated[row] = ended
    out.over[row] = ended


def pay(row, agent, state, out):
    """All of a row earn the same."""
    out.reward[row, agent] = state.reward[row]


def write_observation(agent, params, out_row):
    """One agent's observation: its place among the agents, and 1 / N."""
    out_row[0] = (agent + 1) * params.share
    out_row[1] = params.share


def observe_all(row, agent, params, out):
    write_observation(agent, params, out[row, agent])


def observe_some(row, params, agents, out):
    write_observation(agents[row], params, out[row])
