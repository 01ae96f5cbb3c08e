"""Reads flags as configuration dataclasses, by tyro, and says in one voice what is wrong with them."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from mfenvs.validate import did_you_mean
from mfq.cli.choices import HELP
from mfq.cli.errors import UsageError

Words = list[str]
WIDTH = 80
MAX_FLAGS = 12  # in a message
_RULE = re.compile(r"^[\s│╭╮╰╯─]*(-{9,})?[\s│╭╮╰╯─]*$|[│╭╮╰╯─]", re.M)
_BAD_VALUE = re.compile(r"Error parsing (\S+): (.*?) ?(?:Argument helptext:|For full helptext|$)")
_BAD_CHOICE = re.compile(r"invalid choice .* for argument '([^']+)'")
_MISSING = re.compile(r"Required options Missing from .*?: [A-Z]+ (.*?) \(required\)")
_NO_VALUE = re.compile(r"Missing value for argument '([^']+)'")


# -- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trust:
    """Code that files may name.

    Attributes:
        trust: MODULE:NAME of code that checkpoints may name, such as your environment; may be repeated.
    """

    trust: tuple[str, ...] = ()


def trust(words: Words) -> Words:
    """Trusts the names after --trust flags; returns the other words."""
    import tyro

    from mfq.envs import lookup

    given, words = read_some(
        tyro.conf.configure(tyro.conf.UseAppendAction)(Trust), words, "mfq", names={"--trust": str}
    )
    lookup.trust(given.trust)
    return words


@dataclass(frozen=True)
class File:
    """Options in a file.

    Attributes:
        config: a YAML file.
    """

    config: str | None = None


class Help(NamedTuple):
    """What the help of a command says around its options.

    Attributes:
        text: paragraphs, and a line for each flag that it explains.
        examples: commands to type.
    """

    text: str
    examples: tuple[str, ...]


def help_of(kind: type[Any], *examples: str, more: str = "") -> Help:
    """Returns the first part of a dataclass's docstring, with further lines and examples."""
    text = (kind.__doc__ or "").partition("Attributes:")[0]
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    return Help("\n\n".join(filter(None, [*paragraphs, more])), examples)


def parse_with_file(kind: type[Any], words: Words, program: str, *examples: str) -> Any:
    """Returns a configuration from flags, over those of ``--config FILE.yaml``.

    Args:
        kind: the dataclass.
        words: the words to parse.
        program: the command, for help and messages.
        examples: commands to show in the help.

    Raises:
        UsageError: as `parse`.
        OSError, ValueError, TypeError: for a file that is missing or wrong.
    """
    from mfq.common.config import from_yaml, read_yaml

    file, words = read_some(File, words, program)
    default = None
    if file.config is not None:
        _check_types(kind, read_yaml(file.config), file.config)
        default = from_yaml(kind, file.config)
    more = "--config FILE.yaml reads options from a file; flags override them.\n"
    more += "--trust MODULE:NAME lets checkpoints name code of yours."
    return parse(kind, words, program, help_of(kind, *examples, more=more), default)


def _check_types(kind: type[Any], options: dict[str, Any], path: str) -> None:
    """Raises UsageError for an option of a file that has another type than the dataclass's field."""
    hints = get_type_hints(kind)
    for name, value in options.items():
        if name in hints and not _fits(value, hints[name]):
            raise UsageError(f"{path}: {name}={value!r}; allowed: {_allowed(hints[name])}")


