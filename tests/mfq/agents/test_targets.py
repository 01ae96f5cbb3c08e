"""What targets reckon with in the next state: its masks, and the policy of the moment; by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import mfq
from mfenvs import battle_v0
from mfenvs.graph import CompleteGraph
from mfq.mean_field import MeanAction
from mfq.policy import Boltzmann, Greedy, Linear
from mfq.replay.compact import CompactReplay
from tests.fakes import tables
from tests.fakes.tables import LOGITS, a_step, softmax
from tests.mfq.agents.test_q_agent import Q, a_batch, agent_with
from tests.reference.matrix_game import MatrixGame

# Before the step, agent 0 may do all but action 2; after it, all but action 1. Agent 1 may do anything.
BEFORE = torch.tensor([[[1, 1, 0], [1, 1, 1]]], dtype=torch.int8)
AFTER = torch.tensor([[[1, 0, 1], [1, 1, 1]]], dtype=torch.int8)
ACTIONS = torch.tensor([[1, 2]])


def boltzmann(q, temperature, allowed=(0, 1, 2)):
    """The mean of some of the values under their Boltzmann policy."""
    q = np.array(q, dtype=float)[list(allowed)]
    return softmax(q / temperature) @ q


def a_table(agents=2, **options):
    """A tabular learner of some agents with three actions, who all hear each other."""
    game = MatrixGame(torch.zeros(1, 3, 3, 2))
    game.num_agents, game.groups = agents, torch.zeros(agents, dtype=torch.int64)
    game.types, game.neighbor_graph = game.groups, CompleteGraph(agents)
    agent = mfq.TabularQ(mfq.wrap(game), **{"gamma": 0.5, "learning_rate": 1.0, **options})
    agent.table[:] = torch.rand(agent.table.shape, generator=torch.Generator().manual_seed(0))
    return agent


# -- masks ------------------------------------------------------------------------------------------


def test_a_q_learner_values_the_next_state_by_what_may_be_done_there():
    agent = agent_with(Q)
    before, after = a_step([0, 0], mask=BEFORE), a_step([1, 2], mask=AFTER, reward=3.0)
    agent.observe(before, ACTIONS, after)
    # In s', agent 0 hears a 2 and agent 1 a 1, which adds one to that action's value.
    values = [boltzmann([1, 2, 5], 0.7, (0, 2)), boltzmann([1, 3, 4], 0.7)]
    target = agent.td_target(tables.stored(agent))
    assert target.tolist() == pytest.approx([3 + 0.5 * value for value in values])


def test_an_actor_critic_values_the_next_state_by_what_may_be_done_there():
    agent = tables.agent_with(mean_field=False)
    before, after = a_step([0, 0], mask=BEFORE), a_step([1, 2], mask=AFTER, reward=3.0)
    agent.observe(before, ACTIONS, after)
    q, logits = np.array(tables.Q), np.array(LOGITS)
    values = [softmax(logits[[0, 2]]) @ q[[0, 2]], softmax(logits) @ q]
    target = agent.td_target(tables.stored(agent))
    assert target.tolist() == pytest.approx([3 + 0.5 * value for value in values])


def test_a_double_q_target_chooses_among_what_may_be_done():
    double = agent_with(Q, value="double")
    double.module.q.data = torch.tensor([5.0, 9.0, 0.0])
    # The target network says 1, 3, 4. Online, the best is 1, or 0 where that is forbidden.
    for mask, value in ((None, 3.0), ([1, 0, 1], 1.0), ([0, 0, 1], 4.0)):
        allowed = {} if mask is None else {"next_mask": torch.tensor([mask, mask])}
        assert double.td_target(a_batch(**allowed))[0] == 1 + 0.5 * value


@pytest.mark.parametrize("mean_field", [True, False])
def test_a_table_values_the_next_state_by_what_may_be_done_there(mean_field):
    agent = a_table(mean_field=mean_field, policy=Boltzmann(0.2))
    before, after = a_step([0, 0], mask=BEFORE), a_step([1, 2], mask=AFTER, reward=3.0)
    heard = after.mean_action if mean_field else after.mean_action[..., :0]
    q = agent.values(after, heard)[0].tolist()
    agent.observe(before, ACTIONS, after)
    values = [boltzmann(q[0], 0.2, (0, 2)), boltzmann(q[1], 0.2)]
    found = agent.values(before, heard)[0]
    assert float(found[0, 1]) == pytest.approx(3 + 0.5 * values[0])
    assert float(found[1, 2]) == pytest.approx(3 + 0.5 * values[1])


def test_a_compact_replay_refuses_masks_of_the_next_state_and_other_graphs():
    view = mfq.wrap(battle_v0.batched_env(map_size=12))
    replay = CompactReplay(view, 100, 0, MeanAction(view))
    step = view.reset(seed=0)
    replay.record_snapshot(step)
    after = view.step(step.actions)
    mask = torch.ones(1, view.num_agents, view.num_actions, dtype=torch.int8)
    for wrong in ({"action_mask": mask}, {"graph": CompleteGraph(view.num_agents)}):
        with pytest.raises(ValueError, match="stores neither masks nor graphs"):
            replay.add(step, replace(after, **wrong), step.alive, dict)
        replay.record_snapshot(step)


# -- time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", ["time", "episodes"])
def test_pi_in_v_mf_cools_as_the_acting_policy_does(clock):
    """From 1.7 to 0.2 over ten steps, or as many episodes."""
    length = {"time": "steps", "episodes": "episodes"}[clock]
    agent = agent_with(Q, exploration={"start": 1.7, "end": 0.2, length: 10})
    for now, temperature in ((0, 1.7), (6, 0.8), (10, 0.2), (99, 0.2)):
        setattr(agent, clock, now)
        target = agent.td_target(a_batch())
        assert float(target[0]) == pytest.approx(1 + 0.5 * boltzmann([1, 3, 4], temperature))


@pytest.mark.parametrize(("now", "temperature"), [(0, 1.7), (6, 0.8), (99, 0.2)])
def test_pi_in_a_tables_v_mf_cools_as_the_acting_policy_does(now, temperature):
    agent = a_table(policy=Boltzmann(Linear(1.7, 0.2, 10)))
    agent.time = now
    before, after = a_step([0, 0]), a_step([1, 2], reward=3.0)
    q = agent.values(after, after.mean_action)[0, 0].tolist()
    agent.observe(before, ACTIONS, after)
    found = agent.values(before, after.mean_action)[0, 0, 1]
    assert float(found) == pytest.approx(3 + 0.5 * boltzmann(q, temperature))


# -- iterated mean actions of a table ---------------------------------------------------------------


def test_the_dead_do_not_respond():
    """Of three, agent 1 would answer anything with 1, and agent 2, who is dead, with 2."""
    agent = a_table(agents=3, policy=Greedy(), iterations=1)
    agent.table[:] = 0
    agent.table[0, 1, ..., 1] = agent.table[0, 2, ..., 2] = 1
    # Cells count neighbours with action 1, plus three times those with 2: two halves make a whole.
    agent.table[0, 0, 0, 2, 0] = 1  # all play 1
    agent.table[0, 0, 0, 4, 2] = 1  # a half plays 1, a half 2
    alive = [True, True, False]
    step = a_step([0, 0, -1], alive=alive)
    assert agent.act(step)[0, :2].tolist() == [0, 1]
    assert agent.act(a_step([0, 0, 0]))[0].tolist() == [2, 1, 2]
