"""Names and values in a form every MLflow back end takes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping

from recattn.errors import ConfigError, listed

NAME_LIMIT = 250
VALUE_LIMIT = 500


def metric_name(name: str) -> str:
    """`ndcg@10` -> `ndcg_at_10`; anything else MLflow refuses in a name becomes `_`."""
    clean = re.sub(r"[^\w\-. /]", "_", re.sub(r"\s*@\s*", "_at_", name)).strip("/ ")
    return (re.sub(r"/{2,}", "/", clean) or "_")[:NAME_LIMIT]


def renamed(names: Iterable[str]) -> dict[str, str]:
    """Each name with the one MLflow gets; two names that become one are a ConfigError."""
    taken: dict[str, str] = {}
    for name in names:
        clean = metric_name(str(name))
        if clean in taken:
            raise ConfigError(
                f"The names {listed([taken[clean], name])} are both {clean!r} in MLflow. Rename one of them."
            )
        taken[clean] = str(name)
    return {name: clean for clean, name in taken.items()}


def value_text(value: object) -> str:
    """A parameter as text: JSON for lists and mappings, cut at 500 characters.

    A cut text ends in its length and a digest, so that two different long values stay different.
    """
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        plain = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        text = json.dumps(plain, default=str, sort_keys=True)
    else:
        text = str(value)
    if len(text) <= VALUE_LIMIT:
        return text
    tail = f"… [{len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}]"
    return text[: VALUE_LIMIT - len(tail)] + tail
