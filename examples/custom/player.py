"""A scripted player of your own: it attacks the first cell of the eight around that has an enemy."""

import torch

import mfq
from mfenvs import battle_v0

AROUND = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]  # dy, dx
ENEMY = 3  # the channel of battle's view that shows the other army


class Guard(mfq.Player):
    """Stays where it is, and strikes whoever comes near."""

    def act(self, step, explore=True):
        index = step.active_index
        view = step.obs_at(index)["view"]
        near = torch.stack([view[:, 6 + dy, 6 + dx, ENEMY] for dy, dx in AROUND], -1)
        attack = 13 + near.argmax(-1)
        return step.scatter_actions(attack.where(near.any(-1), torch.tensor(6)), index)


def main(episodes=20):
    view = mfq.wrap(battle_v0.batched_env(num_envs=10, map_size=16, max_cycles=100))
    return mfq.head_to_head(view, Guard(), "random", episodes)["both"]
