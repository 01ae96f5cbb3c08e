"""Learners of each type in the games of mfenvs that have several types."""

import pytest
import torch

import mfq
from mfenvs import adversarial_pursuit_v0, combined_arms_v0, tiger_deer_v0
from mfq.agents.registry import make_agent
from mfq.envs.device import OnDevice
from mfq.mean_field import MeanAction
from mfq.replay.compact import CompactReplay

OPTIONS = {
    "adversarial_pursuit_v0": {"map_size": 16, "max_cycles": 12},
    "combined_arms_v0": {"map_size": 16, "max_cycles": 12},
    "tiger_deer_v0": {"map_size": 14, "max_cycles": 12, "counts": {"tiger": 4, "deer": 9}},
}


def leaves(tree):
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in leaves(part)]
    return [tree]


def view_of(**options):
    return mfq.wrap(combined_arms_v0.batched_env(2, map_size=16, max_cycles=9, **options))


@pytest.mark.parametrize("algo", ["mfq", "iql", "ac"])
@pytest.mark.parametrize("game", list(OPTIONS))
def test_they_train_and_resume(game, algo, tmp_path):
    config = {
        "steps": 8,
        "num_envs": 2,
        "env_options": OPTIONS[game],
        "out": None,
        "evaluation": {"every": 0},
    }
    runner = mfq.Runner(game, algo, config)
    runner.train()
    names = runner.view.type_names
    assert list(runner.agent.state_dict()["types"]) == list(names)
    runner.save(tmp_path / "run.safetensors")
    again = mfq.Runner.load(tmp_path / "run.safetensors")
    one, other = runner.agent.state_dict(), again.agent.state_dict()
    for name in names:
        parts = one["types"][name], other["types"][name]
        assert parts[0].keys() == parts[1].keys()
        networks = [part for part in leaves(parts[0]) if torch.is_tensor(part)]
        again_networks = [part for part in leaves(parts[1]) if torch.is_tensor(part)]
        assert all(map(torch.equal, networks, again_networks))
    scores = runner.evaluate()
    assert all(abs(value) < 1e6 for value in scores.values())


def test_the_mean_action_is_over_types_and_actions():
    view = view_of(copied_start=False)
    step = view.reset(seed=0)
    actions = torch.zeros((2, view.num_agents), dtype=torch.int64)
    ranged = view.types == 1
    actions[:, ranged] = 20
    step = view.step(actions)
    assert view.mean_action_dim == 9 + 25
    mean = step.mean_action[0, 0]  # of redmelee_0, over its army
    melee, others = 2, 3
    assert mean[0].item() == pytest.approx(melee / (melee + others))
    assert mean[9 + 20].item() == pytest.approx(others / (melee + others))
    assert mean.sum().item() == pytest.approx(1.0)


def test_observations_at_indices():
    view = view_of()
    step = view.reset(seed=0)
    for k, name in enumerate(view.type_names):
        typed = step.of_type(k)
        members = (view.types == k).nonzero()[:, 0]
        index = torch.cat([members, view.num_agents + members])
        rows = step.obs[name].flatten(0, 1)
        assert torch.equal(typed.obs_at(index), rows)
        assert torch.equal(typed.obs_of_all[:, members], step.obs[name])
        assert typed.active_index.tolist() == index.tolist()


@pytest.mark.parametrize("k", [0, 1])
def test_samples_of_snapshots_are_what_was_observed(k):
    """The observations, actions and mean actions of a compact replay, computed anew."""
    view = view_of(copied_start=False, minimap_mode=True)
    typed, field = view.of_type(k), MeanAction(view.of_type(k))
    assert CompactReplay.refuses(typed, field) is None
    replay = CompactReplay(typed, 4096, 0, field)
    step, played = view.reset(seed=0), {}
    coin = torch.Generator().manual_seed(0)
    for _ in range(6):
        typed_step = step.of_type(k)
        replay.record_snapshot(typed_step)
        draws = torch.rand(step.actions.shape, generator=coin)
        actions = (draws * view.type_specs.counts).long()
        after = view.step(actions)
        learns = typed_step.learners(after.of_type(k))
        replay.add(typed_step, after.of_type(k), learns, {})
        for b, j in learns.nonzero().tolist():
            index = torch.tensor([b * view.num_agents + j])
            seen = {name: part[0].clone() for name, part in typed_step.obs_at(index).items()}
            key = (j, float(after.reward[b, j]), tuple(seen["view"].flatten().tolist()))
            acted = int(after.actions[b, j]), after.mean_action[b, j].tolist()
            played.setdefault(key, []).append((*acted, seen["features"].tolist()))
        step = after
    batch = replay.sample(200)
    assert batch["mean"].shape == (200, 34)
    for m in range(200):
        view_m = tuple(batch["obs.view"][m].flatten().tolist())
        key = (int(batch["agent"][m]), float(batch["reward"][m]), view_m)
        sampled = int(batch["action"][m]), batch["obs.features"][m].tolist()
        near = batch["next_mean"][m].tolist()
        assert any(
            (action, features) == sampled and mean == pytest.approx(near, abs=1e-6)
            for action, mean, features in played[key]
        )


def test_on_another_device_and_with_players():
    view = OnDevice(mfq.wrap(tiger_deer_v0.batched_env(2, **OPTIONS["tiger_deer_v0"])), "cpu")
    agent = make_agent(view, "mfq")
    step = view.reset(seed=0)
    for _ in range(3):
        actions = agent.act(step)
        following = view.step(actions)
        agent.observe(step, actions, following)
        step = following
    env = adversarial_pursuit_v0.batched_env(2, **OPTIONS["adversarial_pursuit_v0"])
    scores = mfq.evaluate(mfq.wrap(env), {"predator": "rush", "prey": "random"}, episodes=2)
    assert scores["predator"]["return"] > scores["prey"]["return"]
