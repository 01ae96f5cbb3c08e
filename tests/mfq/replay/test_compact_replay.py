"""The compact replay: what it gives is what a ring of whole observations gives."""

import pytest
import torch

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.common.config import build
from mfq.mean_field import MeanAction
from mfq.replay import compact as compact_module
from mfq.replay.compact import CompactReplay


def compact_replay(view, capacity=1000):
    return CompactReplay(view, capacity, 0, MeanAction(view))


def add(replay, step, next_step, learns):
    """Adds the transitions; a compact replay does not ask for their fields."""
    replay.add(step, next_step, learns, lambda: pytest.fail("it asked for the fields"))


GAMES = {
    "battle": lambda: battle_v0.batched_env(num_envs=3, map_size=20, max_cycles=12, hp=3.0),
    "battle, all": lambda: battle_v0.batched_env(
        num_envs=3,
        map_size=14,
        max_cycles=9,
        hp=3.0,
        minimap_mode=True,
        extra_features=True,
        placement="paper",
    ),
    "ising": lambda: ising_v0.batched_env(num_envs=2, side=4, max_cycles=5),
    "squeeze": lambda: gaussian_squeeze_v0.batched_env(num_envs=2, num_agents=6, max_cycles=5),
}


def agents_after(make, steps, mine=None, **options):
    """Two agents that saw and did the same, one with a ring and one with a compact replay."""
    found = []
    for replay in ("ring", "compact"):
        view = mfq.wrap(make())
        default = QConfig(
            exploration={"policy": "epsilon_greedy", "start": 1.0, "end": 1.0},
            replay={"learning_starts": 10**9, "kind": replay, "size": 5000},
            optimizer={"batch_size": 64},
        )
        agent = QAgent(view, config=build(QConfig, options, default), seed=1)
        step = view.reset(seed=2)
        for _ in range(steps):
            if mine is not None:
                step = step.for_player(mine.expand_as(step.alive))
            actions = agent.act(step)
            others = view.scripted("rush") if "rush" in view.scripts else actions
            next_step = view.step(actions.where(actions >= 0, others))
            agent.observe(step, actions, next_step)
            step = next_step
        found.append(agent)
    return found


