"""README, docs/gpu.md, docs/speed.md, docs/your_env.md, docs/other_learners.md and
docs/studies/dilemma.md beside their CSVs.

Tables that a benchmark printed have no file beside them; what the text says of them is held to them.
"""

import csv
import re

import numpy as np
import pytest

from mfq.studies.dilemma import Contrast, Payoff
from mfq.studies.dilemma.config import CHOICES
from tests.baselines.test_pages import ROOT, last, minutes, row, rows, share, text


def read(path):
    with (ROOT / path).open(newline="") as file:
        return list(csv.DictReader(file))


def block(page, first):
    """The cells of each line of a printed table, after the line that begins with ``first``."""
    found = []
    source = (ROOT / "docs" / f"{page}.md").read_text()
    lines = source[source.index(first) :].partition("```")[0].splitlines()
    for line in lines[1:]:
        cells = re.split(r" {2,}", line.strip())
        found.append(cells[:1] + [cell.replace(",", "") for cell in cells[1:]])
    return found


def gpu():
    for algo, seeds in (("mfq", 6), ("iql", 5)):
        cells = [f"{60 * minutes(f'battle-h100-{algo}-{seed}'):.0f}" for seed in range(seeds)]
        cells += [""] * (6 - seeds)
        yield f"| {algo.upper()} | {' | '.join(cells)} |".replace("|  |", "| |")
    titles = {
        "fast": "`--preset fast`",
        "paper-net": "and `--agent.network.filters 32` (the paper's network)",
        "paper-net-8": "`--preset large`",
        "mfac": "`--preset fast --algo mfac`",
    }
    for name, title in titles.items():
        log = f"battle-gpu-{name}"
        rounds = max(int(entry["rounds"]) for entry in rows(log) if entry["rounds"])
        needed = 2000 / rounds * minutes(log)
        red, blue, _ = last(log)
        yield f"| {title} | {rounds:,} | {needed:.1f} min | {red}, {blue} |"
    steps = {tuple(cells[0].split()): cells for cells in block("gpu", "copy 3.02 TB/s")}
    battle = steps["battle", "13x13x5", "float32,", "views"]
    assert battle[1] == "16384"  # the last of them
    ising = steps["Ising,", "views"]
    yield f"That is {float(battle[4]):.0f} million agent-steps a second of battle with float32"
    yield f"{float(ising[4]) / 1000:.1f} spins a nanosecond of Ising"
    # "a third and a fourth of the floors"
    assert 0.30 < float(battle[4]) / float(battle[5]) < 0.36
    assert 0.23 < float(ising[4]) / float(ising[5]) < 0.29


def speed():
    games = {tuple(cells[:2]): cells for cells in block("speed", "rows per second")}
    ising, squeeze, one = (
        games[key] for key in (("Ising", "4096"), ("squeeze", "4096"), ("squeeze", "1"))
    )
    assert one[2] == "1000000"  # the last of them
    floors = [float(cells[-2]) / float(cells[3]) for cells in (ising, squeeze, one)]
    yield (
        "Ising takes {:.1f} times its floor, the squeeze {:.1f} times, and {:.1f} times with a "
        "million agents"
    ).format(*floors)
    found = {cells[0]: cells[1:3] for cells in reversed(block("speed", "Intel(R)"))}
    xeon = [found[f"ours, fast, paper's net, {kind}"][1] for kind in ("float32", "bfloat16")]
    yield "both are reached: {} and {} times".format(*xeon)
    after = block("speed", "AMD EPYC, 2 cores, 2026-11-26, 2 torch threads")
    found = {cells[0]: cells[1:3] for cells in after}
    epyc = [found[f"ours, fast, paper's net, {kind}"][1] for kind in ("float32", "bfloat16")]
    yield "the table's run {} and {}.".format(*epyc)
    mfq, iql = (minutes(f"battle-fast-{algo}") for algo in ("mfq", "iql"))
    short = (minutes(f"battle-fast-512-{algo}") for algo in ("mfq", "iql"))
    yield f"took {mfq:.0f} and {iql:.0f} minutes on a thread each"
    assert {f"{time:.0f}" for time in short} == {"9"}
    yield "(9 minutes with the two of `fast`)"


