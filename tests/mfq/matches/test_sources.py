"""Names of players and runs on the command line."""

import pytest

from mfq.matches.sources import sources_by_name


def test_sources_are_read_in_all_three_forms():
    words = ["rush", "runs/a", "x=runs/b", "y=runs/c,runs/d"]
    assert list(sources_by_name("players", words).items()) == [
        ("rush", ("rush",)),
        ("a", ("runs/a",)),
        ("x", ("runs/b",)),
        ("y", ("runs/c", "runs/d")),
    ]
    assert sources_by_name("players", ["x=a=b"]) == {"x": ("a=b",)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["=rush"], "players has '=rush'; allowed: RUN, NAME=RUN or NAME=RUN,RUN"),
        (["x="], "players has 'x='; allowed"),
        (["x=a,"], "players has 'x=a,'; allowed"),
        (["runs/a", "other/a"], "players has 'a' twice; allowed: each name once"),
        (["x=a", "x=b"], "players has 'x' twice"),
    ],
)
def test_bad_words_are_named(words, message):
    with pytest.raises(ValueError) as error:
        sources_by_name("players", words)
    assert message in str(error.value)
