"""Pages to look at: self-contained HTML, everything escaped."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Limits": "recattn.pages.explanation",
    "comparison_page": "recattn.pages.comparison",
    "explanation_page": "recattn.pages.explanation",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recattn.pages' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
