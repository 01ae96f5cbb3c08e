"""A counter-based random generator that rules call: each draw is a hash of where it is asked for.

``bits(key, counter, lane)`` depends on its three arguments alone. A row keeps its key and counter in
its own state, an agent (or a purpose) is a lane, so that a row's future depends on that row alone and
agents may draw in any order, on any number of threads.

All arithmetic stays in int64 without wrap-around (a 32-bit word times a 31-bit constant), so that
Python integers, numpy int64 arrays, Numba and CUDA give the same bits.
"""

_WORD = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9


def mix(word):
    """A bijection of 32-bit words whose output bits each flip with probability 1/2 per input bit."""
    word = word ^ (word >> 16)
    word = (word * 0x7FEB352D) & _WORD
    word = word ^ (word >> 15)
    word = (word * 0x31848BAB) & _WORD
    word = word ^ (word >> 14)
    word = (word * 0x21F0AAAD) & _WORD
    return word ^ (word >> 16)


def bits(key, counter, lane):
    """32 random bits, as an int64 in [0, 2^32). ``key`` in [0, 2^62), ``counter`` and ``lane`` >= 0."""
    word = mix((counter + (key >> 32) + _GOLDEN) & _WORD)
    word = mix((word ^ key) & _WORD)
    word = mix((word + (counter >> 32)) & _WORD)
    # The lane is hashed before it meets the word: a plain sum would repeat runs of lanes, shifted.
    return mix(word ^ mix((lane + _GOLDEN) & _WORD))


def uniform(key, counter, lane):
    """A float64 uniform on (0, 1), a multiple of 2^-33."""
    return (bits(key, counter, lane) + 0.5) * 2.0**-32


def row_key(seed, row):
    """The 62-bit key of row ``row`` under ``seed`` (both >= 0): two hashes of the pair."""
    low = bits(seed & _WORD, seed >> 32, row)
    high = bits(low, seed & _WORD, row + 1)
    return ((high & 0x3FFFFFFF) << 32) | low
