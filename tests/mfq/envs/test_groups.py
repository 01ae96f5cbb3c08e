"""Groups and types: read from names, or given by hand."""

import re
import warnings

import numpy as np
import pytest
import torch
from gymnasium import spaces

import mfq
from mfenvs import battle_v0
from mfq.envs.types import prefix
from tests.fakes.scenes import TWO, Scene, box, learner, number

PAIR = (box(1), spaces.Discrete(2))


def scene(names, pair=PAIR):
    cast = pair if isinstance(pair, dict) else dict.fromkeys(names, pair)
    return Scene(cast, [list(cast)] * 5, number)


@pytest.mark.parametrize(
    ("agent", "group"),
    [
        ("wolf_3", "wolf"), ("wolf3", "wolf"), ("wolf-3", "wolf"), ("wolf 3", "wolf"),
        ("wolf_12", "wolf"), ("a-0", "a"), ("agent-0", "agent"), ("agent0", "agent"),
        (0, "agent"), ("0", "agent"), (("wolf", 3), "wolf"), ((0, 1), "agent"),
        ("red_1", "red"), ("leadadversary_0", "leadadversary"), ("team_0_player_1", "team_0_player"),
        ("red", "red"), ("wolf_", "wolf_"), ("wolf_3b", "wolf_3b"), ("Alice", "Alice"),
    ],
)  # fmt: skip
def test_the_group_in_a_name(agent, group):
    assert prefix(agent) == group


@pytest.mark.parametrize("names", [["agent0", "agent1"], ["a-0", "a-1"], [0, 1], ["0", "1"]])
def test_numbered_agents_are_neighbours(names):
    view = mfq.wrap(scene(names))
    assert len(view.group_names) == 1
    view.reset()
    step = view.step(torch.tensor([[0, 1]]))
    assert step.mean_action.tolist() == [[[0, 1], [1, 0]]]


def test_teams_stay_apart():
    view = mfq.wrap(scene(["red_0", "red_1", "blue_0", "blue_1"]))
    assert view.group_names == ("red", "blue")
    assert view.groups.tolist() == [0, 0, 1, 1]


WARNING = r"no agent has a neighbour: .*'Alice', 'Bob' are each a group alone.*graph=\"all\""


@pytest.mark.parametrize("wrapper", [mfq.wrap, mfq.MeanActionObservation])
def test_it_warns_where_nobody_has_a_neighbour(wrapper):
    with pytest.warns(UserWarning, match=WARNING) as caught:
        wrapper(scene(["Alice", "Bob"]))
    assert len(caught) == 1


def test_it_does_not_warn_where_the_graph_is_chosen_or_there_is_a_neighbour():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for graph in ("all", "team", "type"):
            mfq.wrap(scene(["Alice", "Bob"]), graph)
        mfq.wrap(scene(["Alice"]))
        mfq.wrap(scene(["Alice", "Bob_0", "Bob_1"]))
        mfq.wrap(scene(["Alice", "Bob"]), groups=dict.fromkeys(["Alice", "Bob"], "people"))


US = {"Alice": "us", "Bob": "them", "Eve": "us"}


@pytest.mark.parametrize("groups", [US, lambda agent: "us" if "e" in agent else "them"])
def test_groups_by_hand(groups):
    view = mfq.wrap(scene(["Alice", "Bob", "Eve"]), groups=groups)
    assert view.group_names == ("us", "them")
    assert view.groups.tolist() == [0, 1, 0]
    assert view.graph.neighbors(0).tolist() == [2]
    scores = mfq.evaluate(view, {"us": "random", "them": "random"})
    assert scores.keys() == {"us", "them"}


def test_copies_and_workers_take_groups_and_types():
    options = {"groups": lambda a: "us", "types": {"Alice": "first", "Bob": "second"}}
    names = ["Alice", "Bob"]
    copies = mfq.wrap([scene(names), scene(names)], **options)
    workers = mfq.Workers(lambda: scene(names), 2, 1, **options)
    try:
        for view in (copies, workers):
            assert view.group_names == ("us",)
            assert view.type_names == ("first", "second")
            view.reset(seed=0)
            assert view.step(torch.tensor([[0, 1], [1, 1]])).mean_action[0].tolist() == [
                [0, 0, 0, 1],
                [1, 0, 0, 0],
            ]
    finally:
        workers.close()


def test_types_by_hand_split_agents_of_equal_spaces():
    view = mfq.wrap(scene(["a_0", "a_1", "a_2"]), types=lambda a: "leader" if a == "a_1" else "led")
    assert view.type_names == ("led", "leader")
    assert view.types.tolist() == [0, 1, 0]
    agent = mfq.ByType(view, lambda its, seed: learner(its, seed))
    mfq.train(view, agent, 6)
    assert agent.parts[1].replay.sample(20)["agent"].unique().tolist() == [1]


def test_types_by_hand_join_equal_spaces_only():
    one = mfq.wrap(scene(list(TWO)), types={"a_0": "x", "a_1": "x"})
    assert one.type_specs is None
    assert one.type_names == ("x",)
    cast = {"a_0": PAIR, "a_1": (box(1), spaces.Discrete(3))}
    with pytest.raises(
        ValueError,
        match=r"'a_0' and 'a_1' as 'x', and they differ in their action_space: Discrete\(2\)",
    ):
        mfq.wrap(scene(None, cast), types=lambda agent: "x")


@pytest.mark.parametrize("option", ["groups", "types"])
@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"a_0": "x"}, ValueError, "{} has no 'a_1'; allowed: a name for each agent"),
        ({"a_0": "x", "a_1": "x", "b": "x"}, ValueError, "{} has 'b', which is not in possible_agents"),
        (lambda agent: 3, TypeError, "{} gives 'a_0' the name 3; allowed: a string"),
        (["x", "x"], TypeError, r"{}=\['x', 'x'\]; allowed: a dict agent -> name, or a function"),
    ],
)  # fmt: skip
def test_names_that_do_not_fit(option, given, error, words):
    with pytest.raises(error, match=words.format(option)):
        mfq.wrap(scene(list(TWO)), **{option: given})


def test_views_and_batches_have_their_groups():
    names = {"groups": lambda agent: "x"}
    with pytest.raises(ValueError, match=re.escape("given with a View")):
        mfq.wrap(mfq.wrap(scene(list(TWO))), **names)
    with pytest.raises(ValueError, match="groups or types is given with a BatchedEnv"):
        mfq.wrap(battle_v0.batched_env(map_size=12), **names)
    assert np.array_equal(mfq.wrap(battle_v0.batched_env(map_size=12)).group_names, ["red", "blue"])
