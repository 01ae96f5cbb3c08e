"""Where parts meet: several learners, targets, workers, files, and who checks whose results."""

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents.by_type import PlayerByType
from mfq.agents.loop import check_actions
from mfq.envs import lookup
from mfq.matches.players import player_of_code
from tests.fakes.meadow import Meadow
from tests.fakes.scenes import TWO, Scene, box, number

BATCH = {"replay": {"learning_starts": 8}, "optimizer": {"batch_size": 4}}


def act(view, *actions):
    return view.step(torch.tensor([actions]))


@pytest.mark.parametrize("critic", ["q", "v", None])
def test_each_type_scales_by_the_rewards_of_its_agents_alone(critic):
    """A wolf earns 1 for action 2; a sheep earns nothing."""
    env = Meadow(prize=8.0)
    env.earn = lambda agent, action, time: 8.0 * agent.startswith("wolf")
    view = mfq.wrap(env)
    options = BATCH if critic != "v" else {"rollout": {"steps": 5}}
    if critic is None:
        make = lambda its, seed: mfq.QAgent(  # noqa: E731
            its, config=mfq.QConfig(reward_scale="auto", **options), seed=seed
        )
    else:
        config = mfq.ACConfig(critic=critic, reward_scale="auto", **options)
        make = lambda its, seed: mfq.ActorCritic(its, config=config, seed=seed)  # noqa: E731
    agent = mfq.ByType(view, make)
    mfq.train(view, agent, 6)
    scales = [float(part.reward_scale.scale) for part in agent.parts]
    counts = [float(part.reward_scale.count) for part in agent.parts]
    assert dict(zip(agent.names, scales, strict=True)) == {"wolf": 8.0, "sheep": 1.0}
    assert dict(zip(agent.names, counts, strict=True)) == {"wolf": 12.0, "sheep": 6.0}


def test_the_targets_of_an_actor_critic_have_its_statistics():
    view = mfq.wrap(Scene(TWO, [list(TWO)] * 6, number))
    agent = mfq.ActorCritic(view, config=mfq.ACConfig(network={"normalize": True}, **BATCH))
    mfq.train(view, agent, 12)
    pairs = list(zip(agent.online.buffers(), agent.target.buffers(), strict=True))
    assert len(pairs) == 6
    assert all(torch.equal(*pair) for pair in pairs)
    assert float(pairs[0][0]) > 0


class Flagged(Scene):
    """Flags everybody by ``__all__`` in the second step, in which a_1 is born."""

    flags = ("__all__", "__all__")

    def step(self, actions):
        obs, rewards, dead, late, infos = super().step(actions)
        for name, flags in zip(self.flags, (dead, late), strict=True):
            flags.clear()
            flags[name] = self.time == 2
        self.agents = list(self.present[min(self.time, 2)])
        return obs, rewards, dead, late, infos


def test_the_shared_flags_of_rllib_end_the_newborn_too():
    env = Flagged(TWO, [["a_0"], ["a_0"], list(TWO), list(TWO)], number)
    view = mfq.wrap(env)
    for flags, died in ((("__all__", "a_0"), [False, True]), (("a_0", "__all__"), [True, False])):
        env.flags = flags  # the flag of an agent goes before that of everybody
        view.reset()
        act(view, 0, 0)
        step = act(view, 0, 0)
        assert bool(step.ended)
        assert step.terminated.tolist() == [died]
        assert step.alive.tolist() == [[not each for each in died]]


def test_with_both_shared_flags_everybody_has_died():
    env = Flagged(TWO, [list(TWO)] * 4, number)
    view = mfq.wrap(env)
    view.reset()
    act(view, 0, 0)
    step = act(view, 0, 0)
    assert step.terminated.all()
    assert (bool(step.truncated), bool(step.ended)) == (False, True)


def test_each_worker_is_limited_and_says_whether():
    view = mfq.Workers(partial(gymnasium.make, "CliffWalking-v1"), 2, 2)
    try:
        assert view.limit_episodes(2)
        view.reset(seed=0)
        for _ in range(2):
            step = view.step(torch.zeros(2, 1, dtype=torch.int64))
        assert step.truncated.tolist() == [True, True]
    finally:
        view.close()
    view = mfq.Workers(partial(gymnasium.make, "CartPole-v1"), 1)
    try:
        assert view.limit_episodes(2) is False
    finally:
        view.close()


