"""Runs, models and registries with which nothing can be decided."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from recattn.errors import ArtifactError, ConfigError, DataError
from recattn.tracking.promotion import evidence
from recattn.tracking.promotion.rules import Rules
from tests.unit.tracking.promotion.conftest import Bench, report


def test_a_run_that_does_not_exist(bench: Bench) -> None:
    with pytest.raises(ArtifactError, match="there is no such run"):
        bench.promote("0" * 32, 1)


@pytest.mark.parametrize(("status", "words"), [("RUNNING", "still runs"), ("FAILED", "ended FAILED")])
def test_a_run_that_is_not_finished(bench: Bench, status: str, words: str) -> None:
    run = bench.run(report(0, 1))
    bench.client.update_run(run, status=status)
    with pytest.raises(ArtifactError, match=words):
        bench.promote(run, 1)


def test_a_run_without_a_model(bench: Bench) -> None:
    with pytest.raises(ArtifactError, match="has no logged model to register"):
        bench.promote(bench.run(report(0, 1), model=False), 1)


def test_a_run_without_that_evaluation(bench: Bench) -> None:
    with pytest.raises(ArtifactError, match=r"no per-request metrics.*It has an evaluation under 'w1'"):
        bench.promote(bench.run(report(0, 1)), 5)


def test_a_metric_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'ndcg_at_10'"):
        bench.promote(bench.run(report(0, 1)), 1, Rules(metric="ndcg_at_1"))


def test_the_run_of_the_champion(bench: Bench) -> None:
    run = bench.champion()
    with pytest.raises(ConfigError, match=rf"run {run} is the champion of {bench.name!r} already \(version 1\)"):
        bench.promote(run, 2)


def test_other_truth_than_the_champions(bench: Bench) -> None:
    bench.champion()
    run = bench.run(report(0.05, 2, truth_sha256="ab" * 32))
    with pytest.raises(DataError, match=r"truth_sha256 is 'abab.*Judge the champion .* in its own run"):
        bench.promote(run, 2)
    assert bench.aliases == {"champion": "1"}


def test_a_champion_that_was_not_judged_there(bench: Bench) -> None:
    bench.champion()
    with pytest.raises(ArtifactError, match=r"the champion cannot be compared with.*run.log\(report, 'w4'\)"):
        bench.promote(bench.run(report(0.05, 4)), 4)


def test_ids_hashed_with_another_salt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.champion()
    monkeypatch.setenv("RECATTN_HASH_SALT", "pepper")
    run = bench.run(report(0.05, 2))
    with pytest.raises(DataError, match=r"300 of the challenger's 300 are not among .* RECATTN_HASH_SALT"):
        bench.promote(run, 2)


def test_a_champion_whose_run_is_deleted(bench: Bench) -> None:
    run = bench.champion()
    bench.client.delete_run(run)
    with pytest.raises(ArtifactError, match=rf"is deleted.*recattn rollback {bench.name}"):
        bench.promote(bench.run(report(0.05, 2)), 2)


def test_a_champion_whose_version_is_deleted_is_none(bench: Bench) -> None:
    bench.champion()
    bench.client.delete_model_version(bench.name, "1")
    decision = bench.promote(bench.run(report(0.05, 2)), 2)
    assert (decision.outcome, decision.previous) == ("promoted", None)


def test_a_challenger_deleted_before_the_move(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.champion()
    write = evidence.write

    def meanwhile(client: MlflowClient, *rest: object) -> None:
        write(client, *rest)  # type: ignore[arg-type]
        client.delete_model_version(bench.name, "2")

    monkeypatch.setattr(evidence, "write", meanwhile)
    with pytest.raises(ArtifactError, match=r"Model Version .* not found"):
        bench.promote(bench.run(report(0.05, 2)), 2)
    assert bench.aliases == {"champion": "1"}
    assert [one.state for one in bench.records] == ["promoted", "abandoned"]


def test_a_registry_that_may_not_be_written_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.champion()
    run = bench.run(report(0.05, 2))

    def denied(*_: object) -> None:
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(MlflowClient, "set_registered_model_tag", denied)
    with pytest.raises(ArtifactError, match=r"may not write there: .*Permission denied"):
        bench.promote(run, 2)
    assert bench.aliases["champion"] == "1"


def test_a_name_that_no_model_can_have(bench: Bench) -> None:
    bench.name = "books/2"
    with pytest.raises(ConfigError, match="'books/2' cannot be the name of a registered model"):
        bench.promote(bench.run(report(0, 1)), 1)
