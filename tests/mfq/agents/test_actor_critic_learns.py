"""Small games that the actor-critics learn over several seeds, and that broken ones do not."""

from dataclasses import replace

import pytest
import torch

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic
from mfq.matches.evaluate import evaluate
from tests.reference.matrix_game import MatrixGame

pytestmark = pytest.mark.slow

SMALL = {"network": {"hidden": (32,), "mean_hidden": (32,)}, "entropy": 0.01}
CONFIGS = {
    "q": ACConfig(
        critic="q",
        polyak=0.05,
        replay={"learning_starts": 200},
        optimizer={
            "batch_size": 64,
            "actor_learning_rate": 3e-3,
            "critic_learning_rate": 1e-2,
        },
        **SMALL,
    ),
    "v": ACConfig(
        critic="v",
        rollout={"steps": 4},
        optimizer={"actor_learning_rate": 1e-2, "critic_learning_rate": 2e-2},
        **SMALL,
    ),
}
EVERY_KIND = pytest.mark.parametrize(
    ("critic", "mean_field"), [("q", True), ("q", False), ("v", True), ("v", False)]
)


def investments():
    """Each player on its own: action 0 pays .3 now, action 1 pays 1 in the next step."""
    payoff, next_state = torch.zeros(4, 2, 2, 2), torch.zeros(4, 2, 2, dtype=torch.int64)
    for state in range(4):
        for a in range(2):
            for b in range(2):
                owned = state // 2, state % 2
                payoff[state, a, b] = torch.tensor(
                    [bit + 0.3 * (1 - action) for bit, action in zip(owned, (a, b), strict=True)]
                )
                next_state[state, a, b] = 2 * a + b
    return payoff, next_state


def earned_in_the_end(critic, mean_field, gamma, seed):
    """Each player's reward after ten greedy steps."""
    view = mfq.wrap(MatrixGame(*investments(), num_envs=16, max_cycles=10))
    agent = ActorCritic(view, mean_field, replace(CONFIGS[critic], gamma=gamma), seed)
    mfq.train(view, agent, 250)
    game = mfq.wrap(MatrixGame(*investments()))
    step = game.reset()
    for _ in range(10):
        step = game.step(agent.act(step, explore=False))
    return step.reward[0].tolist()


@EVERY_KIND
def test_it_learns_what_pays_later(critic, mean_field):
    for seed in range(2):
        assert earned_in_the_end(critic, mean_field, 0.9, seed) == [1.0, 1.0]
    # That needs the bootstrap, or the return: without, now is all there is.
    now = earned_in_the_end(critic, mean_field, 0.0, 0)
    assert now == pytest.approx([0.3, 0.3])


def noisy_neighbours():
    """Actions (u, w): u pays .1 to oneself, w moves what the other earns by 10."""
    u, w = torch.arange(4) // 2, torch.arange(4) % 2
    mine = 0.1 * u[:, None] + (10 * w[None, :] - 5)
    return torch.stack([mine, mine.T], -1)[None]


@pytest.mark.parametrize(("critic", "ac_at_most"), [("q", 0.7), ("v", 0.85)])
def test_the_mean_action_tells_ones_own_part_from_the_others(critic, ac_at_most):
    # u is worth a fiftieth of the spread that the other causes. A critic that sees what the other did
    # has it explained away; one that does not has to average over it.
    def share_of_what_pays(mean_field, seed):
        view = mfq.wrap(MatrixGame(noisy_neighbours(), num_envs=16, max_cycles=100))
        config = replace(CONFIGS[critic], gamma=0.0, entropy=0.02)
        agent = ActorCritic(view, mean_field, config, seed)
        mfq.train(view, agent, 300)
        step = view.reset()
        shares = [(agent.act(step) >= 2).float().mean() for _ in range(40)]
        return float(torch.stack(shares).mean())

    mfac = [share_of_what_pays(True, seed) for seed in range(3)]
    ac = [share_of_what_pays(False, seed) for seed in range(3)]
    assert min(mfac) > 0.75
    assert sum(ac) / 3 < ac_at_most
    assert sum(mfac) / 3 > 0.9


@pytest.mark.parametrize("mean_field", [True, False])
def test_it_squeezes(mean_field):
    # Ten agents at random earn .03 of the optimum; all on one action, at most .9.
    def env(rows):
        options = {"num_agents": 10, "mu": 25.0, "sigma": 10.0, "max_cycles": 50}
        return mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=rows, **options))

    config = replace(CONFIGS["v"], gamma=0.0, entropy=0.002)
    scores = []
    for seed in range(3):
        agent = ActorCritic(env(8), mean_field, config, seed)
        assert evaluate(env(1), agent)["final_performance"] < 0.5
        mfq.train(agent.view, agent, 400)
        scores.append(evaluate(env(1), agent)["final_performance"])
    assert sorted(scores)[1] > 0.95
    assert min(scores) > 0.6  # lock-in at one action, at worst
