"""Checks of episodes: rewards, ends and resets, deaths, and which actions count."""

from __future__ import annotations

from functools import partial

import numpy as np

from mfenvs.checks.trial import Trial, ended
from mfenvs.views.batched import BatchedEnv


def rewards(trial: Trial) -> None:
    """Rewards are finite, and zero in the call that resets a row."""
    for step, _, _, after in trial.play(trial.batched()):
        reward = after["reward"]
        trial.require(np.isfinite(reward), "a finite reward", reward, step)
        still = (reward == 0) | ~after["info.reset"][:, None]
        trial.require(still, "reward 0 in the call that resets the row", reward, step)


def truncation(trial: Trial) -> str | None:
    """Truncation comes exactly when max_cycles steps have been played; never without a limit."""
    occurred = _truncates(trial, trial.batched())
    if trial.has_limit:
        try:
            endless = trial.batched(max_cycles=None)
        except (TypeError, ValueError):
            pass  # this game requires a limit
        else:
            _truncates(trial, endless)
    return None if occurred else "no episode reached max_cycles"


def _truncates(trial: Trial, env: BatchedEnv) -> bool:
    """Checks a run; returns whether an episode reached the limit."""
    limit, reached = env.game.max_cycles, False
    played = np.zeros(env.num_envs, np.int64)
    for step, _, _, after in trial.play(env):
        truncated = after["truncated"]
        played = np.where(after["info.reset"], 0, played + 1)
        due = played == (-1 if limit is None else limit)
        # If the last agent dies in the same step, an episode may be truncated or not.
        right = (truncated == due) | (due & _nobody_left(after["terminated"], after["alive"]))
        when = "never" if limit is None else f"after exactly {limit} steps of an episode"
        expected = f"truncated {when}, as max_cycles={limit}"
        actual = [f"{bool(now)} after {n}" for now, n in zip(truncated, played, strict=True)]
        trial.require(right, expected, actual, step)
        reached |= bool(due.any())
    return reached


