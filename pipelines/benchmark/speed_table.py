"""Tables of what the speed benchmark measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipelines.benchmark.speed_rows import PEER

Found = dict[str, Any]


def epochs_table(found: Found) -> pd.DataFrame:
    """One row a model: medians over rounds with the least and the most, ratios to RecTools taken round by round."""
    each = pd.DataFrame(found["measurements"])
    each["seconds"] = each["epoch_seconds"].map(np.median)
    each["per_million"] = each["seconds"] / each["targets"] * 1e6
    by_round = each.pivot(index="round", columns="row", values=["seconds", "per_million"])  # noqa: PD010
    lines = []
    for name in [row["name"] for row in found["rows"] if row["name"] in set(each["row"])]:
        mine = each[each["row"] == name]
        line = {
            "row": name,
            "targets": int(mine["targets"].iloc[0]),
            "steps": int(mine["steps"].iloc[0]),
            "epoch_s": mine["seconds"].median(),
            "least_s": mine["seconds"].min(),
            "most_s": mine["seconds"].max(),
            "s_per_million": mine["per_million"].median(),
            "peak_mb": round(mine["peak_bytes"].median() / 2**20),
            "rounds": len(mine),
        }
        for kind, label in (("seconds", "times_rectools"), ("per_million", "times_rectools_per_target")):
            if (kind, PEER.name) in by_round:
                line[label] = (by_round[kind, PEER.name] / by_round[kind, name]).median()
        lines.append(line)
    return pd.DataFrame(lines)


def quality_table(found: Found) -> pd.DataFrame:
    """One row a model: training seconds (validations left out) until the target was first reached, NaN if never."""
    lines = []
    for name in [row["name"] for row in found["rows"]]:
        for one in (one for one in found["measurements"] if one["row"] == name):
            curve, seconds = np.array(one["ndcg_at_10"]), np.cumsum(one["epoch_seconds"])
            reached = np.flatnonzero(curve >= found["settings"]["target"])
            lines.append(
                {
                    "row": name,
                    "round": one["round"],
                    "seconds": seconds[reached[0]] if len(reached) else np.nan,
                    "epochs": int(reached[0]) + 1 if len(reached) else np.nan,
                    "epoch_s": float(np.median(one["epoch_seconds"])),
                    "best_ndcg_at_10": curve.max(),
                    "epochs_trained": len(curve),
                    "peak_mb": round(one["peak_bytes"] / 2**20),
                }
            )
    return pd.DataFrame(lines)


def text_of(found: Found, table: pd.DataFrame) -> str:
    """The table in Markdown, with the command, the machine and what was the same for all."""
    machine, settings, data = found["machine"], found["settings"], found["data"]
    head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}\n"
    rows = "".join(f"| {' | '.join(_cell(value) for value in row)} |\n" for row in table.itertuples(index=False))
    same = ", ".join(f"{name}={settings[name]}" for name in ("core", "threads", "allocator", "warm_up", "seed"))
    left = "".join(f"- not measured: {name}: {why}\n" for name, why in found["left_out"].items())
    versions = {k: v for one in found["measurements"] for k, v in one["versions"].items()}
    what = "`times_rectools`: seconds of RecTools over those of the row, in the same round, the median."
    if settings["target"] is not None:
        what = (
            f"`seconds`: of training, judging left out, until NDCG@10 on each user's validation item was first "
            f"{settings['target']} or more (whole catalog, seen items left out); empty where it never was."
        )
    return (
        f"# {data['name']}\n\n`{found['command']}`\n\n{head}{rows}\n"
        f"{data['users']:,} users, {data['items']:,} items, {data['interactions']:,} training interactions. "
        "An epoch includes its data loading. RecTools trains on the last 200 targets of each user, ours on every "
        "interaction (`targets`), the first of a user from an empty history; rows `last 201` see what RecTools sees. "
        f"{what}\n\n"
        f"- {machine['cpu']} ({machine['cpus']} cores; flags looked for: {', '.join(machine['flags'])})\n"
        f"- Python {machine['python']}, torch {machine['torch']}, numpy {machine['numpy']}, "
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}\n"
        f"- all processes alike: {same}\n{left}"
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:,.4f}" if abs(value) < 1 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)
