"""Writes pictures as an animated GIF (by Pillow) or an MP4 (by ffmpeg)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

COLORS = 64  # of a GIF; games are drawn in few
FIRST = 16  # pictures from which a GIF takes its colours
GIF_FPS = 0.01, 50.0  # a GIF has whole hundredths of a second, and browsers slow down below two


def write_gif(path: Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    """Writes an animated GIF that repeats forever.

    Args:
        path: the file.
        pictures: uint8 [height, width, 3], all of one size; at least one.
        fps: pictures a second, within `GIF_FPS`.
    """
    from PIL import Image

    iterator = iter(pictures)
    head = list(islice(iterator, FIRST))
    # One palette for all pictures, so that colours do not flicker, from several of them: a curve begins
    # later. An octree keeps colours of few pixels, such as that of the curve.
    some = Image.fromarray(np.concatenate(head[:: FIRST // 5]))
    palette = some.quantize(COLORS, method=Image.Quantize.FASTOCTREE)

    def changes() -> Iterator[Image.Image]:
        """Yields the pictures. Pixels that the picture before has already are transparent, which takes
        a third of the size."""
        before: np.ndarray | None = None
        for picture in chain(head, iterator):
            image = Image.fromarray(picture)
            now = np.asarray(image.quantize(palette=palette, dither=Image.Dither.NONE))
            shown = now if before is None else np.where(now == before, np.uint8(COLORS), now)
            changed = Image.fromarray(shown)
            changed.putpalette(palette.getpalette() or b"")
            changed.info["transparency"] = COLORS
            yield changed
            before = now

    images = changes()
    next(images).save(
        path,
        format="GIF",
        save_all=True,
        append_images=images,
        duration=round(1000 / fps),
        loop=0,
        optimize=False,
        transparency=COLORS,
        disposal=1,
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
