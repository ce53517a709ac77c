"""The errors a user can meet."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RecattnError(Exception):
    """Base of every error recattn raises on purpose."""


class DataError(RecattnError, ValueError):
    """The data given breaks a rule of the door it came through."""


class ConfigError(RecattnError, ValueError):
    """A configuration has an unknown key or an impossible value."""


class NotFittedError(RecattnError, RuntimeError):
    """A model was asked to score before it was fitted or loaded."""


class ArtifactError(RecattnError, ValueError):
    """A saved model or store is damaged, incomplete, too new, or cannot be written."""


class TrainingError(RecattnError, RuntimeError):
    """Training cannot go on, for instance after a loss that is not a number."""


def nearest(name: str, options: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the option closest to `name`, or an empty string when none is close."""
    close = difflib.get_close_matches(str(name), [str(option) for option in options], n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def listed(values: Iterable[object], limit: int = 5) -> str:
    """The first `limit` values as text for a message, with the count of the rest."""
    items = [repr(value) for value in values]
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
