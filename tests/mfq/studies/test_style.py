"""The style of figures: colours that stay apart, and titles in words."""

from itertools import combinations

import numpy as np
import pytest

from mfq.studies import style
from mfq.studies.style import COLOURS, RANDOM_PLAY

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def oklab(colour, sight="normal"):
    """Ottosson's Oklab of a colour "#rrggbb"."""
    srgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(SIGHTS[sight]) @ linear, 0, 1)
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ linear)


def least_distance(colours):
    return min(
        float(np.linalg.norm(oklab(one, sight) - oklab(two, sight)))
        for sight in SIGHTS
        for one, two in combinations(colours, 2)
    )


def test_the_distance_is_that_of_oklab():
    assert oklab("#ffffff") == pytest.approx([1, 0, 0], abs=1e-4)
    assert oklab("#ff0000") == pytest.approx([0.62796, 0.22486, 0.12585], abs=1e-4)
    # Red and green of one lightness, which matplotlib's defaults have, are close in deuteranopia.
    assert least_distance(["#2ca02c", "#d62728"]) < 0.05


def test_colour_blind_readers_tell_the_algorithms_apart():
    assert least_distance(COLOURS.values()) > 0.18
    assert least_distance([*COLOURS.values(), RANDOM_PLAY]) > 0.115


def test_an_algorithm_keeps_its_colour_and_others_have_their_own():
    chosen = style.colours(["a", "iql", "b", "mfq", "a"])
    assert chosen["iql"] == COLOURS["iql"]
    assert chosen["mfq"] == COLOURS["mfq"]
    assert len(set(chosen.values())) == len(chosen) == 4
    assert set(style.colours(map(str, range(9)))) == set(map(str, range(9)))


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("eval_rush_win_rate_as_red", "win rate against rush, as red"),
        ("eval_random_win_rate", "win rate against random play"),
        ("eval_random_play_rush_win_rate", "win rate against rush, of random play"),
        ("eval_my_player_kill_difference", "kill difference against my player"),
        ("eval_return", "return"),
        ("td_error", "td error"),
    ],
)
def test_a_metric_in_words(metric, words):
    assert style.metric_title(metric) == words


def test_names_in_words():
    assert style.title("mfac") == "MF-AC"
    assert style.title("simple_spread_v3") == "simple spread"
