"""Options of learners and of runs, put together."""


def merged(*options):
    """Returns all options in one dict; of the same name the last one, of nested dicts field by field."""
    result = {}
    for some in options:
        for name, value in some.items():
            if isinstance(value, dict) and isinstance(result.get(name), dict):
                value = merged(result[name], value)
            result[name] = value
    return result


def agents_scores(printed):
    """The agent's column of a table of scores, by name."""
    head, *lines = printed.splitlines()
    assert head.split() == ["agent", "random", "play"]
    return {line.split()[0]: line.split()[1] for line in lines}
