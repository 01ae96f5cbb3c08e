"""Tabular MFQ: its arithmetic by hand, and small games whose values are known."""

import numpy as np
import pytest
import torch

import mfq
from mfenvs import ising_v0
from mfenvs.graph import LatticeGraph
from mfq.policy import Boltzmann, EpsilonGreedy, Exponential, Greedy, Linear
from tests.reference.matrix_game import MatrixGame, common, zero_sum


def learner(env, **options):
    view = mfq.wrap(env)
    return view, mfq.TabularQ(view, **options)


def two_state_game():
    """Coordination in state 0, the saddle in state 1; they alternate whatever is played."""
    payoff = torch.cat([common([[1, 0], [0, 2]]), zero_sum([[3, 1], [4, 2]])])
    return payoff, torch.tensor([1, 0])[:, None, None].expand(2, 2, 2)


# -- arithmetic, by hand ------------------------------------------------------------------------


def test_one_update_by_hand_and_only_where_the_choice_counted():
    env = ising_v0.batched_env(side=4, update="checkerboard", initial="up")
    view, agent = learner(env, learning_rate=0.1, gamma=0.0)
    step = view.reset(seed=0)
    actions = torch.zeros(1, 16, dtype=torch.int64)
    next_step = view.step(actions)
    agent.observe(step, actions, next_step)
    # The active colour went down among four neighbours up: r = -1 * 4 / 2 = -2, from 0 at rate .1.
    even = [site for site in range(16) if (site // 4 + site % 4) % 2 == 0]
    odd = [site for site in range(16) if site not in even]
    assert next_step.acting[0].nonzero().flatten().tolist() == even
    expected = torch.zeros_like(agent.table)
    expected[0, even, 0, 4, 0] = -0.2
    assert torch.allclose(agent.table, expected)
    assert agent.visits[0, even].sum() == 8
    assert agent.visits[0, odd].sum() == 0


def test_the_two_pairings_fill_different_cells():
    for pairing, cell in (("current", 0), ("previous", 4)):
        env = ising_v0.batched_env(side=4, update="synchronous", initial="up")
        view, agent = learner(env, pairing=pairing, gamma=0.0, learning_rate=0.5)
        step = view.reset(seed=0)
        actions = torch.zeros(1, 16, dtype=torch.int64)
        agent.observe(step, actions, view.step(actions))
        # All went down together: rewarded with +2 for agreeing with neighbours that are now down.
        # "current" files it under no neighbour up, "previous" under four up, as they had been.
        assert (agent.table[0, :, 0, cell, 0] == 1.0).all()
        assert agent.visits.sum() == agent.visits[0, :, 0, cell, 0].sum() == 16


def test_iql_keys_on_nothing():
    _, agent = learner(ising_v0.batched_env(num_envs=2, side=4), mean_field=False)
    assert agent.table.shape == (2, 16, 1, 1, 2)


def test_the_bootstrap_is_v_mf_at_the_acting_temperature():
    payoff, next_state = two_state_game()
    env = MatrixGame(payoff, next_state)
    view, agent = learner(env, gamma=0.5, learning_rate=0.25, policy=Boltzmann(0.7))
    agent.table[:] = torch.arange(agent.table.numel()).reshape(agent.table.shape) / 10
    before = agent.table.clone()
    step = view.reset()
    actions = torch.tensor([[0, 0]])
    next_step = view.step(actions)
    agent.observe(step, actions, next_step)
    # (0, 0) pays 1 and leads to state 1. abar of both is then action 0, which is cell 0.
    for player in range(2):
        q_next = before[0, player, 1, 0].double().numpy()
        policy = np.exp(q_next / 0.7) / np.exp(q_next / 0.7).sum()
        target = 1 + 0.5 * (policy * q_next).sum()
        old = float(before[0, player, 0, 0, 0])
        assert float(agent.table[0, player, 0, 0, 0]) == pytest.approx(old + 0.25 * (target - old))


def test_truncation_bootstraps_and_the_reset_is_no_outcome():
    env = MatrixGame(common([[1, 0], [0, 0]]), max_cycles=1)
    view, agent = learner(env, gamma=0.5, learning_rate=1.0, policy=Greedy())
    agent.table[:] = 8.0
    step = view.reset()
    actions = torch.tensor([[0, 0]])
    last = view.step(actions)
    assert last.truncated.all()
    assert last.alive.all()
    agent.observe(step, actions, last)
    assert agent.table[0, 0, 0, 0, 0] == 1 + 0.5 * 8
    table = agent.table.clone()
    fresh = view.step(actions)
    assert fresh.reset.all()
    agent.observe(last, actions, fresh)
    assert torch.equal(agent.table, table)


def test_visits_give_the_running_mean():
    env = MatrixGame(zero_sum([[3, 1], [4, 2]]))
    view, agent = learner(env, gamma=0.0, learning_rate="visits", mean_field=False)
    step = view.reset()
    rewards = []
    for other in (0, 1, 1, 0, 1):
        actions = torch.tensor([[0, other]])
        next_step = view.step(actions)
        agent.observe(step, actions, next_step)
        rewards.append(float(next_step.reward[0, 0]))
        step = next_step
    assert float(agent.table[0, 0, 0, 0, 0]) == pytest.approx(np.mean(rewards))


def test_no_neighbour_is_a_cell_of_its_own():
    env = MatrixGame(common([[1, 0], [0, 0]]))
    view, agent = learner(env, gamma=0.0, learning_rate=1.0)
    step = view.reset()
    cells = agent.table.shape[3]
    agent.table[:] = torch.arange(cells)[:, None]  # each value is the number of its cell
    # Nothing has been played yet: the mean action is zero, which is not "all chose action 0".
    assert (agent.values(step, step.mean_action) == cells - 1).all()
    next_step = view.step(torch.tensor([[0, 0]]))
    assert (agent.values(next_step, next_step.mean_action) == 0).all()


def test_state_dict_resumes_bit_for_bit():
    def make():
        env = ising_v0.batched_env(num_envs=3, side=4, update="random")
        return learner(env, policy=Boltzmann(0.8))

    view, agent = make()
    step = mfq.train(view, agent, 20, view.reset(seed=5))
    saved = {name: tensor.clone() for name, tensor in agent.state_dict().items()}
    ahead = [agent.act(step) for _ in range(5)]
    _, other = make()
    other.load_state_dict(saved)
    assert torch.equal(other.table, saved["table"])
    for actions in ahead:
        assert torch.equal(other.act(step), actions)
    saved["table"] = saved["table"][:1]
    with pytest.raises(ValueError, match="shape"):
        other.load_state_dict(saved)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"pairing": "next"}, "pairing"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": "often"}, "learning_rate"),
        ({"gamma": 1.5}, "gamma"),
        ({"iterations": -1}, "iterations"),
        ({"num_states": 3}, "state_of"),
        ({"pairing": "previous", "iterations": 2}, "iterations"),
    ],
)
def test_bad_arguments_are_named(options, argument):
    with pytest.raises(ValueError, match=argument):
        learner(ising_v0.batched_env(side=4), **options)


