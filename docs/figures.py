"""Draws the figures of concepts/mean_field.md: `python docs/figures.py` writes them beside that page."""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

import mfq
from mfenvs import ising_v0
from mfenvs.graph import EdgesGraph
from mfq.mean_field import mean_action

CONCEPTS = Path(__file__).parent / "concepts"
UP, DOWN, INK, FAINT = "#0072B2", "#D55E00", "#222222", "#b5b5b5"
NEIGHBORS = {(-1, 0): 1, (0, 1): 1, (1, 0): 0, (0, -1): 1}  # of the middle agent: offset -> action
TEMPERATURE = 2.0


def blank(axes, width, height):
    """An area without axes, in which a unit is as long along x as along y."""
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.set_axis_off()


def arrow(axes, start, end, color=INK, **options):
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color=color, **options)
    )


def draw_mean_action() -> Figure:
    """An agent of a lattice, its four neighbours, and the shares of them that play each action."""
    figure = Figure(figsize=(8, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    blank(left, 6.6, 5)
    coin = np.random.default_rng(3)
    for x in range(5):
        for y in range(5):
            offset = (x - 2, y - 2)
            is_up = NEIGHBORS.get(offset, int(coin.integers(2)))
            color = UP if is_up else DOWN
            if offset != (0, 0) and offset not in NEIGHBORS:
                color = FAINT
            center = (x + 0.5, y + 0.5)
            if offset == (0, 0):
                left.add_patch(Circle(center, 0.34, fc="white", ec=INK, lw=2))
                left.text(*center, "j", ha="center", va="center", fontsize=15, style="italic")
                continue
            if offset in NEIGHBORS:
                left.plot((2.5, center[0]), (2.5, center[1]), color=INK, lw=1.5, zorder=0)
                left.add_patch(Circle(center, 0.34, fc="white", ec="none", zorder=1))
            tip = 0.27 if is_up else -0.27
            arrow(left, (center[0], center[1] - tip), (center[0], center[1] + tip), color, lw=2)
    left.text(5.2, 3.2, "up", color=UP, fontsize=13, weight="bold")
    left.text(5.2, 2.5, "down", color=DOWN, fontsize=13, weight="bold")
    left.text(5.2, 1.8, "no neighbour", color="#6f6f6f", fontsize=13)

    neighbors = np.arange(1, 5)
    graph = EdgesGraph(np.stack([np.zeros(4, int), neighbors]), num_agents=5)
    actions = torch.tensor([[0, *NEIGHBORS.values()]])
    shares = mean_action(graph, actions, num_actions=2)[0, 0].tolist()
    bars = right.bar(("down", "up"), shares, color=(DOWN, UP), width=0.55)
    right.bar_label(bars, [f"{share:g}" for share in shares], fontsize=13, padding=3)
    right.set(ylim=(0, 1.08), ylabel="share of the neighbours", yticks=(0, 0.5, 1))
    right.set_title("Mean action of j", fontsize=14)
    right.tick_params(labelsize=13)
    right.yaxis.label.set_size(13)
    right.spines[["top", "right"]].set_visible(False)
    return figure


def draw_pairings() -> Figure:
    """What acting reads, and what each pairing fits."""
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.add_subplot()
    blank(axes, 12.4, 4)
    columns = {"abar(t-1)": 4.6, "s(t)": 6.3, "a(t)": 7.8, "abar(t)": 9.5, "r(t)": 11.3}
    for name, x in columns.items():
        axes.text(x, 3.5, name, ha="center", va="center", fontsize=13, color=INK)
    for y, color, text, reads, gives in (
        (2.5, INK, "acting", ("abar(t-1)", "s(t)"), "a(t)"),
        (1.5, UP, 'fit, "previous"', ("abar(t-1)", "s(t)", "a(t)"), "r(t)"),
        (0.5, DOWN, 'fit, "current"', ("s(t)", "a(t)", "abar(t)"), "r(t)"),
    ):
        axes.add_patch(Rectangle((0, y - 0.4), 12.4, 0.8, fc="#f4f4f4", ec="none", zorder=0))
        axes.text(0.2, y, text, va="center", fontsize=13, color=color, weight="bold")
        for name in reads:
            axes.add_patch(Circle((columns[name], y), 0.17, color=color))
        last = columns[reads[-1]]
        axes.plot((columns[reads[0]], last), (y, y), color=color, lw=2)
        arrow(axes, (last, y), (columns[gives] - 0.1, y), color, lw=2)
        axes.add_patch(Circle((columns[gives], y), 0.17, fc="white", ec=color, lw=2))
    return figure


def learned_values(policy) -> torch.Tensor:
    """Returns Q(a, abar) that MFQ learns in the Ising game, for 0 to 4 neighbours up: [5, actions]."""
    env = ising_v0.batched_env(num_envs=8, side=10, update="checkerboard", max_cycles=100)
    view = mfq.wrap(env)
    agent = mfq.TabularQ(view, mean_field=True, policy=policy, gamma=0.0, learning_rate="visits")
    mfq.train(view, agent, steps=2000)
    visits, table = (part[:, :, 0, :5].flatten(0, 1) for part in (agent.visits, agent.table))
    return (visits * table).sum(0) / visits.sum(0)


def draw_values() -> Figure:
    """Those values and the policy over the mean action."""
    policy = mfq.policy.Boltzmann(TEMPERATURE)
    values, shares = learned_values(policy), np.linspace(0, 1, 5)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for action, color, name in ((1, UP, "up"), (0, DOWN, "down")):
        left.plot(shares, values[:, action], "o-", color=color, lw=2)
        left.text(0.5, 0.75 if action else -1.15, name, color=color, fontsize=13, ha="center")
    right.plot(shares, policy.probabilities(values[None], 0)[0, :, 1], "o-", color=UP, lw=2)
    left.set_title("Learned Q(a, abar)", fontsize=14)
    right.set_title(f"Probability of up, at T = {TEMPERATURE:g}", fontsize=14)
    for axes in (left, right):
        axes.set_xticks(shares)
        axes.set_xlabel("share of the neighbours that are up", fontsize=13)
        axes.tick_params(labelsize=12)
        axes.grid(color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


FIGURES = {
    "mean-action.png": draw_mean_action,
    "pairings.png": draw_pairings,
    "values.png": draw_values,
}


def main(folder: Path = CONCEPTS) -> None:
    """Writes all figures into a folder."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        for name, draw in FIGURES.items():
            draw().savefig(folder / name, dpi=150)


if __name__ == "__main__":
    main()
