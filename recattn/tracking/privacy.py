"""What may leave for MLflow: ids hashed, messages without secrets."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

import pandas as pd

SALT_VARIABLE = "RECATTN_HASH_SALT"
_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")
_NAMED = re.compile(
    r"(?i)\b([\w.-]*(?:password|passwd|secret|token|api[_-]?key|authorization|credential)[\w.-]*"
    r"[\"']?\s*[=:]\s*(?:bearer\s+|basic\s+)?[\"']?)[^\s\"',;&]+"
)
_SECRET_VARIABLE = re.compile(r"(?i)password|secret|token|api_?key|credential")


def hashed(ids: pd.Series) -> pd.Series:
    """Each id as 16 hex digits of sha256(salt + id as text); nulls stay null.

    The salt is the text of the environment variable `RECATTN_HASH_SALT`, empty where it is not set. One salt
    gives one id the same hash in every run, which is what lets runs be compared user by user. Without a salt
    whoever can list the ids can also reverse the hashes: they are pseudonyms, not anonymous.
    """
    salt = os.environ.get(SALT_VARIABLE, "")
    codes, unique = pd.factorize(ids)
    names = [hashlib.sha256(f"{salt}{value}".encode()).hexdigest()[:16] for value in unique]
    values: list[Any] = [names[code] if code >= 0 else None for code in codes]
    return pd.Series(values, index=ids.index, name=ids.name, dtype=object)


def scrubbed(text: str, limit: int = 500) -> str:
    """`text` without passwords in URLs, named secrets and the values of secret environment variables."""
    for name, value in os.environ.items():
        if len(value) >= 6 and _SECRET_VARIABLE.search(name):
            text = text.replace(value, "***")
    text = _NAMED.sub(r"\1***", _IN_URL.sub("***@", text))
    return text if len(text) <= limit else text[: limit - 1] + "…"
