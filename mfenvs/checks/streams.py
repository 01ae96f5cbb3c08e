"""Checks that the results of a row depend on its seed and actions alone."""

from __future__ import annotations

import pickle
import random
from functools import partial

import numpy as np

from mfenvs.checks.trial import PlainBackend, Trial, describe, fingerprints, flat, row_of
from mfenvs.engine.backend import get_backend
from mfenvs.validate import MAX_SEED


def determinism(trial: Trial) -> None:
    """The same seed and the same actions give the same bits, in another env too."""
    first, second = (trial.moments(trial.batched(), resets=[trial.steps // 3]) for _ in "12")
    trial.require_equal_runs("the same seed and actions", first, second)


def generators(trial: Trial) -> None:
    """No global random generator (of random, numpy or torch) is read, advanced or seeded."""
    saved = _global_states()
    try:
        seeders = [partial(_seed_globals, seed) for seed in (1, 2)]
        first, second = (trial.moments(trial.batched(), prepare=seed) for seed in seeders)
        trial.require_equal_runs("the same under any seeds of the global generators", first, second)
        _seed_globals(3)
        _draw_from_globals()  # to a state that seeding alone does not give
        env, before = trial.batched(), _global_states()
        env.reset()  # from the system's entropy
        run = trial.moments(env, resets=[trial.steps // 3])
        for step, _ in enumerate(run):
            for name, state in _global_states().items():
                same = state == before[name]
                trial.require(same, f"the global generator of {name} unchanged", "changed", step)
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
    """reset(seed) gives the same bits whatever was played before; reset() continues the streams."""
    rows, require = trial.num_rows, trial.require
    env, fresh = trial.batched(), trial.batched()
    for _ in trial.moments(env, seed=trial.seed + 1):
        pass
    claim = "reset(seed) in an env that has played before"
    trial.require_equal_runs(claim, trial.moments(fresh), trial.moments(env))

    seeds = env.row_seeds
    assert seeds is not None
    require(describe(seeds) == f"int64 [{rows}]", f"row_seeds int64 [{rows}]", describe(seeds))
    require((seeds >= 0) & (seeds <= MAX_SEED), "row_seeds in [0, 2^62)", seeds)
    require(len(set(seeds.tolist())) == rows, "row_seeds to differ among rows", seeds.tolist())
    fewer = env.game.row_seeds(trial.seed, rows - 1)
    require(fewer == seeds[:-1], "row_seeds of fewer rows to be the first of them", fewer)

    def history(seed: int, continued: bool = False) -> list[str]:
        return fingerprints(trial.moments(env, seed=seed, continued=continued), rows)

    first = history(trial.seed)
    others = [history(trial.seed + 1000 * k) for k in range(1, 5)]
    # Repetition is a failure only if every other seed gave another run.
    if any(one == other for runs in others for one, other in zip(first, runs, strict=True)):
        return "runs under different seeds can be equal, so reset() cannot be tested"
    env.reset(seed=trial.seed)
    repeats = history(0, continued=True) == first
    require(not repeats, "reset() to continue the streams", "it repeats reset(seed) in all rows")
    return None


def rows(trial: Trial) -> None:
    """A row does not depend on other rows: played alone under its seed it gives the same bits."""
    env, resets = trial.batched(), [trial.steps // 3]
    env.reset(seed=trial.seed)
    assert env.row_seeds is not None
    actions = trial.actions()
    for row, seed in enumerate(env.row_seeds.tolist()):
        single = trial.batched(1)
        alone = trial.moments(single, [seed], actions[:, row : row + 1], resets)
        together = (row_of(results, row) for results in trial.moments(env, resets=resets))
        claim = f"row {row} the same when it is played alone"
        for step, (one, other) in enumerate(zip(alone, together, strict=True)):
            trial.require_equal(one, other, claim, step, row=row)
            # Public views give the state of the first row alone.
            states = (
                single.game.global_state(single._state, 0),
                env.game.global_state(env._state, row),
            )
            one, other = ({"state": state} for state in states)
            trial.require_equal(one, other, claim, step, ("entry",))


def stateless(trial: Trial) -> None:
    """A game has no state of an episode: another instance with the same config may replace it."""
    env, other = trial.batched(), trial.batched()

    def replace_game() -> None:
        other.game = trial.build(other.game.config, get_backend("cpu"))

    run = trial.moments(other, prepare=replace_game)
    trial.require_equal_runs(
        "the same with a new Game object at every step", trial.moments(env), run
    )


def order(trial: Trial) -> None:
    """Rules run as plain Python too, in any order of the points of their index space."""
    backends = [PlainBackend(shuffle, budget=50_000) for shuffle in (False, True)]
    envs = [trial.batched(2) for _ in backends]
    for env, backend in zip(envs, backends, strict=True):
        env.game = trial.build(env.game.config, backend)
    claim = "the same in any order of rows, agents and cells"
    runs = map(trial.moments, envs)
    for step, (ordered, shuffled) in enumerate(zip(*runs, strict=True)):
        trial.require_equal(ordered, shuffled, claim, step)
        one, other = (flat({"obs": env.observe(env.snapshot(), [1], [0])}) for env in envs)
        trial.require_equal(one, other, f"{claim}, of a snapshot", step)
        if backends[0].spent:
            break