def _nobody_left(terminated: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Returns the rows in which no agent plays on: bool [B]."""
    return np.logical_and.reduce(terminated | ~alive, axis=1)


def autoreset(trial: Trial) -> str | None:
    """The step after an episode's end resets the row and all agents, and ignores its actions."""
    changed, occurred = trial.actions(), False
    others = trial.actions(salt=1)
    for step, _, before, after in trial.play(trial.batched()):
        if step == 1:
            first = before["info.reset"]
            trial.require(first, "reset True in all rows after reset()", first, 0)
            trial.require(_all_alive(trial, before["alive"]), ALL_ALIVE, before["alive"], 0)
        require = partial(trial.require, step=step)
        over, was_reset = ended(before), after["info.reset"]
        require(was_reset | ~over, "a reset in the step after the end of an episode", was_reset)
        require(over | ~was_reset, "a reset only after the end of an episode", was_reset)
        old = ~was_reset[:, None]
        require(old | _all_alive(trial, after["alive"]), ALL_ALIVE, after["alive"])
        require(old | ~after["info.acting"], "acting False at a reset", after["info.acting"])
        require(old | ~after["terminated"], "terminated False at a reset", after["terminated"])
        require(~was_reset | ~after["truncated"], "truncated False at a reset", after["truncated"])
        changed[step - 1, was_reset] = others[step - 1, was_reset]
        occurred |= bool(was_reset.any())
    claim = "the same with other actions in a step that resets the row"
    run = trial.moments(trial.batched(), actions=changed)
    trial.require_equal_runs(claim, trial.moments(trial.batched()), run)
    return None if occurred else "no episode ended"


ALL_ALIVE = "all alive in a new episode (at least one agent if all_start is False)"


def _all_alive(trial: Trial, alive: np.ndarray) -> np.ndarray:
    """Returns which agents are alive as the contract requires at an episode's start: bool [B, N]."""
    return (
        alive if trial.game.all_start else np.broadcast_to(alive.any(1, keepdims=True), alive.shape)
    )


def deaths(trial: Trial) -> str | None:
    """An agent is terminated in the step of its death alone; then it acts, observes, earns nothing."""
    occurred = False
    for step, _, before, after in trial.play(trial.batched()):
        require = partial(trial.require, step=step)
        now, terminated, effect = after["alive"], after["terminated"], after["info.actions"]
        old = ~after["info.reset"][:, None]
        died, gone = before["alive"] & ~now & old, ~before["alive"] & old
        require(
            now | (not trial.game.fixed_population),
            "all alive in a game with fixed_population",
            now,
        )
        require(~(gone & now), "alive False for the rest of the episode after a death", now)
        require(terminated | ~died, "terminated True in the step of the death", terminated)
        require(~(terminated & gone), "terminated False after the step of the death", terminated)
        # The rules may end an episode while agents live: then it terminates for all of them. The time
        # limit only truncates. Both may happen in one step, if a group has no live agents left.
        survivors = terminated & now
        decided = ~survivors.any(1) | _nobody_left(terminated, now)
        require(~survivors | decided[:, None], "alive False for an agent that is terminated", now)
        limit = "terminated False for live agents in an episode that is truncated"
        groups = trial.game.groups
        left = [now[:, groups == group].any(1) for group in np.unique(groups)]
        wiped = ~np.stack(left).all(0)
        may_end = ~after["truncated"] | wiped
        require(~survivors | may_end[:, None], limit, terminated)

        require(~gone | (after["reward"] == 0), "reward 0 for the dead", after["reward"])
        require(~gone | ~after["info.acting"], "acting False for the dead", after["info.acting"])
        require(~gone | (effect == -1), "action in effect -1 for the dead", effect)
        for name, values in after.items():
            if name.partition(".")[0] == "obs":
                blank = (values == 0).reshape(*now.shape, -1).all(-1)
                require(~gone | blank, f"{name} zero for the dead", values)
        occurred |= bool(died.any())
    return None if occurred else "nobody died"


def masks(trial: Trial) -> str | None:
    """If masks_actions, a mask of 0 and 1 allows every live agent at least one action."""
    masked = trial.game.masks_actions
    for step, after in enumerate(trial.moments(trial.batched())):
        mask = after.get("info.action_mask")
        if mask is None or not masked:
            expected = f"a mask if and only if masks_actions, which is {masked}"
            trial.require((mask is not None) == masked, expected, mask, step)
            continue
        trial.require((mask == 0) | (mask == 1), "a mask of 0 and 1", mask, step)
        enough = mask.any(-1) | ~after["alive"]
        trial.require(enough, "at least one legal action for a live agent", mask, step)
    return None if masked else "masks_actions is False"


def acting(trial: Trial) -> None:
    """Actions in effect are legal; an agent is acting if and only if its choice is in effect."""
    env = trial.batched()
    most = env.game.num_actions
    counts = env.game.action_counts
    legal = np.arange(most) < counts[:, None]
    all_legal = np.broadcast_to(legal, (env.num_envs, *legal.shape)).astype(np.int8)
    for step, given, before, after in trial.play(env):
        require = partial(trial.require, step=step)
        effect, counted = after["info.actions"], after["info.acting"]
        fits = (effect >= -1) & (effect < counts)
        require(fits, "an action in effect of -1 or more, below the number of the agent's", effect)
        require(~counted | (given >= 0), "acting False where no action (-1) was given", counted)
        require(
            ~counted | (effect == given),
            "acting True only if the choice is in effect",
            effect,
        )

        playing = before["alive"] & ~after["info.reset"][:, None]
        mask = before.get("info.action_mask", all_legal)
        choices = mask.sum(-1, dtype=np.int64)
        require(~playing | _allows(mask, effect) | (effect < 0), "a legal action in effect", effect)
        forced = playing & (choices == 1) & (given >= 0)
        only = "the only legal action in effect, whichever was given"
        require(~forced | _allows(mask, effect), only, effect)
        free = playing & (choices > 1) & _allows(mask, given)
        chosen = "acting True if a legal action of several was chosen and is in effect"
        require(~free | counted | (effect != given), chosen, counted)


def _allows(mask: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Returns whether a mask [B, N, A] allows actions [B, N]: bool [B, N]; False for -1."""
    picked = np.take_along_axis(mask, np.maximum(actions, 0)[..., None], -1)[..., 0]
    return (picked != 0) & (actions >= 0)
