"""The view of a BatchedEnv."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfenvs.layout import Layout, Places
from mfq.envs.finite import check_finite
from mfq.envs.graphs import GraphLike, Graphs
from mfq.envs.step import Step
from mfq.envs.types import AgentTypes
from mfq.envs.view import View

STEP_INFO = {"acting", "actions", "action_mask", "reset"}


class BatchedView(View):
    """A BatchedEnv. Its tensors are passed through unchanged.

    Those of an environment outside mfenvs are checked to be finite. The games of mfenvs are finite
    unless options are so large that sums overflow in single precision, such as a payment of 3e38.
    """

    def __init__(self, env: Any, graph: GraphLike) -> None:
        self.env = env
        self.num_envs, self.num_agents, self.agents = env.num_envs, env.num_agents, env.agents
        self.groups, self.types, self.device = env.groups, env.types, env.device
        labels = range(int(self.groups.max()) + 1)
        game = getattr(env, "game", None)
        self.group_names = tuple(getattr(game, "group_names", [f"group_{k}" for k in labels]))
        if isinstance(env.single_action_space, dict):
            names = tuple(env.single_action_space)
            self.type_specs = AgentTypes(
                self.types,
                names,
                tuple(env.single_observation_space[name] for name in names),
                tuple(env.single_action_space[name] for name in names),
                is_ragged=True,
            )
        else:
            self.observation_space = env.single_observation_space
            self.action_space = env.single_action_space
        spaces = [self.action_space] if self.type_specs is None else self.type_specs.action_spaces
        self._most_actions = max(int(space.n) for space in spaces)
        self._graphs = Graphs(env, graph, self.groups.cpu().numpy(), self.types.cpu().numpy())
        self._last: Step | None = None
        self._is_checked = not type(game).__module__.startswith("mfenvs.")
        self._time = 0  # steps since the last reset, for error messages

    @property
    def graph(self) -> NeighborGraph:
        return self._graphs.now()

    def reset(self, seed: int | None = None) -> Step:
        obs, info = self.env.reset(seed=seed)
        self._time = 0
        agents, rows = (self.num_envs, self.num_agents), (self.num_envs,)
        return self._step(
            obs,
            reward=torch.zeros(agents, device=self.device),
            terminated=torch.zeros(agents, dtype=torch.bool, device=self.device),
            truncated=torch.zeros(rows, dtype=torch.bool, device=self.device),
            info=info,
            before=self.graph,
        )

    def step(self, actions: Tensor) -> Step:
        before = self.graph
        obs, reward, terminated, truncated, info = self.env.step(actions)
        self._time += 1
        return self._step(obs, reward, terminated, truncated, info, before)

    @property
    def match_measure(self) -> str | None:
        return getattr(getattr(self.env, "game", None), "match_measure", None)

    @property
    def ends(self) -> bool:
        game = getattr(self.env, "game", None)
        return game is None or game.max_cycles is not None

    @property
    def scripts(self) -> tuple[str, ...]:
        return getattr(getattr(self.env, "game", None), "scripts", ())

    def scripted(self, name: str) -> Tensor:
        return self.env.scripted(name)

    @property
    def has_snapshots(self) -> bool:
        return hasattr(self.env, "snapshot") and hasattr(self.env, "observe")

    def snapshot(self) -> Any:
        return self.env.snapshot()

    @property
    def agent_fields(self) -> tuple[str, ...]:
        return getattr(getattr(self.env, "game", None), "agent_fields", ())

    def observe(
        self, snapshot: Any, rows: Tensor, agents: Tensor, of_type: str | None = None
    ) -> Any:
        if of_type is None:
            return self.env.observe(snapshot, rows, agents)
        return self.env.observe(snapshot, rows, agents, of_type=of_type)

    def picture(self) -> np.ndarray:
        return self.env.render(0) if hasattr(self.env, "render") else super().picture()

    def draw(self, canvas: Any) -> None:
        if not hasattr(self.env, "draw"):
            super().draw(canvas)
        self.env.draw(canvas, 0)

    @property
    def layout(self) -> Layout | None:
        return self.env.layout() if hasattr(self.env, "layout") else None

    def places(self) -> Places:
        return self.env.places(0)

    def state_dict(self) -> dict[str, Any] | None:
        if self._last is None or not hasattr(self.env, "state_dict"):
            return None
        # After loading, a moving graph is no longer the one of the last actions.
        return {**self.env.state_dict(), "mean_action": self._last.mean_action}

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        self.env.load_state_dict(state)
        obs, reward, terminated, truncated, info = self.env.last()
        mean = state["mean_action"].to(self.device)
        return self._step(obs, reward, terminated, truncated, info, self.graph, mean)

    def _step(
        self,
        obs: Any,
        reward: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        info: dict[str, Tensor],
        before: NeighborGraph,
        mean_action: Tensor | None = None,
    ) -> Step:
        if self._is_checked:
            check_finite({"obs": obs, "reward": reward}, self.agents, self._time)
        self._last = Step(
            obs=obs,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            alive=self.env.alive,
            acting=info["acting"],
            actions=info["actions"],
            action_mask=info.get("action_mask"),
            reset=info["reset"],
            graph=self.graph,
            graph_before=before,
            num_actions=self._most_actions,
            types=self.type_specs,
            measures={name: info[name] for name in info.keys() - STEP_INFO},
            known_mean_action=mean_action,
        )
        return self._last