def test_a_table_too_large_is_refused():
    env = MatrixGame(torch.zeros(1, 12, 12, 2))
    env.num_agents, env.groups, env.neighbor_graph = 9, torch.zeros(9), LatticeGraph(3)
    # Four neighbours' counts of twelve actions make 5^11 cells.
    with pytest.raises(ValueError, match="entries"):
        learner(env)


# -- the games of G4 ----------------------------------------------------------------------------


def aligned(**options):
    """Fig. 2: a 3 x 3 torus that starts all up and stays so under a greedy population."""
    env = ising_v0.batched_env(num_envs=3, side=3, initial="up", max_cycles=None)
    view, agent = learner(env, **options)
    agent.table[..., 1] = 0.01  # just enough for "up"
    mfq.train(view, agent, 3000, view.reset(seed=1))
    return agent.table[:, :, 0, 4, 1]


@pytest.mark.slow
def test_a_aligned_spins_reach_their_reward():
    for rate in (0.1, "visits"):
        q = aligned(gamma=0.0, learning_rate=rate, policy=Boltzmann(1e-3))
        assert torch.allclose(q, torch.full_like(q, 2.0), atol=1e-4)


def test_a_the_update_of_figure_2():
    # The caption's step: Q = .82 meets r = 2 at rate .1 and becomes .938.
    env = ising_v0.batched_env(side=3, initial="up")
    view, agent = learner(env, gamma=0.0, learning_rate=0.1)
    agent.table[0, :, 0, 4, 1] = 0.82
    step = view.reset(seed=0)
    up = torch.ones(1, 9, dtype=torch.int64)
    agent.observe(step, up, view.step(up))
    assert torch.allclose(agent.table[0, :, 0, 4, 1], torch.tensor(0.938))


@pytest.mark.slow
def test_b_with_a_discount_the_value_is_two_over_one_minus_gamma():
    q = aligned(gamma=0.8, learning_rate=0.1, policy=Boltzmann(1e-3))
    assert torch.allclose(q, torch.full_like(q, 2 / (1 - 0.8)), atol=1e-3)


GLIE = Boltzmann(Exponential(5.0, 0.02, 0.998))
ROWS = 64


