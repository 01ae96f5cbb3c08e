"""Encoders of observations, one for each type of space, and layers of networks.

Weights are Glorot uniform, drawn from the caller's generator; biases are zero.

Legend: M samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from mfq.common.memory import SMALLER, check_fits
from mfq.networks.normalize import RunningNorm
from mfq.networks.precision import Output

BESIDE = 32  # features of a vector in a Dict with a picture
LEAST_SIDE = 5  # of a picture: two 3 x 3 convolutions leave one cell
LARGE_SIDE = 36  # of a large picture: the convolutions of `LargePicture` leave one cell
CHANNELS = ("auto", "first", "last")


@dataclass(frozen=True)
class Encoding:
    """How observations are encoded. The defaults are those of the authors' Q-network.

    Attributes:
        small: the encoder of pictures: "conv" (`Picture`), "flat" (`Flat`) or "large" (`LargePicture`).
        large: the encoder of large pictures, of at least 36 x 36.
        filters: the number of filters of each convolution of a `Picture`.
        stride: the stride of its second convolution.
        channels: where a picture has its channels: "first", "last", or "auto"; see `channels_first`.
        normalize: if True, numbers of a Box are normalized by running statistics, those of a picture by
            channel; see `RunningNorm`. Observations of dtype uint8 are not.
    """

    small: str = "conv"
    large: str = "large"
    filters: int = 32
    stride: int = 1
    channels: str = "auto"
    normalize: bool = False

    def norm(self, space: spaces.Space[Any], size: int) -> RunningNorm | None:
        """Returns what normalizes ``size`` components of a space; None if nothing does."""
        is_number = isinstance(space, spaces.Box) and space.dtype != np.uint8
        return RunningNorm(size) if self.normalize and is_number and size else None


PAPER = Encoding()
PICTURES = ("auto", "conv", "flat", "large")


def encoding_of(
    pictures: str,
    channels: str,
    normalize: bool,
    default: str = "conv",
    filters: int = 32,
    stride: int = 1,
) -> Encoding:
    """Returns the encoding that options of a network ask for.

    Args:
        pictures: one of `PICTURES`. "auto" is ``default`` for small pictures and "large" for large ones.
        channels, normalize, filters, stride: see `Encoding`.
        default: "conv" or "flat".
    """
    small, large = (default, "large") if pictures == "auto" else (pictures, pictures)
    return Encoding(small, large, filters, stride, channels, normalize)


class Encoder(nn.Module):
    """Encodes an observation, or a part of one, as features [M, size]."""

    size: int


class Vector(Encoder):
    """Flattens numbers [M, ...] to [M, size]."""

    def __init__(self, size: int, norm: RunningNorm | None = None) -> None:
        super().__init__()
        self.size, self.norm = size, norm

    def forward(self, obs: Tensor) -> Tensor:
        features = _real(obs).reshape(len(obs), self.size)
        return features if self.norm is None else self.norm(features)


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
    """Encodes pictures [M, height, width, channels]: two 3 x 3 convolutions, and a layer of 256.

    Args:
        shape: height, width, channels.
        generator: draws the weights.
        encoding: filters and stride of the convolutions.
        first: if True, pictures are [M, channels, height, width].
        norm: normalizes the channels; None for nothing.

    Raises:
        ValueError: if the layer does not fit into the available memory.
    """

    size = 256

    def __init__(
        self,
        shape: tuple[int, ...],
        generator: torch.Generator,
        encoding: Encoding = PAPER,
        first: bool = False,
        norm: RunningNorm | None = None,
    ) -> None:
        super().__init__()
        self.first, self.norm = first, norm
        *sides, channels = shape
        convolutions = self.convolutions(channels, encoding)
        layers: list[nn.Module] = []
        for inputs, filters, kernel, stride in convolutions:
            layer = nn.utils.skip_init(nn.Conv2d, inputs, filters, kernel, stride)
            layers += [glorot(layer, generator), nn.ReLU(inplace=True)]
            sides = [(side - kernel) // stride + 1 for side in sides]
        height, width = sides
        self.layers = nn.Sequential(
            *layers,
            Cells(),
            linear(convolutions[-1][1] * height * width, self.size, generator),
            nn.ReLU(),
        )
        # The memory layout of observations; several times faster than the default.
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def convolutions(self, channels: int, encoding: Encoding) -> list[tuple[int, int, int, int]]:
        """Returns (inputs, filters, kernel, stride) of each convolution."""
        filters = encoding.filters
        return [(channels, filters, 3, 1), (filters, filters, 3, encoding.stride)]

    def forward(self, obs: Tensor) -> Tensor:
        features = _real(obs)
        if self.norm is not None:
            features = self.norm(features.movedim(1, -1) if self.first else features)
            return self.layers(features.movedim(-1, 1))
        return self.layers(features if self.first else features.movedim(-1, 1))


class LargePicture(Picture):
    """Encodes pictures of at least 36 x 36: the three convolutions of Mnih et al. (2015), 8 x 8 with
    stride 4, 4 x 4 with stride 2 and 3 x 3, of 32, 64 and 64 filters, and a layer of 256.

    It takes the arguments of `Picture`, and ignores the filters and the stride of the encoding.
    """

    def convolutions(self, channels: int, encoding: Encoding) -> list[tuple[int, int, int, int]]:
        return [(channels, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)]


class Flat(Encoder):
    """Flattens numbers [M, ...], then a layer of ``size`` (256 in the authors' actor-critic).

    Raises:
        ValueError: if the layer does not fit into the available memory.
    """

    def __init__(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        size: int = 256,
        norm: RunningNorm | None = None,
    ) -> None:
        super().__init__()
        self.size, self.norm = size, norm
        self.layers = nn.Sequential(linear(torch.Size(shape).numel(), size, generator), nn.ReLU())

    def forward(self, obs: Tensor) -> Tensor:
        features = _real(obs).flatten(1)
        return self.layers(features if self.norm is None else self.norm(features))


class Parts(Encoder):
    """Encodes a dict of observations, each with a separate encoder."""

    def __init__(self, parts: dict[str, Encoder]) -> None:
        super().__init__()
        self.names = list(parts)
        self.parts = nn.ModuleDict()
        for name, part in parts.items():
            # Names of modules have no dots, and are no attributes, such as "values" or other parts.
            key = name.replace(".", "/")
            while not key or hasattr(self.parts, key):
                key += "/"
            self.parts[key] = part
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
    space: spaces.Space[Any], generator: torch.Generator, encoding: Encoding = PAPER
) -> Encoder:
    """Returns the encoder of a space.

    A Box of rank 3, at least 5 x 5, is a picture [height, width, channels], or [channels, height, width]
    (see `channels_first`). Other Boxes and MultiBinary are flattened; Discrete and MultiDiscrete become
    one-hots; each part of a Dict has an encoder. Observations of dtype uint8 are divided by 255.

    Args:
        space: the observation space.
        generator: draws the weights.
        encoding: the encoders of pictures. Vectors beside a picture in a Dict are encoded to `BESIDE`
            features, as in the authors' Q-network; if ``encoding.small`` is "flat", each Box of a Dict
            becomes `Flat`.

    Raises:
        ValueError: for an unsupported space, a picture smaller than 36 x 36 with the encoder
            "large", or layers that do not fit into the available memory.
    """
    if isinstance(space, spaces.Discrete):
        return OneHot(int(space.n), int(space.start))
    if isinstance(space, spaces.Dict):
        return _parts(space, generator, encoding)
    if isinstance(space, spaces.Box) and len(space.shape) == 3:
        made = _picture(space, generator, encoding)
        if made is not None:
            return made
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        size = torch.Size(space.shape or ()).numel()
        return Vector(size, encoding.norm(space, size))
    if isinstance(space, spaces.MultiDiscrete):
        return OneHots(space)
    raise ValueError(
        f"no encoder for {space}; allowed: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these"
    )


def _picture(space: spaces.Box, generator: torch.Generator, encoding: Encoding) -> Encoder | None:
    """Returns the encoder of a Box of rank 3; None if it is too small for one."""
    first = channels_first(space, encoding.channels)
    shape = (*space.shape[1:], space.shape[0]) if first else space.shape
    side = min(shape[:2])
    chosen = encoding.large if side >= LARGE_SIDE else encoding.small
    if chosen == "flat":
        size = torch.Size(shape).numel()
        return Flat(space.shape, generator, norm=encoding.norm(space, size))
    if chosen == "large" and side < LARGE_SIDE:
        raise ValueError(
            f"network.pictures='large' for pictures of {shape[0]} x {shape[1]}; allowed: 'auto', or "
            f"pictures of at least {LARGE_SIDE} x {LARGE_SIDE}"
        )
    if side < LEAST_SIDE:
        return None
    make = LargePicture if chosen == "large" else Picture
    return make(shape, generator, encoding, first, encoding.norm(space, shape[2]))


def channels_first(space: spaces.Box, channels: str = "auto") -> bool:
    """Whether a picture is [channels, height, width], and not [height, width, channels].

    With "auto" it is if its first axis is shorter than the others, these have at least 8 cells, and

    - it is of dtype uint8 with 1, 3 or 4 channels; or
    - height and width are equal, with at most 4 channels; or
    - it is of dtype uint8, or height and width are equal and at least 36. This is a guess, so that it
      warns once.

    Args:
        space: a Box of rank 3.
        channels: "auto", "first" or "last".
    """
    if channels != "auto":
        return channels == "first"
    depth, height, width = space.shape
    if depth >= min(height, width) or min(height, width) < 8:
        return False
    is_bytes, is_square = space.dtype == np.uint8, height == width
    if (is_bytes and depth in (1, 3, 4)) or (is_square and depth <= 4):
        return True
    is_guess = is_bytes or (is_square and height >= LARGE_SIDE)
    if is_guess:
        _warn_of_guess(space.shape)
    return is_guess


@cache
def _warn_of_guess(shape: tuple[int, int, int]) -> None:
    warnings.warn(
        f"observations of shape {shape} are taken for pictures of {shape[1]} x {shape[2]} with "
        f"{shape[0]} channels; network.channels='first' or 'last' says where the channels are",
        stacklevel=2,
    )


def _parts(space: spaces.Dict, generator: torch.Generator, encoding: Encoding) -> Parts:
    shapes = {
        name: part.shape or () for name, part in space.items() if isinstance(part, spaces.Box)
    }
    is_flat = encoding.small == "flat"
    has_pictures = any(len(shape) == 3 for shape in shapes.values())
    parts: dict[str, Encoder] = {}
    for name, part in space.items():
        shape = shapes.get(name, ())
        size = torch.Size(shape).numel()
        if is_flat and size and name in shapes and len(shape) != 3:
            parts[name] = Flat(shape, generator, norm=encoding.norm(part, size))
        elif len(shape) == 1 and size and has_pictures:
            parts[name] = Flat(shape, generator, BESIDE, encoding.norm(part, size))
        else:
            parts[name] = encoder(part, generator, encoding)
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
    """Returns a linear layer.

    Raises:
        ValueError: if it does not fit into the available memory.
    """
    check_fits(
        f"a layer of {inputs:,} x {outputs:,} weights",
        4 * inputs * outputs,
        f"network.pictures='auto' or 'large' for pictures of at least {LARGE_SIDE} x {LARGE_SIDE}, "
        f"or {SMALLER}",
    )
    return glorot(nn.utils.skip_init(nn.Linear, inputs, outputs), generator)


def glorot(layer: Any, generator: torch.Generator) -> nn.Module:
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
