"""Tables and the picture of cells that are written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.benchmark.cells import Cell, place, report, whole, write
from pipelines.benchmark.models import MODELS
from pipelines.benchmark.summary import Found, by_model, by_segment, leads
from pipelines.benchmark.table import fill, judged, legacy, main
from recattn.errors import DataError


def per_request(seed: int, lead: float = 0.0, requests: int = 80) -> pd.DataFrame:
    """Per-request metrics as a cell keeps them."""
    rng = np.random.default_rng(seed)
    values = np.clip(np.random.default_rng(0).random(requests) * 0.3 + lead + rng.normal(0, 0.02, requests), 0, 1)
    return pd.DataFrame(
        {
            "request_id": np.arange(requests, dtype=np.int32),
            "user_id": np.arange(requests, dtype=np.int32) // 2,
            "ndcg_at_10": values.astype(np.float32),
            "history": np.arange(requests, dtype=np.int32) % 30,
            "cold": np.arange(requests) % 10 == 0,
        }
    )


def keep(
    results: Path,
    name: str,
    *,
    lead: float = 0.0,
    seed: int = 0,
    trial: str = "t0",
    part: str = "valid",
    refitted: bool = True,
) -> None:
    """A cell whose NDCG@10 lies `lead` above the others'; `refitted` is told by those of test."""
    cell = Cell("shop", "gts-last", name, trial, seed)
    table = per_request(100 * len(name) + seed, lead)
    metrics = {"ndcg_at_10": float(table["ndcg_at_10"].mean())}
    metrics |= dict.fromkeys(("hit_rate_at_10", "recall_at_20", "mrr_at_10", "coverage_at_10"), 0.25)
    about = {
        "cell": {**cell.__dict__, "group": MODELS[name].group},
        "key": "k",
        "resolved": {},
        "settings": {},
        "metrics": metrics,
        "policy": {"key": "request_id", "truth_sha256": part, "seen": "drop"},
        "cold_share": 0.1,
        "train_seconds": 61.0,
    }
    if part == "test" and refitted:
        about["refitted"] = True
    write(results, cell, part, about, table)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in range(3):
        keep(tmp_path, "recattn", lead=0.10, seed=seed)
        keep(tmp_path, "sasrec_ce", lead=0.05, seed=seed)
        keep(tmp_path, "one_head", lead=0.2, seed=seed)
    keep(tmp_path, "item_knn", lead=0.02)
    keep(tmp_path, "item_knn", lead=0.0, trial="t1")
    return tmp_path


def test_the_table_has_a_row_a_model_of_its_winning_trial(results: Path) -> None:
    table = by_model(Found.read(results)).set_index("model")
    assert table.index.tolist() == ["one_head", "recattn", "sasrec_ce", "item_knn"]
    assert table.loc["item_knn", "trial"] == "t0"
    assert table["settings_tried"].to_dict() == {"one_head": 1, "recattn": 1, "sasrec_ce": 1, "item_knn": 2}
    assert table["seeds"].tolist() == [3, 3, 3, 1]
    assert (table["low"] < table["ndcg_at_10"]).all()
    assert (table["ndcg_at_10"] < table["high"]).all()
    assert table.loc["recattn", "sd"] > 0


def test_the_rival_is_the_best_on_validation_and_no_ablation(results: Path) -> None:
    (lead,) = leads(Found.read(results)).to_dict("records")
    assert (lead["rival"], lead["seeds"], lead["requests"]) == ("sasrec_ce", "3 + 3", 80)
    assert lead["lead"] == pytest.approx(0.05, abs=0.01)
    assert 0 < lead["low"] < lead["high"]
    assert lead["p"] == lead["p_alone"] < 0.01


def test_test_figures_take_the_place_of_validation_where_there_are_any(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(results, "recattn", lead=0.05, part="test")
    keep(results, "sasrec_ce", lead=0.0, part="test")
    keep(results, "item_knn", lead=0.3, part="test")
    found = Found.read(results)
    table = by_model(found)
    assert set(table["part"]) == {"test"}
    assert "one_head shop gts-last: left out" in capsys.readouterr().out
    (lead,) = leads(found).to_dict("records")
    assert lead["rival"] == "sasrec_ce"  # best on validation, though item_knn is better on test


def test_a_fit_on_train_alone_is_no_test_figure_of_a_protocol_that_refits(results: Path) -> None:
    keep(results, "recattn", part="test", refitted=False)
    assert set(by_model(Found.read(results))["part"]) == {"valid"}
    keep(results, "sasrec_ce", part="test")
    found = by_model(Found.read(results))
    assert found["model"].tolist() == ["sasrec_ce"]
    assert found["part"].tolist() == ["test"]


def test_the_head_of_a_table_says_what_its_models_were_fitted_on() -> None:
    assert judged("gts-last", "test") == "test, refitted on train + validation"
    assert judged("gts-last", "valid") == "valid"
    assert judged("loo", "test") == judged("of another time", "test") == "test"


def test_segments_are_means_over_seeds_of_their_requests(results: Path) -> None:
    found = Found.read(results)
    table = by_segment(found, "length").set_index("segment")
    assert table["requests"].sum() == 80
    assert table.index.tolist() == ["0", "1", "2-4", "5-9", "10-19", "20-49"]
    frames = [one.per_request for one in found.reports("shop", "gts-last", "recattn")]
    expected = sum(frame.loc[frame["history"].between(2, 4), "ndcg_at_10"].mean() for frame in frames) / 3
    assert table.loc["2-4", "recattn"] == pytest.approx(expected, rel=1e-5)
    assert by_segment(found, "target").set_index("segment")["requests"].to_dict() == {"cold": 8, "known": 72}


def test_the_command_writes_table_picture_and_readme(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = results / "README.md"
    readme.write_text("before\n<!-- table -->\nyesterday\n<!-- /table -->\nafter\n")
    assert main(["--results", str(results), "--readme", str(readme)]) == 0
    text = readme.read_text()
    assert "yesterday" not in text
    assert text.startswith("before\n<!-- table -->\n**shop, gts-last**: valid, 80 requests, 10.0% of the targets cold")
    assert text.endswith("<!-- /table -->\nafter\n")
    assert "Ablations on shop, gts-last" in text
    assert text.index("| recattn | ours |") < text.index("| sasrec_ce | rival |") < text.index("| one_head |")
    assert (results / "table.png").read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(results / "table.csv")) == 4
    assert main(["--results", str(results), "--readme", "null", "--by", "target"]) == 0
    assert "cold" in capsys.readouterr().out


def test_a_protocol_that_leaks_is_called_legacy() -> None:
    assert "future of other users" in legacy("loo")
    assert legacy("gts-last") == ""


def test_no_cells_and_no_marks_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--results", str(tmp_path)]) == 1
    assert "there are no finished cells" in capsys.readouterr().err
    path = tmp_path / "README.md"
    path.write_text("nothing")
    with pytest.raises(DataError, match="<!-- table -->"):
        fill(path, "table", "x")


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def write_half() -> None:
        with whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_cell_without_its_requests_is_refused(results: Path) -> None:
    path = place(results, Cell("shop", "gts-last", "item_knn", "t0", 0), "valid", ".json")
    path.with_suffix(".parquet").unlink()
    with pytest.raises(DataError, match="is missing beside its JSON"):
        report(path)
