"""How much memory is available, and what is refused because it does not fit."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from mfenvs import battle_v0
from mfq.common import memory
from mfq.networks.encoders import encoder, encoding_of
from mfq.networks.optimizer import adam
from mfq.replay.ring import RingReplay
from tests.fakes.scenes import Scene

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A system and two versions of cgroups, as files that a test writes."""
    v2, v1 = tmp_path / "v2", tmp_path / "v1"
    v2.mkdir()
    v1.mkdir()
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    pairs = zip((v2, v1), memory.CGROUPS, strict=True)
    cgroups = [(folder, *cgroup[1:]) for folder, cgroup in pairs]
    monkeypatch.setattr(memory, "CGROUPS", tuple(cgroups))
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    return tmp_path


def test_of_a_system_it_is_what_is_available(files):
    assert memory.available() == 5000 * 1024
    assert memory.available("meta") is None


def test_a_containers_limit_counts_if_it_is_lower(files):
    v1, v2 = files / "v1", files / "v2"
    (v2 / "memory.max").write_text("max\n")
    assert memory.available() == 5000 * 1024
    (v2 / "memory.max").write_text("2000000\n")
    (v2 / "memory.current").write_text("1500000\n")
    (v2 / "memory.stat").write_text("anon 7\nactive_file 9\ninactive_file 300000\n")
    assert memory.available() == 2000000 - 1500000 + 300000
    (v1 / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (v1 / "memory.usage_in_bytes").write_text("5\n")
    (v1 / "memory.stat").write_text("total_inactive_file 0\n")
    assert memory.available() == 800000
    (v1 / "memory.limit_in_bytes").write_text("4\n")
    assert memory.available() == 0


def test_where_nothing_is_known_nothing_is_refused(files, monkeypatch):
    (files / "meminfo").write_text("nothing\n")
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}.get)
    assert memory.available() == 40960
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available() is None
    memory.check_fits("a thing", 10**15, "another")


@pytest.fixture
def gigabyte(monkeypatch):
    monkeypatch.setattr(memory, "_of_system", lambda: 10**9)
    monkeypatch.setattr(memory, "_of_container", lambda cgroup: None)


def test_small_things_are_not_checked(gigabyte, monkeypatch):
    monkeypatch.setattr(memory, "_of_system", lambda: 0)
    memory.check_fits("a thing", memory.CHECKED - 1, "another")
    with pytest.raises(ValueError, match=r"a thing needs 0.1 GB, and 0.0 GB are available on cpu"):
        memory.check_fits("a thing", memory.CHECKED, "another")


def test_a_layer_that_does_not_fit_is_refused_before_it_is_made(gigabyte, monkeypatch):
    def no_layer(*sizes):
        pytest.fail("it was allocated")

    space = spaces.Box(0, 255, (280, 480, 3), np.uint8)
    flat = encoding_of("flat", "auto", False)
    assert encoder(space, torch.Generator().manual_seed(0), flat).size == 256  # 0.4 GB
    big = spaces.Box(0, 255, (560, 960, 3), np.uint8)
    monkeypatch.setattr("mfq.networks.encoders.nn.utils.skip_init", no_layer)
    words = r"1,612,800 x 256 weights needs 1.7 GB, and 1.0 GB are available on cpu; allowed: "
    with pytest.raises(ValueError, match=words + "network.pictures='auto'.*ResizeObservation"):
        encoder(big, torch.Generator(), flat)


def test_what_training_needs_is_refused_before_it_is_allocated(gigabyte):
    weights = torch.empty(10**8, device="meta")  # 0.4 GB; with gradients and moments 1.2 GB more
    words = (
        "training a network of 0.4 GB needs 1.2 GB, and 1.0 GB are .*; allowed: a smaller network"
    )
    for parameters in ([weights], [{"params": [weights[:0]]}, {"params": [weights]}]):
        with pytest.raises(ValueError, match=words):
            adam(parameters, CPU)
    adam([torch.empty(8 * 10**7, requires_grad=True, device="meta")], CPU)


def test_a_ring_that_does_not_fit_is_refused_and_says_what_would(gigabyte):
    batch = {"obs": torch.zeros(2, 1000, dtype=torch.uint8), "reward": torch.zeros(2)}
    words = r"a replay of 1,000,000 transitions needs 1.0 GB, and 1.0 GB are available on cpu; "
    with pytest.raises(
        ValueError, match=words + r"allowed: replay.size=796812 or less, or smaller"
    ):
        RingReplay(10**6, CPU, 0).extend(batch)
    replay = RingReplay(796812, CPU, 0)
    replay.extend(batch)
    state = replay.state_dict()
    with pytest.raises(ValueError, match=words):
        RingReplay(10**6, CPU, 0).load_state_dict(state)


def test_a_compact_replay_that_does_not_fit_is_refused(gigabyte, monkeypatch):
    monkeypatch.setattr(memory, "_of_system", lambda: 2 * 10**8)
    view = mfq.wrap(battle_v0.batched_env(2, map_size=20, minimap_mode=True))
    for size, words in (
        (
            3 * 10**7,
            "30,000,000 transitions needs 0.3 GB, .*; allowed: replay.size=17777777 or less",
        ),
        (2 * 10**7, r"moments needs 0.3 GB, and 0.2 GB .*; allowed: a smaller replay.size"),
    ):
        agent = mfq.QAgent(view, config=mfq.QConfig(replay={"size": size}))
        with pytest.raises(ValueError, match=words):
            mfq.train(view, agent, 2)


def test_a_run_on_large_pictures_says_which_options_help(gigabyte):
    space = spaces.Box(0, 255, (457, 120, 3), np.uint8)  # pistonball's
    cast = {f"piston_{i}": (space, spaces.Discrete(3)) for i in range(2)}
    black = np.zeros(space.shape, np.uint8)
    env = Scene(cast, [list(cast)] * 5, lambda agent, time: black)
    runner = mfq.Runner(env, config={"steps": 3, "quiet": True})
    with pytest.raises(
        ValueError, match=r"200,000 .* 65.8 GB, .*; allowed: replay.size=2430 or less"
    ):
        runner.train()
    agent = {"replay": {"size": 100, "learning_starts": 2}, "optimizer": {"batch_size": 2}}
    runner = mfq.Runner(env, config={"steps": 3, "quiet": True, "agent": agent})
    assert runner.train()
    assert runner.agent.updates
