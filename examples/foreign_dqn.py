"""A DQN that was trained elsewhere, as a player of battle: in mfenvs and in MAgent2, by one adapter.

    python -m examples.foreign_dqn

trains it for a few seconds, without mfq, and writes its weights. Then it plays random armies on both, at
MAgent2's defaults but for the length of the episodes. The command line knows it as a player, too:

    mfq compare battle --players dqn=examples.foreign_dqn:player random rush \
        --set map_size=45 max_cycles=300 minimap_mode=false extra_features=false
"""

from pathlib import Path

import torch
from torch import nn

import mfq
from mfenvs import battle_v0

WEIGHTS = Path("runs/foreign_dqn.pt")
# -- elsewhere: a module of pictures [S, 5, 13, 13], as those of battle_v4 with channels first ---------

ENEMY = 3  # the channel that shows the other army
CELLS = torch.stack(torch.meshgrid(torch.arange(-6, 7), torch.arange(-6, 7), indexing="ij"), -1)
NEAR = CELLS.reshape(-1, 2)  # dy, dx of the cells, row by row, as actions are
MOVES = torch.stack([cell for cell in NEAR if cell.abs().sum() <= 2])
ATTACKS = torch.stack([cell for cell in NEAR if cell.abs().max() == 1])


class DQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(5, 8, 3, padding=1), nn.ReLU(), nn.Flatten())
        self.values = nn.Linear(8 * 13 * 13, 21)

    def forward(self, pictures):
        return self.values(self.layers(pictures))


def values_of(enemies):
    """What it learns, float32 [S, 21], of enemies bool [S, 13, 13]: 1 for an attack that hits, and for a
    move how much nearer it comes to the nearest enemy."""
    apart = (NEAR - torch.cat([torch.zeros(1, 2), MOVES])[:, None]).abs().amax(-1)  # [1 + 13, 169]
    nearest = apart.masked_fill(~enemies.flatten(1)[:, None], 7.0).amin(-1)  # [S, 1 + 13]
    hits = enemies[:, 6 + ATTACKS[:, 0], 6 + ATTACKS[:, 1]].float()
    return torch.cat([0.2 * (nearest[:, :1] - nearest[:, 1:]), hits], 1)


def train_elsewhere(path=WEIGHTS, steps=400):
    generator = torch.Generator().manual_seed(0)
    network = DQN()
    for weights in network.parameters():
        nn.init.normal_(weights, std=0.03, generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(steps):
        density = torch.rand((128, 1, 1, 1), generator=generator) ** 4
        pictures = (torch.rand((128, 5, 13, 13), generator=generator) < density).float()
        target = values_of(pictures[:, ENEMY] > 0)
        loss = (network(pictures) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)


# -- here: the adapter ----------------------------------------------------------------------------------


def player(view=None, path=WEIGHTS):
    return mfq.ModulePlayer.from_file(path, DQN, channels_first=True)


def main(path=WEIGHTS, episodes=4, **options):
    from magent2.environments import battle_v4

    train_elsewhere(path)
    options = {"map_size": 45, "max_cycles": 300, **options}
    views = {
        "mfenvs": mfq.wrap(battle_v0.batched_env(num_envs=2, **options)),
        "MAgent2": mfq.wrap(battle_v4.parallel_env(**options)),
    }
    return {
        name: mfq.head_to_head(view, player(view, path), "random", episodes)["both"]
        for name, view in views.items()
    }


if __name__ == "__main__":
    for name, scores in main().items():
        wins, kills = scores["win_rate"], scores["kills"]
        more = scores["kills_difference"]
        print(f"{name:<8} win rate {wins:.2f}, kills {kills:.1f}, {more:.1f} more than random")
