"""Options of a run, and presets of them (the YAML files in presets/)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import reduce
from importlib import resources
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar

from mfenvs.validate import did_you_mean, number, of_kind, one_of, plain_fields, positive, whole
from mfq.agents.base import Player
from mfq.agents.registry import ALGORITHMS, agent_config, algorithm
from mfq.common.config import Alias, Nested, build, read_yaml

# torch and the games accept signed 64-bit seeds; rows, ranks and steps are added to this one.
MAX_SEED = 2**62
FILES = ("config.json", "log.csv", "*.safetensors", "episode-*")
"""The names of the files of a run."""
RECORDS = ("none", "html", "gif", "mp4")
_PRESETS = resources.files("mfq.training").joinpath("presets")  # a zip archive may hold them
_PRESET_FILES = [file.name for file in _PRESETS.iterdir() if file.name.endswith(".yaml")]
PRESETS = tuple(sorted(name.removesuffix(".yaml") for name in _PRESET_FILES))


@dataclass(frozen=True)
class EvaluationConfig:
    """The evaluations of a run.

    Attributes:
        every: environment steps between evaluations; 0: only at the end.
        episodes: episodes of an evaluation. With opponents, those against each of them, half on each
            side; an odd number is rounded up.
        num_envs: the most rows of the evaluation.
        against: opponents: scripts, checkpoints, folders of runs, or MODULE:NAMEs of players of your own
            (see `mfq.load_player`). The best checkpoint is the one with the highest win rate against
            them (see `mfq.matches.evaluate.selection_score`), or without opponents the highest return;
            the latest of equal ones.
        record: "html", "gif" or "mp4": each evaluation also records an episode, against the last of the
            opponents if there are any, as episode-STEP.html (.gif, .mp4) in the run's folder; see
            `mfq.record`. "none": it does not.
        record_every: of so many evaluations one is recorded; the last one of a run always is.
    """

    every: int = 500
    episodes: int = 1
    num_envs: int = 1
    against: tuple[str, ...] = ()
    record: str = "none"
    record_every: int = 1

    def __post_init__(self) -> None:
        plain_fields(self)
        for name, least in (("every", 0), ("episodes", 1), ("num_envs", 1), ("record_every", 1)):
            whole(name, getattr(self, name), least)
        one_of("record", self.record, RECORDS)
        of_kind("against", self.against, (tuple, list), "a list of names")
        for name in self.against:
            allowed = "a name: of a script, a checkpoint, a run, or MODULE:NAME of your player"
            of_kind("against: its entry", name, (str, Path), allowed)
        object.__setattr__(self, "against", tuple(map(str, self.against)))


@dataclass(frozen=True)
class LogConfig:
    """The log of a run.

    Attributes:
        every: environment steps between rows; 0: only at the end.
        tensorboard: if True, also writes TensorBoard events.
    """

    every: int = 50
    tensorboard: bool = False

    def __post_init__(self) -> None:
        plain_fields(self)
        whole("every", self.every, 0)
        of_kind("tensorboard", self.tensorboard, bool, "True or False")


@dataclass(frozen=True)
class CheckpointConfig:
    """The checkpoints of a run.

    Attributes:
        every: environment steps between checkpoints; 0: only at the end.
        replay: whether checkpoints contain the replay. Without it a resumed run starts with an empty
            replay, and warns.
    """

    every: int = 500
    replay: bool = True

    def __post_init__(self) -> None:
        plain_fields(self)
        whole("every", self.every, 0)
        of_kind("replay", self.replay, bool, "True or False")


@dataclass(frozen=True)
class RunConfig(Nested):
    """Options of a `Runner`, and of `mfq train`.

    Attributes:
        env: id of a game of mfenvs, such as "gaussian_squeeze_v0"; MODULE:FACTORY of any environment;
            or an id of PettingZoo or Gymnasium. A `Runner` that is given an environment or a function
            writes MODULE:QUALNAME of its class or of the function, as a record.
        algo: "mfq", "iql", "mfac", "ac", "maac", "ippo", "mf_ppo", "fmq", "rec_fmq"; or MODULE:CLASS of
            any algorithm. docs/algorithms.md describes them.
        steps: environment steps of each row.
        episodes: if above 0, trains until this number of episodes has ended, over all rows, instead.
        minutes: if above 0, stops after this time (a resumed run starts counting at 0).
        num_envs: rows that are played in parallel; for environments by MODULE:FACTORY or id, copies.
        workers: processes for these copies; 0: in the process of the learner. For slow environments.
        graph: the neighbour graph: "all", "type" or "team", or MODULE:NAME of any that `mfq.wrap`
            accepts. None: the environment's graph, or else "team".
        seed: seed of environments, agents and opponents.
        device: the device of networks and replays, and of the games of mfenvs. Other environments stay
            on the CPU; see `mfq.OnDevice`.
        out: folder for config.json, log.csv and checkpoints. None writes nothing. (`mfq train` has
            another default, runs/GAME-ALGO-SEED.)
        overwrite: whether a new run may replace results in the folder. It is not saved with the run.
        opponents: the learner's opponents in games of two groups, and the share of the rows of each:
            "self" (both sides learn), "lagged" and "pool" (past copies), scripts, checkpoints,
            folders of runs, MODULE:NAMEs of players of your own, or in Python `mfq.Player`s. Without
            any, the learner plays all agents.
        sides: "both", or the group that the learner always plays; see `mfq.make_teams`. With a group,
            only win rates on this side select the best checkpoint.
        quiet: if True, shows no progress and prints no remarks.
        env_options: options of the game, or keyword arguments of the factory.
        evaluation: see `EvaluationConfig`.
        log: see `LogConfig`.
        checkpoints: see `CheckpointConfig`.
        agent: the options of the algorithm, such as a `QConfig`; a dict of them; or None for the
            defaults.

    Raises:
        ValueError, TypeError: for a value out of range, an unknown algorithm, or an option that the
            algorithm ignores.
    """

    env: str = "ising_v0"
    algo: str = "mfq"
    steps: int = 3000
    episodes: int = 0
    minutes: float = 0.0
    num_envs: int = 1
    workers: int = 0
    graph: str | None = None
    seed: int = 0
    device: str = "cpu"
    out: str | None = None
    overwrite: bool = False
    opponents: dict[str, float] = field(default_factory=dict)
    sides: str = "both"
    quiet: bool = False
    env_options: dict[str, Any] = field(default_factory=dict)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    log: LogConfig = field(default_factory=LogConfig)
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    agent: Any = None

    ALIASES: ClassVar[dict[str, Alias]] = {
        "rounds": "episodes",
        "evaluate_every": "evaluation.every",
        "evaluation_episodes": "evaluation.episodes",
        "evaluation_envs": "evaluation.num_envs",
        "evaluate_against": "evaluation.against",
        "log_every": "log.every",
        "tensorboard": "log.tensorboard",
        "save_every": "checkpoints.every",
        "save_replay": "checkpoints.replay",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("steps", 1), ("episodes", 0), ("num_envs", 1), ("workers", 0)):
            whole(name, getattr(self, name), least)
        whole("seed", self.seed, 0, MAX_SEED)
        number("minutes", self.minutes, 0.0)
        for name in ("quiet", "overwrite"):
            of_kind(name, getattr(self, name), bool, "True or False")
        for name in ("env", "algo", "device", "sides"):
            of_kind(name, getattr(self, name), str, "a name")
        of_kind(
            "graph",
            self.graph,
            (str, NoneType),
            "a name, or MODULE:NAME; other graphs are given to mfq.wrap(env, graph), and the view to "
            "the Runner",
        )
        of_kind("out", self.out, (str, NoneType), "a folder's name, or None")
        of_kind("env_options", self.env_options, dict, "options by name")
        of_kind("opponents", self.opponents, dict, "shares by opponent, such as {'rush': 0.5}")
        for opponent, share in self.opponents.items():
            of_kind("opponents: its key", opponent, (str, Path, Player), "a name, or an mfq.Player")
            positive(f"opponents[{opponent!r}]", share)
        names = {str(k) if isinstance(k, Path) else k: v for k, v in self.opponents.items()}
        object.__setattr__(self, "opponents", names)
        self._check_agent()

    @property
    def learning_side(self) -> str | None:
        """The group that the learner always plays; None for both."""
        return None if self.sides == "both" else self.sides

    def _check_agent(self) -> None:
        """Converts the agent's options to the algorithm's dataclass, and checks them."""
        _, entry = algorithm(self.algo)
        agent = {} if self.agent is None else self.agent
        if isinstance(agent, Mapping):
            agent = build(entry.config, agent)
            object.__setattr__(self, "agent", agent)
        of_kind("agent", agent, entry.config, f"a {entry.config.__name__}, for algo={self.algo!r}")
        default = entry.config()
        for place in entry.ignores:
            value = _at(agent, place)
            if value != _at(default, place):
                raise ValueError(
                    f"agent.{place}={value!r}, which algo={self.algo!r} ignores; allowed: leaving it out"
                )


def run_config(options: Mapping[str, Any], default: RunConfig | None = None) -> RunConfig:
    """Returns a `RunConfig` from a dict, such as that of a YAML file or of a checkpoint.

    Args:
        options: fields of `RunConfig`; those that are dataclasses may be dicts. ``preset`` names a
            preset to start from. ``algorithms`` has options of agents by algorithm; those of the chosen
            one are used. Former names of fields are accepted.
        default: the values of missing fields; its agent's options only if they are of the same
            dataclass. With ``steps`` and no ``episodes`` in the options, its episodes do not count.

    Raises:
        ValueError, TypeError: for an unknown field, or as `RunConfig`.
    """
    options = dict(options)
    if (name := options.pop("preset", None)) is not None:
        chosen = {"algo": options["algo"]} if "algo" in options else {}
        default = run_config({**_preset_options(name), **chosen}, default)
    algo, entry = algorithm(options.get("algo", "mfq" if default is None else default.algo))
    by_algorithm = options.pop("algorithms", {})
    of_kind("algorithms", by_algorithm, Mapping, "options by algorithm")
    if "actor_critic" in options:  # as runs once had it
        options["agent"] = agent_config(algo, options)
        del options["actor_critic"]
    agent = options.pop("agent", None)
    is_like = default is not None and type(default.agent) is entry.config
    basis = default.agent if default is not None and is_like else None
    for name in by_algorithm:
        if name not in ALGORITHMS and ":" not in name:
            raise ValueError(
                f"algorithms has {name!r}; allowed: {', '.join(ALGORITHMS)}, or MODULE:CLASS"
            )
        if name in ALGORITHMS:  # those that are not chosen, too
            build(ALGORITHMS[name].config, by_algorithm[name])
    lengths = {"steps", "episodes", "rounds"} & options.keys()
    if default is not None and lengths == {"steps"}:
        options["episodes"] = 0  # steps that are asked for count, also beside a preset's episodes
    if algo in by_algorithm:
        basis = build(entry.config, by_algorithm[algo], basis)
    if isinstance(agent, Mapping):
        try:
            agent = build(entry.config, agent, basis)
        except ValueError as error:
            raise ValueError(
                f"agent, of algo={algo!r}: {error}; options of several algorithms go under algorithms"
            ) from None
    options |= {"algo": algo, "agent": basis if agent is None else agent}
    if default is not None and "env_options" in options and "env" not in options:
        options["env_options"] = {**default.env_options, **options["env_options"]}
    return build(RunConfig, options, default)


def preset(name: str, algo: str | None = None) -> RunConfig:
    """Returns the options of a preset.

    Args:
        name: one of `PRESETS`.
        algo: the algorithm; None for the preset's.

    Raises:
        ValueError: for an unknown name.
    """
    return run_config({"preset": name, **({} if algo is None else {"algo": algo})})


def preset_text(name: str) -> str:
    """Returns the file of a preset.

    Args:
        name: one of `PRESETS`.
    """
    return _PRESETS.joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def _preset_options(name: str) -> dict[str, Any]:
    if name not in PRESETS:
        meant = did_you_mean(name, PRESETS)
        raise ValueError(f"preset={name!r}; {meant}allowed: {', '.join(PRESETS)}")
    return read_yaml(_PRESETS.joinpath(f"{name}.yaml"))


def _at(config: Any, place: str) -> Any:
    """Returns the value of a nested field, such as "network.hidden"."""
    return reduce(getattr, place.split("."), config)


def as_dict(config: RunConfig) -> dict[str, Any]:
    """Returns the fields of a config as a dict, without converting nested ones."""
    return {field.name: getattr(config, field.name) for field in fields(config)}
