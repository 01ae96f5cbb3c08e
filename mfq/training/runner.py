"""Runner: one object that builds, trains, evaluates, saves and loads."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from mfq.agents.base import Agent
from mfq.agents.registry import make_agent
from mfq.common import checkpoint, distributed, memory
from mfq.common.config import build, to_json
from mfq.common.files import clear_leftovers
from mfq.envs.lookup import KINDS, graph_of, maker, rows
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import EVALUATION_SEED_OFFSET, evaluate, head_to_head, selection_score
from mfq.matches.players import check_rivals, load_player
from mfq.matches.teams import Teams, seating
from mfq.networks.encoders import picture_parts
from mfq.training.config import RunConfig
from mfq.training.log import Log
from mfq.training.stats import TrainingStats


class Runner:
    """Trains an agent on an environment.

    Args:
        env: an environment or a `View` (see `mfq.wrap`), a function that makes environments, a name (an
            id of a game of mfenvs, or what `RunConfig.env` allows), or None for the name in the config.
        algo: one of `ALGORITHMS`, or a class that is called with (view, config.agent, seed) and keeps
            the `Agent` protocol; None takes the config's.
        config: a `RunConfig`, or a dict of its fields.

    Attributes:
        view, agent, config: what is trained.
        teams: who plays whom, if the config has opponents.
        done: environment steps done; ``rounds``: episodes ended, over all rows.
        best: the best score so far: an evaluation's return, or against opponents the win rate on the
            side where it is lower, the mean over them.
        out_of_time: whether the last training ended since its minutes were over.

    Raises:
        ValueError, TypeError: for options that do not fit.
    """

    def __init__(
        self, env: Any = None, algo: Any = None, config: RunConfig | dict[str, Any] | None = None
    ) -> None:
        options = (
            {f.name: getattr(config, f.name) for f in fields(config)}
            if isinstance(config, RunConfig)
            else dict(config or {})
        )
        if isinstance(env, str):
            options["env"] = env
        if isinstance(algo, str):
            options["algo"] = algo
        config = self.config = build(RunConfig, options)
        distributed.join(config.device)
        memory.keep_freed()
        self._own_env = env is None or isinstance(env, str)
        self._own_algo = algo is None or isinstance(algo, str)
        self._factory = None if self._own_env or not callable(env) else env
        self._can_make = self._own_env or self._factory is not None
        if not self._own_env and config.env_options:
            raise ValueError("env_options are for environments by name; allowed with others: none")
        if not self._can_make and (config.num_envs != 1 or config.workers):
            raise ValueError(
                "num_envs and workers are for environments that can be made; allowed with an "
                "environment of your own: neither, or a function that makes it"
            )
        self.view: View = (
            self._make_view(config.num_envs)
            if self._can_make
            else wrap(env, graph_of(config.graph))
        )
        check_rivals(self.view, config.evaluate_against)
        self.agent: Agent = make_agent(
            self.view,
            config.algo if self._own_algo else algo,
            config.agent,
            config.actor_critic,
            config.seed,
        )
        self.teams: Teams | None = None
        if config.opponents:
            seed = config.seed + 1 + distributed.draw_apart()
            self.teams = seating(self.view, self.agent, config.opponents, config.sides, seed)
        self.done, self.rounds, self.best = 0, 0, float("-inf")
        self._step: Step | None = None
        self._interrupted = self.out_of_time = False

    # -- what a user calls ----------------------------------------------------------------------

    def run(self) -> dict[str, float]:
        """Trains to the end, then evaluates; the scores."""
        self._train_to_the_end()
        return self.evaluate()

    def train(self) -> bool:
        """Trains until ``config.steps`` or ``rounds`` are done, or ``minutes`` over, or until Ctrl-C.

        Ctrl-C ends the step in progress, saves it, and returns; a second one interrupts at once.

        Returns:
            Whether all steps, or rounds, are done.
        """
        config, out = self.config, self._folder()
        if out is not None:
            clear_leftovers(out)
            to_json(config, out / "config.json")
            if self.done == 0:  # what another run left here is not ours to go on from
                for name in ("last", "best"):
                    (out / f"{name}.safetensors").unlink(missing_ok=True)
        log = Log(
            out,
            ["rounds", "reward"],
            self._goal,
            self._progress,
            self.done,
            "round" if config.rounds else "step",
            config.tensorboard,
            config.quiet or distributed.rank() > 0,
        )
        if self._step is None:
            # As one process with all rows would seed them, where rows have seeds that count up; and
            # where a run goes on in a new episode, other seeds than those it began with.
            seed = config.seed + distributed.rank() * config.num_envs + self.done
            self._step = self.view.reset(seed=seed)
        playing = self.teams or self.agent
        training_stats, metrics = TrainingStats(self.view, self.teams), dict[str, float]()
        until = time.monotonic() + 60 * config.minutes if config.minutes else float("inf")
        try:
            with torch.no_grad(), self._listening():
                while self._progress < self._goal and not self._interrupted:
                    with training_stats.timing("act"):
                        actions = playing.act(self._step)
                    with training_stats.timing("env"):
                        next_step = self.view.step(actions)
                    with training_stats.timing("learn"):
                        playing.observe(self._step, actions, next_step)
                        metrics = playing.learn() or metrics
                    training_stats.note(next_step)
                    self._step = next_step
                    log.advance(self._count(next_step))
                    last = self._progress >= self._goal or self._is_late(until)
                    self._look_around(log, training_stats, metrics, last)
                    if last:
                        break
            self._save_as("last")
        finally:
            log.close()
        return self.is_done

    def evaluate(self, episodes: int | None = None, seed: int | None = None) -> dict[str, float]:
        """Episodes without exploration in a fresh copy (or in the user's own environment).

        Training is not disturbed, unless the environment is an object of the user's: that one is reset.

        Returns:
            The scores of `mfq.evaluate` for the agent playing everybody, unless it has opponents; and
            for each of ``config.evaluate_against`` what `mfq.head_to_head` says of both sides
            together, and the win rate as each, with its name in front.
        """
        config = self.config
        episodes = config.evaluation_episodes if episodes is None else episodes
        seed = config.seed if seed is None else seed
        if self._can_make:
            view = self._make_view(config.evaluation_envs)
            try:
                return self._scores(view, episodes, seed)
            finally:
                view.close()
        self._step = None
        return self._scores(self.view, episodes, seed)

    def _scores(self, view: View, episodes: int, seed: int) -> dict[str, float]:
        config, scores = self.config, dict[str, float]()
        with torch.no_grad():
            if not config.evaluate_against:
                return evaluate(view, self.agent, episodes, seed)
            for name in config.evaluate_against:
                rival = load_player(name, view)
                found = head_to_head(view, self.agent, rival, max(episodes, 2), seed)
                label = Path(name).name
                scores |= {f"{label}_{key}": value for key, value in found["both"].items()}
                for side in view.group_names:
                    scores[f"{label}_win_rate_as_{side}"] = found[side]["win_rate"]
        return scores

    def benchmark(self) -> dict[str, float]:
        """Trains, then scores the best checkpoint of the run (the last without ``out``), on episodes
        that did not choose it (`EVALUATION_SEED_OFFSET`)."""
        self._train_to_the_end()
        if (out := self._folder()) is not None and (best := out / "best.safetensors").exists():
            self.agent.load_state_dict(checkpoint.load(best)["agent"])
        return self.evaluate(seed=self.config.seed + EVALUATION_SEED_OFFSET)

    def save(self, path: str | Path) -> Path:
        """Writes a checkpoint that `load` goes on from exactly, on the same number of torch threads.

        On an environment that cannot tell its state, as most can not, the episode starts anew
        (`starts_anew`).
        """
        agent, teams = self.agent.state_dict(), None
        if self.teams is not None:
            teams = self.teams.state_dict()
            del teams["players"]["learner"]  # the agent
        if not self.config.save_replay:
            agent.pop("replay", None)
        state = {
            "config": asdict(self.config),
            "own_env": self._own_env,
            "own_algo": self._own_algo,
            "parts": None if self.view.type_specs else picture_parts(self.view.observation_space),
            "agent": agent,
            "teams": teams,
            "view": None if self._step is None else self.view.state_dict(),
            "done": self.done,
            "rounds": self.rounds,
            "threads": torch.get_num_threads(),
            "device": self.view.device.type,
            "best": self.best if self.best > float("-inf") else None,
        }
        return checkpoint.save(state, path)

    @classmethod
    def load(cls, path: str | Path, env: Any = None, algo: Any = None, **changes: Any) -> Runner:
        """A runner from a checkpoint, or from the folder of a run (its last one).

        Args:
            path: a checkpoint, or a folder with last.safetensors, where the run then goes on.
            env: the environment, or the function that makes it, if the run's had no name.
            algo: the class, likewise.
            changes: fields of the config to change, such as ``steps``; of ``agent``,
                ``actor_critic`` and ``env_options``, a dict of those to change.

        Raises:
            OSError, ValueError: if there is none, or it is damaged, or does not fit.
        """
        path = Path(path)
        if path.is_dir():
            changes = {"out": str(path), **changes}
            path = path / "last.safetensors"
        state = checkpoint.load(path)
        try:
            if not state["own_env"] and env is None:
                raise ValueError(f"{path} is of a run on an environment of its user's; give env")
            if not state["own_algo"] and algo is None:
                raise ValueError(f"{path} is of a run of an algorithm of its user's; give algo")
            config = state["config"]
            for name in ("agent", "actor_critic", "env_options"):
                if isinstance(changes.get(name), dict):
                    changes[name] = {**config[name], **changes[name]}
            runner = cls(env, algo, {**config, **changes})
            if runner.teams is None:
                runner.agent.load_state_dict(state["agent"])
            else:
                players = {"learner": state["agent"], **state["teams"]["players"]}
                runner.teams.load_state_dict({**state["teams"], "players": players})
            if not config["save_replay"]:
                warnings.warn(f"{path} holds no replay: it starts anew", stacklevel=2)
            runner.done, runner.rounds = state["done"], state["rounds"]
            now = _conditions(runner.view.device.type, torch.get_num_threads())
            before = _conditions(state.get("device", "cpu"), state["threads"])
            if now != before:
                told = f"{path} was written on {before} and goes on on {now}: numbers will differ"
                warnings.warn(told, stacklevel=2)
            runner.best = float("-inf") if state["best"] is None else state["best"]
            if state["view"] is not None:
                runner._step = runner.view.load_state_dict(state["view"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"{path} does not fit: {error}") from None
        return runner

    def finish(self) -> None:
        """Closes the environment, and ends its workers."""
        self.view.close()

    @property
    def is_done(self) -> bool:
        """Whether all steps, or rounds, are done."""
        return self._progress >= self._goal

    @property
    def starts_anew(self) -> bool:
        """Whether training goes on in a new episode, instead of where it was."""
        return self.done > 0 and self._step is None

    # -- its parts ------------------------------------------------------------------------------

    def _train_to_the_end(self) -> None:
        if not self.train():
            raise KeyboardInterrupt

    def _make_view(self, num_envs: int) -> View:
        config, graph = self.config, graph_of(self.config.graph)
        make = self._factory or maker(config.env, config.env_options)
        if make is None:
            return wrap(self._game(num_envs), graph)
        if torch.device(config.device).type != "cpu":
            raise ValueError(f"device={config.device!r} for {config.env}; allowed: cpu")
        return rows(make, num_envs, config.workers if num_envs > 1 else 0, graph)

    def _game(self, num_envs: int) -> Any:
        """A game of mfenvs."""
        import mfenvs
        from mfenvs.registry import GAMES

        config = self.config
        if config.env.removeprefix("mfenvs/") not in GAMES:
            raise ValueError(f"env={config.env!r} is unknown; allowed: {', '.join(GAMES)}, {KINDS}")
        if config.workers:
            raise ValueError(f"workers={config.workers!r} for {config.env}; allowed: 0, it is fast")
        return mfenvs.make_batched(
            config.env, num_envs=num_envs, device=config.device, **config.env_options
        )

    @property
    def _goal(self) -> int:
        return self.config.rounds or self.config.steps

    @property
    def _progress(self) -> int:
        """How far the run is on the way to its goal: rounds or steps."""
        return self.rounds if self.config.rounds else self.done

    def _count(self, step: Step) -> int:
        """Counts a step; returns how much nearer the goal is."""
        ended = distributed.total(int(step.ended.sum()))
        self.done += 1
        self.rounds += ended
        return ended if self.config.rounds else 1

    def _is_late(self, until: float) -> bool:
        """Whether it is past a time of the monotonic clock, on any process."""
        late = time.monotonic() >= until
        self.out_of_time = distributed.total(late) > 0 if until < float("inf") else False
        return self.out_of_time

    def _look_around(
        self, log: Log, training_stats: TrainingStats, metrics: dict[str, float], last: bool
    ) -> None:
        """Logs, saves and evaluates, whatever is due after a step; after the last, everything."""
        config = self.config
        if _due(self.done, config.log_every, last):
            found = training_stats.read()
            own = self.agent.metrics() if hasattr(self.agent, "metrics") else {}
            log.write(self.done, {"rounds": self.rounds, **found, **metrics, **own})
        if _due(self.done, config.save_every, last):
            self._save_as("last")
        if self._can_make and _due(self.done, config.evaluate_every, last):
            scores = self.evaluate()
            log.write(self.done, {f"eval_{name}": value for name, value in scores.items()})
            score = selection_score(scores)
            if score >= self.best:  # of equals the later one, which has learned longer
                self.best = score
                self._save_as("best")
                self._save_as("last")

    def _folder(self) -> Path | None:
        """Where this process writes; under torchrun, all but the first into folders of their own."""
        if self.config.out is None:
            return None
        rank = distributed.rank()
        return Path(self.config.out) / (f"rank_{rank}" if rank else "")

    def _save_as(self, name: str) -> None:
        if (folder := self._folder()) is not None:
            self.save(folder / f"{name}.safetensors")

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Within, the first Ctrl-C only asks the loop to end."""
        self._interrupted = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, frame: FrameType | None) -> None:
            self._interrupted = True
            signal.signal(signal.SIGINT, before)

        before = signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _conditions(kind: str, threads: int) -> str:
    """What exact resumption depends on."""
    return f"{threads} torch threads" if kind == "cpu" else kind


def _due(done: int, every: int, last: bool) -> bool:
    return last or (every > 0 and done % every == 0)
