"""The data of a replay page, read back from its HTML and compared with the episodes that it shows."""

import base64
import json
import re
import zlib
from html import unescape

import numpy as np
import pytest
import torch

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfq.recording.episode import Recorder
from mfq.recording.page import LEVELS, page
from mfq.recording.record import record

SMALL = {"network": {"hidden": (16,), "filters": 0}}


def read(path):
    """The header and the arrays of a page."""
    html = path.read_text(encoding="utf-8")
    header = json.loads(re.search(r'<script id="header"[^>]*>(.*?)</script>', html, re.S)[1])
    text = re.search(r'<script id="data"[^>]*>(.*?)</script>', html, re.S)[1]
    data = zlib.decompress(base64.b64decode(text))
    arrays = {
        name: np.frombuffer(data, kind, int(np.prod(shape)), offset).reshape(shape)
        for name, (kind, shape, offset) in header["arrays"].items()
    }
    return header, arrays


def shown_mean(header, arrays, agent, frame):
    """The mean action as the page computes it, in other words."""
    episode = sum(start <= frame for start in header["starts"]) - 1
    first = header["starts"][episode] == frame
    actions = arrays["initial"][episode] if first else arrays["action"][:, frame - 1]
    graph, moment = header["graph"], frame if first else frame - 1
    if graph["kind"] == "groups":
        near = [
            j for j, g in enumerate(graph["groups"]) if g == graph["groups"][agent] and j != agent
        ]
    else:
        edges = arrays["edges"]
        if graph["kind"] == "moving":
            ends = [0, *graph["ends"]]
            edges = edges[:, ends[moment] : ends[moment + 1]]
        near = edges[1][edges[0] == agent]
    near = [j for j in near if actions[j] >= 0]
    mean = np.zeros(len(header["types"][0]["actions"]))
    for j in near:
        mean[actions[j]] += 1 / len(near)
    return mean


class Watched(mfq.QAgent):
    """Keeps the steps that it acted on, its values and the agents' places."""

    def act(self, step, explore=True):
        actions = super().act(step, explore)
        values = torch.full((self.view.num_agents, self.view.num_actions), torch.nan)
        values[self.last_values.agents] = self.last_values.values
        mean = step.mean_action[0].numpy().copy()  # a step's tensors are written again later
        measures = {name: float(value[0]) for name, value in step.measures.items()}
        if not bool(step.ended[0]):
            self.seen.append((mean, values, self.view.places(), measures))
        return actions


GAMES = {
    "battle": lambda: battle_v0.batched_env(1, map_size=12, hp=2.0, max_cycles=9),
    "battle, near": lambda: battle_v0.batched_env(
        1, map_size=12, hp=2.0, max_cycles=9, neighbor_radius=3.0
    ),
    "ising": lambda: ising_v0.batched_env(1, side=4, max_cycles=7),
    "squeeze": lambda: gaussian_squeeze_v0.batched_env(1, num_agents=7, max_cycles=5),
}


@pytest.mark.parametrize("name", GAMES)
def test_a_page_holds_what_was_played(name, tmp_path):
    view = mfq.wrap(GAMES[name]())
    agent = Watched(view, config=mfq.QConfig(**SMALL), seed=1)
    agent.seen = []
    header, arrays = read(record(view, agent, tmp_path / "a.html", episodes=2, explore=True))
    assert header["agents"] == view.agents
    assert len(header["starts"]) == 2
    assert header["starts"][0] == 0
    # Each episode has one frame more than it has steps.
    lasts = [start - 1 for start in (*header["starts"][1:], header["frames"])]
    frames = [frame for frame in range(header["frames"]) if frame not in lasts]
    for frame, (mean, values, places, measures) in zip(frames, agent.seen, strict=True):
        for part, array in zip(("x", "y", "shown", "value"), places[:4], strict=True):
            assert np.array_equal(arrays[part][:, frame], array), (part, frame)
        for j in range(view.num_agents):
            assert shown_mean(header, arrays, j, frame) == pytest.approx(mean[j], abs=1e-6)
        known = ~values.isnan().any(1).numpy()
        assert np.array_equal(~np.isnan(arrays["low"][:, frame]), known)
        low, high = arrays["low"][:, frame, None], arrays["high"][:, frame, None]
        shown = low + arrays["level"][..., frame] / LEVELS * (high - low)
        error = np.abs(shown - values.numpy())[known]
        largest = np.abs(values.numpy()[known]).max()
        assert (error <= (high - low)[known] / LEVELS * 0.51 + largest * 2**-12).all()
        for measure, value in measures.items():
            assert header["measures"][measure][frame] == pytest.approx(value)
    for last in lasts:
        assert (arrays["action"][:, last] == -1).all()
        assert (arrays["reward"][:, last] == 0).all()


