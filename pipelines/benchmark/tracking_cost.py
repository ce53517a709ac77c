"""What logging to MLflow costs a training: seconds inside its calls, and what arrived.

python -m pipelines.benchmark.tracking_cost --epochs 12 --log interactions.parquet

Four fits of the same model: not tracked; to a SQLite file; to an `mlflow server` on this machine; to one that is
stopped after a quarter of the epochs and started again after three quarters. Without `--log` on a generated world. The
server takes its share of the processor: `processor`, the seconds of this process alone, tells what its thread costs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from mlflow import MlflowClient

import recattn as ra
from recattn.dataset.synthetic import make_world
from recattn.schema import read_interactions

LONGEST_START = 120.0


class Timed:
    """An observer that passes all on to another, and counts the seconds that takes."""

    def __init__(self, inner: Any, after: Callable[[int], None]) -> None:
        self.inner, self.after, self.seconds = inner, after, 0.0

    def _timed(self, name: str, *given: Any, **named: Any) -> Any:
        begin = time.perf_counter()
        try:
            return getattr(self.inner, name)(*given, **named)
        finally:
            self.seconds += time.perf_counter() - begin

    def params(self, values: Any) -> None:
        self._timed("params", values)

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        self._timed("metrics", values, step=step)
        if "train/loss" in values:
            self.after(step)

    def dataset(self, name: str, frame: pd.DataFrame, context: str = "training") -> None:
        self._timed("dataset", name, frame, context)

    def artifact(self, path: str, value: object) -> None:
        self._timed("artifact", path, value)

    def state(self) -> dict[str, str]:
        return self.inner.state()

    def failed(self, error: BaseException) -> None:
        self._timed("failed", error)


class Server:
    """An `mlflow server` on a free port of this machine, with its data in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        places = [
            "--backend-store-uri",
            f"sqlite:///{self.folder}/server.db",
            "--artifacts-destination",
            str(self.folder),
        ]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1", *places],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        for _ in range(int(LONGEST_START / 0.2)):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return
            time.sleep(0.2)
        raise TimeoutError(f"the server did not start; see {self.folder}/server.log")

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def tracked_fit(split: ra.Split, epochs: int, uri: str | None, after: Callable[[int], None]) -> dict[str, Any]:
    """One fit: seconds of it, inside the calls of the run, and at the end; the epochs whose loss MLflow has."""
    model = ra.Recommender(ra.ModelConfig(), ra.TrainConfig(max_epochs=epochs, patience=0, seed=1))
    begin = time.perf_counter()
    if uri is None:
        spent = time.process_time()
        model.fit(split.train, valid=split.valid)
        return {"fit": time.perf_counter() - begin, "processor": time.process_time() - spent}
    with ra.track("cost", tracking_uri=uri, wait=LONGEST_START) as run:
        opened, spent = time.perf_counter(), time.process_time()
        observer = Timed(run, after)
        model.fit(split.train, valid=split.valid, observers=[observer])
        fitted, spent = time.perf_counter(), time.process_time() - spent
    ended = time.perf_counter()
    client = MlflowClient(uri)
    points = client.get_metric_history(run.id, "train/loss")
    return {
        "fit": fitted - opened,
        "processor": spent,
        "in calls": observer.seconds,
        "share": observer.seconds / (fitted - opened),
        "to open": opened - begin,
        "to end": ended - fitted,
        "epochs in MLflow": f"{sorted(point.step for point in points) == list(range(epochs))}",
        "files": len(client.list_artifacts(run.id)),
        "status": client.get_run(run.id).info.status,
    }


def measure(split: ra.Split, epochs: int) -> pd.DataFrame:
    """One row a kind of MLflow."""
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        rows["none"] = tracked_fit(split, epochs, None, lambda _: None)
        database = f"sqlite:///{name}/mlflow.db"
        MlflowClient(database).search_experiments()  # making the tables is no cost of a run
        rows["sqlite"] = tracked_fit(split, epochs, database, lambda _: None)
        with serving(Path(name)) as server:
            rows["server"] = tracked_fit(split, epochs, server.uri, lambda _: None)

            def interrupt(epoch: int) -> None:
                if epoch == epochs // 4:
                    server.stop()
                elif epoch == 3 * epochs // 4:
                    server.start()

            rows["server, stopped and started"] = tracked_fit(split, epochs, server.uri, interrupt)
    return pd.DataFrame.from_dict(rows, orient="index")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", help="interactions to train on")
    parser.add_argument("--users", type=int, default=2000, help="of the generated world")
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    log = make_world(n_users=given.users, seed=0).interactions if given.log is None else read_interactions(given.log)
    split = ra.split_by_time(log)
    print(f"{len(split.train):,} training interactions, {given.epochs} epochs, one thread; seconds")
    print(measure(split, given.epochs).to_string(float_format="%.3g", na_rep=""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
