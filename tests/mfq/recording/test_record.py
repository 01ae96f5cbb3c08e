"""Videos, and what `record` refuses."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfq.recording import video
from mfq.recording.record import record


def ising(rows=1, **options):
    return mfq.wrap(ising_v0.batched_env(rows, **{"side": 4, "max_cycles": 6, **options}))


def frames_of(path):
    with Image.open(path) as image:
        pictures = []
        for k in range(image.n_frames):
            image.seek(k)
            pictures.append(np.asarray(image.convert("RGB")))
        return dict(image.info), pictures


def test_a_gif_shows_each_step_and_repeats(tmp_path):
    view = ising()
    path = record(view, "random", tmp_path / "sub" / "a.gif", fps=10)
    info, pictures = frames_of(path)
    assert len(pictures) == 7
    assert (info["loop"], info["duration"]) == (0, 100)
    player = mfq.Random()
    player.reseed(0)
    step = view.reset(seed=0)
    for picture in pictures:
        expected = view.picture()
        # Colours are rounded to a palette of 64.
        assert np.abs(picture.astype(int) - expected).mean() < 4
        step = view.step(player.act(step))
    assert any((a != b).any() for a, b in pairwise(pictures))


def test_every_other_step_and_the_last_one(tmp_path):
    _, pictures = frames_of(record(ising(max_cycles=5), "random", tmp_path / "a.gif", every=2))
    assert len(pictures) == 1 + 2 + 1


def test_a_video_ends_at_max_frames(tmp_path):
    view = ising(max_cycles=None)
    _, pictures = frames_of(record(view, "random", tmp_path / "a.gif", max_frames=4))
    assert len(pictures) == 4
    path = record(view, "random", tmp_path / "a.html", max_frames=4)
    assert '"frames":4' in path.read_text(encoding="utf-8")


def test_environments_of_others_are_drawn_by_themselves(tmp_path):
    env = battle_v0.parallel_env(map_size=12, max_cycles=2, render_mode="rgb_array")
    _, pictures = frames_of(record(mfq.wrap(env), "random", tmp_path / "a.gif"))
    assert len(pictures) == 3
    with pytest.raises(ValueError, match=r"no layout.*allowed: games of mfenvs"):
        record(mfq.wrap(env), "random", tmp_path / "a.html")
    blind = mfq.wrap(battle_v0.parallel_env(map_size=12, max_cycles=2))
    with pytest.raises(ValueError, match=r"env\.render\(\) returned a NoneType; allowed: an array"):
        record(blind, "random", tmp_path / "b.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]  # no half a file


def test_recording_changes_no_later_play(tmp_path):
    view = ising()
    agent = mfq.QAgent(view, seed=3)
    before = agent.acting_state()["generators"][0].clone()
    record(view, agent, tmp_path / "a.html", explore=True)
    assert agent.time == 0
    assert (agent.acting_state()["generators"][0] == before).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "a.avi"}, ValueError, r"path=.*a\.avi'; allowed: a name that ends in \.html"),
        ({"view": ising(2)}, ValueError, "the view has 2 rows; allowed: one"),
        ({"episodes": 0}, ValueError, "episodes=0"),
        ({"fps": 0.0}, ValueError, "fps=0.0"),
        ({"fps": 0.001, "path": "a.gif"}, ValueError, "fps=0.001; allowed in a .gif: 0.01 to 50"),
        ({"fps": 60, "path": "a.gif"}, ValueError, "fps=60; allowed in a .gif: 0.01 to 50"),
        ({"seed": 10**23}, ValueError, f"seed={10**23}; allowed: 0 to {2**62 - 1}"),
        ({"every": 0}, ValueError, "every=0"),
        ({"max_frames": 1}, ValueError, "max_frames=1"),
        ({"players": {"red": "random"}}, ValueError, "players has 'red'; allowed: one for each"),
        ({"view": "battle"}, TypeError, "view"),
    ],
)
def test_bad_arguments(arguments, error, message, tmp_path):
    path = tmp_path / arguments.pop("path", "a.html")
    given = {"view": ising(), "players": "random", **arguments}
    with pytest.raises(error, match=message):
        record(**given, path=path)
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_only_if_asked(tmp_path):
    path = tmp_path / "a.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"exists; allowed: another name, or overwrite"):
        record(ising(), "random", path)
    assert path.read_text() == "mine"
    record(ising(), "random", path, overwrite=True)
    assert path.read_text() != "mine"


def test_a_gif_keeps_its_pictures_and_stores_only_what_changes(tmp_path):
    coin = np.random.default_rng(1)
    colors = coin.integers(0, 256, (20, 3), np.uint8)
    still = colors[coin.integers(0, 20, (120, 160))]
    pictures = [still.copy() for _ in range(12)]
    for k, picture in enumerate(pictures):
        picture[0, k], picture[-1, -1 - k] = colors[:2]  # at opposite corners
    sizes = []
    for count in (1, 12):
        video.write_gif(tmp_path / "a.gif", iter(pictures[:count]), fps=10)
        sizes.append((tmp_path / "a.gif").stat().st_size)
    assert sizes[1] < 2 * sizes[0]
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 12
        for k, picture in enumerate(pictures):
            gif.seek(k)
            assert np.array_equal(np.asarray(gif.convert("RGB")), picture)


def test_an_mp4_names_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match=r"pip install 'mfenvs\[video\]', or write a \.gif"):
        record(ising(), "random", tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_an_mp4_has_as_many_frames(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is absent: 68 MB")
    path = record(ising(), "random", tmp_path / "a.mp4", fps=5)
    count, seconds = ffmpeg.count_frames_and_secs(str(path))
    assert (count, seconds) == (7, pytest.approx(1.4, abs=0.05))
    assert video.COLORS <= 256


def test_a_gif_keeps_only_what_changes(tmp_path):
    grey = np.random.default_rng(0).choice([40, 90, 200], (64, 64, 1)).astype(np.uint8)
    still = grey.repeat(3, axis=2)
    moving = [still.copy() for _ in range(6)]
    for k, picture in enumerate(moving):
        picture[k, 0] = (250, 0, 0)  # in opposite corners
        picture[63 - k, 63] = (0, 250, 0)
    video.write_gif(tmp_path / "a.gif", iter(moving), 10)
    video.write_gif(tmp_path / "b.gif", iter(moving[:1]), 10)
    info, pictures = frames_of(tmp_path / "a.gif")
    assert info["duration"] == 100
    assert len(pictures) == 6
    for picture, expected in zip(pictures, moving, strict=True):
        assert np.abs(picture.astype(int) - expected).max() < 8
    sizes = [(tmp_path / name).stat().st_size for name in ("a.gif", "b.gif")]
    assert sizes[0] < 3 * sizes[1]


def test_a_gif_has_the_colours_of_later_pictures(tmp_path):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(max_cycles=12))
    path = record(view, "random", tmp_path / "a.gif")
    last, expected = frames_of(path)[1][-1].astype(int), view.picture()
    curve = (expected == (0, 138, 104)).all(axis=-1)  # not in the first picture
    assert curve.sum() > 20
    assert np.abs(last - expected)[curve].max() < 5
