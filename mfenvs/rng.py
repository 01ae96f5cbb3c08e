"""A counter-based random generator for rules: each draw is a hash of its arguments.

``bits(key, counter, lane)`` depends on its three arguments alone. The key and the counter of a row are
part of the row's state; the lane is an agent, or a purpose. So a row's draws do not depend on other
rows, and agents may draw in any order, on any number of threads.

All arithmetic stays in int64 without overflow (a 32-bit word times a 31-bit constant), so that Python
integers, numpy int64 arrays, Numba and CUDA give the same bits.
"""

_WORD = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9


def mix(word):
    """Hashes a 32-bit word: a bijection in which an input bit flips each output bit half of the time."""
    word = word ^ (word >> 16)
    word = (word * 0x7FEB352D) & _WORD
    word = word ^ (word >> 15)
    word = (word * 0x31848BAB) & _WORD
    word = word ^ (word >> 14)
    word = (word * 0x21F0AAAD) & _WORD
    return word ^ (word >> 16)


def bits(key, counter, lane):
    """Returns 32 random bits, an integer in [0, 2^32).

    Args:
        key: in [0, 2^62).
        counter, lane: 0 or more.
    """
    word = mix((counter + (key >> 32) + _GOLDEN) & _WORD)
    word = mix((word ^ key) & _WORD)
    word = mix((word + (counter >> 32)) & _WORD)
    # The lane is hashed by itself first: a plain sum would give shifted copies of one sequence.
    return mix(word ^ mix((lane + _GOLDEN) & _WORD))


def uniform(key, counter, lane):
    """Returns a float64 uniform on (0, 1), a multiple of 2^-33. Arguments as for `bits`."""
    return (bits(key, counter, lane) + 0.5) * 2.0**-32


def row_key(seed, row):
    """Returns the 62-bit key of a row under a seed, both 0 or more: two hashes of the pair."""
    low = bits(seed & _WORD, seed >> 32, row)
    high = bits(low, seed & _WORD, row + 1)
    return ((high & 0x3FFFFFFF) << 32) | low
