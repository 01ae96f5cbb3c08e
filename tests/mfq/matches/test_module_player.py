"""A torch module of one's own as a player, in each view and from each kind of file."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from gymnasium import spaces
from torch import nn

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0
from tests.fakes.meadow import Meadow
from tests.fakes.own_players import Favours
from tests.fakes.scenes import Scene, box, number

GAME = {"map_size": 14, "max_cycles": 20}
FULL = {**GAME, "minimap_mode": True, "extra_features": True}


class Sums(nn.Module):
    """Random projections of pictures [S, H, W, C]; keeps the shapes that it was given."""

    def __init__(self, channels, channels_first=False):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn((13 * 13 * channels, 21), generator=generator))
        self.channels_first, self.shapes = channels_first, []

    def forward(self, pictures):
        self.shapes.append(tuple(pictures.shape))
        if self.channels_first:
            pictures = pictures.movedim(1, -1)
        return pictures.flatten(1).double() @ self.weight.double()


def batched(**options):
    return mfq.wrap(battle_v0.batched_env(**options))


def parallel(**options):
    return mfq.wrap(battle_v0.parallel_env(**options))


def magent2(**options):
    from magent2.environments import battle_v4

    return mfq.wrap(battle_v4.parallel_env(**options))


def played(view, player, steps=12):
    """The actions of the living in some steps from seed 1."""
    step, actions = view.reset(seed=1), []
    for _ in range(steps):
        chosen = player.act(step, explore=False)
        assert (chosen[~step.alive] == -1).all()
        actions.append(chosen)
        step = view.step(chosen)
    return torch.stack(actions)


@pytest.mark.parametrize("options", [GAME, FULL], ids=["13x13x5", "with minimap and features"])
@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.third_party
def test_one_module_plays_all_views_alike(options, channels_first):
    channels = 5 if options is GAME else 7 + 34
    network = Sums(channels, channels_first)
    player = mfq.ModulePlayer(network, channels_first=channels_first)
    ours = played(batched(**options), player)
    living = batched(**options).num_agents
    wanted = (channels, 13, 13) if channels_first else (13, 13, channels)
    assert set(network.shapes) == {(living, *wanted)}
    assert len(ours.unique()) > 5, "the module's weights decide"
    assert torch.equal(played(parallel(**options), player), ours)
    assert torch.equal(played(magent2(**options), player), ours)


def test_a_module_may_have_the_observations_of_the_view():
    given = []

    class Keeps(Favours):
        def forward(self, obs):
            given.append(obs)
            return super().forward(obs)

    player = mfq.ModulePlayer(Keeps(), layout="view", channels_first=True)
    step = batched(**FULL).reset(seed=0)
    player.act(step)
    assert {name: tuple(part.shape[1:]) for name, part in given[0].items()} == {
        "view": (7, 13, 13),
        "features": (34,),
    }


def test_values_become_actions_greedily_or_by_a_temperature():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_envs=50, num_agents=20))
    logits = torch.tensor([0.0, 0.0, 1.0] + [-50.0] * 7)

    class Logits(nn.Module):
        def forward(self, obs):
            return logits.expand(len(obs), -1)

    step = view.reset(seed=0)
    assert (mfq.ModulePlayer(Logits()).act(step) == 2).all()
    player = mfq.ModulePlayer(Logits(), temperature=0.5, seed=4)
    chosen = player.act(step, explore=False)
    shares = torch.bincount(chosen.flatten(), minlength=10) / chosen.numel()
    assert shares[:3].tolist() == pytest.approx((logits[:3] / 0.5).softmax(0).tolist(), abs=0.04)
    again = mfq.ModulePlayer(Logits(), temperature=0.5, seed=4)
    assert torch.equal(again.act(step), chosen)
    assert not torch.equal(again.act(step), chosen), "draws go on"


def test_masks_are_kept_to_and_only_living_agents_of_its_side_act():
    class Last(nn.Module):
        def forward(self, obs):
            return torch.arange(10.0).expand(len(obs), 10)

    step = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=4)).reset(seed=0)
    player = mfq.ModulePlayer(Last())
    assert player.act(step).tolist() == [[9] * 4]
    mask = torch.zeros((1, 4, 10), dtype=torch.int8)
    mask[..., :3] = 1
    assert player.act(replace(step, action_mask=mask)).tolist() == [[2] * 4]
    mine = torch.tensor([[True, True, False, False]])
    dead = torch.tensor([[True, False, True, False]])
    assert player.act(replace(step, alive=dead, mine=mine)).tolist() == [[9, -1, -1, -1]]
    assert player.act(step.for_player(~step.alive)).tolist() == [[-1] * 4]


def test_agents_of_several_types_are_refused():
    step = mfq.wrap(Meadow()).reset(seed=0)
    with pytest.raises(ValueError, match=r"several types \(wolf, sheep\); allowed: .*of_type"):
        mfq.ModulePlayer(Favours()).act(step)


def test_dropout_is_off_while_it_plays_and_as_before_afterwards():
    network = Favours()
    frozen = nn.Dropout(0.5).eval()
    network.frozen = frozen
    player = mfq.ModulePlayer(network, temperature=0.0)
    step = batched(num_envs=3, **GAME).reset(seed=0)
    for explore in (False, True):
        assert (player.act(step, explore) == 4).all()
    assert network.training
    assert network.dropout.training
    assert not frozen.training


# -- files --------------------------------------------------------------------------------------


@pytest.fixture
def network():
    return Sums(5)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_file_of_weights(suffix, network, tmp_path):
    file = tmp_path / f"dqn.{suffix}"
    with torch.no_grad():
        network.weight += 1
    if suffix == "pt":
        torch.save(network.state_dict(), file)
    else:
        safetensors.torch.save_file(network.state_dict(), file)
    makes = (lambda: Sums(5)), Sums(5)
    for make in makes:
        player = mfq.ModulePlayer.from_file(file, make, temperature=2.0, seed=3)
        assert torch.equal(player.module.weight, network.weight)
        assert player.policy.temperature == 2.0
    expected = played(batched(**GAME), mfq.ModulePlayer(network))
    assert torch.equal(
        played(batched(**GAME), mfq.ModulePlayer.from_file(file, makes[0])), expected
    )


def test_a_part_of_a_file(network, tmp_path):
    file = tmp_path / "all.pt"
    torch.save({"model": network.state_dict(), "step": 3}, file)
    player = mfq.ModulePlayer.from_file(file, lambda: Sums(5), key="model")
    assert torch.equal(player.module.weight, network.weight)
    with pytest.raises(ValueError, match=r"holds a dict \('model', 'step'\); allowed: .*key="):
        mfq.ModulePlayer.from_file(file, lambda: Sums(5))
    with pytest.raises(ValueError, match=r"key='net'; allowed: .*'model', 'step'"):
        mfq.ModulePlayer.from_file(file, lambda: Sums(5), key="net")


class Evil:
    def __reduce__(self):
        return print, ("called",)


def test_files_that_are_no_weights_run_nothing(network, tmp_path, capsys):
    whole, evil, torn = (tmp_path / name for name in ("whole.pt", "evil.pt", "torn.safetensors"))
    torch.save(network, whole)
    torch.save({"weight": Evil()}, evil)
    torn.write_bytes(b"nonsense")
    for file in (whole, evil, torn):
        with pytest.raises(ValueError, match=f"{file.name} is no file of weights alone"):
            mfq.ModulePlayer.from_file(file, lambda: Sums(5))
    assert "called" not in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="is no file"):
        mfq.ModulePlayer.from_file(tmp_path / "none.pt", lambda: Sums(5))
    file = tmp_path / "weights.pt"
    torch.save(network.state_dict(), file)
    with pytest.raises(ValueError, match=r"(?s)weights.pt does not fit Sums: .*size mismatch"):
        mfq.ModulePlayer.from_file(file, lambda: Sums(7))
    with pytest.raises(TypeError, match=r"make\(\)=3; allowed: a torch.nn.Module"):
        mfq.ModulePlayer.from_file(file, lambda: 3)


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (lambda obs: torch.zeros(len(obs), 20), r"returned the shape \(24, 20\)"),
        (lambda obs: torch.zeros(len(obs), 22), r"returned the shape \(24, 22\)"),
        (lambda obs: torch.zeros(len(obs)), r"returned the shape \(24,\)"),
        (lambda obs: (torch.zeros(len(obs), 21), None), "returned a tuple"),
        (lambda obs: None, "returned a NoneType"),
    ],
)
def test_other_values_are_named(returned, says):
    class Returns(nn.Module):
        def forward(self, obs):
            return returned(obs)

    view = batched(map_size=12, placement="paper", max_cycles=5)
    step = view.reset(seed=0)
    says = says.replace("24", str(view.num_agents))
    with pytest.raises(ValueError, match=rf"Returns {says}; allowed: values \[S, A\] = \(\d+, 21"):
        mfq.ModulePlayer(Returns()).act(step)


@pytest.mark.parametrize("layout", ["picture", "view"])
def test_a_module_of_other_observations_is_named(layout):
    class Needs(nn.Module):
        def forward(self, obs):
            return torch.zeros(2, 3) @ torch.zeros(2, 3)

    shapes = r"\(\d+, 13, 13, 41\)" if layout == "picture" else r"{'view': .*'features': .*}"
    with pytest.raises(ValueError, match=rf"Needs fails on observations {shapes}; allowed: .*mat1"):
        mfq.ModulePlayer(Needs(), layout=layout).act(batched(**FULL).reset(seed=0))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"module": 3}, "module=3; allowed: a torch.nn.Module"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"layout": "flat"}, "layout='flat'; allowed: 'picture', 'view'"),
        ({"channels_first": 1}, "channels_first=1"),
        ({"seed": 0.5}, "seed=0.5; allowed: an integer"),
    ],
)
def test_other_arguments_are_named(arguments, says):
    with pytest.raises((ValueError, TypeError), match=says):
        mfq.ModulePlayer(**{"module": Favours(), **arguments})


class Dicts(nn.Module):
    """Keeps what it is given; returns the given values."""

    def __init__(self, values=0.0):
        super().__init__()
        self.values, self.given = values, []

    def forward(self, obs):
        self.given.append(obs)
        return torch.tensor([self.values, 0.0]).expand(len(obs), 2)


def scene(space, observe):
    return mfq.wrap(Scene({"a_0": (space, spaces.Discrete(2))}, [["a_0"]] * 3, observe))


def test_features_beside_a_picture_of_bytes_are_kept():
    space = spaces.Dict({"eye": box(5, 5, 1, dtype=np.uint8), "body": box(2)})
    parts = {"eye": np.full((5, 5, 1), 7, np.uint8), "body": np.array([0.5, 0.25], np.float32)}
    view, module = scene(space, lambda agent, time: parts), Dicts()
    mfq.ModulePlayer(module).act(view.reset())
    assert module.given[0].shape == (1, 5, 5, 3)
    assert module.given[0][0, 4, 4].tolist() == [7.0, 0.5, 0.25]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_values_that_are_no_numbers_are_an_error(temperature):
    view = scene(box(1), number)
    for value in (float("nan"), float("inf")):
        player = mfq.ModulePlayer(Dicts(value), temperature)
        with pytest.raises(ValueError, match="Dicts returned NaN or infinity; allowed: numbers"):
            player.act(view.reset())
    hidden = mfq.ModulePlayer(Dicts(float("-inf")), temperature)
    assert hidden.act(view.reset()).tolist() == [[1]]


def test_any_failure_of_a_module_says_what_it_observed():
    view = scene(
        spaces.Dict({"x": box(1), "y": box(2)}),
        lambda agent, time: {"x": number(agent, time), "y": np.zeros(2, np.float32)},
    )
    player = mfq.ModulePlayer(nn.Sequential(nn.Flatten(), nn.Linear(1, 2)))
    with pytest.raises(
        ValueError, match=r"Sequential fails on observations \{'x': \(1, 1\), 'y': "
    ):
        player.act(view.reset())


def test_a_part_in_training_mode_is_put_in_evaluation_mode_too():
    class Watched(nn.Dropout):
        modes = []  # noqa: RUF012

        def forward(self, x):
            self.modes.append(self.training)
            return super().forward(x)

    inner = Watched(0.5)
    module = nn.Sequential(nn.Linear(1, 2), inner)
    module.training = False  # the part is not
    view = scene(box(1), number)
    mfq.ModulePlayer(module).act(view.reset())
    assert (inner.modes, inner.training, module.training) == ([False], True, False)

    class Mine(mfq.Player):
        def act(self, step, explore=True):
            return self.module(step.obs[0]).argmax(-1)[None]

    player = Mine()
    player.module = module
    with torch.no_grad():
        mfq.evaluate(view, player, 1)
    assert not any(inner.modes)
    assert inner.training


@pytest.mark.parametrize("make", [batched, parallel])
def test_a_module_of_five_channels_plays_the_game_of_41(make):
    """The five are the same pictures, so that the actions are, too."""
    few = played(make(**GAME), mfq.ModulePlayer(Sums(5)))
    full = played(make(**FULL), mfq.ModulePlayer(Sums(5), channels=(0, 1, 2, 4, 5)))
    assert torch.equal(few, full)
    first = mfq.ModulePlayer(Sums(5, True), channels_first=True, channels=(0, 1, 2, 4, 5))
    assert torch.equal(few, played(make(**FULL), first))
    other = played(make(**FULL), mfq.ModulePlayer(Sums(5), channels=(0, 1, 2, 3, 4)))
    assert not torch.equal(few, other)


def test_channels_are_those_of_the_pictures():
    player = mfq.ModulePlayer(Sums(5), channels=(0, 1, 2, 4, 5))
    with pytest.raises(ValueError, match=r"channels=\[0, 1, 2, 4, 5\] of pictures with 5 channels"):
        played(batched(**GAME), player, steps=1)
    with pytest.raises(ValueError, match="channels=-1"):
        mfq.ModulePlayer(Sums(5), channels=(-1,))
    with pytest.raises(
        ValueError, match=r"as layout='picture', channels_first=False and channels="
    ):
        played(batched(**GAME), mfq.ModulePlayer(nn.Conv2d(5, 2, 3)), steps=1)


def test_other_files_are_named(tmp_path):
    file = tmp_path / "garbage.pt"
    file.write_text("e text of no use")
    with pytest.raises(
        ValueError, match=r"garbage\.pt is no file of weights alone; allowed: torch"
    ):
        mfq.ModulePlayer.from_file(file, Favours)
    torch.save(Sums(5).state_dict(), tmp_path / "dqn.pt")
    view = batched(**GAME)
    with pytest.raises(
        ValueError, match=r"dqn\.pt is damaged or no checkpoint of mfq.*MODULE:NAME of a"
    ):
        mfq.load_player(tmp_path / "dqn.pt", view)