def _fits(value: Any, annotation: Any) -> bool:
    """Returns whether a value of YAML fits an annotation; True for annotations that YAML cannot fill."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _fits(value, parts[0])
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin in (tuple, list):
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(isinstance(name, str) for name in value)
    plain: dict[Any, tuple[type, ...]] = {
        int: (int,),
        float: (int, float),
        bool: (bool,),
        str: (str,),
        type(None): (type(None),),
    }
    return annotation not in plain or type(value) in plain[annotation]


def parse(
    kind: type[Any],
    words: Words,
    program: str,
    about: Help,
    default: Any = None,
    agent: type[Any] | None = None,
) -> Any:
    """Returns a configuration from flags.

    Args:
        kind: the dataclass.
        words: the words to parse.
        program: the command, for help and messages.
        about: the text around the options in the help.
        default: the values of options without a flag; None for the dataclass's defaults.
        agent: the dataclass of the field ``agent``.

    Raises:
        UsageError: for unknown flags, and for values of another type.
        ValueError, TypeError: from the dataclass.
    """
    default = kind() if default is None else default
    annotations: dict[str, Any] = {} if agent is None else {"agent": agent}
    changed: dict[str, Any] = {}
    known = {part.name for part in fields(kind)}
    if "env_options" in known:
        annotations["env_options"] = set_flag()
        changed["env_options"] = {}  # the default's are merged below
    if "opponents" in known:
        annotations["opponents"] = Annotated[dict[str, float], _shares()]
    flagged = with_annotations(kind, annotations)
    values = {part.name: getattr(default, part.name) for part in fields(kind)}
    start = flagged(**{**values, **changed})
    parsed = read(flagged, words, program, about, start, flags_of(kind, start))
    config = kind(**{name: getattr(parsed, name) for name in values})
    if "env_options" in known:
        config = replace(config, env_options={**default.env_options, **parsed.env_options})
    return config


def read(
    kind: Any,
    words: Words,
    program: str,
    about: Help,
    default: Any = None,
    names: dict[str, Any] | None = None,
) -> Any:
    """Returns an instance of a dataclass from flags; with --help prints the help and exits.

    Args:
        kind, words, program, about, default: as for `parse`.
        names: the annotations of the flags; None for those of the dataclass.

    Raises:
        UsageError: for unknown flags, and for values of another type.
    """
    import tyro

    names = flags_of(kind) if names is None else names
    options: dict[str, Any] = {} if default is None else {"default": default}
    options |= {"prog": program, "description": ""}
    if any(word in HELP for word in words):
        print(_help(kind, about, options))
        sys.exit(0)
    with _reworded(words, names):
        parsed, rest = tyro.cli(kind, args=words, return_unknown_args=True, **options)
    if rest:
        raise UsageError(_unknown(rest, names, program))
    return parsed


def _help(kind: Any, about: Help, options: dict[str, Any]) -> str:
    """Returns the help of a command: tyro's, with the text above the options and the examples below,
    where they are seen without scrolling back."""
    import tyro

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        tyro.cli(kind, args=["--help"], **options)
    usage, _, rest = printed.getvalue().replace("``", "").partition("\n")
    rest = "\n".join(line.rstrip() for line in rest.splitlines() if set(line.strip()) != {"-"})
    lines = [usage, ""]
    for line in about.text.splitlines():
        further = "    " if line.startswith("--") else ""
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=further, break_on_hyphens=False) or [
            ""
        ]
    shown = "Example:" if len(about.examples) == 1 else "Examples:"
    lines += ["", rest.strip(), "", shown, *(f"  {example}" for example in about.examples)]
    return "\n".join(lines)


def read_some(
    kind: Any, words: Words, program: str, names: dict[str, Any] | None = None
) -> tuple[Any, Words]:
    """Returns an instance of a dataclass, and the words that are not its flags."""
    import tyro

    with _reworded(words, flags_of(kind) if names is None else names):
        return tyro.cli(kind, prog=program, args=words, return_unknown_args=True, add_help=False)


def is_given(option: str, words: Words) -> bool:
    """Whether an option is among words, also if with the value that it has by default."""
    return any(word == f"--{option}" or word.startswith(f"--{option}=") for word in words)


# -- messages -----------------------------------------------------------------------------------


def flags_of(kind: type[Any], default: Any = None, prefix: str = "") -> dict[str, Any]:
    """Returns the annotations of a dataclass's flags, such as "--agent.gamma", those of its parts
    included; "--no-NAME" for one that may be False."""
    hints, flags = get_type_hints(kind), dict[str, Any]()
    for part in fields(kind):
        value = getattr(default, part.name, None)
        if is_dataclass(value):
            flags |= flags_of(type(value), value, f"{prefix}{part.name}.")
            continue
        name = "set" if part.name == "env_options" else part.name
        flags[f"--{prefix}{name}".replace("_", "-")] = hints[part.name]
        if hints[part.name] is bool:
            flags[f"--{prefix}no-{name}".replace("_", "-")] = bool
    return flags


@contextlib.contextmanager
def _reworded(words: Words, names: dict[str, Any]) -> Iterator[None]:
    """Returns a context in which an error of tyro's is raised as a `UsageError`."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as stop:
        if not stop.code:
            raise
        text = " ".join(_RULE.sub(" ", said.getvalue()).split())
        raise UsageError(_message(text, words, names)) from None


