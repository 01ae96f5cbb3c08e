"""Views with tensors on another device than the environment's."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

import mfq
from mfenvs import battle_v0
from mfenvs.graph import NeighborGraph
from mfq.envs.device import to_device
from mfq.envs.parallel import ParallelView
from tests.fakes.meadow import Meadow, make, ring
from tests.fakes.scenes import Scene, box
from tests.mfq.envs.test_parallel_view import with_mask

META = torch.device("meta")


def tensors(tree):
    """All tensors in nested dicts."""
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in tensors(part)]
    return [tree] if isinstance(tree, Tensor) else []


def deaths():
    """Masks, a death, and observations in parts."""
    space = spaces.Dict({"observation": box(1), "action_mask": spaces.MultiBinary(2), "x": box(2)})
    cast = {f"a_{i}": (space, spaces.Discrete(2)) for i in range(3)}
    present = [["a_0", "a_1"], list(cast), ["a_0", "a_2"], ["a_0", "a_2"]]

    def observe(agent, time):
        return {**with_mask(agent, time), "x": np.full(2, time, np.float32)}

    return Scene(cast, present, observe, dies={"a_1": 2})


VIEWS = {
    "types": lambda: mfq.wrap(Meadow(), graph=ring),
    "copies": lambda: mfq.wrap([Meadow(), Meadow(4)]),
    "deaths": lambda: mfq.wrap(deaths()),
    "moving": lambda: mfq.wrap([deaths(), deaths()], graph=lambda env: [[0, 1], [env.time % 3, 2]]),
    "batch": lambda: mfq.wrap(battle_v0.batched_env(2, map_size=12, minimap_mode=True)),
    "magent's": lambda: mfq.wrap(battle_v0.parallel_env(map_size=12, max_cycles=5)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_every_tensor_of_a_step_is_on_the_device(name):
    view = VIEWS[name]()
    there = mfq.OnDevice(view, "meta")
    step = there.reset(seed=0)
    of_step = {field.name: getattr(step, field.name) for field in fields(step)}
    by_name = {key: tensors(value) for key, value in of_step.items()}
    assert {leaf.device for leaves in by_name.values() for leaf in leaves} == {META}
    assert {"obs", "reward", "alive", "actions", "known_mean_action"} <= {
        key for key, leaves in by_name.items() if leaves
    }
    assert step.mean_action.device == there.groups.device == there.types.device == META
    if step.types is not None:
        assert step.types is there.type_specs
        for each in (step.types.of, step.types.counts, step.types.offsets):
            assert each.device == META
        typed = step.of_type(1)
        assert {leaf.device for leaf in tensors(vars(typed))} == {META}
    assert step.action_mask is None or step.action_mask.device == META


@pytest.mark.parametrize("name", VIEWS)
def test_it_has_the_sizes_and_the_steps_of_its_view(name):
    alone, view = VIEWS[name](), VIEWS[name]()
    there = mfq.OnDevice(view, "cpu")
    names = ["num_envs", "num_agents", "agents", "group_names", "type_names", "mean_action_dim"]
    names += ["match_measure", "ends", "scripts"]
    for each in names:
        assert getattr(there, each) == getattr(alone, each), each
    if alone.type_specs is None:
        assert there.observation_space == alone.observation_space
        assert there.num_actions == alone.num_actions
    else:
        with pytest.raises(ValueError, match="of several types"):
            there.action_space  # noqa: B018
        assert there.of_type(1).observation_space == alone.of_type(1).observation_space
    random = mfq.Random(0), mfq.Random(0)
    steps = alone.reset(seed=3), there.reset(seed=3)
    for _ in range(9):
        one, other = steps
        for field in fields(one):
            if field.name in ("number", "known_mean_action", "types"):
                continue
            before, after = getattr(one, field.name), getattr(other, field.name)
            assert len(tensors({"": before})) == len(tensors({"": after})), field.name
            assert all(map(torch.equal, tensors({"": before}), tensors({"": after}))), field.name
            if isinstance(before, NeighborGraph):
                assert isinstance(after, type(before))
        assert torch.equal(one.mean_action, other.mean_action)
        actions = [player.act(step) for player, step in zip(random, steps, strict=True)]
        steps = alone.step(actions[0]), there.step(actions[1])
        assert torch.equal(*actions)
    there.close()


@pytest.mark.parametrize("algo", ["mfq", "mfac"])
@pytest.mark.parametrize("name", ["types", "copies", "deaths", "moving"])
def test_training_through_it_is_training_without_it(name, algo):
    options = {"replay": {"learning_starts": 10}, "optimizer": {"batch_size": 8}}
    config = {"agent": options, "steps": 40, "quiet": True}
    results = []
    for wrapped in (False, True):
        view = VIEWS[name]()
        runner = mfq.Runner(mfq.OnDevice(view, "cpu") if wrapped else view, algo, config)
        runner.train()
        modules = [part.module for part in runner.agent.parts]
        results.append([weight for module in modules for weight in module.parameters()])
        results[-1] += [torch.tensor(mfq.evaluate(runner.view, runner.agent, 2)["length"])] * (
            name != "types"
        )
    assert all(map(torch.equal, *results))


def test_a_batch_is_scripted_saved_and_loaded_through_it():
    view = mfq.OnDevice(VIEWS["batch"](), "cpu")
    step = view.reset(seed=0)
    assert torch.equal(view.scripted("rush"), view.view.scripted("rush"))
    assert not view.has_snapshots
    assert view.env is view.view.env
    step = view.step(view.scripted("rush"))
    state = view.state_dict()
    twin = mfq.OnDevice(VIEWS["batch"](), "cpu")
    loaded = twin.load_state_dict(state)
    assert torch.equal(loaded.mean_action, step.mean_action)
    assert all(map(torch.equal, tensors(loaded.obs), tensors(step.obs)))
    there = mfq.OnDevice(VIEWS["batch"](), "meta")
    there.reset(seed=0)
    assert there.scripted("rush").device == META


def test_actions_are_copied_to_the_environments_device():
    view = mfq.OnDevice(mfq.wrap(Meadow()), "meta")
    step, sent = view.reset(), []
    view.view.step = sent.append
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        view.step(step.actions)
    assert sent == []


def test_a_run_on_a_device_plays_its_environments_there(monkeypatch):
    """The views of a Runner, of each form of an environment."""
    made = []
    monkeypatch.setattr(
        "mfq.training.runner.OnDevice", lambda *given: made.append(given) or given[0]
    )
    for env in ("tests.fakes.meadow:make", make, make(), mfq.wrap(make())):
        mfq.Runner(env, config={"device": "cpu:0", "quiet": True})
    assert [device for _, device in made] == ["cpu:0"] * 4
    assert all(isinstance(view, ParallelView) for view, _ in made)
    mfq.Runner(make, config={"quiet": True})
    mfq.Runner(mfq.OnDevice(mfq.wrap(make()), "cpu"), config={"quiet": True})
    assert len(made) == 4


@pytest.mark.parametrize("env", ["tests.fakes.meadow:make", "tests.mfq.envs.test_device:deaths"])
def test_a_run_on_a_device_has_the_numbers_of_one_without(env, tmp_path):
    """cpu:0 is the CPU, and another name than that of an environment's device."""
    scores = []
    for device in ("cpu", "cpu:0"):
        out = str(tmp_path / device.replace(":", "_"))
        config = {"device": device, "steps": 25, "num_envs": 2, "quiet": True, "out": out}
        config["agent"] = {"replay": {"learning_starts": 10}, "optimizer": {"batch_size": 8}}
        runner = mfq.Runner(env, config=config)
        assert isinstance(runner.view, mfq.OnDevice) == (device != "cpu")
        runner.train()
        again = mfq.Runner.load(out, steps=40)
        again.train()
        scores.append((runner.evaluate(2), again.evaluate(2)))
    assert scores[0] == scores[1]


def test_a_device_that_is_not_there_is_named():
    for device in ("tpu", "cuda:99"):
        with pytest.raises(ValueError, match=f"device='{device}': .*; allowed: cpu"):
            mfq.OnDevice(mfq.wrap(make()), device)
    with pytest.raises(TypeError, match="view="):
        mfq.OnDevice(make(), "cpu")


def test_trees_are_moved_and_other_values_kept():
    tree = {"a": {"b": torch.zeros(2)}, "c": 3, "d": None}
    moved = to_device(tree, META)
    assert moved["a"]["b"].device == META
    assert (moved["c"], moved["d"]) == (3, None)


def test_it_forwards_everything_that_a_view_has():
    """Whoever adds to `View` decides what it means here, too."""
    # Without snapshots, on purpose; the rest follows from spaces and types.
    inherited = {"has_snapshots", "snapshot", "agent_fields", "observe", "num_actions", "of_type"}
    public = {name for name in vars(mfq.View) if not name.startswith("_")}
    attributes = {"observation_space", "action_space", "type_specs"}
    assert public - attributes - inherited <= set(vars(mfq.OnDevice))
