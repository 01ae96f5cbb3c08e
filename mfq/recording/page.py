"""Writes a recording as one HTML file that plays in any browser, without a network.

The file has a header in JSON and the arrays of all frames one after the other, deflated, in base64. The
page itself is in page/: HTML, CSS and JavaScript.

Legend: T frames, N agents, A actions (the most of a type), E directed edges.
"""

from __future__ import annotations

import base64
import json
import zlib
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from mfq.common.files import write_atomically
from mfq.recording.episode import Recording, complete_groups

VERSION = 1
HEIGHT = 720  # of a page in a notebook, pixels
LEVELS = 255  # of a value of an action, between the least and the largest of its agent in a frame
_FILES = resources.files("mfq.recording").joinpath("page")


def page(recording: Recording, fps: float) -> str:
    """Returns the HTML of a recording.

    Values of actions are rounded to 1/255 of their range in an agent and a frame, and the ends of that
    range to 12 bits; all other numbers are exact.

    Args:
        recording: the episodes.
        fps: frames a second at the start; people may change it.
    """
    header, data = encode(recording, fps)
    # "<" in a name would end the script element early.
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {
        "TITLE": escape(recording.title),
        "STYLE": _read("replay.css"),
        "HEADER": text,
        "DATA": base64.b64encode(zlib.compress(data, 9)).decode(),
        "SCRIPT": _read("replay.js"),
    }
    html = _read("page.html")
    before, *pieces = html.split("{{")
    for piece in pieces:  # in one pass, so that nothing inserted is taken for a place
        name, _, after = piece.partition("}}")
        before += parts[name] + after
    return before


class ReplayPage:
    """A page that replays episodes. It is what the last line of a notebook's cell shows.

    Attributes:
        html: the whole page.
    """

    def __init__(self, html: str) -> None:
        self.html = html

    def __repr__(self) -> str:
        return f"ReplayPage({len(self.html):,} characters; save(path) writes it)"

    def _repr_html_(self) -> str:
        """Returns the page in a frame, for notebooks."""
        source = escape(self.html)
        style = f"width: 100%; height: {HEIGHT}px; border: 0"
        return f'<iframe srcdoc="{source}" style="{style}" title="Replay"></iframe>'

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Writes the page to a file, and returns its path.

        Raises:
            FileExistsError: if the file exists, unless ``overwrite``.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; allowed: another name, or overwrite=True")
        return write_atomically(path, lambda file: file.write_text(self.html, encoding="utf-8"))


def encode(recording: Recording, fps: float) -> tuple[dict[str, Any], bytes]:
    """Returns the header and the arrays of a recording, before compression."""
    layout, frames = recording.layout, recording.frames
    arrays: dict[str, np.ndarray] = {
        "x": np.stack([frame.places.x for frame in frames]).astype(np.float32),
        "y": np.stack([frame.places.y for frame in frames]).astype(np.float32),
        "shown": np.stack([frame.places.is_shown for frame in frames]).astype(np.uint8),
        "value": np.stack([frame.places.value for frame in frames]).astype(np.float32),
        "action": np.stack([frame.actions for frame in frames]).astype(np.int16),
        "reward": np.stack([frame.rewards for frame in frames]).astype(np.float32),
    }
    # All x, then all y and so on of one agent after another compress best.
    arrays = {name: np.ascontiguousarray(array.T) for name, array in arrays.items()}
    arrays["initial"] = recording.initial.astype(np.int16)
    if recording.value_name:
        counts = np.array([len(each.action_names) for each in layout.abilities])[layout.types]
        arrays |= _levels(np.stack([frame.values for frame in frames]), counts)
    header: dict[str, Any] = {
        "version": VERSION,
        "title": recording.title,
        "fps": fps,
        "agents": recording.agents,
        "groups": list(recording.group_names),
        "group": recording.groups.tolist(),
        "board": [layout.width, layout.height],
        "bodies": layout.bodies.tolist(),
        "value": {"name": layout.value_name, "range": list(layout.value_range)},
        "most": None if layout.most is None else layout.most.tolist(),
        "type": layout.types.tolist(),
        "types": [
            {
                "actions": list(each.action_names),
                "aims": each.aims.tolist(),
                "attacks": each.is_attack.tolist(),
                "sight": each.sight.tolist(),
            }
            for each in layout.abilities
        ],
        "things": list(layout.things),
        "thing": layout.thing.tolist(),
        "colors": layout.colors,
        "walls": [walls.tolist() for walls in recording.walls],
        "values": recording.value_name,
        "frames": len(frames),
        "starts": recording.starts,
        "measures": {
            name: [_plain(frame.measures[name]) for frame in frames] for name in frames[0].measures
        },
    }
    labels = complete_groups(recording.graph)
    if labels is not None:
        header["graph"] = {"kind": "groups", "groups": labels.tolist()}
    elif recording.graph is not None:
        header["graph"] = {"kind": "fixed"}
        arrays["edges"] = recording.graph.edge_index().astype(np.int32)
    else:
        edges = [frame.edges for frame in frames if frame.edges is not None]
        ends = np.cumsum([each.shape[1] for each in edges])
        header["graph"] = {"kind": "moving", "ends": ends.tolist()}
        arrays["edges"] = np.concatenate(edges, axis=1).astype(np.int32)
    header["arrays"], offset, pieces = {}, 0, []
    for name, array in arrays.items():
        padding = -offset % 8
        offset += padding
        header["arrays"][name] = [str(array.dtype), list(array.shape), offset]
        pieces += [b"\0" * padding, array.tobytes()]
        offset += array.nbytes
    return header, b"".join(pieces)


def _levels(values: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Returns values [T, N, A] as bytes between the least and the largest of each agent and frame, NaN
    where these are unknown.

    Args:
        counts: int [N]; how many actions each agent has.
    """
    has = np.arange(values.shape[2]) < counts[:, None]
    known = ~(np.isnan(values) & has).any(-1)
    low = _rounded(np.where(known, np.where(has, values, np.inf).min(-1), np.nan))
    high = _rounded(np.where(known, np.where(has, values, -np.inf).max(-1), np.nan))
    span = np.where(high > low, high - low, 1.0)
    level = np.nan_to_num((values - low[..., None]) / span[..., None] * LEVELS).clip(0, LEVELS)
    return {
        "level": np.ascontiguousarray(level.round().astype(np.uint8).transpose(1, 2, 0)),
        "low": np.ascontiguousarray(low.T),
        "high": np.ascontiguousarray(high.T),
    }


def _rounded(values: np.ndarray) -> np.ndarray:
    """Returns float32 with 12 significant bits, since random bits do not compress."""
    bits = values.astype(np.float32).view(np.int32)
    return np.where(
        np.isnan(values), np.float32(np.nan), ((bits + 0x800) & ~0xFFF).view(np.float32)
    )


def _plain(value: float) -> float | None:
    """Returns a number as JSON has it: None for one that is not finite."""
    return value if np.isfinite(value) else None


def _read(name: str) -> str:
    return _FILES.joinpath(name).read_text(encoding="utf-8")
