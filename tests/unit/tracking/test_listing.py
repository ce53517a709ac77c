"""Runs as a table."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient

from recattn.errors import ConfigError
from recattn.tracking import listing, track


@pytest.fixture
def books(client: MlflowClient, uri: str) -> list[str]:
    """Three runs, the last one under the first."""
    if client.get_experiment_by_name("listing") is None:
        parent = None
        for name, value in (("base", 0.1), ("wide", 0.3), ("deep", None)):
            with track("listing", name, tracking_uri=uri, parent=parent) as run:
                parent = parent or run.id
                run.params({"train.seed": 3})
                run.metrics({"train/loss": 1.0 - (value or 0)}, step=0)
                if value is not None:
                    run.metrics({"test/ndcg_at_10": value, "test/recall_at_20": 0.5}, step=0)
    experiment = client.get_experiment_by_name("listing")
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [run.info.run_id for run in found]


def test_the_latest_runs_come_first(client: MlflowClient, books: list[str]) -> None:
    found = listing.find(client, "listing", n=2)
    assert [run.info.run_name for run in found] == ["deep", "wide"]
    table = listing.table(found)
    assert table.columns.tolist() == [
        *("run", "name", "status", "started"),
        *("test/ndcg_at_10", "test/recall_at_20", "seed", "parent", "group"),
    ]
    assert table["status"].tolist() == ["FINISHED", "FINISHED"]
    assert table["test/ndcg_at_10"].tolist()[1] == 0.3
    assert table["seed"].tolist() == ["3", "3"]
    assert table["parent"].tolist() == [books[0][:8]] * 2


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("ndcg_at_10", ["wide", "base"]),
        ("test/ndcg_at_10", ["wide", "base"]),
        ("train/loss", ["wide", "base", "deep"]),
    ],
)
def test_the_best_by_a_metric_come_first(client: MlflowClient, books: list[str], sort: str, names: list[str]) -> None:
    found = listing.find(client, "listing", sort)
    assert [run.info.run_name for run in found] == names
    assert (sort if "/" in sort else f"test/{sort}") in listing.table(found, sort)


def test_what_is_not_there_names_the_nearest(client: MlflowClient, books: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"no experiment 'listin'\. Did you mean 'listing'\?"):
        listing.find(client, "listin")
    with pytest.raises(ConfigError, match=r"no run has the metric 'test/ndgc_at_10'\. Did you mean 'test/ndcg_at_10'"):
        listing.find(client, "listing", "test/ndgc_at_10")


def test_plain_values_have_all_metrics(client: MlflowClient, books: list[str]) -> None:
    (best,) = listing.plain(listing.find(client, "listing", "ndcg_at_10", 1))
    assert best["metrics"] == {"test/ndcg_at_10": 0.3, "test/recall_at_20": 0.5, "train/loss": 0.7}
    assert str(best["started"]).endswith("+00:00")
