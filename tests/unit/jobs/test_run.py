from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from recattn.dataset import HistoryStore, Vocabulary
from recattn.errors import ArtifactError, ConfigError, DataError
from recattn.jobs import open_output, run_job
from recattn.jobs.storage import Storage, shown


def read(out: Path) -> pd.DataFrame:
    return open_output(str(out)).to_table().to_pandas()


@pytest.mark.parametrize("changes", [{}, {"rows_a_part": 10_000}, {"grouping": "requests"}, {"grouping": "auto"}])
def test_scores_are_those_of_the_model_whatever_the_parts(files, tmp_path: Path, changes) -> None:
    result = run_job(files.job(tmp_path / "out", **changes))
    expected = files.model.score(files.slate, history=files.log)
    found = read(tmp_path / "out")
    assert result.rows == len(files.slate) == len(found)
    pd.testing.assert_frame_equal(found[list(files.slate)], files.slate)
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5, atol=1e-5)
    assert found["reason"].fillna("").tolist() == expected["reason"].fillna("").tolist()
    assert result.reasons == expected["reason"].value_counts().to_dict()
    assert not (tmp_path / "out" / ".work").exists()


def test_every_row_has_a_score_or_a_reason(files, tmp_path: Path) -> None:
    run_job(files.job(tmp_path / "out"))
    found = read(tmp_path / "out")
    assert (found["score"].notna() | found["reason"].notna()).all()
    assert set(found["reason"].dropna()) == {"unknown_item", "no_history"}


def test_a_cheaper_stage_is_used_where_it_is_asked_for(files, tmp_path: Path) -> None:
    run_job(files.job(tmp_path / "out", stage="retrieval"))
    expected = files.model.score(files.slate, history=files.log, stage="retrieval")
    np.testing.assert_allclose(read(tmp_path / "out")["score"], expected["score"], rtol=1e-5, atol=1e-5)


def test_requests_in_a_file_keep_their_moments(files, tmp_path: Path) -> None:
    times = np.random.default_rng(3).choice(files.log["timestamp"], len(files.slate))
    slate = files.slate.assign(timestamp=times)
    slate.to_csv(tmp_path / "slate.csv", index=False)
    expected = files.model.score(slate, history=files.log)
    for grouping in ("rows", "requests"):
        out = tmp_path / grouping
        run_job(files.job(out, slate=str(tmp_path / "slate.csv"), grouping=grouping))
        np.testing.assert_allclose(read(out)["score"], expected["score"], rtol=1e-5, atol=1e-5)


def test_the_best_of_the_catalog_are_those_of_the_model(files, tmp_path: Path) -> None:
    run_job(files.job(tmp_path / "out", k=4, rows_a_part=7))
    expected = files.model.recommend(history=files.log, k=4)
    found = read(tmp_path / "out")
    assert found[["user_id", "item_id", "rank"]].equals(expected[["user_id", "item_id", "rank"]])
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5, atol=1e-5)


def test_requests_of_a_file_get_their_best_and_the_unknown_a_fallback(files, tmp_path: Path) -> None:
    who = files.log["user_id"].unique()[:5].tolist()
    asked = pd.DataFrame({"request_id": [9, 8, 7, 6], "user_id": [who[0], "nobody", who[1], "no one"]})
    asked.to_parquet(tmp_path / "users.parquet")
    best = files.log["item_id"].unique()[:3].tolist()
    pd.DataFrame({"item_id": best}).to_csv(tmp_path / "best.csv", index=False)
    changes = {"users": str(tmp_path / "users.parquet"), "fallback": str(tmp_path / "best.csv"), "k": 3}
    result = run_job(files.job(tmp_path / "out", rows_a_part=2, **changes))
    found = read(tmp_path / "out")
    assert found["request_id"].tolist() == [9] * 3 + [8] * 3 + [7] * 3 + [6] * 3
    lost = found[found["reason"] == "fallback"]
    assert (lost["item_id"].tolist(), lost["rank"].tolist()) == (best * 2, [1, 2, 3] * 2)
    assert lost["score"].isna().all()
    assert result.reasons == {"no_history": 2}


def test_candidates_narrow_the_catalog(files, tmp_path: Path) -> None:
    two = sorted(files.log["item_id"].unique()[:2])
    pd.DataFrame({"item_id": two}).to_csv(tmp_path / "c.csv", index=False)
    run_job(files.job(tmp_path / "out", k=2, candidates=str(tmp_path / "c.csv"), exclude_seen=False))
    assert sorted(read(tmp_path / "out")["item_id"].unique()) == two


