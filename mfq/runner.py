"""Runner: one object that builds, trains, evaluates, saves and loads."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from mfq import checkpoint
from mfq.actor_critic import ACConfig, ActorCritic
from mfq.config import build, to_json
from mfq.evaluate import evaluate
from mfq.log import Log
from mfq.q_agent import QAgent
from mfq.q_config import QConfig
from mfq.train import Agent
from mfq.view import Step, View, wrap

ALGORITHMS = ("mfq", "iql", "mfac", "ac")


@dataclass(frozen=True)
class RunConfig:
    """Options of a `Runner`, and of `mfq train`.

    Attributes:
        env: id of the game, such as "gaussian_squeeze_v0".
        algo: "mfq", "iql", "mfac" or "ac".
        steps: environment steps of each row.
        num_envs: rows that play at once.
        seed: of everything.
        device: where games and networks are.
        out: folder for config.json, log.csv and checkpoints. None writes nothing.
        log_every, evaluate_every, save_every: in environment steps; 0 for never (but at the end).
        evaluation_episodes: of each evaluation, in one row.
        tensorboard: also logs there.
        quiet: shows no progress bar.
        env_options: of the game.
        agent: see `QConfig`.
        actor_critic: see `ACConfig`; for "mfac" and "ac".
    """

    env: str = "gaussian_squeeze_v0"
    algo: str = "mfq"
    steps: int = 3000
    num_envs: int = 1
    seed: int = 0
    device: str = "cpu"
    out: str | None = None
    log_every: int = 50
    evaluate_every: int = 500
    evaluation_episodes: int = 1
    save_every: int = 500
    tensorboard: bool = False
    quiet: bool = False
    env_options: dict[str, Any] = field(default_factory=dict)
    agent: QConfig = field(default_factory=QConfig)
    actor_critic: ACConfig = field(default_factory=ACConfig)

    def __post_init__(self) -> None:
        for name, least in (
            ("steps", 1),
            ("num_envs", 1),
            ("seed", 0),
            ("log_every", 0),
            ("evaluate_every", 0),
            ("evaluation_episodes", 1),
            ("save_every", 0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name}={value!r}; allowed: an integer of at least {least}")
            if value < least:
                raise ValueError(f"{name}={value!r}; allowed: {least} or more")


class Runner:
    """Trains an agent on an environment.

    Args:
        env: an environment or a `View` (see `mfq.wrap`), the id of a game of mfenvs, or None for the
            id in the config.
        algo: one of `ALGORITHMS`, or a class that is called with (view, config.agent, seed) and keeps
            the `Agent` protocol; None takes the config's.
        config: a `RunConfig`, or a dict of its fields.

    Attributes:
        view, agent, config: what is trained.
        done: environment steps done.
        best: the best score so far: the mean return of an evaluation.

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
        self.config = build(RunConfig, options)
        self._own_env = env is None or isinstance(env, str)
        self.view: View = self._make_view(self.config.num_envs) if self._own_env else wrap(env)
        self.agent: Agent = self._make_agent(algo)
        self.done, self.best = 0, float("-inf")
        self._step: Step | None = None
        self._interrupted = False
        self._own_algo = algo is None or isinstance(algo, str)
        if not self._own_env and (self.config.num_envs != 1 or self.config.env_options):
            raise ValueError(
                "num_envs and env_options are for games given by id; allowed with an environment of "
                "your own: neither"
            )

    # -- what a user calls ----------------------------------------------------------------------

    def run(self) -> dict[str, float]:
        """Trains to the end, then evaluates; the scores."""
        self._train_to_the_end()
        return self.evaluate()

    def train(self) -> bool:
        """Trains until ``config.steps`` are done, or until Ctrl-C.

        Ctrl-C ends the step in progress, saves it, and returns; a second one interrupts at once.

        Returns:
            Whether all steps are done.
        """
        config, out = self.config, None if self.config.out is None else Path(self.config.out)
        if out is not None:
            to_json(config, out / "config.json")
            if self.done == 0:  # what another run left here is not ours to go on from
                for name in ("last", "best"):
                    (out / f"{name}.safetensors").unlink(missing_ok=True)
        log = Log(out, self._columns(), config.steps, self.done, config.tensorboard, config.quiet)
        if self._step is None:
            self._step = self.view.reset(seed=config.seed)
        started, first = time.perf_counter(), self.done
        reward, metrics = 0.0, dict[str, float]()
        try:
            with torch.no_grad(), self._listening():
                while self.done < config.steps and not self._interrupted:
                    actions = self.agent.act(self._step)
                    next_step = self.view.step(actions)
                    self.agent.observe(self._step, actions, next_step)
                    metrics = self.agent.learn() or metrics
                    self._step = next_step
                    self.done += 1
                    log.advance()
                    if _due(self.done, config.log_every, config.steps):
                        reward = float(next_step.reward.mean())
                        speed = (self.done - first) / (time.perf_counter() - started)
                        log.write(
                            self.done, {"reward": reward, **metrics, "steps_per_second": speed}
                        )
                    if _due(self.done, config.save_every, config.steps):
                        self._save_as("last")
                    if self._own_env and _due(self.done, config.evaluate_every, config.steps):
                        scores = self.evaluate()
                        log.write(self.done, {f"eval_{k}": v for k, v in scores.items()})
                        if scores["return"] > self.best:
                            self.best = scores["return"]
                            self._save_as("best")
                            self._save_as("last")
            self._save_as("last")
        finally:
            log.close()
        return self.done >= config.steps

    def evaluate(self, episodes: int | None = None, seed: int | None = None) -> dict[str, float]:
        """Greedy episodes in one fresh row (or in the user's own environment); see `evaluate`.

        Training is not disturbed, unless the environment is the user's own: that one is reset.
        """
        config = self.config
        view = self._make_view(1) if self._own_env else self.view
        if not self._own_env:
            self._step = None
        generator = getattr(self.agent, "generator", None)
        before = None if generator is None else generator.get_state()
        try:
            if generator is not None:
                generator.manual_seed(config.seed if seed is None else seed)
            with torch.no_grad():
                return evaluate(
                    view,
                    self.agent,
                    config.evaluation_episodes if episodes is None else episodes,
                    config.seed if seed is None else seed,
                )
        finally:
            if generator is not None:
                generator.set_state(before)

    def benchmark(self) -> dict[str, float]:
        """Trains, then scores the best checkpoint of the run (the last without ``out``)."""
        self._train_to_the_end()
        best = None if self.config.out is None else Path(self.config.out) / "best.safetensors"
        if best is not None and best.exists():
            state = checkpoint.load(best)
            self.agent.load_state_dict(state["agent"])
        return self.evaluate()

    def save(self, path: str | Path) -> Path:
        """Writes a checkpoint that `load` goes on from exactly, on the same number of torch threads.

        On an environment of the user's, which cannot tell its state, the episode starts anew.
        """
        state = {
            "config": asdict(self.config),
            "own_env": self._own_env,
            "own_algo": self._own_algo,
            "agent": self.agent.state_dict(),
            "view": None if self._step is None else self.view.state_dict(),
            "done": self.done,
            "threads": torch.get_num_threads(),
            "best": self.best if self.best > float("-inf") else None,
        }
        return checkpoint.save(state, path)

    @classmethod
    def load(cls, path: str | Path, env: Any = None, algo: Any = None, **changes: Any) -> Runner:
        """A runner from a checkpoint, or from the folder of a run (its last one).

        Args:
            path: a checkpoint, or a folder with last.safetensors, where the run then goes on.
            env: the environment, if the run had one of the user's own.
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
            runner.agent.load_state_dict(state["agent"])
            runner.done = state["done"]
            if state["threads"] != torch.get_num_threads():
                warnings.warn(
                    f"{path} was written on {state['threads']} torch threads and goes on on "
                    f"{torch.get_num_threads()}: sums may round differently",
                    stacklevel=2,
                )
            runner.best = float("-inf") if state["best"] is None else state["best"]
            if state["view"] is not None:
                runner._step = runner.view.load_state_dict(state["view"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"{path} does not fit: {error}") from None
        return runner

    def finish(self) -> None:
        """Closes the environment."""
        env = getattr(self.view, "env", None)
        if env is not None:
            env.close()

    # -- its parts ------------------------------------------------------------------------------

    def _train_to_the_end(self) -> None:
        if not self.train():
            raise KeyboardInterrupt

    def _make_view(self, num_envs: int) -> View:
        import mfenvs

        config = self.config
        return wrap(
            mfenvs.make_batched(
                config.env, num_envs=num_envs, device=config.device, **config.env_options
            )
        )

    def _make_agent(self, algo: Any) -> Agent:
        config = self.config
        if algo is not None and not isinstance(algo, str):
            return algo(self.view, config.agent, config.seed)
        if config.algo not in ALGORITHMS:
            raise ValueError(f"algo={config.algo!r}; allowed: {ALGORITHMS}, or a class")
        if config.algo in ("mfac", "ac"):
            return ActorCritic(self.view, config.algo == "mfac", config.actor_critic, config.seed)
        return QAgent(self.view, config.algo == "mfq", config.agent, config.seed)

    def _columns(self) -> list[str]:
        measures = [] if self._step is None else sorted(self._step.measures)
        if self._step is None and self._own_env:
            measures = sorted(self._make_view(1).reset(seed=0).measures)
        scores = ["return", "length", *(f"final_{name}" for name in measures)]
        return ["reward", "loss", "q", "steps_per_second", *(f"eval_{name}" for name in scores)]

    def _save_as(self, name: str) -> None:
        if self.config.out is not None:
            self.save(Path(self.config.out) / f"{name}.safetensors")

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


def _due(done: int, every: int, total: int) -> bool:
    return done == total or (every > 0 and done % every == 0)
