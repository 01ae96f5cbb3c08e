"""What the studies of battle and docs/compare.md say is what the CSVs say, at the printed precision.

Each claim is a piece of the page, written anew from the files in baselines/results. Blanks count as one,
so that a page may be rewrapped.
"""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from baselines import evaluations

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "baselines/results"


def text(name):
    return " ".join((ROOT / "docs" / f"{name}.md").read_text().split())


def rows(name, **wanted):
    with (RESULTS / f"{name}.csv").open(newline="") as file:
        return [
            row
            for row in csv.DictReader(file)
            if all(row[column] == value for column, value in wanted.items())
        ]


def row(name, player, opponent, side="both", **more):
    (found,) = rows(name, player=player, opponent=opponent, side=side, **more)
    return found


def on_starts(player, opponent, start, side="both"):
    """A win rate of the study that plays every pair on two kinds of start."""
    return share(row("battle-starts", player, opponent, side, placement=start)["win_rate"])


def share(value):
    value = float(value)
    return "1.0" if value >= 0.995 else f"{value:.2f}".removeprefix("0")


def rate(name, player, opponent, side="both"):
    return share(row(name, player, opponent, side)["win_rate"])


def interval(name, player, opponent, side="both", to=" to "):
    found = row(name, player, opponent, side)
    low, high = share(found["win_rate_low"]), share(found["win_rate_high"])
    return f"{share(found['win_rate'])} ({low}{to}{high})"


def singles(name, player, opponent, side="both"):
    found = rows(f"{name}_runs", player=player, opponent=opponent, side=side)
    return [float(single["win_rate"]) for single in found]


def extremes(rates, between=" to "):
    return f"{share(min(rates))}{between}{share(max(rates))}"


def last(log):
    """The sides' win rates against rush in a log's last evaluation, and the kill difference."""
    found = [entry for entry in rows(log) if entry["eval_rush_win_rate"]][-1]
    sides = [share(found[f"eval_rush_win_rate_as_{side}"]) for side in ("red", "blue")]
    return *sides, f"{float(found['eval_rush_kill_difference']):.1f}"


def minutes(log):
    """Training's, by a log."""
    seconds, before = 0.0, 0
    for entry in rows(log):
        if entry["steps_per_second"]:
            seconds += (int(entry["step"]) - before) / float(entry["steps_per_second"])
            before = int(entry["step"])
    return seconds / 60


def shipped():
    """The paper's game."""
    red, blue, margin = last("battle-fast-mfac")
    yield f"won {red} as red and {blue} as blue against rush, kill difference {margin}"
    yield "times were worse, {} and {}.".format(*last("battle-fast-mfac-256")[:2])
    mine, its = last("battle-fast-512-mfq"), last("battle-fast-512-iql")
    previous = last("battle-fast-512-mfq-previous")
    yield (
        f"MFQ won {mine[0]} as red and {mine[1]} as blue against rush in 20 episodes, IQL {its[0]} "
        f"and {its[1]}, and MFQ with `pairing: previous` {previous[0]} and {previous[1]}"
    )
    fast = "battle-fast"
    yield f"MFQ wins {interval(fast, 'mfq', 'rush')} against it, IQL {interval(fast, 'iql', 'rush')}"
    yield f"beat by {interval(fast, 'mfq', 'focus')} and {interval(fast, 'iql', 'focus')}"
    both = row("battle-fast-match", "mfq", "iql")
    drawn = share(int(both["draws"]) / int(both["episodes"]))
    lost = share(int(both["losses"]) / int(both["episodes"]))
    yield f"MFQ wins {share(both['win_rate'])}, IQL {lost}, {drawn} drawn"
    sides = [interval("battle-fast-match", "mfq", "iql", side) for side in ("red", "blue")]
    yield f"MFQ wins {sides[0]} as red and {sides[1]} as blue"
    large = "battle-large"
    mine, its = interval(large, "mfq-large", "rush"), interval(large, "iql-large", "rush")
    yield f"the fixed start that they were trained on, {mine} and {its}, on either side"
    yield f"`mfq-large` and `iql-large` win {mine} and {its}"
    yield f"focus by {rate(large, 'mfq-large', 'focus')} and {rate(large, 'iql-large', 'focus')}"
    yield f"either ({rate(large, 'mfq', 'mfq-large')} and {rate(large, 'mfq', 'iql-large')})"
    yield f"none against `iql-large` ({rate(large, 'iql', 'iql-large')})"
    match = f"{rate(large, 'iql', 'mfq-large')} to {rate(large, 'mfq-large', 'iql')}"
    yield f"in their match ({match})"
    yield f"`mfq-large` beats `iql-large` in {interval(large, 'mfq-large', 'iql-large')}"
    yield "won {} as red and {} as blue against rush ([log]".format(*last("battle-large-mfq")[:2])
    yield f"MFQ took {minutes('battle-fast-mfq'):.0f} minutes of training and IQL " + (
        f"{minutes('battle-fast-iql'):.0f}"
    )
    yield f"{minutes('battle-large-iql'):.0f} minutes)"


