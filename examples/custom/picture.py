"""A picture of the board, saved at the end of every 100th episode."""

from pathlib import Path

from matplotlib.image import imsave

import mfq


class Picture(mfq.Callback):
    """Writes FOLDER/episode-NUMBER.png.

    Args:
        folder: where.
        every: episodes from one picture to the next.
    """

    def __init__(self, folder, every=100):
        self.folder, self.every, self.drawn = Path(folder), every, 0

    def on_episodes_end(self, runner, step):
        if runner.episodes // self.every == self.drawn:
            return
        self.drawn = runner.episodes // self.every
        row = int(step.ended.nonzero()[0, 0])
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"episode-{runner.episodes}.png"
        imsave(self.folder / name, runner.view.env.render(row))


def main(folder, episodes=300):
    game = {"num_agents": 10, "max_cycles": 5}
    options = {"episodes": episodes, "env_options": game, "num_envs": 10, "quiet": True}
    mfq.Runner("gaussian_squeeze_v0", config=options, callbacks=[Picture(folder)]).train()
