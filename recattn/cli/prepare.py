"""`recattn prepare`: from a tidy file to a history store, or into one that is there."""

from __future__ import annotations

import datetime
import time as clock
from pathlib import Path
from typing import Literal

from recattn.cli.console import headline, log, say, working
from recattn.cli.files import check_place
from recattn.cli.kinds import listed
from recattn.cli.settings import Columns
from recattn.config import Time
from recattn.dataset import HistoryStore
from recattn.dataset.compact import compact_store
from recattn.dataset.manifest import Manifest
from recattn.errors import ConfigError
from recattn.schema.times import Unit

COLUMNS = Columns()


def run(
    data: str,
    out: str | None = None,
    append: str | None = None,
    columns: Columns = COLUMNS,
    unit: Unit = "s",
    time: Time = "timestamp",
    extras: str | list[str] | None = None,
    bad_rows: Literal["error", "drop"] = "error",
    now: str | int | None = None,
    memory_budget: str = "1GB",
    overwrite: bool = False,
    again: bool = False,
    compact: bool = False,
) -> None:
    """Turn interactions into a history store: a folder of plain arrays that opens at once and is mapped, not read.

    recattn prepare log.csv --out store --columns.timestamp ts --unit ms
    recattn prepare today.parquet --append store

    Args:
        data: CSV or Parquet file, or a folder of such files; may come first, without its name. Parquet may be larger
            than memory, and may have one row a user with lists of items and timestamps.
        out: The folder to write.
        append: Instead of `out`: the store to add the interactions to. Late ones are sorted to their place.
        columns: What the file calls our columns.
        unit: What numbers in timestamp count.
        time: `order` where only the order within a user is known. A store that is appended to keeps its own.
        extras: Further columns to keep, such as those of context features: `device,country`. A store that is
            appended to keeps its own.
        bad_rows: What to do with rows without ids or readable timestamps.
        now: Rows later than this date (or second) are bad rows.
        memory_budget: What sorting may take, beside the libraries and the ids of the items.
        overwrite: Whether to replace the folder.
        again: With `append`: whether to take a file that is in the store already.
        compact: With `append`: put the store's parts together now, not when it is next opened.
    """
    if (out is None) == (append is None):
        raise ConfigError("name the folder to write with --out, or the store to add to with --append.")
    begin = clock.perf_counter()
    how = {"columns": columns.mapping(), "unit": unit, "now": now, "bad_rows": bad_rows, "memory_budget": memory_budget}
    if append is not None:
        if extras or overwrite:
            raise ConfigError("--extras and --overwrite go with --out; a store that is appended to keeps its columns.")
        with working("appending"):
            made = HistoryStore.append(append, data, again=again, **how)
            made = compact_store(Path(append)) if compact else made
        _tell_appended(made, Path(append))
    else:
        assert out is not None
        if again or compact:
            raise ConfigError("--again and --compact go with --append.")
        place = check_place(out, overwrite=overwrite)
        with working("building"):
            made = HistoryStore.build(data, place, time=time, extras=listed(extras), overwrite=overwrite, **how)
        _tell_built(made, place)
    log.info("took %.1f s", clock.perf_counter() - begin)
    if out is not None:
        headline("next")
        order = " --model.time order --split.kind leave_last_out" if time == "order" else ""
        say(f"  recattn train --interactions {out} --out model{order}")


def _tell_built(made: Manifest, place: Path) -> None:
    [about] = made.segments.values()
    rows, users = about["interactions"], about["users"]
    say(f"{rows:,} interactions of {users:,} users with {about['items']:,} items")
    say(f"histories: mean {rows / max(1, users):.1f}, longest {about['longest']:,}")
    say(f"{place}: {_megabytes(place):.1f} MB")


def _tell_appended(made: Manifest, place: Path) -> None:
    step, rows = made.generations[-1], sum(about["interactions"] for about in made.segments.values())
    late = f", {step['late']:,} of them late" if step["late"] else ""
    say(f"{step['rows']:,} interactions added{late}; {rows:,} in {place} now, in {len(made.segments)} segments")
    if made.high_water is not None:
        latest = datetime.datetime.fromtimestamp(made.high_water, tz=datetime.UTC)
        say(f"the latest: {latest:%Y-%m-%d %H:%M:%S} UTC")


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
