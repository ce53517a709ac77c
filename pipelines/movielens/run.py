"""MovieLens from a folder of files to an MLflow run."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Literal

import pandas as pd
from jsonargparse import auto_cli

import recattn as ra
from pipelines.movielens.read import MovieLens, read_movielens
from recattn.config import FeatureSpec
from recattn.errors import RecattnError

MODEL = "recattn"
HEADLINE = "ndcg_at_10"
LISTED = 20  # items a request: the longest k of the metrics


def run(
    data: str,
    *,
    experiment: str = "movielens",
    run_name: str | None = None,
    tracking_uri: str | None = None,
    target: Literal["last", "successive", "all"] = "last",
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
        target: The test requests: a user's last interaction, each one in turn, or all at once.
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
    settings = dataclasses.replace(model or ra.ModelConfig(), time=split.time, ties=split.ties)
    item_features, user_features = specs(found) if features else ([], [])
    users = found.users if user_features else None
    recommender = ra.Recommender(settings, train, item_features=item_features, user_features=user_features)
    requests, history = split.requests("test", target), split.history("test")

    resume_from = checkpoint_dir if resume else None
    with ra.track(experiment, run_name, tracking_uri=tracking_uri, resume_from=resume_from) as tracked:
        recommender.fit(
            split.train,
            items=found.items,
            users=users,
            valid=split.valid,
            observers=[tracked],
            checkpoint_dir=checkpoint_dir,
            resume=resume,
            refit=refit,
        )
        lists = {MODEL: recommender.recommend(requests, history=history, user_features=users, k=LISTED)}
        for name, baseline in baselines(found, popularity_window).items():
            baseline.fit(split.train, items=found.items, time=split.time)
            lists[name] = baseline.recommend(requests, history=history, k=LISTED)
        reports = judge(lists, split, target, recommender)
        table = compare(reports)

        tracked.dataset("test", split.test, "test")
        tracked.log(reports[MODEL])
        for name, report in reports.items():
            if name != MODEL:
                tracked.log(report, prefix=f"test_{name}")
        tracked.artifact("comparison.json", table.reset_index())
        titles = None if found.items is None else found.items.set_index("item_id")["title"]
        tracked.sample_recommendations(lists[MODEL], titles)
        tracked.log_model(recommender)
        print(f"\n{table.to_string()}\n\nMLflow run {tracked.id} in {tracked.tracking_uri}")
    return table


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


def baselines(found: MovieLens, window: str | None) -> dict[str, ra.Popularity | ra.ItemKNN]:
    """What the model has to beat; a window of time needs times."""
    return {
        "popularity": ra.Popularity(window=None if found.time == "order" else window),
        "item_knn": ra.ItemKNN(),
    }


def judge(
    lists: dict[str, pd.DataFrame], split: ra.Split, target: Literal["last", "successive", "all"], model: ra.Recommender
) -> dict[str, ra.Report]:
    """One report a recommender, on the same requests over the same catalog."""
    truth = split.truth("test", target)
    metrics = [ra.NDCG(10), ra.HitRate(10), ra.MRR(10), ra.Recall(LISTED), ra.Coverage(LISTED)]
    policy = {"split": "leave_last_out" if split.leaks else "by_time", "target": target, "ties": split.ties}
    catalog = model.items.vocabulary.ids
    return {
        name: ra.evaluate(listed, truth, metrics, seen="drop", catalog=catalog, policy=policy)
        for name, listed in lists.items()
    }


def compare(reports: dict[str, ra.Report]) -> pd.DataFrame:
    """Metrics by recommender; `lead`: the model's NDCG@10 minus the baseline's, with its 95 % interval."""
    table = pd.DataFrame({name: report.summary for name, report in reports.items()}).T.round(4)
    for name in reports:
        if name != MODEL:
            found = ra.paired_bootstrap(reports[MODEL], reports[name], HEADLINE)
            table.loc[name, ["lead", "low", "high", "p"]] = [found.difference, found.low, found.high, found.p_value]
    return table.rename_axis("recommender").round(4)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m pipelines.movielens.run --config ... --data FOLDER`; the exit status."""
    try:
        auto_cli(run, args=arguments, as_positional=False)
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
