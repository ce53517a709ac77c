"""Article logs, from a folder to an MLflow run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd

import recattn as ra
from pipelines.command import command
from pipelines.news.read import News, first_seen, read_news
from pipelines.steps import Task, baselines, carry_out
from recattn.cli.kinds import features
from recattn.config import FeatureSpec
from recattn.dataset.split import Part
from recattn.dataset.targets import Target
from recattn.errors import ConfigError, listed, nearest
from recattn.schema.columns import EVENT
from recattn.schema.times import Unit


def run(
    data: str,
    *,
    experiment: str = "news",
    run_name: str | None = None,
    tracking_uri: str | None = None,
    unit: Unit = "s",
    q: float = 0.9,
    target: Target = "last",
    part: Part = "test",
    context: list[str] | None = None,
    item_features: list[dict[str, Any]] | None = None,
    new_articles: bool = False,
    popularity_window: str | None = "3D",
    refit: bool = False,
    checkpoint_dir: str | None = None,
    resume: bool = False,
    model: ra.ModelConfig | None = None,
    train: ra.TrainConfig | None = None,
) -> pd.DataFrame:
    """Train on an article log, judge beside the baselines, keep all of it in an MLflow run.

    Behaviours (`event_type`) are part of the history's keys; `--model.use_events false` does without them.

    Args:
        data: The folder with `interactions.parquet` or `.csv`.
        experiment: The MLflow experiment.
        run_name: The name of the run; MLflow makes one up by default.
        tracking_uri: The MLflow to write to; by default the one set, else sqlite:///mlflow.db.
        unit: What numbers in `timestamp` count.
        q: The share of the interactions before each cut of the split by time.
        target: The requests: a user's last click, each one in turn, or all at once.
        part: Whose requests are judged; `valid` leaves the test unopened while settings are chosen.
        context: Columns that describe a request, such as device and hour; null takes what is known as such, [] none.
        item_features: Features of the items file, as {kind: categorical, column: topic}; with new articles also
            {kind: numeric, column: published}.
        new_articles: Without an items file: whether articles join the catalog at their first click, train or not.
        popularity_window: The time before the end of train that the popularity baseline counts; null counts all.
        refit: Whether to train anew on train + valid for the best number of epochs before the test.
        checkpoint_dir: Folder for checkpoints; needed to resume.
        resume: Go on from the last checkpoint there, in the same MLflow run.
        model: The scorer. Its `time` and `ties` follow from the split.
        train: How it is trained.

    Returns:
        One row a recommender, with its metrics and, for baselines, how far the model leads in NDCG@10.
    """
    found = read_news(data, unit=unit)
    described = context_features(found, context)
    split = ra.split_by_time(found.interactions, q=q)
    items = first_seen(found.interactions) if new_articles and found.items is None else found.items
    print(f"{found.form}: {len(found.interactions):,} interactions\n{behaviours(found)}")
    print(f"- context: {', '.join(spec.column for spec in described) or 'none'}\n- {articles(split, items)}")
    print(split.summary().to_string())
    task = Task(
        split,
        target,
        part,
        items,
        item_features=features(item_features or [], "item_features"),
        context_features=described,
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


def context_features(found: News, wanted: Sequence[str] | None) -> list[FeatureSpec]:
    """What describes a request: the columns wanted, or all that are known as such."""
    for name in wanted or []:
        if name not in found.context:
            raise ConfigError(
                f"context asks for {name!r}; {found.form} has {listed(found.context, 20)}."
                f"{nearest(name, found.context)}"
            )
    names = found.context if wanted is None else wanted
    return [ra.Numeric(name, log=True) if name == "session_place" else ra.Categorical(name) for name in names]


def behaviours(found: News) -> str:
    """How often people do what."""
    if EVENT not in found.interactions:
        return "- behaviours: the log tells none"
    counts = found.interactions[EVENT].value_counts()
    return f"- behaviours: {', '.join(f'{name} {count:,}' for name, count in counts.items())}"


def articles(split: ra.Split, items: pd.DataFrame | None) -> str:
    """What can be recommended."""
    if items is not None:
        return f"articles: {len(items):,} in the catalog, those without training clicks as cold ones"
    share = split.summary()["cold_share"]
    return (
        f"articles: no items file, so nobody can recommend one without training clicks: {share['valid']:.0%} of the "
        f"validation rows and {share['test']:.0%} of the test rows are misses"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m pipelines.news.run --config ... --data FOLDER`; the exit status."""
    return command(run, arguments)


if __name__ == "__main__":
    sys.exit(main())
