"""MFQ by default options beats random play, and is no worse than IQL, on all games that are here.

Networks and batches are small and runs are short; all other options are the defaults.
docs/studies/test_bed.md has the same games with more steps and more seeds.
"""

import numpy as np
import pytest

import mfq
from baselines import third_party
from baselines.test_bed import SMALL
from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfq.agents.registry import make_agent
from mfq.cli import main
from mfq.common.config import build
from mfq.studies import squeeze
from mfq.studies.ising.learners import METHODS
from tests.fakes.test_bed import GAMES

BUNDLED = {
    "ising": lambda rows: mfq.wrap(ising_v0.batched_env(rows, side=6, max_cycles=20)),
    "squeeze": lambda rows: mfq.wrap(
        gaussian_squeeze_v0.batched_env(rows, num_agents=20, mu=50, sigma=20, max_cycles=20)
    ),
    "battle": lambda rows: mfq.wrap(battle_v0.batched_env(rows, map_size=12, max_cycles=20)),
}
MAKERS = {**BUNDLED, **GAMES}
STEPS = {"ising": 200, "battle": 100, "fireflies": 400, "alternation": 500}
SEEDS = (0, 1, 2)
# Where random play is about as good as any uncoordinated policy, and as MFQ without inertia.
LEVEL = (
    "anti-coordination-ring",
    "anti-coordination-torus",
    "anti-coordination-all",
    "minority",
    "wishes",
)


def scores(name, algo, **changes):
    """The score of each seed after training, and random play's of the same episodes."""
    trained, chance, steps = [], [], STEPS.get(name, 300)
    for seed in SEEDS:
        small = {**SMALL["mfq"], "exploration": {"steps": steps // 2}}
        if name in BUNDLED:
            del small["gamma"]
            small["network"] = {**small["network"], "filters": 0}
        config = build(mfq.QConfig, changes, build(mfq.QConfig, small))
        view, test = MAKERS[name](4), MAKERS[name](10)
        agent = make_agent(view, algo, config, seed)
        mfq.train(view, agent, steps, view.reset(seed=seed))
        for player, into in ((agent, trained), (mfq.Random(seed), chance)):
            into.append(mfq.evaluate(test, player, 20, seed=1000 + seed)["return"])
    return np.array(trained), np.array(chance)


def faults(name, trained, chance, iql):
    """What is wrong with the scores of MFQ beside those of random play and of IQL."""
    size = max(abs(chance.mean()), 1e-9)
    margin = 0.2 * size if name in LEVEL else 0.0
    wrong = []
    if not (trained > chance - margin).all():
        wrong.append("below random")
    if np.median(trained) < np.median(iql) - 0.15 * abs(np.median(iql)):
        wrong.append("below IQL")
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_mfq_by_default(name):
    trained, chance = scores(name, "mfq")
    iql, _ = scores(name, "iql")
    assert faults(name, trained, chance, iql) == [], (name, trained, chance, iql)


@pytest.mark.parametrize("changes", [{"pairing": "current"}, {"play": "greedy"}])
def test_other_defaults_would_fail(changes):
    """The pairing on a game where agents free-ride on a stale mean action, greedy play on a game where
    agents must differ."""
    name = "public-good" if "pairing" in changes else "anti-coordination-all"
    trained, chance = scores(name, "mfq", **changes)
    assert "below random" in faults(name, trained, chance, trained)


def test_a_run_without_options_beats_random_play():
    """On the default game and by the default options, with a smaller lattice and fewer steps."""
    options = {"env_options": {"side": 6, "max_cycles": 20}, "steps": 300, "quiet": True}
    runner = mfq.Runner(config={**options, "evaluation": {"every": 0}})
    chance = mfq.evaluate(runner.view, mfq.Random(), 20)["return"]
    assert runner.run()["return"] > chance + 20


@pytest.mark.slow
def test_the_command_beats_random_play_in_the_squeeze(capsys):
    """`mfq train --env gaussian_squeeze_v0` starts from the preset; MFQ's bare defaults score less than
    random play there."""
    words = ["train", "--env", "gaussian_squeeze", "--out", "none", "--evaluation.every", "0"]
    assert main(words) == 0
    scores = {
        line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:]
    }
    trained, chance = map(float, scores["return"])
    assert trained > chance + 0.5


def test_studies_and_scripts_name_the_pairing_that_they_were_measured_with():
    for algo in ("mfq", "iql"):
        agent = squeeze.run_config(squeeze.SqueezeStudy(), 100, algo, 0).agent
        assert agent.exploration.policy == "epsilon_greedy"
        assert algo == "iql" or agent.pairing == "current"
    for game in third_party.GAMES.values():
        agent = build(mfq.QConfig, dict(game.agent))
        assert (agent.pairing, agent.exploration.policy) == ("current", "epsilon_greedy")
    assert [method.pairing for method in METHODS] == ["current", "current", "current", "previous"]
    assert mfq.ACConfig().pairing == "current"
