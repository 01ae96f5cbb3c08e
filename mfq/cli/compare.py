"""`mfq compare`: runs a study."""

from __future__ import annotations

from dataclasses import replace

from mfq.cli.choices import choose
from mfq.cli.flags import Words, parse_with_file
from mfq.cli.train import folder_of

EXAMPLES = {
    "ising": "mfq compare ising --quick --out runs/quick",
    "squeeze": "mfq compare squeeze --num-agents 50 100 --seeds 3",
    "battle": "mfq compare battle --players mfq=runs/a,runs/b iql=runs/c rush --episodes 100",
    "curves": "mfq compare curves --runs mfq=runs/a,runs/b iql=runs/c,runs/d",
    "dilemma": "mfq compare dilemma --runs mfq=runs/a --episodes 60",
}


def run(words: Words) -> int:
    """Runs the command; returns its exit status."""
    from mfq.studies import STUDIES

    if not words or words[0] not in STUDIES:
        studies = {name: study.help for name, study in STUDIES.items()}
        examples = {EXAMPLES["ising"]: "in a minute", "mfq compare battle": "the trained armies"}
        return choose("mfq compare", "STUDY", studies, words, examples)
    name, *words = words
    module, kind = STUDIES[name].load()
    example = EXAMPLES.get(name, f"mfq compare {name}")
    study = parse_with_file(kind, words, f"mfq compare {name}", example)
    module.run(replace(study, out=folder_of(study)))
    return 0
