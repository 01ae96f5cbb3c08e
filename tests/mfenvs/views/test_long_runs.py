"""Long runs: rows among others and alone, flat memory, threads and forked workers."""

import gc
import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0

pytestmark = pytest.mark.slow

# Small, with short episodes, so that 10,000 steps see hundreds of resets. One hit kills in this battle.
GAMES = {
    "ising": (ising_v0, {"side": 4, "update": "random", "field": 0.3, "max_cycles": 31}),
    "squeeze": (gaussian_squeeze_v0, {"num_agents": 9, "mu": 30.0, "sigma": 9.0, "max_cycles": 7}),
    "battle": (
        battle_v0,
        {
            "map_size": 12,
            "placement": {
                "red": [(4, 4), (4, 5), (5, 6)],
                "blue": [(6, 4), (6, 5), (7, 7), (6, 7)],
            },
            "view_radius": 3.0,
            "damage": 11.0,
            "max_cycles": 40,
        },
    ),
}
# Enough work that rows are split over the backend's threads.
LARGE = {
    "ising": (ising_v0, {"num_envs": 1500, "side": 20, "max_cycles": 13}),
    "squeeze": (gaussian_squeeze_v0, {"num_envs": 1500, "num_agents": 400, "max_cycles": 11}),
    "battle": (battle_v0, {"num_envs": 120, "map_size": 20, "damage": 11.0, "max_cycles": 17}),
}

every_game = pytest.mark.parametrize("name", GAMES)


def joint_actions(env, steps, seed=0):
    """Joint actions [steps, B, N], -1 among them."""
    most = int(env.single_action_space.n)
    coin = np.random.default_rng(seed)
    return coin.integers(-1, most, (steps, env.num_envs, env.num_agents), np.int16)


def arrays(result):
    """What reset or step returned, but for measures and masks: arrays [B, ...]."""
    obs, *tensors, info = result
    tensors += obs.values() if isinstance(obs, dict) else [obs]
    return [tensor.numpy() for tensor in (*tensors, info["actions"], info["reset"])]


def play(env, seed, actions, rows, every=1000):
    """Plays on and digests each of some rows; returns what the digests were every so many steps."""
    digests = {row: hashlib.blake2b(digest_size=16) for row in rows}

    def eat(result):
        for array in arrays(result):
            for row, digest in digests.items():
                digest.update(array[row : row + 1])

    found = {row: [] for row in rows}
    eat(env.reset(seed=seed))
    for step, joint in enumerate(actions, 1):
        eat(env.step(joint))
        if step % every == 0:
            for row in rows:
                found[row].append(digests[row].hexdigest())
    return found


@every_game
def test_a_row_of_64_is_the_same_row_alone_over_10_000_steps_with_resets(name):
    module, options = GAMES[name]
    many = module.batched_env(num_envs=64, **options)
    actions = joint_actions(many, 10_000)
    lengths = {63: 10_000, 38: 2000, 0: 1000}  # one row to the end, the others for a while
    together = play(many, 5, actions, lengths)
    assert len({digest for row in together for digest in together[row]}) == 30
    alone = module.batched_env(num_envs=1, **options)
    for row, steps in lengths.items():
        own = [int(many.row_seeds[row])]
        found = play(alone, own, actions[:steps, row : row + 1], (0,))[0]
        assert found == together[row][: steps // 1000]


def resident():
    """Bytes of this process that lie in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@every_game
def test_memory_is_flat_over_a_million_steps_of_rows(name):
    # In a process of its own: what runs the tests has threads that take memory as they please.
    words = f"from tests.mfenvs.views.test_long_runs import stay_flat; stay_flat({name!r})"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def stay_flat(name):
    """Plays a game for long, and asserts that memory does not grow."""
    module, options = GAMES[name]
    env = module.batched_env(num_envs=200, **options)
    actions = joint_actions(env, 100)
    env.reset(seed=0)

    def run(steps):
        for _ in range(steps // len(actions)):
            for joint in actions:
                env.step(joint)
            env.observe(env.snapshot())
            env.neighbor_graph.neighbors(0)
        gc.collect()

    run(200)
    before = resident()
    run(5000)
    assert resident() - before < 2**20  # 200 bytes a call
    # What Python and NumPy hold is known to the byte, but counting takes its time.
    tracemalloc.start()
    try:
        run(100)
        before = tracemalloc.get_traced_memory()[0]
        run(1000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 5000  # 5 bytes a call; a number in a list would be more


def test_threads_that_step_their_own_environments_at_once_get_the_bits_they_get_alone():
    def run(job):
        name, seed = job
        module, options = LARGE[name]
        env = module.batched_env(**options)
        actions = joint_actions(env, 40, seed)
        return play(env, seed, actions, rows=(0, 60, 119), every=10)

    jobs = [(name, seed) for seed in (1, 2) for name in LARGE]
    with ThreadPoolExecutor(len(jobs)) as pool:
        together = list(pool.map(run, jobs))  # first, so that they also compile at once
    assert together == [run(job) for job in jobs]


def work(env, seed, actions, pipe):
    """What a forked worker does: plays an environment that it inherited."""
    pipe.send(play(env, seed, actions, rows=(0, 119), every=10))
    pipe.close()


# From Python 3.12 on every fork beside threads is warned of, since a lock might be held by one that
# the child lacks. What ours hold, the pool of the backend, is made anew in the child.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("name", LARGE)
def test_a_forked_worker_and_its_parent_step_at_once(name):
    module, options = LARGE[name]
    env = module.batched_env(**options)
    actions = joint_actions(env, 40)
    expected = {seed: play(env, seed, actions, (0, 119), every=10) for seed in (3, 4)}
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("mfenvs")]
    assert threads or len(os.sched_getaffinity(0)) == 1  # there before the fork
    fork = multiprocessing.get_context("fork")
    mine, theirs = fork.Pipe(duplex=False)
    worker = fork.Process(target=work, args=(env, 3, actions, theirs), daemon=True)
    worker.start()
    theirs.close()
    try:
        assert play(env, 4, actions, (0, 119), every=10) == expected[4]
        assert mine.poll(20), "the worker hangs"
        assert mine.recv() == expected[3]
    finally:
        worker.join(5)
        worker.kill()
    assert worker.exitcode == 0