def test_rewards_and_actions_are_those_of_the_step_that_follows(tmp_path):
    env = battle_v0.batched_env(1, map_size=12, max_cycles=6)
    view = mfq.wrap(env)
    players = {"red": "rush", "blue": "random"}
    header, arrays = read(record(view, players, tmp_path / "a.html", seed=3))
    env.reset(seed=3)
    for frame in range(header["frames"] - 1):
        _, reward, _, _, info = env.step(torch.from_numpy(arrays["action"][:, frame][None].copy()))
        assert np.array_equal(arrays["reward"][:, frame], reward[0].numpy())
        assert np.array_equal(arrays["action"][:, frame], info["actions"][0].numpy())
    assert header["title"] == "red: rush, blue: random"
    assert header["values"] == ""
    assert "level" not in arrays


def test_names_cannot_become_part_of_the_page(tmp_path):
    view = mfq.wrap(ising_v0.batched_env(1, side=3, max_cycles=2))
    bad = '</script><b>"{{DATA}}'
    path = record(view, "random", tmp_path / "a.html", title=bad)
    html = path.read_text(encoding="utf-8")
    assert bad not in html
    assert html.count("</script>") == 3
    assert "&lt;/script&gt;&lt;b&gt;&quot;{{DATA}}" in html
    assert read(path)[0]["title"] == bad


def test_a_page_asks_for_nothing_from_a_network(tmp_path):
    view = mfq.wrap(ising_v0.batched_env(1, side=3, max_cycles=2))
    html = record(view, "random", tmp_path / "a.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    assert not re.search(r"https?://|src=|@import|url\(|fetch\(|XMLHttpRequest", html)


def test_an_episode_of_400_steps_of_128_agents_is_below_two_megabytes():
    view = mfq.wrap(battle_v0.batched_env(1, map_size=40, max_cycles=None))
    assert view.num_agents == 128
    agent = mfq.QAgent(view, config=mfq.QConfig(**SMALL))
    recorder = Recorder(view, [agent])
    step = view.reset(seed=0)
    recorder.start(step)
    from mfq.agents import loop

    for count, transition in enumerate(loop.play(view, agent, step), start=1):
        recorder.add(transition)
        if count == 400:
            break
    recorder.end(transition)
    assert bool(transition.next_step.alive.sum() > 60)
    assert len(page(recorder.recording("a"), 8.0)) < 2_000_000


def test_policies_of_actor_critics_are_shown(tmp_path):
    view = mfq.wrap(ising_v0.batched_env(1, side=3, max_cycles=3))
    agent = mfq.ActorCritic(view, mean_field=True, seed=1)
    header, arrays = read(record(view, agent, tmp_path / "a.html"))
    assert header["values"] == "probability"
    low, high = arrays["low"][:, 0, None], arrays["high"][:, 0, None]
    shown = low + arrays["level"][..., 0] / LEVELS * (high - low)
    assert shown.sum(1) == pytest.approx(1.0, abs=0.01)


def test_a_notebook_shows_the_page(tmp_path):
    view = mfq.wrap(ising_v0.batched_env(1, side=4, max_cycles=4))
    replay = mfq.watch(view, "random", seed=2, title='<b>"mine"</b>')
    shown = replay._repr_html_()
    (source,) = re.findall(
        r'^<iframe srcdoc="([^"]*)" style="[^"]*" title="Replay"></iframe>$', shown
    )
    assert unescape(source) == replay.html
    path = replay.save(tmp_path / "a.html")
    other = mfq.record(view, "random", tmp_path / "b.html", seed=2, title='<b>"mine"</b>')
    assert path.read_text(encoding="utf-8") == other.read_text(encoding="utf-8") == replay.html
    with pytest.raises(FileExistsError, match="overwrite=True"):
        replay.save(path)
    assert repr(replay).startswith("ReplayPage(")
    with pytest.raises(ValueError, match="the view has 2 rows; allowed: one"):
        mfq.watch(mfq.wrap(ising_v0.batched_env(2, side=4)), "random")
