"""A player that follows orders."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mfq
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.layout import Abilities, Layout, Places
from mfq.matches.by_hand import BY_KEY, Human
from mfq.matches.lineup import lineup

OPTIONS = {"map_size": 16, "max_cycles": 60, "placement": "paper"}


def battle(**options):
    view = mfq.wrap(battle_v0.batched_env(**{**OPTIONS, **options}))
    return view, view.reset(seed=1)


def offsets(view, actions):
    return view.layout.abilities_of(0).aims[actions[0].numpy()]


def test_at_first_all_stay():
    view, step = battle()
    assert not offsets(view, Human(view).act(step)).any()


@pytest.mark.parametrize(
    ("key", "way"), [("left", (-1, 0)), ("right", (1, 0)), ("up", (0, -1)), ("down", (0, 1))]
)
def test_arrows_move_the_army_as_far_as_it_can(key, way):
    view, step = battle()
    human = Human(view)
    human.give(BY_KEY[key])
    aims = offsets(view, human.act(step))
    along, across = aims @ np.array(way), aims @ np.array(way[::-1])
    assert (along >= 0).all()
    assert along.max() == 2
    assert (np.abs(across) <= 1).all()
    places, after = view.places(), view.step(human.act(step))
    assert bool(after.alive.all())
    moved = np.stack([view.places().x - places.x, view.places().y - places.y], axis=1)
    assert (moved @ np.array(way)).mean() > 0.4


def test_nobody_walks_into_taken_cells_if_there_are_free_ones():
    view, step = battle()
    human = Human(view)
    human.give(BY_KEY["right"])
    aims, places = offsets(view, human.act(step)), view.places()
    cells = set(zip(places.x.tolist(), places.y.tolist(), strict=True))
    moving = aims.any(1)
    targets = zip((places.x + aims[:, 0])[moving], (places.y + aims[:, 1])[moving], strict=True)
    assert not cells & {(float(x), float(y)) for x, y in targets}


def test_an_attack_kills_an_army_that_holds():
    cast = lineup("battle", red="human", blue="hold", env_options=OPTIONS, makers={"human": Human})
    cast.players["red"].give(BY_KEY["a"])
    scores = mfq.evaluate(cast.view, cast.players, 1, seed=2)
    assert scores["red"]["win_rate"] == 1.0
    staying = lineup(
        "battle", red="human", blue="hold", env_options=OPTIONS, makers={"human": Human}
    )
    assert mfq.evaluate(staying.view, staying.players, 1, seed=2)["red"]["win_rate"] < 1.0


def test_an_order_to_one_agent_is_its_alone_until_all_get_one():
    view, step = battle()
    human = Human(view)
    human.give(BY_KEY["right"])
    human.give(BY_KEY["3"], agent=2)
    actions = human.act(step)[0]
    assert int(actions[2]) == 3
    assert offsets(view, actions[None])[:, 0].max() == 2
    human.give(BY_KEY["x"])
    assert not offsets(view, human.act(step)).any()


def test_games_without_a_board_take_actions_and_repeat_them():
    view = mfq.wrap(gaussian_squeeze_v0.batched_env(num_agents=5))
    human, step = Human(view), view.reset(seed=0)
    assert human.act(step).tolist() == [[0] * 5]
    human.give(BY_KEY["7"], agent=1)
    human.give(BY_KEY["4"])
    step = view.step(human.act(step))
    assert step.actions.tolist() == [[4] * 5]
    human.give(BY_KEY["x"])
    assert human.act(step).tolist() == [[4] * 5]


def test_masks_are_kept():
    view = mfq.wrap(ising_v0.batched_env(side=4, update="checkerboard", initial="up"))
    human, step = Human(view), view.reset(seed=0)
    human.give(BY_KEY["0"])
    actions = human.act(step)
    idle = step.action_mask.sum(-1) == 1
    assert (actions[idle] == 1).all()
    assert (actions[~idle] == 0).all()


def test_only_its_agents_act():
    view, step = battle()
    mine = view.groups[None] == 1
    actions = Human(view).act(step.for_player(mine))
    assert ((actions >= 0) == mine).all()


def test_one_row_of_a_game_of_mfenvs():
    with pytest.raises(ValueError, match="the view has 2 rows and a layout; allowed: one row"):
        Human(mfq.wrap(ising_v0.batched_env(2, side=3)))
    with pytest.raises(ValueError, match="1 rows and no layout"):
        Human(mfq.wrap(ising_v0.parallel_env(side=3)))


@pytest.mark.parametrize(
    ("corners", "width", "walls", "moves"),
    [
        ([0, 5], 9, [], True),
        ([0, 2], 9, [], False),  # the front cell is taken
        ([0, 5], 9, [2], False),  # the front cell is a wall
        ([1, 8], 9, [], True),
        ([1, 8], 3, [], False),  # the front cell is outside
    ],
)
def test_bodies_of_several_cells_move_as_a_whole(corners, width, walls, moves):
    """Two agents of two cells, of which the first is to go right."""
    count, falsehoods = len(corners), np.zeros(2, bool)
    layout = Layout(
        width=width,
        height=1,
        bodies=np.array([[2, 1]] * count, np.float32),
        value_name="hp",
        value_range=(0.0, 1.0),
        abilities=(
            Abilities(
                action_names=("stay", "right"),
                aims=np.array([[0, 0], [1, 0]]),
                is_attack=falsehoods,
                sight=np.zeros((0, 2), int),
            ),
        ),
        types=np.zeros(count, int),
    )
    x = np.array(corners, np.float32)
    shown = x < width
    cells = np.array([(wall, 0) for wall in walls], int).reshape(-1, 2)
    places = Places(x, np.zeros_like(x), shown, np.ones_like(x), cells)
    view = SimpleNamespace(
        layout=layout,
        num_envs=1,
        groups=torch.zeros(count, dtype=torch.int64),
        places=lambda: places,
    )
    human = Human(view)
    human.give(BY_KEY["right"])
    step = SimpleNamespace(
        actions=torch.full((1, count), -1),
        active_index=torch.tensor([0]),
        mask_at=lambda index: None,
        scatter_actions=lambda chosen, index: chosen,
    )
    assert human.act(step).tolist() == [int(moves)]
