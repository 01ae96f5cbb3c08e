"""How a Q-learner plays: who responds, what evaluation draws, what is explored together."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import mfq
from mfenvs.graph import EdgesGraph
from tests.fakes.tables import a_step, softmax
from tests.mfq.agents.test_q_agent import Fixed, agent_with
from tests.reference.matrix_game import MatrixGame

TOGETHER = {"coherent_start": 1.0, "coherent_steps": 10**9}
COLD = {"exploration": {"start": 1e-3, "end": 1e-3}}


def shares_of(agent, step, explore, times=800):
    """How often the first two agents choose each of three actions."""
    drawn = torch.cat([agent.act(step, explore)[:, :2] for _ in range(times)])
    return (torch.bincount(drawn.flatten(), minlength=3) / drawn.numel()).tolist()


# -- iterated mean actions (Eq. 11) -----------------------------------------------------------------


def test_all_the_living_respond_not_only_those_it_plays():
    """Q is what is heard, and a little for action 0: who hears something repeats it."""
    agent = agent_with([0.1, 0.0, 0.0], iterations=1, **COLD)
    step = a_step([2, 1]).for_player(torch.tensor([[True, False]]))
    # Agent 1, whom another plays, would answer agent 0's 2 with 2. Had it no say, 0 would do 0.
    for _ in range(5):
        assert agent.act(step, explore=False).tolist() == [[2, -1]]


def test_the_dead_have_no_say():
    """Agent 0 hears 1 and 2; 1 hears 0, and repeats its 2; 2, who is dead, would repeat 1's 1."""
    game = MatrixGame(torch.zeros(1, 3, 3, 2))
    graph = EdgesGraph([[0, 0, 1, 2], [1, 2, 0, 1]], 3)
    game.num_agents, game.neighbor_graph = 3, graph
    config = mfq.QConfig(iterations=1, **COLD)
    agent = mfq.QAgent(mfq.wrap(game), config=config, network=lambda *_: Fixed([0.1, 0.0, 0.0]))
    own = {"graph": graph, "graph_before": graph}
    for alive, heard in (([True, True, False], [0, 0, 1]), ([True, True, True], [0, 0.5, 0.5])):
        step = a_step([2, 1, 0], alive=alive, **own)
        assert agent.expected_mean(step)[0, 0].tolist() == heard


# -- evaluation -------------------------------------------------------------------------------------


def test_sampling_is_at_the_end_of_the_schedule_from_the_beginning():
    agent = agent_with([0.0, 0.1, 0.2], play="sample", exploration={"start": 50.0, "end": 0.1})
    step = a_step([-1, -1])  # nothing is heard
    expected = softmax(np.array([0.0, 1.0, 2.0]))  # .09, .24, .67, where the start has .33 each
    for now in (0, 10**6):
        agent.time = now
        assert shares_of(agent, step, explore=False) == pytest.approx(expected, abs=0.06)


def test_sampling_of_epsilon_greedy_is_greedy():
    agent = agent_with(
        [0.0, 0.1, 0.2],
        exploration={"policy": "epsilon_greedy", "start": 1.0, "end": 0.5},
        play="sample",
    )
    assert shares_of(agent, a_step([-1, -1]), explore=False, times=50) == [0, 0, 1]


@pytest.mark.parametrize("play", ["greedy", "sample"])
def test_nobody_mixes_without_exploration(play):
    agent = agent_with(
        [0.0, 1.0, 3.0],
        play=play,
        exploration=TOGETHER | COLD["exploration"],
    )
    step = a_step([-1, -1])
    assert shares_of(agent, step, explore=False, times=100) == [0, 0, 1]
    # With exploration every row draws from a mixture of its own, whatever the values say.
    assert min(shares_of(agent, step, explore=True)) > 0.25


def test_what_is_explored_together_is_allowed_to_each():
    agent = agent_with([0.0, 5.0, 9.0], exploration=TOGETHER | COLD["exploration"])
    rows = 2000
    mask = torch.tensor([[[1, 1, 0], [1, 0, 1]]], dtype=torch.int8).expand(rows, -1, -1)
    one = a_step([-1, -1])
    wide = {
        name: getattr(one, name).expand(rows, -1)
        for name in ("obs", "reward", "terminated", "alive", "acting", "actions")
    }
    row = {name: getattr(one, name).expand(rows) for name in ("truncated", "reset")}
    actions = agent.act(replace(one, **wide, **row, action_mask=mask))
    assert actions[:, 0].unique().tolist() == [0, 1]
    assert actions[:, 1].unique().tolist() == [0, 2]
    # It was a mixture: by its values agent 0 would do 1, and agent 1 would do 2.
    assert (actions == 0).float().mean() > 0.3


# -- copies -----------------------------------------------------------------------------------------


def test_a_player_has_weights_and_coins_of_its_own():
    agent = agent_with([0.0, 1.0, 3.0], play="greedy", exploration={"start": 2.0, "end": 2.0})
    step, player = a_step([-1, -1]), agent.player()
    assert torch.equal(player.act(step), agent.act(step))
    coins = agent.generator.get_state()
    weights = copy.deepcopy(player.module.state_dict())
    for _ in range(3):
        player.act(step)
    assert torch.equal(agent.generator.get_state(), coins)
    agent.module.q.data[0] = 9.0
    assert torch.equal(player.module.q, weights["q"])
    assert agent.act(step, explore=False).tolist() == [[0, 0]]
    assert player.act(step, explore=False).tolist() == [[2, 2]]
    assert not any(part.requires_grad for part in player.module.parameters())
