"""Checks of how an episode goes: its end and the next one's start, deaths, whose choice counts."""

from __future__ import annotations

from functools import partial

import numpy as np

from mfenvs.checks.trial import Trial, ended
from mfenvs.views.batched import BatchedEnv


def rewards(trial: Trial) -> None:
    """Rewards are finite, and zero in the call that starts a row anew."""
    for step, _, _, after in trial.play(trial.batched()):
        reward = after["reward"]
        trial.hold(np.isfinite(reward), "a finite reward", reward, step)
        still = (reward == 0) | ~after["info.reset"][:, None]
        trial.hold(still, "reward 0 in the call that starts the row anew", reward, step)


def truncation(trial: Trial) -> str | None:
    """Truncation comes exactly when max_cycles steps have been played; never without a limit."""
    seen = _truncates(trial, trial.batched())
    if trial.has_limit:
        try:
            endless = trial.batched(max_cycles=None)
        except (TypeError, ValueError):
            pass  # this game insists on a limit
        else:
            _truncates(trial, endless)
    return None if seen else "no episode reached max_cycles"


def _truncates(trial: Trial, env: BatchedEnv) -> bool:
    """Checks a run; returns whether the limit was reached in it."""
    limit, seen = env.game.max_cycles, False
    played = np.zeros(env.num_envs, np.int64)
    for step, _, _, after in trial.play(env):
        truncated = after["truncated"]
        played = np.where(after["info.reset"], 0, played + 1)
        due = played == (-1 if limit is None else limit)
        # Where the last agent goes in that very step, either account of the end is right.
        right = (truncated == due) | (due & _nobody_left(after["terminated"], after["alive"]))
        when = "never" if limit is None else f"after exactly {limit} steps of an episode"
        wanted = f"truncated {when}, as max_cycles={limit}"
        found = [f"{bool(now)} after {n}" for now, n in zip(truncated, played, strict=True)]
        trial.hold(right, wanted, found, step)
        seen |= bool(due.any())
    return seen


