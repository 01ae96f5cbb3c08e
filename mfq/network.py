"""Q-networks, actors and critics, put together from the spaces (Yang et al. 2018, appendix C; the
authors' base.py and ac.py).

Weights are Glorot uniform and biases zero, drawn from a generator of the caller's.

Legend: M samples, A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

MEAN_HIDDEN, MEAN_SIZE = 64, 32
BESIDE = 32  # numbers to which a vector beside a picture is encoded
PRECISIONS = ("auto", "float32", "bfloat16")


def in_precision(device: torch.device, precision: str) -> torch.autocast:
    """A context in which networks compute in a precision of PRECISIONS."""
    if precision == "auto":
        precision = "bfloat16" if _has_bfloat16(device.type) else "float32"
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


@cache
def _has_bfloat16(kind: str) -> bool:
    """Whether a device multiplies bfloat16 matrices faster than float32 ones."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported()
    flags = Path("/proc/cpuinfo")
    return flags.exists() and "amx_bf16" in flags.read_text(encoding="utf-8", errors="ignore")


class QNetwork(nn.Module):
    """Q(o_j, abar_j, .) of agent j, one network for all agents.

    What an agent observes, its mean action (64 -> 32, relu) and an embedding of who it is are encoded
    apart, joined, and put through an MLP.

    Args:
        observation_space: see `encoder`.
        num_agents: N, how many agents the embedding tells apart.
        num_actions: A.
        mean_field: whether there is a mean action among the inputs.
        hidden: widths of the joint layers.
        agent_embedding: size of the embedding; 0 for none, so that agents are told apart by what they
            observe alone.
        generator: draws the weights.
        mean_width: numbers of a mean action; None: A.

    Raises:
        ValueError: for another space.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        num_agents: int,
        num_actions: int,
        mean_field: bool,
        hidden: Sequence[int],
        agent_embedding: int,
        generator: torch.Generator,
        mean_width: int | None = None,
    ) -> None:
        super().__init__()
        self.observe = encoder(observation_space, generator)
        size = self.observe.size
        self.mean: nn.Module | None = None
        if mean_field:
            width = num_actions if mean_width is None else mean_width
            self.mean = mlp([width, MEAN_HIDDEN, MEAN_SIZE], generator, last_relu=True)
            size += MEAN_SIZE
        self.identity = _embedding(num_agents, agent_embedding, generator)
        size += agent_embedding
        self.joint = mlp([size, *hidden, num_actions], generator)

    def forward(self, obs: Any, mean: Tensor, agent: Tensor) -> Tensor:
        """Action values.

        Args:
            obs: [M, ...], or a dict of such.
            mean: float32 [M, mean_width]; not read without ``mean_field``.
            agent: int64 [M].

        Returns:
            float32 [M, A].
        """
        parts = [self.observe(obs)]
        if self.mean is not None:
            parts.append(self.mean(mean))
        if self.identity is not None:
            parts.append(self.identity(agent))
        return self.joint(torch.cat(parts, -1))


class Trunk(nn.Module):
    """What an agent observes and who it is, encoded, joined, and put through an MLP: [M, size].

    Args:
        observation_space, num_agents, hidden, agent_embedding, generator: as in `QNetwork`; ``hidden``
            has a width at least.
        pictures: see `encoder`.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        num_agents: int,
        hidden: Sequence[int],
        agent_embedding: int,
        pictures: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.size = hidden[-1]
        self.observe = encoder(observation_space, generator, pictures)
        self.identity = _embedding(num_agents, agent_embedding, generator)
        sizes = [self.observe.size + agent_embedding, *hidden]
        self.joint = mlp(sizes, generator, last_relu=True)

    def forward(self, obs: Any, agent: Tensor) -> Tensor:
        parts = [self.observe(obs)]
        if self.identity is not None:
            parts.append(self.identity(agent))
        return self.joint(torch.cat(parts, -1))


