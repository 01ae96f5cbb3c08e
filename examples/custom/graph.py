"""A graph of one's own: whoever stands within three cells in battle, a friend or not, at each moment."""

import numpy as np

import mfq
from mfenvs import battle_v0

REACH = 3


def near(env):
    """Edges int [2, E] from each agent to its neighbours, from what the environment says of itself."""
    now, living = env.snapshot(), env.alive[0].numpy()
    x, y = now.x[0].numpy().astype(int), now.y[0].numpy().astype(int)
    apart = np.maximum(abs(x[:, None] - x), abs(y[:, None] - y))
    close = (apart <= REACH) & living[:, None] & living
    np.fill_diagonal(close, False)
    return np.array(close.nonzero())


def main(steps=30):
    env = battle_v0.batched_env(map_size=16, max_cycles=50)
    view = mfq.wrap(env, graph=near)
    view.reset(seed=0)
    most = 0
    for _ in range(steps):
        view.step(view.scripted("rush"))
        most = max(most, view.graph.max_degree)
    return most


if __name__ == "__main__":
    print(f"at most {main()} neighbours")
