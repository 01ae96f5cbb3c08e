"""PettingZoo wrappers that lend the mean field to learners that know nothing of it.

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
from mfq.envs.graphs import GraphLike, Graphs
from mfq.envs.types import by_spaces, numbered, prefix
from mfq.mean_field import mean_action

KEY, MASK = "mean_action", "action_mask"


class MeanActionObservation(BaseParallelWrapper, EzPickle):
    """Appends to each agent's observation the mean action of its neighbours in the step before.

    So any Q-learner becomes a mean-field one: what it fits is Q(s_t, abar_{t-1}, a_t), the authors'
    form (``pairing="previous"`` in mfq). The mean action is float [A], the mean one-hot action of the
    neighbours that were alive when they chose, zeros if none was. Counted are the actions in effect: an
    agent's info may say ``action`` (from 0; -1 for none) where that is not the one given, as in mfenvs.
    After ``reset``: the actions that infos tell, else zeros. Where agents are of several types (of
    different spaces) the actions of each type have places of their own, in the order of the types'
    first agents, and A is their sum.

    How it is appended depends on the observation space:

    - Box [D]: [D + A]; a number becomes [1 + A].
    - Box of higher rank, [..., D]: [..., D + A], the same A numbers at every place. So pictures
      [H, W, C] get A constant planes, as MAgent2's features are, and lists of entities A more features.
    - A Box keeps its dtype if that is a float or uint8 (then 255 stands for 1, and pictures remain
      pictures); other integers become float32.
    - Discrete, MultiDiscrete, MultiBinary: Gymnasium's `flatten` (one-hot), as float32, then as Box [D].
    - Dict with an ``action_mask``: its ``observation`` is treated as above. Any other Dict: a key
      ``mean_action`` is added, float32 [A].

    Everything else of the environment is as it was. ``neighbor_graph`` is the graph that the means
    are taken over.

    Args:
        env: a PettingZoo ParallelEnv with Discrete actions.
        graph: who is whose neighbour, as for `mfq.wrap`. None takes the environment's own graph, or
            else a complete one within each group (agents whose names differ in their number only).

    Raises:
        TypeError: for another environment.
        ValueError: for another observation or action space, or a Dict with a ``mean_action``; it names
            the agent. If the graph has another number of agents.
    """

    def __init__(self, env: Any, graph: GraphLike = None) -> None:
        if not isinstance(env, pettingzoo.ParallelEnv):
            raise TypeError(
                f"env is a {type(env).__name__}; allowed: a PettingZoo ParallelEnv (of an AECEnv, "
                "pettingzoo.utils.conversions.aec_to_parallel makes one)"
            )
        BaseParallelWrapper.__init__(self, env)
        EzPickle.__init__(self, env, graph)  # after it, since it calls this one without arguments
        agents = list(env.possible_agents)
        self._index = {agent: i for i, agent in enumerate(agents)}
        self._start = [_discrete(agent, env.action_space(agent)).start for agent in agents]
        types, self._offset, self._width = _places(env, agents)
        self._spaces = {
            agent: _extended(agent, env.observation_space(agent), self._width) for agent in agents
        }
        groups = numbered([prefix(agent) for agent in agents])[0]
        self._graphs = Graphs(env, graph, np.array(groups), np.array(types))

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self._spaces[agent]

    @property
    def neighbor_graph(self) -> NeighborGraph:
        """Who is whose neighbour now."""
        return self._graphs.now()

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """As the environment's. Raises ValueError if the graph does not fit."""
        obs, infos = self.env.reset(seed=seed, options=options)
        return self._extend(obs, self._means({}, infos, self.neighbor_graph)), infos

    def step(self, actions: dict[str, Any]) -> Any:
        """As the environment's."""
        living, graph = set(self.env.agents), self.neighbor_graph  # of when the actions were chosen
        obs, rewards, terminations, truncations, infos = self.env.step(actions)
        sent = {agent: int(action) for agent, action in actions.items() if agent in living}
        means = self._means(sent, infos, graph)
        return self._extend(obs, means), rewards, terminations, truncations, infos

    def _means(
        self, sent: dict[str, int], infos: dict[str, dict[str, Any]], graph: NeighborGraph
    ) -> np.ndarray:
        """float32 [N, A]: of the actions in effect, those sent unless infos say otherwise."""
        in_effect = torch.full((1, len(self._index)), -1)
        for agent, i in self._index.items():
            given = sent[agent] - self._start[i] if agent in sent else -1
            action = int(infos.get(agent, {}).get("action", given))
            if action >= 0:
                in_effect[0, i] = self._offset[i] + action
        return mean_action(graph, in_effect, self._width)[0].numpy()

    def _extend(self, obs: dict[str, Any], means: np.ndarray) -> dict[str, Any]:
        return {
            agent: _append(found, self.env.observation_space(agent), means[self._index[agent]])
            for agent, found in obs.items()
        }


def _discrete(agent: str, space: spaces.Space[Any]) -> spaces.Discrete:
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"agent {agent!r} acts in {space}; allowed: Discrete")
    return space


def _places(env: Any, agents: list[str]) -> tuple[list[int], list[int], int]:
    """The type of each agent, where its actions begin in a mean action, and how long that is."""
    kind_of, kinds = by_spaces(env, agents)
    starts = np.cumsum([0] + [int(action.n) for _, action in kinds]).tolist()
    return kind_of, [starts[kind] for kind in kind_of], starts[-1]


def _extended(agent: str, space: spaces.Space[Any], width: int) -> spaces.Space[Any]:
    """The space of observations with a mean action of ``width`` appended."""
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
    """An observation of ``space`` with the mean action, float32 [A]; memory of its own."""
    if isinstance(space, spaces.Dict):
        if _is_masked(space):
            inner = _append(obs["observation"], space["observation"], mean)
            return {**obs, "observation": inner}
        return {**obs, KEY: mean}
    array = obs if isinstance(space, spaces.Box) else spaces.flatten(space, obs)
    return _joined(np.asarray(array, space.dtype), mean)


def _joined(array: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """[..., D + A]: a mean action after the last axis of an array, at every place of the others."""
    array = np.atleast_1d(array)
    dtype = array.dtype if array.dtype.kind == "f" or array.dtype == np.uint8 else np.float32
    if dtype == np.uint8:
        mean = np.rint(255 * mean)
    mean = np.broadcast_to(mean, (*array.shape[:-1], len(mean)))
    return np.concatenate([array.astype(dtype), mean.astype(dtype)], -1)


def _is_masked(space: spaces.Dict) -> bool:
    """Whether it is PettingZoo's pair of an observation and what may be chosen."""
    return MASK in space.spaces and "observation" in space.spaces
