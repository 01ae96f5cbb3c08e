"""What each check of an argument accepts, returns and says."""

import math

import numpy as np
import pytest

from mfenvs.validate import flag, number, numbers, of_kind, one_of, positive, whole, widths


def test_values_come_back_as_plain_numbers():
    for value, expected in (
        (whole("n", np.int8(3), 3, 3), 3),
        (number("x", np.float32(-0.5)), -0.5),
        (number("x", np.array(2), 2.0, 2.0), 2.0),
        (positive("x", 1), 1.0),
    ):
        assert value == expected
        assert type(value) is type(expected)
    assert numbers("x", [[1, 2]]).dtype == np.float64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: whole("n", 0, 1), ValueError, "n=0; allowed: 1 or more"),
        (lambda: whole("n", 4, 1, 3), ValueError, "n=4; allowed: 1 to 3"),
        (lambda: whole("n", True, 1), TypeError, "n=True; allowed: an integer, 1 or more"),
        (lambda: whole("n", 1.0, 1, 3), TypeError, "n=1.0; allowed: an integer, 1 to 3"),
        (lambda: number("x", -1, 0.0), ValueError, "x=-1; allowed: 0 or more"),
        (lambda: number("x", 1.5, 0.0, 1.0), ValueError, "x=1.5; allowed: 0 to 1"),
        (lambda: number("x", math.nan), ValueError, "x=nan; allowed: finite numbers"),
        (lambda: number("x", "1"), TypeError, "x='1'; allowed: finite numbers"),
        (lambda: number("x", False), TypeError, "x=False; allowed: finite numbers"),
        (lambda: number("x", [1.0]), TypeError, "x has shape (1,); allowed: one number"),
        (
            lambda: numbers("x", [[1], [1, 2]]),
            TypeError,
            "x=[[1], [1, 2]]; allowed: finite numbers",
        ),
        (lambda: positive("x", 0.0), ValueError, "x=0.0; allowed: a number above 0"),
        (lambda: widths("w", 8), TypeError, "w=8; allowed: widths, such as (64, 64)"),
        (lambda: widths("w", (8, 0)), ValueError, "w=0; allowed: 1 or more"),
        (lambda: one_of("m", "c", ("a", "b")), ValueError, "m='c'; allowed: 'a', 'b'"),
        (lambda: one_of("m", True, (0, 1)), ValueError, "m=True; allowed: 0, 1"),
        (lambda: of_kind("m", 3, str, "a name"), TypeError, "m=3; allowed: a name"),
        (lambda: flag("m", 1), TypeError, "m=1; allowed: True or False"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
