"""Tests of the peers' speed: their processes are played by a script."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipelines.benchmark import peers_speed
from pipelines.benchmark.peers.__main__ import NAMES
from recattn.errors import ConfigError

PLAYED = """#!/bin/sh
echo '{"slow": 1000, "fast": 1000}'
while read row; do [ "$row" = slow ] && echo 2.0 || echo 0.5; done
"""


def play(folder: Path, peer: str, script: str) -> None:
    python = folder / peer / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(script)
    python.chmod(0o755)


def test_rows_of_a_peer_are_asked_one_by_one(tmp_path: Path) -> None:
    play(tmp_path, "recbole", PLAYED)
    with peers_speed.peer_rows("recbole", tmp_path, peers_speed.SIZES) as rows:
        times = peers_speed.measure(rows, 2)
    assert times["row"].tolist() == ["slow", "fast"] * 2
    assert peers_speed.summary(times)["pairs_per_s"].tolist() == [500, 2000]


def test_an_environment_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert peers_speed.main(["--peers", str(tmp_path)]) == 1
    assert "peers make recbole" in capsys.readouterr().err


def test_a_peer_that_ends_is_told_of(tmp_path: Path) -> None:
    play(tmp_path, "fuxictr", "#!/bin/sh\nexit 3\n")
    peer = peers_speed.peer_rows("fuxictr", tmp_path, peers_speed.SIZES)
    with pytest.raises(ConfigError, match="process of fuxictr ended"):
        peer.__enter__()


def test_every_peer_has_its_pins() -> None:
    assert set(peers_speed.PEERS) <= set(NAMES)


def test_ours_are_timed_over_all_users_and_the_whole_catalog(one_thread: None) -> None:
    sizes = peers_speed.SIZES | {"users": 21, "history": 10, "items": 30, "dim": 8}
    rows = peers_speed.own_rows(sizes)
    tables = pd.Series({name: table for name, (table, _, _) in rows.items()})
    assert tables.value_counts().to_dict() == {"attention": 3, "catalog": 3}
    _, pairs, seconds = rows["recattn recommend, retrieval"]
    assert pairs == 21 * 30
    assert seconds() > 0
