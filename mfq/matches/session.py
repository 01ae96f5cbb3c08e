"""Episodes that are played a step at a time, for `mfq play`.

Legend: N agents, A actions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mfq.agents import loop
from mfq.agents.loop import Transition
from mfq.envs.step import Step
from mfq.matches.evaluate import teams_of
from mfq.matches.lineup import Lineup


class Session:
    """Plays episodes of a game, one after the other.

    Args:
        cast: the game and its players.
        seed: seed of the first episode and of the players; later episodes continue its random streams.
        explore: whether the players act as in training.

    Attributes:
        seed: of the last reset.
        episode: the number of the current episode, from 0.
        steps: steps of the current episode.
        total: steps of all episodes.
        earned: float64 [N]; the rewards of the current episode so far.
        transition: the last step; None at the start of an episode.
        result: what came out of the episode, in a line; None while it goes on.
    """

    def __init__(self, cast: Lineup, seed: int = 0, explore: bool = False) -> None:
        self.cast, self.view, self.explore = cast, cast.view, explore
        self.teams = teams_of(cast.view, cast.players)
        for k, player in enumerate(self.teams.players.values()):
            player.reseed(seed + k)
        self.episode = self.total = self.steps = 0
        self.transition: Transition | None = None
        self.result: str | None = None
        self.earned = np.zeros(cast.view.num_agents)
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Starts the current episode anew with another seed."""
        self.seed = seed
        self._begin(self.view.reset(seed=seed))

    def again(self) -> None:
        """Goes back to the start of the current episode, which then repeats itself."""
        env_state, acting = self._start
        for part, state in zip(self.teams.parts, acting, strict=True):
            part.load_acting_state(state)
        self._begin(self.view.load_state_dict(env_state))

    def advance(self) -> None:
        """Plays a step; after the last one of an episode, starts the next episode."""
        transition = next(self._steps)
        if bool(transition.next_step.reset[0]):
            self.episode += 1
            self._begin(transition.next_step)
            return
        self.transition = transition
        self.steps += 1
        self.total += 1
        self.earned += transition.next_step.reward[0].cpu().numpy()
        if bool(transition.next_step.ended[0]):
            self.result = result_of(self)

    def values_of(self, agent: int) -> tuple[str, np.ndarray] | None:
        """Returns what the player compared when it last chose the agent's action: the name, "Q" or
        "probability", and float32 [A]; None if the player has no such values."""
        for part in self.teams.parts if self.transition is not None else ():
            if (last := part.last_values) is not None:
                places = (last.agents == agent).nonzero()
                if len(places):
                    return last.name, last.values[int(places[0, 0])].float().cpu().numpy()
        return None

    def _begin(self, step: Step) -> None:
        state = self.view.state_dict()
        self._start: Any = state, [part.acting_state() for part in self.teams.parts]
        self._steps = loop.play(self.view, self.teams, step, self.explore)
        self.transition = self.result = None
        self.steps, self.earned = 0, np.zeros(self.view.num_agents)


def result_of(session: Session) -> str:
    """Returns the result of an episode, in a line."""
    view, transition = session.view, session.transition
    assert transition is not None
    measures = {name: float(m[0]) for name, m in sorted(transition.next_step.measures.items())}
    start = f"{session.steps} steps, "
    if (decides := view.match_measure) is not None and len(view.group_names) == 2:
        first, second = view.group_names
        a, b = (measures[f"{group}_{decides}"] for group in (first, second))
        verdict = "a draw" if a == b else f"{first if a > b else second} has more {decides}"
        names = [name for name in ("alive", decides) if f"{first}_{name}" in measures]
        sides = ", ".join(
            f"{group} " + " ".join(f"{measures[f'{group}_{name}']:.0f} {name}" for name in names)
            for group in (first, second)
        )
        return f"{start}{sides}: {verdict}"
    words = [f"return {session.earned.mean():.4g}"]
    return start + ", ".join([*words, *(f"{name} {value:.4g}" for name, value in measures.items())])
