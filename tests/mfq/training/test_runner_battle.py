"""Runner on battle: opponents, rounds, presets, what it logs, and resuming all of that."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mfenvs import battle_v0
from mfenvs.battle.game import BattleGame
from mfq.cli import main
from mfq.common import checkpoint
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import head_to_head
from mfq.matches.players import Random
from mfq.matches.teams import Teams, seating
from mfq.training.config import PRESETS, RunConfig, preset
from mfq.training.runner import Runner
from mfq.training.stats import TrainingStats
from tests.fakes.duel import Always, Duel, Fight, Pupil

SMALL = {
    "env": "battle_v0",
    "steps": 40,
    "num_envs": 6,
    "env_options": {"map_size": 14, "max_cycles": 9, "hp": 3.0},
    "opponents": {"rush": 1.0, "lagged": 1.0, "self": 0.5},
    "evaluate_against": ("random", "hold"),
    "evaluation_envs": 2,
    "evaluation_episodes": 4,
    "evaluate_every": 20,
    "save_every": 10,
    "log_every": 10,
    "quiet": True,
    "agent": {"hidden": (16,), "agent_embedding": 0, "batch_size": 32, "learning_starts": 50},
}


def small(**changes):
    return {**SMALL, **changes}


def rows_of(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def weights(runner):
    return [part.clone() for part in runner.agent.module.parameters()]


def test_a_run_against_opponents_logs_what_shows_whether_it_works(tmp_path):
    runner = Runner(config=small(out=str(tmp_path), evaluate_against=("random", "rush")))
    assert runner.train()
    rows = rows_of(tmp_path)
    told = [row for row in rows if row["reward"]]
    last = told[-1]
    for name in ("rounds", "loss", "q", "td_error", "temperature", "entropy", "steps_per_second"):
        assert math.isfinite(float(last[name])), name
    assert 0 < float(last["entropy"]) <= 3.05  # ln 21
    shares = [float(last[f"share_{what}"]) for what in ("act", "env", "learn")]
    assert 0 < sum(shares) <= 1
    assert {row["win_rate_rush"] for row in told} - {""}
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
    assert found["both"]["kill_difference"] < 0
    assert (tmp_path / "best.safetensors").exists()


def test_rounds_are_counted_and_end_a_run():
    runner = Runner(config=small(rounds=13, evaluate_every=0, evaluate_against=()))
    assert runner.train()
    assert 13 <= runner.rounds < 13 + 6
    assert runner.done < 40


def test_schedules_may_run_on_rounds():
    agent = {**SMALL["agent"], "explore_rounds": 10, "explore_start": 1.0, "explore_end": 0.5}
    runner = Runner(config=small(rounds=5, agent=agent, evaluate_every=0, evaluate_against=()))
    runner.train()
    assert runner.agent.rounds == runner.agent.clock == runner.rounds
    expected = 1.0 - 0.05 * min(runner.rounds, 10)
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


def test_a_resumed_run_goes_on_exactly_lagged_self_and_replay_included(tmp_path):
    whole = Runner(config=small(out=str(tmp_path / "whole"), evaluate_every=0))
    whole.train()
    Runner(config=small(out=str(tmp_path / "half"), steps=20, evaluate_every=0)).train()
    resumed = Runner.load(tmp_path / "half", steps=40)
    assert resumed.done == 20
    assert resumed.rounds > 0
    resumed.train()
    assert resumed.rounds == whole.rounds
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
    Runner(config=small(out=str(tmp_path), steps=20, save_replay=False)).train()
    assert "replay" not in checkpoint.load(tmp_path / "last.safetensors")["agent"]
    with pytest.warns(UserWarning, match="holds no replay: it starts anew"):
        runner = Runner.load(tmp_path, steps=30)
    assert len(runner.agent.replay) == 0
    assert runner.agent.updates > 0
    assert runner.train()


def test_as_many_updates_as_draw_each_transition_so_often():
    agent = {**SMALL["agent"], "samples_per_insert": 2.0}
    config = small(agent=agent, steps=60, evaluate_every=0, evaluate_against=())
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


def test_win_rates_and_kills_are_those_of_the_episodes_ends():
    """The meter's numbers, against what the environment's last steps say."""
    close = {"map_size": 12, "max_cycles": 9, "hp": 3.0}  # so that they meet
    config = small(opponents={"rush": 1.0}, num_envs=4, env_options=close)
    runner = Runner(config={**config, "evaluate_every": 0, "evaluate_against": ()})
    meter_steps = []
    step = runner.view.step

    def note(actions):
        meter_steps.append(step(actions))
        return meter_steps[-1]

    runner.view.step = note
    meters = []
    runner._look_around = lambda log, meter, metrics, last: meters.append(meter)
    runner.train()
    found = meters[-1].read()
    wins = rounds = kills = hits = attacks = 0
    for seen in meter_steps:
        for row in seen.ended.nonzero().flatten().tolist():
            mine, theirs = (
                ("red", "blue") if runner.teams.assignment[row, 0] == 0 else ("blue", "red")
            )
            rounds += 1
            kills += int(seen.measures[f"{mine}_kills"][row])
            hits += int(seen.measures[f"{mine}_hits"][row])
            attacks += int(seen.measures[f"{mine}_attacks"][row])
            wins += int(seen.measures[f"{mine}_kills"][row] > seen.measures[f"{theirs}_kills"][row])
    assert rounds == runner.rounds > 8
    assert found["win_rate"] == found["win_rate_rush"] == wins / rounds
    assert found["kills"] == kills / rounds
    assert found["hit_share"] == hits / attacks
    assert 0 < hits < attacks


def test_one_episode_asked_for_is_one_a_side():
    rival = {"evaluate_against": ("random",), "evaluation_episodes": 1, "evaluation_envs": 1}
    assert Runner(config=small(**rival)).evaluate()["random_episodes"] == 2


def test_the_reward_that_is_logged_is_the_learners():
    view = wrap(battle_v0.batched_env(num_envs=2, map_size=12, copied_start=False))
    view.reset(seed=1)
    players = {"learner": Random(0), "other": Random(1)}
    meter = TrainingStats(view, Teams(view, players, view.groups.expand(2, -1)))
    step = view.step(torch.full((2, view.num_agents), 6))
    meter.note(replace(step, reward=view.groups.float().expand(2, -1) + 1))
    assert meter.read()["reward"] == 1


def test_a_tie_is_no_win():
    """The learner is red in row 0, blue in row 1; three of each row's four battles are no wins."""
    kills = [(2, 2), (3, 1), (0, 0), (1, 4)]
    fights = Duel(*([Fight(1, (0, 0), pair) for pair in row] for row in (kills, kills)))
    meter = TrainingStats(fights, seating(fights, Pupil(), {Always(1): 1.0}))
    step = fights.reset()
    for _ in range(8):  # a step, then one that starts anew
        step = fights.step(step.actions)
        meter.note(step)
    found = meter.read()
    assert found["win_rate"] == 2 / 8
    assert found["kills"] == (2 + 3 + 0 + 1 + 2 + 1 + 0 + 4) / 8
    assert found["survivors"] == 2
    only_red = TrainingStats(fights, seating(fights, Pupil(), {Always(1): 1.0}, sides="red"))
    step = fights.reset()
    for _ in range(2):  # the first battle alone, a tie in both rows
        step = fights.step(step.actions)
        only_red.note(step)
    assert only_red.read()["win_rate"] == 0