def assert_alike(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert torch.equal(values, other[name]), name


@pytest.mark.parametrize("pairing", ["current", "previous"])
@pytest.mark.parametrize("game", list(GAMES))
def test_both_replays_give_the_same_batches(game, pairing):
    ring, compact = agents_after(GAMES[game], 40, pairing=pairing)
    assert len(ring.replay) == len(compact.replay) > 200
    for _ in range(5):
        assert_alike(ring.replay.sample(64), compact.replay.sample(64))


@pytest.mark.parametrize("options", [{"gamma": 0.0}, {"replay": {"size": 150}}])
def test_also_without_a_next_state_and_when_the_oldest_have_gone(options):
    ring, compact = agents_after(GAMES["battle"], 40, **options)
    if "replay" in options:  # those who are there take room, so that a little less may be
        assert 0 < len(compact.replay) <= len(ring.replay) == 150
        # The newest are there, in order.
        size = len(compact.replay)
        newest = torch.arange(ring.replay.added - size, ring.replay.added) % 150
        places = compact.replay.state_dict()["transitions"]["place"][newest].long()
        agents = ring.replay.state_dict()["fields"]["agent"][newest]
        assert torch.equal(agents, places % compact.view.num_agents)
    else:
        assert_alike(ring.replay.sample(64), compact.replay.sample(64))


@pytest.mark.slow
@pytest.mark.parametrize("mean_field", [True, False])
def test_an_actor_critic_learns_the_same_from_either(mean_field, monkeypatch):
    found = []
    for large in (64, 10**9):
        monkeypatch.setattr(compact_module, "LARGE", large)
        view = mfq.wrap(GAMES["battle"]())
        config = ACConfig(
            replay={"learning_starts": 100},
            optimizer={"batch_size": 16},
            network={"hidden": (8,), "mean_hidden": (8,)},
        )
        agent = ActorCritic(view, mean_field, config, seed=1)
        assert isinstance(agent.replay, CompactReplay) == (large == 64)
        mfq.train(view, agent, 15)
        assert agent.updates > 5
        found.append([part.clone() for part in agent.online.parameters()])
    assert all(map(torch.equal, *found))


def test_only_those_it_plays_are_learned_from():
    mine = (torch.arange(24) < 12)[None]
    ring, compact = agents_after(GAMES["battle"], 30, mine=mine)
    assert len(ring.replay) == len(compact.replay) > 50
    batch = compact.replay.sample(200)
    assert batch["agent"].max() < 12


@pytest.mark.parametrize("few", [False, True])
def test_an_old_moment_is_never_mixed_with_a_new_one(few):
    """A small ring that has gone round many times still pairs each state with what came of it.

    If few learn, moments go before there are more places than fit.
    """
    view = mfq.wrap(GAMES["battle, all"]())
    replay = compact_replay(view, 60)
    step, coin = view.reset(seed=1), torch.Generator().manual_seed(0)
    outcomes = {}
    for time in range(60):
        replay.record_snapshot(step)
        actions = torch.randint(0, 21, step.actions.shape, generator=coin)
        next_step = view.step(actions)
        learns = next_step.acting & ~next_step.reset[:, None]
        if few:
            learns[:, 1:] = False
        for row, agent in learns.nonzero().tolist():
            key = step.obs["view"][row, agent].sum().item(), agent, actions[row, agent].item()
            outcomes.setdefault(key, []).append(
                (
                    next_step.reward[row, agent].item(),
                    next_step.obs["view"][row, agent].sum().item(),
                )
            )
        add(replay, step, next_step, learns)
        step = next_step
        if not len(replay):
            continue
        batch = replay.sample(20)
        for m in range(20):
            key = (
                batch["obs.view"][m].sum().item(),
                batch["agent"][m].item(),
                batch["action"][m].item(),
            )
            outcome = batch["reward"][m].item(), batch["next_obs.view"][m].sum().item()
            assert outcome in outcomes[key], time


def test_what_resumes_goes_on_with_the_same_draws():
    view = mfq.wrap(GAMES["battle"]())
    config = QConfig(
        exploration={"policy": "epsilon_greedy"},
        replay={"learning_starts": 50, "size": 300},
        optimizer={"batch_size": 16},
    )
    agent = QAgent(view, config=config, seed=3)
    assert isinstance(agent.replay, CompactReplay)
    step = mfq.train(view, agent, 30)
    kept = torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, agent.state_dict())
    world = torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, view.state_dict())
    mfq.train(view, agent, 30, step=step)

    other_view = mfq.wrap(GAMES["battle"]())
    other = QAgent(other_view, config=config, seed=9)
    other_view.reset(seed=5)
    other.load_state_dict(kept)
    mfq.train(other_view, other, 30, step=other_view.load_state_dict(world))
    for mine, theirs in zip(agent.module.parameters(), other.module.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert agent.replay.added == other.replay.added
    assert_alike(agent.replay.sample(50), other.replay.sample(50))


def test_what_does_not_fit_is_not_taken_up():
    _, agent = agents_after(GAMES["battle"], 5)
    state = agent.replay.state_dict()
    view = mfq.wrap(GAMES["battle"]())
    with pytest.raises(ValueError, match=r"the replay has added; allowed: added, oldest, moments"):
        compact_replay(view, 5000).load_state_dict({"added": 0})
    with pytest.raises(ValueError, match=r"place has \d+ transitions; allowed: 100"):
        compact_replay(view, 100).load_state_dict(state)
    other = mfq.wrap(battle_v0.batched_env(num_envs=2, map_size=20))
    with pytest.raises(ValueError, match="the moments are of 3 rows; allowed: 2"):
        compact_replay(other, 5000).load_state_dict(state)


def test_a_world_that_starts_anew_does_not_continue_an_old_moment():
    view = mfq.wrap(GAMES["battle"]())
    agent = QAgent(view, config=QConfig(replay={"learning_starts": 10**9}), seed=3)
    mfq.train(view, agent, 20)
    other = QAgent(view, config=QConfig(replay={"learning_starts": 10**9}), seed=3)
    other.load_state_dict(agent.state_dict())
    moments = other.replay.state_dict()["moments"]["count"]
    mfq.train(view, other, 1)  # resets
    assert other.replay.state_dict()["moments"]["count"] == moments + 2


def bytes_kept(replay):
    """Of all that a checkpoint of it holds, and so of the memory that is filled."""
    tensors = torch.utils._pytree.tree_leaves(replay.state_dict())
    return sum(part.nbytes for part in tensors if isinstance(part, torch.Tensor))


@pytest.mark.parametrize(("player", "most"), [("stay", 38), ("rush", 42)])
def test_bytes_of_a_transition(player, most):
    """Of the paper's game, while all live and while two armies die."""
    view = mfq.wrap(battle_v0.batched_env(num_envs=4, **battle_v0.PAPER))
    agent = QAgent(view, config=QConfig(replay={"learning_starts": 10**9}))
    mine = torch.arange(128) < 64
    step, lived = view.reset(seed=0), []
    for _ in range(60):
        step = step.for_player(mine.expand_as(step.alive))
        agent.act(step)
        actions = (
            view.scripted("rush")
            if player == "rush"
            else step.scatter_actions(6, step.active_index)
        )
        next_step = view.step(actions)
        agent.observe(step, actions, next_step)
        step = next_step
        lived.append(step.alive.float().mean().item())
    assert (min(lived) < 0.4) == (player == "rush")
    assert (len(agent.replay) == 64 * 4 * 60) == (player == "stay")
    slots = len(agent.replay.state_dict()["began"])
    fixed = 8 * 2 * slots + 5_000  # two lists of the slots, and the generator
    assert (bytes_kept(agent.replay) - fixed) / len(agent.replay) <= most


def test_what_cannot_be_kept_compactly_is_named():
    near = mfq.wrap(battle_v0.batched_env(map_size=12, neighbor_radius=3.0))
    with pytest.raises(ValueError, match=r"replay.kind='compact': the neighbour graph moves"):
        QAgent(near, config=QConfig(replay={"kind": "compact"}))
    assert not isinstance(QAgent(near).replay, CompactReplay)
    alone = mfq.wrap(battle_v0.parallel_env(map_size=12))
    with pytest.raises(ValueError, match="no snapshots"):
        QAgent(alone, config=QConfig(replay={"kind": "compact"}))
    view = mfq.wrap(GAMES["battle"]())
    with pytest.raises(ValueError, match="iterations=2"):
        QConfig(replay={"kind": "compact"}, iterations=2)
    assert not isinstance(QAgent(view, config=QConfig(iterations=2)).replay, CompactReplay)
    with pytest.raises(ValueError, match="view: the neighbour graph moves"):
        compact_replay(near, 10)
    replay = compact_replay(view, 10)
    with pytest.raises(ValueError, match="the replay is empty"):
        replay.sample(1)
    step = view.reset()
    with pytest.raises(RuntimeError, match="a step that was not recorded"):
        add(replay, step, view.step(step.actions), step.alive)


def test_a_moment_is_kept_only_with_what_it_led_to():
    view = mfq.wrap(GAMES["battle"]())
    replay = compact_replay(view)
    step = view.reset(seed=1)
    replay.record_snapshot(step)
    assert replay.state_dict()["moments"] is None
    next_step = view.step(step.actions)
    add(replay, step, next_step, step.alive)
    assert replay.state_dict()["moments"]["count"] == 2
    early, step = view.reset(seed=2), view.reset(seed=3)
    for other in (early, step):  # as evaluations see other episodes
        replay.record_snapshot(other)
    assert replay.state_dict()["moments"]["count"] == 2
    next_step = view.step(step.actions)
    add(replay, step, next_step, step.alive)
    assert replay.state_dict()["moments"]["count"] == 4
    with pytest.raises(RuntimeError, match="a step that was not recorded"):
        add(replay, early, next_step, step.alive)


def test_steps_in_which_nobody_learns_leave_it_empty():
    view = mfq.wrap(GAMES["battle"]())
    replay = compact_replay(view)
    step = view.reset(seed=1)
    replay.record_snapshot(step)
    add(replay, step, view.step(step.actions), torch.zeros_like(step.alive))
    with pytest.raises(ValueError, match="the replay is empty"):
        replay.sample(1)
