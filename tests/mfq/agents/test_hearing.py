"""Mean fields with a memory or with weights, in MFQ and in MF-AC."""

import pytest
import torch

import mfq
from mfenvs import gaussian_squeeze_v0
from mfq.agents.hearing import Hearing
from mfq.mean_field import MeanAction
from tests.fakes.mean_fields import Counts, Gated

GAME = {"num_agents": 4, "max_cycles": 6}
SMALL = {
    "replay": {"learning_starts": 10},
    "optimizer": {"batch_size": 8},
    "mean_field": "tests.fakes.mean_fields:Counts",
}


def a_view(num_envs=1):
    return mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=num_envs, **GAME))


def test_a_memory_is_updated_once_a_step_and_cleared_where_rows_start_anew():
    view = a_view(2)
    hearing = Hearing(Counts(view))
    step = view.reset(seed=0)
    assert torch.allclose(hearing(step), torch.full((2, 4, 10), 0.1))
    step = view.step(torch.zeros(2, 4, dtype=torch.int64))
    for again in (step, step.for_player(step.alive)):
        heard = hearing(again)
        # Three neighbours took action 0: (1 + 3) / (10 + 3).
        assert heard[0, 0].tolist() == pytest.approx([4 / 13] + [1 / 13] * 9)
    assert hearing.field.calls == 2
    step = view.step(torch.ones(2, 4, dtype=torch.int64))
    assert hearing(step)[1, 2].tolist() == pytest.approx([4 / 16, 4 / 16] + [1 / 16] * 8)
    while not step.ended.any():
        step = view.step(torch.ones(2, 4, dtype=torch.int64))
        hearing(step)
    step = view.step(torch.ones(2, 4, dtype=torch.int64))
    assert step.reset.all()
    assert torch.allclose(hearing(step), torch.full((2, 4, 10), 0.1))


def test_other_numbers_of_rows_have_memories_of_their_own():
    hearing = Hearing(Counts(a_view()))
    for rows in (1, 3, 2):
        assert hearing(a_view(rows).reset(seed=0)).shape == (rows, 4, 10)


@pytest.mark.parametrize("algo", ["mfq", "mfac"])
def test_an_interrupted_run_goes_on_with_the_memory(algo, tmp_path):
    options = {
        "env_options": GAME,
        "num_envs": 2,
        "agent": SMALL,
        "quiet": True,
        "evaluation": {"every": 7},
    }

    def weights(runner):
        return runner.agent.module.state_dict()

    whole = mfq.Runner("gaussian_squeeze_v0", algo, {**options, "steps": 46})
    whole.train()
    first = mfq.Runner("gaussian_squeeze_v0", algo, {**options, "steps": 23})
    first.train()
    path = first.save(tmp_path / "half.safetensors")
    again = mfq.Runner.load(path, steps=46)
    again.train()
    assert whole.agent.updates == again.agent.updates > 20
    for name, values in weights(whole).items():
        assert torch.equal(values, weights(again)[name]), name


@pytest.mark.parametrize("rows", [1, 3])
def test_an_evaluation_leaves_the_memory_alone(rows):
    view = a_view()
    agent = mfq.QAgent(view, Counts)
    twin = mfq.QAgent(view, Counts)
    step = view.reset(seed=0)
    for _ in range(3):
        actions = agent.act(step)
        twin.act(step)
        step = view.step(actions)
    mfq.evaluate(a_view(rows), agent, episodes=3, seed=5, explore=True)
    assert torch.equal(agent.hearing(step), twin.hearing(step))


def test_a_loaded_memory_is_not_that_of_a_new_episode():
    view = a_view()
    hearing, again = Hearing(Counts(view)), Hearing(Counts(view))
    view.reset(seed=0)
    hearing(view.step(torch.zeros(1, 4, dtype=torch.int64)))
    again.load_state_dict(hearing.state_dict(), is_current=True)
    assert again(view.reset(seed=0))[0, 0].tolist() == pytest.approx([0.1] * 10)


def test_weights_of_a_mean_field_are_learned_and_the_target_has_its_copy():
    view = a_view()
    small = {"replay": {"learning_starts": 10}, "optimizer": {"batch_size": 8}, "gamma": 0.5}
    for agent in (
        mfq.QAgent(view, Gated, mfq.QConfig(**small)),
        mfq.ActorCritic(view, Gated, mfq.ACConfig(**small)),
    ):
        online = agent.module if isinstance(agent, mfq.QAgent) else agent.online["critic"]
        before = online.mean.weight.clone()
        target = agent.target if isinstance(agent, mfq.QAgent) else agent.target["critic"]
        assert target.mean.weight is not online.mean.weight
        mfq.train(view, agent, 30)
        assert agent.updates
        assert not torch.equal(online.mean.weight, before)
        assert not torch.equal(target.mean.weight, online.mean.weight)


def test_a_mean_field_that_cannot_be_redrawn_needs_the_ring():
    view = a_view()
    agent = mfq.QAgent(view, Counts)
    assert type(agent.replay).__name__ == "RingReplay"
    with pytest.raises(ValueError, match="Counts cannot be redrawn"):
        mfq.QAgent(view, Counts, mfq.QConfig(replay={"kind": "compact"}))
    with pytest.raises(ValueError, match="iterations=1 with"):
        mfq.QAgent(view, Counts, mfq.QConfig(iterations=1))


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        (lambda view, pairing: None, TypeError, "mean_field made a NoneType"),
        (lambda view, pairing: MeanAction(view, "never"), ValueError, "pairing='never'"),
    ],
)
def test_what_is_no_mean_field_is_named(choice, error, message):
    with pytest.raises(error, match=message):
        mfq.QAgent(a_view(), choice)


def test_an_unknown_name_is_named():
    with pytest.raises(ValueError, match="mean_field='median'; allowed: mean_action, or MODULE"):
        mfq.QAgent(a_view(), config=mfq.QConfig(mean_field="median"))


def test_a_mean_field_that_changes_what_is_heard_is_not_redrawn_as_the_mean_action():
    """Else it would be trained on another input than it acts on."""

    class Reversed(MeanAction):
        def hear(self, step, memory):
            return -super().hear(step, memory)

    class Redrawn(Reversed):
        def at(self, graph, actions, agents):
            return -super().at(graph, actions, agents)

    view = a_view()
    assert MeanAction(view).redraws
    assert not Reversed(view).redraws
    assert not Reversed(view).iterates
    assert Redrawn(view).redraws


class NoWidth(Counts):
    def __init__(self, view, pairing):
        super().__init__(view, pairing)
        del self.width


class NoPairing(Counts):
    def __init__(self, view, pairing):
        self.width = 3


class Wide(Counts):
    def __init__(self, view, pairing):
        super().__init__(view, pairing)
        self.width += 1


class Double(Counts):
    def hear(self, step, memory):
        return super().hear(step, memory).double()


class NoMemory(Counts):
    def new_memory(self, num_envs):
        return None


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (NoWidth, r"NoWidth\.width=None"),
        (NoPairing, r"NoPairing has no pairing; allowed: .*super\(\)"),
        (Wide, r"Wide\.hear returned torch\.float32 \(1, 4, 10\); allowed: .* \(1, 4, 11\)"),
        (Double, r"Double\.hear returned torch\.float64"),
        (NoMemory, r"NoMemory\.new_memory\(\)=None; allowed: a dict of tensors"),
    ],
)
def test_what_a_mean_field_lacks_is_named(choice, message):
    view = a_view()
    with pytest.raises((TypeError, ValueError), match=message):
        mfq.QAgent(view, choice).act(view.reset(seed=0))
