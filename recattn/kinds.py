"""Objects from what YAML can say: a name, or a mapping with a `kind`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from recattn.errors import ConfigError, nearest

PLAIN: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}


def make(spec: object, kinds: Mapping[str, Callable[..., Any]], where: str, *, not_plain: Collection[str] = ()) -> Any:
    """The object of `{kind: name, key: value, ...}`, or of a bare name.

    Args:
        spec: What was said.
        kinds: Names with what makes them, whose parameters are the keys.
        where: Opens the message of an error.
        not_plain: Parameters that no file can give.

    Raises:
        ConfigError: An unknown kind or key (the nearest is named), a key that is missing, an impossible value.
    """
    values = {"kind": spec} if isinstance(spec, str) else spec
    if not isinstance(values, Mapping) or "kind" not in values:
        raise ConfigError(f"{where} must be a mapping with a kind ({', '.join(kinds)}), got {spec!r}.")
    name = str(values["kind"])
    if name not in kinds:
        raise ConfigError(f"{where} has no kind {name!r}.{nearest(name, kinds)} There are: {', '.join(kinds)}.")
    parameters = {key: one for key, one in inspect.signature(kinds[name]).parameters.items() if key not in not_plain}
    given = {str(key): value for key, value in values.items() if key != "kind"}
    for key in given:
        if key not in parameters:
            has = ", ".join(parameters) or "no keys"
            raise ConfigError(f"{where} of kind {name!r} has no key {key!r}.{nearest(key, parameters)} It has: {has}.")
    for key, one in parameters.items():
        value, wanted = given.get(key), str(one.annotation)
        if one.default is inspect.Parameter.empty and value is None:
            raise ConfigError(f"{where} of kind {name!r} lacks {key!r}: {{kind: {name}, {key}: ...}}.")
        types = PLAIN.get(wanted.removesuffix(" | None"))
        if key not in given or types is None or (value is None and wanted.endswith("None")):
            continue
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ConfigError(f"{where} of kind {name!r}: {key} must be {wanted}, got {value!r}.")
    return kinds[name](**given)