def _message(text: str, words: Words, names: dict[str, Any]) -> str:
    """Returns an error of tyro's, without its boxes, as "--flag=value; allowed: ..."."""
    if (match := _MISSING.search(text)) is not None:
        return f"an argument is missing; allowed: {match[1]}"
    for pattern in (_BAD_CHOICE, _NO_VALUE, _BAD_VALUE):
        if (match := pattern.search(text)) is None:
            continue
        flag = match[1].partition("/")[0]
        detail = match[2] if pattern is _BAD_VALUE else ""
        if "allowed:" in detail:  # of a check of ours
            return detail
        if pattern is _NO_VALUE and not flag.startswith("-"):
            return f"an argument is missing; allowed: {flag.upper()}"
        if flag in names:
            given = _values(flag, words)
            meant = did_you_mean(given, get_args(names[flag]))
            return f"{flag}={given}; {meant}allowed: {_allowed(names[flag])}"
    return text


def _values(flag: str, words: Words) -> str:
    """Returns the values that words give to a flag; "" for none."""
    given = ""
    for k, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") != flag:
            continue
        following = []
        for after in words[k + 1 :]:
            if after.startswith("--"):
                break
            following.append(after)
        given = " ".join([value, *following] if equals else following)
    return given


def _allowed(annotation: Any) -> str:
    """Returns the values of an annotation in words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _allowed(parts[0])
    if origin in (Union, types.UnionType):
        return " or ".join("None" if part is type(None) else _allowed(part) for part in parts)
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin in (tuple, list):
        return f"one or more values, each {_allowed(parts[0])}" if parts else "values"
    if origin is dict or annotation is dict:
        return "NAME=VALUE ..."
    named = {int: "an integer", float: "a number", bool: "True or False", str: "a text"}
    return named.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _unknown(rest: Words, names: dict[str, Any], program: str) -> str:
    """Returns the message for words that are no flags of a command."""
    word = next((word for word in rest if word.startswith("-")), rest[0])
    if not word.startswith("--"):
        return f"argument={word!r} is unknown; allowed: the flags of {program} --help"
    flag = word.partition("=")[0].replace("_", "-").removeprefix("--")
    flags = [name.removeprefix("--") for name in names]
    near = [name for name in flags if name.endswith(f".{flag}")]  # gamma: agent.gamma
    meant = f"did you mean {near[0]}? " if near else did_you_mean(flag, flags, likeness=0.7)
    allowed = ", ".join(names) if len(names) <= MAX_FLAGS else f"those of {program} --help"
    return f"--{flag} is no flag; {meant.replace('mean ', 'mean --')}allowed: {allowed}"


# -- dicts --------------------------------------------------------------------------------------


def with_annotations(kind: type[Any], annotations: dict[str, Any]) -> Any:
    """Returns a subclass of a dataclass with other annotations of some dicts among its fields, and
    without its checks, so that they are not made before its fields have their values."""
    namespace: dict[str, Any] = {name: field(default_factory=dict) for name in annotations}
    namespace |= {"__annotations__": annotations, "__doc__": kind.__doc__, "__module__": __name__}
    namespace["__post_init__"] = lambda self: None
    return dataclass(frozen=True)(type(kind.__name__, (kind,), namespace))


def set_flag() -> Any:
    """Returns the annotation of a dict of options that --set NAME=VALUE fills."""
    import tyro

    return Annotated[
        dict[str, Any], _settings(), tyro.conf.arg(name="set", help="options of the game")
    ]


def _settings() -> Any:
    """Returns tyro's parser of NAME=VALUE words, with values in YAML."""
    import yaml

    def load(words: list[str]) -> dict[str, Any]:
        settings = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or not name:
                raise ValueError(f"--set {word}; allowed: NAME=VALUE")
            try:
                settings[name] = yaml.safe_load(value)
            except (yaml.YAMLError, ValueError):  # ValueError: a date that is none
                raise ValueError(f"--set {word}; allowed: a value in YAML") from None
        return settings

    return _of_words(
        load, "NAME=VALUE", lambda settings: [f"{name}={value}" for name, value in settings.items()]
    )


def _shares() -> Any:
    """Returns tyro's parser of NAME SHARE words."""

    def load(words: list[str]) -> dict[str, float]:
        if len(words) % 2:
            raise ValueError(f"--opponents {' '.join(words)}; allowed: NAME SHARE NAME SHARE ...")
        shares = {}
        for name, share in zip(words[::2], words[1::2], strict=True):
            try:
                shares[name] = float(share)
            except ValueError:
                raise ValueError(f"--opponents {name} {share}; allowed: a number") from None
        return shares

    return _of_words(
        load, "NAME SHARE", lambda shares: [str(word) for pair in shares.items() for word in pair]
    )


def _of_words(
    load: Callable[[list[str]], dict[str, Any]],
    metavar: str,
    words: Callable[[dict[str, Any]], list[str]],
) -> Any:
    """Returns tyro's description of a dict that any number of words give."""
    import tyro

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar=metavar,
        instance_from_str=load,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=words,
    )
