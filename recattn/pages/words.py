"""How numbers and names are written on pages."""

from __future__ import annotations


def percent(share: float) -> str:
    """`+2.1 %`, with a real minus; nothing for what is not a number."""
    return "" if share != share else f"{share:+.1%}".replace("-", "−")


def count_of(count: int, word: str) -> str:
    """`1 request`, `1,234 requests`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
