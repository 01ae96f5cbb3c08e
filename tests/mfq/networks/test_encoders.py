"""Encoders of pictures: which one a picture gets, and where its channels are."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

import mfq
from mfq.agents.actor_critic import networks_of
from mfq.agents.q_player import network_of
from mfq.agents.registry import agent_config
from mfq.networks import encoders
from mfq.networks.encoders import (
    Encoding,
    Flat,
    LargePicture,
    Picture,
    Vector,
    channels_first,
    encoder,
    encoding_of,
)
from tests.fakes.tables import FIELDS, Sizes


def pictures(*shape, dtype=np.uint8):
    return spaces.Box(0, 255, shape, dtype)


def coin(seed=0):
    return torch.Generator().manual_seed(seed)


def made(space, *options, **more):
    return encoder(space, coin(), encoding_of(*options, **more))


@pytest.mark.parametrize(
    ("shape", "options", "kind"),
    [
        ((13, 13, 7), ("auto", "auto", False), Picture),
        ((35, 90, 3), ("auto", "auto", False), Picture),
        ((36, 36, 3), ("auto", "auto", False), LargePicture),
        ((90, 36, 3), ("auto", "auto", False), LargePicture),
        ((36, 36, 3), ("conv", "auto", False), Picture),
        ((36, 36, 3), ("flat", "auto", False), Flat),
        ((36, 36, 3), ("auto", "auto", False, "flat"), LargePicture),
        ((13, 13, 7), ("auto", "auto", False, "flat"), Flat),
        ((40, 50, 1), ("large", "auto", False), LargePicture),
        ((4, 90, 90), ("auto", "last", False), Vector),
        ((4, 90, 90), ("auto", "auto", False), LargePicture),
    ],
)
def test_a_picture_gets_the_encoder_of_its_size(shape, options, kind):
    made_one = made(pictures(*shape), *options)
    assert type(made_one) is kind
    features = made_one(torch.zeros((2, *shape), dtype=torch.uint8))
    assert features.shape == (2, made_one.size)


def test_large_pictures_go_through_the_convolutions_of_mnih_et_al():
    layers = made(pictures(84, 84, 4), "auto", "auto", False).layers
    convolutions = [part for part in layers if isinstance(part, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size, c.stride) for c in convolutions] == [
        (32, (8, 8), (4, 4)),
        (64, (4, 4), (2, 2)),
        (64, (3, 3), (1, 1)),
    ]
    # 84 becomes 20, 9, 7.
    assert [part.in_features for part in layers if isinstance(part, nn.Linear)] == [7 * 7 * 64]
    assert sum(isinstance(part, nn.ReLU) for part in layers) == 4


def test_a_small_picture_is_refused_by_the_large_encoder():
    with pytest.raises(ValueError, match=r"pictures='large' for pictures of 35 x 80; allowed: 'au"):
        made(pictures(35, 80, 3), "large", "auto", False)


def test_options_reach_the_networks_of_both_families():
    space, large, small = pictures(40, 40, 3), LargePicture, Picture
    for options, kind in (
        ({}, large),
        ({"pictures": "conv", "filters": 2}, small),
        ({"filters": 0}, Flat),
        ({"filters": 0, "pictures": "large"}, large),
    ):
        config = mfq.QConfig(network=options)
        assert type(network_of(config, space, Sizes(), FIELDS[True], coin()).observe) is kind
    for chosen, kind in (("auto", large), ("conv", small), ("flat", Flat), ("large", large)):
        config = mfq.ACConfig(network={"pictures": chosen})
        for network in networks_of(config, space, Sizes(), FIELDS[True], coin()):
            assert type(network.trunk.observe) is kind


def test_channels_reach_the_networks_of_both_families():
    space = pictures(5, 12, 13, dtype=np.float32)
    for channels, kind in (("auto", Picture), ("first", Picture)):
        config = mfq.QConfig(network={"channels": channels})
        made_one = network_of(config, space, Sizes(), FIELDS[True], coin()).observe
        assert type(made_one) is kind
        assert made_one.layers[0].in_channels == (5 if channels == "first" else 13)
        config = mfq.ACConfig(network={"channels": channels, "pictures": "conv"})
        actor, _ = networks_of(config, space, Sizes(), FIELDS[True], coin())
        assert actor.trunk.observe.layers[0].in_channels == (5 if channels == "first" else 13)


def test_checkpoints_from_before_large_pictures_keep_their_networks():
    q = {"pictures": "conv", "channels": "last"}
    assert agent_config("mfq", {"agent": {"network": {"filters": 8}}}).network == (
        mfq.QConfig(network={"filters": 8, **q}).network
    )
    assert agent_config("mfq", {"agent": {"filters": 8}}).network.pictures == "conv"
    assert agent_config("mfac", {"agent": {"network": {}}}).network.pictures == "flat"
    assert agent_config("mfac", {"agent": {"pictures": "conv"}}).network.pictures == "conv"
    new = {"network": {"pictures": "auto", "channels": "auto"}}
    for algo in ("mfq", "mfac"):
        network = agent_config(algo, {"agent": new}).network
        assert (network.pictures, network.channels) == ("auto", "auto")


CERTAIN = [
    (pictures(3, 84, 96), True),
    (pictures(1, 8, 9), True),
    (pictures(4, 64, 72), True),
    (pictures(4, 11, 11, dtype=np.float32), True),
    (pictures(3, 11, 11, dtype=np.float32), True),
    (pictures(2, 9, 9), True),
    (pictures(84, 84, 3), False),
    (pictures(84, 84, 4), False),
    (pictures(13, 13, 41, dtype=np.float32), False),
    (pictures(3, 84, 3), False),
    (pictures(3, 7, 7), False),
    (pictures(3, 11, 12, dtype=np.float32), False),
    (pictures(9, 12, 12, dtype=np.float32), False),
    (pictures(9, 84, 96, dtype=np.float32), False),
    (pictures(8, 8, 8), False),
]


@pytest.mark.parametrize(("space", "first"), CERTAIN, ids=str)
def test_channels_first_is_recognised_by_shape_and_dtype(space, first):
    assert channels_first(space) is first  # a warning would be an error
    assert channels_first(space, "first")
    assert not channels_first(space, "last")


@pytest.mark.parametrize("space", [pictures(9, 84, 96), pictures(12, 84, 84, dtype=np.float32)])
def test_a_guess_warns_once(space):
    encoders._warn_of_guess.cache_clear()
    with pytest.warns(UserWarning, match=r"of 84 x .. with \d+ channels; network.channels='first'"):
        assert channels_first(space)
    assert channels_first(space)
    assert not channels_first(space, "last")


@pytest.mark.parametrize("side", [9, 40])
def test_both_orders_of_axes_give_the_same_features(side):
    last = made(pictures(side, side, 3), "auto", "auto", False)
    first = made(pictures(3, side, side), "auto", "auto", False)
    obs = torch.randint(256, (2, side, side, 3), dtype=torch.uint8, generator=coin(1))
    torch.testing.assert_close(first(obs.movedim(-1, 1)), last(obs))
    assert last(obs).count_nonzero() > 100


def test_a_dict_may_have_a_large_picture_and_vectors():
    space = spaces.Dict({"eye": pictures(3, 40, 44), "body": spaces.Box(-1, 1, (5,))})
    obs = {"eye": torch.zeros((2, 3, 40, 44), dtype=torch.uint8), "body": torch.zeros(2, 5)}
    for default, size in (("conv", 256 + 32), ("flat", 256 + 256)):
        both = made(space, "auto", "auto", False, default)
        assert type(both.parts["eye"]) is LargePicture
        assert both(obs).shape == (2, size)


def test_battles_encoder_is_the_papers():
    space = spaces.Box(0, 1, (13, 13, 7))
    shapes = {k: tuple(v.shape) for k, v in encoder(space, coin()).state_dict().items()}
    assert shapes == {
        "layers.0.weight": (32, 7, 3, 3),
        "layers.0.bias": (32,),
        "layers.2.weight": (32, 32, 3, 3),
        "layers.2.bias": (32,),
        "layers.5.weight": (256, 81 * 32),
        "layers.5.bias": (256,),
    }
    assert Encoding() == encoding_of("auto", "auto", False)


@pytest.mark.parametrize("config", [mfq.QConfig, mfq.ACConfig])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"pictures": "vit"}, ValueError),
        ({"channels": "middle"}, ValueError),
        ({"normalize": 1}, TypeError),
    ],
)
def test_bad_options_are_named(config, options, error):
    name = next(iter(options))
    with pytest.raises(error, match=f"{name}=.*; allowed: "):
        config(network=options)
