"""Gymnasium's RecordVideo on the vector form. Other forms are no `gymnasium.Env`."""

import sys
from types import ModuleType

import numpy as np
import pytest
from gymnasium.wrappers import RecordVideo, vector

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0


@pytest.fixture
def clips(monkeypatch):
    """Stands for moviepy, which is no dependency: the clips that were written, path -> (frames, fps)."""
    written = {}

    class ImageSequenceClip:
        def __init__(self, frames, fps):
            self.frames, self.fps = np.stack(frames), fps

        def write_videofile(self, path, logger=None):
            written[path] = self.frames, self.fps

    for name in ("moviepy", "moviepy.video", "moviepy.video.io"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    module = ModuleType("moviepy.video.io.ImageSequenceClip")
    module.ImageSequenceClip = ImageSequenceClip
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return written


@pytest.mark.skipif(not hasattr(vector, "RecordVideo"), reason="Gymnasium has it from 1.3")
@pytest.mark.parametrize(
    ("game", "options"),
    [(ising_v0, {"side": 3}), (gaussian_squeeze_v0, {"num_agents": 4, "mu": 9.0, "sigma": 4.0})],
)
def test_episodes_of_the_first_row_are_recorded(game, options, clips, tmp_path):
    options |= {"max_cycles": 3, "num_envs": 2}
    env = game.vector_env(render_mode="rgb_array", **options)
    twin = game.vector_env(render_mode="rgb_array", **options)
    recorder = vector.RecordVideo(
        env, str(tmp_path / "videos"), record_first_only=True, episode_trigger=lambda _: True
    )
    recorder.reset(seed=1)
    twin.reset(seed=1)
    expected = [twin.render_row(0)]
    recorder.action_space.seed(0)
    for _ in range(8):  # two episodes of three steps, and the resets between
        actions = recorder.action_space.sample()
        recorder.step(actions)
        twin.step(actions)
        expected.append(twin.render_row(0))
    recorder.close()
    names = sorted(path.rpartition("/")[2] for path in clips)
    assert names[:2] == ["rl-video-episode-0.mp4", "rl-video-episode-1.mp4"]
    for name, shown in (("0", expected[:4]), ("1", expected[4:8])):
        (written,) = [clip for path, clip in clips.items() if path.endswith(f"-{name}.mp4")]
        assert written[1] == 10
        assert np.array_equal(written[0], np.stack(shown))


@pytest.mark.parametrize("maker", [battle_v0.parallel_env, battle_v0.env])
def test_pettingzoo_s_forms_are_refused(maker, clips, tmp_path):
    env = maker(map_size=12, render_mode="rgb_array")
    with pytest.raises((TypeError, AssertionError), match=r"gymnasium\.Env"):
        RecordVideo(env, str(tmp_path))
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((672, 1024, 3), np.uint8)
