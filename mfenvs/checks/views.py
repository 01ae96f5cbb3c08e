"""Checks of what is shown of a state: snapshots, the neighbour graph, the PettingZoo view."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfenvs.checks.trial import Moment, Trial, as_dict, by_agent, ended, flat, kind, moment
from mfenvs.graph import NeighborGraph
from mfenvs.views.batched import BatchedEnv
from mfenvs.views.parallel import ParallelEnv

# SnapshotRing of a run that are looked at closely, and agents of each, at most.
MOMENTS, AGENTS = 10, 64


def _stops(trial: Trial) -> set[int]:
    """The steps to look at closely: the first few, then some spread over the run."""
    return {*range(4), *np.linspace(0, trial.steps, MOMENTS - 4, dtype=np.int64).tolist()}


def snapshots(trial: Trial) -> None:
    """observe(snapshot) shows its moment bit for bit, later too, in full, by pairs, without the gone."""
    env, stops = trial.batched(), _stops(trial)
    rng = np.random.default_rng(trial.seed)
    taken = []
    for step, found in enumerate(trial.moments(env)):
        if step in stops:
            shown = {name: values for name, values in found.items() if name.split(".")[0] == "obs"}
            taken.append((step, env.snapshot(), shown))
            _shows(trial, env, *taken[-1], rng, "at once")
            bare = _without(trial, env.snapshot(), ~(found["alive"] | found["terminated"]))
            _shows(trial, env, step, bare, shown, rng, "with zeros for agent_fields of the gone")
    for step, snapshot, shown in taken:
        _shows(trial, env, step, snapshot, shown, rng, "later")
    for step, snapshot, _ in taken:
        first = env.observe(snapshot)
        copy = flat({"obs": first})
        env.observe(taken[0][1])
        trial.same(copy, flat({"obs": first}), "observe() in memory of its own", step)


def _without(trial: Trial, snapshot: Any, gone: np.ndarray) -> Any:
    """A snapshot with zeros in its ``agent_fields`` for those who are gone."""
    for name in trial.game.agent_fields:
        known = name in snapshot._fields
        trial.hold(known, f"agent_fields of {type(snapshot).__name__}", f"a field {name!r}")
        getattr(snapshot, name)[gone] = 0
    return snapshot


def _shows(
    trial: Trial,
    env: BatchedEnv,
    step: int,
    snapshot: Any,
    shown: Moment,
    rng: np.random.Generator,
    when: str,
) -> None:
    whole = flat({"obs": env.observe(snapshot)})
    trial.same(shown, whole, f"observe(snapshot) {when}", step)
    for count in (0, 1, 2 * env.num_agents):
        rows, agents = rng.integers(0, (env.num_envs, env.num_agents), (count, 2)).T
        some = flat({"obs": env.observe(snapshot, rows, agents)})
        expected = {name: values[rows, agents] for name, values in shown.items()}
        claim = f"observe(snapshot, {rows.tolist()}, {agents.tolist()}) {when}"
        trial.same(expected, some, claim, step, ("pair", "entry"))


def graph(trial: Trial) -> None:
    """The neighbour graph agrees with loops over neighbors(), and never changes once taken."""
    env, stops = trial.batched(), _stops(trial)
    rng = np.random.default_rng(trial.seed)
    taken = []
    for step, _ in enumerate(trial.moments(env)):
        if step not in stops:
            continue
        now = env.neighbor_graph
        _lists(trial, now, step)
        _sums(trial, now, rng, step)
        taken.append((step, now, env.snapshot(), _edges(trial, now)))
    for step, now, snapshot, edges in taken:
        axes, later = ("end", "edge"), env.graph_of(snapshot)
        trial.same(edges, _edges(trial, now), "a graph that stays as it was taken", step, axes)
        claim = "graph_of(snapshot) as it was at the time"
        trial.same(edges, _edges(trial, later), claim, step, axes)


def _edges(trial: Trial, graph: NeighborGraph) -> Moment:
    return {f"edge_index(row={row})": graph.edge_index(row) for row in range(trial.num_rows)}


def _lists(trial: Trial, graph: NeighborGraph, step: int) -> None:
    """neighbors() ascend within [0, N) without oneself; edge_index() and max_degree fit them."""
    size, hold = trial.game.num_agents, trial.hold
    hold(graph.num_agents == size, f"num_agents {size}", graph.num_agents, step)
    most = 0
    for row, listed in enumerate(_edges(trial, graph).values()):
        lists = [graph.neighbors(agent, row) for agent in range(size)]
        for agent, near in enumerate(lists):
            call = f"neighbors({agent}, row={row})"
            hold(near.dtype == np.int64 and near.ndim == 1, f"{call}: int64 [K]", kind(near), step)
            hold(bool((np.diff(near) > 0).all()), f"{call} ascending, each once", near, step)
            hold(bool(((near >= 0) & (near < size)).all()), f"{call} in [0, {size})", near, step)
            own = agent in near and not getattr(graph, "include_self", False)
            hold(not own, f"{call} without the agent, as include_self is not set", near, step)
        most = max(most, *map(len, lists))
        pairs = [(agent, other) for agent, near in enumerate(lists) for other in near.tolist()]
        edges = np.array(pairs, np.int64).reshape(-1, 2).T
        call = f"edge_index(row={row})"
        hold(kind(listed) == kind(edges), f"{call} {kind(edges)}", kind(listed), step)
        hold(bool((listed == edges).all()), f"{call} {edges.tolist()}", listed.tolist(), step)
    enough = most <= graph.max_degree
    hold(enough, f"max_degree {most} or more, as neighbors()", graph.max_degree, step)


def _sums(trial: Trial, graph: NeighborGraph, rng: np.random.Generator, step: int) -> None:
    """degree() and mean() over live neighbours, of arrays and of tensors, agree with loops."""
    shape = (trial.num_rows, trial.game.num_agents)
    alive = rng.random(shape) < rng.choice([0.1, 0.7])
    x = rng.normal(size=(*shape, 2))
    given = alive.copy(), x.copy()
    degree, mean = graph.degree(alive), graph.mean(x, alive)
    untouched = np.array_equal(alive, given[0]) and np.array_equal(x, given[1])
    trial.hold(untouched, "degree() and mean() to leave their inputs", "changed", step)
    trial.hold(kind(degree) == f"int64 {list(shape)}", "degree int64 [B, N]", kind(degree), step)
    trial.hold(kind(mean) == kind(x), f"mean {kind(x)}", kind(mean), step)

    chosen = rng.permutation(shape[1])[:AGENTS]
    for row in range(shape[0]):
        for agent in chosen.tolist():
            near = graph.neighbors(agent, row)
            live = near[alive[row, near]]
            found, count = int(degree[row, agent]), len(live)
            where = f"of agent {agent} in row {row}, whose live neighbours are {live.tolist()}"
            trial.hold(found == count, f"degree {count} {where}", found, step)
            wanted = x[row, live].mean(0) if count else np.zeros(2)
            close = np.allclose(mean[row, agent], wanted, rtol=1e-9, atol=1e-9)
            trial.hold(close, f"mean {wanted} {where}", mean[row, agent], step)

    import torch

    tensors = torch.as_tensor(x), torch.as_tensor(alive)
    alike = np.array_equal(graph.degree(tensors[1]).numpy(), degree)
    trial.hold(alike, "degree() of a tensor as of an array", "another", step)
    close = np.allclose(graph.mean(*tensors).numpy(), mean, rtol=1e-9, atol=1e-9)
    trial.hold(close, "mean() of tensors as of arrays", "another", step)


def views(trial: Trial) -> None:
    """The PettingZoo view shows what a batch of one does; who is left out of its dict gets -1."""
    view, env = trial.parallel(), trial.batched(1)
    for name, of_view, of_game in (
        ("observation", view.observation_space, env.game.parallel_observation_space),
        ("action", view.action_space, env.single_action_space),
    ):
        for agent in view.possible_agents:
            alike = of_view(agent) == of_game
            trial.hold(alike, f"{name}_space({agent!r}) {of_game}", of_view(agent))
    everybody = list(view.possible_agents)
    trial.hold(everybody == env.agents, f"possible_agents {env.agents}", everybody)
    found = moment(env, env.reset(seed=trial.seed))
    returned: tuple[Any, ...] = view.reset(seed=trial.seed)
    nothing = np.full(len(everybody), -1, np.int64)
    _agree(trial, view, env, view.agents, returned, nothing, found, 0)
    for step, chosen in enumerate(trial.actions(1), 1):
        living = view.agents
        returned = view.step(as_dict(view, chosen[0])) if living else view.reset()
        given = chosen[0] if living else nothing
        found = moment(env, env.step(chosen))
        _agree(trial, view, env, living or view.agents, returned, given, found, step)


def _agree(
    trial: Trial,
    view: ParallelEnv,
    env: BatchedEnv,
    living: list[str],
    returned: tuple[Any, ...],
    given: np.ndarray,
    found: Moment,
    step: int,
) -> None:
    """What the PettingZoo view returned, of the ``living``, against a moment of a batch of one."""
    parallel = flat(by_agent(returned))
    terminated, truncated = found["terminated"][0], bool(found["truncated"][0])
    expected: Moment = {}
    size = trial.game.num_agents
    room = env.game.allocate_parallel_observation(size)
    env.game.observe(env._state, room, np.zeros(size, np.int64), np.arange(size))
    pictures = flat(room, ".") if isinstance(room, dict) else {"": np.array(room)}
    index = {agent: i for i, agent in enumerate(trial.game.agents)}
    for agent in living:
        i = index[agent]
        for name, values in pictures.items():
            expected[f"observations.{agent}{name}"] = values[i]
        action, acting = found["info.actions"][0, i], found["info.acting"][0, i]
        shown = {}
        if action != given[i]:
            shown["action"] = action
        if acting != (given[i] >= 0):
            shown["acting"] = acting
        if trial.game.masks_actions:
            shown["action_mask"] = found["info.action_mask"][0, i]
        expected.update({f"infos.{agent}.{key}": np.array(value) for key, value in shown.items()})
        if len(returned) == 5:
            expected[f"rewards.{agent}"] = np.array(float(found["reward"][0, i]))
            expected[f"terminations.{agent}"] = np.array(bool(terminated[i]))
            expected[f"truncations.{agent}"] = np.array(truncated)
    trial.same(expected, parallel, "the PettingZoo view as a batch of one", step, ("entry",))
    for name, value in view.measures.items():
        wanted = float(found[f"info.{name}"][0])
        trial.hold(value == wanted, f"measures[{name!r}] {wanted}", value, step)

    alive = found["alive"][0] & ~ended(found)[0]
    left = [agent for agent, lives in zip(trial.game.agents, alive, strict=True) if lives]
    trial.hold(view.agents == left, f"agents {left}", view.agents, step)
    for i in range(min(AGENTS, trial.game.num_agents)):
        near = view.neighbor_graph.neighbors(i)
        names = [trial.game.agents[j] for j in near if found["alive"][0, j]]
        shown_names = view.neighbors(trial.game.agents[i])
        call = f"neighbors({trial.game.agents[i]!r})"
        trial.hold(shown_names == names, f"{call} {names}, the living", shown_names, step)
