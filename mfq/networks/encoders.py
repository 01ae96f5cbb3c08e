"""What an agent observes as features: an encoder for each kind of space, and the layers of networks.

Weights are Glorot uniform and biases zero, drawn from a generator of the caller's.

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

BESIDE = 32  # numbers to which a vector beside a picture is encoded


class Conv(NamedTuple):
    """The two convolutions of a picture, those of the authors' network unless told otherwise.

    Attributes:
        filters: of each.
        stride: of the second.
    """

    filters: int = 32
    stride: int = 1


PAPER = Conv()


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


class Cells(nn.Module):
    """Features [M, C, height, width] in a row, cell by cell, as they lie in memory (channels last)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.movedim(1, -1).flatten(1)


class Picture(Encoder):
    """[M, height, width, channels]: two valid 3 x 3 convolutions, then 256."""

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
        # As observations lie in memory; several times faster than the other way round.
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, obs: Tensor) -> Tensor:
        return self.layers(_real(obs).movedim(-1, 1))


class Flat(Encoder):
    """Numbers [M, ...] of any shape in one row, then ``size`` (the authors' actor-critic has 256)."""

    def __init__(self, shape: Sequence[int], generator: torch.Generator, size: int = 256) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.Sequential(linear(torch.Size(shape).numel(), size, generator), nn.ReLU())

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


class InParts(nn.Module):
    """A network of a picture and vectors beside it, which also takes them in MAgent2's layout: as one
    picture whose last channels repeat the vectors in each cell.

    Args:
        network: takes a dict of the parts.
        parts: the channels of each part by its name, in their order; the first is the picture.
    """

    def __init__(self, network: nn.Module, parts: dict[str, int]) -> None:
        super().__init__()
        self.network, self.parts = network, dict(parts)

    def forward(self, obs: Any, *others: Tensor) -> Tensor:
        """As the network's; ``obs`` may be [M, height, width, channels], too."""
        if isinstance(obs, Tensor):
            picture, *vectors = obs.split(list(self.parts.values()), -1)
            values = [picture, *(vector[:, 0, 0] for vector in vectors)]
            obs = dict(zip(self.parts, values, strict=True))
        return self.network(obs, *others)


def picture_parts(space: spaces.Space[Any]) -> dict[str, int] | None:
    """The channels of a picture and the lengths of vectors beside it, by name, the picture first.

    None if a space is no Dict of one picture and vectors.
    """
    if not isinstance(space, spaces.Dict):
        return None
    shapes = {name: part.shape or () for name, part in space.spaces.items()}
    pictures = [name for name, shape in shapes.items() if len(shape) == 3]
    if len(pictures) != 1 or any(len(shape) not in (1, 3) for shape in shapes.values()):
        return None
    return {name: shapes[name][-1] for name in pictures + [n for n in shapes if n not in pictures]}


def split(space: spaces.Space[Any], parts: dict[str, int]) -> spaces.Dict:
    """The Dict of a picture and vectors that a picture holds, as in `InParts`.

    Raises:
        ValueError: if the space is no picture of so many channels.
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
    """The encoder that fits a space.

    A Box of rank 3, at least 5 x 5 in its first two, is a picture [height, width, channels]; other
    Boxes and MultiBinary are numbers in a row; Discrete is a one-hot, MultiDiscrete several; a Dict has
    the encoders of its parts. Observations of dtype uint8 are taken as shares of 255, other integers
    as they are.

    Args:
        space: of the observations.
        generator: draws the weights.
        conv: of `Picture`, with the vectors beside it in a Dict encoded to `BESIDE`, as the authors'
            Q-network has it; or None: pictures, and each Box of a Dict, become `Flat`.

    Raises:
        ValueError: for a space without one.
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
    """Float32; of bytes their shares of 255, as pictures have them."""
    return obs.float() / 255 if obs.dtype == torch.uint8 else obs.float()


def mlp(sizes: Sequence[int], generator: torch.Generator, last_relu: bool = False) -> nn.Sequential:
    """Linear layers with relu between them; the last is an `Output`, or has a relu, too."""
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
