"""Checks of snapshots, the neighbour graph and the PettingZoo view."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfenvs.checks.trial import (
    Moment,
    Trial,
    as_dict,
    by_agent,
    describe,
    ended,
    flat,
    moment,
    spread,
)
from mfenvs.graph import NeighborGraph
from mfenvs.infos import ACTING, ACTION
from mfenvs.views.batched import BatchedEnv
from mfenvs.views.parallel import ParallelEnv

# How many steps of a run, and agents of each, these checks test in detail, at most.
STEPS, AGENTS = 10, 64


def _stops(trial: Trial) -> set[int]:
    """Returns the steps to test in detail: the first four, and others spread over the run."""
    return {*range(4), *np.linspace(0, trial.steps, STEPS - 4, dtype=np.int64).tolist()}


def snapshots(trial: Trial) -> None:
    """observe(snapshot) gives the bits of its step, also later, for pairs, and without gone agents."""
    env, stops = trial.batched(), _stops(trial)
    rng = np.random.default_rng(trial.seed)
    taken = []
    for step, results in enumerate(trial.moments(env)):
        if step in stops:
            expected = {name: part for name, part in results.items() if name.split(".")[0] == "obs"}
            taken.append((step, env.snapshot(), expected))
            _observe(trial, env, *taken[-1], rng, "at once")
            cleared = _clear(trial, env.snapshot(), ~(results["alive"] | results["terminated"]))
            when = "with zeros for agent_fields of gone agents"
            _observe(trial, env, step, cleared, expected, rng, when)
    for step, snapshot, expected in taken:
        _observe(trial, env, step, snapshot, expected, rng, "later")
    for step, snapshot, _ in taken:
        first = env.observe(snapshot)
        copy = flat({"obs": first})
        env.observe(taken[0][1])
        trial.require_equal(copy, flat({"obs": first}), "observe() in new memory", step)


def _clear(trial: Trial, snapshot: Any, gone: np.ndarray) -> Any:
    """Sets the ``agent_fields`` of a snapshot to zero for agents that are gone."""
    for name in trial.game.agent_fields:
        present = name in snapshot._fields
        trial.require(present, f"agent_fields of {type(snapshot).__name__}", f"a field {name!r}")
        getattr(snapshot, name)[gone] = 0
    return snapshot


def _observe(
    trial: Trial,
    env: BatchedEnv,
    step: int,
    snapshot: Any,
    expected: Moment,
    rng: np.random.Generator,
    when: str,
) -> None:
    observed = spread(env, flat({"obs": env.observe(snapshot)}))
    trial.require_equal(expected, observed, f"observe(snapshot) {when}", step)
    for count in (0, 1, 2 * env.num_agents):
        rows, agents = rng.integers(0, (env.num_envs, env.num_agents), (count, 2)).T
        some = flat({"obs": env.observe(snapshot, rows, agents)})
        some_expected = {name: values[rows, agents] for name, values in expected.items()}
        claim = f"observe(snapshot, {rows.tolist()}, {agents.tolist()}) {when}"
        trial.require_equal(some_expected, some, claim, step, ("pair", "entry"))
    for name in env.type_names if env.game.has_types else ():
        alone = env.observe(snapshot, rows, agents, of_type=name)
        trial.require_equal(
            flat({"obs": {name: alone}}),
            {key: part for key, part in some.items() if key.split(".")[1] == name},
            f"observe(snapshot, ..., of_type={name!r}) {when}",
            step,
            ("pair", "entry"),
        )


def graph(trial: Trial) -> None:
    """The neighbour graph agrees with loops over neighbors(), and a graph never changes."""
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
        trial.require_equal(edges, _edges(trial, now), "a graph that does not change", step, axes)
        claim = "graph_of(snapshot) as the graph of its step"
        trial.require_equal(edges, _edges(trial, later), claim, step, axes)


def _edges(trial: Trial, graph: NeighborGraph) -> Moment:
    return {f"edge_index(row={row})": graph.edge_index(row) for row in range(trial.num_rows)}


def _lists(trial: Trial, graph: NeighborGraph, step: int) -> None:
    """Checks that neighbors() ascend in [0, N); that edge_index() and max_degree agree with them."""
    size, require = trial.game.num_agents, trial.require
    require(graph.num_agents == size, f"num_agents {size}", graph.num_agents, step)
    most = 0
    for row, listed in enumerate(_edges(trial, graph).values()):
        lists = [graph.neighbors(agent, row) for agent in range(size)]
        for agent, near in enumerate(lists):
            call = f"neighbors({agent}, row={row})"
            require(
                near.dtype == np.int64 and near.ndim == 1,
                f"{call}: int64 [K]",
                describe(near),
                step,
            )
            require(bool((np.diff(near) > 0).all()), f"{call} ascending, each once", near, step)
            require(bool(((near >= 0) & (near < size)).all()), f"{call} in [0, {size})", near, step)
            itself = agent in near and not graph.include_self
            require(
                not itself, f"{call} without the agent, since include_self is False", near, step
            )
        most = max(most, *map(len, lists))
        pairs = [(agent, other) for agent, near in enumerate(lists) for other in near.tolist()]
        edges = np.array(pairs, np.int64).reshape(-1, 2).T
        call = f"edge_index(row={row})"
        require(
            describe(listed) == describe(edges), f"{call} {describe(edges)}", describe(listed), step
        )
        require(bool((listed == edges).all()), f"{call} {edges.tolist()}", listed.tolist(), step)
    enough = most <= graph.max_degree
    require(enough, f"max_degree {most} or more, as neighbors() has", graph.max_degree, step)


def _sums(trial: Trial, graph: NeighborGraph, rng: np.random.Generator, step: int) -> None:
    """Checks that degree() and mean(), of arrays and of tensors, agree with loops."""
    shape = (trial.num_rows, trial.game.num_agents)
    alive = rng.random(shape) < rng.choice([0.1, 0.7])
    x = rng.normal(size=(*shape, 2))
    given = alive.copy(), x.copy()
    degree, mean = graph.degree(alive), graph.mean(x, alive)
    unmodified = np.array_equal(alive, given[0]) and np.array_equal(x, given[1])
    trial.require(unmodified, "degree() and mean() not to modify their inputs", "modified", step)
    trial.require(
        describe(degree) == f"int64 {list(shape)}", "degree int64 [B, N]", describe(degree), step
    )
    trial.require(describe(mean) == describe(x), f"mean {describe(x)}", describe(mean), step)

    chosen = rng.permutation(shape[1])[:AGENTS]
    for row in range(shape[0]):
        for agent in chosen.tolist():
            near = graph.neighbors(agent, row)
            live = near[alive[row, near]]
            actual, count = int(degree[row, agent]), len(live)
            where = f"of agent {agent} in row {row} with live neighbours {live.tolist()}"
            trial.require(actual == count, f"degree {count} {where}", actual, step)
            expected = x[row, live].mean(0) if count else np.zeros(2)
            close = np.allclose(mean[row, agent], expected, rtol=1e-9, atol=1e-9)
            trial.require(close, f"mean {expected} {where}", mean[row, agent], step)

    import torch

    tensors = torch.as_tensor(x), torch.as_tensor(alive)
    equal = np.array_equal(graph.degree(tensors[1]).numpy(), degree)
    trial.require(equal, "degree() of a tensor as of an array", "another", step)
    close = np.allclose(graph.mean(*tensors).numpy(), mean, rtol=1e-9, atol=1e-9)
    trial.require(close, "mean() of tensors as of arrays", "another", step)


def views(trial: Trial) -> None:
    """The PettingZoo view agrees with a batch of one; agents without an action get -1."""
    view, env = trial.parallel(), trial.batched(1)
    for name, of_view, of_type in (
        ("observation", view.observation_space, env.game.parallel_observation_space_of),
        ("action", view.action_space, env.game.action_space_of),
    ):
        for agent, k in zip(view.possible_agents, env.game.types.tolist(), strict=True):
            of_game = of_type(k)
            equal = of_view(agent) == of_game
            trial.require(equal, f"{name}_space({agent!r}) {of_game}", of_view(agent))
    everyone = list(view.possible_agents)
    trial.require(everyone == env.agents, f"possible_agents {env.agents}", everyone)
    results = moment(env, env.reset(seed=trial.seed))
    returned: tuple[Any, ...] = view.reset(seed=trial.seed)
    nothing = np.full(len(everyone), -1, np.int64)
    _agree(trial, view, env, view.agents, returned, nothing, results, 0)
    for step, chosen in enumerate(trial.actions(1), 1):
        living = view.agents
        returned = view.step(as_dict(view, chosen[0])) if living else view.reset()
        given = chosen[0] if living else nothing
        results = moment(env, env.step(chosen))
        _agree(trial, view, env, living or view.agents, returned, given, results, step)


def _pictures(env: BatchedEnv) -> list[Moment]:
    """Returns what each agent of row 0 observes in the PettingZoo view."""
    game, shown = env.game, [Moment() for _ in range(env.num_agents)]
    for k, members in enumerate(game.members):
        of_type = {"of_type": k} if game.has_types else {}
        obs = game.allocate_parallel_observation(len(members), **of_type)
        game.observe(env._state, obs, np.zeros(len(members), np.int64), members, **of_type)
        parts = flat(obs, ".") if isinstance(obs, dict) else {"": np.array(obs)}
        for place, agent in enumerate(members.tolist()):
            shown[agent] = {name: values[place] for name, values in parts.items()}
    return shown


def _agree(
    trial: Trial,
    view: ParallelEnv,
    env: BatchedEnv,
    living: list[str],
    returned: tuple[Any, ...],
    given: np.ndarray,
    results: Moment,
    step: int,
) -> None:
    """Compares results of the PettingZoo view for live agents with those of a batch of one."""
    parallel = flat(by_agent(returned))
    terminated, truncated = results["terminated"][0], bool(results["truncated"][0])
    expected: Moment = {}
    shown_parts = _pictures(env)
    index = {agent: i for i, agent in enumerate(trial.game.agents)}
    for agent in living:
        i = index[agent]
        for name, part in shown_parts[i].items():
            expected[f"observations.{agent}{name}"] = part
        action, acting = results["info.actions"][0, i], results["info.acting"][0, i]
        shown = {}
        if action != given[i]:
            shown[ACTION] = action
        if acting != (given[i] >= 0):
            shown[ACTING] = acting
        if trial.game.masks_actions:
            shown["action_mask"] = results["info.action_mask"][0, i]
        expected.update({f"infos.{agent}.{key}": np.array(value) for key, value in shown.items()})
        if len(returned) == 5:
            expected[f"rewards.{agent}"] = np.array(float(results["reward"][0, i]))
            expected[f"terminations.{agent}"] = np.array(bool(terminated[i]))
            expected[f"truncations.{agent}"] = np.array(truncated)
    trial.require_equal(
        expected, parallel, "the PettingZoo view as a batch of one", step, ("entry",)
    )
    for name, value in view.measures.items():
        expected_value = float(results[f"info.{name}"][0])
        trial.require(value == expected_value, f"measures[{name!r}] {expected_value}", value, step)

    alive = results["alive"][0] & ~ended(results)[0]
    left = [agent for agent, lives in zip(trial.game.agents, alive, strict=True) if lives]
    trial.require(view.agents == left, f"agents {left}", view.agents, step)
    for i in range(min(AGENTS, trial.game.num_agents)):
        near = view.neighbor_graph.neighbors(i)
        names = [trial.game.agents[j] for j in near if results["alive"][0, j]]
        shown_names = view.neighbors(trial.game.agents[i])
        call = f"neighbors({trial.game.agents[i]!r})"
        trial.require(shown_names == names, f"{call} {names}, the live ones", shown_names, step)