def test_a_game_that_counts_no_kills_has_none_in_its_log():
    fights, episode = Duel([Fight(2, (1, 3))], [Fight(1)], counted=False), 0
    meter = TrainingStats(fights, seating(fights, Pupil(), {Always(1): 1.0}))
    step = fights.reset()
    for _ in range(6):
        step = fights.step(step.actions)
        episode += int(step.ended.any())
        meter.note(step)
    assert episode > 1
    assert not {"win_rate", "kills", "survivors"} & meter.read().keys()


@pytest.mark.parametrize(
    ("name", "algo"),
    [(name, None) for name in PRESETS] + [("small", "mfac"), ("fast", "ac")],
)
def test_presets_run(name, algo):
    """Each on a small map for a few steps, so that every option is used."""
    config = preset(name)
    small = {"map_size": 14, "max_cycles": 5} if config.env == "battle_v0" else {}
    little = {"learning_starts": 5, "batch_size": 8, "replay_size": 200}
    runner = Runner(
        config=replace(
            config,
            algo=algo or config.algo,
            steps=12,
            rounds=0,
            num_envs=min(config.num_envs, 6),
            evaluate_against=(),
            evaluate_every=0,
            quiet=True,
            env_options={**config.env_options, **small},
            agent=replace(config.agent, **little),
            actor_critic=replace(config.actor_critic, **little),
        )
    )
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
    words = ["--steps", "20", "--num-envs", "12", "--set", "max_cycles=3", "--evaluate-every", "20"]
    words += ["--evaluation-envs", "7", "--evaluation-episodes", "14", "--quiet"]
    assert main(["train", "--preset", "small-random", *words]) == 0
    assert len(starts[12]) > 20
    assert len(starts[7]) > 5, "an episode a row, the same ones for either side"


def test_wrong_options_are_named():
    names = (
        "paper, authors, authors-mfac, fast, large, small, cartpole, "
        "fast-random, large-random, small-random"
    )
    with pytest.raises(ValueError, match=f"preset='slow'; allowed: {names}"):
        preset("slow")
    with pytest.raises(ValueError, match="rounds=-1"):
        RunConfig(rounds=-1)
    with pytest.raises(TypeError, match="evaluate_against='rush'"):
        RunConfig(evaluate_against="rush")
    with pytest.raises(ValueError, match="num_envs=2; allowed: at least 5"):
        Runner(config=small(num_envs=2))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"seed": 2**70}, ValueError, "seed=1180591620717411303424; allowed: 0 to"),
        ({"opponents": ("rush",)}, TypeError, "opponents=.*allowed: shares by opponent"),
        ({"opponents": {"rush": float("nan")}}, ValueError, r"opponents\['rush'\]=nan"),
        ({"opponents": {"rush": "a"}}, TypeError, r"opponents\['rush'\]='a'"),
        ({"evaluate_against": 3}, TypeError, "evaluate_against=3; allowed: a list"),
        ({"save_replay": "no"}, TypeError, "save_replay='no'; allowed: True or False"),
        ({"out": 3}, TypeError, "out=3; allowed: a folder's name"),
        ({"env_options": 3}, TypeError, "env_options=3; allowed: options by name"),
        ({"algo": 3}, TypeError, "algo=3; allowed: a name"),
        # Found before the first step, not at the first evaluation.
        ({"evaluate_against": ("random", "brave")}, OSError, "brave is no player"),
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
