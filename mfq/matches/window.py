"""`mfq play`: a game and its players in a window, or as a summary.

The window knows its keys from a table of commands. The players play in the one loop of all agents; see
`mfq.matches.session`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from mfenvs.validate import MAX_SEED, of_kind, positive, whole
from mfq.matches import display
from mfq.matches.by_hand import BY_KEY, ORDERS, Human
from mfq.matches.lineup import Lineup, lineup
from mfq.matches.session import Session

SPEEDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # steps a second
FPS = 30  # frames a second, whatever the speed
PAUSE = 3.0  # seconds for which the result of an episode is shown
PICTURE = (1024, 672)  # of a game, pixels


@dataclass(frozen=True)
class PlayConfig:
    """Plays a game in a window.

    A player is a script or a pretrained player (see `mfq list`), a checkpoint, the folder of a run,
    MODULE:NAME of a player of your own, or "human": you give the orders, see the help on the key h.

    Attributes:
        player: who plays all agents, or those groups that no other flag names; or players by group, such
            as "predator=hunt,prey=flee". None: random; in battle rush, or without any player the
            pretrained "mfq" and "iql".
        red: who plays red, in games that have it.
        blue: who plays blue, in games that have it.
        episodes: stop after this number of episodes. None: play until the window is closed; without a
            window, one episode.
        steps: stop after this number of steps of all episodes.
        seed: seed of the first episode; the others continue its random stream.
        speed: steps a second at the start.
        select: the agent to show, such as red_3. A click in the window selects one, too.
        window: whether to open a window; if not, a line is printed for each episode.
        explore: whether trained players act as in training.
        env_options: options of the game. Defaults are those of the first player that was trained; in
            battle without any, a map of size 40 and 400 steps.
    """

    player: str | None = None
    red: str | None = None
    blue: str | None = None
    episodes: int | None = None
    steps: int | None = None
    seed: int = 0
    speed: float = 10.0
    select: str | None = None
    window: bool = True
    explore: bool = False
    env_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("episodes", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name} {value}; allowed: 1 or more")
        whole("seed", self.seed, 0, MAX_SEED)
        positive("speed", self.speed)
        of_kind("env_options", self.env_options, dict, "options by name")


def play(game: str, config: PlayConfig) -> None:
    """Plays, and prints a line for each episode.

    Args:
        game: the id of a game of mfenvs.
        config: see `PlayConfig`.

    Raises:
        OSError: if there is no display for the window.
        ValueError, TypeError, OSError: as `lineup`.
    """
    from mfenvs.registry import full_id

    battle = full_id(game) == "battle_v0"
    cast = lineup(
        game,
        config.player,
        config.red,
        config.blue,
        config.env_options,
        other="rush" if battle else "random",
        basis={"map_size": 40, "max_cycles": 400} if battle else None,
        makers={"human": Human},
    )
    names = list(cast.view.agents)
    if config.select is not None and config.select not in names:
        raise ValueError(
            f"agent={config.select!r} is unknown; allowed: {names[0]!r} to {names[-1]!r}"
        )
    if config.window:
        window = Window(cast, config)
        try:
            window.run()
        finally:
            window.close()
        return
    if any(isinstance(player, Human) for player in cast.players.values()):
        raise ValueError("--no-window with the player human; allowed: players without orders")
    session = Session(cast, config.seed, config.explore)
    while not is_done(session, config, default=1):
        session.advance()
        if session.result is not None:
            print(f"episode {session.episode}: {session.result}")


def is_done(session: Session, config: PlayConfig, default: int | None = None) -> bool:
    """Returns whether as many steps or episodes were played as asked for.

    Args:
        session: what was played.
        config: what was asked for.
        default: the number of episodes if it is not in the config; None for no limit.
    """
    episodes = default if config.episodes is None and config.steps is None else config.episodes
    ended = session.episode + (session.result is not None)
    return (config.steps is not None and session.total >= config.steps) or (
        episodes is not None and ended >= episodes
    )


class Window:
    """The window of `mfq play`.

    Args:
        cast: the game and its players.
        config: see `PlayConfig`.
        fps: frames a second at most.
        clock: returns the time in seconds.

    Attributes:
        session: the play.
        canvas: the window.
        picture: the game's picture, a part of the window's.
        paused: whether the game waits.
        speed: steps a second.
        help: whether the keys are shown.
        graph: whether the graph is drawn while no agent is selected.
        links: whether the links of the selected agent are drawn.
        message: shown at the bottom until the next key.

    Raises:
        OSError: if there is no display.
    """

    def __init__(
        self,
        cast: Lineup,
        config: PlayConfig,
        fps: float = FPS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        from mfenvs.render.canvas import Canvas

        self.cast, self.config, self._clock = cast, config, clock
        size = (PICTURE[0] + display.SIDE, PICTURE[1] + display.BAR)
        try:
            self.canvas = Canvas("human", f"mfq play {cast.game}", fps, size, reads_keys=True)
        except RuntimeError as error:
            raise OSError(
                f"{error}; allowed without a display: mfq record {cast.game}, which writes a page, a "
                "GIF or a video, or mfq play --no-window, which prints the results"
            ) from None
        self.picture = Canvas("rgb_array", cast.game, fps, PICTURE)
        self.paused = self.help = self.graph = False
        self.links = True
        self.speed, self.message = float(config.speed), ""
        self.humans = [p for p in dict.fromkeys(cast.players.values()) if isinstance(p, Human)]
        names = list(cast.view.agents)
        self.picture.selected = None if config.select is None else names.index(config.select)
        display.draw_result(
            self.canvas, "preparing the game …"
        )  # its first compiling takes seconds
        self.canvas.present()
        self.session = Session(cast, config.seed, config.explore)
        self._next, self._is_stale = clock() + 1 / self.speed, True

    @property
    def selected(self) -> int | None:
        """The agent that is shown, by its index; None for none."""
        return self.picture.selected

    def run(self) -> None:
        """Plays until the window is closed, or as long as the config says."""
        while not self.canvas.closed and not is_done(self.session, self.config):
            self.turn()

    def close(self) -> None:
        """Closes the window, which ends `run`."""
        self.canvas.close()

    def turn(self) -> None:
        """One frame: handles keys and clicks, plays the steps that are due, and shows the picture."""
        pressed, self.canvas.pressed = self.canvas.pressed, []
        for key in pressed:
            self.press(key)
        if self.canvas.clicked is not None:
            self.picture.clicked, self.canvas.clicked = self.canvas.clicked, None
            self._is_stale = True
        start = self._clock()
        while not self.paused and self._next <= self._clock() < start + 1 / FPS:
            self._advance()
            if is_done(self.session, self.config):
                break
        if self._is_stale:
            self.draw()
        self.canvas.present()

    def press(self, key: str) -> None:
        """Carries out the command of a key, or gives the order. Other keys do nothing."""
        self.message = ""
        self._is_stale = True
        if self.humans and key in BY_KEY:
            for human in self.humans:
                human.give(BY_KEY[key], self.selected)
            who = "all" if self.selected is None else str(self.cast.view.agents[self.selected])
            self.message = f"order to {who}: {BY_KEY[key].words}"
        elif (command := _BY_KEY.get(key)) is not None:
            command.do(self)

    def draw(self) -> None:
        """Draws the game, and what lies beside it."""
        canvas, picture, session = self.canvas, self.picture, self.session
        for _ in range(1 + (picture.clicked is not None)):  # a click is handled while drawing
            picture.show_graph = self.graph if picture.selected is None else self.links
            self.cast.view.draw(picture)
        picture.clicked = None
        canvas.clear()
        canvas.pixels[: PICTURE[1], : PICTURE[0]] = picture.pixels
        display.draw_side(canvas, PICTURE[0], session, picture.selected)
        speed = "paused" if self.paused else f"{self.speed:,.4g} steps a second"
        state = f"episode {session.episode}, seed {session.seed}, step {session.steps:,}"
        display.draw_bar(canvas, f"{speed} · {state}", self.message, "h: keys")
        if session.result is not None:
            display.draw_result(canvas, session.result)
        if self.help:
            display.draw_help(canvas, keys(bool(self.humans)))
        self._is_stale = False

    # -- commands -------------------------------------------------------------------------------

    def toggle_pause(self) -> None:
        self.paused = not self.paused
        self._next = self._clock()

    def one_step(self) -> None:
        self.paused = True
        self._advance()

    def faster(self) -> None:
        self.speed = float(min((s for s in SPEEDS if s > self.speed), default=self.speed))

    def slower(self) -> None:
        self.speed = float(max((s for s in SPEEDS if s < self.speed), default=self.speed))

    def next_agent(self) -> None:
        self._select(1)

    def previous_agent(self) -> None:
        self._select(-1)

    def toggle_graph(self) -> None:
        if self.selected is None:
            self.graph = not self.graph
        else:
            self.links = not self.links

    def restart(self) -> None:
        self.session.restart(self.session.seed + 1)
        self._wait()

    def again(self) -> None:
        self.session.again()
        self._wait()

    def save(self) -> None:
        """Writes the window's picture to GAME-001.png, or the first such name that is free."""
        self.message, shown, self.help = "", self.help, False
        self.draw()
        path = save_picture(self.canvas.pixels, self.cast.game)
        self.message, self.help = f"saved {path}", shown
        self._is_stale = True
        print(f"mfq: {path}")

    def toggle_help(self) -> None:
        self.help = not self.help

    def leave(self) -> None:
        """Closes the help, or else the window."""
        if self.help:
            self.help = False
        else:
            self.close()

    # -- implementation -------------------------------------------------------------------------

    def _advance(self) -> None:
        """Plays a step, and says when the next one is due."""
        self.session.advance()
        if self.session.result is not None:
            print(f"episode {self.session.episode}: {self.session.result}")
        now = self._clock()
        # A slow game is not followed by steps that come all at once.
        self._next = max(self._next + 1 / self.speed, now - 1 / FPS)
        if self.session.result is not None:
            self._next = now + PAUSE
        self._is_stale = True

    def _wait(self) -> None:
        """Shows the start of an episode for as long as a step."""
        self._next = self._clock() + 1 / self.speed

    def _select(self, direction: int) -> None:
        """Selects the next agent that is shown."""
        shown = self.cast.view.places().is_shown[: self.cast.view.num_agents].nonzero()[0].tolist()
        if self.selected is None:
            later = shown[::direction]
        else:
            later = [agent for agent in shown if (agent - self.selected) * direction > 0]
            later = later[::direction] or shown[::direction]
        if later:
            self.picture.selected = later[0]


