"""The batched view: row independence, autoreset, buffers, snapshots, and equality with PettingZoo."""

import numpy as np
import pytest
import torch

from mfenvs import battle_v0, gaussian_squeeze_v0, ising_v0
from mfenvs.infos import ACTION

OPTIONS = [
    (ising_v0, {"side": 4, "max_cycles": 7}),
    (
        ising_v0,
        {"side": 4, "update": "checkerboard", "max_cycles": 5, "observe_neighbors": True},
    ),
    (ising_v0, {"side": 5, "update": "random", "fraction": 0.4, "max_cycles": 9, "field": 0.2}),
    (gaussian_squeeze_v0, {"num_agents": 37, "max_cycles": 7, "mu": 150.0, "sigma": 31.0}),
    (gaussian_squeeze_v0, {"num_agents": 1, "num_actions": 3, "reward": "per_agent"}),
    (battle_v0, {"map_size": 12, "max_cycles": 30}),
    (battle_v0, {"map_size": 14, "minimap_mode": True, "extra_features": True, "damage": 11.0}),
    (battle_v0, {**battle_v0.PAPER, "map_size": 13, "max_cycles": 9}),
]


def told(value):
    """A test's name: that of the module, then its options."""
    return str(value) if isinstance(value, dict) else value.__name__.rpartition(".")[2]


every_option = pytest.mark.parametrize(("module", "options"), OPTIONS, ids=told)


def flat(result):
    """Every tensor that reset or step returned, cloned."""
    obs, *tensors, info = result
    tensors += obs.values() if isinstance(obs, dict) else [obs]
    return [tensor.clone() for tensor in tensors] + [info[key].clone() for key in sorted(info)]


def shown(obs, agents):
    """What the PettingZoo view shows of the observations [1, N, ...] of some agents."""
    if not isinstance(obs, dict):
        return obs[0, agents].numpy()
    view, features = obs["view"][0, agents], obs["features"][0, agents]
    spread = features[:, None, None].expand(*view.shape[:3], features.shape[-1])
    return torch.cat([view, spread], -1).numpy()


@every_option
def test_a_row_among_64_equals_the_same_row_alone(module, options):
    coin = np.random.default_rng(0)
    many = module.batched_env(num_envs=64, **options)
    first = flat(many.reset(seed=9))
    most = int(many.single_action_space.n)
    actions = coin.integers(-1, most, (200, 64, many.num_agents))
    together = [flat(many.step(joint)) for joint in actions]
    for row in (0, 1, 17, 63):
        alone = module.batched_env(num_envs=1, **options)
        for mine, theirs in zip(
            flat(alone.reset(seed=[int(many.row_seeds[row])])), first, strict=True
        ):
            assert torch.equal(mine[0], theirs[row])
        for joint, found in zip(actions, together, strict=True):
            for mine, theirs in zip(flat(alone.step(joint[row : row + 1])), found, strict=True):
                assert torch.equal(mine[0], theirs[row])


@every_option
def test_one_row_equals_the_pettingzoo_view(module, options):
    coin = np.random.default_rng(1)
    batched = module.batched_env(num_envs=1, **options)
    parallel = module.parallel_env(**options)
    obs, _ = batched.reset(seed=4)
    found, infos = parallel.reset(seed=4)
    for _ in range(30):
        index = [parallel.possible_agents.index(agent) for agent in found]
        assert np.array_equal(shown(obs, index), np.stack(list(found.values())))
        joint = coin.integers(0, batched.single_action_space.n, batched.num_agents)
        obs, reward, terminated, truncated, info = batched.step(joint[None])
        if not parallel.agents:
            found, infos = parallel.reset()
            assert info["reset"].all()
            continue
        index = [parallel.possible_agents.index(agent) for agent in parallel.agents]
        given = dict(zip(parallel.agents, joint[index].tolist(), strict=True))
        found, rewards, terminations, truncations, infos = parallel.step(given)
        assert reward[0, index].tolist() == list(rewards.values())
        assert terminated[0, index].tolist() == list(terminations.values())
        assert [bool(truncated)] * len(truncations) == list(truncations.values())
        in_effect = [info_of.get(ACTION, given[agent]) for agent, info_of in infos.items()]
        assert info["actions"][0, index].tolist() == in_effect
        measures = set(info) - {"actions", "acting", "reset", "action_mask"}
        assert parallel.measures == {name: float(info[name]) for name in measures}


def test_rows_differ_and_seeds_matter():
    env = ising_v0.batched_env(num_envs=32, side=6)
    first = env.reset(seed=0)[0].clone()
    assert len({tuple(row.flatten().tolist()) for row in first}) == 32
    assert torch.equal(env.reset(seed=0)[0], first)
    assert not torch.equal(env.reset(seed=1)[0], first)
    env.reset(seed=0)
    second = env.reset()[0].clone()
    assert not torch.equal(second, first)
    env.reset(seed=0)
    assert torch.equal(env.reset()[0], second)


def test_unseeded_envs_differ():
    first, second = (ising_v0.batched_env(side=20).reset()[0] for _ in range(2))
    assert not torch.equal(first, second)


