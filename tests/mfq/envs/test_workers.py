"""Copies of an environment, in this process and in others: the same steps, and nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import fields
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from mfq.envs.copies import row_seeds
from tests.fakes.scenes import Scene, box

MIXED = {
    "wolf_0": (box(2), spaces.Discrete(3)),
    "sheep_0": (box(4), spaces.Discrete(2)),
    "wolf_1": (box(2), spaces.Discrete(3)),
}


class Drifting(Scene):
    """Observations, masks, lengths and neighbourhoods hang on the seed; ``sheep_0`` may die."""

    def __init__(self, fails_at=None, quits_at=None):
        super().__init__(MIXED, [list(MIXED)] * 9, self.look, infos=self.mask)
        self.coin, self.total = np.random.default_rng(0), 0
        self.fails_at, self.quits_at = fails_at, quits_at

    def look(self, agent, time):
        return self.coin.random(MIXED[agent][0].shape).astype(np.float32)

    def mask(self, agent, time):
        mask = np.ones(MIXED[agent][1].n, np.int8)
        mask[self.coin.integers(len(mask))] = 0
        return {"action_mask": mask}

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.coin = np.random.default_rng(seed)
        self.present = [list(MIXED)] * int(self.coin.integers(3, 9))
        self.dies = {"sheep_0": int(self.coin.integers(1, 9))}
        self.present = [
            [a for a in MIXED if a != "sheep_0" or time < self.dies[a]]
            for time in range(len(self.present))
        ]
        self.edge = [[0], [1]]
        return super().reset(seed)

    def step(self, actions):
        self.total += 1
        if self.total == self.fails_at:
            raise ArithmeticError("seven is no number")
        if self.total == self.quits_at:
            os._exit(3)
        self.edge = [[0], [int(self.coin.integers(3))]]
        return super().step(actions)


def edges(env):
    return env.edge


def same(one, other):
    for field in fields(mfq.Step):
        mine, its = getattr(one, field.name), getattr(other, field.name)
        for a, b in (
            [(mine, its)] if not isinstance(mine, dict) else [(mine[k], its[k]) for k in mine]
        ):
            if isinstance(a, torch.Tensor):
                assert torch.equal(a, b), field.name
                assert a.dtype == b.dtype, field.name
    assert torch.equal(one.mean_action, other.mean_action)


@pytest.mark.slow
def test_workers_play_as_copies_in_this_process_do():
    workers, graph = 2, edges
    here = mfq.wrap([Drifting() for _ in range(3)], graph)
    there = mfq.Workers(Drifting, 3, workers, graph)
    alone = [mfq.wrap(Drifting(), graph) for _ in range(3)]
    try:
        assert there.num_envs == here.num_envs == 3
        assert there.type_names == here.type_names == ("wolf", "sheep")
        steps = [here.reset(seed=5), there.reset(seed=5)]
        singles = [view.reset(seed=s) for view, s in zip(alone, row_seeds(5, 3), strict=True)]
        player, resets = mfq.Random(1), 0
        for _ in range(40):
            same(*steps)
            for row, single in enumerate(singles):
                assert torch.equal(steps[0].reward[row], single.reward[0])
                assert torch.equal(steps[0].mean_action[row], single.mean_action[0])
                for name in ("wolf", "sheep"):
                    assert torch.equal(steps[0].obs[name][row], single.obs[name][0])
            actions = player.act(steps[0])
            steps = [here.step(actions), there.step(actions)]
            singles = [view.step(actions[row : row + 1]) for row, view in enumerate(alone)]
            resets += int(steps[0].reset.sum())
        assert resets > 9
        assert len({tuple(obs.flatten().tolist()) for obs in steps[0].obs["wolf"]}) == 3
    finally:
        there.close()


def test_each_copy_has_a_seed_of_its_own():
    seeds = [row_seeds(s, 50) for s in range(4)]
    assert [s[0] for s in seeds] == [0, 1, 2, 3]
    assert len({seed for found in seeds for seed in found}) == 200
    assert all(0 <= seed < 2**31 for found in seeds for seed in found)
    assert row_seeds(3, 2) == row_seeds(3, 50)[:2]


def test_a_graph_of_each_row_by_hand():
    view = mfq.wrap([Drifting(), Drifting()], edges)
    with pytest.raises(ValueError, match="before the first reset"):
        _ = view.graph
    view.reset(seed=0)
    view.step(torch.zeros(2, 3, dtype=torch.int64))
    graph = view.graph
    x, alive = torch.arange(6.0).reshape(2, 3, 1), torch.ones(2, 3, dtype=torch.bool)
    for row in range(2):
        (other,) = graph.neighbors(0, row).tolist()
        assert graph.mean(x, alive)[row, 0] == x[row, other]
        assert other == view.row_groups[0].views[row].env.edge[1][0]
    assert not graph.mean(x, alive)[:, 1:].any()
    assert graph.max_degree == 1
    with pytest.raises(ValueError, match="row=2"):
        graph.neighbors(0, 2)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # a zombie is no process any more
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def play(view, steps):
    for _ in range(steps):
        view.step(torch.zeros(2, 3, dtype=torch.int64))


def pids(view):
    return [row_group._process.pid for row_group in view.row_groups]


def wait_for_end(numbers, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(map(is_alive, numbers)):
        time.sleep(0.05)
    return not any(map(is_alive, numbers))


@pytest.mark.slow
def test_an_error_in_a_worker_is_told_with_its_traceback():
    view = mfq.Workers(lambda: Drifting(fails_at=4), 2)
    numbers = pids(view)
    assert all(map(is_alive, numbers))
    view.reset(seed=0)
    with pytest.raises(
        RuntimeError, match=r"(?s)worker [01] failed:.*ArithmeticError: seven is no"
    ):
        play(view, 9)
    assert wait_for_end(numbers, 0.1)
    with pytest.raises(RuntimeError, match="closed"):
        view.step(torch.zeros(2, 3, dtype=torch.int64))
    view.close()


@pytest.mark.slow
def test_an_error_while_making_an_environment_is_told_too():
    def make():
        raise LookupError("no such maze")

    with pytest.raises(RuntimeError, match=r"(?s)failed:.*LookupError: no such maze"):
        mfq.Workers(make, 1)


@pytest.mark.slow
def test_a_worker_that_vanishes_is_told():
    view = mfq.Workers(lambda: Drifting(quits_at=2), 2, workers=1)  # a lambda will do
    numbers = pids(view)
    view.reset(seed=0)
    with pytest.raises(RuntimeError, match="ended by itself, with exit code 3"):
        play(view, 3)
    assert wait_for_end(numbers, 0.1)


SCRIPT = """
    import sys, time, torch, gymnasium, mfq

    def make():
        return gymnasium.make("CartPole-v1")

    if __name__ == "__main__":
        view = mfq.Workers(make, 2, workers=1)
        view.reset(seed=0)
        print(*(row_group._process.pid for row_group in view.row_groups), flush=True)
        while sys.argv[1] != "end":
            view.step(torch.zeros(2, 1, dtype=torch.int64))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["end", "interrupt", "kill"])
