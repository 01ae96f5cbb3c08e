"""`mfq play battle`: two armies in a window, or as a summary."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from mfq.agents.base import reseed
from mfq.envs.wrap import wrap
from mfq.matches.players import load_player, options_of
from mfq.matches.teams import Teams

ARMIES = ("red", "blue")
PRETRAINED = {"red": "mfq", "blue": "iql"}


@dataclass(frozen=True)
class PlayConfig:
    """Two armies fight: scripts or pretrained players (see `mfq list`), checkpoints, or folders of runs.

    Attributes:
        red, blue: the players of the armies; who is not named is rush, or if neither is, they are the
            pretrained "mfq" and "iql".
        episodes: how many episodes.
        seed: of the first; the others go on with its stream.
        select: the agent whose view is shown, such as red_3; a click in the window selects one, too.
        window: whether to open a window, where there is a display.
        explore: whether learned players act as in training.
        env_options: of the game; else those of the first run, or a map of 40 and 400 steps.
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
    """Plays, and prints a line an episode.

    The players see a batch of one row; the environment with the window plays the same game beside it.
    """
    from mfenvs import battle_v0, game_class

    named = {army: getattr(config, army) for army in ARMIES}
    others = PRETRAINED if not any(named.values()) else dict.fromkeys(ARMIES, "rush")
    sources = {army: source or others[army] for army, source in named.items()}
    trained = options_of(sources.values(), "battle_v0", game_class("battle_v0").players)
    basis = {"map_size": 40, "max_cycles": 400} if trained is None else trained
    options = {**basis, **config.env_options}
    env = battle_v0.parallel_env(render_mode="human" if config.window else None, **options)
    env.selected = config.select
    view = wrap(battle_v0.batched_env(**options))
    players = {army: load_player(source, view) for army, source in sources.items()}
    teams = Teams(view, players, view.groups[None])
    for k, player in enumerate(teams.players.values()):
        reseed(player, config.seed + k)
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
            while env.agents and not env.window_closed:
                steps += 1
                actions = teams.act(step, config.explore)
                told = dict(zip(view.agents, actions[0].tolist(), strict=True))
                env.step({agent: told[agent] for agent in env.agents})
                step = view.step(actions)
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
