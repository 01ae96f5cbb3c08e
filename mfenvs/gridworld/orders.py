"""What each agent is to do in a step, and the order in which attacks are made."""

from mfenvs.gridworld.board import ALIVE
from mfenvs.gridworld.tables import NUM_ACTIONS, NUM_MOVES, first_agent, unit_of

# std::default_random_engine of libstdc++, minstd_rand0: x <- 16807 x mod 2^31 - 1.
MULTIPLIER, MODULUS = 16807, 2147483647


def enlist(row, params, state, actions, out):
    """Notes each agent's action; queues the attackers, group by group, and returns their number.

    A copied action that the agent does not have is no action. As in MAgent2 it is queued, since it
    costs a draw.
    """
    copied = params.copied_start and state.time[row] == 1
    attacks = 0
    for group in range(params.num_acting_groups):
        first, unit = first_agent(group, params.groups), unit_of(group, params.groups)
        num_moves, num_actions = params.units[unit, NUM_MOVES], params.units[unit, NUM_ACTIONS]
        for agent in range(first, first_agent(group + 1, params.groups)):
            action, chosen = -1, -1
            if state.status[row, agent] == ALIVE:
                chosen = actions[row, agent]
                action = chosen
                if copied:
                    action = min(actions[row, nth(row, agent - first, params, state)], num_actions)
                state.last_action[row, agent] = action
                if action >= num_moves:
                    state.queue[row, attacks] = agent
                    attacks += 1
                if copied and action == num_actions:
                    action = -1
            out.actions[row, agent] = action
            out.acting[row, agent] = action >= 0 and action == chosen
    return attacks


def nth(row, place, params, state):
    """The agent at a place in the list of all agents that take part in the episode, at its start.

    In the first step after a reset MAgent2's wrapper reads the actions of every group from the head of
    the list of all actions.
    """
    group = 0
    while place >= state.living[row, group]:
        place -= state.living[row, group]
        group += 1
    return first_agent(group, params.groups) + place


def shuffle(row, state, attacks):
    """MAgent's shuffle: one draw for each attack, the first included."""
    draw = state.random[row]
    for i in range(attacks):
        draw = draw * MULTIPLIER % MODULUS
        j = draw % (i + 1)
        agent = state.queue[row, i]
        state.queue[row, i] = state.queue[row, j]
        state.queue[row, j] = agent
    state.random[row] = draw
