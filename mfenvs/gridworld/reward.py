"""Rewards: at the beginning of a step, those of its attack rewards, and what a step writes."""

import numpy as np

from mfenvs.gridworld.attack import HIT, NOTHING
from mfenvs.gridworld.board import ALIVE, DYING, FIRST, GONE, show_one
from mfenvs.gridworld.tables import TO_VICTIM, first_agent, group_of


def retire(row, params, state):
    """Removes agents that died in the step before; moves rewards to last rewards (`clear_dead`)."""
    for agent in range(params.num_changing):
        if state.status[row, agent] == DYING:
            remove(row, agent, state)
        if state.status[row, agent] == ALIVE:
            state.last_reward[row, agent] = state.reward[row, agent]
            state.reward[row, agent] = params.step_reward[agent]
        state.attack_result[row, agent] = NOTHING
    if params.num_changing < params.num_agents:
        retire_rest(row, params, state)


def retire_rest(row, params, state):
    """Removes the units that died in the step before, of those that change by attacks alone."""
    dying = 0
    for agent in range(params.num_changing, params.num_agents):
        dying += state.status[row, agent] == DYING  # without a branch, as in `pay`
    if dying > 0:
        for agent in range(params.num_changing, params.num_agents):
            if state.status[row, agent] == DYING:
                remove(row, agent, state)
                show_one(row, FIRST + agent, params, state, state)


def remove(row, agent, state):
    """Removes an agent that has died."""
    state.status[row, agent] = GONE
    state.hp[row, agent] = np.float32(0.0)
    state.reward[row, agent] = np.float32(0.0)
    state.last_reward[row, agent] = np.float32(0.0)


def pay(row, params, state):
    """Adds the attack rewards, also to agents that died in this step."""
    # Without a branch, so that this becomes vector instructions. To add -0 changes no number.
    nothing = np.float32(-0.0)
    for agent in range(params.num_acting):
        paid = state.attack_result[row, agent] >= HIT
        state.reward[row, agent] += state.bounty[row, agent] if paid else nothing
    if params.pays_jointly:
        for group in range(params.num_acting_groups):
            pay_jointly(row, group, params, state)
    if params.pays_victims:
        for agent in range(params.num_acting):
            result = state.attack_result[row, agent]
            if result >= HIT:
                victim = state.victim[row, agent]
                group, other = group_of(agent, params.agents), group_of(victim, params.agents)
                state.reward[row, victim] += params.paid[group, other, result - HIT, TO_VICTIM]


def pay_jointly(row, group, params, state):
    """Adds the joint rewards of a group's agents that hit the same victim."""
    first, last = first_agent(group, params.groups), first_agent(group + 1, params.groups)
    for victim in range(params.num_agents):
        state.queue[row, victim] = 0  # how many hit it; the queue is free again
    for agent in range(first, last):
        if state.attack_result[row, agent] == HIT:
            state.queue[row, state.victim[row, agent]] += 1
    for agent in range(first, last):
        if state.attack_result[row, agent] == HIT:
            victim = state.victim[row, agent]
            joint = params.joint[group, group_of(victim, params.agents)]
            # Added one by one, since a product and a sum may be one instruction on a GPU.
            for _ in range(state.queue[row, victim] - 1):
                state.reward[row, agent] += joint


def close(row, params, state, out):
    """Writes the step. Once a group has no living agent, the episode terminates for all."""
    decided = False
    for group in range(params.num_groups):
        decided = decided or state.living[row, group] == 0
    for agent in range(params.num_acting):
        status = state.status[row, agent]
        out.reward[row, agent] = state.reward[row, agent]
        out.alive[row, agent] = status == ALIVE
        out.terminated[row, agent] = status == DYING or (decided and status == ALIVE)
    truncated = params.max_cycles >= 0 and state.time[row] >= params.max_cycles
    out.truncated[row] = truncated
    out.over[row] = truncated or decided