class Starts(gymnasium.Env):
    """Two agents, of which the first has ended after a step; keeps what it is sent."""

    observation_space = spaces.Tuple([box(1), box(1)])
    action_space = spaces.Tuple([spaces.MultiDiscrete([2, 2], start=[3, 5]), spaces.Discrete(2)])

    def __init__(self):
        self.sent = []

    def reset(self, seed=None, options=None):
        return (np.zeros(1, np.float32),) * 2, {}

    def step(self, actions):
        self.sent.append(actions)
        return (np.zeros(1, np.float32),) * 2, 0.0, [True, False], len(self.sent) > 1, {}


def test_who_has_left_a_tuple_is_sent_the_first_action_of_its_space():
    view = mfq.wrap(Starts())
    view.reset()
    act(view, 3, 1)
    act(view, -1, 1)
    assert [sent[0].tolist() for sent in view.env.env.sent] == [[4, 6], [3, 5]]
    assert view.env.env.sent[1][0] in Starts.action_space[0]


class Plays(mfq.Player):
    def __init__(self, actions):
        self.actions = torch.tensor([actions])

    def act(self, step, explore=True):
        return self.actions


def test_actions_below_minus_one_are_named():
    view = mfq.wrap(Scene(TWO, [list(TWO)] * 3, number))
    with pytest.raises(ValueError, match=r"the action -2 for agent 1 of row 0; allowed: 0 to 1"):
        check_actions(Plays([-1, -2]), torch.tensor([[-1, -2]]), view.reset())


def test_a_player_of_one_type_is_named_if_its_actions_are_those_of_another():
    view = mfq.wrap(Meadow())  # a sheep has two actions, a wolf three
    player = PlayerByType(view.type_names, [mfq.Random(), Plays([2, 2, 2])])
    with pytest.raises(ValueError, match=r"Plays.act returned the action 2 .* allowed: 0 to 1"):
        player.act(view.reset())


@pytest.fixture
def code(tmp_path, monkeypatch):
    """The name of a module with functions that make players."""
    name = f"made_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(
        "import mfq\nviews = []\n"
        "def required(its):\n    views.append(its)\n    return mfq.Random()\n"
        "def by_keyword(*, its):\n    return mfq.Random()\n"
    )
    (tmp_path / f"{name}_needs.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.chdir(tmp_path)
    return name


def test_a_required_parameter_is_the_view_whatever_its_name(code):
    view = mfq.wrap(Meadow())
    player_of_code(f"{code}:required", view)
    assert lookup.find(f"{code}:views") == [view]
    with pytest.raises(TypeError, match=r"by_keyword takes \(\*, its\); allowed: the view, or no"):
        player_of_code(f"{code}:by_keyword", view)


def test_a_module_that_a_named_one_lacks_is_named_itself(code):
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        lookup.find(f"{code}_needs:x")


class Keeps(nn.Module):
    def forward(self, obs):
        self.given = {name: tuple(part.shape) for name, part in obs.items()}
        return torch.zeros(1, 2)


def test_channels_first_turns_pictures_alone():
    parts = {"eye": np.zeros((6, 5, 3), np.float32), "body": np.zeros((2, 4), np.float32)}
    space = spaces.Dict({name: box(*part.shape) for name, part in parts.items()})
    cast = {"a_0": (space, spaces.Discrete(2))}
    view, module = mfq.wrap(Scene(cast, [["a_0"]] * 3, lambda agent, time: parts)), Keeps()
    mfq.ModulePlayer(module, channels_first=True).act(view.reset())
    assert module.given == {"eye": (1, 3, 6, 5), "body": (1, 2, 4)}


def squeeze(**options):
    return gaussian_squeeze_v0.parallel_env(**{"num_agents": 4, "max_cycles": 3, **options})


def test_another_environment_does_not_get_the_options_of_the_runs(tmp_path):
    options = {"steps": 2, "quiet": True, "env_options": {"num_agents": 4, "max_cycles": 9}}
    mfq.Runner("gaussian_squeeze_v0", config={**options, "out": str(tmp_path)}).train()
    name = f"{__name__}:squeeze"
    assert mfq.Runner.load(tmp_path, name, out=None).evaluate(1)["length"] == 3
