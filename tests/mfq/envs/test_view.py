"""`wrap`: every kind of environment as the same tensors."""

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch
from gymnasium import spaces

import mfq
from mfenvs import battle_v0, ising_v0
from mfenvs.graph import CompleteGraph, EdgesGraph, LatticeGraph


class Mortal(pettingzoo.ParallelEnv):
    """Agents observe the time and choose from three actions; agent ``wolf_i`` dies at step i + 1."""

    metadata = {"name": "mortal_v0", "render_modes": []}  # noqa: RUF012

    def __init__(self, wolves=2, sheep=2, max_cycles=4, masks=None):
        self.possible_agents = [f"wolf_{i}" for i in range(wolves)]
        self.possible_agents += [f"sheep_{i}" for i in range(sheep)]
        self.max_cycles, self.masks = max_cycles, masks
        self.spaces = {a: spaces.Box(0, 99, (2,), np.float32) for a in self.possible_agents}
        self.choices = {a: spaces.Discrete(3, start=5) for a in self.possible_agents}
        self.agents, self.sent = [], []

    def observation_space(self, agent):
        return self.spaces[agent]

    def action_space(self, agent):
        return self.choices[agent]

    def _obs(self, agents):
        return {a: np.array([self.time, 7], np.float32) for a in agents}

    def _infos(self, agents):
        return {a: {"action_mask": self.masks[a]} if self.masks else {} for a in agents}

    def reset(self, seed=None, options=None):
        self.agents, self.time = list(self.possible_agents), 0
        return self._obs(self.agents), self._infos(self.agents)

    def step(self, actions):
        self.sent.append(actions)
        self.time += 1
        living = self.agents
        dies = {a: a == f"wolf_{self.time - 1}" for a in living}
        over = self.time >= self.max_cycles
        self.agents = [] if over else [a for a in living if not dies[a]]
        return (
            self._obs(living),
            {a: float(self.time) for a in living},
            dies,
            {a: over and not dies[a] for a in living},
            self._infos(living),
        )


def all_choose(view, action):
    return torch.full((view.num_envs, view.num_agents), action)


def test_deaths_and_the_end_of_an_episode():
    env = Mortal()
    view = mfq.wrap(env)
    assert (view.num_envs, view.num_agents, view.num_actions) == (1, 4, 3)
    assert view.groups.tolist() == [0, 0, 1, 1]
    step = view.reset(seed=0)
    assert step.obs[0].tolist() == [[0, 7]] * 4
    assert step.actions.tolist() == [[-1] * 4]
    assert step.alive.all()
    assert not step.reset.logical_not().any()

    step = view.step(all_choose(view, 2))
    assert env.sent[-1] == dict.fromkeys(env.possible_agents, 7)  # 2, counted from start=5
    assert step.terminated.tolist() == [[True, False, False, False]]
    assert step.alive.tolist() == [[False, True, True, True]]
    assert step.acting.all()
    assert step.actions.tolist() == [[2] * 4]
    assert step.obs[0].tolist() == [[0, 0], [1, 7], [1, 7], [1, 7]]

    step = view.step(all_choose(view, 0))
    assert "wolf_0" not in env.sent[-1]
    assert step.actions.tolist() == [[-1, 0, 0, 0]]
    assert step.acting.tolist() == [[False, True, True, True]]
    assert step.reward.tolist() == [[0.0, 2.0, 2.0, 2.0]]
    assert step.terminated.tolist() == [[False, True, False, False]]

    view.step(all_choose(view, 0))
    step = view.step(all_choose(view, 0))
    assert step.truncated.all()
    # Time ran out on them; they did not die.
    assert step.alive.tolist() == [[False, False, True, True]]
    assert not step.terminated.any()

    sent = len(env.sent)
    step = view.step(all_choose(view, 1))
    assert step.reset.all()
    assert len(env.sent) == sent
    assert step.alive.all()
    assert not step.reward.any()


