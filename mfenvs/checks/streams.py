"""Checks of what a row's future depends on: its seed and actions, and nothing else."""

from __future__ import annotations

import pickle
import random
from functools import partial

import numpy as np

from mfenvs.checks.trial import PlainBackend, Trial, fingerprints, flat, kind, row_of
from mfenvs.engine.backend import get_backend
from mfenvs.game import MAX_SEED


def determinism(trial: Trial) -> None:
    """The same seed and the same actions give the same bits, in another env as well."""
    first, second = (trial.moments(trial.batched(), resets=[trial.steps // 3]) for _ in "12")
    trial.twins("the same seed and actions", first, second)


def generators(trial: Trial) -> None:
    """No global random generator (random's, numpy's, torch's) is read, moved or seeded."""
    saved = _global_states()
    try:
        seeders = [partial(_seed_globals, seed) for seed in (1, 2)]
        first, second = (trial.moments(trial.batched(), prepare=seed) for seed in seeders)
        trial.twins("the same, however global generators are seeded", first, second)
        _seed_globals(3)
        _draw_from_globals()  # no seed leads to such a state at once, so that seeding shows
        env, before = trial.batched(), _global_states()
        env.reset()  # from the system's entropy
        run = trial.moments(env, resets=[trial.steps // 3])
        for step, _ in enumerate(run):
            for name, state in _global_states().items():
                kept = state == before[name]
                trial.hold(kept, f"{name}'s global generator untouched", "it has moved", step)
    finally:
        _set_global_states(saved)


def _global_states() -> dict[str, bytes]:
    import torch

    states = (random.getstate(), np.random.get_state(), torch.get_rng_state().numpy())  # noqa: NPY002
    return dict(zip(("random", "numpy", "torch"), map(pickle.dumps, states), strict=True))


def _set_global_states(states: dict[str, bytes]) -> None:
    import torch

    random.setstate(pickle.loads(states["random"]))
    np.random.set_state(pickle.loads(states["numpy"]))  # noqa: NPY002
    torch.set_rng_state(torch.as_tensor(pickle.loads(states["torch"])))


def _seed_globals(seed: int) -> None:
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)


def _draw_from_globals() -> None:
    import torch

    random.random()
    np.random.random()  # noqa: NPY002
    torch.rand(1)


def seeding(trial: Trial) -> str | None:
    """reset(seed) repeats itself whatever came before; reset() goes on with the streams."""
    rows, hold = trial.num_rows, trial.hold
    env, fresh = trial.batched(), trial.batched()
    for _ in trial.moments(env, seed=trial.seed + 1):
        pass
    claim = "reset(seed) in an env that has played before"
    trial.twins(claim, trial.moments(fresh), trial.moments(env))

    own = env.row_seeds
    assert own is not None
    hold(kind(own) == f"int64 [{rows}]", f"row_seeds int64 [{rows}]", kind(own))
    hold((own >= 0) & (own <= MAX_SEED), "row_seeds in [0, 2^62)", own)
    hold(len(set(own.tolist())) == rows, "row_seeds to differ from row to row", own.tolist())
    fewer = env.game.row_seeds(trial.seed, rows - 1)
    hold(fewer == own[:-1], "row_seeds of fewer rows to be the first of them", fewer)

    def history(seed: int, go_on: bool = False) -> list[str]:
        return fingerprints(trial.moments(env, seed=seed, go_on=go_on), rows)

    first = history(trial.seed)
    others = [history(trial.seed + 1000 * k) for k in range(1, 5)]
    # Only where every other seed gave another game is a repetition no coincidence.
    if any(one == other for they in others for one, other in zip(first, they, strict=True)):
        return "games under different seeds can be alike, so reset() was not told from reset(seed)"
    env.reset(seed=trial.seed)
    hold(history(0, go_on=True) != first, "reset() to go on", "it repeats reset(seed) in all rows")
    return None


def rows(trial: Trial) -> None:
    """A row depends on itself alone: played alone under its own seed it gives the same bits."""
    env, resets = trial.batched(), [trial.steps // 3]
    env.reset(seed=trial.seed)
    assert env.row_seeds is not None
    actions = trial.actions()
    for row, own in enumerate(env.row_seeds.tolist()):
        single = trial.batched(1)
        alone = trial.moments(single, [own], actions[:, row : row + 1], resets)
        together = (row_of(found, row) for found in trial.moments(env, resets=resets))
        claim = f"row {row} as it plays alone"
        for step, (one, other) in enumerate(zip(alone, together, strict=True)):
            trial.same(one, other, claim, step, row=row)
            # No public view shows the state of a row but the first.
            states = (
                single.game.global_state(single._state, 0),
                env.game.global_state(env._state, row),
            )
            alone_state, state = ({"state": found} for found in states)
            trial.same(alone_state, state, claim, step, ("entry",))


def stateless(trial: Trial) -> None:
    """A game keeps nothing of an episode in itself: another of the same config may take over."""
    env, other = trial.batched(), trial.batched()

    def replace_game() -> None:
        other.game = trial.build(other.game.config, get_backend("cpu"))

    run = trial.moments(other, prepare=replace_game)
    trial.twins("the same with a new Game object at every step", trial.moments(env), run)


def order(trial: Trial) -> None:
    """Rules run as plain Python too, at the points of their index space in any order."""
    backends = [PlainBackend(shuffle, budget=50_000) for shuffle in (False, True)]
    envs = [trial.batched(2) for _ in backends]
    for env, backend in zip(envs, backends, strict=True):
        env.game = trial.build(env.game.config, backend)
    claim = "the same in any order of rows, agents and cells"
    runs = map(trial.moments, envs)
    for step, (ordered, shuffled) in enumerate(zip(*runs, strict=True)):
        trial.same(ordered, shuffled, claim, step)
        one, other = (flat({"obs": env.observe(env.snapshot(), [1], [0])}) for env in envs)
        trial.same(one, other, f"{claim}, of a snapshot", step)
        if backends[0].spent:
            break
