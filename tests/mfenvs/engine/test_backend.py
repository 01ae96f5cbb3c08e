"""The backend: index spaces, helpers, threads, forks, and the cache between processes."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import NamedTuple

import numpy as np
import pytest

from mfenvs import ising_v0
from mfenvs.engine import backend as backend_module
from mfenvs.engine.backend import get_backend
from mfenvs.engine.compile import index_space

SCALE = 3


def scaled(value):
    return SCALE * value


def scaled_twice(value):
    return scaled(scaled(value))


def fill_rows(row, out):
    out[row] = scaled_twice(row)


def fill_agents(row, agent, out):
    out[row, agent] = 10 * row + scaled(agent)


def fill_lanes(row, agent, lane, out):
    out[row, agent, lane] = 100 * row + 10 * agent + lane


def not_a_rule(agent, out):
    out[agent] = 0


@pytest.fixture
def cpu():
    return get_backend("cpu")


def test_rules_declare_their_index_space_by_name():
    assert index_space(fill_rows) == ("row",)
    assert index_space(fill_agents) == ("row", "agent")
    assert index_space(fill_lanes) == ("row", "agent", "lane")
    with pytest.raises(TypeError, match="not_a_rule"):
        index_space(not_a_rule)


def test_every_point_is_visited_with_helpers_of_helpers(cpu):
    rows, agents, cells = (cpu.zeros(shape, np.int64) for shape in (5, (5, 4), (5, 4, 3)))
    cpu.run(fill_rows, (5,), rows)
    cpu.run(fill_agents, (5, 4), agents)
    cpu.run(fill_lanes, (5, 4, 3), cells)
    assert rows.tolist() == [9 * row for row in range(5)]
    assert agents.tolist() == [[10 * row + 3 * agent for agent in range(4)] for row in range(5)]
    assert np.array_equal(cells, np.fromfunction(lambda r, a, c: 100 * r + 10 * a + c, (5, 4, 3)))


class Pair(NamedTuple):
    out: np.ndarray
    factor: object


class OtherPair(NamedTuple):
    out: np.ndarray
    factor: object


def fill_pair(row, pair):
    pair.out[row] = row / 2 * pair.factor


@pytest.mark.parametrize("pinned", [False, True])
def test_arguments_of_other_types_run_other_machine_code(cpu, pinned):
    """The backend looks compiled loops up by keys, which must differ where types do."""
    prepare = cpu.pin if pinned else lambda pair: pair
    wide = np.zeros(10)
    arrays = [np.zeros(5), np.zeros(5, np.int64), np.zeros(5, np.float32), wide[::2]]
    pairs = [
        prepare(pair_type(array, factor))
        for pair_type in (Pair, OtherPair)
        for array in arrays
        for factor in (2, 3.0, np.float32(4.0), True)
    ]
    for _ in range(2):
        for pair in pairs:
            pair.out[:] = 0
            cpu.run(fill_pair, (5,), pair)
            whole = (np.arange(5) / 2 * float(pair.factor)).astype(pair.out.dtype)
            assert pair.out.tolist() == whole.tolist(), pair
    assert not wide[1::2].any()


def test_a_backend_holds_pinned_arguments_alone_for_as_long_as_it_lives():
    backend = get_backend("cpu")
    pairs = [Pair(np.zeros(5), 2), backend.pin(Pair(np.zeros(5), 2))]
    watched = [weakref.ref(pair.out) for pair in pairs]
    for pair in pairs:
        backend.run(fill_pair, (5,), pair)
    del pairs, pair
    assert watched[0]() is None
    assert watched[1]() is not None
    del backend
    assert watched[1]() is None


def test_a_wrong_extent_is_named(cpu):
    with pytest.raises(ValueError, match=r"extent=\(5,\).*fill_agents"):
        cpu.run(fill_agents, (5,), cpu.zeros((5, 4), np.int64))


def test_an_unknown_device_is_named():
    with pytest.raises(ValueError, match="device='tpu'"):
        get_backend("tpu")


def test_rows_are_split_over_threads_without_gaps(cpu, monkeypatch):
    monkeypatch.setattr(backend_module, "num_cores", lambda: 3)
    backend_module.thread_pool.cache_clear()
    out = cpu.zeros((4001, 64), np.int64)
    cpu.run(fill_agents, out.shape, out)
    assert np.array_equal(out, 10 * np.arange(4001)[:, None] + 3 * np.arange(64))
    backend_module.thread_pool.cache_clear()


def rollout(seed, steps=8):
    env = ising_v0.batched_env(num_envs=512, side=16, update="random", max_cycles=11)
    env.reset(seed=seed)
    coin = np.random.default_rng(seed)
    total = 0.0
    for _ in range(steps):
        obs, reward, *_ = env.step(coin.integers(0, 2, (512, 256)))
        total += float(reward.double().sum()) + 0.1 * float(obs.double().sum())
    return total


def test_several_threads_may_step_at_once():
    expected = [rollout(seed) for seed in range(4)]
    results = [None] * 4

    def work(seed):
        results[seed] = rollout(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == expected


# In a process of its own: a fork copies only the forking thread, so pytest's and torch's are kept out.
FORKED = """
    import os, sys
    sys.path.insert(0, {root!r})
    from tests.mfenvs.engine.test_backend import rollout
    from mfenvs.engine import backend
    backend.num_cores = lambda: 2
    expected = rollout(1)
    assert backend.thread_pool.cache_info().currsize == 1, "the parent used no pool"
    child = os.fork()
    if child == 0:
        os._exit(0 if rollout(1) == expected else 1)
    assert rollout(1) == expected
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
"""


def python(code, **environment):
    """Runs a script in a new process; its standard output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_forked_child_makes_its_own_pool():
    python(FORKED.format(root=os.getcwd()), OMP_NUM_THREADS="1")


