"""Writes pictures as an animated GIF (by Pillow) or an MP4 (by ffmpeg)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

COLORS = 64  # of a GIF; games are drawn in few


def write_gif(path: Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    """Writes an animated GIF that repeats forever.

    Args:
        path: the file.
        pictures: uint8 [height, width, 3], all of one size; at least one.
        fps: pictures a second, at most 50.
    """
    from PIL import Image

    images = (Image.fromarray(picture) for picture in pictures)
    first = next(images)
    # One palette for all pictures, so that unchanged areas compress and colours do not flicker.
    palette = first.quantize(COLORS)

    def indexed(image: Image.Image) -> Image.Image:
        return image.quantize(palette=palette, dither=Image.Dither.NONE)

    indexed(first).save(
        path,
        format="GIF",
        save_all=True,
        append_images=map(indexed, images),
        duration=round(1000 / fps),
        loop=0,
        optimize=True,  # pixels that stay the same take next to nothing
    )


def write_mp4(path: Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    """Writes an MP4 (H.264). Arguments are as for `write_gif`.

    Raises:
        ImportError: if imageio-ffmpeg is not installed.
    """
    try:
        import imageio_ffmpeg  # type: ignore[import-not-found]
    except ImportError:
        raise ImportError(
            "an .mp4 needs imageio-ffmpeg: pip install 'mfenvs[video]', or write a .gif or an .html"
        ) from None
    iterator: Iterator[np.ndarray] = iter(pictures)
    first = next(iterator)
    height, width = first.shape[:2]
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, macro_block_size=2, quality=7
    )
    writer.send(None)
    try:
        for picture in chain([first], iterator):
            writer.send(np.ascontiguousarray(picture))
    finally:
        writer.close()