def test_a_finished_job_started_again_does_nothing(files, tmp_path: Path, caplog, digest_of) -> None:
    out = tmp_path / "out"
    run_job(files.job(out))
    before = digest_of(out)
    with caplog.at_level(logging.INFO, "recattn"):
        again = run_job(files.job(out))
    assert (again.finished_before, again.rows) == (True, len(files.slate))
    assert "is finished already" in caplog.text
    assert digest_of(out) == before


def test_overwrite_begins_anew(files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_job(files.job(out))
    result = run_job(files.job(out, stage="retrieval", overwrite=True, rows_a_part=400))
    assert (result.kept, result.parts, result.finished_before) == (0, 3, False)
    assert len(list((out / "parts").iterdir())) == 3


def test_a_damaged_part_is_made_again(files, tmp_path: Path, digest_of) -> None:
    out = tmp_path / "out"
    run_job(files.job(out))
    before = digest_of(out)
    part = out / "parts" / "part-000002.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    assert run_job(files.job(out)).kept == 4
    assert digest_of(out) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": "retrieval"}, "settings.stage was 'deep' and is 'retrieval'"),
        ({"rows_a_part": 300}, "plan.parts was 5 and is 3; plan.rows_a_part was 200 and is 300"),
        ({"as_of": "2024-01-01"}, "moment.as_of was"),
        ({"memory_budget": "1GB"}, "settings.memory_budget was '2GB' and is '1GB'"),
    ],
)
def test_changed_settings_refuse_to_go_on(files, tmp_path: Path, changes, message: str) -> None:
    run_job(files.job(tmp_path / "out"))
    with pytest.raises(ArtifactError, match="was begun with something else") as told:
        run_job(files.job(tmp_path / "out", **changes))
    assert message in str(told.value)
    assert "Pass overwrite=True" in str(told.value)


