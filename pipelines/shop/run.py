"""A shop's reviews or orders, from a folder of files to an MLflow run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

import recattn as ra
from pipelines.command import command
from pipelines.shop.features import USUAL, asked_for, usable
from pipelines.shop.read import Catalog, read_shop
from pipelines.steps import Task, baselines, carry_out
from recattn.dataset.split import Part
from recattn.dataset.targets import Target


def run(
    data: str,
    *,
    experiment: str = "shop",
    run_name: str | None = None,
    tracking_uri: str | None = None,
    split: Literal["time", "leave_last_out"] = "time",
    q: float = 0.9,
    target: Target = "last",
    part: Part = "test",
    columns: dict[str, str] | None = None,
    item_features: list[str | dict[str, Any]] | None = None,
    category_levels: int | None = None,
    catalog: Catalog = "all",
    popularity_window: str | None = "90D",
    refit: bool = False,
    checkpoint_dir: str | None = None,
    resume: bool = False,
    model: ra.ModelConfig | None = None,
    train: ra.TrainConfig | None = None,
) -> pd.DataFrame:
    """Train on a shop's log, judge beside the baselines, keep all of it in an MLflow run.

    Args:
        data: The folder with the shop's files.
        experiment: The MLflow experiment.
        run_name: The name of the run; MLflow makes one up by default.
        tracking_uri: The MLflow to write to; by default the one set, else sqlite:///mlflow.db.
        split: By time, or each user's last interactions (which leaks the future of other users).
        q: For a split by time: the share of the interactions before each cut.
        target: The requests: a user's last interaction, each one in turn, or all at once.
        part: Whose requests are judged; `valid` leaves the test unopened while settings are chosen.
        columns: Our name of a column to yours, e.g. {user_id: buyer}; common names are known.
        item_features: categories, brand, price, or {kind: categorical, column: color}; null takes of the three what
            there is, [] none.
        category_levels: Only the last levels of each path of categories; null keeps all.
        catalog: All items of the file, or only those that somebody touched.
        popularity_window: The time before the end of train that the popularity baseline counts; null counts all.
        refit: Whether to train anew on train + valid for the best number of epochs before the test.
        checkpoint_dir: Folder for checkpoints; needed to resume.
        resume: Go on from the last checkpoint there, in the same MLflow run.
        model: The scorer. Its `time` and `ties` follow from the split.
        train: How it is trained.

    Returns:
        One row a recommender, with its metrics and, for baselines, how far the model leads in NDCG@10.
    """
    asked = None if item_features is None else asked_for(item_features)
    further = [spec.column for spec in asked or [] if spec.column not in USUAL]
    shop = read_shop(data, columns=columns, further=further, category_levels=category_levels, catalog=catalog)
    features = usable(asked, shop.items)
    log = shop.interactions
    parts = ra.leave_last_out(log) if split == "leave_last_out" else ra.split_by_time(log, q=q)
    print("\n".join([shop.form, *(f"- {note}" for note in shop.notes)]))
    print(f"- features: {', '.join(spec.column for spec in features) or 'none'}\n{parts.summary().to_string()}")
    task = Task(parts, target, part, shop.items, item_features=features, baselines=baselines(parts, popularity_window))
    return carry_out(
        task,
        model,
        train,
        experiment=experiment,
        run_name=run_name,
        tracking_uri=tracking_uri,
        refit=refit,
        checkpoint_dir=checkpoint_dir,
        resume=resume,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m pipelines.shop.run --config ... --data FOLDER`; the exit status."""
    return command(run, arguments)


if __name__ == "__main__":
    sys.exit(main())
