"""A torch module of your own as a player.

Legend: S agents that choose, A actions, H x W pictures of C channels, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from torch import Tensor, nn

from mfenvs.validate import flag, number, of_kind, one_of, whole
from mfq.agents.base import Player
from mfq.common.generators import seeded
from mfq.envs.step import Step
from mfq.networks.modes import check_outputs, in_eval_mode
from mfq.policy import Boltzmann, Greedy

LAYOUTS = ("picture", "view")


class ModulePlayer(Player):
    """Plays by a torch module of your own, such as a DQN that was trained elsewhere.

    The module is called with the observations [S, ...] of the agents that choose, and returns values or
    logits [S, A]. It is called in evaluation mode and without gradients, and never changes. It acts the
    same with and without exploration, and only chooses actions that the action mask allows.

    Args:
        module: the module.
        temperature: 0 takes the action of the highest value. Above 0, actions are drawn with
            probabilities proportional to exp(value / temperature); at 1 values are logits.
        layout: "picture": observations that are a dict of one picture [S, H, W, C] and vectors [S, F]
            become one picture [S, H, W, C + F] with the vectors repeated at every cell, as MAgent2 has
            them, so that one module plays battle_v0's batches, its PettingZoo environment and MAgent2's
            battle. Other observations are unchanged. "view": observations are those of the view.
        channels_first: if True, pictures are [S, C, H, W].
        channels: the channels of pictures that the module gets, in this order; None for all. battle_v0
            with ``minimap_mode`` and ``extra_features`` has 41, of which (0, 1, 2, 4, 5) are those of
            the game without them.
        seed: seed of the draws.

    Raises:
        ValueError, TypeError: for an argument that is not allowed.
    """

    module: nn.Module

    def __init__(
        self,
        module: nn.Module,
        temperature: float = 0.0,
        layout: Literal["picture", "view"] = "picture",
        channels_first: bool = False,
        channels: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        of_kind("module", module, nn.Module, "a torch.nn.Module")
        temperature = number("temperature", temperature, 0.0)
        one_of("layout", layout, LAYOUTS)
        flag("channels_first", channels_first)
        self.module, self.layout, self.channels_first = module, layout, bool(channels_first)
        self.channels = None if channels is None else [whole("channels", c, 0) for c in channels]
        self.policy = Boltzmann(temperature) if temperature else Greedy()
        self.generator = seeded(seed)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        make: Callable[[], nn.Module] | nn.Module,
        key: str | None = None,
        **options: Any,
    ) -> ModulePlayer:
        """Returns a player with the weights of a file. Loading one runs no code from it.

        Args:
            path: a file of a state_dict: of safetensors if its name ends in .safetensors, else of
                ``torch.save(module.state_dict(), path)``.
            make: the class of the module, or a function without arguments that returns one; or a module.
            key: the name of the state_dict in a file that has more, such as "model_state_dict".
            options: other arguments of `ModulePlayer`.

        Raises:
            OSError: if the file cannot be read.
            ValueError, TypeError: if it is no state_dict, does not fit the module, or ``make`` returns
                something else.
        """
        state = _state_dict(Path(path), key)
        module = make if isinstance(make, nn.Module) else make()
        of_kind("make()", module, nn.Module, "a torch.nn.Module")
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit {type(module).__name__}: {error}") from None
        return cls(module, **options)

    @property
    def generators(self) -> Sequence[torch.Generator]:
        return (self.generator,)

    @torch.no_grad()
    def act(self, step: Step, explore: bool = True) -> Tensor:
        """Returns actions int64 [B, N]; -1 for dead agents and those that it does not play.

        Raises:
            ValueError: if the module fails or does not return numbers [S, A], or agents are of several
                types.
        """
        if step.types is not None:
            raise ValueError(
                f"ModulePlayer with agents of several types ({', '.join(step.types.names)}); allowed: "
                "an mfq.Player that calls a ModulePlayer with step.of_type(k) for each type"
            )
        index = step.active_index
        if not len(index):
            return torch.full_like(step.actions, -1)
        obs = self.observations(step, index)
        try:
            with in_eval_mode(self.module, every_part=True):
                values = self.module(obs)
        except Exception as error:  # a module of the user's raises anything
            raise ValueError(
                f"{type(self.module).__name__} fails on observations {_shapes(obs)}; allowed: a module "
                f"for them, as layout={self.layout!r}, channels_first={self.channels_first!r} and "
                f"channels={self.channels!r} make them ({error})"
            ) from error
        check_outputs(self.module, values, len(index), step.num_actions, "values [S, A]")
        values = values.float().cpu()
        if bool((values.isnan() | values.isposinf()).any()):
            raise ValueError(
                f"{type(self.module).__name__} returned NaN or infinity; allowed: numbers, or -infinity"
            )
        mask = step.mask_at(index)
        mask = None if mask is None else mask.cpu()
        # On the CPU, where the generator is, so that draws are the same on all devices.
        chosen = self.policy.sample(values, 0, self.generator, mask)
        return step.scatter_actions(chosen.to(step.actions.device), index)

    def observations(self, step: Step, index: Tensor) -> Any:
        """Returns what the module is called with for the agents at the indices b N + j: [S, ...], on the
        module's device."""
        obs = step.obs_at(index)
        if self.layout == "picture":
            obs = as_picture(obs)
        if self.channels is not None:
            obs = _each(obs, self._chosen)
        if self.channels_first:
            obs = _each(obs, lambda part: part.movedim(-1, 1) if part.dim() == 4 else part)
        weights = next(self.module.parameters(), None)
        return obs if weights is None else _each(obs, lambda part: part.to(weights.device))

    def _chosen(self, part: Tensor) -> Tensor:
        """Returns the chosen channels of a picture; other parts as they are."""
        if part.dim() != 4 or self.channels is None:
            return part
        if self.channels and max(self.channels) >= part.shape[-1]:
            raise ValueError(
                f"channels={self.channels!r} of pictures with {part.shape[-1]} channels; allowed: 0 to "
                f"{part.shape[-1] - 1}"
            )
        return part[..., self.channels]


