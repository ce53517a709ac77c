"""A command's options: read off its function, filled from YAML, then from the command line."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import itertools
import json
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from recattn.errors import ConfigError, nearest

Command = Callable[..., None]
WRONG_TYPE = (  # as jsonargparse says it, for a union and for a single type
    r"(--[\w.]+): .*Subtypes: \[(.+)\] Errors: .*Given value: (.+)",
    r"(--[\w.]+): Expected an? (.+)\. Got value: (.+)",
)


class UsageError(ConfigError):
    """The command line or the YAML file does not fit the command."""


class _Parser(ArgumentParser):
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise UsageError(message) from ex


def parse(name: str, command: Command, given: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments for `command`, from `--config FILE.yaml`, then the options.

    A first argument that is no option stands for the command's first parameter, several for one that is a list.
    Settings that are dataclasses arrive as such.

    Raises:
        UsageError: An option, key or value the command does not know; the message names the nearest.
        SystemExit: `--help` was asked for and printed.
    """
    first = next(iter(inspect.signature(command).parameters.values()))
    if given and not given[0].startswith("-"):
        nameless = list(itertools.takewhile(lambda argument: not argument.startswith("-"), given))
        if "list[str]" in str(first.annotation):
            given = [f"--{first.name}", json.dumps(nameless), *given[len(nameless) :]]
        else:
            given = [f"--{first.name}", *given]
    parser = _parser(name, command)
    try:
        values = parser.parse_args(list(given)).as_dict()
    except UsageError as error:
        stray = re.fullmatch(r"(?i)unrecognized arguments: ([^-]\S*)", str(error))
        hint = f" What has no name comes first: recattn {name} {stray[1]} ..." if stray else ""
        raise UsageError(f"{_clean(str(error), command)}{hint} See recattn {name} --help.") from error
    hints = typing.get_type_hints(command)
    return {
        key: hints[key](**value) if dataclasses.is_dataclass(hints[key]) else value
        for key, value in values.items()
        if key in hints
    }


def keys_of(command: Command) -> Iterator[str]:
    """Every key of the command: `k`, `model`, `model.dim` ..."""
    yield "config"
    for key, kind in typing.get_type_hints(command).items():
        if key != "return":
            yield key
        if dataclasses.is_dataclass(kind):
            yield from (f"{key}.{field.name}" for field in dataclasses.fields(kind))


def speak_cli(message: str, command: Command) -> str:
    """A message of the library with its remedies as options: `pass overwrite=True` becomes `pass --overwrite`."""
    keys = set(keys_of(command))

    def option(found: re.Match[str]) -> str:
        word, key, value = found.groups()
        if key not in keys:
            return found[0]
        inner = re.fullmatch(r"\{'(\w+)': ('?)(.+?)\2\}", value)
        if inner:
            return f"{word} --{key}.{inner[1]} {inner[3]}"
        return f"{word} --{key}" if value == "True" else f"{word} --{key} {value.strip(chr(39)).lower()}"

    return re.sub(r"\b([Pp]ass) (\w+)=(\{[^}]*\}|'[^']*'|\w+)", option, message)


def _parser(name: str, command: Command) -> _Parser:
    text = inspect.getdoc(command) or ""
    parser = _Parser(
        prog=f"recattn {name}",
        usage=f"recattn {name} [--config FILE.yaml] [options]",
        description=text.partition("\n\nArgs:")[0],
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="YAML file with any of the options below; they override it.")
    parser.add_function_arguments(command, as_group=False)
    for action in parser._actions:
        if getattr(action, "_typehint", None) is bool:  # a bare `--overwrite` is true
            action.nargs, action.const = "?", True
    return parser


class _Help(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Types and defaults beside the options; the lines of the description as they are."""


def _clean(message: str, command: Command) -> str:
    """jsonargparse's message in one line, with the nearest of what would have been right."""
    message = re.sub(r'Parser key "([\w.]+)":\s*', r"--\1: ", message)
    message = re.sub(r"<class '(\w+)'>", r"\1", message).replace("typing.", "")
    message = " ".join(message.split()).rstrip(".")
    found = next(filter(None, (re.match(form, message) for form in WRONG_TYPE)), None)
    if found:
        key, wanted, value = found.groups()
        choices = re.findall(r"'([^']+)'", wanted) if "Literal" in wanted else []
        wanted = f"one of {', '.join(choices)}" if choices else wanted.replace("NoneType", "null")
        return f"{key} must be {wanted}, got {value!r}.{nearest(value, choices)}"
    return f"{message}.{_hint(message, list(keys_of(command)))}"


def _hint(message: str, keys: Sequence[str]) -> str:
    inside = re.search(r"Group '([\w.]+)' does not accept (?:option|nested key) '([\w.]+)'", message)
    wrong = [".".join(inside.groups())] if inside else re.findall(r"--([\w.]+)|[\"']([\w.]+)[\"']", message)
    names = [name if isinstance(name, str) else next(filter(None, name)) for name in wrong]
    return next((found for name in names if name not in keys and (found := nearest(name, keys))), "")
