"""A function of a recipe as a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from recattn.errors import RecattnError


def command(run: Callable[..., Any], arguments: Sequence[str] | None) -> int:
    """`run` with an option an argument; the exit status."""
    from jsonargparse import auto_cli  # `run` itself runs where it is not installed

    try:
        auto_cli(run, args=arguments, as_positional=False)
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
