"""A PettingZoo wrapper that turns any learner into a mean-field one.

Legend: N agents, A actions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pettingzoo
import torch
from gymnasium import spaces
from gymnasium.utils import EzPickle
from pettingzoo.utils.wrappers import BaseParallelWrapper

from mfenvs.graph import NeighborGraph
from mfenvs.infos import ACTION
from mfq.envs.graphs import GraphLike, Graphs
from mfq.envs.members import spaces_of
from mfq.envs.types import by_spaces, numbered, prefix
from mfq.mean_field import mean_action

KEY, MASK = "mean_action", "action_mask"


class MeanActionObservation(BaseParallelWrapper, EzPickle):
    """Appends the mean action of an agent's neighbours in the previous step to its observation.

    With it, any Q-learner fits Q(s_t, abar_{t-1}, a_t), as the authors' code does
    (``pairing="previous"`` in mfq). The mean action is float [A]: the mean one-hot action of the
    neighbours that were alive when they chose; zeros if none was. It counts the actions in effect: the
    action of an agent's info (``info["mfenvs_action"]``, from 0; -1 for none) if there is one, as in
    mfenvs, else the action passed to ``step``. After ``reset`` it counts the actions in infos; without
    any it is zero. If agents are of several types (have different spaces), each type has its own range
    of indices, in the order of the types' first agents, and A is the sum of the types' numbers of
    actions.

    The result depends on the observation space:

    - Box [D]: [D + A]; a scalar becomes [1 + A].
    - Box of higher rank, [..., D]: [..., D + A], the same A numbers at every position. Images [H, W, C]
      get A constant planes, like MAgent2's features; lists of entities get A more features.
    - A Box keeps its dtype if that is a float or uint8 (with 255 for 1); other integers become float32.
    - Discrete, MultiDiscrete, MultiBinary: Gymnasium's `flatten` (one-hot), as float32, then as Box [D].
    - Dict with an ``action_mask``: its ``observation`` is treated as above. Any other Dict: a key
      ``mean_action`` is added, float32 [A].

    Everything else is unchanged. ``neighbor_graph`` is the graph that the means are taken over.

    Args:
        env: a PettingZoo ParallelEnv with Discrete actions.
        graph: the neighbour graph, as for `mfq.wrap`. None takes that of the environment, or else a
            complete graph within each group (agents with names that differ in their number only).

    Raises:
        TypeError: for another environment.
        ValueError: for an unsupported observation or action space, or a Dict with a ``mean_action``
            (the message names the agent), or if the graph has another number of agents.
    """

    def __init__(self, env: Any, graph: GraphLike = None) -> None:
        if not isinstance(env, pettingzoo.ParallelEnv):
            raise TypeError(
                f"env is a {type(env).__name__}; allowed: a PettingZoo ParallelEnv (of an AECEnv, "
                "pettingzoo.utils.conversions.aec_to_parallel makes one)"
            )
        BaseParallelWrapper.__init__(self, env)
        # Last, since BaseParallelWrapper's constructor calls it without arguments.
        EzPickle.__init__(self, env, graph)
        agents = list(env.possible_agents)
        self._index = {agent: i for i, agent in enumerate(agents)}
        self._start = [_discrete(agent, env.action_space(agent)).start for agent in agents]
        types, self._offset, self._width = _offsets(env, agents)
        self._spaces = {
            agent: _extended(agent, env.observation_space(agent), self._width) for agent in agents
        }
        groups = numbered([prefix(agent) for agent in agents])[0]
        self._graphs = Graphs(env, graph, np.array(groups), np.array(types))

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self._spaces[agent]

    @property
    def neighbor_graph(self) -> NeighborGraph:
        """The current neighbour graph."""
        return self._graphs.now()

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Resets the environment. Raises ValueError if the graph does not fit."""
        obs, infos = self.env.reset(seed=seed, options=options)
        return self._extend(obs, self._means({}, infos, self.neighbor_graph)), infos

    def step(self, actions: dict[str, Any]) -> Any:
        """Steps the environment."""
        # Of the moment when the actions were chosen.
        living, graph = set(self.env.agents), self.neighbor_graph
        obs, rewards, terminations, truncations, infos = self.env.step(actions)
        sent = {agent: int(action) for agent, action in actions.items() if agent in living}
        means = self._means(sent, infos, graph)
        return self._extend(obs, means), rewards, terminations, truncations, infos

    def _means(
        self, sent: dict[str, int], infos: dict[str, dict[str, Any]] | None, graph: NeighborGraph
    ) -> np.ndarray:
        """Returns mean actions float32 [N, A], of the actions in infos, or else those sent."""
        in_effect = torch.full((1, len(self._index)), -1, device="cpu")
        for agent, i in self._index.items():
            given = sent[agent] - self._start[i] if agent in sent else -1
            action = int(((infos or {}).get(agent) or {}).get(ACTION, given))
            if action >= 0:
                in_effect[0, i] = self._offset[i] + action
        return mean_action(graph, in_effect, self._width)[0].numpy()

    def _extend(self, obs: dict[str, Any], means: np.ndarray) -> dict[str, Any]:
        return {
            agent: _append(part, self.env.observation_space(agent), means[self._index[agent]])
            for agent, part in obs.items()
        }


