"""Environments of other people's with large pictures: they train with the default networks."""

import pettingzoo
import pytest
import torch

import mfq
from mfq.networks.encoders import LargePicture

pytestmark = pytest.mark.third_party

AGENT = {
    "replay": {"size": 60, "learning_starts": 6},
    "optimizer": {"batch_size": 4},
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("name", "options", "cells"),
    [
        ("cooperative_pong-v6", {}, 31 * 56),  # 280 x 480 becomes 69 x 119, 33 x 58, 31 x 56
        ("pistonball-v6", {"continuous": False, "n_pistons": 4}, 53 * 11),  # 457 x 120
    ],
)
def test_butterfly_trains(name, options, cells):
    pytest.importorskip("pymunk")
    view = mfq.wrap(pettingzoo.make("parallel", f"butterfly/{name}", **options), graph="all")
    agent = mfq.QAgent(view, config=mfq.QConfig(**AGENT))
    assert isinstance(agent.module.observe, LargePicture)
    assert agent.module.observe.layers[-2].in_features == 64 * cells
    mfq.train(view, agent, 5)
    assert agent.updates
    assert agent.replay.sample(2)["obs"].dtype == torch.uint8
    view.close()


@pytest.mark.filterwarnings("default")
def test_a_resized_picture_costs_a_hundredth():
    supersuit = pytest.importorskip("supersuit")
    env = pettingzoo.make("parallel", "butterfly/cooperative_pong-v6")
    env = supersuit.resize_v1(supersuit.color_reduction_v0(env, "full"), 84, 84)
    view = mfq.wrap(supersuit.frame_stack_v1(env, 4))
    agent = mfq.QAgent(view, config=mfq.QConfig(**AGENT))
    assert sum(part.numel() for part in agent.module.parameters()) < 10**6
    mfq.train(view, agent, 5)
    assert agent.updates
    view.close()