def test_the_mean_action_counts_those_alive_when_they_chose():
    view = mfq.wrap(Mortal(wolves=3, sheep=0))
    view.reset()
    step = view.step(torch.tensor([[0, 1, 1]]))
    # wolf_0 died in this step, but it chose: the others hear it.
    assert step.mean_action[0].tolist() == [[0, 1, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]]
    step = view.step(torch.tensor([[0, 1, 2]]))
    assert step.mean_action[0].tolist() == [[0, 0.5, 0.5], [0, 0, 1], [0, 1, 0]]


def test_masks_come_from_infos():
    masks = {a: np.array([1, 0, 1], np.int8) for a in Mortal().possible_agents}
    view = mfq.wrap(Mortal(masks=masks))
    assert view.reset().action_mask.tolist() == [[[1, 0, 1]] * 4]
    assert mfq.wrap(Mortal()).reset().action_mask is None


def test_a_batched_env_passes_through():
    env = ising_v0.batched_env(num_envs=3, side=4, update="checkerboard")
    view = mfq.wrap(env)
    assert mfq.wrap(view) is view
    step = view.reset(seed=0)
    assert step.obs.shape == (3, 16, 2)
    assert step.action_mask.shape == (3, 16, 2)
    assert isinstance(view.graph, LatticeGraph)
    after = view.step(torch.ones(3, 16, dtype=torch.int64))
    hot = torch.nn.functional.one_hot(after.actions, 2).double().numpy()
    expected = LatticeGraph(4).mean(hot, np.ones((3, 16), bool))
    assert np.allclose(after.mean_action.numpy(), expected)
    # Two sets of buffers take turns: the step before is still whole.
    assert torch.equal(step.obs, mfq.wrap(env).env.observe(snapshot_after_reset(3), None, None))
    assert view.snapshot().packed.shape == (3, 2)


def snapshot_after_reset(num_envs):
    twin = ising_v0.batched_env(num_envs=num_envs, side=4, update="checkerboard")
    twin.reset(seed=0)
    return twin.snapshot()


def test_the_pettingzoo_view_of_ising_equals_the_batched_one():
    batched = mfq.wrap(ising_v0.batched_env(side=4, update="random", max_cycles=5))
    parallel = mfq.wrap(ising_v0.parallel_env(side=4, update="random", max_cycles=5))
    aec = mfq.wrap(ising_v0.env(side=4, update="random", max_cycles=5))
    steps = [view.reset(seed=3) for view in (batched, parallel, aec)]
    coin = torch.Generator().manual_seed(0)
    for _ in range(12):
        for name in ("obs", "reward", "terminated", "truncated", "acting", "actions", "reset"):
            for other in steps[1:]:
                assert torch.equal(getattr(steps[0], name), getattr(other, name)), name
        for other in steps[1:]:
            assert torch.equal(steps[0].action_mask, other.action_mask)
            assert torch.allclose(steps[0].mean_action, other.mean_action)
        actions = torch.randint(0, 2, (1, 16), generator=coin)
        steps = [view.step(actions) for view in (batched, parallel, aec)]


def test_a_gymnasium_env_is_one_agent_without_neighbours():
    view = mfq.wrap(gymnasium.make("CartPole-v1"))
    assert (view.num_envs, view.num_agents, view.num_actions) == (1, 1, 2)
    step = view.reset(seed=0)
    assert step.obs.shape == (1, 1, 4)
    resets = 0
    for _ in range(40):
        step = view.step(torch.zeros(1, 1, dtype=torch.int64))
        assert not step.mean_action.any()
        resets += int(step.reset)
    assert resets >= 2


def test_graphs_of_the_users_choice():
    env = Mortal()
    edges = np.array([[0, 1], [2, 3]])
    for graph in (EdgesGraph(edges, 4), lambda _: edges, lambda _: EdgesGraph(edges, 4)):
        view = mfq.wrap(env, graph=graph)
        view.reset()
        step = view.step(torch.tensor([[0, 1, 2, 2]]))
        assert step.mean_action[0].tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    # By default, a complete graph within each group, which the names tell.
    assert mfq.wrap(env).graph.neighbors(2).tolist() == [3]


