"""A metric of your own, a column of log.csv: how much an army's agents move, and not attack or stay."""

import mfq
from mfenvs import battle_v0


class Movers(mfq.Callback):
    """The share of the learner's choices that are moves, since the log's last row."""

    def __init__(self):
        self.moves = self.choices = 0

    def on_step(self, runner, transition, is_last):
        step = transition.next_step
        moves = (step.actions >= 0) & (step.actions < 13) & (step.actions != 6)
        self.moves += int((moves & step.acting).sum())
        self.choices += int(step.acting.sum())

    def metrics(self):
        share = self.moves / max(self.choices, 1)
        self.moves = self.choices = 0
        return {"movers": share}


def main(out, steps=40):
    view = mfq.wrap(battle_v0.batched_env(map_size=16, max_cycles=20))
    options = {"steps": steps, "log": {"every": 20}, "out": str(out), "quiet": True}
    mfq.Runner(view, config=options, callbacks=[Movers()]).train()
