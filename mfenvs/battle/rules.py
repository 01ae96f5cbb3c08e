"""Battle, stage by stage, in the order of MAgent2's engine (GridWorld.cc, `step` and `clear_dead`).

A step of a row is sequential by params: who attacks first decides who lives, and who moves first who
stands where. Its stages are `retire`, `enlist`, `shuffle`, `attack`, `recover`, `move`, `pay`, `close`;
`play` runs them, or `start` where the last episode has ended.

The state has the fields of a scene and of its board; see `mfenvs.battle.board`.
"""

import numpy as np

from mfenvs.battle.board import (
    ALIVE,
    BLANK,
    DYING,
    FIRST,
    GONE,
    count,
    is_blue,
    place_of,
    show,
    survey,
)
from mfenvs.rng import bits

NOTHING, MISS, HIT, KILL = 0, 1, 2, 3
# std::default_random_engine of libstdc++, minstd_rand0: x <- 16807 x mod 2^31 - 1.
MULTIPLIER, MODULUS = 16807, 2147483647


def play(row, params, state, actions, last, out):
    """A step of the row; or, if its last episode has ended, the next one's start."""
    state.counter[row] += 1
    if last.over[row]:
        start(row, params, state, out)
        return
    out.reset[row] = False
    state.time[row] += 1
    retire(row, params, state)
    attacks = enlist(row, params, state, actions, out)
    shuffle(row, state, attacks)
    attack(row, params, state, attacks)
    recover(row, params, state)
    move(row, params, state)
    pay(row, params, state)
    show(row, params, state, state)
    if params.minimap:
        count(row, params, state, state)
    close(row, params, state, out)


def start(row, params, state, out):
    """Places the armies. Where the options say so a coin says who is left, and how the armies stand to
    each other is drawn."""
    swapped = params.random_side and bits(state.key[row], state.counter[row], 0) & 1 == 1
    # How much wider apart than MAgent2's the armies are, and how much lower the right one is. The left
    # one goes half of that the other way, so that the pair stays in the middle of the map.
    wider = draw_within(row, params.nearer, params.further, 1, params, state)
    lower = draw_within(row, params.aslant, params.aslant, 2, params, state)
    left_x, left_y = (params.odd_x - wider) >> 1, (params.odd_y - lower) >> 1
    state.swapped[row] = swapped
    state.time[row] = 0
    side = 1 if swapped else 0
    for agent in range(params.num_agents):
        x = params.start_x[side, agent]
        y = params.start_y[side, agent]
        present = x >= 0  # an army may be smaller on one side than on the other
        on_right = is_blue(agent, params) != swapped
        x += left_x + wider if on_right else left_x
        y += left_y + lower if on_right else left_y
        state.status[row, agent] = ALIVE if present else GONE
        state.x[row, agent] = x if present else 0
        state.y[row, agent] = y if present else 0
        state.hp[row, agent] = params.hp if present else np.float32(0.0)
        state.reward[row, agent] = np.float32(0.0)
        state.last_reward[row, agent] = np.float32(0.0)
        state.last_action[row, agent] = params.num_actions
        state.attack_result[row, agent] = NOTHING
        out.reward[row, agent] = np.float32(0.0)
        out.terminated[row, agent] = False
        out.alive[row, agent] = present
        out.acting[row, agent] = False
        out.actions[row, agent] = -1
    survey(row, params, state, state)
    for blue in range(2):
        state.living[row, blue] = params.start_size[side, blue]
        state.attacks[row, blue] = 0
        state.hits[row, blue] = 0
        state.kills[row, blue] = 0
    out.truncated[row] = False
    out.over[row] = False
    out.reset[row] = True


def draw_within(row, below, above, use, params, state):
    """A whole number from -below to above, all alike, from the row's own stream."""
    # Lane 0 is the coin's; the next ones are the agents' (`scripted.random`).
    draw = bits(state.key[row], state.counter[row], params.num_agents + use)
    return ((draw * (below + 1 + above)) >> 32) - below


def retire(row, params, state):
    """Who died in the step before is gone; its reward becomes the last one (`clear_dead`)."""
    for agent in range(params.num_agents):
        if state.status[row, agent] == DYING:
            state.status[row, agent] = GONE
            state.hp[row, agent] = np.float32(0.0)
            state.reward[row, agent] = np.float32(0.0)
            state.last_reward[row, agent] = np.float32(0.0)
        if state.status[row, agent] == ALIVE:
            state.last_reward[row, agent] = state.reward[row, agent]
            state.reward[row, agent] = params.step_reward
        state.attack_result[row, agent] = NOTHING


