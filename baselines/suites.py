"""MFQ on environments of third-party suites, beside random play.

Each run trains for a fixed number of environment steps on one thread, then plays greedy episodes in a
fresh copy. In games of several sides MFQ is the side that `Game.learners` names; the others play at
random, in training and in evaluation. A score is the summed reward of an episode, the mean over the
learner's agents. Random play is scored in the same episodes.

    python -m baselines.suites --games lbforaging pogema --seeds 3 --out runs/suites

A run that the result file already has is not repeated, so an interrupted study continues where it
stopped. A suite that is not installed is skipped, with a message.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pettingzoo
import torch
from tqdm import tqdm

import mfq
from baselines import adapters
from baselines.third_party import Game, scores
from mfenvs.validate import one_of, whole
from mfq.common.config import build, to_json
from mfq.common.files import read_csv, write_csv
from mfq.envs.view import View
from mfq.matches.intervals import student

EPISODE_SEED = 30_000
"""Evaluation plays the episodes of this seed plus the run's."""


class Suite(NamedTuple):
    """A package, one of its games, and how MFQ plays it.

    Attributes:
        package: the name of the distribution, which has the version.
        title: the game, as the documentation names it.
        agents: the agents, as the documentation describes them.
        game: the factory, graph, sides and options of training.
        adapter: the class of baselines/adapters.py that the factory uses; None if `mfq.wrap` takes the
            environment as it is.
        episodes: episodes that score a run.
    """

    package: str
    title: str
    agents: str
    game: Game
    adapter: type | None = None
    episodes: int = 40


OPTIONS = {
    "policy": "epsilon_greedy",
    "explore_start": 1.0,
    "explore_end": 0.05,
    "learning_rate": 1e-3,
    "hidden": (64, 64),
    "batch_size": 64,
    "learning_starts": 500,
}
"""What the suites have in common; half of the steps explore less and less."""


