import numpy as np
import pytest
from scipy import stats

from mfenvs.rng import bits, mix, row_key, uniform

M32 = 0xFFFFFFFF


def independent_bits(key, counter, lane):
    """The generator again, from its description, in unbounded Python integers."""

    def stir(word):
        for shift, factor in ((16, 0x7FEB352D), (15, 0x31848BAB), (14, 0x21F0AAAD)):
            word = ((word ^ (word >> shift)) * factor) % 2**32
        return word ^ (word >> 16)

    word = stir((counter + key // 2**32 + 0x9E3779B9) % 2**32)
    word = stir((word ^ key) % 2**32)
    word = stir((word + counter // 2**32) % 2**32)
    return stir(word ^ stir((lane + 0x9E3779B9) % 2**32))


def test_python_numpy_and_the_description_agree():
    coin = np.random.default_rng(0)
    keys, counters, lanes = (coin.integers(0, high, 200) for high in (2**62, 2**40, 2**31))
    together = bits(keys, counters, lanes)
    for i in range(200):
        arguments = int(keys[i]), int(counters[i]), int(lanes[i])
        assert bits(*arguments) == independent_bits(*arguments) == together[i]


def test_arithmetic_never_leaves_int64():
    # numpy warns of scalar overflow, and warnings are errors here.
    largest = np.int64(2**62 - 1)
    assert 0 <= bits(largest, largest, np.int64(2**40)) <= M32


@pytest.mark.slow
def test_mix_is_a_bijection_on_a_sample():
    words = np.arange(2**20, dtype=np.int64) * 4093 & M32
    assert len(np.unique(mix(words))) == len(np.unique(words))


def test_avalanche():
    words = np.random.default_rng(1).integers(0, 2**32, 20_000)
    for bit in range(32):
        changed = mix(words) ^ mix(words ^ (1 << bit))
        share = [(changed >> out & 1).mean() for out in range(32)]
        assert min(share) > 0.45
        assert max(share) < 0.55


def test_uniform_is_uniform_along_each_argument():
    along = np.arange(100_000, dtype=np.int64)
    for draws in (uniform(7, 3, along), uniform(7, along, 3), uniform(along, 7, 3)):
        assert draws.min() > 0
        assert draws.max() < 1
        assert stats.kstest(draws, "uniform").pvalue > 1e-4
        assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.015


def test_neighbouring_counters_and_lanes_are_not_shifts_of_each_other():
    lanes = np.arange(400, dtype=np.int64)
    rows = [set(bits(11, counter, lanes).tolist()) for counter in range(200)]
    seen = set().union(*rows)
    assert len(seen) > 200 * 400 - 20


def test_row_keys_differ_and_fit():
    keys = np.concatenate([row_key(np.int64(seed), np.arange(4096)) for seed in range(8)])
    assert len(np.unique(keys)) == len(keys)
    assert keys.min() >= 0
    assert keys.max() < 2**62