def starts():
    """The shipped players on the fixed start and on random ones."""
    players = ("mfq", "iql", "mfq-large", "iql-large")
    for player in players:
        for opponent in ("rush", "focus"):
            cells = [
                on_starts(player, opponent, start, side)
                for start in ("paper", "random")
                for side in ("red", "blue")
            ]
            yield f"| {player} | {opponent} | {' | '.join(cells)} |"
    won = [on_starts(player, "rush", "random") for player in players]
    assert won == sorted(won)
    yield f"all four lose to rush: they win {won[0]} to {won[-1]}"
    assert [on_starts(player, "random", "random") for player in players] == ["1.0"] * 4
    yield f"On random starts they win {won[0]}, {won[1]}, {won[2]} and {won[3]} of their battles"
    fixed, random = (on_starts("mfq-large", "iql-large", s) for s in ("paper", "random"))
    yield f"`mfq-large` beats `iql-large` in {fixed} from the fixed start and in {random} from random"
    yield f"({fixed} in the 200 battles above)"


def trained():
    """The runs of several seeds."""
    name = "battle-h100"
    mine, its = (extremes(singles(name, player, "rush")) for player in ("mfq", "iql"))
    yield f"MFQ {mine}, IQL {its}, and all against random"
    yield f"MFQ wins {rate(name, 'mfq', 'iql')} of its battles with IQL"
    yield f"MFQ against IQL: {rate(name, 'mfq', 'iql')} over all 25 pairs"
    found = singles(name, "mfq", "iql")
    yield f"between {share(min(found))} and {share(max(found))} of its battles"
    name = "battle-small"
    least = min(
        rate
        for player in ("mfq", "iql")
        for side in ("red", "blue")
        for rate in singles(name, player, "rush", side)
    )
    yield f"every one of the ten beats rush in {share(least)} of the episodes or more"
    red, blue = (singles(name, "mfq", "focus", side)[3] for side in ("red", "blue"))
    yield f"MFQ's seed 3 ({share(red)} as red, {share(blue)} as blue)"
    red, blue = (singles(name, "iql", "focus", side)[2] for side in ("red", "blue"))
    yield f"IQL's seed 2 ({share(red)}, {share(blue)})"
    medians = [
        np.median(singles(name, player, "focus", side))
        for player in ("mfq", "iql")
        for side in ("red", "blue")
    ]
    yield f"the median wins {share(min(medians))} and more"
    yield f"IQL is ahead, {rate(name, 'iql', 'mfq')} to MFQ's {rate(name, 'mfq', 'iql')} over all"
    yield f"a run of MFQ wins {extremes(singles(name, 'mfq', 'iql'))} of its battles"
    yield f"a run of IQL {extremes(singles(name, 'iql', 'mfq'))}."
    times = [minutes(f"battle-small-{algo}-{k}") for algo in ("mfq", "iql") for k in range(5)]
    yield f"by the logs {min(times):.0f} to {max(times):.0f} minutes of training a run"
    name = "battle-small-four"
    four = ("mfq", "iql", "mfac", "ac")
    winners = {
        (opponent, side): sorted(
            rate for player in four for rate in singles(name, player, opponent, side)
        )[1:]
        for opponent in ("rush", "focus")
        for side in ("red", "blue")
    }
    least = min(winners["rush", "red"] + winners["rush", "blue"])
    yield f"all but one of the twelve beat rush, in {share(least)} of the episodes or more"
    red, blue = (share(min(winners["focus", side])) for side in ("red", "blue"))
    yield f"the same eleven in {red} or more as red, {blue} or more as blue"
    whole = {
        pair: (rate(name, *pair), extremes(singles(name, *pair)))
        for pair in (("mfac", "mfq"), ("mfac", "iql"), ("mfq", "iql"), ("mfac", "ac"))
    }
    a, b, c, d = whole.values()
    yield f"MF-AC won {a[0]} of its battles with MFQ (single runs {a[1]}) and {b[0]} with IQL ({b[1]})"
    yield f"MFQ {c[0]} of those with IQL ({c[1]}), MF-AC {d[0]} of those with AC ({d[1]})"


