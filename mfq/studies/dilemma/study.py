"""Plays all choices of the dilemma study, and summarises them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

from mfq.common.files import write_csv
from mfq.common.progress import tick, watched
from mfq.envs.wrap import wrap
from mfq.matches.intervals import student
from mfq.matches.players import Random, load_player, options_of
from mfq.matches.sources import sources_by_name
from mfq.studies.dilemma.config import CHOICES, DilemmaStudy, Findings, Payoff
from mfq.studies.dilemma.contrasts import contrasts
from mfq.studies.dilemma.payoffs import payoff
from mfq.studies.dilemma.tables import table, table_of_contrasts, table_of_random_play
from mfq.studies.report import check_folder, write_report


def compare(study: DilemmaStudy) -> Findings:
    """Computes all payoffs, by name, side and the choices of the others and the agent, and all
    contrasts.

    Raises:
        OSError: if there is no such run.
        ValueError: if there are no runs, or one is not of battle.
    """
    from mfenvs import battle_v0

    entries = sources_by_name("runs", study.runs)
    if not entries:
        raise ValueError("runs is empty; allowed: one or more")
    payoffs, by_choice, of_random_play = [], {}, {}
    for name, sources in entries.items():
        options = options_of(sources, "battle_v0") or {}
        view = wrap(battle_v0.batched_env(num_envs=study.episodes, **options))
        players = [load_player(source, view) for source in sources]
        opponent = load_player(study.opponent, view)
        for (side, army), others, agent in product(enumerate(view.group_names), CHOICES, CHOICES):
            played = [
                payoff(view, player, opponent, side, others, agent, study.seed)
                for player in players
            ]
            tick()
            earned, mean, kills = (np.stack(part)[:, None] for part in zip(*played, strict=True))
            payoffs.append(
                Payoff(
                    *(name, army, others, agent, len(players), study.episodes),
                    *(float(earned.mean()), *student(earned)),
                    *(float(mean.mean()), *student(mean)),
                    float(kills.mean()),
                )
            )
            by_choice[name, army, others, agent] = earned[:, 0]
        for side, army in enumerate(view.group_names):
            _, mean, _ = payoff(view, Random(), opponent, side, "learned", "learned", study.seed)
            of_random_play[name, army] = float(mean.mean())
    return Findings(payoffs, contrasts(by_choice), of_random_play)


def run(study: DilemmaStudy) -> Findings:
    """Runs `mfq compare dilemma`: plays, prints payoffs and contrasts, writes the files."""
    check_folder(study, "dilemma")
    total = len(sources_by_name("runs", study.runs)) * 2 * len(CHOICES) ** 2
    with watched(total, "choice"):
        findings = compare(study)
    print(table(findings.payoffs))
    print("\n" + table_of_contrasts(findings.contrasts))
    print("\n" + table_of_random_play(findings.of_random_play))
    write_report(study, "dilemma", findings.payoffs)
    if study.out is not None:
        print(write_csv(Path(study.out) / "dilemma_contrasts.csv", findings.contrasts))
    return findings