def test_changed_inputs_refuse_to_go_on_by_name(files, tmp_path: Path) -> None:
    out, slate, log = tmp_path / "out", tmp_path / "s.parquet", tmp_path / "h.parquet"
    files.slate.to_parquet(slate)
    files.log.to_parquet(log)
    job = files.job(out, slate=str(slate), history=str(log))
    run_job(job)
    files.slate.iloc[1:].to_parquet(slate)
    with pytest.raises(ArtifactError, match=r"inputs.slate\[s.parquet\] was '\w+...' and is"):
        run_job(job)
    files.slate.to_parquet(slate)
    files.log.iloc[:-1].to_parquet(log)
    with pytest.raises(ArtifactError, match=r"inputs.history\[h.parquet\] was"):
        run_job(job)
    files.log.to_parquet(log)
    assert run_job(job).finished_before
    files.model.save(tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    manifest = tmp_path / "other" / "manifest.json"
    config.write_text(config.read_text() + " ")
    values = json.loads(manifest.read_text())
    values["parts"]["config.json"] = hashlib.sha256(config.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match=r"inputs.model\[config.json\] was"):
        run_job(files.job(out, slate=str(slate), history=str(log), model=str(tmp_path / "other")))


def test_the_manifest_says_what_the_result_was_made_of(files, tmp_path: Path) -> None:
    run_job(files.job(tmp_path / "out"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["moment"]["high_water"] == int(files.log["timestamp"].max())
    assert manifest["moment"]["as_of"] == int(files.log["timestamp"].max()) + 1
    assert manifest["plan"]["parts"] == len(manifest["parts"]) == 5
    assert [part["rows"] for part in manifest["parts"]] == [200] * 4 + [100]
    assert set(manifest["inputs"]) == {"model", "history", "slate"}
    assert manifest["made_by"][0]["threads"] == 1
    assert str(tmp_path) not in json.dumps(manifest)


def test_a_folder_with_other_files_is_left_alone(files, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ArtifactError, match=r"holds other files \('thesis.tex'\)"):
        run_job(files.job(tmp_path, overwrite=True))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtifactError, match="is a file"):
        run_job(files.job(tmp_path / "file"))


def test_a_folder_of_another_kind_is_never_overwritten(files, tmp_path: Path, digest_of) -> None:
    model = tmp_path / "model"
    shutil.copytree(files.folder / "model", model)
    before = digest_of(model)
    with pytest.raises(ArtifactError, match="kind 'recommender', no result of a job"):
        run_job(files.job(model, overwrite=True))
    assert digest_of(model) == before
    (tmp_path / "mine" / "parts").mkdir(parents=True)
    (tmp_path / "mine" / "parts" / "part-000000.parquet").write_text("mine")
    with pytest.raises(ArtifactError, match=r"holds other files \('parts'\)"):
        run_job(files.job(tmp_path / "mine", overwrite=True))


def test_a_damaged_manifest_is_told_and_overwritten_where_it_is_asked_for(files, tmp_path: Path) -> None:
    run_job(files.job(tmp_path))
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="is no manifest of a job, or a damaged one"):
        run_job(files.job(tmp_path))
    assert run_job(files.job(tmp_path, overwrite=True)).parts == 5


def test_a_result_inside_an_input_is_refused(files, tmp_path: Path) -> None:
    slates = tmp_path / "slates"
    slates.mkdir()
    files.slate.to_parquet(slates / "a.parquet")
    with pytest.raises(ConfigError, match=r"scores lies inside slate=.*outside of all inputs"):
        run_job(files.job(slates / "scores", slate=str(slates)))
    assert not (slates / "scores").exists()


def test_two_columns_for_one_name_are_told_and_exchanged_names_are_followed(files, tmp_path: Path) -> None:
    double = tmp_path / "double.parquet"
    files.slate.assign(sku=files.slate["item_id"]).to_parquet(double)
    log = tmp_path / "log.parquet"
    files.log.rename(columns={"item_id": "sku"}).to_parquet(log)
    with pytest.raises(DataError, match="slate has a column 'item_id' already, and columns= asks to take 'sku' for it"):
        run_job(files.job(tmp_path / "out", slate=str(double), history=str(log), columns={"item_id": "sku"}))
    for name, frame in (("slate", files.slate), ("log", files.log)):
        frame.rename(columns={"item_id": "user_id", "user_id": "item_id"}).to_parquet(tmp_path / f"{name}.parquet")
    exchanged = {"columns": {"item_id": "user_id", "user_id": "item_id"}}
    paths = {"slate": str(tmp_path / "slate.parquet"), "history": str(log)}
    run_job(files.job(tmp_path / "exchanged", **paths, **exchanged))
    run_job(files.job(tmp_path / "plain"))
    assert read(tmp_path / "exchanged")["score"].equals(read(tmp_path / "plain")["score"])


def test_columns_that_are_not_there_or_taken_are_told(files, tmp_path: Path, caplog) -> None:
    HistoryStore.build(files.folder / "log.parquet", tmp_path / "store")
    slate = str(tmp_path / "slate.parquet")
    files.slate.assign(ts=0, score=1.0, reason="mine").to_parquet(slate)
    asked = {"slate": slate, "columns": {"timestamp": "tz"}, "history": str(tmp_path / "store")}
    with caplog.at_level(logging.WARNING, "recattn"):
        run_job(files.job(tmp_path / "out", **asked))
    assert "slate has no column 'tz', which columns asks to take for timestamp" in caplog.text
    assert "the slate's own column 'score' is replaced by the job's" in caplog.text
    assert "'reason' is replaced" in caplog.text
    assert "'probability'" not in caplog.text


def test_a_name_for_request_id_is_not_sought_in_the_history(files, tmp_path: Path) -> None:
    slate = str(tmp_path / "slate.parquet")
    files.slate.assign(rid=files.slate["user_id"]).to_parquet(slate)
    run_job(files.job(tmp_path / "out", slate=slate, columns={"request_id": "rid"}))
    run_job(files.job(tmp_path / "plain"))
    assert read(tmp_path / "out")["request_id"].equals(files.slate["user_id"])
    assert read(tmp_path / "out")["score"].equals(read(tmp_path / "plain")["score"])


def test_ids_with_quotes_and_newlines_survive_a_csv(files, tmp_path: Path) -> None:
    odd = files.slate.assign(note=[f'a "quote",\nand line {i}\n' * 40 for i in range(len(files.slate))])
    odd["user_id"] = odd["user_id"].replace("nobody", 'no "body"\n, or\nnobody')
    odd = pd.concat([odd] * 4, ignore_index=True)  # more than a block of the reader
    odd.to_csv(tmp_path / "odd.csv", index=False)
    run_job(files.job(tmp_path / "out", slate=str(tmp_path / "odd.csv")))
    found = read(tmp_path / "out")
    assert found["note"].tolist() == odd["note"].tolist()
    assert found["user_id"].tolist() == odd["user_id"].tolist()


def test_a_truncated_file_is_named_or_skipped_and_recorded(files, tmp_path: Path) -> None:
    slate = tmp_path / "slate"
    slate.mkdir()
    for number in range(3):
        files.slate.iloc[number * 300 : (number + 1) * 300].to_parquet(slate / f"{number}.parquet")
    whole = (slate / "1.parquet").read_bytes()
    (slate / "1.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"slate: cannot read '1.parquet'.*bad_files='skip'"):
        run_job(files.job(tmp_path / "out", slate=str(slate)))
    result = run_job(files.job(tmp_path / "out", slate=str(slate), bad_files="skip"))
    assert result.rows == 600
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert list(manifest["plan"]["skipped"]) == ["1.parquet"]


def test_a_file_damaged_in_the_middle_is_named_and_the_parts_before_it_stay(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recattn.jobs.slate.BATCH", 50)
    slate = tmp_path / "s.parquet"
    files.slate.to_parquet(slate, row_group_size=300, compression="none")
    data = bytearray(slate.read_bytes())
    at = pq.ParquetFile(slate).metadata.row_group(2).column(0).data_page_offset
    data[at : at + 40] = b"\xff" * 40
    slate.write_bytes(data)
    with pytest.raises(DataError, match=r"slate: cannot read 's.parquet'"):
        run_job(files.job(tmp_path / "out", slate=str(slate), rows_a_part=150))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert 1 <= len(manifest["parts"]) <= 4
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_files_of_another_schema_are_told_apart(files, tmp_path: Path) -> None:
    slate = tmp_path / "slate"
    slate.mkdir()
    files.slate.to_parquet(slate / "a.parquet")
    files.slate.assign(price=files.slate["price"].astype(str)).to_parquet(slate / "b.parquet")
    with pytest.raises(DataError, match=r"'b.parquet' differs from 'a.parquet': 'price' is double there and"):
        run_job(files.job(tmp_path / "out", slate=str(slate)))


def test_times_in_another_unit_are_told(files, tmp_path: Path) -> None:
    slate = files.slate.assign(timestamp=1_720_000_000_000)
    slate.to_parquet(tmp_path / "s.parquet")
    with pytest.raises(DataError, match="only makes sense as 'ms'"):
        run_job(files.job(tmp_path / "out", slate=str(tmp_path / "s.parquet")))
    files.log.assign(timestamp=files.log["timestamp"] * 1000).to_parquet(tmp_path / "h.parquet")
    changes = {"slate": str(tmp_path / "s.parquet"), "history": str(tmp_path / "h.parquet"), "unit": "ms"}
    assert run_job(files.job(tmp_path / "out", overwrite=True, **changes)).rows == len(slate)


def test_an_empty_slate_has_an_empty_result(files, tmp_path: Path) -> None:
    files.slate.iloc[:0].to_parquet(tmp_path / "s.parquet")
    assert run_job(files.job(tmp_path / "out", slate=str(tmp_path / "s.parquet"))).rows == 0
    assert list(read(tmp_path / "out")) == [*files.slate, "score", "reason"]


def test_duplicate_pairs_keep_their_rows_and_unknown_items_their_reason(files, tmp_path: Path, caplog) -> None:
    user = files.log["user_id"].iloc[0]
    pd.DataFrame({"user_id": [user] * 5, "item_id": ["gone"] * 5}).to_parquet(tmp_path / "s.parquet")
    result = run_job(files.job(tmp_path / "out", slate=str(tmp_path / "s.parquet")))
    assert result.reasons == {"unknown_item": 5}
    assert "no row has a score" in caplog.text


def test_very_many_candidates_of_one_user_are_cut(files, tmp_path: Path, monkeypatch) -> None:
    user = files.log["user_id"].iloc[0]
    slate = pd.DataFrame({"user_id": user, "item_id": np.resize(files.log["item_id"].unique(), 700)})
    slate.to_parquet(tmp_path / "s.parquet")
    expected = files.model.score(slate, history=files.log)
    monkeypatch.setattr("recattn.inference.predictor.BUDGET", 8 * 8 * 50)  # at most 50 candidates a piece
    run_job(files.job(tmp_path / "out", slate=str(tmp_path / "s.parquet"), rows_a_part=400))
    np.testing.assert_allclose(read(tmp_path / "out")["score"], expected["score"], rtol=1e-5, atol=1e-5)


def test_a_full_disk_is_told_and_the_job_goes_on_from_there(files, tmp_path: Path, monkeypatch, digest_of) -> None:
    run_job(files.job(tmp_path / "whole"))
    put, calls = Storage.put, [0]

    def full(self, name, data, *, number=-1):
        calls[0] += 1
        if calls[0] == 3:
            put(self, name, data[:50], number=number)
            raise ArtifactError(f"{name} cannot be written: No space left on device.")
        put(self, name, data, number=number)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put", full)
        with pytest.raises(ArtifactError, match=r"No space left on device. 2 parts are whole; start again to go on"):
            run_job(files.job(tmp_path / "out"))
    assert run_job(files.job(tmp_path / "out")).kept == 2
    assert digest_of(tmp_path / "out") == digest_of(tmp_path / "whole")


def test_null_ids_are_told_with_their_place(files, tmp_path: Path) -> None:
    slate = files.slate.copy()
    slate.loc[450, "user_id"] = None
    slate.to_parquet(tmp_path / "s.parquet")
    with pytest.raises(DataError, match=r"null user_id \(row 50.*Rows counted from row 400 of all, in 's.parquet'"):
        run_job(files.job(tmp_path / "out", slate=str(tmp_path / "s.parquet")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard": "0/3"}, "shard must be i/n"),
        ({"shard": "4/3"}, "shard must be i/n"),
        ({"memory_budget": "a lot"}, "must be an amount of memory"),
        ({"memory_budget": "10MB"}, "must be at least 512 MB"),
        ({"stage": "depp"}, "Did you mean 'deep'"),
        ({"users": "u.csv"}, "users is for the catalog"),
        ({"slate": None}, "a job needs a slate to score, or k"),
        ({"rows_a_part": 0}, "rows_a_part must be a whole number of at least 1"),
        ({"bad_files": "skp"}, "Did you mean 'skip'"),
    ],
)
def test_impossible_settings_are_told_at_once(files, tmp_path: Path, changes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        files.job(tmp_path / "out", **changes)


def test_explanations_stand_beside_the_scores(files, tmp_path: Path) -> None:
    slate = files.slate.iloc[:40]
    slate.to_parquet(tmp_path / "s.parquet")
    expected = files.model.explain(slate, history=files.log, top=2)
    for grouping in ("rows", "requests"):
        job = files.job(
            tmp_path / grouping, slate=str(tmp_path / "s.parquet"), explain=2, rows_a_part=15, grouping=grouping
        )
        run_job(job)
        found = read(tmp_path / grouping)["explanation"]
        assert [len(lines) for lines in found] == expected.groupby("row").size().reindex(
            range(40), fill_value=0
        ).tolist()
        flat = pd.DataFrame([line for lines in found for line in lines])
        assert flat["item_id"].tolist() == expected["history_item_id"].tolist()
        np.testing.assert_allclose(flat["change"], expected["change"], atol=1e-5)


def test_a_job_writes_to_an_object_store_and_reads_from_it(files, tmp_path: Path) -> None:
    store = Storage.at("memory://bucket")
    for name in ("a", "b"):
        half = files.slate.iloc[:450] if name == "a" else files.slate.iloc[450:]
        half.to_parquet(tmp_path / f"{name}.parquet")
        store.put(f"slate/{name}.parquet", (tmp_path / f"{name}.parquet").read_bytes())
    for grouping in ("rows", "requests"):
        job = files.job(Path(), slate="memory://bucket/slate", grouping=grouping)
        job = replace(job, out=f"memory://bucket/{grouping}")
        run_job(job)
        expected = files.model.score(files.slate, history=files.log)
        found = open_output(job.out).to_table().to_pandas()
        np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5, atol=1e-5)
        store.delete(f"{grouping}/_SUCCESS", f"{grouping}/parts/part-000001.parquet")
        assert run_job(job).kept == 4
        assert run_job(job).finished_before


def test_histories_may_be_a_store(files, tmp_path: Path) -> None:
    vocabulary = Vocabulary.from_values("item_id", files.log["item_id"])
    HistoryStore.from_frame(files.log, vocabulary).save(tmp_path / "store")
    run_job(files.job(tmp_path / "out", history=str(tmp_path / "store")))
    expected = files.model.score(files.slate, history=files.log)
    np.testing.assert_allclose(read(tmp_path / "out")["score"], expected["score"], rtol=1e-5, atol=1e-5)


def test_keys_of_an_uri_are_in_no_message(files) -> None:
    assert shown("s3://key:secret@bucket/scores?endpoint_override=host") == "s3://bucket/scores"