def logged():
    """What the evaluations in the runs' logs say."""
    runs = evaluations.committed()
    yield " ".join(evaluations.table(runs).split())
    by = {
        (study, algo): [run for run in runs if (run.study, run.algo) == (study, algo)]
        for study, algo in {(run.study, run.algo) for run in runs}
    }

    def first(study, *algos):
        steps = [run.first_good for algo in algos for run in by[study, algo] if run.good]
        return f"{min(steps):,.0f} to {max(steps):,.0f}"

    mine, its = first("small", "mfq"), first("small", "iql")
    yield f"at {mine} steps (MFQ) and {its} (IQL)"
    critics, values = first("small, four", "mfac", "ac"), first("small, four", "mfq", "iql")
    yield f"from {critics} steps, MFQ and IQL from {values}."
    quarters = []
    for algo in ("mfq", "iql"):
        found = np.zeros(4, int)
        for seed in range(5):
            log = [e for e in rows(f"battle-small-{algo}-{seed}") if e["eval_rush_win_rate"]]
            assert len(log) == 32
            for k, entry in enumerate(log):
                sides = [float(entry[f"eval_rush_win_rate_as_{s}"]) for s in ("red", "blue")]
                found[k // 8] += min(sides) >= 0.6
        quarters.append(found)
    (_, a, _, b), (_, c, _, d) = quarters
    yield (
        f"both sides were at .6 or above in {b} of MFQ's 40 evaluations of the last quarter and in "
        f"{d} of IQL's, in the second quarter in {a} and {c}."
    )
    medians = [
        np.median([getattr(run, f"{which}_as_red") for run in by["large", "iql"]])
        for which in ("last", "best")
    ]
    yield "of IQL win {} as red in the median where the best ones won {}.".format(
        *map(share, medians)
    )


def chosen():
    """Equal checkpoints, and which mean action."""
    runs = evaluations.committed()
    by = {
        key: [run for run in runs if (run.study, run.algo) == key]
        for key in {(run.study, run.algo) for run in runs}
    }
    good = {
        key: sum(run.good for run in by[key])
        for key in (("small", "mfq"), ("small", "iql"), ("small, pairing current", "mfq"))
    }
    yield (
        f"of 64 evaluations in them {good['small, pairing current', 'mfq']} had both sides at .6 or "
        f"above, of 160 in the five runs of MFQ with the preset {good['small', 'mfq']}, and of 160 of "
        f"IQL's {good['small', 'iql']}."
    )
    margins = {}
    for player in ("first", "last"):
        for opponent in ("rush", "focus"):
            found = rows("battle-small-ties", player=player, opponent=opponent, side="both")
            values = [float(entry["kill_difference"]) for entry in found]
            margins[player, opponent] = f"{min(values):.1f} to {max(values):.1f}"
    yield (
        f"against rush ({margins['last', 'rush']} in the place of {margins['first', 'rush']}) and "
        f"against focus ({margins['last', 'focus']}, {margins['first', 'focus']})"
    )
    won = [
        share(row("battle-small-ties", "last", "first", run=f"runs/small/{run}")["win_rate"])
        for run in ("iql-1", "iql-3", "mfq-4")
    ]
    yield "and won {}, {} and {} of the battles between the two".format(*won)
    sides = [interval("battle-small-current", "current", "rush", side) for side in ("red", "blue")]
    yield f"seed 0's best checkpoint won {sides[0]} as red and {sides[1]} as blue against rush"


TUNING = {
    "| 32 filters | 512, 5e-4 | gamma .95, half against rush |": "conv32-epsilon",
    "| 32, stride 2 | 128, 5e-4 | the same |": "conv32-stride2-batch128",
    "| 32, stride 2 | 128, 5e-4 | gamma .8 |": "conv32-stride2-batch128-gamma.8",
    "| 32, stride 2 | 128, 5e-4 falling to 0 at 5,000 | gamma .8, four in five against rush |": (
        "conv32-stride2-batch128-gamma.8-rush.8-decay"
    ),
    "| none | 128, 5e-4 falling, 8,000 | the same, seed 1 |": (
        "flat-batch128-gamma.8-rush.8-decay-8000-seed1"
    ),
    "| none | 128, 5e-4 falling, 10,000 | the same, seed 0 |": (
        "mfq-flat-batch128-gamma.8-rush.8-rate5e-4-decay-10000-seed0"
    ),
    "| none | 128, 1e-4 falling, 6,000 | the same, seed 0 |": (
        "flat-batch128-gamma.8-rush.8-rate1e-4-decay"
    ),
    "| none | 128, 2e-4 falling, 6,000 | the same, seed 0 |": (
        "flat-batch128-gamma.8-rush.8-rate2e-4-decay"
    ),
    "| none | 128, 5e-4 falling, 6,000 | gamma .6 |": "flat-batch128-gamma.6-rush.8-decay",
    "| none | 128, 5e-4 falling, 6,000 | gamma .7 |": "flat-batch128-gamma.7-rush.8-decay",
    "| none | 256, each four times, 3e-4 falling, 8,000 | gamma .8, seed 0 |": (
        "mfq-flat-batch256-gamma.8-rush.8-rate3e-4-decay-8000-seed0"
    ),
    "| none | the same | gamma .7, seed 1 |": (
        "flat-batch256-gamma.7-rush.8-rate3e-4-decay-8000-seed1"
    ),
    **{
        f"| none | the same | {title} |": f"{algo}-flat-batch256-gamma.8-rush.8-rate3e-4-decay-8000-{s}"
        for title, algo, s in (
            ("seed 1", "mfq", "seed1"),
            ("seed 2", "mfq", "seed2"),
            ("IQL, seed 0", "iql", "seed0"),
            ("IQL, seed 1", "iql", "seed1"),
            ("IQL, seed 2", "iql", "seed2"),
        )
    },
}


def tuned():
    """How the recipe was found."""
    found = {}
    for entry in rows("battle-small-tuning"):
        found.setdefault(entry["run"], []).append(entry)
    totals = []
    for iql in (False, True):
        own = [entries for run, entries in found.items() if run.startswith("iql") == iql]
        totals.append((len(own), f"{sum(int(entries[-1]['step']) for entries in own):,}"))
    (mfq, steps), (iql, its) = totals
    yield f"{mfq} of the {len(found)} runs were MFQ's ({steps} environment steps), {iql} IQL's ({its})"
    weaker = {
        run: max(min(float(e[f"rush_win_rate_as_{side}"]) for side in ("red", "blue")) for e in its)
        for run, its in found.items()
    }
    good = [run for run, rate in weaker.items() if rate >= 0.6]
    yield (
        f"{len(good)} of the {len(found)} runs reach .6 on both sides in an evaluation, and "
        f"{sum(rate == 0 for rate in weaker.values())} never win on both sides at once"
    )
    for option in ("flat", "gamma.8", "rush.8", "decay"):
        assert all(option in run for run in good)
    for cells, run in TUNING.items():
        best = max(found[run], key=lambda entry: float(entry["rush_win_rate"]))
        red, blue = (share(best[f"rush_win_rate_as_{side}"]) for side in ("red", "blue"))
        end = found[run][-1]
        cells += f" {share(best['rush_win_rate'])} ({red}, {blue}) |"
        yield f"{cells} {share(end['rush_win_rate'])} at {int(end['step']):,} |"
    more = rows("battle-small-tuning-iql")
    last = {entry["run"]: entry for entry in more}
    assert {entry["step"] for entry in last.values()} == {"1000"}
    assert all(float(entry["rush_win_rate"]) == 0 for entry in more)
    best = max(last.values(), key=lambda entry: float(entry["rush_kills_difference"]))
    assert "gamma0.8" in best["run"]
    assert "rush0.8" in best["run"]
    yield f"{len(last)} more recipes of 1,000 steps each"
    yield f"the best kill difference is {float(best['rush_kills_difference']):.2f}"
    yield f"IQL has {7 + len(last)} runs, too, but fewer steps ({38_500 + 1000 * len(last):,})"
    scripts = "battle-scripts-map-20"
    yield f"it beats *focus* in {rate(scripts, 'rush', 'focus')} of the battles"
    yield f"itself in {rate('battle-rush-mirror', 'rush', 'again', 'blue')} as blue"


def scripts():
    """docs/compare.md."""
    name, columns = "battle-scripts-map-20", ("random", "hold", "rush", "focus")
    for player in columns[1:]:
        cells = []
        for opponent in columns:
            if player == opponent:
                cells.append("")
                continue
            whole = interval(name, player, opponent, to="-")
            cells.append("1.0" if whole.startswith("1.0") else whole)
        yield f"| {player} | {' | '.join(cells)} |".replace("|  |", "| |")
    red, blue = (interval(name, "rush", "focus", side, "-") for side in ("red", "blue"))
    yield f"Rush beats focus in {red} of the episodes as red, which moves first, and in {blue} as blue"
    itself = interval("battle-rush-mirror", "rush", "again", "blue", "-")
    yield f"Against itself rush wins {itself} as blue"


STUDIES = ("armies", "players", "recipe")
CLAIMS = [
    (page, claim)
    for page, parts in (
        ("studies/armies", (trained, logged)),
        ("studies/players", (shipped, starts)),
        ("studies/recipe", (chosen, tuned)),
        ("compare", (scripts,)),
    )
    for part in parts
    for claim in part()
]


@pytest.mark.parametrize(("page", "claim"), CLAIMS)
def test_the_page_says_what_the_results_say(page, claim):
    assert claim in text(page)


@pytest.mark.parametrize("study", STUDIES)
def test_no_other_win_rate_is_on_the_page(study):
    """Every rate of two digits is in a claim above, in the tables that test_results holds, or one of
    these."""
    page = text(f"studies/{study}")
    page = re.sub(r"Single runs, median.*?!\[", "", page)
    for name, claim in CLAIMS:
        if name == f"studies/{study}":
            page = page.replace(claim, "")
    others = set(re.findall(r"(?<![\w.])\.\d\d(?!\d)", page))
    # Options (T), and what the small setting asks for.
    assert others <= {"armies": set(), "players": set(), "recipe": {".02", ".95"}}[study]
