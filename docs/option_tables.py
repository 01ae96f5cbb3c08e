"""Writes the tables of options in docs/games/ from the Config classes: `python docs/option_tables.py`.

A table stands between the comments `<!-- options -->` and `<!-- end of options -->`.
"""

import re
from dataclasses import fields
from pathlib import Path

from mfenvs.gaussian_squeeze.config import SqueezeConfig
from mfenvs.gridworld.games.adversarial_pursuit import PursuitConfig
from mfenvs.gridworld.games.battle import BattleConfig
from mfenvs.gridworld.games.battlefield import BattlefieldConfig
from mfenvs.gridworld.games.combined_arms import CombinedArmsConfig
from mfenvs.gridworld.games.gather import GatherConfig
from mfenvs.gridworld.games.tiger_deer import TigerDeerConfig
from mfenvs.ising.config import IsingConfig

GAMES = Path(__file__).parent / "games"
CONFIGS = {
    "ising": IsingConfig,
    "gaussian_squeeze": SqueezeConfig,
    "battle": BattleConfig,
    "adversarial_pursuit": PursuitConfig,
    "battlefield": BattlefieldConfig,
    "combined_arms": CombinedArmsConfig,
    "gather": GatherConfig,
    "tiger_deer": TigerDeerConfig,
}
_TABLE = re.compile(r"(?<=<!-- options -->\n).*(?=<!-- end of options -->)", re.S)
_ENTRY = re.compile(r"^        (\w[\w, ]*): (.*?)(?=^        \w|^\n|^    \w|\Z)", re.S | re.M)


def meanings(config: type) -> dict[str, str]:
    """Returns what the docstring says of each option, by name; the text of a joint entry for each."""
    attributes = (config.__doc__ or "").partition("Attributes:\n")[2].partition("\n    Raises:")[0]
    return {
        name: " ".join(text.replace("``", "`").replace("|", "\\|").split())
        for names, text in _ENTRY.findall(attributes)
        for name in names.split(", ")
    }


def table(config: type) -> str:
    """Returns the table of a Config's options: name, default, meaning."""
    meaning = meanings(config)
    lines = ["| option | default | meaning |", "|---|---|---|"]
    for field in fields(config):
        shown = repr(field.default).replace("'", '"')
        lines.append(f"| `{field.name}` | `{shown}` | {meaning[field.name]} |")
    return "\n".join(lines)


def with_table(page: str, config: type) -> str:
    """Returns the text of a page with its table replaced.

    Raises:
        ValueError: for a page without a place for it.
    """
    text, count = _TABLE.subn(lambda _: f"\n{table(config)}\n\n", page)
    if count != 1:
        raise ValueError(f"{count} tables of options in the page; allowed: 1")
    return text


def main() -> None:
    for name, config in CONFIGS.items():
        path = GAMES / f"{name}.md"
        path.write_text(with_table(path.read_text(), config))


if __name__ == "__main__":
    main()
