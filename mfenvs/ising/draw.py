"""How a lattice looks."""

def draw(game, state, step, row, canvas):
    raise RuntimeError
