"""TorchRL's PettingZooWrapper over battle: its check of the specs, and a rollout of random play.

    python examples/torchrl_battle.py --map-size 20

TorchRL groups agents by their names, so each army is a group, and tells who lives in a ``mask``. Two
things to know: by default it ends an episode of a ParallelEnv as soon as *one* agent is done
(``done_on_any=False`` is what battle needs), and it takes the keys of the infos at the first reset for
those of all infos. Those of `mfenvs` come and go (``action`` where another one was in effect, and so
on), so `OnlyMasks` leaves what a learner needs.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import torch
from pettingzoo.utils.wrappers import BaseParallelWrapper
from tensordict import TensorDict
from torchrl.envs import PettingZooWrapper
from torchrl.envs.utils import check_env_specs

from mfenvs import battle_v0


class OnlyMasks(BaseParallelWrapper):
    """Infos without anything but ``action_mask``."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        obs, infos = self.env.reset(seed=seed, options=options)
        return obs, _only_masks(infos)

    def step(self, actions: dict[str, Any]) -> Any:
        *found, infos = self.env.step(actions)
        return *found, _only_masks(infos)


def _only_masks(infos: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        agent: {key: value for key, value in info.items() if key == "action_mask"}
        for agent, info in infos.items()
    }


def wrap(env: Any, seed: int = 0) -> PettingZooWrapper:
    """A PettingZoo ParallelEnv as TorchRL has it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PettingZoo in TorchRL is tested using version")
        return PettingZooWrapper(OnlyMasks(env), use_mask=True, done_on_any=False, seed=seed)


def play(map_size: int, steps: int, seed: int) -> TensorDict:
    """A battle of random play as one TensorDict of at most ``steps`` steps."""
    env = wrap(battle_v0.parallel_env(map_size=map_size, max_cycles=steps, damage=10.0), seed)
    check_env_specs(env)
    env.set_seed(seed)
    torch.manual_seed(seed)  # of the random actions
    return env.rollout(steps)


def main(args: list[str] | None = None) -> TensorDict:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--map-size", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(args)
    battle = play(options.map_size, options.steps, options.seed)
    print(f"{len(battle)} steps")
    for army in ("red", "blue"):
        alive, rewards = battle["next", army, "mask"], battle["next", army, "reward"]
        print(
            f"{army}: {int(alive[-2].sum())} of {alive.shape[1]} alive before the last step,",
            end=" ",
        )
        print(f"return {float(rewards.sum(0).mean()):.3f} an agent")
    return battle


if __name__ == "__main__":
    main()
