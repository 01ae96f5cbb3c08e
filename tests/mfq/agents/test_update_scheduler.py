"""How many gradient steps are due, by hand."""

import pytest

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig, ReplayConfig
from mfq.agents.update_scheduler import UpdateScheduler


def test_so_many_a_step_once_there_are_transitions_enough():
    scheduler = UpdateScheduler(ReplayConfig(updates_per_step=3, learning_starts=10), 256)
    scheduler.stored(9, 9)
    assert scheduler.updates(9) == 0
    scheduler.stored(1, 10)
    assert (scheduler.updates(10), scheduler.updates(10)) == (3, 3)


def test_as_many_as_draw_each_transition_so_often():
    scheduler = UpdateScheduler(ReplayConfig(samples_per_insert=4.0, learning_starts=10), 32)
    scheduler.stored(9, 9)  # before there is enough nothing is due
    assert (scheduler.samples_due, scheduler.updates(9)) == (0.0, 0)
    scheduler.stored(12, 21)
    # 48 samples are a batch of 32 and 16.
    assert (scheduler.updates(21), scheduler.samples_due) == (1, 16.0)
    scheduler.stored(4, 25)
    assert (scheduler.updates(25), scheduler.samples_due) == (1, 0.0)
    assert scheduler.updates(25) == 0


@pytest.mark.parametrize(("agent_class", "config"), [(QAgent, QConfig), (ActorCritic, ACConfig)])
def test_agents_make_the_steps_that_are_due_and_save_what_is_left(agent_class, config):
    options = {
        "replay": {"samples_per_insert": 1.0, "learning_starts": 1},
        "optimizer": {"batch_size": 16},
    }
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=5))
    agent = agent_class(view, config=config(**options))
    mfq.train(view, agent, 8)
    assert agent.updates == 80 // 16
    mfq.train(view, agent, 1)  # ten more
    assert agent.updates == 5
    other = agent_class(view, config=config(**options), seed=1)
    other.load_state_dict(agent.state_dict())
    mfq.train(view, other, 1)
    assert (agent.updates, other.updates) == (5, 6)


@pytest.mark.parametrize("agent_class", [QAgent, ActorCritic])
def test_older_states_call_what_is_due_owed(agent_class):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=5))
    agent, state = agent_class(view), agent_class(view).state_dict()
    state["owed"] = state.pop("samples_due") + 7.0
    agent.load_state_dict(state)
    assert agent.update_scheduler.samples_due == 7.0
