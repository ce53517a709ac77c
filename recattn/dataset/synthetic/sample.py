"""Writing a generated world to files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from recattn.dataset.synthetic.world import World


def write_sample(world: World, folder: str | Path) -> list[Path]:
    """Write `interactions`, `items` and `users` as Parquet, and `candidates.csv`, a slate to score.

    The bytes follow from the world and the version of pyarrow alone. The folder is made; files of these names
    in it are replaced.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    frames = {"interactions": world.interactions, "items": world.items, "users": world.users}
    paths = [_write_parquet(frame, folder / f"{name}.parquet") for name, frame in frames.items()]
    candidates = folder / "candidates.csv"
    world.slate().to_csv(candidates, index=False, lineterminator="\n")
    return [*paths, candidates]


def _write_parquet(frame: pd.DataFrame, path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    wide = pa.types.is_large_string  # pandas 3 gives wide text, pandas 2 narrow text
    fields = [field.with_type(pa.string()) if wide(field.type) else field for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), path, compression="zstd")
    return path
