"""`mfq play battle`: two armies in a window, or as a summary."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from mfq.agents import loop
from mfq.envs.wrap import wrap
from mfq.matches.players import load_player, options_of
from mfq.matches.teams import Teams

ARMIES = ("red", "blue")
PRETRAINED = {"red": "mfq", "blue": "iql"}


@dataclass(frozen=True)
class PlayConfig:
    """Plays battle between two armies: scripts or pretrained players (see `mfq list`), checkpoints,
    folders of runs, or MODULE:NAMEs of players of your own.

    Attributes:
        red: the player of the red army. None: rush, or if blue is None too, the pretrained "mfq".
        blue: the player of the blue army. None: rush, or if red is None too, the pretrained "iql".
        episodes: the number of episodes.
        seed: seed of the first episode; the others continue its random stream.
        select: the agent to show the view of, such as red_3. A click in the window selects one, too.
        window: whether to open a window, if there is a display.
        explore: whether trained players act as in training.
        env_options: options of the game. Defaults are those of the first run, or a map of size 40 and
            400 steps.
    """

    red: str | None = None
    blue: str | None = None
    episodes: int = 1
    seed: int = 0
    select: str | None = None
    window: bool = True
    explore: bool = False
    env_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ValueError(f"--episodes {self.episodes}; allowed: 1 or more")


def play(config: PlayConfig) -> None:
    """Plays, and prints a line for each episode.

    The players play a batch of one row. The environment with the window plays the same game in parallel.
    """
    from mfenvs import battle_v0, game_class

    named = {army: getattr(config, army) for army in ARMIES}
    defaults = PRETRAINED if not any(named.values()) else dict.fromkeys(ARMIES, "rush")
    sources = {army: source or defaults[army] for army, source in named.items()}
    trained = None
    for army, source in sources.items():
        try:
            options = options_of([source], "battle_v0", game_class("battle_v0").players)
        except (OSError, ValueError) as error:
            raise type(error)(f"{army}={source!r}: {error}") from None
        trained = options if trained is None else trained
    basis = {"map_size": 40, "max_cycles": 400} if trained is None else trained
    options = {**basis, **config.env_options}
    env = battle_v0.parallel_env(render_mode="human" if config.window else None, **options)
    env.selected = config.select
    view = wrap(battle_v0.batched_env(**options))
    players = {army: load_player(source, view) for army, source in sources.items()}
    teams = Teams(view, players, view.groups[None])
    for k, player in enumerate(teams.players.values()):
        player.reseed(config.seed + k)
    try:
        env.reset(seed=config.seed)
    except RuntimeError as error:  # no display
        print(f"mfq: {error}", file=sys.stderr)
        env = battle_v0.parallel_env(**options)
        env.reset(seed=config.seed)
    step = view.reset(seed=config.seed)
    try:
        for episode in range(config.episodes):
            if episode:
                env.reset()
                step = view.reset()
            steps = 0
            for transition in loop.play(view, teams, step, config.explore):
                steps += 1
                chosen = dict(zip(view.agents, transition.actions[0].tolist(), strict=True))
                env.step({agent: chosen[agent] for agent in env.agents})
                if not env.agents or env.window_closed:
                    break
            _print_result(episode, steps, env.measures)
            if env.window_closed:
                break
    finally:
        env.close()


def _print_result(episode: int, steps: int, measures: dict[str, float]) -> None:
    red, blue = measures["red_kills"], measures["blue_kills"]
    verdict = "a draw" if red == blue else f"{'red' if red > blue else 'blue'} has more kills"
    armies = ", ".join(
        f"{army} {measures[f'{army}_alive']:.0f} alive {measures[f'{army}_kills']:.0f} kills"
        for army in ARMIES
    )
    print(f"episode {episode}: {steps} steps, {armies}: {verdict}")