def test_a_graph_that_moves_is_taken_when_the_actions_were_chosen():
    env = Mortal(wolves=0, sheep=3, max_cycles=9)

    def follow(env):
        return np.array([[0], [1 if getattr(env, "time", 0) == 0 else 2]])

    view = mfq.wrap(env, graph=follow)
    view.reset()
    step = view.step(torch.tensor([[0, 1, 2]]))
    assert step.mean_action[0, 0].tolist() == [0, 1, 0]
    assert step.graph.neighbors(0).tolist() == [2]


class Staggered(Mortal):
    """``wolf_0`` runs out of time at step 2, everybody else at step 4; states are counted from 1."""

    def observation_space(self, agent):
        return spaces.Discrete(9, start=1)

    def _obs(self, agents):
        return dict.fromkeys(agents, self.time + 1)

    def step(self, actions):
        obs, rewards, dies, late, infos = super().step(actions)
        dies = dict.fromkeys(dies, False)
        late = {agent: late[agent] or (agent == "wolf_0" and self.time == 2) for agent in late}
        self.agents = [agent for agent in obs if not late[agent]]
        return obs, rewards, dies, late, infos


def test_an_episode_is_over_when_the_last_agent_is():
    view = mfq.wrap(Staggered())
    view.reset()
    ends = [bool(view.step(all_choose(view, 0)).truncated) for _ in range(4)]
    assert ends == [False, False, False, True]


def test_the_absent_observe_something_their_space_has():
    view = mfq.wrap(Staggered())
    view.reset()
    for _ in range(3):
        step = view.step(all_choose(view, 0))
    assert step.obs.tolist() == [[1, 4, 4, 4]]
    mfq.QAgent(view).act(step)


class Uneven(Mortal):
    def action_space(self, agent):
        return spaces.Discrete(4) if agent == "sheep_1" else self.choices[agent]


class Continuous(Mortal):
    def action_space(self, agent):
        return self.spaces[agent]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: mfq.wrap(object()), TypeError, "object"),
        (lambda: mfq.QAgent(mfq.wrap(Uneven())), ValueError, "several types"),
        (lambda: mfq.wrap(Continuous()), ValueError, "'wolf_0' acts in Box"),
        (lambda: mfq.wrap(Mortal(), graph=CompleteGraph(3)).graph, ValueError, "3 agents"),
        (lambda: mfq.wrap(mfq.wrap(Mortal()), graph=CompleteGraph(4)), ValueError, "graph"),
        (lambda: mfq.wrap(Mortal()).snapshot(), AttributeError, "snapshots"),
    ],
)
def test_what_cannot_be_wrapped_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_who_has_to_choose_is_alive_and_mine():
    view = mfq.wrap(Mortal())
    step = view.reset(seed=0)
    assert step.active_index.tolist() == [0, 1, 2, 3]
    step = view.step(all_choose(view, 0))  # wolf_0 dies
    assert step.active_index.tolist() == [1, 2, 3]
    given = step.for_player(torch.tensor([[True, True, False, True]]))
    assert given.active_index.tolist() == [1, 3]
    assert given.obs_at(given.active_index).tolist() == [[1, 7]] * 2
    assert given.mean_action is step.mean_action


def test_scripted_players_of_an_environment():
    env = battle_v0.batched_env(num_envs=2, map_size=12)
    view = mfq.wrap(env)
    step = view.reset(seed=0)
    assert set(view.scripts) == set(env.game.scripts)
    assert torch.equal(view.scripted("rush"), env.scripted("rush"))
    assert step.obs_at(step.active_index[:3])["view"].shape == (3, 13, 13, 5)
    assert mfq.wrap(Mortal()).scripts == ()
    with pytest.raises(ValueError, match="no script"):
        mfq.wrap(Mortal()).scripted("rush")


def test_a_view_prints_its_sizes():
    view = mfq.wrap(ising_v0.batched_env(2, side=3))
    assert repr(view) == "BatchedView(2 rows, 9 agents, 2 actions, groups lattice, cpu)"
    view = mfq.wrap(Mortal(), types=lambda agent: agent.partition("_")[0])
    assert str(view) == (
        "ParallelView(1 row, 4 agents of types wolf, sheep, groups wolf, sheep, cpu)"
    )
