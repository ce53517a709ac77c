"""MovieLens from a folder of files to an MLflow run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pandas as pd

import recattn as ra
from pipelines.command import command
from pipelines.movielens.read import MovieLens, read_movielens
from pipelines.steps import Task, baselines, carry_out
from recattn.config import FeatureSpec
from recattn.dataset.split import Part
from recattn.dataset.targets import Target


def run(
    data: str,
    *,
    experiment: str = "movielens",
    run_name: str | None = None,
    tracking_uri: str | None = None,
    target: Target = "last",
    part: Part = "test",
    popularity_window: str | None = "30D",
    features: bool = True,
    refit: bool = False,
    checkpoint_dir: str | None = None,
    resume: bool = False,
    model: ra.ModelConfig | None = None,
    train: ra.TrainConfig | None = None,
) -> pd.DataFrame:
    """Train on MovieLens, judge beside the baselines, keep all of it in an MLflow run.

    Args:
        data: The folder with the MovieLens files.
        experiment: The MLflow experiment.
        run_name: The name of the run; MLflow makes one up by default.
        tracking_uri: The MLflow to write to; by default the one set, else sqlite:///mlflow.db.
        target: The requests: a user's last interaction, each one in turn, or all at once.
        part: Whose requests are judged; `valid` leaves the test unopened while settings are chosen.
        popularity_window: The days before the end of train that the popularity baseline counts; null counts all.
        features: Whether genres, year and user attributes are used.
        refit: Whether to train anew on train + valid for the best number of epochs before the test.
        checkpoint_dir: Folder for checkpoints; needed to resume.
        resume: Go on from the last checkpoint there, in the same MLflow run.
        model: The scorer. Its `time` and `ties` follow from the data.
        train: How it is trained.

    Returns:
        One row a recommender, with its metrics and, for baselines, how far the model leads in NDCG@10.
    """
    found = read_movielens(data)
    split = split_log(found)
    print(f"{found.form}: {len(found.interactions):,} interactions, time={found.time!r}\n{split.summary().to_string()}")
    item_features, user_features = specs(found) if features else ([], [])
    task = Task(
        split,
        target,
        part,
        found.items,
        found.users,
        item_features,
        user_features,
        baselines=baselines(split, popularity_window),
    )
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


def split_log(found: MovieLens) -> ra.Split:
    """By time where there are times, else each user's last interactions, as published."""
    if found.time == "order":
        return ra.leave_last_out(found.interactions, time="order")
    return ra.split_by_time(found.interactions)


def specs(found: MovieLens) -> tuple[list[FeatureSpec], list[FeatureSpec]]:
    """Features of items and of users, as far as the folder has them."""
    items: list[FeatureSpec] = [ra.Multi("genres"), ra.Numeric("year")]
    users: list[FeatureSpec] = [ra.Numeric("age"), ra.Categorical("gender"), ra.Categorical("occupation")]
    columns = [[] if frame is None else list(frame) for frame in (found.items, found.users)]
    return [spec for spec in items if spec.column in columns[0]], [spec for spec in users if spec.column in columns[1]]


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m pipelines.movielens.run --config ... --data FOLDER`; the exit status."""
    return command(run, arguments)


if __name__ == "__main__":
    sys.exit(main())
