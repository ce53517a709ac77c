"""One MLflow database for all tests of runs: each new one costs seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from recattn.dataset import HistoryStore, Vocabulary


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SQLite tracking URI with its tables made."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    MlflowClient(uri).search_experiments()
    return uri


@pytest.fixture
def uri(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The shared database, with MLflow's global state as a fresh process has it, before and after."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(None)
    yield database
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)


class FakeModel:
    """Scores an item by its place in the catalog plus a tenth of its visible history's length."""

    def __init__(self, ids: list[object], time: str = "timestamp") -> None:
        self.items = SimpleNamespace(vocabulary=Vocabulary("item_id", ids), available_from=None)
        self.config = SimpleNamespace(time=time, use_weights=False)
        self.user_features: tuple[object, ...] = ()
        self.context_features: tuple[object, ...] = ()
        self.histories: list[pd.DataFrame] = []

    def save(self, path: str | Path) -> None:
        Path(path).mkdir()
        ids = self.items.vocabulary.ids.tolist()
        (Path(path) / "model.json").write_text(json.dumps({"ids": ids, "time": self.config.time}))

    @classmethod
    def load(cls, path: str | Path) -> FakeModel:
        return cls(**json.loads((Path(path) / "model.json").read_text()))

    def score(self, slate: pd.DataFrame, *, history: HistoryStore) -> pd.DataFrame:
        assert slate["item_id"].isin(self.items.vocabulary.ids).all()
        return slate.assign(score=self._scores(slate, history.to_frame()))

    def recommend(self, requests: pd.DataFrame, *, history: HistoryStore, k: int, exclude_seen: bool) -> pd.DataFrame:
        log = history.to_frame()
        items = pd.DataFrame({"item_id": self.items.vocabulary.ids})
        rows = requests.merge(items, how="cross")
        rows["score"] = self._scores(rows, log)
        if exclude_seen:
            seen = set(zip(log["user_id"], log["item_id"], strict=True))
            rows = rows[[pair not in seen for pair in zip(rows["user_id"], rows["item_id"], strict=True)]]
        rows = rows.sort_values(["request_id", "score"], ascending=[True, False]).groupby("request_id").head(k)
        return rows.assign(rank=rows.groupby("request_id").cumcount() + 1)

    def _scores(self, rows: pd.DataFrame, history: pd.DataFrame) -> np.ndarray:
        self.histories.append(history)
        place = self.items.vocabulary.encode(rows["item_id"]).astype(float)
        moments = rows["timestamp"] if "timestamp" in rows else pd.Series(np.inf, index=rows.index)
        seen = [
            ((history["user_id"] == user) & (history["timestamp"] < moment)).sum()
            for user, moment in zip(rows["user_id"], moments, strict=True)
        ]
        return place + 0.1 * np.array(seen, dtype=float)


@pytest.fixture
def fake_model() -> type[FakeModel]:
    return FakeModel
