"""Stable-Baselines3 on a stage game: each agent of each row is one environment of SB3's VecEnv.

    python examples/sb3_ising.py --side 8 --rows 4 --steps 500

Spins in a random field, each of which sees its own spin and its own field. The field outdoes the
neighbours, so everybody is best off following it, and agents who share DQN's parameters, as in
independent Q-learning, can learn that. SB3 wants its own kind of vector: one that starts an episode
anew in the step that ended the last (Gymnasium's SAME_STEP), with the last observation in the infos.
`mfenvs` starts anew in the step after (NEXT_STEP); `StageVecEnv` is the bridge, for every game whose
agents all stay to the end.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import VecEnv

from mfenvs import ising_v0


class StageVecEnv(VecEnv):
    """A `vector_env` of mfenvs as SB3's vector.

    Args:
        vector: what ``vector_env(...)`` of a game's module returns.
    """

    def __init__(self, vector: Any) -> None:
        self.vector = vector
        super().__init__(
            vector.num_envs, vector.single_observation_space, vector.single_action_space
        )

    def reset(self) -> np.ndarray:
        # SB3 asks for a seed per environment, the first of which is the seed given; we want one in all.
        obs, _ = self.vector.reset(seed=self._seeds[0])
        self._reset_seeds()
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        obs, rewards, terminated, truncated, _ = self.vector.step(self._actions)
        dones, infos = terminated | truncated, [{} for _ in range(self.num_envs)]
        if dones.any():  # all rows have the same time limit, so all end
            infos = [
                {"terminal_observation": last, "TimeLimit.truncated": bool(cut)}
                for last, cut in zip(obs, truncated & ~terminated, strict=True)
            ]
            obs = self.vector.step(self._actions)[
                0
            ]  # the step that starts anew ignores its actions
        return obs, rewards, dones, infos

    def close(self) -> None:
        self.vector.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.vector, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self.vector, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        found = getattr(self.vector, method_name)(*args, **kwargs)
        return [found] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))


def share_following(model: DQN, env: StageVecEnv) -> float:
    """The share of sites whose greedy action is what their field wants."""
    obs = env.reset()
    actions, _ = model.predict(obs, deterministic=True)
    return float((actions == (obs[:, 1] > 0)).mean())


def train(side: int, rows: int, steps: int, seed: int, verbose: int = 0) -> tuple[float, float]:
    """Trains DQN.

    Args:
        side, rows: of the lattices; the vector has rows x side^2 environments.
        steps: of each row.

    Returns:
        `share_following` before and after.
    """
    field = tuple(np.random.default_rng(seed).choice([-1.5, 1.5], side**2).tolist())
    env = StageVecEnv(
        ising_v0.vector_env(num_envs=rows, side=side, coupling=0.5, field=field, max_cycles=20)
    )
    model = DQN(
        "MlpPolicy",
        env,
        gamma=0.0,  # a stage game: nothing follows from a step
        learning_rate=1e-3,
        buffer_size=50 * env.num_envs,
        learning_starts=5 * env.num_envs,
        batch_size=64,
        train_freq=1,
        exploration_fraction=0.5,
        seed=seed,
        device="cpu",
        verbose=verbose,
    )
    before = share_following(model, env)
    model.learn(steps * env.num_envs)
    return before, share_following(model, env)


def main(args: list[str] | None = None) -> tuple[float, float]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=8)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(args)
    before, after = train(options.side, options.rows, options.steps, options.seed, verbose=1)
    print(f"sites that follow their field: {before:.1%} before, {after:.1%} after")
    return before, after


if __name__ == "__main__":
    main()
