"""The news recipe: what is read of a log, what is known when a click is made, the road to an MLflow run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

import recattn as ra
from pipelines.news.read import News, first_seen, read_news
from pipelines.news.run import articles, context_features, main
from recattn.config import Categorical, Numeric
from recattn.dataset.synthetic import make_world
from recattn.errors import ConfigError, DataError

CONFIG = Path(__file__).parents[2] / "pipelines" / "news" / "config.yaml"
START = 1_400_025_600  # 2014-05-14, midnight UTC
LOG = pd.DataFrame(
    [
        ("u", "a", START, "VIEW", 7, 1, "BR", "x"),
        ("u", "b", START + 60, "LIKE", 7, 1, None, "x"),
        ("v", "a", START + 30, "VIEW", 7, 2, "US", "x"),
        ("u", "c", START + 9000, "VIEW", 8, 1, "BR", "x"),
    ],
    columns=["user_id", "item_id", "timestamp", "event_type", "session_id", "os", "country", "wording"],
)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    mlflow.set_tracking_uri(None)


@pytest.fixture
def news(tmp_path: Path) -> News:
    LOG.to_parquet(tmp_path / "interactions.parquet")
    return read_news(tmp_path)


def test_known_context_is_kept_and_other_columns_are_not(news: News) -> None:
    assert news.context == ["os", "country", "hour", "session_place"]
    assert news.interactions["event_type"].tolist() == ["VIEW", "LIKE", "VIEW", "VIEW"]


def test_the_place_in_a_session_counts_the_clicks_before(news: News) -> None:
    assert news.interactions["session_place"].tolist() == [0, 1, 0, 0]


def test_hours_are_those_of_the_day_in_utc(news: News) -> None:
    expected = pd.to_datetime(LOG["timestamp"], unit="s").dt.hour
    assert news.interactions["hour"].tolist() == expected.tolist()


def test_what_a_click_knows_does_not_change_with_later_clicks(news: News, tmp_path: Path) -> None:
    LOG.head(2).to_parquet(tmp_path / "interactions.parquet")
    earlier = read_news(tmp_path).interactions
    pd.testing.assert_frame_equal(earlier, news.interactions.head(2), check_dtype=False)


def test_context_features_are_all_there_are_or_those_asked_for(news: News) -> None:
    every = context_features(news, None)
    assert every == [*map(Categorical, ["os", "country", "hour"]), Numeric("session_place", log=True)]
    assert context_features(news, ["os"]) == [Categorical("os")]
    assert context_features(news, []) == []
    with pytest.raises(ConfigError, match=r"context asks for 'contry'; .* Did you mean 'country'"):
        context_features(news, ["contry"])


def test_an_article_is_available_from_the_second_after_its_first_click(news: News) -> None:
    assert first_seen(news.interactions).to_dict("list") == {
        "item_id": ["a", "b", "c"],
        "available_from": [START + 1, START + 61, START + 9001],
        "published": [0.0, 60 / 86_400, 9000 / 86_400],
    }


def test_nobody_is_recommended_an_article_before_its_first_click() -> None:
    log = make_world(40, 60, mean_interactions=8, days=30, seed=3).interactions
    split = ra.split_by_time(log)
    items = first_seen(log)
    requests = split.requests("test", "successive")
    baseline = ra.Popularity().fit(split.train, items=items)
    listed = baseline.recommend(requests, history=split.history("test"), k=60)
    joined = listed.merge(requests[["request_id", "timestamp"]], on="request_id").merge(items, on="item_id")
    assert (joined["available_from"] <= joined["timestamp"]).all()
    assert set(listed["item_id"]) - set(split.train["item_id"])  # some came in after train


def test_without_items_the_share_that_nobody_can_recommend_is_said() -> None:
    log = pd.DataFrame(
        {
            "user_id": ["u", "v"] * 10,
            "item_id": [*"abababababababababa", "z"],
            "timestamp": [START + 100 * n for n in range(20)],
        }
    )
    split = ra.split_by_time(log)
    assert "0% of the validation rows and 50% of the test rows are misses" in articles(split, None)
    assert articles(split, first_seen(log)).startswith("articles: 3 in the catalog")


def test_a_folder_without_a_log_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").touch()
    with pytest.raises(DataError, match=r"looked for interactions.parquet, .*; it has 'clicks.csv'"):
        read_news(tmp_path)


def test_milliseconds_are_refused_until_they_are_named(tmp_path: Path) -> None:
    LOG.assign(timestamp=LOG["timestamp"] * 1000).to_csv(tmp_path / "interactions.csv", index=False)
    with pytest.raises(DataError, match="unit='ms'"):
        read_news(tmp_path)
    assert read_news(tmp_path, unit="ms").interactions["timestamp"].tolist() == LOG["timestamp"].tolist()


def test_a_folder_becomes_a_run_with_behaviours_and_context(
    tmp_path: Path, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = make_world(60, 40, mean_interactions=8, days=60, seed=2).interactions
    log = log.assign(os=log["user_id"].str[-1], session_id=log["timestamp"] // 86_400)
    log.to_csv(tmp_path / "interactions.csv.gz", index=False)
    small = ["--model.dim", "8", "--model.num_layers", "1", "--train.max_epochs", "1", "--train.valid_requests", "20"]
    given = ["--config", str(CONFIG), "--data", str(tmp_path), "--tracking_uri", uri, *small]
    assert main([*given, "--new_articles", "true", "--part", "valid"]) == 0
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("news")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["model.use_events"] == "True"
    assert run.data.params["model.features"] == "os,hour,session_place"
    assert 0 <= run.data.metrics["validation/ndcg_at_10"] <= 1
    shown = capsys.readouterr().out
    assert "behaviours: view" in shown
    assert "context: os, hour, session_place" in shown
