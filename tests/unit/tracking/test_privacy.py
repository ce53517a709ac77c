"""What leaves for MLflow."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from recattn.tracking.privacy import hashed, scrubbed


def test_an_id_is_sixteen_digits_of_its_sha256(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECATTN_HASH_SALT", raising=False)
    ids = pd.Series(["ann", "bob", "ann", None], index=[5, 6, 7, 8], name="user_id")
    result = hashed(ids)
    assert result.iloc[0] == hashlib.sha256(b"ann").hexdigest()[:16]
    assert result.iloc[0] == result.iloc[2] != result.iloc[1]
    assert result.iloc[3] is None
    assert result.index.tolist() == [5, 6, 7, 8]
    assert result.name == "user_id"


def test_an_id_has_one_hash_whatever_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECATTN_HASH_SALT", raising=False)
    assert hashed(pd.Series([17])).tolist() == hashed(pd.Series(["17"])).tolist()


def test_a_salt_changes_every_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECATTN_HASH_SALT", raising=False)
    plain = hashed(pd.Series(["ann"]))
    monkeypatch.setenv("RECATTN_HASH_SALT", "pepper")
    assert hashed(pd.Series(["ann"])).tolist() != plain.tolist()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://ann:pw@host:5000/x?y=1", "http://***@host:5000/x?y=1"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("api_key='k1', seed=3", "api_key='***', seed=3"),
        ('{"access_token": "t"}', '{"access_token": "***"}'),
        ("unknown item 'tokenring'", "unknown item 'tokenring'"),
    ],
)
def test_secrets_are_starred_out(text: str, clean: str) -> None:
    assert scrubbed(text) == clean


def test_values_of_secret_variables_are_starred_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cr3t-value")
    assert scrubbed("refused s3cr3t-value here") == "refused *** here"


def test_a_long_message_is_cut() -> None:
    assert len(scrubbed("x" * 2000)) == 500
