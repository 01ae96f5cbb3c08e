"""pi in v^MF is the policy that acts at s': with inertia and coherent exploration, by hand."""

import pytest
import torch

from mfq.agents.q_config import QConfig
from tests.fakes.options import merged
from tests.fakes.tables import a_step, in_rows
from tests.mfq.agents.test_q_agent import Q, a_batch, agent_with

NEXT = torch.tensor([1.0, 3.0, 4.0])  # the target network's values at s', of the batch's first
GREEDY = {"exploration": {"policy": "epsilon_greedy", "start": 0.3, "end": 0.3}}
PI = [0.1, 0.1, 0.8]  # epsilon-greedy with .3
A_MASK = torch.tensor([[1, 1, 0], [1, 1, 1]], dtype=torch.int8)


def target_of(mask=None, time=0, **config):
    """y of the batch's first transition, whose reward is 1, gamma .5 and own action 2."""
    agent = agent_with(Q, **merged(GREEDY, config))
    agent.time = time
    batch = a_batch() if mask is None else a_batch(next_mask=mask)
    return float(agent.td_target(batch)[0])


def values_and_policy(agent, batch):
    """The target network's values at s', and the policy that v^MF weighs them by: [M, A] both."""
    kept = []

    def value(after):
        kept[:] = after.q, after.policy
        return after.q[:, 0]

    agent.value_operator = value
    agent.td_target(batch)
    return kept


def valued(pi):
    return 1 + 0.5 * sum(p * float(q) for p, q in zip(pi, NEXT, strict=True))


def test_an_agent_repeats_its_own_last_action():
    # pi_act = .25 pi + .75 onehot(2)
    assert target_of(exploration={"stickiness": 0.75}) == pytest.approx(
        valued([0.025, 0.025, 0.95])
    )
    assert target_of(exploration={"stickiness": 1.0}) == pytest.approx(valued([0, 0, 1]))


def test_an_action_that_a_mask_forbids_is_not_repeated():
    # Of actions 0 and 1 the second is greedy.
    assert target_of(A_MASK, exploration={"stickiness": 0.75}) == pytest.approx(
        valued([0.15, 0.85, 0])
    )
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]], dtype=torch.int8)
    pi = [0, 0.25 * 0.15, 0.25 * 0.85 + 0.75]
    assert target_of(mask, exploration={"stickiness": 0.75}) == pytest.approx(valued(pi))


def test_coherent_exploration_is_uniform_in_expectation():
    options = {"exploration": {"coherent_start": 0.8, "coherent_steps": 10}}
    third = 1 / 3
    pi = [0.8 * third + 0.2 * 0.1, 0.8 * third + 0.2 * 0.1, 0.8 * third + 0.2 * 0.8]
    assert target_of(**options) == pytest.approx(valued(pi))
    # Its probability falls: .4 at step 5, 0 at step 10.
    pi = [0.4 * third + 0.6 * p for p in PI]
    assert target_of(time=5, **options) == pytest.approx(valued(pi))
    assert target_of(time=10, **options) == pytest.approx(valued(PI))
    # Uniform over what is allowed.
    pi = [0.8 * 0.5 + 0.2 * 0.15, 0.8 * 0.5 + 0.2 * 0.85, 0]
    assert target_of(A_MASK, **options) == pytest.approx(valued(pi))


def test_coherent_steps_override_inertia():
    pi = [0.4 / 3 + 0.6 * p for p in (0.025, 0.025, 0.95)]
    options = {"exploration": {"coherent_start": 0.4, "coherent_steps": 10, "stickiness": 0.75}}
    assert target_of(**options) == pytest.approx(valued(pi))


def test_the_policy_in_v_mf_is_the_one_that_acts():
    """What agents do at s', over many draws, is what the target weighs the values by."""
    together = {"coherent_start": 0.3, "coherent_steps": 10**9, "coherent_concentration": 0.2}
    options = merged(GREEDY, {"exploration": {"stickiness": 0.6, **together}})
    mask = torch.tensor([[[1, 1, 0], [1, 1, 1]]], dtype=torch.int8)
    for allowed in (None, mask):
        agent = agent_with(Q, **options)
        # Agent 0 did action 1 and hears of action 0.
        step = in_rows(a_step([1, 0], mask=allowed), 8000)
        batch = a_batch(
            next_mean=torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), action=torch.tensor([1, 0])
        )
        if allowed is not None:
            batch["next_mask"] = allowed[0]
        _, promised = values_and_policy(agent, batch)
        acts = agent.act(step)[:, 0]
        drawn = acts.bincount(minlength=3) / len(acts)
        assert drawn.tolist() == pytest.approx(promised[0].tolist(), abs=0.025)
        assert float(promised[0].sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("value", ["max", "double"])
def test_other_values_ask_for_no_policy(value):
    options = {"exploration": {"coherent_start": 0.8, "coherent_steps": 10, "stickiness": 0.75}}
    assert target_of(value=value, **options) == target_of(value=value) == 1 + 0.5 * 4


def test_a_temperature_of_its_own_is_the_whole_policy():
    options = {"exploration": {"coherent_start": 0.8, "coherent_steps": 10, "stickiness": 0.75}}
    alone = target_of(target_temperature=0.2)
    assert target_of(target_temperature=0.2, **options) == alone


def test_without_inertia_and_coherence_nothing_is_added():
    agent = agent_with(Q, **GREEDY)
    batch = {name: part[:1].repeat(50, *[1] * (part.ndim - 1)) for name, part in a_batch().items()}
    batch["next_mean"] = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    q, pi = values_and_policy(agent, batch)
    assert len(q.unique(dim=0)) == 50
    assert torch.equal(pi, agent.target_policy.probabilities(q, 0, None))


def test_a_stage_game_has_no_next_policy():
    agent = agent_with(Q, gamma=0.0, exploration={"stickiness": 0.75, "coherent_start": 0.5})
    agent.value_operator = None
    batch = {name: part for name, part in a_batch().items() if not name.startswith("next")}
    assert agent.td_target(batch).tolist() == [1.0, -3.0]


def test_who_may_do_nothing_at_s_is_worth_nothing():
    mask = torch.tensor([[0, 0, 0], [1, 1, 1]], dtype=torch.int8)
    options = {"exploration": {"coherent_start": 0.8, "coherent_steps": 10, "stickiness": 0.75}}
    assert target_of(mask, **options) == 1.0


def test_the_default_is_the_plain_policy():
    exploration = QConfig().exploration
    assert (exploration.stickiness, exploration.coherent_start) == (0.0, 0.0)
