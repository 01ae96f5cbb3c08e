"""Runner on battle: opponents, episodes, presets, what it logs, and resuming all of that."""

import csv
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mfq
from mfenvs import battle_v0
from mfenvs.gridworld.games.battle import BattleGame
from mfq.agents.loop import Transition
from mfq.common import checkpoint
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import head_to_head
from mfq.matches.players import Random
from mfq.matches.teams import Teams, make_teams
from mfq.training.config import PRESETS, RunConfig, preset, run_config
from mfq.training.runner import Runner
from mfq.training.stats import TrainingStats
from tests.fakes.duel import Always, Duel, Fight, Pupil
from tests.fakes.options import merged

SMALL = {
    "env": "battle_v0",
    "steps": 40,
    "num_envs": 6,
    "env_options": {"map_size": 14, "max_cycles": 9, "hp": 3.0},
    "opponents": {"rush": 1.0, "lagged": 1.0, "self": 0.5},
    "evaluation": {"against": ("random", "hold"), "num_envs": 2, "episodes": 4, "every": 20},
    "checkpoints": {"every": 10},
    "log": {"every": 10},
    "quiet": True,
    "agent": {
        "network": {"hidden": (16,), "agent_embedding": 0},
        "optimizer": {"batch_size": 32},
        "replay": {"learning_starts": 50},
    },
}


def small(**changes):
    """Options of a small run, but for some; of nested ones those not given stay as they are."""
    opponents = changes.pop("opponents", SMALL["opponents"])
    env_options = changes.pop("env_options", SMALL["env_options"])
    return {**merged(SMALL, changes), "opponents": opponents, "env_options": env_options}