def test_no_global_generator_is_read_or_seeded():
    def run():
        env = ising_v0.batched_env(num_envs=2, side=4, update="random")
        return flat(env.reset(seed=1)) + flat(env.step(torch.ones(2, 16, dtype=torch.int64)))

    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = run()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    for mine, theirs in zip(first, run(), strict=True):
        assert torch.equal(mine, theirs)


def test_next_step_autoreset():
    env = ising_v0.batched_env(num_envs=2, side=4, initial="up", max_cycles=3)
    env.reset(seed=0)
    down = torch.zeros(2, 16, dtype=torch.int64)
    for step in range(1, 10):
        obs, reward, terminated, truncated, info = env.step(down)
        last, anew = step % 4 == 3, step % 4 == 0
        assert truncated.all() == truncated.any() == last
        assert info["reset"].all() == info["reset"].any() == anew
        # The last observation is the episode's own; the reset's ignores the actions.
        assert (obs[..., 0] == (1 if anew else -1)).all()
        assert (reward == (0 if anew else 2)).all()
        assert not info["acting"].any() if anew else info["acting"].all()
        assert not terminated.any()


def test_what_a_call_returned_stays_valid_through_the_next():
    env = ising_v0.batched_env(num_envs=3, side=4)
    env.reset(seed=0)
    coin = torch.Generator().manual_seed(0)
    for _ in range(4):
        result = env.step(torch.randint(0, 2, (3, 16), generator=coin))
        kept = flat(result)
        env.step(torch.randint(0, 2, (3, 16), generator=coin))
        for mine, theirs in zip(kept, flat(result), strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("side", [3, 4, 5])
def test_a_snapshot_gives_back_the_observations_bit_for_bit(side):
    env = ising_v0.batched_env(num_envs=6, side=side, observe_neighbors=True, field=0.1)
    obs = env.reset(seed=2)[0].clone()
    snapshot = env.snapshot()
    assert snapshot.packed.nbytes == 6 * -(-(side * side) // 8)
    env.step(torch.ones(6, side * side, dtype=torch.int64))
    assert torch.equal(env.observe(snapshot), obs)
    rows, agents = [5, 0, 5, 2], [0, 8, 3, 3]
    assert torch.equal(env.observe(snapshot, rows, agents), obs[rows, agents])
    assert torch.equal(
        env.observe(snapshot, torch.tensor(rows), torch.tensor(agents)), obs[rows, agents]
    )
    for bad, words in [
        (([6], [0]), "rows range"),
        (([0], [-1]), "agents range"),
        (([0, 1], [0]), "as many"),
        (([0], None), "both or neither"),
        (([0.5], [0]), "integers"),
    ]:
        with pytest.raises(ValueError, match=words):
            env.observe(snapshot, *bad)


def test_bad_actions_are_named_and_change_nothing():
    def fresh():
        env = ising_v0.batched_env(num_envs=2, side=4, update="random")
        env.reset(seed=0)
        return env

    env, twin = fresh(), fresh()
    good = torch.ones(2, 16, dtype=torch.int64)
    for actions, error, words in [
        (good.float(), TypeError, "integers"),
        (good.tolist(), TypeError, "list"),
        (good[0], ValueError, r"\(2, 16\)"),
        (good[:, :3], ValueError, "shape"),
        (good + 1, ValueError, "0 to 1"),
        (good - 3, ValueError, "-2"),
        (good.bool(), TypeError, "bool"),
    ]:
        with pytest.raises(error, match=words):
            env.step(actions)
    for _ in range(5):
        for mine, theirs in zip(flat(env.step(good)), flat(twin.step(good)), strict=True):
            assert torch.equal(mine, theirs)


def test_any_integer_dtype_is_taken():
    env = ising_v0.batched_env(num_envs=2, side=4)
    for dtype in (np.int8, np.uint8, np.int32, np.int64):
        env.reset(seed=0)
        info = env.step(np.ones((2, 16), dtype))[-1]
        assert info["actions"].dtype == torch.int64
        assert info["actions"].all()
    every_second_column = torch.ones(2, 32, dtype=torch.int64)[:, ::2]
    env.step(every_second_column)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"num_envs": 0}, ValueError, "num_envs=0"),
        ({"num_envs": 2.0}, TypeError, "num_envs=2.0"),
        ({"device": "tpu"}, ValueError, "device='tpu'"),
        ({"rows": 3}, TypeError, "no option 'rows'"),
    ],
)
def test_bad_options_are_named(options, error, words):
    with pytest.raises(error, match=words):
        ising_v0.batched_env(**options)


def test_bad_seeds_and_order_are_named():
    env = ising_v0.batched_env(num_envs=2, side=4)
    with pytest.raises(RuntimeError, match="before reset"):
        env.step(torch.zeros(2, 16, dtype=torch.int64))
    with pytest.raises(ValueError, match="3 entries"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(TypeError, match=r"seed\[1\]"):
        env.reset(seed=[1, 2.5])
