"""`recattn prepare`: from a tidy file to a history store."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Literal

from recattn.cli.console import headline, log, say, working
from recattn.cli.files import check_place
from recattn.cli.kinds import listed
from recattn.cli.settings import Columns
from recattn.config import Time
from recattn.dataset import HistoryStore, Vocabulary
from recattn.schema import read_interactions
from recattn.schema.columns import ITEM
from recattn.schema.times import Unit

COLUMNS = Columns()


def run(
    data: str,
    out: str,
    columns: Columns = COLUMNS,
    unit: Unit = "s",
    time: Time = "timestamp",
    extras: str | list[str] | None = None,
    bad_rows: Literal["error", "drop"] = "error",
    now: str | int | None = None,
    overwrite: bool = False,
) -> None:
    """Turn interactions into a history store: a folder of plain arrays that opens at once and is mapped, not read.

    recattn prepare log.csv --out store --columns.timestamp ts --unit ms

    Args:
        data: CSV or Parquet file, or a folder of such files; may come first, without its name.
        out: The folder to write.
        columns: What the file calls our columns.
        unit: What numbers in timestamp count.
        time: `order` where only the order within a user is known.
        extras: Further columns to keep, such as those of context features: `device,country`.
        bad_rows: What to do with rows without ids or readable timestamps.
        now: Rows later than this date (or second) are bad rows.
        overwrite: Whether to replace the folder.
    """
    place = check_place(out, overwrite=overwrite)
    begin = clock.perf_counter()
    with working("reading"):
        frame = read_interactions(data, columns=columns.mapping(), unit=unit, time=time, now=now, bad_rows=bad_rows)
    log.info("read %s rows in %.1f s", f"{len(frame):,}", clock.perf_counter() - begin)
    with working("writing"):
        store = HistoryStore.from_frame(
            frame, Vocabulary.from_values(ITEM, frame[ITEM]), time=time, extras=listed(extras)
        )
        del frame
        store.save(place, overwrite=overwrite)
    seconds = clock.perf_counter() - begin
    lengths = store.lengths
    say(f"{len(store):,} interactions of {len(store.users):,} users with {len(store.item_vocabulary):,} items")
    say(f"histories: mean {lengths.mean():.1f}, longest {lengths.max():,}")
    say(f"{place}: {_megabytes(place):.1f} MB, written in {seconds:.1f} s")
    headline("next")
    say(
        f"  recattn train --interactions {place} --out model"
        + (" --model.time order --split.kind leave_last_out" if time == "order" else "")
    )


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