def scale():
    found = {}
    for cost in read("docs/scale.csv"):
        key = cost["game"], int(cost["num_envs"]), int(cost["num_agents"])
        found[key] = float(cost["microseconds_per_call"]), float(cost["nanoseconds_per_agent_step"])
    fixed = [
        call
        for (game, rows_, agents), (call, _) in found.items()
        if rows_ == 1 and agents <= (50 if game == "battle" else 2048)
    ]
    yield f"a call costs {np.floor(min(fixed) / 10) * 10:.0f} to {np.ceil(max(fixed)):.0f} us"
    squeeze = [found["squeeze", 1, agents][1] for agents in (131072, 1000000)]
    spins = [found["Ising", 1, agents][1] for agents in (99856, 1000000)]
    yield (
        f"{min(squeeze):.1f} to {max(squeeze):.1f} ns a squeezer and {min(spins):.1f} to "
        f"{max(spins):.1f} ns a spin"
    )
    soldiers = [
        cost / 1000
        for (game, rows_, agents), (_, cost) in found.items()
        if game == "battle" and rows_ == 1 and agents >= 512
    ]
    yield f"{min(soldiers):.1f} to {max(soldiers):.1f} us a soldier (512 to 99,458)"
    small = [found[game, 16384, 16][1] for game in ("squeeze", "Ising")]
    yield "{:.0f} ns a squeezer and {:.0f} ns a spin at N = 16".format(*small)
    few, many = (found["battle", rows_, 12][1] / 1000 for rows_ in (1024, 4096))
    yield f"takes {few:.2f} us at 12,288 of them in small rows, and {many:.2f} at 49,152"


def third_party():
    scores = {(s["env"], s["method"]): s for s in rows("third_party_summary")}
    for env in dict.fromkeys(env for env, _ in scores):
        cells = [
            "{:.2f} ({:.2f} to {:.2f})".format(*(float(found[c]) for c in ("score", "low", "high")))
            for found in (scores[env, "random"], scores[env, "mfq"])
        ]
        trained = scores[env, "mfq"]
        yield f"| {' | '.join(cells)} | {trained['runs']}, {int(trained['steps']):,} |"
    episodes = rows("third_party", env="knights_archers_zombies_v11", method="mfq")
    means = [
        np.mean([float(e["score"]) for e in episodes if e["seed"] == seed])
        for seed in ("0", "1", "2")
    ]
    yield "the three runs score {:.2f}, {:.2f} and {:.2f}.".format(*means)
    poles = rows("cartpole")
    assert {pole["return_best_100_episodes"] for pole in poles} == {"500.0"}
    best = [f"{int(pole['steps_best']):,}" for pole in poles]
    yield "it is of {}, {} and {} steps".format(*best)
    ends = [f"{float(pole['return_last_100_episodes']):.0f}" for pole in poles]
    yield "The last one stood {}, {} and {}".format(*ends)


def clients():
    battles = read("examples/results/sb3_battle.csv")
    for policy in ("untrained", "trained"):
        own = [(b["seed"], int(b["red"]), int(b["blue"])) for b in battles if b["policy"] == policy]
        red, blue = (np.mean([battle[k] for battle in own]) for k in (1, 2))
        wins = {
            seed: np.mean([(r > b) + (r == b) / 2 for s, r, b in own if s == seed])
            for seed in ("0", "1", "2")
        }
        line = rf"{policy} +{np.mean(list(wins.values())):.3f} \[[\d., ]+\] +{red:.2f} {blue:.2f}"
        yield re.compile(line)
    yield "The three seeds win {:.2f}, {} and {}, a draw".format(
        wins["0"], share(wins["1"]), share(wins["2"])
    )
    for name in ("sb3_mean_action", "sb3_mean_action_ferromagnet"):
        episodes = read(f"examples/results/{name}.csv")
        for method in ("without", "with"):
            own = [e for e in episodes if e["method"] == method]
            reward, order = (np.mean([float(e[c]) for e in own]) for c in ("reward", "order"))
            yield re.compile(rf"{method} +{reward:.3f} \[[\d., ]+\] +{order:.3f} \[")
    armies = read("examples/results/rllib_battle.csv")
    first, end = armies[0], armies[-1]
    yield (
        f"went from {float(first['red']):.2f} to {float(end['red']):.2f} and blue's from "
        f"{float(first['blue']):.2f} to {float(end['blue']):.2f}"
    )
    seeds = read("examples/results/tianshou_squeeze.csv")
    before, after = ([float(seed[c]) for seed in seeds] for c in ("before", "after"))
    yield "from {}, {} and {} to {}, {} and {} in 3 seeds".format(
        *(f"{value:.3f}".removeprefix("0") for value in before + after)
    )


