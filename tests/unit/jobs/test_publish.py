from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from recattn.errors import ArtifactError
from recattn.jobs import open_output, publish, run_job


@pytest.fixture
def shards(files, tmp_path: Path) -> Path:
    """Three finished shards."""
    for i in (1, 2, 3):
        run_job(files.job(tmp_path / "out", shard=f"{i}/3"))
    return tmp_path / "out"


def test_shards_published_are_the_job_as_one(files, shards: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no result of a job"):
        open_output(str(shards))
    result = publish(str(shards))
    run_job(files.job(tmp_path / "one"))
    assert (result.rows, result.parts) == (len(files.slate), 5)
    assert open_output(str(shards)).to_table().equals(open_output(str(tmp_path / "one")).to_table())
    first, one = (json.loads((folder / "manifest.json").read_text()) for folder in (shards, tmp_path / "one"))
    assert first["digest"] == one["digest"]
    assert [part["sha256"] for part in first["parts"]] == [part["sha256"] for part in one["parts"]]
    assert publish(str(shards)).finished_before
    assert run_job(files.job(shards, shard="2/3")).finished_before


def test_a_missing_or_unfinished_shard_is_named(shards: Path) -> None:
    (shards / "shards" / "2-of-3" / "_SUCCESS").unlink()
    with pytest.raises(ArtifactError, match=r"the shard 2/3 .* is not finished"):
        publish(str(shards))
    shutil.rmtree(shards / "shards" / "2-of-3")
    with pytest.raises(ArtifactError, match=r"the shard 2/3 .* has not been run"):
        publish(str(shards))


def test_shards_of_different_jobs_are_told(files, shards: Path) -> None:
    run_job(files.job(shards, shard="3/3", stage="retrieval", overwrite=True))
    with pytest.raises(ArtifactError, match=r"in shards/3-of-3 settings.stage was 'deep' and is 'retrieval'"):
        publish(str(shards))
    assert not (shards / "_SUCCESS").exists()


def test_a_damaged_part_and_a_part_that_is_there_twice_are_told(shards: Path) -> None:
    part = shards / "shards" / "2-of-3" / "parts" / "part-000001.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[:-5])
    with pytest.raises(ArtifactError, match=r"2-of-3/parts/part-000001.parquet is missing or damaged"):
        publish(str(shards))
    part.write_bytes(whole)
    shutil.copytree(shards / "shards" / "2-of-3", shards / "shards" / "2-of-2")
    with pytest.raises(ArtifactError, match="shards of 2, 3 in all"):
        publish(str(shards))
    shutil.rmtree(shards / "shards" / "2-of-2")
    shutil.copytree(shards / "shards" / "2-of-3", shards / "shards" / "1-of-3", dirs_exist_ok=True)
    with pytest.raises(ArtifactError, match=r"lack parts \[0\] and have parts \[1, 2\] twice"):
        publish(str(shards))


def test_shards_and_whole_jobs_do_not_mix(files, shards: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds shards of a job"):
        run_job(files.job(shards))
    run_job(files.job(tmp_path / "one"))
    with pytest.raises(ArtifactError, match="holds the result of a job without shards"):
        run_job(files.job(tmp_path / "one", shard="1/2"))
