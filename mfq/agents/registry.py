"""The registry of algorithms: their options, agents and players."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import Any

from gymnasium import spaces

from mfenvs.validate import did_you_mean, of_kind
from mfq.agents.ac_config import ACConfig
from mfq.agents.actor_critic import ActorCritic, ac_player
from mfq.agents.base import Agent, Player, check_agent
from mfq.agents.by_type import ByType, PlayerByType
from mfq.agents.fmq import fmq_agent, fmq_player
from mfq.agents.fmq_config import FMQConfig, RecFMQConfig
from mfq.agents.maac import MAAC
from mfq.agents.ppo import PPO
from mfq.agents.ppo_config import PPOConfig
from mfq.agents.q_agent import QAgent
from mfq.agents.q_config import QConfig
from mfq.agents.q_player import q_player
from mfq.common import distributed
from mfq.common.config import build
from mfq.envs.lookup import check_trusted, find
from mfq.envs.view import View


@dataclass(frozen=True)
class Algorithm:
    """An entry of the registry.

    Attributes:
        config: the frozen dataclass of the options.
        make: a function of (view of agents of one type, config, seed) that returns an `Agent`.
        load: a function of (view, the observation space of its networks, config, the agent's
            state_dict, seed) that returns a `Player`.
        ignores: names of options that have no effect, such as "pairing".
    """

    config: type[Any]
    make: Callable[[View, Any, int], Agent]
    load: Callable[[View, spaces.Space[Any], Any, dict[str, Any], int], Player]
    ignores: tuple[str, ...] = ()


HEARING = ("pairing", "mean_field")
FORMER_DEFAULTS = {"pairing": "current", "play": "greedy"}
"""Defaults of `QConfig` that have changed, as older checkpoints mean them."""
FORMER_NETWORKS = {
    QConfig: {"pictures": "conv", "channels": "last"},
    ACConfig: {"pictures": "flat", "channels": "last"},
}
"""Options of networks that older checkpoints lack, as they mean them, by config."""
ALGORITHMS: dict[str, Algorithm] = {
    "mfq": Algorithm(
        QConfig,
        lambda view, config, seed: QAgent(view, True, config, seed),
        partial(q_player, mean_field=True),
    ),
    "iql": Algorithm(
        QConfig,
        lambda view, config, seed: QAgent(view, False, config, seed),
        partial(q_player, mean_field=False),
        (*HEARING, "iterations", "damping"),
    ),
    "mfac": Algorithm(
        ACConfig,
        lambda view, config, seed: ActorCritic(view, True, config, seed),
        ac_player,
    ),
    "ac": Algorithm(
        ACConfig,
        lambda view, config, seed: ActorCritic(view, False, config, seed),
        ac_player,
        HEARING,
    ),
    "maac": Algorithm(
        ACConfig,
        lambda view, config, seed: MAAC(view, config, seed),
        ac_player,
        (*HEARING, "critic", "rollout", "network.shared_trunk", "replay.kind"),
    ),
    "ippo": Algorithm(
        PPOConfig,
        lambda view, config, seed: PPO(view, False, config, seed),
        ac_player,
        (*HEARING, "optimizer.batch_size"),
    ),
    "mf_ppo": Algorithm(
        PPOConfig,
        lambda view, config, seed: PPO(view, True, config, seed),
        ac_player,
        ("optimizer.batch_size",),
    ),
    "fmq": Algorithm(FMQConfig, fmq_agent, fmq_player),
    "rec_fmq": Algorithm(RecFMQConfig, fmq_agent, fmq_player),
}
"""Algorithms by name. `algorithm` adds an entry for each class that it is called with."""
BUILT_IN = tuple(ALGORITHMS)


def algorithm(algo: Any) -> tuple[str, Algorithm]:
    """Returns the name and the entry of an algorithm.

    Args:
        algo: a name in `ALGORITHMS`; MODULE:CLASS, which is imported; or a class. A class is called
            with (view, config, seed) and returns an `Agent`. Its attribute ``Config`` is the dataclass
            of ``config``; without one that is `QConfig`.

    Raises:
        ValueError: for an unknown name.
        TypeError: for anything else.
    """
    if isinstance(algo, str):
        if algo in ALGORITHMS:
            return algo, ALGORITHMS[algo]
        if ":" not in algo:
            meant = did_you_mean(algo, BUILT_IN)
            raise ValueError(
                f"algo={algo!r}; {meant}allowed: {', '.join(BUILT_IN)}, MODULE:CLASS, or a class"
            )
        name, make = algo, find(algo)
    else:
        name = f"{getattr(algo, '__module__', '')}:{getattr(algo, '__qualname__', '')}"
        make = algo
    if not callable(make):
        raise TypeError(f"algo={algo!r}; allowed: {', '.join(BUILT_IN)}, MODULE:CLASS, or a class")
    try:
        inspect.signature(make).bind("view", "config", "seed")
    except TypeError:
        raise TypeError(
            f"algo={name!r} takes {inspect.signature(make)}; allowed: what takes (view, config, "
            "seed) and makes an mfq.Agent"
        ) from None
    config = getattr(make, "Config", QConfig)
    if not is_dataclass(config):
        raise TypeError(f"{name}.Config={config!r}; allowed: a dataclass of its options")
    ALGORITHMS[name] = Algorithm(config, make, _load_with(make))
    return name, ALGORITHMS[name]


def _load_with(make: Callable[[View, Any, int], Agent]) -> Callable[..., Player]:
    def load(
        view: View, space: spaces.Space[Any], config: Any, state: dict[str, Any], seed: int
    ) -> Player:
        agent = make(view, config, seed)
        agent.load_state_dict(state)
        return agent

    return load


def saved_algorithm(state: dict[str, Any], algo: Any = None) -> str:
    """Returns the name of a checkpoint's algorithm.

    Args:
        state: a checkpoint of a `Runner`.
        algo: the class, or MODULE:CLASS, of the algorithm; None for the one that the checkpoint names.

    Raises:
        ValueError: if the checkpoint names an algorithm that is neither known nor trusted.
    """
    if algo is not None:
        return algorithm(algo)[0]
    name = state["config"]["algo"]
    if not state.get("own_algo", True):  # older checkpoints do not name a class
        raise ValueError("it is of an algorithm of its user's own; allowed: giving it, algo=CLASS")
    if name not in ALGORITHMS:
        check_trusted({"algo": name}, "it")
    return algorithm(name)[0]


def agent_config(name: str, options: dict[str, Any]) -> Any:
    """Returns the options of an algorithm from those of a run in a checkpoint.

    Older checkpoints have separate fields for Q-learners and actor-critics, and options that the
    algorithm ignores. Options that a checkpoint lacks are those of the time when it was written.

    Args:
        name: a name in `ALGORITHMS`.
        options: the fields of a `RunConfig`.

    Raises:
        ValueError, TypeError: for values that the config does not allow.
    """
    entry = ALGORITHMS[name]
    of_actor_critics = entry.config is ACConfig and "actor_critic" in options
    chosen = dict(options["actor_critic" if of_actor_critics else "agent"])
    if entry.config is QConfig:
        chosen = {**FORMER_DEFAULTS, **chosen}
    if (former := FORMER_NETWORKS.get(entry.config)) is not None:
        network = chosen.get("network", {})
        missing = {k: v for k, v in former.items() if k not in chosen and k not in network}
        chosen["network"] = {**network, **missing}
    return build(entry.config, {k: v for k, v in chosen.items() if k not in entry.ignores})


def saved_agent(state: dict[str, Any], algo: Any = None, source: Any = "it") -> tuple[str, Any]:
    """Returns the name of a checkpoint's algorithm, and its options.

    Args:
        state: a checkpoint of a `Runner`.
        algo: see `saved_algorithm`.
        source: the checkpoint, for messages.

    Raises:
        ValueError: if either names code that this process does not trust.
        TypeError: from the config.
    """
    name = saved_algorithm(state, algo)
    config = agent_config(name, state["config"])
    check_trusted({"mean_field": getattr(config, "mean_field", None)}, source)
    return name, config


def check_num_agents(state: Any, num_agents: int) -> None:
    """Raises RuntimeError, as torch does for other sizes, if the state of an agent has embeddings of
    another number of agents."""
    for name, part in state.items() if isinstance(state, dict) else ():
        if name == "replay":
            continue
        is_embedding = name == "identity.weight" or str(name).endswith(".trunk.identity.weight")
        if is_embedding and len(part) != num_agents:
            raise RuntimeError(
                f"size mismatch: it was trained with {len(part)} agents, here {num_agents}; allowed: "
                "as many, or a training with agent.network.agent_embedding=0, after which any may play"
            )
        check_num_agents(part, num_agents)


def without_replay(state: dict[str, Any]) -> dict[str, Any]:
    """Returns the state of an agent, or of one with a learner for each type, without replay memories."""
    kept = {name: part for name, part in state.items() if name != "replay"}
    if "types" in kept:
        kept["types"] = {name: without_replay(part) for name, part in kept["types"].items()}
    return kept


def make_agent(view: View, algo: Any, config: Any = None, seed: int = 0) -> Agent:
    """Returns an agent of an algorithm; with several types of agents, a `ByType` with one learner each.

    Args:
        view: the view to play.
        algo: see `algorithm`.
        config: an instance of the algorithm's dataclass; None for the defaults.
        seed: seed of weights, exploration and replay.

    Raises:
        ValueError, TypeError: for an unknown algorithm, or another config.
    """
    name, entry = algorithm(algo)
    config = entry.config() if config is None else config
    of_kind("config", config, entry.config, f"a {entry.config.__name__}, as algo={name!r} has it")

    def make(view: View, seed: int) -> Agent:
        agent = entry.make(view, config, seed)
        check_agent(f"algo={name!r}: its result", agent)
        return agent

    agent = make(view, seed) if view.type_specs is None else ByType(view, make, seed)
    if offset := distributed.draw_apart():  # the same weights in all processes, different draws
        agent.offset_seeds(offset)
    return agent


def load_agent_player(
    view: View,
    algo: str,
    config: Any,
    state: dict[str, Any],
    seed: int,
    space: spaces.Space[Any] | None = None,
) -> Player:
    """Returns a player from an agent's ``state_dict``.

    Args:
        view: the view to play.
        algo: a name in `ALGORITHMS`.
        config: an instance of the algorithm's dataclass.
        state: the state; that of a `ByType` if the view has several types.
        seed: seed of draws that the state does not have.
        space: the observation space of the networks; None for that of the view.

    Raises:
        ValueError, KeyError, RuntimeError: if the state does not fit the view.
    """
    entry = ALGORITHMS[algo]
    if algo in BUILT_IN:
        check_num_agents(state, view.num_agents)
    if view.type_specs is None:
        space = view.observation_space if space is None else space
        return entry.load(view, space, config, state, seed)
    types: dict[str, Any] = state.get("types", {})
    if list(types) != list(view.type_names):
        raise ValueError(f"it has not the types {list(view.type_names)}")
    players = []
    for k, saved in enumerate(types.values()):
        typed = view.of_type(k)
        players.append(entry.load(typed, typed.observation_space, config, saved, seed + 1000 * k))
    return PlayerByType(view.type_names, players)