def rows_of(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def weights(runner):
    return [part.clone() for part in runner.agent.module.parameters()]


def test_a_run_against_opponents_logs_what_shows_whether_it_works(tmp_path):
    runner = Runner(config=small(out=str(tmp_path), evaluation={"against": ("random", "rush")}))
    assert runner.train()
    rows = rows_of(tmp_path)
    logged = [row for row in rows if row["reward"]]
    last = logged[-1]
    for name in ("episodes", "loss", "q", "td_error", "temperature", "entropy", "steps_per_second"):
        assert math.isfinite(float(last[name])), name
    assert 0 < float(last["entropy"]) <= 3.05  # ln 21
    shares = [float(last[f"share_{what}"]) for what in ("act", "env", "learn")]
    assert 0 < sum(shares) <= 1
    assert {row["win_rate_rush"] for row in logged} - {""}
    assert "win_rate_lagged" in last
    assert "win_rate_self" not in last
    scored = [row for row in rows if row["eval_random_win_rate"]]
    assert len(scored) == 2
    # The last evaluation, played again by hand (which is the best: see test_best_checkpoint).
    view = wrap(battle_v0.batched_env(num_envs=2, **SMALL["env_options"]))
    for rival in ("random", "rush"):
        found = head_to_head(view, runner.agent, rival, episodes=4, seed=0)
        expected = {f"eval_{rival}_{name}": value for name, value in found["both"].items()}
        for side in ("red", "blue"):
            expected[f"eval_{rival}_win_rate_as_{side}"] = found[side]["win_rate"]
        assert {name: float(scored[-1][name]) for name in expected} == expected
    assert found["both"]["kills_difference"] < 0
    assert (tmp_path / "best.safetensors").exists()


def test_episodes_are_counted_and_end_a_run():
    runner = Runner(config=small(episodes=13, evaluation={"every": 0, "against": ()}))
    assert runner.train()
    assert 13 <= runner.episodes < 13 + 6
    assert runner.done < 40


def test_schedules_may_run_on_episodes():
    agent = {"exploration": {"episodes": 10, "start": 1.0, "end": 0.5}}
    runner = Runner(config=small(episodes=5, agent=agent, evaluation={"every": 0, "against": ()}))
    runner.train()
    assert runner.agent.episodes == runner.agent.clock == runner.episodes
    expected = 1.0 - 0.05 * min(runner.episodes, 10)
    assert runner.agent.metrics()["temperature"] == pytest.approx(expected)


def test_minutes_end_a_run_that_has_more_to_do(tmp_path):
    runner = Runner(config=small(minutes=1e-9, steps=10_000, out=str(tmp_path)))
    assert not runner.train()
    assert runner.out_of_time
    assert runner.done == 1
    assert (tmp_path / "last.safetensors").exists()
    again = Runner.load(tmp_path, minutes=0.0, steps=5)
    assert again.train()
    assert not again.out_of_time


@pytest.mark.slow
def test_a_resumed_run_goes_on_exactly_lagged_self_and_replay_included(tmp_path):
    whole = Runner(config=small(out=str(tmp_path / "whole"), evaluation={"every": 0}))
    whole.train()
    Runner(config=small(out=str(tmp_path / "half"), steps=20, evaluation={"every": 0})).train()
    resumed = Runner.load(tmp_path / "half", steps=40)
    assert resumed.done == 20
    assert resumed.episodes > 0
    resumed.train()
    assert resumed.episodes == whole.episodes
    assert all(map(torch.equal, weights(resumed), weights(whole)))
    logs = [
        [
            (row["step"], row["loss"], row["reward"])
            for row in rows_of(tmp_path / name)
            if row["loss"]
        ]
        for name in ("half", "whole")
    ]
    assert logs[0] == logs[1]
    lagged = [runner.teams.players["lagged"] for runner in (resumed, whole)]
    states = [checkpoint.save(p.state_dict(), tmp_path / f"{k}") for k, p in enumerate(lagged)]
    assert states[0].read_bytes() == states[1].read_bytes()


def test_without_its_replay_a_run_starts_that_anew_and_says_so(tmp_path):
    Runner(config=small(out=str(tmp_path), steps=20, checkpoints={"replay": False})).train()
    assert "replay" not in checkpoint.load(tmp_path / "last.safetensors")["agent"]
    with pytest.warns(UserWarning, match="holds no replay: it starts anew"):
        runner = Runner.load(tmp_path, steps=30)
    assert len(runner.agent.replay) == 0
    assert runner.agent.updates > 0
    assert runner.train()


def test_as_many_updates_as_draw_each_transition_so_often():
    agent = {"replay": {"samples_per_insert": 2.0}}
    config = small(agent=agent, steps=60, evaluation={"every": 0, "against": ()})
    runner = Runner(config=config)
    counts = []
    original = runner.agent.observe

    def observe(*arguments):
        before = runner.agent.replay.added
        original(*arguments)
        if runner.agent.replay.added >= 50:
            counts.append(runner.agent.replay.added - before)

    runner.agent.observe = observe
    runner.train()
    due = 2 * sum(counts) / 32
    assert 20 < due - 1 < runner.agent.updates <= due


class Steps(mfq.Callback):
    """Keeps all steps of a run."""

    def __init__(self):
        self.steps = []

    def on_step(self, runner, transition, is_last):
        self.steps.append(transition.next_step)


def test_win_rates_and_measures_are_those_of_the_episodes_ends(tmp_path):
    """The log's numbers, against what the environment reports in the last steps."""
    close = {"map_size": 12, "max_cycles": 9, "hp": 3.0}  # so that they meet
    config = small(opponents={"rush": 1.0}, num_envs=4, env_options=close, out=str(tmp_path))
    config |= {"evaluation": {"every": 0}, "log": {"every": 0}}
    played = Steps()
    runner = Runner(config=config, callbacks=[played])
    runner.train()
    found = {name: float(value) for name, value in rows_of(tmp_path)[0].items() if value}
    names = ("kills", "alive", "hits", "attacks")
    wins, episodes, totals = 0, 0, dict.fromkeys(names, 0)
    for step in played.steps:
        for row in step.ended.nonzero().flatten().tolist():
            mine, theirs = (
                ("red", "blue") if runner.teams.assignment[row, 0] == 0 else ("blue", "red")
            )
            episodes += 1
            for name in names:
                totals[name] += int(step.measures[f"{mine}_{name}"][row])
            wins += int(step.measures[f"{mine}_kills"][row] > step.measures[f"{theirs}_kills"][row])
    assert episodes == runner.episodes > 8
    assert found["win_rate"] == found["win_rate_rush"] == wins / episodes
    assert {name: found[name] for name in names} == {
        name: total / episodes for name, total in totals.items()
    }
    assert 0 < totals["hits"] < totals["attacks"]


def test_one_episode_asked_for_is_one_a_side():
    rival = {"evaluation": {"against": ("random",), "episodes": 1, "num_envs": 1}}
    assert Runner(config=small(**rival)).evaluate()["random_episodes"] == 2


def metrics_of(view, teams, steps):
    """The metrics of training in which these steps happened."""
    stats, run = TrainingStats(), SimpleNamespace(view=view, teams=teams)
    stats.on_start(run)
    for step in steps:
        if bool(step.ended.any()):
            stats.on_episodes_end(run, step)
        stats.on_step(run, Transition(step, step.actions, step, {}, {}), False)
    return stats.metrics()


def steps_of(fights, count):
    step = fights.reset()
    return [step := fights.step(step.actions) for _ in range(count)]


def test_the_reward_that_is_logged_is_the_learners():
    view = wrap(battle_v0.batched_env(num_envs=2, map_size=12, copied_start=False))
    view.reset(seed=1)
    players = {"learner": Random(0), "other": Random(1)}
    teams = Teams(view, players, view.groups.expand(2, -1))
    step = view.step(torch.full((2, view.num_agents), 6))
    step = replace(step, reward=view.groups.float().expand(2, -1) + 1)
    assert metrics_of(view, teams, [step])["reward"] == 1


def test_a_tie_is_no_win():
    """The learner is red in row 0, blue in row 1; three of each row's four battles are no wins."""
    kills = [(2, 2), (3, 1), (0, 0), (1, 4)]
    fights = Duel(*([Fight(1, (0, 0), pair) for pair in row] for row in (kills, kills)))
    teams = make_teams(fights, Pupil(), {Always(1): 1.0})
    found = metrics_of(fights, teams, steps_of(fights, 8))  # a step, then one that starts anew
    assert found["win_rate"] == 2 / 8
    assert found["kills"] == (2 + 3 + 0 + 1 + 2 + 1 + 0 + 4) / 8
    assert found["alive"] == 2
    only_red = make_teams(fights, Pupil(), {Always(1): 1.0}, sides="red")
    # The first battle alone, a tie in both rows.
    assert metrics_of(fights, only_red, steps_of(fights, 2))["win_rate"] == 0


def test_a_game_that_counts_no_kills_has_none_in_its_log():
    fights = Duel([Fight(2, (1, 3))], [Fight(1)], counted=False)
    steps = steps_of(fights, 6)
    assert sum(int(step.ended.any()) for step in steps) > 1
    found = metrics_of(fights, make_teams(fights, Pupil(), {Always(1): 1.0}), steps)
    assert not {"win_rate", "kills", "alive"} & found.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "algo"),
    [(name, None) for name in PRESETS] + [("small", "mfac"), ("fast", "ac")],
)
def test_presets_run(name, algo):
    """Each on a small map for a few steps, so that every option is used."""
    config = preset(name, algo)
    small = {"map_size": 14, "max_cycles": 5} if config.env == "battle_v0" else {}
    changes = {
        "steps": 12,
        "episodes": 0,
        "num_envs": min(config.num_envs, 6),
        "evaluation": {"every": 0, "against": ()},
        "quiet": True,
        "env_options": small,
        "agent": {
            "replay": {"learning_starts": 5, "size": 200},
            "optimizer": {"batch_size": 8},
        },
    }
    runner = Runner(config=run_config(changes, config))
    assert runner.train()
    assert runner.agent.updates > 0


