"""How many gradient steps are due, by hand."""

import pytest

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.agents.update_scheduler import UpdateScheduler

CONFIGS = (QConfig, ACConfig)


@pytest.mark.parametrize("config", CONFIGS)
def test_so_many_a_step_once_there_are_transitions_enough(config):
    pace = UpdateScheduler(config(updates_per_step=3, learning_starts=10))
    pace.stored(9, 9)
    assert pace.updates(9) == 0
    pace.stored(1, 10)
    assert (pace.updates(10), pace.updates(10)) == (3, 3)


@pytest.mark.parametrize("config", CONFIGS)
def test_as_many_as_draw_each_transition_so_often(config):
    pace = UpdateScheduler(config(samples_per_insert=4.0, batch_size=32, learning_starts=10))
    pace.stored(9, 9)  # before there is enough nothing is owed
    assert (pace.owed, pace.updates(9)) == (0.0, 0)
    pace.stored(12, 21)
    assert (pace.updates(21), pace.owed) == (1, 16.0)  # 48 samples are a batch of 32 and 16
    pace.stored(4, 25)
    assert (pace.updates(25), pace.owed) == (1, 0.0)
    assert pace.updates(25) == 0


@pytest.mark.parametrize("make", [(QAgent, QConfig), (ActorCritic, ACConfig)])
def test_agents_keep_to_it_and_what_is_owed_is_saved(make):
    kind, config = make
    options = {"samples_per_insert": 1.0, "batch_size": 16, "learning_starts": 1}
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=5))
    agent = kind(view, config=config(**options))
    mfq.train(view, agent, 8)
    assert agent.updates == 80 // 16
    mfq.train(view, agent, 1)  # ten more
    assert agent.updates == 5
    other = kind(view, config=config(**options), seed=1)
    other.load_state_dict(agent.state_dict())
    mfq.train(view, other, 1)
    assert (agent.updates, other.updates) == (5, 6)
