"""Encoders of observations, one for each type of space, and layers of networks.

Weights are Glorot uniform, drawn from the caller's generator; biases are zero.

Legend: M samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfq.networks.precision import Output

BESIDE = 32  # features of a vector in a Dict with a picture


class Conv(NamedTuple):
    """The two convolutions of a picture; by default those of the authors' network.

    Attributes:
        filters: the number of filters of each.
        stride: the stride of the second.
    """

    filters: int = 32
    stride: int = 1


PAPER = Conv()


class Encoder(nn.Module):
    """Encodes an observation, or a part of one, as features [M, size]."""

    size: int


class Vector(Encoder):
    """Flattens numbers [M, ...] to [M, size]."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, obs: Tensor) -> Tensor:
        return _real(obs).reshape(len(obs), self.size)


class OneHot(Encoder):
    """Encodes integers int64 [M], from ``start`` to ``start + size - 1``, as one-hots."""

    def __init__(self, size: int, start: int) -> None:
        super().__init__()
        self.size, self.start = size, start

    def forward(self, obs: Tensor) -> Tensor:
        return nn.functional.one_hot(obs.long() - self.start, self.size).float()


class OneHots(Encoder):
    """Encodes each integer of a MultiDiscrete space, [M, ...], as a one-hot."""

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


class Cells(nn.Module):
    """Flattens features [M, C, height, width] in channels-last order, which is their memory layout."""

    def forward(self, features: Tensor) -> Tensor:
        return features.movedim(1, -1).flatten(1)