def dilemma_table(payoffs, contrasts):
    """A line for each run and side."""
    kills = {payoff[:4]: payoff.kill_difference for payoff in payoffs}
    gains = {contrast[:3]: contrast for contrast in contrasts}
    lines = [
        "| run | side | kills as learned, and if all strike "
        "| the one gains, others as learned | and if they strike |",
        "|---|---|---|---|---|",
    ]
    for name, side in dict.fromkeys(contrast[:2] for contrast in contrasts):
        margins = [f"{kills[name, side, both, both]:+.1f}" for both in CHOICES]
        cells = []
        for others in CHOICES:
            c = gains[name, side, others]
            p = "p < .001" if c.p_adjusted < 0.001 else f"p {c.p_adjusted:.3f}".replace("0.", ".")
            cells.append(f"{c.gain:+.2f} ({c.low:+.2f} to {c.high:+.2f}), {p}")
        lines.append(f"| {name} | {side} | {', '.join(margins)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def struck():
    """docs/studies/dilemma.md on what an agent gains by fighting."""

    def typed(name, kind):
        words = ("name", "side", "others", "agent")
        return [
            kind(*(value if column in words else float(value) for column, value in found.items()))
            for found in rows(name)
        ]

    payoffs = typed("battle-dilemma", Payoff)
    contrasts = typed("battle-dilemma_contrasts", Contrast)
    assert len(contrasts) == 12
    earned = {payoff[:4]: payoff.earned for payoff in payoffs}
    for contrast in contrasts:
        strikes, learned = (earned[*contrast[:3], choice] for choice in ("strikes", "learned"))
        assert contrast.gain == pytest.approx(strikes - learned)
    yield " ".join(dilemma_table(payoffs, contrasts).split())
    yield f"{contrasts[0].episodes:.0f} episodes for each choice"
    gains = sum(contrast.low > 0 for contrast in contrasts)
    assert not any(contrast.high < 0 for contrast in contrasts)
    yield f"{gains} of the 12 gains are significant after correction, and no loss is"
    low = min(contrast.low for contrast in contrasts)
    most = max(contrasts, key=lambda contrast: contrast.high)
    assert most[:3] == ("mfq1", "blue", "learned")
    yield (
        f"No interval contains a loss above {-low:.2f}. The largest upper bound is a gain of "
        f"{most.high:.2f} (mfq1 as blue), where the agent earns "
        f"{earned[*most[:3], 'learned']:.2f} without striking"
    )
    kills = {payoff[:4]: payoff.kill_difference for payoff in payoffs}
    more = [
        kills[name, side, "strikes", "strikes"] - kills[name, side, "learned", "learned"]
        for name, side in dict.fromkeys(contrast[:2] for contrast in contrasts)
    ]
    yield f"rises in {sum(value > 0 for value in more)} of 6 lines when all strike"

    early = typed("battle-dilemma-early_contrasts", Contrast)
    assert all(contrast.gain > 0 for contrast in early)
    yield f"all twelve gains were positive, and {sum(c.low > 0 for c in early)} of them significant"


def readme():
    for player in ("mfq", "iql"):
        cells = []
        for opponent in ("iql", "rush", "focus", "random"):
            if opponent == player:
                cells.append("")
                continue
            found = row("battle-h100", player, opponent, "both")
            assert found["runs"] == "5"
            rate, low, high = (share(found[f"win_rate{end}"]) for end in ("", "_low", "_high"))
            cells.append(f"{rate} ({low} to {high})")
        yield f"| {player.upper()} | {' | '.join(cells)} |".replace("|  |", "| |")
    # The speeds are those of tables in docs/speed.md.
    for start in ("13 x 13 x 5 start 128", "minimap, features start 128", "cpu step start 256 128"):
        theirs, ours, times = re.findall(rf"{start} ([\d,]+) ([\d,]+) ([\d.]+) ", text("speed"))[0]
        yield f"| {theirs} | {ours} | {times} times |"
    (steps,) = re.findall(r"That is (\d+) million agent-steps", text("gpu"))
    yield f"on an H100 {steps} million agent-steps of battle a second"


PARTS = {
    "studies/dilemma": (struck,),
    "gpu": (gpu,),
    "speed": (speed, scale),
    "your_env": (third_party,),
    "other_learners": (clients,),
    "../README": (readme,),
}
CLAIMS = [(page, claim) for page, parts in PARTS.items() for part in parts for claim in part()]


@pytest.mark.parametrize(("page", "claim"), CLAIMS)
def test_the_page_says_what_the_results_say(page, claim):
    if isinstance(claim, re.Pattern):
        assert claim.search(text(page))
    else:
        assert claim in text(page)


@pytest.mark.parametrize(
    "page",
    ["studies/armies", "studies/players", "studies/recipe", "gpu", "actor_critic", "../README"],
)
def test_nobody_just_beats_rush(page):
    """Where a page says that someone beats rush it says from which start."""
    for paragraph in re.split(r"\n\s*\n|\n- ", (ROOT / "docs" / f"{page}.md").read_text()):
        said = " ".join(paragraph.split())
        if re.search(r"beats? rush|which beat it", said):
            assert re.search(r"start", said), said