@pytest.mark.parametrize("name", ["fast", "large", "small"])
def test_a_preset_of_random_starts_is_its_namesake_but_for_the_starts(name):
    fixed, random = preset(name), preset(f"{name}-random")
    assert fixed.env_options.get("placement", "magent2") in ("paper", "magent2")
    assert random.env_options == {**fixed.env_options, "placement": "random"}
    assert replace(random, env_options=fixed.env_options) == fixed


def test_training_and_its_evaluations_are_on_random_starts(monkeypatch):
    starts = {12: set(), 7: set()}  # the corners of the armies, by how many rows there are
    step = BattleGame.step

    def watched(game, state, actions, last, out):
        step(game, state, actions, last, out)
        for row in np.flatnonzero(out.reset):
            found = state.x[row].min(), state.y[row].min(), state.x[row].max(), state.y[row].max()
            starts[len(out.reset)].add(found)

    monkeypatch.setattr(BattleGame, "step", watched)
    changes = {
        "steps": 20,
        "num_envs": 12,
        "env_options": {"max_cycles": 3},
        "evaluation": {"every": 20, "num_envs": 7, "episodes": 14},
        "quiet": True,
    }
    assert Runner(config=run_config(changes, preset("small-random"))).train()
    assert len(starts[12]) > 20
    assert len(starts[7]) > 5, "an episode a row, the same ones for either side"


def test_wrong_options_are_named():
    names = (
        "authors, authors-mfac, cartpole, fast, fast-random, ising, large, large-random, paper, quick, "
        "small, small-random, squeeze"
    )
    with pytest.raises(ValueError, match=f"preset='slow'; allowed: {names}"):
        preset("slow")
    with pytest.raises(ValueError, match="episodes=-1"):
        RunConfig(episodes=-1)
    with pytest.raises(TypeError, match="against='rush'"):
        RunConfig(evaluation={"against": "rush"})
    with pytest.raises(ValueError, match="num_envs=2; allowed: at least 5"):
        Runner(config=small(num_envs=2))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"seed": 2**70}, ValueError, "seed=1180591620717411303424; allowed: 0 to"),
        ({"opponents": ("rush",)}, TypeError, "opponents=.*allowed: shares by opponent"),
        ({"opponents": {"rush": float("nan")}}, ValueError, r"opponents\['rush'\]=nan"),
        ({"opponents": {"rush": "a"}}, TypeError, r"opponents\['rush'\]='a'"),
        ({"evaluation": {"against": 3}}, TypeError, "against=3; allowed: a list"),
        ({"checkpoints": {"replay": "no"}}, TypeError, "replay='no'; allowed: True or False"),
        ({"out": 3}, TypeError, "out=3; allowed: a folder's name"),
        ({"env_options": 3}, TypeError, "env_options=3; allowed: options by name"),
        (
            {"algo": 3},
            TypeError,
            "algo=3; allowed: mfq, iql, mfac, ac, maac, ippo, mf_ppo, fmq, rec_fmq, MODULE:CLASS",
        ),
        # Found before the first step, not at the first evaluation.
        ({"evaluation": {"against": ("random", "brave")}}, OSError, "brave is no player"),
        (
            {"env": "gaussian_squeeze_v0", "env_options": {}, "opponents": {}},
            ValueError,
            "evaluate_against=.*allowed: nobody, or games of two groups",
        ),
    ],
)
def test_wrong_options_are_named_before_anything_is_played(options, error, says):
    with pytest.raises(error, match=says):
        Runner(config=small(**options))
