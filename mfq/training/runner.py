"""The Runner, which builds, trains, evaluates, saves and loads agents."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from mfenvs.validate import of_kind
from mfq.agents import loop
from mfq.agents.base import Agent, Player
from mfq.agents.registry import (
    BUILT_IN,
    algorithm,
    check_num_agents,
    make_agent,
    saved_agent,
    without_replay,
)
from mfq.common import checkpoint, distributed
from mfq.common.config import to_json
from mfq.common.files import (
    check_out,
    check_writable,
    clear_leftovers,
    missing_folders,
    remove_empty,
)
from mfq.envs import lookup
from mfq.envs.device import OnDevice, checked_device
from mfq.envs.lookup import graph_of, maker, rows
from mfq.envs.step import Step
from mfq.envs.view import View
from mfq.envs.wrap import wrap
from mfq.matches.evaluate import EVALUATION_SEED_OFFSET, Scores, random_score, scores_of
from mfq.matches.players import check_rivals, load_player
from mfq.matches.sources import labelled
from mfq.matches.teams import Teams, make_teams, name_of_opponent
from mfq.networks.encoders import picture_parts
from mfq.recording.record import record
from mfq.training.callbacks import Callback, Evaluate, SaveCheckpoints, WriteLog
from mfq.training.config import FILES, RunConfig, as_dict, run_config
from mfq.training.environments import (
    check_env_options,
    described,
    full_name,
    make_game,
    names_of_code,
)
from mfq.training.stats import TrainingStats
from mfq.training.summary import below_random


class Runner:
    """Trains an agent on an environment.

    Args:
        env: an environment or a `View` (see `mfq.wrap`), a function that makes environments, a name (see
            `RunConfig.env`), or None for the name in the config.
        algo: a name, or a class that makes an `Agent` (see `mfq.agents.registry.algorithm`); None takes
            the config's.
        config: a `RunConfig`, or a dict of its fields.
        callbacks: callbacks of training, called before logging, saving and evaluation.

    Attributes:
        view: the view that the agent plays.
        agent: the agent that is trained.
        config: the options of the run.
        callbacks: all callbacks, those passed and the Runner's.
        teams: the learner and its opponents, if the config has opponents; else None.
        done: environment steps done.
        episodes: episodes that have ended, over all rows.
        best: the best score of an evaluation so far; see `mfq.matches.evaluate.selection_score`.
        out_of_time: whether the last training ended because of ``config.minutes``.

    Raises:
        OSError: if ``config.out`` cannot be written.
        ValueError: if ``config.out`` holds a run, unless ``config.overwrite`` is True.
        ValueError, TypeError: for options that do not fit the environment.
    """

    def __init__(
        self,
        env: Any = None,
        algo: Any = None,
        config: RunConfig | dict[str, Any] | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> None:
        options = as_dict(config) if isinstance(config, RunConfig) else dict(config or {})
        if isinstance(env, str):
            options["env"] = env
        if algo is not None:
            options["algo"] = algorithm(algo)[0]
        config = self.config = run_config(options)
        self.callbacks: Sequence[Callback] = [
            TrainingStats(),
            *callbacks,
            WriteLog(),
            SaveCheckpoints(),
            Evaluate(),
        ]
        for callback in self.callbacks:
            of_kind("callbacks", callback, Callback, "instances of mfq.Callback")
        distributed.join(config.device)
        self._env_is_named = env is None or isinstance(env, str)
        if self._env_is_named:
            check_env_options(config)
        self._check_out()
        if self._env_is_named:
            config = self.config = replace(config, env=full_name(config.env))
        else:
            config = self.config = replace(config, env=described(env))
        self._factory = None if self._env_is_named or not callable(env) else env
        self.can_make = self._env_is_named or self._factory is not None
        if not self._env_is_named and config.env_options:
            raise ValueError("env_options are for environments by name; allowed with others: none")
        if not self.can_make and (config.num_envs != 1 or config.workers):
            raise ValueError(
                "num_envs and workers are for environments that can be made; allowed with an "
                "environment of your own: neither, or a function that makes it"
            )
        self.view: View = (
            self._make_view(config.num_envs)
            if self.can_make
            else self._on_device(wrap(env, graph_of(config.graph)))
        )
        check_rivals(self.view, config.evaluation.against)
        self.agent: Agent = make_agent(self.view, config.algo, config.agent, config.seed)
        self.teams: Teams | None = None
        if config.opponents:
            seed = config.seed + 1 + distributed.draw_apart()
            self.teams = make_teams(self.view, self.agent, config.opponents, config.sides, seed)
        self.done, self.episodes, self.best = 0, 0, float("-inf")
        self._step: Step | None = None
        self._interrupted = self.out_of_time = False
        self._goes_on = False  # in the folder that it was loaded from
        self._random_scores: dict[tuple[int, int], Scores] = {}  # by episodes and seed

    # -- public methods -------------------------------------------------------------------------

    def run(self) -> dict[str, float]:
        """Trains to the end, then evaluates; returns the scores.

        Unless ``config.quiet`` is True, it warns if they are below those of random play.
        """
        self._train_to_the_end()
        scores = self.evaluate()
        if not self.config.quiet and (remark := below_random(scores, self.config)):
            warnings.warn(remark, stacklevel=2)
        return scores

    def train(self) -> bool:
        """Trains until ``config.steps`` or ``episodes`` are done, ``minutes`` are over, or Ctrl-C.

        On Ctrl-C it completes the current step, saves a checkpoint, and returns. A second Ctrl-C raises
        KeyboardInterrupt at once.

        Returns:
            Whether all steps, or episodes, are done.
        """
        out = self.folder()
        is_new = self.done == 0 and self._step is None and not self._goes_on
        if is_new:
            self._check_out()  # another run may have been written there since this one was made
        elif out is not None:
            check_writable(out)
        if self._step is None:
            # With seeds that count up over rows, processes seed their rows as a single process would.
            # A run that resumes in a new episode gets other seeds than at its start.
            seed = self.config.seed + distributed.rank() * self.config.num_envs + self.done
            self._step = self.view.reset(seed=seed)
        made = [] if out is None else missing_folders(out)
        try:
            if out is not None:
                self._start_files(out)
            self._train_with_callbacks()
        except BaseException:
            if is_new and out is not None:
                _discard_if_empty(out, made)
            raise
        return self.is_done

    def _start_files(self, out: Path) -> None:
        """Writes the config. A new run removes the checkpoints of an earlier one."""
        clear_leftovers(out)
        to_json(self._kept_config(), out / "config.json")
        if self.done == 0:
            for name in ("last", "best"):
                (out / f"{name}.safetensors").unlink(missing_ok=True)

    def _train_with_callbacks(self) -> None:
        minutes = self.config.minutes
        until = time.monotonic() + 60 * minutes if minutes else float("inf")
        with ExitStack() as ends:  # all are called, also if one raises
            for callback in reversed(self.callbacks):
                ends.callback(callback.on_end, self)
            for callback in self.callbacks:
                callback.on_start(self)
            with self._listening():
                if not self.is_done:
                    self._train(until)
            self.save_as("last")

    def _train(self, until: float) -> None:
        """Trains until the goal, a time of the monotonic clock, or Ctrl-C."""
        assert self._step is not None
        for transition in loop.learn(self.view, self.teams or self.agent, self._step):
            self._step = transition.next_step
            ended = int(self._step.ended.sum())
            self.done += 1
            self.episodes += distributed.total(ended)
            is_last = self.is_done or self._is_late(until)
            for callback in self.callbacks:
                if ended:
                    callback.on_episodes_end(self, self._step)
                callback.on_step(self, transition, is_last)
            if is_last or self._interrupted:
                break

    def evaluate(self, episodes: int | None = None, seed: int | None = None) -> dict[str, float]:
        """Evaluates the agent without exploration.

        It plays in a new copy of the environment. If the Runner cannot make one, since it was given an
        environment or a view, it resets that one, and training starts a new episode afterwards.

        Args:
            episodes: the number of episodes; None takes ``config.evaluation.episodes``.
            seed: seed of the episodes; None takes ``config.seed``.

        Returns:
            The `scores_of` the agent, against ``config.evaluation.against`` if there are any. Beside
            each of them, but for intervals, that of random play in the agent's place, in the same
            episodes, as ``random_play_NAME`` (see `random_score`).
        """
        config = self.config
        episodes = config.evaluation.episodes if episodes is None else episodes
        seed = config.seed if seed is None else seed
        if self.can_make:
            # No more rows than episodes are played at once, which with opponents are half on each side.
            at_once = -(-episodes // 2) if config.evaluation.against else episodes
            view = self._make_view(max(1, min(config.evaluation.num_envs, at_once)))
            try:
                return self._scores(view, episodes, seed)
            finally:
                view.close()
        self._step = None
        return self._scores(self.view, episodes, seed)

    def _scores(self, view: View, episodes: int, seed: int) -> Scores:
        opponents: dict[str, Player | str] = {
            label: load_player(name, view)
            for label, name in labelled(self.config.evaluation.against).items()
        }
        scores = scores_of(view, self.agent, opponents, episodes, seed)
        if (episodes, seed) not in self._random_scores:
            by_random = random_score(view, opponents, episodes, seed)
            self._random_scores[episodes, seed] = by_random
        return scores | self._random_scores[episodes, seed]

    def record(self, path: str | Path, seed: int | None = None, *, overwrite: bool = False) -> Path:
        """Records an episode of the agent without exploration, in a new copy of the environment.

        In games of two groups with opponents to evaluate against, it plays the last of these, and the
        group that the learner plays, or else the first.

        Args:
            path: the file, .html, .gif or .mp4; see `mfq.record`.
            seed: seed of the episode; None takes ``config.seed``.
            overwrite: whether to replace a file.

        Returns:
            The path.

        Raises:
            ValueError: if the Runner cannot make a copy, since it was given an environment or a view; or
                as `mfq.record`.
        """
        if not self.can_make:
            raise ValueError(
                "the Runner was given an environment or a view; allowed for recording: one by name, or "
                "a function that makes it"
            )
        config = self.config
        seed = config.seed if seed is None else seed
        with contextlib.closing(self._make_view(1)) as view:
            players: dict[str, Player | str] = dict.fromkeys(view.group_names, self.agent)
            title = f"{config.env}, {config.algo}, step {self.done}"
            if config.evaluation.against:
                label, name = list(labelled(config.evaluation.against).items())[-1]
                mine = config.learning_side or view.group_names[0]
                opponent = load_player(name, view)
                players = {g: self.agent if g == mine else opponent for g in view.group_names}
                title += f", {mine} against {label}"
            return record(view, players, path, seed=seed, title=title, overwrite=overwrite)

    def benchmark(self) -> dict[str, float]:
        """Trains to the end, then evaluates the best checkpoint (without ``out`` the last state).

        The episodes are not those that selected it; see `EVALUATION_SEED_OFFSET`.
        """
        self._train_to_the_end()
        if (out := self.folder()) is not None and (best := out / "best.safetensors").exists():
            self.agent.load_state_dict(checkpoint.load(best)["agent"])
        return self.evaluate(seed=self.config.seed + EVALUATION_SEED_OFFSET)

    def save(self, path: str | Path) -> Path:
        """Writes a checkpoint; returns its path.

        A run that is loaded from it continues exactly as this one would, with the same number of torch
        threads. If the environment has no ``state_dict``, it starts a new episode (`starts_anew`).
        """
        agent, teams, opponents = self.agent.state_dict(), None, self.config.opponents
        if self.teams is not None:
            teams = self.teams.state_dict()
            del teams["players"]["learner"]  # the agent
        if not self.config.checkpoints.replay:
            agent = without_replay(agent)
        state = {
            "config": asdict(self._kept_config()),
            "own_env": self._env_is_named,  # whether ``config.env`` names it
            "own_players": [name for name in self._kept_opponents() if name not in opponents],
            "parts": None if self.view.type_specs else picture_parts(self.view.observation_space),
            "agent": agent,
            "teams": teams,
            "view": None if self._step is None else self.view.state_dict(),
            "done": self.done,
            "episodes": self.episodes,
            "threads": torch.get_num_threads(),
            "device": self.view.device.type,
            "best": self.best if self.best > float("-inf") else None,
        }
        return checkpoint.save(state, path)

    @classmethod
    def load(
        cls,
        path: str | Path,
        env: Any = None,
        algo: Any = None,
        callbacks: Iterable[Callback] = (),
        trust: Iterable[str] = (),
        **changes: Any,
    ) -> Runner:
        """Returns a runner from a checkpoint, or from the folder of a run (its last checkpoint).

        Args:
            path: a checkpoint; or a folder with last.safetensors, to which the run then writes.
            env: the environment, or the function that makes it, if the run's was not given by name.
            algo: the class of the algorithm, if it was not given by name.
            callbacks: as for `Runner`.
            trust: the MODULE:NAMEs that the file may name, such as its environment. Loading a file
                imports no others.
            changes: fields of the config to change, such as ``steps``. For fields that are dataclasses
                (``agent``), and for ``env_options``, a dict of the options to change. With other
                ``env_options`` or another environment the run starts a new episode. With
                ``checkpoints={"replay": False}`` it starts with an empty replay. ``opponents`` are
                needed if those of the run were `mfq.Player`s, in the same order; {} if the run is only
                evaluated.

        Raises:
            OSError, ValueError: if the file does not exist, is damaged, does not fit, or names code that
                is not trusted.
        """
        lookup.trust(trust)
        path = Path(path)
        # A file's own folder is not trusted: it may be anybody's.
        changes = {"out": str(path) if path.is_dir() else None, **changes}
        if path.is_dir():
            path = path / "last.safetensors"
        state = checkpoint.load(path)
        try:
            fields = state["config"]
            if not state["own_env"] and env is None:
                raise ValueError(
                    f"{path} is of a run on an environment that was given as an object; allowed: "
                    "mfq.Runner.load(path, env=...) in Python. The command line opens runs on an "
                    "environment by name, such as mfq.Runner('MODULE:FACTORY', ...)"
                )
            if (unnamed := state.get("own_players")) and "opponents" not in changes:
                raise ValueError(
                    f"{path} is of a run against players that have no names ({', '.join(unnamed)}); "
                    "allowed: opponents={PLAYER: SHARE, ...} in their order, or opponents={} to evaluate"
                )
            lookup.check_trusted(names_of_code(fields, env, algo, changes), path)
            name, agent = saved_agent(state, algo, path)
            options = {key: value for key, value in fields.items() if key != "actor_critic"}
            saved = run_config({**options, "algo": name, "agent": agent})
            # The saved name is compared as text, since looking it up could import code.
            is_other = isinstance(env, str) and saved.env not in (env, full_name(env))
            if is_other:  # its options are not merged with the run's
                changes = {"env_options": {}, **changes, "env": env}
            config = run_config(changes, saved)
            out = config.out
            goes_on = out is not None and Path(out).resolve() == path.parent.resolve()
            runner = cls(env, algo, replace(config, out=None) if goes_on else config, callbacks)
            if goes_on:  # its folder is checked when it trains: one may only be read
                runner.config, runner._goes_on = replace(runner.config, out=out), True
            trained = (
                state["agent"] if config.checkpoints.replay else without_replay(state["agent"])
            )
            if name in BUILT_IN:
                check_num_agents(trained, runner.view.num_agents)
            if runner.teams is not None and state["teams"] is None:
                raise ValueError(
                    f"opponents={list(config.opponents)!r}, and {path} is of a run without opponents; "
                    "allowed: opponents={}"
                )
            if runner.teams is None:
                runner.agent.load_state_dict(trained)
            else:
                players = {"learner": trained, **state["teams"]["players"]}
                runner.teams.load_state_dict({**state["teams"], "players": players})
            if not saved.checkpoints.replay:
                warnings.warn(f"{path} holds no replay: it starts anew", stacklevel=2)
            runner.done = state["done"]
            runner.episodes = state["episodes" if "episodes" in state else "rounds"]
            now = _conditions(runner.view.device.type, torch.get_num_threads())
            before = _conditions(state.get("device", "cpu"), state["threads"])
            if now != before:
                message = (
                    f"{path} was written on {before} and resumes on {now}: numbers will differ"
                )
                warnings.warn(message, stacklevel=2)
            runner.best = float("-inf") if state["best"] is None else state["best"]
            # An interrupted episode is not continued under other rules, or in another environment.
            is_same = not is_other and runner.config.env_options == saved.env_options
            if state["view"] is not None and is_same:
                runner._step = runner.view.load_state_dict(state["view"])
        except (KeyError, TypeError, RuntimeError, AttributeError) as error:
            raise ValueError(f"{path} does not fit: {error}") from None
        return runner

    def finish(self) -> None:
        """Closes the environment and its workers."""
        self.view.close()

    @property
    def is_done(self) -> bool:
        """Whether all steps, or episodes, are done."""
        return self.progress >= self.goal

    @property
    def goal(self) -> int:
        """The total number of steps, or episodes, to do."""
        return self.config.episodes or self.config.steps

    @property
    def progress(self) -> int:
        """The number of steps, or episodes, done."""
        return self.episodes if self.config.episodes else self.done

    def folder(self) -> Path | None:
        """Returns the folder of this process; None without ``config.out``.

        It is ``config.out``, or under torchrun a subfolder for each process but the first.
        """
        if self.config.out is None:
            return None
        rank = distributed.rank()
        return Path(self.config.out) / (f"rank_{rank}" if rank else "")

    def save_as(self, name: str) -> None:
        """Writes a checkpoint NAME.safetensors to the run's folder, if it has one."""
        if (folder := self.folder()) is not None:
            path = self.save(folder / f"{name}.safetensors")
            for callback in self.callbacks:
                callback.on_checkpoint(self, path)

    @property
    def starts_anew(self) -> bool:
        """Whether training resumes with a new episode, instead of the interrupted one."""
        return self.done > 0 and self._step is None

    # -- implementation -------------------------------------------------------------------------

    def _check_out(self) -> None:
        """Raises OSError or ValueError if the run cannot be written to its folder."""
        if (out := self.folder()) is not None:
            instead = "or another folder"
            if (out / "last.safetensors").exists():
                instead = f"--resume {out} (Runner.load) to continue a run, {instead}"
            check_out(out, FILES, self.config.overwrite, instead)

    def _kept_config(self) -> RunConfig:
        """Returns the config as it is saved: a permission to overwrite is for one run, and opponents
        that are players have names."""
        return replace(self.config, overwrite=False, opponents=self._kept_opponents())

    def _kept_opponents(self) -> dict[str, float]:
        """Returns the shares of the opponents by the names that they have in `Teams`."""
        shares = self.config.opponents
        others = [opponent for opponent in shares if opponent != "self"]
        names = {opponent: name_of_opponent(opponent, k) for k, opponent in enumerate(others)}
        return {names.get(opponent, "self"): share for opponent, share in shares.items()}

    def _train_to_the_end(self) -> None:
        if not self.train():
            raise KeyboardInterrupt

    def _make_view(self, num_envs: int) -> View:
        config, graph = self.config, graph_of(self.config.graph)
        make = self._factory or maker(config.env, config.env_options)
        if make is None:
            return wrap(make_game(config, num_envs), graph)
        checked_device(config.device)  # before there are environments to close
        return self._on_device(rows(make, num_envs, config.workers if num_envs > 1 else 0, graph))

    def _on_device(self, view: View) -> View:
        """Returns the view of an environment on the CPU with tensors on the config's device."""
        device = self.config.device
        if device == "cpu" or view.device.type != "cpu":
            return view
        return OnDevice(view, device)

    def _is_late(self, until: float) -> bool:
        """Whether the monotonic clock is past a time, in any process."""
        late = time.monotonic() >= until
        self.out_of_time = distributed.total(late) > 0 if until < float("inf") else False
        return self.out_of_time

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Returns a context in which the first Ctrl-C only requests the loop to end."""
        self._interrupted = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def request_end(number: int, frame: FrameType | None) -> None:
            self._interrupted = True
            signal.signal(signal.SIGINT, before)

        before = signal.signal(signal.SIGINT, request_end)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _discard_if_empty(out: Path, made: list[Path]) -> None:
    """Removes the files of a run that ended before its log had a row or it had a checkpoint, and the
    folders ``made`` for it if they are empty."""
    log = out / "log.csv"
    has_rows = log.is_file() and len(log.read_text(encoding="utf-8").splitlines()) > 1
    if has_rows or any(out.glob("*.safetensors")):
        return
    for name in ("config.json", "log.csv"):
        (out / name).unlink(missing_ok=True)
    remove_empty(made)


def _conditions(device: str, threads: int) -> str:
    """Returns a description of the conditions of exact resumption."""
    return f"{threads} torch threads" if device == "cpu" else device
