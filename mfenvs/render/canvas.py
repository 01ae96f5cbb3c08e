"""A picture in memory on which games draw, and a window to show it. The only file that uses pygame.

Positions are pixels, x to the right and y down; an area is (x, y, width, height). Colours are
(red, green, blue), each 0 to 255.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, ClassVar, NamedTuple
from weakref import WeakSet

import numpy as np

from mfenvs.render.geometry import Area, Color, Point, Range


def refuse_two_pygames() -> None:
    """Raises ImportError if the old ``pygame`` distribution is installed.

    It and ``pygame-ce`` install into the same folder and overwrite each other.
    """
    try:
        importlib.metadata.distribution("pygame")
    except importlib.metadata.PackageNotFoundError:
        return
    raise ImportError(
        "the old distribution 'pygame' is installed; it and 'pygame-ce' overwrite each other. Run\n"
        "    pip uninstall -y pygame\n    pip install --force-reinstall pygame-ce"
    )


refuse_two_pygames()
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame  # noqa: E402

MODES = ("human", "rgb_array")
MAX_EVENTS = 1000  # that are kept in the queue if nobody reads them
MAX_TRACE = 600  # points of a history, more than a chart has pixels along x
SHADE = (110, 110, 110)  # multiplies the picture below the lines of a graph, of 255


class Theme(NamedTuple):
    """Colours for all games."""

    paper: Color = (250, 249, 246)
    ink: Color = (32, 36, 42)
    faint: Color = (105, 111, 120)
    rule: Color = (224, 222, 215)
    blue: Color = (37, 84, 134)
    amber: Color = (238, 164, 56)
    red: Color = (190, 62, 44)
    green: Color = (0, 138, 104)


class Canvas:
    """A picture on which a game draws, and in mode "human" a window that shows it.

    Attributes:
        mode: "human" or "rgb_array".
        size: (width, height).
        pixels: uint8 [height, width, 3]; the picture, of which `present` returns a copy.
        theme: the colours.
        show_graph: whether the game should draw its neighbour graph too.
        selected: index of the agent whose view the game should show, or None.
        clicked: position of the last click in the window, which the game sets to None after use.
        pressed: the keys pressed in the window, oldest first, which the program removes after use: the
            character that was typed, such as "a", "A" or "?", or the name of the key, such as "space".
            Empty without ``reads_keys``.
        closed: whether the window was closed, by `close` or by the user.

    Args:
        mode: "rgb_array", which needs no display, or "human", which opens a window.
        title: of the window.
        fps: frames a second in the window at most; `present` waits if necessary.
        size: (width, height), multiples of 16 for video encoders.
        reads_keys: whether the window takes key presses. If False, they are left to the program.

    Raises:
        ValueError: for another mode.
        RuntimeError: in mode "human", if there is no display.
    """

    theme: ClassVar[Theme] = Theme()
    # All windows use one display and one event queue.
    _open: ClassVar[WeakSet[Canvas]] = WeakSet()
    _opened_display: ClassVar[bool] = False

    def __init__(
        self,
        mode: str,
        title: str,
        fps: float,
        size: tuple[int, int] = (1024, 672),
        reads_keys: bool = False,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}; allowed: {', '.join(map(repr, MODES))}")
        self.mode, self.size, self.fps = mode, size, fps
        self.show_graph = self.closed = False
        self.selected: int | None = None
        self.clicked: tuple[int, int] | None = None
        self.reads_keys, self.pressed = reads_keys, list[str]()
        width, height = size
        self.pixels = np.empty((height, width, 3), np.uint8)
        self._surface = pygame.image.frombuffer(self.pixels.data, size, "RGB")  # shares the memory
        self._fonts: dict[tuple[int, bool], Any] = {}
        self._labels: dict[tuple[str, int, Color, bool], Any] = {}
        self._traces: dict[str, np.ndarray] = {}
        self._window: Any = None
        self._frames = 0
        self.clear()
        if mode == "human":
            self._open_window(title)

    # -- a frame --------------------------------------------------------------------------------

    def present(self) -> np.ndarray | None:
        """Shows the picture in the window, or returns a copy of it.

        Returns:
            uint8 [height, width, 3]; None in mode "human".
        """
        if self.mode == "rgb_array":
            return self.pixels.copy()
        self._handle_events()
        if self._window is not None:
            self._window.get_surface().blit(self._surface, (0, 0))
            self._window.flip()
            self._clock.tick(self.fps)
        return None

    def restart(self) -> None:
        """Clears all traces, for a new episode."""
        self._traces.clear()

    def close(self) -> None:
        """Closes the window, if there is one. Later pictures are not shown."""
        self.closed = True
        Canvas._open.discard(self)
        if not pygame.display.get_init():  # never initialized, or after pygame.quit()
            Canvas._opened_display = False
        elif self._window is not None:
            self._window.destroy()
        self._window = None
        if Canvas._opened_display and not Canvas._open:
            pygame.display.quit()
            Canvas._opened_display = False

    # -- drawing --------------------------------------------------------------------------------

    def clear(self, color: Color = theme.paper) -> None:
        """Fills the picture with a colour."""
        self._surface.fill(color)

    def box(self, area: Area, color: Color, radius: int = 0, width: int = 0) -> None:
        """Draws a rectangle with rounded corners: filled, or outlined if ``width`` is given."""
        pygame.draw.rect(self._surface, color, area, width, border_radius=radius)

    def circle(self, center: Point, radius: float, color: Color, width: int = 0) -> None:
        """Draws a circle: filled, or outlined if ``width`` is given."""
        pygame.draw.aacircle(self._surface, color, center, radius, width)

    def line(self, points: Sequence[Point], color: Color, width: int = 1) -> None:
        """Draws a line through two or more points."""
        straight = any(len(set(coordinates)) == 1 for coordinates in zip(*points, strict=True))
        if straight or width > 2:
            pygame.draw.lines(self._surface, color, False, points, width)
            return
        # pygame's smooth lines are one pixel wide: a line of width 2 is three of them, side by side.
        for right, down in ((0, 0), (1, 0), (0, 1))[: 2 * width - 1]:
            moved = [(x + right, y + down) for x, y in points]
            pygame.draw.aalines(self._surface, color, False, moved)

    def polygon(self, points: Sequence[Point], color: Color, outline: Color) -> None:
        """Draws a filled polygon and its outline, one pixel wide."""
        pygame.draw.polygon(self._surface, color, points)
        pygame.draw.aalines(self._surface, outline, True, points)

    def text(
        self,
        text: str,
        at: Point,
        size: int = 14,
        color: Color = theme.ink,
        anchor: str = "topleft",
        bold: bool = False,
    ) -> int:
        """Draws one line of text and returns the x of its right end.

        Args:
            text: a hyphen before a digit becomes a minus sign.
            at: the position of the anchor.
            size: of the font, in pixels.
            anchor: a point of the text: "topleft", "midright", "center", ...
        """
        label = self._label(text, size, color, bold)
        place = label.get_rect(**{anchor: (round(at[0]), round(at[1]))})
        self._surface.blit(label, place)
        return int(place.right)

    def image(self, array: np.ndarray, area: Area, gap: int = 0) -> None:
        """Draws an image, scaled to an area without interpolation.

        Args:
            array: uint8 [h, w, 3].
            area: within the picture.
            gap: pixels between the cells, in the colour of the paper.

        Raises:
            ValueError: for another shape or dtype.
        """
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
            raise ValueError(f"array is {array.dtype} {array.shape}; allowed: uint8 [h, w, 3]")
        x, y, width, height = area
        row = np.arange(height) * array.shape[0] // height
        column = np.arange(width) * array.shape[1] // width
        target = self.pixels[y : y + height, x : x + width]
        target[:] = array.take(column, axis=1).take(row, axis=0)
        for lines, cell in ((target, row), (target.swapaxes(0, 1), column)):
            borders = np.flatnonzero(np.diff(cell)) + 1
            lines[borders[:, None] - gap // 2 + np.arange(gap)] = self.theme.paper

    def stamp(self, pictures: np.ndarray, corners: np.ndarray) -> None:
        """Draws many small pictures of one size at once. Where two overlap, one of them is drawn.

        Args:
            pictures: floats [n or 1, h, w, 4]: colour, and opacity from 0 to 1.
            corners: int [n, 2], the top left of each; all lie within the canvas.
        """
        y = corners[:, 1, None, None] + np.arange(pictures.shape[1])[:, None]
        x = corners[:, 0, None, None] + np.arange(pictures.shape[2])
        below = self.pixels[y, x]
        self.pixels[y, x] = below + (pictures[..., :3] - below) * pictures[..., 3:] + 0.5

    def graph(
        self,
        points: np.ndarray,
        edges: np.ndarray,
        period: Range | None = None,
        overhang: float = 12.0,
        width: int = 2,
        dot: float = 0.0,
    ) -> None:
        """Draws a neighbour graph: a line between two agents if either is a neighbour of the other.

        Lines darken the picture below them.

        Args:
            points: floats [N, 2], the positions of the agents.
            edges: int [2, E], from `NeighborGraph.edge_index`.
            period: width and height of a torus. A line across its border is drawn as two stubs.
            overhang: length of a stub beyond the border.
            width: of the lines.
            dot: radius of a dot at each agent.
        """
        pairs = edges.min(axis=0) * len(points) + edges.max(axis=0)
        first, second = np.divmod(np.unique(pairs), len(points))
        gap = points[second] - points[first]
        turns = np.zeros_like(gap) if period is None else np.round(gap / period)
        gap, wraps = gap - turns * (period or 0.0), turns.any(axis=1)
        # Half of a line that wraps lies on either side of the border.
        gap[wraps] *= 0.5 + overhang / np.linalg.norm(gap[wraps], axis=1, keepdims=True)
        starts = np.concatenate([points[first], points[second][wraps]])
        ends = starts + np.concatenate([gap, -gap[wraps]])

        layer = pygame.Surface(self.size)
        layer.fill("white")
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            pygame.draw.line(layer, SHADE, start, end, width)
        self._surface.blit(layer, (0, 0), special_flags=pygame.BLEND_RGB_MULT)
        for point in points.tolist() if dot else ():
            self.circle(point, dot + 1, self.theme.paper)
            self.circle(point, dot, self.theme.ink)

    def legend(self, at: Point, label: str, *colors: Color, line: bool = False) -> int:
        """Draws an entry of a legend: swatches of the colours, or a line, and a label.

        Args:
            at: its left end, at half height.

        Returns:
            The x of its right end.
        """
        x, y = round(at[0]), round(at[1])
        if line:
            self.box((x, y - 1, 18, 2), colors[0])
            self.circle((x + 9, y), 4, colors[0])
        for index, color in enumerate(() if line else colors):
            self.box((x + 13 * index, y - 6, 12, 12), color)
        left = x + (18 if line else 13 * len(colors) - 1) + 7
        return self.text(label, (left, y), 13, self.theme.ink, "midleft")

    def table(self, left: int, right: int, bottom: int, entries: dict[str, str]) -> int:
        """Draws a ruled table of names and values above ``bottom``, and returns the y of its top."""
        top = bottom - 28 * len(entries)
        for index, (name, value) in enumerate(entries.items()):
            y = top + 28 * index
            self.line([(left, y), (right, y)], self.theme.rule)
            self.text(name, (left, y + 14), 13, self.theme.faint, "midleft")
            self.text(value, (right, y + 14), 14, anchor="midright")
        return top

    def trace(self, name: str, time: float, value: float) -> np.ndarray:
        """Adds a value to a quantity's history over the frames of an episode, and returns the history.

        A value of the same time replaces the last; an earlier time clears the history. A history has at
        most `MAX_TRACE` points, evenly spaced.

        Returns:
            float64 [n, 2]: times and values, this one last.
        """
        history = self._traces.get(name, np.empty((0, 2)))
        if len(history) and time < history[-1, 0]:
            history = history[:0]
        history = np.vstack([history[history[:, 0] < time], (time, value)])
        if len(history) > MAX_TRACE:
            gaps = history[2:, 0] - history[:-2, 0]
            history = np.delete(history, 1 + gaps.argmin(), axis=0)
        self._traces[name] = history
        return history

    # -- helpers --------------------------------------------------------------------------------

    def _open_window(self, title: str) -> None:
        try:
            if not pygame.display.get_init():
                pygame.display.init()
                Canvas._opened_display = True
            if pygame.display.get_driver() == "offscreen" and "SDL_VIDEODRIVER" not in os.environ:
                # SDL chose it for want of a display: a window that nobody sees.
                raise pygame.error("there is no display")
            self._window = pygame.Window(title, self.size)
        except pygame.error as error:
            self.close()
            raise RuntimeError(
                f"no window can be opened here ({error}); allowed: mode='rgb_array'"
            ) from None
        Canvas._open.add(self)
        self._clock = pygame.time.Clock()

    def _handle_events(self) -> None:
        """Takes the events of our windows from the queue, and leaves all others to the program.

        A window whose events are not read appears frozen; `pygame.event.get` reads those of the system.
        """
        if not pygame.display.get_init():
            self.close()
        if self.closed:
            return
        types = [pygame.QUIT, pygame.WINDOWCLOSE, pygame.MOUSEBUTTONDOWN]
        if any(canvas.reads_keys for canvas in Canvas._open):
            types.append(pygame.KEYDOWN)
        for event in pygame.event.get(types):
            window, is_key = getattr(event, "window", None), event.type == pygame.KEYDOWN
            ours = [
                canvas
                for canvas in Canvas._open
                if window is canvas._window and (canvas.reads_keys or not is_key)
            ]
            if event.type == pygame.QUIT:
                ours = list(Canvas._open)
            for canvas in ours:
                if event.type == pygame.MOUSEBUTTONDOWN:
                    canvas.clicked = event.pos
                elif is_key:
                    canvas.pressed.append(_key_name(event))
                else:
                    canvas.close()
            # A display that was there before has a program that reads events.
            others = not ours or event.type == pygame.QUIT
            is_left = is_key or not Canvas._opened_display
            if others and is_left and pygame.display.get_init():
                pygame.event.post(event)
        if Canvas._opened_display:
            self._drop_old_events()

    def _drop_old_events(self) -> None:
        """Drops old events from time to time: a full queue takes no more, not even a window's end."""
        self._frames += 1
        if self._frames % (MAX_EVENTS // 4) == 0:
            for event in pygame.event.get()[-MAX_EVENTS:]:
                pygame.event.post(event)

    def _label(self, text: str, size: int, color: Color, bold: bool) -> Any:
        """Returns rendered text, which is cached."""
        key = (re.sub(r"-(?=[\d.])", "−", text), size, color, bold)
        if key not in self._labels:
            if len(self._labels) >= 512:
                self._labels.clear()
            try:
                label = self._font(size, bold).render(key[0], True, color)
            except pygame.error:  # fonts do not work after pygame.quit()
                self._fonts.clear()
                label = self._font(size, bold).render(key[0], True, color)
            self._labels[key] = label
        return self._labels[key]

    def _font(self, size: int, bold: bool) -> Any:
        if (size, bold) not in self._fonts:
            pygame.font.init()
            # With a font of our own pictures are the same on all systems.
            name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
            data = resources.files("mfenvs.render").joinpath("fonts", name).read_bytes()
            self._fonts[size, bold] = pygame.font.Font(io.BytesIO(data), size)
        return self._fonts[size, bold]


def _key_name(event: Any) -> str:
    """Returns the character that a key press typed, or else the name of the key."""
    text = getattr(event, "unicode", "")
    return text if text.strip().isprintable() and text.strip() else pygame.key.name(event.key)
