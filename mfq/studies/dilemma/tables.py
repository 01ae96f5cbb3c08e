"""The tables that `mfq compare dilemma` prints."""

from __future__ import annotations

import textwrap

from mfq.studies.dilemma.config import Contrast, Payoff


def label(name: str) -> str:
    """Returns a name in a column of 12; a longer one on a line before it."""
    return f"{name:<12}" if len(name) <= 12 else f"{name}\n{'':<12}"


def table(payoffs: list[Payoff]) -> str:
    """Formats a line for each payoff."""
    heads = f"{'run':<12} {'side':<4} {'others':<7} {'agent':<7}"
    lines = [f"{heads} the agent earns           army by agent, kills"]
    for p in payoffs:
        interval = f"{p.earned:5.2f} ({p.earned_low:5.2f} to {p.earned_high:5.2f})"
        army = f"{p.army:5.2f}, {p.kill_difference:+5.1f}"
        lines.append(
            f"{label(p.name)} {p.side:<4} {p.others:<7} {p.agent:<7} {interval:<25} {army}"
        )
    return "\n".join(lines)


def table_of_contrasts(contrasts: list[Contrast]) -> str:
    """Formats a line for each contrast."""
    count = len(contrasts)
    lines = [
        f"What the agent gains by striking; intervals and p for {count} contrasts (Bonferroni):",
        f"{'run':<12} {'side':<5} {'others':<8}  {'gain':<23}       p",
    ]
    for c in contrasts:
        gain = f"{c.gain:+5.2f} ({c.low:+5.2f} to {c.high:+5.2f})"
        lines.append(f"{label(c.name)} {c.side:<5} {c.others:<8}  {gain:<23}  {c.p_adjusted:6.4f}")
    return "\n".join(lines)


def table_of_random_play(earned: dict[tuple[str, str], float]) -> str:
    """Formats what an army earns by agent if it plays at random, a line for each run and side."""
    lines = (
        f"random play as {side} in the place of {name}: army by agent {value:5.2f}"
        for (name, side), value in earned.items()
    )
    return "\n".join("\n  ".join(textwrap.wrap(line, 78, break_on_hyphens=False)) for line in lines)