def _nobody_left(terminated: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Rows in which nobody goes on: bool [B]."""
    return np.logical_and.reduce(terminated | ~alive, axis=1)


def autoreset(trial: Trial) -> str | None:
    """The step after an episode's end starts the row anew, with all, and ignores its actions."""
    meddled, seen = trial.actions(), False
    others = trial.actions(salt=1)
    for step, _, before, after in trial.play(trial.batched()):
        if step == 1:
            first = before["info.reset"]
            trial.hold(first, "reset true of all after reset()", first, 0)
            trial.hold(_all_there(trial, before["alive"]), ALL_THERE, before["alive"], 0)
        hold = partial(trial.hold, step=step)
        over, anew = ended(before), after["info.reset"]
        hold(anew | ~over, "reset: the episode had ended in the step before", anew)
        hold(over | ~anew, "no reset: no limit was reached and somebody was left", anew)
        old = ~anew[:, None]
        hold(old | _all_there(trial, after["alive"]), ALL_THERE, after["alive"])
        hold(old | ~after["info.acting"], "nobody acting at a reset", after["info.acting"])
        hold(old | ~after["terminated"], "nobody terminated at a reset", after["terminated"])
        hold(~anew | ~after["truncated"], "no truncation at a reset", after["truncated"])
        meddled[step - 1, anew] = others[step - 1, anew]
        seen |= bool(anew.any())
    claim = "the same, whatever actions are given to a step that starts the row anew"
    run = trial.moments(trial.batched(), actions=meddled)
    trial.twins(claim, trial.moments(trial.batched()), run)
    return None if seen else "no episode ended"


ALL_THERE = "all alive in a new episode (where not all_start: somebody)"


def _all_there(trial: Trial, alive: np.ndarray) -> np.ndarray:
    """Whether agents [B, N] live as they should when an episode starts."""
    return (
        alive if trial.game.all_start else np.broadcast_to(alive.any(1, keepdims=True), alive.shape)
    )


def deaths(trial: Trial) -> str | None:
    """Who dies is terminated in that step alone, and is, does, sees and earns nothing any more."""
    seen = False
    for step, _, before, after in trial.play(trial.batched()):
        hold = partial(trial.hold, step=step)
        now, terminated, effect = after["alive"], after["terminated"], after["info.actions"]
        old = ~after["info.reset"][:, None]
        died, gone = before["alive"] & ~now & old, ~before["alive"] & old
        hold(
            now | (not trial.game.fixed_population),
            "all alive in a game that is fixed_population",
            now,
        )
        hold(~(gone & now), "the dead to stay dead (alive False) within an episode", now)
        hold(terminated | ~died, "terminated True in the step of the death", terminated)
        hold(~(terminated & gone), "terminated False after the step of the death", terminated)
        # An episode may be decided while some live: then it terminates for all of them. The time
        # limit decides nothing: it truncates. Both at once are possible where a group is wiped out.
        survivors = terminated & now
        decided = ~survivors.any(1) | _nobody_left(terminated, now)
        hold(~survivors | decided[:, None], "alive False of an agent that is terminated", now)
        limit = "terminated False of the living in an episode that is truncated"
        groups = trial.game.groups
        left = [now[:, groups == group].any(1) for group in np.unique(groups)]
        wiped = ~np.stack(left).all(0)
        may_end = ~after["truncated"] | wiped
        hold(~survivors | may_end[:, None], limit, terminated)

        hold(~gone | (after["reward"] == 0), "reward 0 for the dead", after["reward"])
        hold(~gone | ~after["info.acting"], "acting False for the dead", after["info.acting"])
        hold(~gone | (effect == -1), "action in effect -1 for the dead", effect)
        for name, values in after.items():
            if name.partition(".")[0] == "obs":
                blank = (values == 0).reshape(*now.shape, -1).all(-1)
                hold(~gone | blank, f"{name} zero for the dead", values)
        seen |= bool(died.any())
    return None if seen else "nobody died"


def masks(trial: Trial) -> str | None:
    """Where choices are restricted, a mask of 0 and 1 leaves every living agent at least one."""
    masked = trial.game.masks_actions
    for step, found in enumerate(trial.moments(trial.batched())):
        mask = found.get("info.action_mask")
        if mask is None or not masked:
            wanted = f"a mask if and only if masks_actions, which is {masked}"
            trial.hold((mask is not None) == masked, wanted, mask, step)
            continue
        trial.hold((mask == 0) | (mask == 1), "a mask of 0 and 1", mask, step)
        enough = mask.any(-1) | ~found["alive"]
        trial.hold(enough, "at least one legal action for the living", mask, step)
    return None if masked else "masks_actions is False"


def acting(trial: Trial) -> None:
    """Actions in effect are legal; who acts does what it chose; who does what it chose acts."""
    env = trial.batched()
    most = env.game.num_actions
    all_legal = np.ones((env.num_envs, env.num_agents, most), np.int8)
    for step, given, before, after in trial.play(env):
        hold = partial(trial.hold, step=step)
        effect, counted = after["info.actions"], after["info.acting"]
        fits = (effect >= -1) & (effect < most)
        hold(fits, f"an action in effect in [-1, {most})", effect)
        hold(~counted | (given >= 0), "acting False where no action (-1) was given", counted)
        hold(~counted | (effect == given), "acting: what was chosen is in effect", effect)

        playing = before["alive"] & ~after["info.reset"][:, None]
        mask = before.get("info.action_mask", all_legal)
        choices = mask.sum(-1, dtype=np.int64)
        hold(~playing | _allows(mask, effect) | (effect < 0), "a legal action in effect", effect)
        forced = playing & (choices == 1) & (given >= 0)
        only = "the only legal action in effect, whatever was given"
        hold(~forced | _allows(mask, effect), only, effect)
        free = playing & (choices > 1) & _allows(mask, given)
        chosen = "acting True: a legal action of several was chosen, and is in effect"
        hold(~free | counted | (effect != given), chosen, counted)


def _allows(mask: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Whether a mask [B, N, A] allows actions [B, N]; it does not allow -1. bool [B, N]."""
    picked = np.take_along_axis(mask, np.maximum(actions, 0)[..., None], -1)[..., 0]
    return (picked != 0) & (actions >= 0)
