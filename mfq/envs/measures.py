"""Measures of PettingZoo environments: what they report of each group, and what decides a match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mfenvs.validate import number, of_kind

MAGENT2_BATTLES = ("battle_", "battlefield_")
"""The games of MAgent2 in which an agent dies by attacks of the other army alone."""


def measures_of(env: Any) -> dict[str, Tensor]:
    """Returns the measures of an environment now: name -> float64 [1].

    They are its attribute ``measures``, numbers by name or a function without arguments that returns
    them, if it has a ``match_measure``, too. MAgent2's battles, which have neither, have ``red_alive``,
    ``red_kills`` and those of blue.

    Raises:
        TypeError, ValueError: if they are not finite numbers by name.
    """
    if match_measure_of(env) is None:  # an attribute of the same name may mean anything
        return {}
    measures = getattr(env, "measures", None)
    if measures is None:
        measures = getattr(_of_aec(env), "measures", None)
    if measures is None:
        measures = _of_magent2(env) if _is_magent2_battle(env) else {}
    elif callable(measures):
        measures = measures()
    of_kind("measures", measures, Mapping, "numbers by name, such as {'red_kills': 3}")
    checked = {name: number(f"measures[{name!r}]", value) for name, value in measures.items()}
    return {
        name: torch.tensor([value], dtype=torch.float64, device="cpu")
        for name, value in checked.items()
    }


def match_measure_of(env: Any) -> str | None:
    """Returns the name of the measure that decides a match: the attribute ``match_measure`` of an
    environment or of its ``game``, "kills" for MAgent2's battles, else None."""
    inner = _of_aec(env)
    for owner in (env, getattr(env, "game", None), inner, getattr(inner, "game", None)):
        name = getattr(owner, "match_measure", None)
        if name is not None:
            of_kind("match_measure", name, str, "the name of a measure, without its group's")
            return name
    return "kills" if _is_magent2_battle(env) else None


def _of_aec(env: Any) -> Any:
    """Returns the AECEnv inside PettingZoo's conversion of it; None for another environment."""
    return getattr(env, "aec_env", None)


def _is_magent2_battle(env: Any) -> bool:
    inner = getattr(env, "unwrapped", None)
    name = (getattr(inner, "metadata", None) or {}).get("name", "")
    return type(inner).__module__.startswith("magent2.") and name.startswith(MAGENT2_BATTLES)


def _of_magent2(env: Any) -> dict[str, float]:
    """Returns the agents alive of each army, and the dead of the other one as its kills.

    Terminations do not tell them: MAgent2 also terminates the survivors when an army is dead.
    """
    game = env.unwrapped
    names = list(dict.fromkeys(agent.rpartition("_")[0] for agent in game.possible_agents))
    sizes = [sum(a.rpartition("_")[0] == name for a in game.possible_agents) for name in names]
    alive = [game.env.get_num(handle) for handle in game.handles]
    dead = [size - living for size, living in zip(sizes, alive, strict=True)]
    measures = {}
    for k, name in enumerate(names):
        measures[f"{name}_alive"] = float(alive[k])
        measures[f"{name}_kills"] = float(sum(dead) - dead[k])
    return measures
