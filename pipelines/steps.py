"""The steps all recipes share: from a split to an MLflow run that compares the model with its baselines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

import recattn as ra
from pipelines import figures
from pipelines.segments import by_segment
from recattn.config import FeatureSpec
from recattn.dataset.split import Part
from recattn.dataset.targets import Target
from recattn.errors import ConfigError
from recattn.tracking.quiet import quiet

if TYPE_CHECKING:
    from recattn.baselines.base import Baseline

MODEL = "recattn"
HEADLINE = "ndcg_at_10"
LISTED = 20  # items a request: the longest k of the metrics
PREFIX: dict[Part, str] = {"test": "test", "valid": "validation"}  # `valid/` is for the curves of the fit


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What is learned from, what is asked, and who has to be beaten."""

    split: ra.Split
    target: Target
    part: Part = "test"  # whose requests are asked; `valid` leaves the test unopened
    items: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    item_features: Sequence[FeatureSpec] = ()
    user_features: Sequence[FeatureSpec] = ()
    context_features: Sequence[FeatureSpec] = ()
    baselines: Mapping[str, Baseline] = dataclasses.field(default_factory=dict)


def carry_out(
    task: Task,
    model: ra.ModelConfig | None,
    train: ra.TrainConfig | None,
    *,
    experiment: str,
    run_name: str | None = None,
    tracking_uri: str | None = None,
    refit: bool = False,
    checkpoint_dir: str | None = None,
    resume: bool = False,
) -> pd.DataFrame:
    """Fit on train, judge beside the baselines on the requests of `task.part`, keep all of it in one MLflow run.

    `time` and `ties` of the model are those of the split.

    Returns:
        One row a recommender, with its metrics and, for baselines, how far the model leads in NDCG@10.

    Raises:
        ConfigError: `refit` would train on the validation part that is asked about.
    """
    split, part = task.split, task.part
    if refit and part == "valid":
        raise ConfigError("refit trains on the validation part too, so part=valid would judge it on what it knows.")
    settings = dataclasses.replace(model or ra.ModelConfig(), time=split.time, ties=split.ties)
    users = task.users if task.user_features else None
    recommender = ra.Recommender(
        settings,
        train,
        item_features=task.item_features,
        user_features=task.user_features,
        context_features=task.context_features,
    )
    requests, history = split.requests(part, task.target), split.history(part)
    resume_from = checkpoint_dir if resume else None
    with (
        quiet("mlflow", "alembic"),
        ra.track(experiment, run_name, tracking_uri=tracking_uri, resume_from=resume_from) as tracked,
    ):
        recommender.fit(
            split.train,
            items=task.items,
            users=users,
            valid=split.valid,
            observers=[tracked],
            checkpoint_dir=checkpoint_dir,
            resume=resume,
            refit=refit,
        )
        lists = {MODEL: recommender.recommend(requests, history=history, user_features=users, k=LISTED)}
        for name, baseline in task.baselines.items():
            baseline.fit(split.train, items=task.items, time=split.time, ties=split.ties)
            lists[name] = baseline.recommend(requests, history=history, k=LISTED)
        reports = judge(lists, task, recommender)
        table, segments = compare(reports), by_segment(reports, split, part, task.target, HEADLINE)

        if part == "test":
            tracked.dataset("test", split.test, "test")
        for name, report in reports.items():
            tracked.log(report, prefix=PREFIX[part] if name == MODEL else f"{PREFIX[part]}_{name}")
        tracked.artifact("comparison.json", table.reset_index())
        tracked.artifact("segments.json", segments)
        tracked.artifact("figures/comparison.png", figures.comparison(reports, HEADLINE, PREFIX[part]))
        tracked.artifact("figures/segments.png", figures.segments(segments, HEADLINE))
        tracked.sample_recommendations(lists[MODEL], titles(task.items))
        tracked.log_model(recommender)
        shown = segments.round(4).to_string(index=False)
        print(f"\n{PREFIX[part]}\n{table.to_string()}\n\n{HEADLINE} by segment\n{shown}")
        print(f"\nMLflow run {tracked.id} in {tracked.tracking_uri}")
    return table


def judge(lists: Mapping[str, pd.DataFrame], task: Task, model: ra.Recommender) -> dict[str, ra.Report]:
    """One report a recommender, on the same requests over the same catalog; seen items count for nobody."""
    split, target = task.split, task.target
    truth = split.truth(task.part, target)
    metrics = [ra.NDCG(10), ra.HitRate(10), ra.MRR(10), ra.Recall(LISTED), ra.Coverage(LISTED)]
    policy = {"split": "leave_last_out" if split.leaks else "by_time", "target": target, "ties": split.ties}
    catalog = model.items.vocabulary.ids
    return {
        name: ra.evaluate(listed, truth, metrics, seen="drop", catalog=catalog, policy=policy)
        for name, listed in lists.items()
    }


def compare(reports: Mapping[str, ra.Report]) -> pd.DataFrame:
    """Metrics by recommender; `lead`: the model's NDCG@10 minus the baseline's, with its 95 % interval."""
    table = pd.DataFrame({name: report.summary for name, report in reports.items()}).T
    for name in reports:
        if name != MODEL:
            found = ra.paired_bootstrap(reports[MODEL], reports[name], HEADLINE)
            table.loc[name, ["lead", "low", "high", "p"]] = [found.difference, found.low, found.high, found.p_value]
    return table.rename_axis("recommender").round(4)


def baselines(split: ra.Split, window: str | None) -> dict[str, Baseline]:
    """Who has to be beaten; a window of time needs times."""
    return {
        "popularity": ra.Popularity(window=None if split.time == "order" else window),
        "item_knn": ra.ItemKNN(),
        "transition": ra.Transition(),
    }


def titles(items: pd.DataFrame | None) -> pd.Series | None:
    """What people call the items, where the frame says."""
    return items.set_index("item_id")["title"] if items is not None and "title" in items else None