COUNT_COMPILATIONS = """
    import json, sys
    sys.path.insert(0, {folder!r})
    from numba.core import event

    class Counter(event.Listener):
        count = 0
        def on_start(self, event): Counter.count += 1
        def on_end(self, event): pass

    event.register("numba:compile", Counter())
    {body}
    print(json.dumps([Counter.count, result]))
"""

ISING_BODY = """
    from mfenvs import ising_v0
    env = ising_v0.parallel_env(side=4, update="random")
    env.reset(seed=3)
    env.step({agent: 1 for agent in env.agents})
    result = env.state().tolist()
"""


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path):
    body = textwrap.indent(textwrap.dedent(ISING_BODY).strip(), "    ").strip()
    code = COUNT_COMPILATIONS.format(folder=str(tmp_path), body=body)
    first, state = json.loads(python(code, NUMBA_CACHE_DIR=str(tmp_path / "cache")))
    second, again = json.loads(python(code, NUMBA_CACHE_DIR=str(tmp_path / "cache")))
    assert first > 0
    assert second == 0
    assert state == again


MOVED_TYPE = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np, toy_rules
from mfenvs.engine.backend import get_backend
from typing import NamedTuple
class {name}(NamedTuple):
    out: np.ndarray
toy_rules.{name} = {name}
{name}.__module__ = "toy_rules"
state = {name}(np.zeros(4, np.int64))
get_backend().run(toy_rules.fill, (4,), state)
print(state.out.tolist())
"""


@pytest.mark.slow
def test_a_cache_that_cannot_be_read_is_made_anew(tmp_path):
    (tmp_path / "toy_rules.py").write_text("def fill(row, state):\n    state.out[row] = row\n")
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for name in ("Old", "New", "New"):  # the first leaves an index that names a type now gone
        code = MOVED_TYPE.format(folder=str(tmp_path), name=name)
        assert json.loads(python(code, **cache)) == [0, 1, 2, 3]


TOY_BODY = """
    import numpy as np, toy_rules
    from mfenvs.engine.backend import get_backend
    out = np.zeros(4, np.int64)
    get_backend().run(toy_rules.fill, (4,), out)
    result = out.tolist()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("toy_helper.py", "row + 1", "row + 5"), ("toy_constants.py", "= 2", "= 7")],
)
def test_editing_another_file_recompiles(tmp_path, file, old, new):
    (tmp_path / "toy_constants.py").write_text("FACTOR = 2\n")
    (tmp_path / "toy_helper.py").write_text(
        "from toy_constants import FACTOR\n\ndef bump(row):\n    return FACTOR * (row + 1)\n"
    )
    (tmp_path / "toy_rules.py").write_text(
        "from toy_helper import bump\n\ndef fill(row, out):\n    out[row] = bump(row)\n"
    )
    body = textwrap.indent(textwrap.dedent(TOY_BODY).strip(), "    ").strip()
    code = COUNT_COMPILATIONS.format(folder=str(tmp_path), body=body)
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert json.loads(python(code, **cache))[1] == [2, 4, 6, 8]
    assert json.loads(python(code, **cache)) == [0, [2, 4, 6, 8]]
    edited = tmp_path / file
    edited.write_text(edited.read_text().replace(old, new))
    count, result = json.loads(python(code, **cache))
    assert count > 0
    assert result == ([10, 12, 14, 16] if file == "toy_helper.py" else [7, 14, 21, 28])