def _game(make: Any, graph: Any, steps: int, *, copies: int = 4, **options: Any) -> Game:
    learners = options.pop("learners", None)
    agent = {**OPTIONS, "explore_steps": steps // 2, **options}
    return Game(make, graph, learners, copies, steps, agent)


def _import(name: str) -> Any:
    """Imports a module of another package without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def _gymnasium(name: str, *modules: str, **options: Any) -> Callable[[], Any]:
    """Returns a factory of a Gymnasium id, which the modules register."""

    def make() -> Any:
        for module in modules:
            _import(module)
        return gymnasium.make(name, **options)

    return make


def _intersection() -> Any:
    config = {"initial_vehicle_count": 2, "spawn_probability": 0.2, "simulation_frequency": 5}
    return _gymnasium("intersection-multi-agent-v2", "highway_env", config=config)()


def _minigrid() -> Any:
    env = _gymnasium("MiniGrid-Empty-5x5-v0", "minigrid")()
    return _import("minigrid.wrappers").ImgObsWrapper(env)


def _mpe2(name: str, **options: Any) -> Callable[[], Any]:
    return lambda: _import(f"mpe2.{name}").parallel_env(**options)


def _pistons() -> Any:
    supersuit = _import("supersuit")
    env = pettingzoo.make("parallel", "butterfly/pistonball-v6", n_pistons=10, continuous=False)
    return supersuit.resize_v1(supersuit.color_reduction_v0(env, "R"), 12, 45)


def _deer() -> Any:
    return _import("magent2.environments.tiger_deer_v4").parallel_env(map_size=20, max_cycles=100)


def _beach() -> Any:
    env = _import("momaland.envs.beach.mobeach_v0").parallel_env(num_agents=50)
    weights = {agent: np.array([1.0, 1.0]) for agent in env.possible_agents}
    return _import("momaland.utils.parallel_wrappers").LinearizeReward(env, weights)


def _pogema() -> Any:
    pogema = _import("pogema")
    grid = pogema.GridConfig(num_agents=8, size=8, density=0.2, obs_radius=3, seed=0)
    return adapters.Pogema(_import("pogema.envs").Pogema(grid), 32)


def _lle() -> Any:
    env = _import("lle").level(3).obs_type("flattened").build()
    return adapters.MarlEnv(_import("marlenv").Builder(env).time_limit(60).build())


def _vmas() -> Any:
    env = _import("vmas").make_env(
        "dispersion",
        num_envs=1,
        continuous_actions=False,
        max_steps=60,
        terminated_truncated=True,
        n_agents=4,
        n_food=4,
    )
    return adapters.Vmas(env)


def _lights() -> Any:
    # One simulation a process: LIBSUMO runs in it, without a connection.
    os.environ.setdefault("LIBSUMO_AS_TRACI", "1")
    os.environ.setdefault("SUMO_HOME", str(Path(_import("sumo").__file__).parent))
    sumo_rl = _import("sumo_rl")
    nets = Path(sumo_rl.__file__).parent / "nets/4x4-Lucas"
    return adapters.Sumo(
        sumo_rl.SumoEnvironment(
            net_file=str(nets / "4x4.net.xml"),
            route_file=str(nets / "4x4c1c2c1c2.rou.xml"),
            num_seconds=300,
            sumo_warnings=False,
            add_system_info=False,
            add_per_agent_info=False,
        )
    )


def crossings(env: adapters.Sumo) -> list[tuple[float, float]]:
    """Returns the positions of the crossings of `_lights`, in metres."""
    return [env.env.sumo.junction.getPosition(agent) for agent in env.possible_agents]


def _mapf() -> Any:
    env = _import("pymapf.rl.env").MAPFEnv("random_obstacles")
    return _import("pymapf.rl.wrappers").PettingZooParallel(env)


def _multigrid() -> Any:
    return adapters.DictAgents(_gymnasium("MultiGrid-Empty-5x5-v0", "multigrid.envs", agents=2)())


def _mosaic() -> Any:
    env = _gymnasium("MosaicMultiGrid-S-G-2v0-IndAgObs-v1", "mosaic_multigrid.envs")()
    return adapters.DictAgents(env)


def _cogrid() -> Any:
    envs = _import("cogrid.envs")
    config = {**envs.cramped_room_config, "max_steps": 100}
    return adapters.Spaces(envs.CoGridEnv(config=config, agent_class=envs.OvercookedAgent))


def _drones() -> Any:
    with contextlib.redirect_stdout(None):
        env = _import("DSSE").DroneSwarmSearch(
            grid_size=7, drone_amount=3, person_initial_position=(3, 3), timestep_limit=40
        )
    return adapters.Drones(env)


def _crafter() -> Any:
    crafter = _import("crafter")
    return adapters.OldGym(lambda seed: crafter.Env(size=(18, 18), length=200, seed=seed))


def _catch() -> Any:
    catch = _import("bsuite.environments.catch")
    return adapters.DmEnv(lambda seed: catch.Catch(seed=seed))


def _nasim() -> Any:
    return _import("nasim").make_benchmark("tiny", flat_actions=True, flat_obs=True)


SUITES: dict[str, Suite] = {
    "lbforaging": Suite(
        "lbforaging",
        "Foraging-5x5-2p-1f-v3",
        "2",
        _game(_gymnasium("Foraging-5x5-2p-1f-v3", "lbforaging"), "all", 10_000),
    ),
    "rware": Suite(
        "rware",
        "rware-tiny-2ag-easy-v2",
        "2",
        _game(_gymnasium("rware-tiny-2ag-easy-v2", "rware"), "all", 2_000),
        episodes=10,
    ),
    "highway-env": Suite(
        "highway-env",
        "intersection-multi-agent-v2",
        "2",
        _game(_intersection, "all", 800, copies=1, learning_starts=200),
        episodes=20,
    ),
    "minigrid": Suite(
        "minigrid", "MiniGrid-Empty-5x5-v0", "1, a picture", _game(_minigrid, None, 2_000)
    ),
    "frozen-lake": Suite(
        "gymnasium",
        "FrozenLake-v1",
        "1",
        _game(_gymnasium("FrozenLake-v1", is_slippery=False), None, 3_000),
    ),
    "cliff": Suite(
        "gymnasium",
        "CliffWalking-v1",
        "1",
        _game(_gymnasium("CliffWalking-v1", max_episode_steps=100), None, 3_000),
    ),
    "popgym": Suite(
        "popgym",
        "popgym-HigherLowerEasy-v0",
        "1",
        _game(_gymnasium("popgym-HigherLowerEasy-v0", "popgym"), None, 3_000),
    ),
    "nasim": Suite("nasim", "tiny", "1", _game(_nasim, None, 3_000)),
    "pistonball": Suite(
        "pettingzoo",
        "butterfly/pistonball-v6",
        "10, pictures",
        _game(_pistons, "all", 400, copies=2),
        episodes=6,
    ),
    "simple-tag": Suite(
        "mpe2",
        "simple_tag_v3",
        "3 that learn, 1 that plays at random",
        _game(_mpe2("simple_tag_v3"), "all", 4_000, copies=2, learners=("adversary",)),
    ),
    "momaland": Suite("momaland", "mobeach_v0", "50", _game(_beach, "all", 6_000)),
    "pogema": Suite(
        "pogema", "8x8, density 0.2", "8", _game(_pogema, "all", 6_000), adapters.Pogema
    ),
    "lle": Suite(
        "laser-learning-environment",
        "level 3",
        "2",
        _game(_lle, "all", 1_500, copies=2),
        adapters.MarlEnv,
    ),
    "vmas": Suite(
        "vmas",
        "dispersion",
        "4",
        _game(_vmas, "all", 1_000, copies=2),
        adapters.Vmas,
        episodes=10,
    ),
    "multigrid": Suite(
        "multigrid",
        "MultiGrid-Empty-5x5-v0",
        "2, pictures",
        _game(_multigrid, "all", 5_000),
        adapters.DictAgents,
        episodes=20,
    ),
    "cogrid": Suite(
        "cogrid",
        "Overcooked-CrampedRoom-V0, 100 steps",
        "2",
        _game(_cogrid, "all", 4_000, copies=2),
        adapters.Spaces,
        episodes=10,
    ),
    "dsse": Suite(
        "DSSE", "DroneSwarmSearch, 7x7", "3", _game(_drones, "all", 6_000), adapters.Drones
    ),
    "crafter": Suite(
        "crafter",
        "18x18 pixels, 200 steps",
        "1, a picture",
        _game(_crafter, None, 700, copies=2),
        adapters.OldGym,
        episodes=10,
    ),
    "bsuite": Suite("bsuite", "catch", "1", _game(_catch, None, 3_000), adapters.DmEnv),
    "pymapf": Suite("pymapf", "random_obstacles", "6", _game(_mapf, "all", 1_200), episodes=20),
    "sumo-rl": Suite(
        "sumo-rl",
        "4x4 crossings, 300 s",
        "16",
        _game(_lights, mfq.Within(160.0, crossings), 600, copies=1),
        adapters.Sumo,
        episodes=10,
    ),
    "simple-reference": Suite(
        "mpe2", "simple_reference_v3", "2", _game(_mpe2("simple_reference_v3"), "all", 2_000)
    ),
    "tiger-deer": Suite(
        "magent2",
        "tiger_deer_v4",
        "tigers that learn, deer that play at random",
        _game(_deer, "team", 800, copies=2, learners=("tiger",)),
        episodes=10,
    ),
    "mosaic": Suite(
        "mosaic-multigrid",
        "MosaicMultiGrid-S-G-2v0-IndAgObs-v1",
        "2, pictures",
        _game(_mosaic, "all", 1_200),
        adapters.DictAgents,
        episodes=10,
    ),
    "ale": Suite(
        "ale-py",
        "ALE/Boxing-v5, RAM, 300 steps",
        "1",
        _game(
            _gymnasium("ALE/Boxing-v5", "ale_py", obs_type="ram", max_episode_steps=300),
            None,
            2_000,
        ),
        episodes=10,
    ),
}


def installed(name: str) -> str | None:
    """Returns the version of a suite's package; None if it is not installed."""
    try:
        return version(SUITES[name].package)
    except PackageNotFoundError:
        return None


@dataclass(frozen=True)
class SuitesStudy:
    """MFQ and random play on third-party suites.

    Attributes:
        games: names in ``SUITES``.
        seeds: runs of each.
        episodes: if above 0, episodes that score a run; otherwise the number in ``SUITES``.
        steps: if above 0, environment steps of each copy; otherwise the number in ``SUITES``.
        out: folder of suites.csv and config.json.
    """

    games: tuple[str, ...] = field(default_factory=lambda: tuple(SUITES))
    seeds: int = 3
    episodes: int = 0
    steps: int = 0
    out: str = "runs/suites"

    def __post_init__(self) -> None:
        for name in self.games:
            one_of("games", name, tuple(SUITES))
        for name, least in (("seeds", 1), ("episodes", 0), ("steps", 0)):
            whole(name, getattr(self, name), least)


class Run(NamedTuple):
    """A trained run and its score."""

    suite: str
    version: str
    seed: int
    steps: int  # environment steps of training, over all copies
    score: float
    random: float  # of random play in the same episodes
    minutes: float  # of training, of one core


def make_view(name: str, copies: int) -> View:
    """Returns a view of copies of a suite's game."""
    game = SUITES[name].game
    return mfq.wrap([game.make() for _ in range(copies)], game.graph)


def make_agent(name: str, view: View, seed: int, **options: Any) -> mfq.ByType:
    """Returns the MFQ learner of a suite.

    Args:
        name: a name in ``SUITES``.
        view: the view of its game.
        seed: seed of the networks.
        options: options of `mfq.QConfig` that replace those of ``SUITES``.
    """
    config = build(mfq.QConfig, {**SUITES[name].game.agent, **options})
    return mfq.ByType(view, lambda its, seed: mfq.QAgent(its, True, config, seed), seed)


def train_one(study: SuitesStudy, name: str, seed: int) -> Run:
    """Trains and scores one run."""
    game = SUITES[name].game
    steps, episodes = study.steps or game.steps, study.episodes or SUITES[name].episodes
    view = make_view(name, game.num_envs)
    agent = make_agent(name, view, seed, explore_steps=max(1, steps // 2))
    start = time.process_time()
    if game.learners is None:
        mfq.train(view, agent, steps, view.reset(seed=seed))
    else:
        _train_against_random(view, agent, game.learners, steps, seed)
    minutes = (time.process_time() - start) / 60
    view.close()
    score, chance = (
        float(np.mean(scores(game, player, episodes, EPISODE_SEED + seed)))
        for player in (agent, mfq.Random(seed))
    )
    return Run(name, installed(name) or "", seed, steps * game.num_envs, score, chance, minutes)


def _train_against_random(
    view: View, agent: mfq.ByType, learners: tuple[str, ...], steps: int, seed: int
) -> None:
    learns = torch.tensor([view.group_names[group] in learners for group in view.groups.tolist()])
    assignment = torch.where(learns, 0, 1).expand(view.num_envs, -1)
    teams = mfq.Teams(view, {"mfq": agent, "random": mfq.Random(seed)}, assignment, ["mfq"])
    step = view.reset(seed=seed)
    for _ in range(steps):
        with torch.no_grad():
            actions = teams.act(step)
            after = view.step(actions)
            teams.observe(step, actions, after)
            teams.learn()
        step = after


def interval(values: list[float]) -> str:
    """Formats a mean and half the width of its 95% interval."""
    low, high = student(np.array(values))
    mean = f"{np.mean(values):.2f}".replace("-0.00", "0.00")
    return mean if len(values) == 1 else f"{mean} ± {(high - low) / 2:.2f}"


def verdict(runs: list[Run]) -> str:
    """Returns whether MFQ is above random play: "yes" if each run is, in its episodes, and the interval
    of the differences is above 0; "no" if no run is; otherwise "unclear", or "one run"."""
    gains = np.array([run.score - run.random for run in runs])
    if (gains <= 0).all():
        return "no"
    if len(gains) == 1:
        return "one run"
    return "yes" if (gains > 0).all() and student(gains)[0] > 0 else "unclear"


def graph_name(graph: Any) -> str:
    """Returns how the documentation names a graph."""
    if isinstance(graph, mfq.Within):
        return (
            f"`mfq.Within({graph.radius:g}, {getattr(graph.positions, '__name__', 'positions')})`"
        )
    if graph is None or isinstance(graph, str):
        return f'`"{graph}"`' if graph else "`None`"
    return f"`{getattr(graph, '__name__', type(graph).__name__)}`"


def table(runs: list[Run]) -> str:
    """Returns the Markdown table of the results: a line for each suite that has runs."""
    heads = ["name", "package", "game", "agents", "graph", "adapter", "steps", "runs"]
    heads += ["random", "MFQ", "above random"]
    lines = [heads, ["---"] * len(heads)]
    for name, suite in SUITES.items():
        of_suite = [run for run in runs if run.suite == name]
        if not of_suite:
            continue
        used = suite.adapter
        lines.append(
            [
                name,
                f"{suite.package} {', '.join(sorted({run.version for run in of_suite}))}",
                suite.title,
                suite.agents,
                graph_name(suite.game.graph),
                f"`{used.__name__}`, {adapters.lines(used)} lines" if used else "none",
                f"{of_suite[0].steps:,}",
                str(len(of_suite)),
                interval([run.random for run in of_suite]),
                interval([run.score for run in of_suite]),
                verdict(of_suite),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(runs: list[Run]) -> str:
    """Returns a Markdown list of the games by `verdict`."""
    titles = {
        "yes": "Above random play",
        "one run": "Above random play in a single run",
        "unclear": "Unclear",
        "no": "Not above random play",
    }
    games: dict[str, list[str]] = {word: [] for word in titles}
    for name in SUITES:
        if of_suite := [run for run in runs if run.suite == name]:
            games[verdict(of_suite)].append(name)
    return "\n".join(
        f"- {title}: {', '.join(games[word])}." for word, title in titles.items() if games[word]
    )


def run(study: SuitesStudy) -> list[Run]:
    """Trains the missing runs, writes the file after each of them, and prints the table."""
    out, threads = Path(study.out), torch.get_num_threads()
    runs = read(out / "suites.csv")
    done = {(run.suite, run.seed) for run in runs}
    missing = [name for name in study.games if installed(name) is None]
    for name in missing:
        print(f"{name} is skipped: {SUITES[name].package} is not installed")
    todo = [
        (name, seed)
        for seed in range(study.seeds)
        for name in study.games
        if name not in missing and (name, seed) not in done
    ]
    torch.set_num_threads(1)  # the tensors are small
    try:
        with tqdm(todo, unit="run", dynamic_ncols=True) as bar, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other packages
            for name, seed in bar:
                bar.set_description(name)
                runs.append(train_one(study, name, seed))
                runs.sort(key=lambda run: (list(SUITES).index(run.suite), run.seed))
                write_csv(out / "suites.csv", runs)
    finally:
        torch.set_num_threads(threads)
    to_json(study, out / "config.json")
    print(f"{table(runs)}\n\n{summary(runs)}")
    return runs


def read(path: Path) -> list[Run]:
    """Returns the runs in a file; none without the file."""
    return read_csv(path, Run) if path.exists() else []


if __name__ == "__main__":
    import tyro

    run(tyro.cli(SuitesStudy, description=__doc__))