class Actor(nn.Module):
    """The logits of pi(. | o_j), one network for all agents: float32 [M, A]. It sees no mean action."""

    def __init__(self, trunk: Trunk, num_actions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = _linear(trunk.size, num_actions, generator)

    def forward(self, obs: Any, agent: Tensor) -> Tensor:
        return self.head(self.trunk(obs, agent))


class Critic(nn.Module):
    """Q(o_j, ., abar_j) [M, A], or V(o_j, abar_j) [M, 1]: one network for all agents.

    The mean action (64 -> 32, relu) is joined to the trunk's output and goes with it through ``hidden``.
    Without a mean action there is nothing to join, and the trunk's output is all.
    """

    def __init__(
        self,
        trunk: Trunk,
        mean_width: int,
        num_outputs: int,
        mean_field: bool,
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.mean: nn.Module | None = None
        sizes = [trunk.size]
        if mean_field:
            self.mean = mlp([mean_width, MEAN_HIDDEN, MEAN_SIZE], generator, last_relu=True)
            sizes = [trunk.size + MEAN_SIZE, *hidden]
        self.head = mlp([*sizes, num_outputs], generator)

    def forward(self, obs: Any, mean: Tensor, agent: Tensor) -> Tensor:
        parts = [self.trunk(obs, agent)]
        if self.mean is not None:
            parts.append(self.mean(mean))
        return self.head(torch.cat(parts, -1))


class Encoder(nn.Module):
    """A part of the observation as features; ``size`` says how many."""

    size: int


class Vector(Encoder):
    """Numbers [M, ...] of any shape, as they are, in one row of ``size``."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, obs: Tensor) -> Tensor:
        return _real(obs).reshape(len(obs), self.size)


class OneHot(Encoder):
    """One of ``size`` numbers from ``start`` on, int64 [M]."""

    def __init__(self, size: int, start: int) -> None:
        super().__init__()
        self.size, self.start = size, start

    def forward(self, obs: Tensor) -> Tensor:
        return nn.functional.one_hot(obs.long() - self.start, self.size).float()


class OneHots(Encoder):
    """Numbers [M, ...] of a MultiDiscrete space, each as a one-hot."""

    start: Tensor

    def __init__(self, space: spaces.MultiDiscrete) -> None:
        super().__init__()
        self.counts = [int(n) for n in space.nvec.flatten()]
        self.size = sum(self.counts)
        start = torch.from_numpy(space.start.flatten().astype("int64"))
        self.register_buffer("start", start, persistent=False)

    def forward(self, obs: Tensor) -> Tensor:
        columns = (obs.long().flatten(1) - self.start).unbind(1)
        hot = (nn.functional.one_hot(c, n) for c, n in zip(columns, self.counts, strict=True))
        return torch.cat(list(hot), -1).float()


class Picture(Encoder):
    """[M, height, width, channels]: two valid 3 x 3 convolutions of 32, then 256 (the authors' net)."""

    size = 256

    def __init__(self, shape: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        height, width, channels = shape
        self.layers = nn.Sequential(
            _glorot(nn.utils.skip_init(nn.Conv2d, channels, 32, 3), generator),
            nn.ReLU(),
            _glorot(nn.utils.skip_init(nn.Conv2d, 32, 32, 3), generator),
            nn.ReLU(),
            nn.Flatten(),
            _linear(32 * (height - 4) * (width - 4), self.size, generator),
            nn.ReLU(),
        )
        # As observations lie in memory; several times faster than the other way round.
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(_real(obs).movedim(-1, 1))


class Flat(Encoder):
    """Numbers [M, ...] of any shape in one row, then ``size`` (the authors' actor-critic has 256)."""

    def __init__(self, shape: Sequence[int], generator: torch.Generator, size: int = 256) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.Sequential(_linear(torch.Size(shape).numel(), size, generator), nn.ReLU())

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(_real(obs).flatten(1))


class Parts(Encoder):
    """A dict of observations, each with an encoder of its own."""

    def __init__(self, parts: dict[str, Encoder]) -> None:
        super().__init__()
        self.names = list(parts)
        # A module's name has no dots; those of nested observations have.
        self.parts = nn.ModuleDict({name.replace(".", "/"): part for name, part in parts.items()})
        self.size = sum(part.size for part in parts.values())

    def forward(self, obs: dict[str, Tensor]) -> Tensor:
        pairs = zip(self.names, self.parts.values(), strict=True)
        return torch.cat([part(obs[name]) for name, part in pairs], -1)


def encoder(
    space: spaces.Space[Any], generator: torch.Generator, pictures: str = "conv"
) -> Encoder:
    """The encoder that fits a space.

    A Box of rank 3, at least 5 x 5 in its first two, is a picture [height, width, channels]; other
    Boxes and MultiBinary are numbers in a row; Discrete is a one-hot, MultiDiscrete several; a Dict has
    the encoders of its parts. Observations of dtype uint8 are taken as shares of 255, other integers
    as they are.

    Args:
        space: of the observations.
        generator: draws the weights.
        pictures: "conv": `Picture`, with the vectors beside it in a Dict encoded to `BESIDE`, as the
            authors' Q-network has it; or "flat": pictures, and each Box of a Dict, become `Flat`.

    Raises:
        ValueError: for a space without one.
    """
    if isinstance(space, spaces.Discrete):
        return OneHot(int(space.n), int(space.start))
    if isinstance(space, spaces.Dict):
        return _parts(space, generator, pictures)
    if isinstance(space, spaces.Box) and len(space.shape) == 3 and pictures == "flat":
        return Flat(space.shape, generator)
    if isinstance(space, spaces.Box) and len(space.shape) == 3 and min(space.shape[:2]) >= 5:
        return Picture(space.shape, generator)
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return Vector(torch.Size(space.shape or ()).numel())
    if isinstance(space, spaces.MultiDiscrete):
        return OneHots(space)
    raise ValueError(
        f"no encoder for {space}; allowed: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these"
    )


def _parts(space: spaces.Dict, generator: torch.Generator, pictures: str) -> Parts:
    shapes = {
        name: part.shape or () for name, part in space.items() if isinstance(part, spaces.Box)
    }
    parts: dict[str, Encoder] = {}
    for name, part in space.items():
        shape = shapes.get(name, ())
        if pictures == "flat" and torch.Size(shape).numel() and name in shapes:
            parts[name] = Flat(shape, generator)
        elif len(shape) == 1 and shape[0] and any(len(other) == 3 for other in shapes.values()):
            parts[name] = Flat(shape, generator, BESIDE)
        else:
            parts[name] = encoder(part, generator, pictures)
    return Parts(parts)


def _real(obs: Tensor) -> Tensor:
    """Float32; of bytes their shares of 255, as pictures have them."""
    return obs.float() / 255 if obs.dtype == torch.uint8 else obs.float()


def mlp(sizes: Sequence[int], generator: torch.Generator, last_relu: bool = False) -> nn.Sequential:
    """Linear layers with relu between them (and after the last, if asked)."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [_linear(inputs, outputs, generator), nn.ReLU()]
    return nn.Sequential(*(layers if last_relu else layers[:-1]))


def _embedding(num_agents: int, size: int, generator: torch.Generator) -> nn.Embedding | None:
    """Who an agent is; None for a size of 0."""
    if not size:
        return None
    layer: nn.Embedding = nn.utils.skip_init(nn.Embedding, num_agents, size)
    nn.init.normal_(layer.weight, generator=generator)
    return layer


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Module:
    return _glorot(nn.utils.skip_init(nn.Linear, inputs, outputs), generator)


def _glorot(layer: Any, generator: torch.Generator) -> nn.Module:
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