def _discrete(agent: str, space: spaces.Space[Any]) -> spaces.Discrete:
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"agent {agent!r} acts in {space}; allowed: Discrete")
    return space


def _offsets(env: Any, agents: list[str]) -> tuple[list[int], list[int], int]:
    """Returns each agent's type and the offset of its actions in a mean action, and A."""
    types, type_spaces = by_spaces(spaces_of(env, agents))
    starts = np.cumsum([0] + [int(action.n) for _, action in type_spaces]).tolist()
    return types, [starts[k] for k in types], starts[-1]


def _extended(agent: str, space: spaces.Space[Any], width: int) -> spaces.Space[Any]:
    """Returns the space of observations with a mean action of ``width`` appended."""
    if isinstance(space, spaces.Dict):
        if KEY in space.spaces:
            raise ValueError(f"agent {agent!r} observes {space}; allowed: a Dict without {KEY!r}")
        parts = dict(space.spaces)
        if _is_masked(space):
            parts["observation"] = _extended(agent, parts["observation"], width)
        else:
            parts[KEY] = spaces.Box(0.0, 1.0, (width,), np.float32)
        return spaces.Dict(parts)
    if not isinstance(
        space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
    ):
        raise ValueError(
            f"agent {agent!r} observes {space}; allowed: Box, Discrete, MultiDiscrete, MultiBinary or "
            "Dict"
        )
    box = space if isinstance(space, spaces.Box) else spaces.flatten_space(space)
    assert isinstance(box, spaces.Box)
    low, high = np.zeros(width, np.float32), np.ones(width, np.float32)
    low, high = _joined(box.low, low), _joined(box.high, high)
    return spaces.Box(low, high, dtype=low.dtype.type)


def _append(obs: Any, space: spaces.Space[Any], mean: np.ndarray) -> Any:
    """Returns a copy of an observation of ``space`` with the mean action, float32 [A], appended."""
    if isinstance(space, spaces.Dict):
        if _is_masked(space):
            inner = _append(obs["observation"], space["observation"], mean)
            return {**obs, "observation": inner}
        return {**obs, KEY: mean}
    array = obs if isinstance(space, spaces.Box) else spaces.flatten(space, obs)
    return _joined(np.asarray(array, space.dtype), mean)


def _joined(array: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns [..., D + A]: the mean action appended along the last axis, at every other position."""
    array = np.atleast_1d(array)
    dtype = array.dtype if array.dtype.kind == "f" or array.dtype == np.uint8 else np.float32
    if dtype == np.uint8:
        mean = np.rint(255 * mean)
    mean = np.broadcast_to(mean, (*array.shape[:-1], len(mean)))
    return np.concatenate([array.astype(dtype), mean.astype(dtype)], -1)


def _is_masked(space: spaces.Dict) -> bool:
    """Whether it is PettingZoo's Dict of an observation and an action mask."""
    return MASK in space.spaces and "observation" in space.spaces