def enlist(row, params, state, actions, out):
    """Notes what everybody does; queues the attackers, red first, and returns their number."""
    copied = params.copied_start and state.time[row] == 1
    attacks = 0
    for agent in range(params.num_agents):
        action, chosen = -1, -1
        if state.status[row, agent] == ALIVE:
            chosen = actions[row, agent]
            action = chosen
            if copied and is_blue(agent, params):
                # Blue reads its orders from the head of the list of all, where red's are.
                place, reds = agent - params.num_red, state.living[row, 0]
                source = place if place < reds else params.num_red + place - reds
                action = actions[row, source]
            state.last_action[row, agent] = action
            if action >= params.num_moves:
                state.queue[row, attacks] = agent
                attacks += 1
        out.actions[row, agent] = action
        out.acting[row, agent] = action >= 0 and action == chosen
    return attacks


def shuffle(row, state, attacks):
    """The engine's own shuffle: one draw for each attack, the first included."""
    draw = state.random[row]
    for i in range(attacks):
        draw = draw * MULTIPLIER % MODULUS
        j = draw % (i + 1)
        agent = state.queue[row, i]
        state.queue[row, i] = state.queue[row, j]
        state.queue[row, j] = agent
    state.random[row] = draw


def attack(row, params, state, attacks):
    """Blows fall one by one. Death is hp below 0, strictly; it overwrites the reward so far."""
    for i in range(attacks):
        agent = state.queue[row, i]
        if state.status[row, agent] != ALIVE:
            continue
        side = 1 if is_blue(agent, params) else 0
        state.attacks[row, side] += 1
        target = place_of(row, agent, params, state) + params.reach[state.last_action[row, agent]]
        victim = np.int64(state.grid[row, target]) - FIRST
        if victim < 0 or is_blue(victim, params) == is_blue(agent, params):
            state.attack_result[row, agent] = MISS
            state.reward[row, agent] += params.attack_penalty
            continue
        prize = np.float32(0.0)
        state.attack_result[row, agent] = HIT
        state.hits[row, side] += 1
        state.hp[row, victim] -= params.damage
        if state.hp[row, victim] < np.float32(0.0):
            state.attack_result[row, agent] = KILL
            state.status[row, victim] = DYING
            state.reward[row, victim] = params.dead_penalty
            state.grid[row, target] = BLANK
            state.living[row, 1 - side] -= 1
            state.kills[row, side] += 1
            prize = params.kill_reward
        state.reward[row, agent] += prize + params.attack_penalty


def recover(row, params, state):
    """All the living regain a little."""
    for agent in range(params.num_agents):
        if state.status[row, agent] == ALIVE:
            state.hp[row, agent] = min(params.hp, state.hp[row, agent] + params.recover)


def move(row, params, state):
    """Everybody who moves, red first; on maps past 99 x 99 the interiors of bands go before the rest."""
    if params.num_bands == 1:
        for agent in range(params.num_agents):
            if moves(row, agent, params, state):
                walk(row, agent, params, state)
        return
    # The queue is free again. Bands are told by where agents stood before anybody moved.
    waiting = 0
    for band in range(params.num_bands + 1):
        for agent in range(params.num_agents):
            column = np.int64(state.x[row, agent])
            if moves(row, agent, params, state) and band_of(column, params) == band:
                state.queue[row, waiting] = agent
                waiting += 1
    for i in range(waiting):
        walk(row, state.queue[row, i], params, state)


def moves(row, agent, params, state):
    """Whether the agent lives and chose a move."""
    return (
        state.status[row, agent] == ALIVE and 0 <= state.last_action[row, agent] < params.num_moves
    )


def band_of(x, params):
    """The band whose buffer a move from column x waits in; the last one is for those near an edge."""
    inside = x % params.band_width
    if inside < 4 or inside > params.band_width - 4:
        return params.num_bands
    return x // params.band_width


def walk(row, agent, params, state):
    """Goes to the chosen cell if it is blank; what lies between does not matter."""
    here = place_of(row, agent, params, state)
    there = here + params.reach[state.last_action[row, agent]]
    if state.grid[row, there] == BLANK:
        state.grid[row, here] = BLANK
        state.grid[row, there] = agent + FIRST
        state.x[row, agent] = there % params.stride - params.rim
        state.y[row, agent] = there // params.stride - params.rim


def pay(row, params, state):
    """Rewards each blow that hit and did not kill, also of those who died later in the step."""
    for agent in range(params.num_agents):
        if state.attack_result[row, agent] == HIT:
            state.reward[row, agent] += params.attack_opponent_reward


def close(row, params, state, out):
    """Writes the step. With an army wiped out, the survivors' episode terminates too."""
    decided = state.living[row, 0] == 0 or state.living[row, 1] == 0
    for agent in range(params.num_agents):
        status = state.status[row, agent]
        out.reward[row, agent] = state.reward[row, agent]
        out.alive[row, agent] = status == ALIVE
        out.terminated[row, agent] = status == DYING or (decided and status == ALIVE)
    truncated = params.max_cycles >= 0 and state.time[row] >= params.max_cycles
    out.truncated[row] = truncated
    out.over[row] = truncated or decided