def save_picture(pixels: Any, game: str) -> Path:
    """Writes a picture to GAME-001.png in the working folder, or the first such name that is free."""
    from PIL import Image

    for number in count(1):
        path = Path(f"{game}-{number:03}.png")
        try:
            with path.open("xb") as file:
                Image.fromarray(pixels).save(file, format="PNG")
        except FileExistsError:
            continue
        return path
    raise AssertionError


class Command(NamedTuple):
    """What keys do.

    Attributes:
        keys: see `mfenvs.render.canvas.Canvas.pressed`.
        words: what they do.
        do: does it.
    """

    keys: tuple[str, ...]
    words: str
    do: Callable[[Window], None]


COMMANDS = (
    Command(("space",), "pause, or go on", Window.toggle_pause),
    Command(("right", "."), "one step, and pause", Window.one_step),
    Command(("+", "="), "faster", Window.faster),
    Command(("-",), "slower", Window.slower),
    Command(("n",), "show the next agent; a click shows any", Window.next_agent),
    Command(("p",), "show the previous agent", Window.previous_agent),
    Command(("g",), "draw the graph, or the links of the agent shown, or not", Window.toggle_graph),
    Command(("r",), "restart with the next seed", Window.restart),
    Command(("R",), "repeat this episode from its start", Window.again),
    Command(("s",), "save a picture", Window.save),
    Command(("h", "?"), "show the keys, or not", Window.toggle_help),
    Command(("escape", "q"), "close the window", Window.leave),
)
_BY_KEY = {key: command for command in COMMANDS for key in command.keys}


def keys(by_hand: bool) -> list[tuple[str, str]]:
    """Returns the keys and what they do, in words.

    Args:
        by_hand: whether a person gives orders, whose keys come first.
    """
    orders = orders_of_keys() if by_hand else []
    taken = set(BY_KEY) if by_hand else set()
    rows = [(tuple(k for k in command.keys if k not in taken), command) for command in COMMANDS]
    return orders + [(" or ".join(map(_label, names)), command.words) for names, command in rows]


def orders_of_keys() -> list[tuple[str, str]]:
    """Returns the keys of orders, in words."""
    rows = [(_label(order.key), order.words) for order in ORDERS if order.action is None]
    return [*rows, ("0 to 9", "choose that action")]


def _label(key: str) -> str:
    """Returns a key in words."""
    if key in ("left", "right", "up", "down"):
        return f"{key} arrow"
    return f"shift {key.lower()}" if len(key) == 1 and key.isupper() else key
