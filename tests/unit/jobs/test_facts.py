from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.profile import Profile, length_counts
from recattn.errors import ConfigError, DataError
from recattn.inference.artifact import load_model, save_model
from recattn.jobs import FailIf, open_output, publish, run_job
from recattn.jobs.facts import facts_of
from recattn.jobs.manifest import Manifest
from recattn.jobs.storage import Storage


@pytest.fixture(scope="module")
def lengths(files) -> pd.Series:
    """The length of the history of each user of the slate."""
    counts = files.log.groupby("user_id").size()
    return files.slate["user_id"].drop_duplicates().map(counts).fillna(0).astype(int)


@pytest.fixture(scope="module")
def profiled(files, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model as if trained on short histories, with scores around 0 on validation."""
    folder = tmp_path_factory.mktemp("profiled") / "model"
    profile = Profile(1000, 1500, None, (0, 700, 300), (-1.0, 0.0, 1.0), (250, 250, 250, 250), 0.0)
    save_model(replace(load_model(files.folder / "model"), profile=profile), folder)
    return str(folder)


@pytest.mark.parametrize("grouping", ["rows", "requests"])
def test_shares_of_a_slate_are_those_counted_by_hand(files, lengths, tmp_path: Path, grouping: str) -> None:
    facts = run_job(files.job(tmp_path / "out", rows_a_part=1000, grouping=grouping)).facts
    assert (facts.rows, facts.requests) == (900, len(lengths))
    assert facts.unknown_items == pytest.approx((files.slate["item_id"] == "gone").mean())
    assert facts.no_history == pytest.approx((lengths == 0).mean())
    assert facts.unknown_history == 0
    assert list(facts.lengths) == np.trim_zeros(length_counts(lengths.to_numpy()), "b").tolist()
    scores = open_output(str(tmp_path / "out")).to_table().to_pandas()["score"].dropna()
    for q, value in facts.scores.items():
        assert value == pytest.approx(scores.quantile(q), abs=0.1 * float(scores.std()))


def test_grouped_parts_count_a_request_once_however_many_it_lies_in(files, lengths, tmp_path: Path) -> None:
    apart = run_job(files.job(tmp_path / "apart", rows_a_part=100)).facts
    together = run_job(files.job(tmp_path / "together", rows_a_part=100, grouping="requests")).facts
    assert together.requests == len(lengths) < apart.requests
    assert together.unknown_items == apart.unknown_items


def test_a_catalog_job_counts_its_users(files, tmp_path: Path) -> None:
    facts = run_job(files.job(tmp_path / "out", k=3)).facts
    assert (facts.requests, facts.no_history, facts.unknown_items) == (files.log["user_id"].nunique(), 0.0, None)
    assert set(facts.scores) == {0.05, 0.25, 0.5, 0.75, 0.95}


def test_drift_is_told_against_the_profile_of_the_model(files, profiled: str, tmp_path: Path) -> None:
    far = run_job(files.job(tmp_path / "far", model=profiled, k=3)).facts
    assert far.drift > 1
    assert far.score_drift > 0.25
    assert run_job(files.job(tmp_path / "cheap", model=profiled, k=3, stage="retrieval")).facts.score_drift is None
    near = run_job(files.job(tmp_path / "near", k=3)).facts
    assert (near.drift, near.score_drift) == (0.0, None)  # the log is that of train, which had no validation


def test_a_limit_that_is_passed_publishes_nothing_and_another_goes_on(files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    share = (files.slate["item_id"] == "gone").mean()
    with pytest.raises(DataError, match=rf"is not published: {share:.2%} of the slate's rows .*unknown_items: 1.00%"):
        run_job(files.job(out, fail_if=FailIf(unknown_items=0.01, no_history=0.9)))
    assert not (out / "_SUCCESS").exists()
    result = run_job(files.job(out, fail_if=FailIf(unknown_items=0.5)))
    assert (result.kept, result.parts) == (5, 5)
    assert (out / "_SUCCESS").exists()


def test_a_history_of_other_items_fails_before_anything_is_scored(files, tmp_path: Path) -> None:
    log = files.log.assign(item_id=files.log["item_id"].where(files.log.index % 2 == 0, "other"))
    log.to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="of the history's interactions"):
        run_job(files.job(tmp_path / "out", history=str(tmp_path / "log.parquet"), fail_if=FailIf(unknown_history=0.3)))
    assert not (tmp_path / "out").exists()


def test_limits_of_what_nobody_can_tell_are_refused(files, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fail_if\.score_drift needs the model's own score, and"):
        run_job(files.job(tmp_path / "out", fail_if=FailIf(score_drift=0.3)))
    with pytest.raises(ConfigError, match=r"fail_if\.unknown_items is for a slate"):
        run_job(files.job(tmp_path / "out", k=3, fail_if=FailIf(unknown_items=0.3)))
    with pytest.raises(ConfigError, match=r"fail_if\.no_history must be a share from 0 to 1, got 20"):
        FailIf(no_history=20)


def test_limits_of_shards_are_judged_of_the_whole_where_they_are_published(files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for shard in ("1/2", "2/2"):
        run_job(files.job(out, shard=shard))
    with pytest.raises(DataError, match="is not published"):
        publish(str(out), fail_if=FailIf(no_history=0.0))
    assert not (out / "_SUCCESS").exists()
    whole = run_job(files.job(tmp_path / "whole")).facts
    assert publish(str(out), fail_if=FailIf(no_history=0.5)).facts == whole


def test_a_manifest_of_an_older_recattn_has_no_facts(files, tmp_path: Path) -> None:
    run_job(files.job(tmp_path / "out"))
    manifest = Manifest.load(Storage.at(tmp_path / "out"))
    assert manifest is not None
    bare = replace(manifest, about={}, parts=tuple(replace(part, facts={}) for part in manifest.parts))
    facts = facts_of(bare)
    assert (facts.rows, facts.requests, facts.no_history, facts.drift, facts.scores) == (900, 0, None, None, {})