class Picture(Encoder):
    """Encodes pictures [M, height, width, channels]: two 3 x 3 convolutions, and a layer of 256."""

    size = 256

    def __init__(
        self, shape: tuple[int, ...], generator: torch.Generator, conv: Conv = PAPER
    ) -> None:
        super().__init__()
        (height, width, channels), (filters, stride) = shape, conv
        cells = ((height - 5) // stride + 1) * ((width - 5) // stride + 1)
        self.layers = nn.Sequential(
            glorot(nn.utils.skip_init(nn.Conv2d, channels, filters, 3), generator),
            nn.ReLU(inplace=True),
            glorot(nn.utils.skip_init(nn.Conv2d, filters, filters, 3, stride), generator),
            nn.ReLU(inplace=True),
            Cells(),
            linear(filters * cells, self.size, generator),
            nn.ReLU(),
        )
        # The memory layout of observations; several times faster than the default.
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(_real(obs).movedim(-1, 1))


class Flat(Encoder):
    """Flattens numbers [M, ...], then a layer of ``size`` (256 in the authors' actor-critic)."""

    def __init__(self, shape: Sequence[int], generator: torch.Generator, size: int = 256) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.Sequential(linear(torch.Size(shape).numel(), size, generator), nn.ReLU())

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(_real(obs).flatten(1))


class Parts(Encoder):
    """Encodes a dict of observations, each with a separate encoder."""

    def __init__(self, parts: dict[str, Encoder]) -> None:
        super().__init__()
        self.names = list(parts)
        # The names of nested observations have dots, which names of modules cannot have.
        self.parts = nn.ModuleDict({name.replace(".", "/"): part for name, part in parts.items()})
        self.size = sum(part.size for part in parts.values())

    def forward(self, obs: dict[str, Tensor]) -> Tensor:
        pairs = zip(self.names, self.parts.values(), strict=True)
        return torch.cat([part(obs[name]) for name, part in pairs], -1)


class InParts(nn.Module):
    """A network of a picture and vectors that also accepts them in MAgent2's layout: as one picture
    with the vectors repeated in each cell, as its last channels.

    Args:
        network: a network of a dict of the parts.
        parts: name of each part -> its channels, in order; the first is the picture.
    """

    def __init__(self, network: nn.Module, parts: dict[str, int]) -> None:
        super().__init__()
        self.network, self.parts = network, dict(parts)

    def forward(self, obs: Any, *others: Tensor) -> Tensor:
        """Calls the network; ``obs`` is a dict of the parts, or [M, height, width, channels]."""
        if isinstance(obs, Tensor):
            picture, *vectors = obs.split(list(self.parts.values()), -1)
            values = [picture, *(vector[:, 0, 0] for vector in vectors)]
            obs = dict(zip(self.parts, values, strict=True))
        return self.network(obs, *others)


def picture_parts(space: spaces.Space[Any]) -> dict[str, int] | None:
    """Returns the channels of a picture and the lengths of the vectors beside it, by name, the picture
    first; None if the space is not a Dict of one picture and vectors.
    """
    if not isinstance(space, spaces.Dict):
        return None
    shapes = {name: part.shape or () for name, part in space.spaces.items()}
    pictures = [name for name, shape in shapes.items() if len(shape) == 3]
    if len(pictures) != 1 or any(len(shape) not in (1, 3) for shape in shapes.values()):
        return None
    return {name: shapes[name][-1] for name in pictures + [n for n in shapes if n not in pictures]}


def split(space: spaces.Space[Any], parts: dict[str, int]) -> spaces.Dict:
    """Splits the space of a picture in MAgent2's layout into a Dict of its parts; see `InParts`.

    Raises:
        ValueError: if the space is not a picture with these channels.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) != 3:
        raise ValueError(f"agents observe {space}; allowed: a picture of {parts}")
    if space.shape[-1] != sum(parts.values()):
        raise ValueError(f"a picture has {space.shape[-1]} channels; allowed: {parts}")
    (name, channels), *vectors = parts.items()
    shapes = {name: (*space.shape[:2], channels), **{part: (size,) for part, size in vectors}}
    return spaces.Dict(
        {part: spaces.Box(-np.inf, np.inf, shape, np.float32) for part, shape in shapes.items()}
    )


def encoder(
    space: spaces.Space[Any], generator: torch.Generator, conv: Conv | None = PAPER
) -> Encoder:
    """Returns the encoder of a space.

    A Box of rank 3, at least 5 x 5 in the first two dimensions, is a picture [height, width, channels].
    Other Boxes and MultiBinary are flattened; Discrete and MultiDiscrete become one-hots; each part of a
    Dict has an encoder. Observations of dtype uint8 are divided by 255.

    Args:
        space: the observation space.
        generator: draws the weights.
        conv: the convolutions of `Picture`; vectors beside it in a Dict are encoded to `BESIDE`
            features, as in the authors' Q-network. None: pictures, and each Box of a Dict, become
            `Flat`.

    Raises:
        ValueError: for an unsupported space.
    """
    if isinstance(space, spaces.Discrete):
        return OneHot(int(space.n), int(space.start))
    if isinstance(space, spaces.Dict):
        return _parts(space, generator, conv)
    if isinstance(space, spaces.Box) and len(space.shape) == 3:
        if conv is None:
            return Flat(space.shape, generator)
        if min(space.shape[:2]) >= 5:
            return Picture(space.shape, generator, conv)
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return Vector(torch.Size(space.shape or ()).numel())
    if isinstance(space, spaces.MultiDiscrete):
        return OneHots(space)
    raise ValueError(
        f"no encoder for {space}; allowed: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these"
    )


def _parts(space: spaces.Dict, generator: torch.Generator, conv: Conv | None) -> Parts:
    shapes = {
        name: part.shape or () for name, part in space.items() if isinstance(part, spaces.Box)
    }
    parts: dict[str, Encoder] = {}
    for name, part in space.items():
        shape = shapes.get(name, ())
        if conv is None and torch.Size(shape).numel() and name in shapes:
            parts[name] = Flat(shape, generator)
        elif len(shape) == 1 and shape[0] and any(len(other) == 3 for other in shapes.values()):
            parts[name] = Flat(shape, generator, BESIDE)
        else:
            parts[name] = encoder(part, generator, conv)
    return Parts(parts)


def _real(obs: Tensor) -> Tensor:
    """Converts to float32; divides uint8 by 255."""
    return obs.float() / 255 if obs.dtype == torch.uint8 else obs.float()


def mlp(sizes: Sequence[int], generator: torch.Generator, last_relu: bool = False) -> nn.Sequential:
    """Returns linear layers with ReLU between them; the last is an `Output`, or has a ReLU, too."""
    pairs = list(pairwise(sizes))
    inner = pairs if last_relu else pairs[:-1]
    layers = [part for pair in inner for part in (linear(*pair, generator), nn.ReLU())]
    if not last_relu:
        layers.append(output(*pairs[-1], generator))
    return nn.Sequential(*layers)


def output(inputs: int, outputs: int, generator: torch.Generator) -> nn.Module:
    return glorot(nn.utils.skip_init(Output, inputs, outputs), generator)


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Module:
    return glorot(nn.utils.skip_init(nn.Linear, inputs, outputs), generator)


def glorot(layer: Any, generator: torch.Generator) -> nn.Module:
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
