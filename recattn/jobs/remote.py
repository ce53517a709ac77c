"""Small inputs that lie at a URI, as frames."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from recattn.dataset.manifest import MANIFEST
from recattn.errors import ConfigError
from recattn.jobs.slate import open_rows
from recattn.jobs.storage import Storage, shown


def near(where: str, what: str) -> Any:
    """A path as it is; the Parquet or CSV at a URI as one DataFrame.

    Raises:
        ConfigError: A history store, which must lie on a disk.
        DataError: Nothing there, or files that cannot be read.
    """
    if "://" not in where:
        return where
    if Storage.at(where).kind(MANIFEST) == "file":
        raise ConfigError(
            f"{what}: {shown(where)} is a history store, which must lie on a disk. Copy it to one, or name the log."
        )
    rows = open_rows(where, what, {})
    return pa.concat_tables(rows.tables([(0, len(rows))])).to_pandas()
