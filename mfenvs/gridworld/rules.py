"""A step, stage by stage, in the order of MAgent2's engine (GridWorld.cc, `step` and `clear_dead`).

A step of a row is sequential: which attack comes first decides who lives, and which move comes first
who stands where. `play` runs the stages, or `start` where the last episode has ended.

The state has the fields of a scene and of its board; see `mfenvs.gridworld.board`.
"""

from mfenvs.gridworld.attack import attack, recover
from mfenvs.gridworld.board import count, show_first
from mfenvs.gridworld.move import move
from mfenvs.gridworld.orders import enlist, shuffle
from mfenvs.gridworld.reward import close, pay, retire
from mfenvs.gridworld.start import start


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
    show_first(row, params.num_changing, params, state, state)
    if params.minimap:
        count(row, params, state, state)
    close(row, params, state, out)
