"""Rules of the Gaussian squeeze: a resource that all agents share (Yang et al. 2018, section 5.1).

The stages of a step, each a rule: `begin` (row), `choose` (row, agent), `measure` (row), `reward`
(row, agent). Actions are 0 to A - 1; -1 is no action and adds nothing to the total.
"""

import math

import numpy as np

SHARED, PER_AGENT, OPTIMUM = 0, 1, 2


def objective(total, mu, sigma):
    """Returns G(x) = x exp(-((x - mu) / sigma)^2), as in the paper."""
    gap = (total - mu) / sigma
    return total * math.exp(-gap * gap)


def log_gain(total, other, mu, sigma):
    """Returns ln(G(total) / G(other)) of totals above 0, also where both underflow."""
    gap = (other - total) * (other + total - 2.0 * mu)
    return math.log(total / other) + gap / (sigma * sigma)


def performance(total, best, mu, sigma):
    """Returns G(total) / G(best), also where G(total) underflows."""
    return math.exp(log_gain(total, best, mu, sigma)) if total > 0 else 0.0


def begin(row, state, last, out):
    """Resets the row if its episode has ended, and advances its time."""
    reset = last.over[row]
    out.reset[row] = reset
    state.time[row] = 0 if reset else state.time[row] + 1


def choose(row, agent, actions, out):
    """Writes the agent's action; -1 at a reset."""
    action = -1 if out.reset[row] else actions[row, agent]
    out.actions[row, agent] = action
    out.acting[row, agent] = action >= 0


def measure(row, params, state, out):
    """Counts the row's actions, evaluates their sum, and writes the end by the time limit."""
    # One rule for sums and exponential: a loop over rows with the exponential alone might compile to
    # vector instructions, whose last bit may depend on the number of rows.
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

    value = state.performance[row]
    if params.reward == SHARED:
        value = state.objective[row]
    elif params.reward == PER_AGENT:
        value = state.objective[row] / params.num_agents
    state.reward[row] = value

    ended = params.max_cycles >= 0 and state.time[row] >= params.max_cycles
    out.truncated[row] = ended
    out.over[row] = ended


def reward(row, agent, state, out):
    """Writes the reward, the same for all agents of a row."""
    out.reward[row, agent] = state.reward[row]


def write_observation(agent, params, out_row):
    """Writes one agent's observation: (j + 1) / N and 1 / N."""
    out_row[0] = (agent + 1) * params.share
    out_row[1] = params.share


def observe_all(row, agent, params, out):
    write_observation(agent, params, out[row, agent])


def observe_some(row, params, agents, out):
    write_observation(agents[row], params, out[row])
