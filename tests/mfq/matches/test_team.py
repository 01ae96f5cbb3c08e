"""Who plays whom, who learns from what, and opponents that follow a learner."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mfq
from mfenvs import battle_v0, ising_v0
from mfq.matches.players import Scripted
from mfq.matches.self_play import Lagged, Pool
from mfq.matches.teams import Teams, make_teams
from tests.fakes.duel import Always, Duel, Fight, Pupil, run

LONG = [Fight(10**6)]


# -- assignment --------------------------------------------------------------------------------------


def test_everybody_acts_where_it_is_assigned():
    view = Duel(LONG, [Fight(10**6, dead=(1, 2))])
    one, two, three = Always(1), Always(2), Always(3)
    assignment = torch.tensor([[0, 1, 1, 2], [2, 2, 0, 1]])
    teams = Teams(view, {"one": one, "two": two, "three": three}, assignment)
    step = view.reset()
    assert teams.act(step).tolist() == [[1, 2, 2, 3], [3, 3, 1, 2]]
    step = view.step(teams.act(step, explore=False))
    assert teams.act(step, explore=False).tolist() == [[1, 2, 2, 3], [3, -1, -1, 2]]
    assert one.explored == [True, False, False]
    assert one.given[-1].mine.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert two.given[-1].active_index.tolist() == [1, 2, 7]
    assert one.given[-1].active_index.tolist() == [0]
    assert one.given[-1].mean_action is two.given[-1].mean_action
    teams.learn()  # nobody does


def test_what_may_be_chosen_is_handed_on():
    view, one, two = Duel(LONG), Always(1), Always(2)
    teams = Teams(view, {"one": one, "two": two}, torch.tensor([[0, 1, 1, 0]]))
    mask = torch.ones(1, 4, 5, dtype=torch.int8)
    teams.act(replace(view.reset(), action_mask=mask))
    assert one.given[0].action_mask is two.given[0].action_mask is mask


def test_a_learner_assigned_to_several_groups_learns_from_all_of_them_at_once():
    view = Duel(LONG, LONG, LONG)
    pupil, other = Pupil(1), Always(2)
    players = {"red": pupil, "foe": other, "blue": pupil}
    assignment = torch.tensor([[0, 0, 1, 1], [1, 1, 2, 2], [0, 0, 2, 2]])
    teams = Teams(view, players, assignment, ["blue"])
    run(view, teams, 3)
    assert list(teams.players) == ["red", "foe"]
    assert list(teams.learners) == ["red"]
    assert len(pupil.observed) == len(pupil.given) == pupil.lessons == 3
    mine = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]]
    for k, (before, actions, after) in enumerate(pupil.observed):
        assert before.mine.tolist() == after.mine.tolist() == mine
        assert before is pupil.given[k], "what it saw when it acted is what it learns from"
        assert k == 0 or before is pupil.observed[k - 1][2]
        assert actions.tolist() == [[1, 1, 2, 2], [2, 2, 1, 1], [1, 1, 1, 1]]


def test_metrics_of_several_learners_have_their_names():
    view = Duel(LONG)
    players, assignment = {"a": Pupil(), "b": Pupil(), "c": Pupil()}, torch.tensor([[0, 1, 2, 2]])
    teams = Teams(view, players, assignment, ["a", "b"])
    run(view, teams, 1)
    assert teams.learn() == {"a_loss": 2, "b_loss": 2}
    assert Teams(view, players, assignment, ["b"]).learn() == {"loss": 3}
    assert players["c"].observed == []
    assert players["c"].lessons == 0


def test_scripts_and_masks_reach_the_game():
    view = mfq.wrap(battle_v0.batched_env(num_envs=2, map_size=14, max_cycles=50))
    assignment = view.groups.expand(2, -1)
    teams = Teams(view, {"red": Scripted(view, "rush"), "blue": Scripted(view, "hold")}, assignment)
    step = view.reset(seed=0)
    for _ in range(60):
        actions, red = teams.act(step), view.groups == 0
        assert torch.equal(actions[:, red], view.scripted("rush")[:, red])
        assert torch.equal(actions[:, ~red], view.scripted("hold")[:, ~red])
        step = view.step(actions)
    with pytest.raises(
        ValueError,
        match="script 'flee' is unknown in this view; allowed: random, hold, rush, focus",
    ):
        Scripted(view, "flee")


@pytest.mark.parametrize(
    ("players", "assignment", "learners", "error", "words"),
    [
        ({"a": Always(0)}, [[0, 0, 0, 1]], [], ValueError, "assignment ranges from 0 to 1"),
        ({"a": Always(0)}, [[0, 0, -1, 0]], [], ValueError, "assignment ranges from -1"),
        ({}, [[0, 0, 0, 0]], [], ValueError, "which are 0"),
        ({"a": Always(0)}, [[0, 0, 0]], [], ValueError, r"assignment is torch.int64 \(1, 3\)"),
        ({"a": Always(0)}, [[0.0] * 4], [], ValueError, "assignment is torch.float32"),
        ({"a": Always(0)}, [[0] * 4], ["b"], ValueError, "learner 'b'; allowed: a"),
        (
            {"a": Always(0)},
            [[0] * 4],
            ["a"],
            TypeError,
            "learner 'a' is a Always; allowed: an mfq.Agent",
        ),
    ],
)
def test_an_assignment_that_does_not_fit_is_named(players, assignment, learners, error, words):
    with pytest.raises(error, match=words):
        Teams(Duel(LONG), players, torch.tensor(assignment), learners)


# -- make_teams ------------------------------------------------------------------------------------


def duel(rows):
    return Duel(*[LONG] * rows, script=3)


def test_each_opponent_has_its_rows_on_both_sides():
    pupil, friend = Pupil(), Always(2)
    teams = make_teams(duel(12), pupil, {"script": 0.25, "self": 0.25, friend: 0.5})
    assert list(teams.players) == ["learner", "script", "player_1"]
    assert teams.players["player_1"] is friend
    assert list(teams.learners) == ["learner"]
    assert teams.assignment.tolist() == [
        *([0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1]),
        *[[0, 0, 0, 0]] * 3,
        # The turns go on.
        *([2, 2, 0, 0], [0, 0, 2, 2]) * 3,
    ]


def test_one_side_if_that_is_wanted():
    for side, row in (("red", [0, 0, 1, 1]), ("blue", [1, 1, 0, 0])):
        teams = make_teams(duel(3), Pupil(), {"script": 2, "self": 1}, sides=side)
        assert teams.assignment.tolist() == [row, row, [0, 0, 0, 0]]


def test_every_kind_of_opponent():
    pupil, lagged = Pupil(), Lagged(Pupil(), rate=0.5)
    shares = {"lagged": 1, "pool": 1, "script": 1, lagged: 1}
    teams = make_teams(duel(8), pupil, shares, seed=5)
    kinds = [type(player) for player in teams.players.values()]
    assert kinds == [Pupil, Lagged, Pool, Scripted, Lagged]
    assert teams.players["lagged"].learner is pupil
    assert teams.players["player_3"] is lagged
    pool = teams.players["pool"]
    coins = [player.generator for player in (teams.players["lagged"].player, pool, *pool.members)]
    assert len({5, *(coin.initial_seed() for coin in coins)}) == 4, "and none is the learner's"
    # One group, and no opponent.
    view = mfq.wrap(ising_v0.batched_env(num_envs=2, side=4))
    assert not make_teams(view, Pupil(), {"self": 1}).assignment.any()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.lists(st.floats(0.01, 1), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from(["both", "red", "blue"]),
)
def test_rows_are_shared_in_proportion(rows, shares, with_self, sides):
    opponents = {Always(k): share for k, share in enumerate(shares)}
    if with_self:
        opponents["self"] = 0.3
    least = len(shares) * (1 + (sides == "both")) + with_self
    if rows < least:
        with pytest.raises(ValueError, match=f"num_envs={rows}; allowed: at least {least}"):
            make_teams(duel(rows), Pupil(), opponents, sides)
        return
    assignment = make_teams(duel(rows), Pupil(), opponents, sides).assignment
    red, blue = assignment[:, 0], assignment[:, 2]
    assert torch.equal(red, assignment[:, 1])
    assert torch.equal(blue, assignment[:, 3])
    assert ((red == 0) | (blue == 0)).all()
    counts, total = [], sum(opponents.values())
    for place in range(1, len(shares) + 1):
        as_red, as_blue = int((blue == place).sum()), int((red == place).sum())
        if sides == "both":
            assert abs(as_red - as_blue) <= 1
            assert min(as_red, as_blue) >= 1
        else:
            assert (as_blue if sides == "red" else as_red) == 0
        counts.append(as_red + as_blue)
    if sides == "both":
        assert abs(int((blue > 0).sum()) - int((red > 0).sum())) <= 1
    if rows >= 100 * least:
        assert all(
            abs(count - rows * share / total) < 1
            for count, share in zip(counts, shares, strict=True)
        )


def test_shares_are_kept_to_a_row():
    shares = {Always(0): 0.5, Always(1): 0.3, "self": 0.2}
    for rows in (10, 11, 32, 57, 64):
        teams = make_teams(duel(rows), Pupil(), shares)
        found = torch.bincount(teams.assignment.max(1).values, minlength=3).tolist()
        for count, share in zip([found[1], found[2], found[0]], shares.values(), strict=True):
            assert abs(count - rows * share) < 1


@pytest.mark.parametrize(
    ("shares", "options", "error", "words"),
    [
        ({}, {}, ValueError, "shares is empty"),
        ({"self": 0}, {}, ValueError, r"shares\['self'\]=0"),
        ({"script": float("nan")}, {}, ValueError, "=nan"),
        ({"script": 1}, {"sides": "green"}, ValueError, "sides='green'; allowed: both, red, blue"),
        ({"no/such": 1}, {}, FileNotFoundError, "no/such is no player; allowed: script "),
        ({3: 1}, {}, TypeError, "shares has a int"),
        ({"script": 1, "lagged": 1, "self": 1}, {}, ValueError, "num_envs=4; allowed: at least 5"),
    ],
)
def test_shares_and_sides_that_cannot_be_are_named(shares, options, error, words):
    with pytest.raises(error, match=words):
        make_teams(duel(4), Pupil(), shares, **options)


def test_opponents_need_two_groups():
    view = mfq.wrap(ising_v0.batched_env(num_envs=2, side=4))
    with pytest.raises(
        ValueError, match=r"opponents=\['lagged'\] and a game with 1 group of agents"
    ):
        make_teams(view, Pupil(), {"lagged": 1})


# -- going on -----------------------------------------------------------------------------------


def test_a_saved_team_goes_on_as_if_nothing_had_happened(tmp_path):
    def make():
        # In the second rows' fights what blue earns at first decides.
        late = [Fight(4, (1, 5), dead=(2, 3))]
        view = Duel(*[[Fight(2, (1, 0)), Fight(3, (0, 1))], late] * 12)
        pupil = Pupil(1)
        shares = {
            Lagged(pupil, rate=0.5): 1,
            Pool(pupil, size=2, every=13, seed=2): 1,
            pupil.player(): 1,
            "self": 1,
        }
        return view, make_teams(view, pupil, shares)

    def drift(view, teams, step, start):
        for k in range(start, start + 33):
            teams.players["learner"].set(float(k % 5))
            step = run(view, teams, 1, step)
        return step

    view, teams = make()
    step = drift(view, teams, view.reset(), 0)
    state = mfq.common.checkpoint.load(
        mfq.common.checkpoint.save(teams.state_dict(), tmp_path / "teams")
    )
    sent = len(view.sent)
    drift(view, teams, step, 33)
    expected = torch.stack(view.sent[sent:])

    _, again = make()
    again.load_state_dict(state)
    other, _ = make()
    step = other.reset()
    for actions in view.sent[:sent]:
        step = other.step(actions)
    drift(other, again, step, 33)
    assert torch.equal(torch.stack(other.sent[sent:]), expected)
    assert len(torch.unique(expected)) > 3
    assert again.players["player_0"].player.weight == teams.players["player_0"].player.weight
    assert again.state_dict()["players"]["learner"]["lessons"] == 66

    state["players"]["stranger"] = {}
    with pytest.raises(ValueError, match="stranger"):
        again.load_state_dict(state)
