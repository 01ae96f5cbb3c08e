"""A view with tensors on another device than its environment's.

Legend: B rows, N agents.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfenvs.graph import NeighborGraph
from mfenvs.layout import Layout, Places
from mfq.envs.step import Step
from mfq.envs.types import AgentTypes
from mfq.envs.view import View, check_view


class OnDevice(View):
    """The same rows and agents as another view, with all tensors on a device.

    With it networks and replays are on a GPU, and the environment is on a CPU. Each step copies actions
    to the environment, and its results to the device. Mean actions are computed where the environment
    is, so that graphs are not copied. It has no snapshots, so that replays store observations.

    Args:
        view: the view of the environment.
        device: the device of the tensors, such as "cuda".

    Raises:
        TypeError: if ``view`` is not a View.
        ValueError: for a device that is not available.
    """

    def __init__(self, view: View, device: str | torch.device) -> None:
        check_view(view)
        self.view, self.device = view, checked_device(device)
        self.num_envs, self.num_agents, self.agents = view.num_envs, view.num_agents, view.agents
        self.group_names = view.group_names
        self.groups, self.types = view.groups.to(self.device), view.types.to(self.device)
        if view.type_specs is None:
            self.observation_space = view.observation_space
            self.action_space = view.action_space
        else:
            self.type_specs = replace(view.type_specs, of=view.type_specs.of.to(self.device))

    @property
    def env(self) -> Any:
        """The environment.

        Raises:
            AttributeError: if it is several copies.
        """
        return self.view.env  # type: ignore[attr-defined]

    @property
    def type_names(self) -> tuple[str, ...]:
        return self.view.type_names

    @property
    def mean_action_dim(self) -> int:
        return self.view.mean_action_dim

    @property
    def first_action(self) -> int:
        return self.view.first_action

    @property
    def graph(self) -> NeighborGraph:
        return self.view.graph

    @property
    def match_measure(self) -> str | None:
        return self.view.match_measure

    @property
    def ends(self) -> bool:
        return self.view.ends

    def limit_episodes(self, steps: int | None) -> bool:
        return self.view.limit_episodes(steps)

    @property
    def scripts(self) -> tuple[str, ...]:
        return self.view.scripts

    def scripted(self, name: str) -> Tensor:
        return self.view.scripted(name).to(self.device)

    def reset(self, seed: int | None = None) -> Step:
        return self._moved(self.view.reset(seed))

    def step(self, actions: Tensor) -> Step:
        return self._moved(self.view.step(actions.to(self.view.device)))

    def picture(self) -> np.ndarray:
        return self.view.picture()

    @property
    def layout(self) -> Layout | None:
        return self.view.layout

    def places(self) -> Places:
        return self.view.places()

    def close(self) -> None:
        self.view.close()

    def state_dict(self) -> dict[str, Any] | None:
        return self.view.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        return self._moved(self.view.load_state_dict(state))

    def _moved(self, step: Step) -> Step:
        """Returns a step with the same number and all tensors on the device."""
        values = {field.name: getattr(step, field.name) for field in fields(step)}
        values |= {"types": None, "known_mean_action": step.mean_action}
        moved = {name: to_device(value, self.device) for name, value in values.items()}
        types: AgentTypes | None = self.type_specs
        return Step(**{**moved, "types": types})


def checked_device(device: str | torch.device) -> torch.device:
    """Returns a device of torch.

    Raises:
        ValueError: if it is not available.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={str(device)!r}: {reason}; allowed: cpu, or a GPU's") from None


def to_device(tree: Any, device: torch.device) -> Any:
    """Returns a tensor, or nested dicts of tensors, on a device; other values as they are."""
    if isinstance(tree, dict):
        return {name: to_device(part, device) for name, part in tree.items()}
    return tree.to(device) if isinstance(tree, Tensor) else tree