def play(payoff, next_state=None, steps=4000, policy=GLIE, gamma=0.0):
    """Learns for some steps in 64 rows at once; each row is a run of its own."""
    view, agent = learner(MatrixGame(payoff, next_state, ROWS), gamma=gamma, policy=policy)
    last = mfq.train(view, agent, steps, view.reset())
    return view, agent, last


def share(last, a, b):
    """In how many of the rows the last joint action was (a, b)."""
    return float((last.actions == torch.tensor([a, b])).all(-1).float().mean())


@pytest.mark.slow
def test_c_coordination_finds_the_optimum():
    slow = Boltzmann(Exponential(1.0, 0.02, 0.9993))
    _, agent, last = play(common([[2, 0], [0, 1]]), steps=5000, policy=slow)
    assert share(last, 0, 0) == 1.0
    assert share(last, 1, 1) == 0.0
    assert torch.allclose(agent.table[:, :, 0, 0, 0], torch.tensor(2.0), atol=1e-3)


@pytest.mark.slow
def test_d_the_saddle_point_of_a_zero_sum_game():
    _, agent, last = play(zero_sum([[3, 1], [4, 2]]))
    assert share(last, 1, 1) == 1.0
    # Each one's entry at the saddle: worth 2 to the row player, -2 to the column player.
    assert torch.allclose(agent.table[:, 0, 0, 1, 1], torch.tensor(2.0), atol=1e-3)
    assert torch.allclose(agent.table[:, 1, 0, 1, 1], torch.tensor(-2.0), atol=1e-3)


@pytest.mark.slow
def test_e_matching_pennies_never_settles_as_its_equilibrium_is_mixed():
    # The one equilibrium is mixed and has value 0: assumption A3 (a global optimum or a saddle point
    # of the stage game) fails. Each player answers the other's last action, and the one who wants to
    # differ undoes it, so that greedy play runs in a circle through all four cells.
    view, agent, last = play(zero_sum([[1, -1], [-1, 1]]))
    seen = []
    for _ in range(8):
        last = view.step(agent.act(last, explore=False))
        seen.append(last.actions[:, 0] * 2 + last.actions[:, 1])
    for row in torch.stack(seen, 1):
        assert row[:4].sort().values.tolist() == [0, 1, 2, 3]
        assert torch.equal(row[:4], row[4:])
    # Greedy play believes itself worth 1 to both at once, which no zero-sum game can pay.
    assert (agent.values(last, last.mean_action).amax(-1) > 0.9).all()


@pytest.mark.slow
def test_f_the_climbing_game_is_no_sure_success_as_a3_fails_there():
    # (1, 1) is an equilibrium that is neither the global optimum nor a saddle point, and a miss costs
    # 30. Theorem 1 promises nothing then. Most rows find the optimum (0, 0); the others answer each
    # other's last action for ever, (0, 1) after (1, 0), and no longer explore their way out.
    climbing = common([[11, -30, 0], [-30, 7, 6], [0, 0, 5]])
    view, agent, last = play(climbing, policy=Boltzmann(Exponential(50.0, 0.05, 0.997)))
    assert share(last, 0, 0) < 0.95
    for _ in range(10):
        after = view.step(agent.act(last, explore=False))
        stuck = ((last.actions != 0).any(-1)) & ((after.actions != 0).any(-1))
        assert stuck.float().mean() > 0.05
        last = after


@pytest.mark.slow
def test_g_a_two_state_game_reaches_its_known_q():
    # At (1, 1) in both states, V(0) = 2 + g V(1) and V(1) = +-2 + g V(0).
    gamma = 0.5
    payoff, next_state = two_state_game()
    slow = Boltzmann(Exponential(5.0, 0.02, 0.999))
    _, agent, last = play(payoff, next_state, 8000, slow, gamma)
    assert share(last, 1, 1) == 1.0
    for player, saddle in ((0, 2.0), (1, -2.0)):
        v0 = (2 + gamma * saddle) / (1 - gamma**2)
        v1 = saddle + gamma * v0
        assert torch.allclose(agent.table[:, player, 0, 1, 1], torch.tensor(v0), atol=1e-2)
        assert torch.allclose(agent.table[:, player, 1, 1, 1], torch.tensor(v1), atol=1e-2)


def test_schedules_run_on_the_agents_own_clock():
    greedy_from_50 = EpsilonGreedy(Linear(1.0, 0.0, 50))
    view, agent = learner(MatrixGame(common([[2, 0], [0, 1]])), policy=greedy_from_50, gamma=0.0)
    step = mfq.train(view, agent, 60, view.reset())
    assert agent.time == 60
    agent.act(step, explore=False)
    assert agent.time == 60
    draws = torch.stack([agent.act(step) for _ in range(20)])
    best = agent.values(step, step.mean_action).argmax(-1)
    assert (draws == best).all()
