"""The table that `mfq compare ising` prints."""

from __future__ import annotations

import math

from mfq.studies.ising.config import Result
from mfq.studies.ising.learners import METHODS


def table(results: list[Result]) -> str:
    """Formats the results as text of at most 80 columns."""
    names = [method.name for method in METHODS]
    by_tau: dict[float, dict[str, Result]] = {}
    for result in results:
        by_tau.setdefault(result.tau, {})[result.method] = result
    # "iql-observing" is wider than its column: "iql-" above "observing".
    heads = [name.partition("-") for name in names]
    above = [first + dash for first, dash, _ in heads]
    below = [second for _, _, second in heads]
    lines = [
        _line("", "exact", "Monte", above, "Weiss"),
        _line("", "", "Carlo", below, ""),
        _line("tau", "", "", ["|m| +- 95%"] * len(names), ""),
    ]
    for tau, row in by_tau.items():
        first = row[names[0]]
        measured = [
            f"{_number(row[name].order_parameter)} {_half_width(row[name])}" for name in names
        ]
        onsager, monte_carlo, weiss = map(_number, (first.exact, first.monte_carlo, first.weiss))
        lines.append(_line(f"{tau:.3g}", onsager, monte_carlo, measured, weiss))
    lines += ["", "Mean squared error of the learned Q against the true rewards:"]
    for name in names:
        errors = [result.q_mse for result in results if result.method == name]
        lines.append(f"  {name:<13}  {min(errors):.2g} to {max(errors):.2g}")
    return "\n".join(lines)


def _line(tau: str, exact: str, monte_carlo: str, measured: list[str], weiss: str) -> str:
    cells = [f"{tau:>5}", f"{exact:>5}", f"{monte_carlo:>5}"]
    return "  ".join([*cells, *(f"{cell:>11}" for cell in measured), f"{weiss:>5}"]).rstrip()


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _half_width(result: Result) -> str:
    return "" if math.isnan(result.low) else f"{(result.high - result.low) / 2:.3f}"
