"""Callbacks: called after steps, episodes, evaluations and checkpoints.

Logging, evaluation and saving are implemented as callbacks. A `Runner` accepts further ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mfq.agents.base import Agent
from mfq.agents.loop import Transition
from mfq.common import distributed
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.matches.evaluate import of_player, selection_score
from mfq.matches.teams import Teams
from mfq.training.config import RunConfig
from mfq.training.log import EVALUATED, Log
from mfq.training.summary import headline, in_words


class Run(Protocol):
    """The attributes and methods of a `Runner` that callbacks may use; see there."""

    config: RunConfig
    view: View
    agent: Agent
    teams: Teams | None
    callbacks: Sequence[Callback]
    done: int
    episodes: int
    best: float
    can_make: bool

    @property
    def progress(self) -> int: ...
    @property
    def goal(self) -> int: ...
    def folder(self) -> Path | None: ...
    def save_as(self, name: str) -> None: ...
    def evaluate(self) -> dict[str, float]: ...
    def record(self, path: str | Path, *, overwrite: bool) -> Path: ...


class Callback:
    """Base class of callbacks. All methods do nothing by default.

    A Runner calls its callbacks in order: the training statistics, those passed to it, then logging,
    saving and evaluation.
    """

    def on_start(self, runner: Run) -> None:
        """Called when training starts or resumes."""

    def on_step(self, runner: Run, transition: Transition, is_last: bool) -> None:
        """Called after each environment step.

        Args:
            runner: the runner; ``runner.done`` and ``runner.episodes`` include the step.
            transition: the transition.
            is_last: whether this is the last step of the training.
        """

    def on_episodes_end(self, runner: Run, step: Step) -> None:
        """Called before `on_step` if episodes have ended, in the rows ``step.ended``."""

    def on_evaluation(self, runner: Run, scores: dict[str, float]) -> None:
        """Called after an evaluation."""

    def on_checkpoint(self, runner: Run, path: Path) -> None:
        """Called after a checkpoint was written."""

    def on_end(self, runner: Run) -> None:
        """Called when training ends, also after an error."""

    def metrics(self) -> dict[str, float]:
        """Returns values for the next row of the log, by the name of their column."""
        return {}


class WriteLog(Callback):
    """Writes a row of the log every ``config.log.every`` steps, and one after each evaluation.

    A row has the metrics of all callbacks, of learning, and of the agent; or the scores of an
    evaluation, as ``eval_NAME``. The progress shows the training reward and the `headline` of the last
    evaluation; on a terminal each evaluation also has a line.
    """

    def __init__(self) -> None:
        self._reward: dict[str, float] = {}
        self._headline: dict[str, float] = {}
        self._learned: dict[str, float] = {}
        self._log: Log | None = None

    def on_start(self, runner: Run) -> None:
        config = runner.config
        self._learned, self._reward, self._headline = {}, {}, {}
        self._log = Log(
            runner.folder(),
            ["episodes", "reward"],
            runner.goal,
            runner.progress,
            runner.done,
            "episode" if config.episodes else "step",
            config.log.tensorboard,
            config.quiet or distributed.rank() > 0,
        )

    def on_step(self, runner: Run, transition: Transition, is_last: bool) -> None:
        assert self._log is not None
        self._learned = transition.metrics or self._learned
        self._log.advance(runner.progress - self._log.done)
        if is_due(runner.done, runner.config.log.every, is_last):
            values: dict[str, float] = {"episodes": runner.episodes}
            for callback in runner.callbacks:
                values |= callback.metrics()
            self._log.write(runner.done, values | self._learned | runner.agent.metrics())
            self._reward = {"reward": values["reward"]}
            self._log.show(self._reward | self._headline)

    def on_evaluation(self, runner: Run, scores: dict[str, float]) -> None:
        if self._log is not None:
            self._log.write(runner.done, {f"{EVALUATED}{k}": v for k, v in scores.items()})
            side = runner.config.learning_side
            self._headline = headline(scores, side)
            self._log.show(self._reward | self._headline)
            self._log.say(f"step {runner.done}: {in_words(of_player(scores), side)}")

    def on_end(self, runner: Run) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None


class SaveCheckpoints(Callback):
    """Writes last.safetensors every ``config.checkpoints.every`` steps."""

    def on_step(self, runner: Run, transition: Transition, is_last: bool) -> None:
        if is_due(runner.done, runner.config.checkpoints.every, is_last):
            runner.save_as("last")


class Evaluate(Callback):
    """Evaluates every ``config.evaluation.every`` steps; writes best.safetensors and recordings."""

    def on_step(self, runner: Run, transition: Transition, is_last: bool) -> None:
        if not runner.can_make or not is_due(runner.done, runner.config.evaluation.every, is_last):
            return
        scores = runner.evaluate()
        for callback in runner.callbacks:
            callback.on_evaluation(runner, scores)
        options, folder = runner.config.evaluation, runner.folder()
        kind, every = options.record, options.every * options.record_every
        if kind != "none" and folder is not None and is_due(runner.done, every, is_last):
            runner.record(folder / f"episode-{runner.done:07d}.{kind}", overwrite=True)
        score = selection_score(scores, runner.config.learning_side)
        if score >= runner.best:  # for equal scores the later one, which was trained longer
            runner.best = score
            runner.save_as("best")
            runner.save_as("last")


def is_due(done: int, every: int, is_last: bool) -> bool:
    """Whether something that happens every ``every`` steps is due; after the last step it always is."""
    return is_last or (every > 0 and done % every == 0)
