"""Which MLflow a run goes to."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from recattn.tracking import track
from recattn.tracking.uri import artifact_place, choose, same, using


def test_argument_then_set_then_environment_then_a_database_here(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert choose(None) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///environment.db")
    assert choose(None) == "sqlite:///environment.db"
    mlflow.set_tracking_uri("sqlite:///set.db")
    assert choose(None) == "sqlite:///set.db"
    assert choose("sqlite:///argument.db") == "sqlite:///argument.db"


def test_old_runs_in_a_file_store_do_not_lead_there(uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")
    monkeypatch.chdir(tmp_path)
    assert choose(None).startswith("sqlite:///")


def test_a_uri_of_the_environment_stays_there(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///environment.db")
    with using("sqlite:///argument.db"):
        assert mlflow.get_tracking_uri() == "sqlite:///argument.db"
    assert mlflow.get_tracking_uri() == "sqlite:///environment.db"


def test_a_uri_that_was_set_comes_back(uri: str) -> None:
    mlflow.set_tracking_uri("sqlite:///set.db")
    with pytest.raises(KeyError), using("sqlite:///argument.db"):
        raise KeyError
    assert mlflow.get_tracking_uri() == "sqlite:///set.db"


def test_a_uri_that_the_block_sets_itself_is_left(uri: str) -> None:
    with using("sqlite:///argument.db"):
        mlflow.set_tracking_uri("sqlite:///inside.db")
    assert mlflow.get_tracking_uri() == "sqlite:///inside.db"


def test_files_of_a_database_lie_beside_it(tmp_path: Path) -> None:
    place = artifact_place(f"sqlite:///{tmp_path}/a%20b/mlflow.db", "my books/1")
    assert place == (tmp_path / "a b" / "mlartifacts" / "my_books_1").as_uri()


@pytest.mark.parametrize("uri", ["http://localhost:5000", "postgresql://host/db", "sqlite:///:memory:"])
def test_a_server_decides_itself_where_files_lie(uri: str) -> None:
    assert artifact_place(uri, "books") is None


def test_one_sqlite_file_by_two_names_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert same("sqlite:///mlflow.db", f"sqlite:///{tmp_path}/mlflow.db")
    assert not same("sqlite:///mlflow.db", "sqlite:///other.db")
    assert not same("http://a", "http://b")


def test_a_run_without_any_setting_lands_in_the_working_directory(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with track() as run:
        run.artifact("note.txt", "hello")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlartifacts", "mlflow.db"]
    note = tmp_path / "mlartifacts" / "recattn" / run.id / "artifacts" / "note.txt"
    assert note.read_text() == "hello"
