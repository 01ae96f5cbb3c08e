"""`mfq evaluate`: scores of a run, beside random play's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from mfq.cli.flags import Words, flags_of, help_of, read, set_flag, with_annotations
from mfq.cli.scores import print_scores

EXAMPLES = (
    "mfq evaluate runs/battle_v0-mfq-0 --checkpoint best --episodes 100",
    "mfq evaluate runs/battle_v0-mfq-0 --set map_size=24",
)


@dataclass(frozen=True)
class Evaluation:
    """Plays episodes without exploration with the agent of a run, and prints their mean scores, with
    those of random play in the same episodes.

    --set, --env and --graph evaluate it in another game, with equal spaces: --set map_size=40 changes
    options of the run's game. With another number of agents it needs a run with
    agent.network.agent_embedding 0.

    --trust MODULE:NAME lets the checkpoint name code of yours, such as an environment.

    Attributes:
        folder: the folder of the run.
        checkpoint: "last" or "best".
        episodes: the number of episodes; None for the run's ``evaluation.episodes``.
        seed: seed of the episodes; None for one that was not used to select the best checkpoint.
        device: the device of games and networks; None for that of the run.
        env: another environment, as for `mfq train`; its options are those of --set. None for the run's.
        graph: another neighbour graph, as for `mfq train`; None for the run's.
        env_options: options of the game that replace the run's.
    """

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    checkpoint: Literal["last", "best"] = "last"
    episodes: int | None = None
    seed: int | None = None
    device: str | None = None
    env: str | None = None
    graph: str | None = None
    env_options: dict[str, Any] = field(default_factory=dict)


def run(words: Words) -> int:
    """Runs the command; returns its exit status."""
    from mfenvs.validate import whole
    from mfq.matches.evaluate import EVALUATION_SEED_OFFSET
    from mfq.training.config import MAX_SEED
    from mfq.training.runner import Runner

    kind = with_annotations(Evaluation, {"env_options": set_flag()})
    names = {name: kind for name, kind in flags_of(Evaluation).items() if name != "--folder"}
    options = read(kind, words, "mfq evaluate", help_of(Evaluation, *EXAMPLES), names=names)
    for name, least, most in (("episodes", 1, None), ("seed", 0, MAX_SEED)):
        if getattr(options, name) is not None:
            whole(name, getattr(options, name), least, most)
    file = f"{options.folder}/{options.checkpoint}.safetensors"
    # Nobody is trained: neither opponents nor the replay are needed.
    changes: dict[str, Any] = {
        "out": None,
        "workers": 0,
        "opponents": {},
        "checkpoints": {"replay": False},
    }
    changes |= {
        name: value for name in ("device", "graph") if (value := getattr(options, name)) is not None
    }
    if options.env_options or options.env is not None:
        changes["env_options"] = options.env_options
    runner = Runner.load(file, options.env, **changes)
    seed = runner.config.seed + EVALUATION_SEED_OFFSET if options.seed is None else options.seed
    episodes = runner.config.evaluation.episodes if options.episodes is None else options.episodes
    print_scores(runner, episodes, seed, quiet=runner.config.quiet)
    runner.finish()
    return 0
