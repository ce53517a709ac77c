"""Jobs on an S3 bucket, of an emulator on this machine."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow.fs as pafs
import pytest

from recattn.errors import ArtifactError, ConfigError, DataError
from recattn.jobs import ScoreJob, open_output, publish, run_job
from recattn.jobs.faults import STATUS, VARIABLE
from recattn.jobs.storage import Storage

server = pytest.importorskip("moto.server", reason="needs moto[server], of the dev extra")

CODE = "import json, sys; from recattn.jobs import *; run_job(ScoreJob(**json.loads(sys.argv[1])))"
KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
At = Callable[[str], str]


@pytest.fixture(scope="module")
def at() -> Iterator[At]:
    """`at("folder")`: its URI in an empty bucket."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        emulator = server.ThreadedMotoServer("127.0.0.1", port=0)
        emulator.start()
        host = ":".join(str(value) for value in emulator.get_host_and_port())
        s3 = pafs.S3FileSystem(endpoint_override=host, scheme="http", allow_bucket_creation=True)
        s3.create_dir("bucket")
        yield lambda name: f"s3://bucket/{name}?endpoint_override={quote(host, safe='')}&scheme=http"
        emulator.stop()


def contents(where: str) -> dict[str, bytes]:
    """What may be compared between two runs, like `digest_of` of a local folder."""
    storage = Storage.at(where)
    return {name: storage.read(name) for name in storage.sizes() if Path(name).name != "run.json"}


def test_a_job_in_a_bucket_is_the_job_on_a_disk_byte_by_byte(files, tmp_path: Path, digest_of, at: At) -> None:
    job = replace(files.job(tmp_path / "disk"), out=at("scores"))
    run_job(files.job(tmp_path / "disk"))
    result = run_job(job)
    found = contents(job.out)
    assert (result.rows, result.parts, result.kept) == (900, 5, 0)
    assert sorted(found) == ["_SUCCESS", "manifest.json", *(f"parts/part-{i:06}.parquet" for i in range(5))]
    assert found == digest_of(tmp_path / "disk")
    assert b"127.0.0.1" not in found["manifest.json"]
    expected = files.model.score(files.slate, history=files.log)
    scores = open_output(job.out).to_table().to_pandas()["score"]
    np.testing.assert_allclose(scores, expected["score"], rtol=1e-5, atol=1e-5)
    Storage.at(job.out).put("parts/part-000001.parquet", found["parts/part-000001.parquet"][:-5])
    assert run_job(job).kept == 4
    assert run_job(job).finished_before
    assert contents(job.out) == found
    assert run_job(replace(job, stage="retrieval", overwrite=True)).kept == 0
    assert contents(job.out).keys() == found.keys()


@pytest.mark.parametrize(("fault", "kept"), [("within_part_write:2", 2), ("before_manifest:3", 3)])
def test_a_killed_job_goes_on_in_the_bucket_to_the_same_bytes(
    files, tmp_path: Path, digest_of, at: At, fault: str, kept: int
) -> None:
    run_job(files.job(tmp_path / "disk"))
    settings = files.settings(tmp_path) | {"out": at(f"killed-{kept}")}
    environment = os.environ | {VARIABLE: fault, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", CODE, json.dumps(settings)], env=environment, capture_output=True)
    assert done.returncode == STATUS, done.stderr.decode()
    left = contents(settings["out"])
    assert len(json.loads(left["manifest.json"])["parts"]) == kept
    assert "_SUCCESS" not in left
    assert run_job(ScoreJob(**settings)).kept == kept
    assert contents(settings["out"]) == digest_of(tmp_path / "disk")


def test_shards_in_a_bucket_are_published(files, tmp_path: Path, at: At) -> None:
    job = replace(files.job(tmp_path), out=at("shards"))
    run_job(replace(job, shard="1/2"))
    with pytest.raises(ArtifactError, match=r"the shard 2/2 in s3://bucket/shards has not been run") as told:
        publish(job.out)
    assert "endpoint" not in str(told.value)
    run_job(replace(job, shard="2/2"))
    assert publish(job.out).parts == 5
    assert publish(job.out).finished_before
    run_job(files.job(tmp_path / "disk"))
    assert open_output(job.out).to_table().equals(open_output(str(tmp_path / "disk")).to_table())


def test_a_slate_is_read_from_a_bucket(files, tmp_path: Path, at: At) -> None:
    store = Storage.at(at("slates"))
    for name, rows in (("day=1/a", slice(0, 450)), ("day=2/b", slice(450, None))):
        files.slate.iloc[rows].to_parquet(tmp_path / "half.parquet")
        store.put(f"{name}.parquet", (tmp_path / "half.parquet").read_bytes())
    expected = files.model.score(files.slate, history=files.log)["score"].to_numpy()
    for grouping in ("rows", "requests"):
        out = at(f"from-folder-{grouping}")
        run_job(replace(files.job(tmp_path), slate=at("slates"), out=out, grouping=grouping))
        found = open_output(out).to_table().to_pandas()
        np.testing.assert_allclose(found["score"], expected, rtol=1e-5, atol=1e-5)
        assert found["day"].tolist() == ["1"] * 450 + ["2"] * 450
    run_job(files.job(tmp_path / "one", slate=at("slates/day=2/b.parquet")))
    found = open_output(str(tmp_path / "one")).to_table().to_pandas()
    np.testing.assert_allclose(found["score"], expected[450:], rtol=1e-5, atol=1e-5)
    with pytest.raises(DataError, match=r"no file or folder 's3://bucket/gone'"):
        run_job(files.job(tmp_path / "none", slate=at("gone")))


def test_a_file_of_many_uploads_is_whole(at: At) -> None:
    data = np.random.default_rng(0).bytes(11 * 2**20)  # beyond what one request carries
    store = Storage.at(at("large"))
    store.put("parts/x", memoryview(data))
    assert store.sizes() == {"parts/x": len(data)}
    assert store.read("parts/x") == data


def test_a_bucket_that_is_not_there_is_told(files, tmp_path: Path, at: At) -> None:
    nowhere = at("scores").replace("//bucket", "//gone")
    with pytest.raises(ArtifactError, match=r"gone/scores/manifest.json cannot be written: .*bucket does not exist"):
        run_job(replace(files.job(tmp_path), out=nowhere))


def test_a_wrong_uri_is_told_without_its_keys() -> None:
    for uri in ("s3://key:hidden@bucket/x y?scheme=%zz", "s3://key:hidden@bucket/x?endpoint=here"):
        with pytest.raises(ConfigError, match="no place that pyarrow or fsspec can reach") as told:
            Storage.at(uri)
        assert "hidden" not in "".join(traceback.format_exception(told.value))


def test_the_log_and_the_users_may_lie_in_the_bucket_too_and_a_store_may_not(files, tmp_path: Path, at: At) -> None:
    storage = Storage.at(at("inputs"))
    storage.put("log.parquet", (files.folder / "log.parquet").read_bytes())
    storage.put("store/store.json", b"{}")
    log = at("inputs").replace("inputs?", "inputs/log.parquet?")
    run_job(files.job(tmp_path / "near"))
    run_job(files.job(tmp_path / "far", history=log))
    near, far = (open_output(str(tmp_path / name)).to_table() for name in ("near", "far"))
    assert near == far
    with pytest.raises(ConfigError, match="is a history store, which must lie on a disk"):
        run_job(files.job(tmp_path / "no", history=at("inputs").replace("inputs?", "inputs/store?")))
    with pytest.raises(DataError, match="no file or folder 's3://bucket/nothing'"):
        run_job(files.job(tmp_path / "no", history=at("nothing")))
