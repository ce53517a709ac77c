"""How long `mlflow models serve` takes to answer one request over HTTP, and where the time goes.

python -m pipelines.benchmark.serving                      # a generated model of 12,000 items
python -m pipelines.benchmark.serving --model MODEL_FOLDER --requests 500
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import requests
import torch

import recattn as ra
from recattn.errors import RecattnError
from recattn.tracking import flavor
from recattn.tracking.pyfunc import RequestScorer

START = 1_700_000_000
ASKED = {"100 candidates": 100, "1,000 candidates": 1_000, "catalog, k=10": None}
WAIT = 120.0  # seconds for a server to come up


def generated(items: int = 12_000, rows: int = 60_000, seed: int = 0) -> ra.Recommender:
    """A model of the benchmark's size, hardly trained: what it says does not matter here, how long it takes does."""
    rng = np.random.default_rng(seed)
    names = np.array([f"item-{number}" for number in range(items)])
    log = pd.DataFrame(
        {
            "user_id": rng.integers(0, max(rows // 20, 2), rows),
            "item_id": rng.choice(names, rows),
            "timestamp": START + rng.integers(0, 10**7, rows),
        }
    )
    table = pd.DataFrame({"item_id": names, "kind": [f"kind-{number % 50}" for number in range(items)]})
    model = ra.ModelConfig(dim=64, num_layers=2, max_history=200)
    train = ra.TrainConfig(max_epochs=1, batch_size=64, seed=seed)
    return ra.Recommender(model, train, item_features=[ra.Categorical("kind")]).fit(log, items=table)


def request(ids: np.ndarray, length: int, candidates: int | None, timed: bool, seed: int) -> pd.DataFrame:
    """One row: a history of so many items of the catalog, and as many candidates."""
    rng = np.random.default_rng(seed)

    def some(count: int) -> list[str]:
        return [str(item) for item in rng.choice(ids, count, replace=count > len(ids))]

    row: dict[str, Any] = {"history_items": some(length)}
    if timed:
        row |= {"history_times": (START + 3_600 * np.arange(length)).tolist(), "as_of": START + 10**7}
    if candidates is not None:
        row["candidates"] = some(candidates)
    return pd.DataFrame([row])


@contextlib.contextmanager
def served(folder: Path, log: Path) -> Iterator[str]:
    """`mlflow models serve` of a model's folder on a free port; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # it calls uvicorn
    with log.open("w") as out:
        server = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "PATH": path}, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, server, log)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, 15)
        server.wait(timeout=30)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + WAIT
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/ping", timeout=1).ok:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not come up:\n{log.read_text()[-2000:]}")


def timed(ask: Callable[[int], object], count: int) -> np.ndarray:
    """Milliseconds of each of `count` calls, after a tenth more to warm up."""
    warm = max(3, count // 10)
    spent = []
    for number in range(count + warm):
        begin = time.perf_counter()
        ask(number)
        spent.append(time.perf_counter() - begin)
    return 1e3 * np.array(spent[warm:])


def measure(folder: Path, url: str, *, length: int, count: int) -> pd.DataFrame:
    """One row a kind of request: p50 and p99 over HTTP, and the median of each layer below, all in milliseconds."""
    model = flavor.load_model(str(folder))
    scorer, function = RequestScorer(model), mlflow.pyfunc.load_model(str(folder))
    ids, has_times = model.items.vocabulary.ids, model.config.time == "timestamp"
    session = requests.Session()
    rows = {}
    for name, candidates in ASKED.items():
        frames = [request(ids, length, candidates, has_times, seed) for seed in range(10)]
        bodies = [frame.to_json(orient="split", index=False) for frame in frames]
        bodies = [f'{{"dataframe_split": {body}}}' for body in bodies]

        def over_http(number: int, bodies: list[str] = bodies) -> None:
            answer = session.post(
                f"{url}/invocations", data=bodies[number % 10], headers={"Content-Type": "application/json"}, timeout=60
            )
            answer.raise_for_status()

        http = timed(over_http, count)
        layers = {
            "pyfunc": timed(lambda n, frames=frames: function.predict(frames[n % 10]), count),
            "scorer": timed(lambda n, frames=frames: scorer.predict(frames[n % 10]), count),
        }
        medians = {layer: float(np.median(spent)) for layer, spent in layers.items()}
        rows[name] = {"p50": np.percentile(http, 50), "p99": np.percentile(http, 99), **medians}
    return pd.DataFrame(rows).T


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of a saved Recommender; generated without it")
    parser.add_argument("--requests", type=int, default=200, help="timed requests of each kind")
    parser.add_argument("--history", type=int, default=50, help="interactions of each request")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        model = ra.Recommender.load(given.model) if given.model else generated()
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model"
        flavor.save_model(model, saved)
        begin = time.perf_counter()
        with served(saved, Path(folder) / "server.log") as url:
            up = time.perf_counter() - begin
            table = measure(saved, url, length=given.history, count=given.requests)
    print(f"{len(model.items) - 1:,} items, histories of {given.history}, {given.requests} requests of each kind, ms")
    print(table.to_string(float_format="%.2f"))
    print(f"p50, p99: over HTTP, one client; pyfunc: MLflow's checks and our scorer, in process. Up in {up:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