def as_picture(obs: Any) -> Any:
    """Returns a dict of one picture [S, H, W, C] and vectors [S, F] as one picture [S, H, W, C + F], the
    vectors repeated at every cell. Returns other observations as they are."""
    if not isinstance(obs, Mapping):
        return obs
    pictures = [part for part in obs.values() if part.dim() == 4]
    vectors = [part for part in obs.values() if part.dim() == 2 and part.shape[1]]
    empty = [part for part in obs.values() if part.dim() == 2 and not part.shape[1]]
    if len(pictures) != 1 or len(vectors) + len(empty) + 1 != len(obs):
        return obs
    picture = pictures[0]
    cells = picture.shape[:3]
    # torch.cat takes the wider dtype, so that vectors of floats beside a picture of bytes are kept.
    repeated = [v[:, None, None].expand(*cells, -1) for v in vectors]
    return torch.cat([picture, *repeated], -1) if repeated else picture


def _shapes(obs: Any) -> Any:
    if isinstance(obs, Mapping):
        return {name: tuple(part.shape) for name, part in obs.items()}
    return tuple(obs.shape)


def _each(obs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(obs, Mapping):
        return {name: change(part) for name, part in obs.items()}
    return change(obs)


def _state_dict(path: Path, key: str | None) -> Mapping[str, Any]:
    """Returns the state_dict in a file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file; allowed: a file of a state_dict")
    try:
        if path.suffix == ".safetensors":
            state: Any = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling something else raises anything
        raise ValueError(
            f"{path} is no file of weights alone; allowed: torch.save(module.state_dict(), path), or "
            f"safetensors ({str(error).strip().splitlines()[0] if str(error).strip() else error!r})"
        ) from None
    if key is not None:
        if not isinstance(state, Mapping) or key not in state:
            has = ", ".join(map(repr, state)) if isinstance(state, Mapping) else "no names"
            raise ValueError(f"key={key!r}; allowed: a name in {path}, which has {has}")
        state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        has = f"({', '.join(map(repr, state))})" if isinstance(state, Mapping) else ""
        raise ValueError(
            f"{path} holds a {type(state).__name__} {has}; allowed: tensors by name, or key= the name "
            "of such a part"
        )
    return state
