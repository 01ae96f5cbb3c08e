"""FMQ and Recursive FMQ: their arithmetic by hand, and the climbing game, which Q-learning fails."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfq.agents.fmq import FMQ, FMQPlayer, NetworkFMQ
from mfq.agents.fmq_config import FMQConfig, RecFMQConfig
from mfq.agents.fmq_statistics import RecursiveStatistics, Statistics
from mfq.agents.registry import make_agent
from mfq.common import distributed
from tests.fakes.tables import a_step
from tests.mfq.agents.test_tabular import two_state_game
from tests.reference.matrix_game import MatrixGame
from tests.reference.stage_game import StageGame, pairs


def agent_of(config, game=None, seed=0):
    view = mfq.wrap(MatrixGame(torch.zeros(1, 3, 3, 2)) if game is None else game)
    return view, make_agent(
        view, "fmq" if isinstance(config, FMQConfig) else "rec_fmq", config, seed
    )


def feed(agent, action, *rewards):
    """Both agents play an action, and earn rewards for it one after another."""
    for reward in rewards:
        actions = [action] * 2
        agent.observe(a_step(actions), torch.tensor([actions]), a_step(actions, reward=reward))


def worth(agent):
    """EV or E of both agents, [2, A]."""
    step = a_step([0, 0])
    return agent.values(step, torch.zeros(1, 2, 0), step.active_index)


# -- arithmetic -------------------------------------------------------------------------------------


def test_fmq_by_hand():
    _, agent = agent_of(FMQConfig(learning_rate=0.5, weight=5.0))
    q = []
    for reward in (2.0, 1.0, 2.0):
        feed(agent, 1, reward)
        q.append(float(agent.module.values.values[0, 1]))
    assert q == [1.0, 1.0, 1.5]
    # Two of three plays earned the highest reward, 2: 1.5 + 5 (2/3) 2.
    expected = [0.0, 1.5 + 5 * 2 / 3 * 2, 0.0]
    assert worth(agent).tolist() == [pytest.approx(expected)] * 2
    # A higher reward is counted anew, over all four plays: Q is 2.25, and 1/4 of them earned 3.
    feed(agent, 1, 3.0)
    assert float(worth(agent)[0, 1]) == pytest.approx(2.25 + 5 / 4 * 3)


def test_the_first_reward_is_the_highest_so_far_even_if_it_is_negative():
    _, agent = agent_of(FMQConfig(learning_rate=0.5, weight=5.0))
    feed(agent, 1, -2.0, -4.0)
    # Q is -2.5, and one of two plays earned -2.
    assert float(worth(agent)[0, 1]) == pytest.approx(-2.5 + 5 / 2 * -2)


def test_the_temperature_of_fmq():
    config = FMQConfig(max_temperature=1000.0, decay=0.006)
    assert config.temperature(0) == 1001.0
    assert config.temperature(1000) == pytest.approx(3.4788, abs=5e-5)
    _, agent = agent_of(config)
    agent.time = 1000
    assert agent.metrics()["temperature"] == pytest.approx(3.4788, abs=5e-5)
    feed(agent, 1, 2.0, 1.0, 2.0)
    agent.policy = mfq.policy.Boltzmann(4.0)
    drawn = torch.cat([agent.act(a_step([0, 0])) for _ in range(2000)])
    weights = np.exp(worth(agent)[0].numpy() / 4)
    shares = torch.bincount(drawn.flatten(), minlength=3) / drawn.numel()
    assert shares.tolist() == pytest.approx(weights / weights.sum(), abs=0.03)


@pytest.mark.parametrize("config", [FMQConfig(), RecFMQConfig(start=1.0)])
def test_without_exploration_it_takes_the_best_action(config):
    _, agent = agent_of(config)
    feed(agent, 1, 2.0, 1.0, 2.0)
    feed(agent, 2, 1.0)
    frozen = agent.player()
    for player in (agent, frozen):
        drawn = [player.act(a_step([0, 0]), explore=False).tolist() for _ in range(20)]
        assert drawn == [[[1, 1]]] * 20
    assert len({str(agent.act(a_step([0, 0]))) for _ in range(20)}) > 3


def test_recursive_fmq_by_hand():
    _, agent = agent_of(RecFMQConfig(learning_rate=0.5, frequency_rate=0.01))
    assert worth(agent).tolist() == [[0.0] * 3] * 2
    frequency, e = [], []
    for reward in (2.0, 1.0, 2.0):
        feed(agent, 1, reward)
        frequency.append(float(agent.module.statistics.frequency[0, 1]))
        e.append(float(worth(agent)[0, 1]))
    assert frequency == pytest.approx([1.0, 0.99, 0.9901])
    assert e == pytest.approx([2.0, 1.99, 1.99505])
    # A higher reward starts its frequency at 1.
    feed(agent, 1, 5.0)
    assert float(worth(agent)[0, 1]) == 5.0


@pytest.mark.parametrize("kind", [Statistics, RecursiveStatistics])
def test_statistics_against_a_loop(kind):
    """Random plays of two agents, with repeated, lower and negative rewards."""
    coin = np.random.default_rng(0)
    statistics = kind(2, 3, 0.3)
    table = {}  # (agent, action) -> rewards in order
    for _ in range(60):
        action = coin.integers(3, size=2)
        reward = coin.integers(-3, 4, size=2).astype(np.float32)
        statistics.update(torch.arange(2), torch.tensor(action), torch.tensor(reward))
        for agent in range(2):
            table.setdefault((agent, action[agent]), []).append(float(reward[agent]))
    q = coin.normal(size=(2, 3))
    actual = statistics.evaluate(torch.tensor(q, dtype=torch.float32), torch.arange(2))
    for (agent, action), rewards in table.items():
        if kind is Statistics:
            best = max(rewards)
            expected = q[agent, action] + 0.3 * rewards.count(best) / len(rewards) * best
        else:
            best, f = 0.0, 1.0
            for r in rewards:
                f = 1.0 if r > best else (0.7 * f + 0.3 if r == best else 0.7 * f)
                best = max(best, r)
            expected = (1 - f) * q[agent, action] + f * best
        assert float(actual[agent, action]) == pytest.approx(expected, abs=1e-5)


def test_rewards_within_the_tolerance_are_equal():
    for tolerance, hits in ((0.0, 1.0), (0.1, 2.0)):
        statistics = Statistics(1, 2, 5.0, tolerance)
        for reward in (1.0, 0.95, 0.5):
            statistics.update(torch.tensor([0]), torch.tensor([0]), torch.tensor([reward]))
        assert statistics.hits[0].tolist() == [hits, 0.0]
        assert statistics.best[0].tolist() == [1.0, 0.0]


def test_the_chosen_action_wins_ties_until_it_is_worth_less():
    coin = torch.Generator().manual_seed(0)
    statistics = RecursiveStatistics(40, 3)
    q, rows = torch.zeros(40, 3), torch.arange(40)
    statistics.choose(q, rows, coin)
    first = statistics.chosen.clone()
    assert first.unique().tolist() == [0, 1, 2]
    for _ in range(5):
        statistics.choose(q, rows, coin)
    assert torch.equal(statistics.chosen, first)
    assert torch.equal(statistics.evaluate(q, rows).argmax(-1), first)
    # All others tie at 0, less by an ulp; after a better reward for action 2 all choose it.
    statistics.update(rows, torch.full((40,), 2), torch.full((40,), 1.0))
    statistics.choose(q, rows, coin)
    assert statistics.chosen.unique().tolist() == [2]
    # Row 0 forgets it: 0 and 1 tie for the best.
    statistics.frequency[0, 2], statistics.best[0, 2] = 1.0, -1.0
    statistics.choose(q, rows, coin)
    assert statistics.chosen[0] in (0, 1)
    assert (statistics.chosen[1:] == 2).all()


def test_each_row_is_learned_from_in_order():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=2))
    agent = FMQ(view, FMQConfig(learning_rate=0.5))
    step = view.reset(seed=0)
    after = view.step(torch.tensor([[3, 3], [3, 4]]))
    after.reward[:] = torch.tensor([[2.0, 1.0], [4.0, 8.0]])
    agent.observe(step, torch.tensor([[3, 3], [3, 4]]), after)
    table, statistics = agent.module.values.values, agent.module.statistics
    assert table[0, 3] == 0.5 * (0.5 * 2) + 0.5 * 4
    assert table[1, 3] == 0.5
    assert table[1, 4] == 4.0
    assert statistics.plays[0, 3] == 2
    assert statistics.best[0, 3] == 4.0


def test_learned_from_are_living_agents_that_it_plays_and_that_chose():
    _, agent = agent_of(FMQConfig())
    before = a_step([0, 0]).for_player(torch.tensor([[False, True]]))
    agent.observe(before, torch.tensor([[1, 1]]), a_step([1, 1], reward=1.0))
    assert agent.module.statistics.plays.tolist() == [[0, 0, 0], [0, 1, 0]]
    agent.observe(a_step([0, 0]), torch.tensor([[1, 1]]), a_step([1, 1], acting=[True, False]))
    assert agent.module.statistics.plays.tolist() == [[0, 1, 0], [0, 1, 0]]
    agent.observe(
        a_step([0, 0]), a_step([1, 1]).actions, a_step([1, 1], reset=torch.tensor([True]))
    )
    assert agent.module.statistics.plays.sum() == 2


# -- observations -----------------------------------------------------------------------------------


def test_each_discrete_observation_has_its_rows():
    payoff, next_state = two_state_game()
    view, agent = agent_of(FMQConfig(learning_rate=1.0), MatrixGame(payoff, next_state))
    step = view.reset()
    for actions in ([[1, 1]], [[0, 1]]):
        after = view.step(torch.tensor(actions))
        agent.observe(step, torch.tensor(actions), after)
        step = after
    # State 0 pays 2 to both at (1, 1), state 1 pays 1 and -1 at (0, 1).
    table = agent.module.values.values.view(2, 2, 2)
    assert table.tolist() == [[[0, 2], [1, 0]], [[0, 2], [0, -1]]]
    assert agent.module.statistics.plays.sum() == 4


def test_each_row_has_its_observations_and_learners():
    view, agent = agent_of(FMQConfig(learning_rate=1.0), MatrixGame(*two_state_game(), num_envs=2))
    mine = torch.tensor([[True, False], [False, True]])
    step = replace(view.reset(), obs=torch.tensor([[0, 0], [1, 1]]), mine=mine)
    after = view.step(torch.ones(2, 2, dtype=torch.int64))
    after.reward[:] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    agent.observe(step, after.actions, after)
    # Agent 0 in state 0 of row 0, agent 1 in state 1 of row 1.
    table = agent.module.values.values.view(2, 2, 2)
    assert table.tolist() == [[[0, 1], [0, 0]], [[0, 0], [0, 4]]]


def test_games_whose_observations_change_are_refused():
    for env in (ising_v0.parallel_env(side=4), battle_v0.batched_env(map_size=14)):
        view = mfq.wrap(env)
        agent = make_agent(view, "fmq")
        if agent.module.start is None:
            with pytest.raises(ValueError, match="allowed for FMQ: games in which agents always"):
                mfq.train(view, agent, 40)
    assert agent.module.start is None  # of battle


# -- values of a network ----------------------------------------------------------------------------


@pytest.mark.parametrize("config", [FMQConfig, RecFMQConfig])
def test_a_network_learns_values_and_tables_the_statistics(config):
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=4, max_cycles=5))
    replay = {"replay": {"learning_starts": 8}, "optimizer": {"batch_size": 8}}
    options = config(values="network", **replay)
    agent = make_agent(view, "fmq" if config is FMQConfig else "rec_fmq", options)
    assert isinstance(agent, NetworkFMQ)
    assert agent.td_target({"reward": torch.tensor([2.0])}).tolist() == [2.0]
    step = view.reset(seed=0)
    mfq.train(view, agent, 12, step)
    assert agent.updates == 12
    index = step.active_index
    obs, agents = step.obs_at(index), index % 4
    q = agent.module(obs, torch.zeros(8, 0), agents)
    expected = agent.module.statistics.evaluate(q, agents)
    assert torch.equal(agent.values(step, torch.zeros(2, 4, 0), index), expected)
    assert isinstance(agent.player(), FMQPlayer)
    assert torch.equal(agent.player().values(step, torch.zeros(2, 4, 0), index), expected)


# -- the climbing game ------------------------------------------------------------------------------

CLIMBING = [[11, -30, 0], [-30, 7, 6], [0, 0, 5]]
PAIRS = 20
LEARNERS = {
    "fmq": (FMQConfig(learning_rate=0.9, weight=10.0, max_temperature=500.0), 1000),
    "rec_fmq": (RecFMQConfig(steps=2000), 2000),
}


def share_of_optima(algo, config, steps):
    """Of pairs that play the climbing game, each apart from the others, those that find the optimum."""
    view = mfq.wrap(StageGame(pairs(CLIMBING), 2 * PAIRS, 3))
    agent = make_agent(view, algo, config, 0)
    last = mfq.train(view, agent, steps, view.reset())
    greedy = agent.act(last, explore=False).view(PAIRS, 2)
    return float((greedy == 0).all(1).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize("algo", list(LEARNERS))
def test_they_find_the_optimum_of_the_climbing_game(algo):
    assert share_of_optima(algo, *LEARNERS[algo]) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["fmq as Q-learning", "fmq, all are best", "rec_fmq, too fast"])
def test_broken_ones_do_not_find_it(broken, monkeypatch):
    algo = broken.partition(" ")[0].rstrip(",")
    config, steps = LEARNERS[algo]
    if broken == "fmq as Q-learning":
        config = replace(config, weight=0.0)
    elif broken == "fmq, all are best":
        yes = lambda self, at, reward: (torch.ones_like(reward, dtype=torch.bool),) * 2  # noqa: E731
        monkeypatch.setattr(Statistics, "_compare", yes)
    else:
        config = replace(config, frequency_rate=0.5)
    assert share_of_optima(algo, config, steps) <= 0.6


# -- options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (FMQConfig, {"values": "tables"}, "did you mean table\\? allowed: 'table', 'network'"),
        (FMQConfig, {"learning_rate": 0.0}, "learning_rate=0.0; allowed: a number above 0"),
        (FMQConfig, {"learning_rate": 1.5}, "learning_rate=1.5; allowed: 0 to 1"),
        (FMQConfig, {"min_temperature": 0.0}, "min_temperature=0.0"),
        (FMQConfig, {"decay": -1.0}, "decay=-1.0"),
        (FMQConfig, {"weight": float("nan")}, "weight=nan"),
        (FMQConfig, {"tolerance": -0.1}, "tolerance=-0.1"),
        (RecFMQConfig, {"frequency_rate": 2.0}, "frequency_rate=2.0"),
        (RecFMQConfig, {"start": 1.1}, "start=1.1"),
        (RecFMQConfig, {"steps": 0}, "steps=0"),
    ],
)
def test_bad_options_are_named(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_what_does_not_fit_is_named(monkeypatch):
    view = mfq.wrap(MatrixGame(torch.zeros(1, 3, 3, 2)))
    with pytest.raises(TypeError, match="allowed: an FMQConfig or a RecFMQConfig"):
        FMQ(view, mfq.QConfig())
    player = FMQPlayer(mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=5)))
    with pytest.raises(RuntimeError, match="size mismatch"):
        player.load_state_dict(make_agent(view, "fmq").state_dict())
    monkeypatch.setattr(distributed, "world", lambda: 2)
    with pytest.raises(ValueError, match="FMQ in 2 processes"):
        FMQ(view)