def test_no_worker_outlives_its_process(how, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(script), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        numbers = [int(word) for word in process.stdout.readline().split()]
        assert len(numbers) == 1
        if how == "interrupt":  # as a terminal does: to everybody
            os.killpg(process.pid, signal.SIGINT)
        elif how == "kill":
            process.kill()
        said = process.communicate(timeout=60)[1]
        assert wait_for_end(numbers)
        assert said.count("Traceback") == (how == "interrupt")  # the script's own KeyboardInterrupt
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: mfq.Workers(Drifting, 0), ValueError, "num_envs=0"),
        (lambda: mfq.Workers(Drifting, 2, 0), ValueError, "workers=0"),
        (lambda: mfq.Workers(Drifting(), 2), TypeError, "factory is a Drifting"),
        (lambda: mfq.wrap([]), ValueError, "empty"),
        (lambda: mfq.wrap([mfq.wrap([Drifting()])]), TypeError, "list with a Copies"),
        (
            lambda: mfq.wrap([gymnasium.make("CartPole-v1"), gymnasium.make("Acrobot-v1")]),
            ValueError,
            "copy 1 has other observation_space than copy 0",
        ),
        (
            lambda: mfq.wrap([Drifting(), Scene(MIXED, [[]], None), gymnasium.make("CartPole-v1")]),
            ValueError,
            "copy 2 has other agents",
        ),
    ],
)
def test_copies_that_cannot_be(make, error, words):
    with pytest.raises(error, match=words):
        make()
