"""The ring of moments: against a list of all that was ever appended."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from mfq.replay.snapshots import SnapshotRing

ROWS, AGENTS = 3, 5
CPU = torch.device("cpu")


def a_moment(coin, share):
    """Who is there, and what a moment tells of rows and of agents."""
    present = torch.rand(ROWS, AGENTS, generator=coin) < share
    rows = {"time": torch.randint(100, (ROWS,), generator=coin)}
    agents = {
        "hp": torch.rand(ROWS, AGENTS, generator=coin),
        "place": torch.randint(9, (ROWS, AGENTS, 2), generator=coin, dtype=torch.uint8),
    }
    return present, rows, agents


def blanked(present, rows, agents):
    """Zeros for those who are not there."""
    parts = {name: part.clone() for name, part in agents.items()}
    for part in parts.values():
        part[~present] = 0
    return rows | parts


def assert_whole(moments, history):
    """Each moment that is said to be whole comes back as it was appended."""
    for number in range(moments.oldest, moments.count):
        places = number % moments.length * ROWS + torch.arange(ROWS)
        assert_close(moments.at(places), history[number], rtol=0, atol=0)


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(1, 12),
    spare=st.integers(0, 40),
    shares=st.lists(st.sampled_from([0.0, 0.1, 0.6, 1.0]), min_size=1, max_size=30),
    seed=st.integers(0, 1000),
)
def test_moments_are_told_as_they_were(length, spare, shares, seed):
    coin, history = torch.Generator().manual_seed(seed), []
    room = 2 * ROWS * AGENTS + spare
    moments = SnapshotRing(length, room, ROWS, AGENTS, CPU)
    for share in shares:
        moment = a_moment(coin, share)
        moments.append(*moment)
        history.append(blanked(*moment))
        assert moments.slot == (len(history) - 1) % length
        assert moments.count == len(history)
        assert_whole(moments, history)
        assert_close(moments.last(), history[-1], rtol=0, atol=0)
    # No more is forgotten than must be: one moment more would not have fitted.
    sizes = [int((h["hp"] > 0).sum()) for h in history]
    kept = len(history) - moments.oldest
    assert kept == min(length, len(history)) or sum(sizes[moments.oldest - 1 :]) > room
    again = SnapshotRing.of(moments.state_dict(), ROWS, AGENTS, CPU)
    assert (again.count, again.oldest) == (moments.count, moments.oldest)
    moment = a_moment(coin, 0.5)
    for ring in (moments, again):
        ring.append(*moment)
    history.append(blanked(*moment))
    assert again.oldest == moments.oldest
    assert_whole(again, history)


def test_rows_of_many_moments_in_any_order():
    coin, history = torch.Generator().manual_seed(0), []
    moments = SnapshotRing(6, 100, ROWS, AGENTS, CPU)
    for _ in range(6):
        moment = a_moment(coin, 0.5)
        moments.append(*moment)
        history.append(blanked(*moment))
    number, row = torch.randint(6, (40,), generator=coin), torch.randint(3, (40,), generator=coin)
    found = moments.at(number * ROWS + row)
    for m in range(40):
        expected = {name: part[row[m]] for name, part in history[number[m]].items()}
        assert_close({name: part[m] for name, part in found.items()}, expected, rtol=0, atol=0)


def test_the_dead_take_no_room():
    coin = torch.Generator().manual_seed(0)
    moments = SnapshotRing(1000, 30, ROWS, AGENTS, CPU)
    moments.append(*a_moment(coin, 1.0))
    for _ in range(500):
        moments.append(*a_moment(coin, 0.0))
    assert moments.oldest == 0  # the first of all is still there
    assert moments.at(torch.arange(ROWS))["hp"].all()


def test_too_little_room_is_refused():
    with pytest.raises(ValueError, match=r"num_records=29; allowed: at least 30"):
        SnapshotRing(4, 29, ROWS, AGENTS, CPU)
