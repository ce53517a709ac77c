"""The processes that train, as the search talks to them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from recattn import errors
from recattn.config import to_dict
from recattn.tuning.space import Settings

log = logging.getLogger("recattn")
Report = Callable[[int, float], bool]  # an epoch (0-based) with its value; whether the trial may go on


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    state: Literal["complete", "pruned", "failed"]
    value: float | None = None
    epoch: int | None = None  # 0-based, of the value
    run_id: str | None = None
    error: str | None = None


class LaneLost(Exception):
    """A worker is gone; its trial with it."""


class Lane(Protocol):
    """Runs one trial at a time."""

    def run(self, number: int, settings: Settings, report: Report) -> Outcome:
        """Train with these settings, telling each validated epoch; LaneLost where the lane cannot go on."""

    def close(self) -> None:
        """End it, whatever it does."""


class Worker:
    """A lane in a process of its own: orders go to its stdin, answers come from its stdout, a line of JSON each."""

    def __init__(self, folder: Path, name: str, environment: Mapping[str, str]) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        with self.log.open("w") as news:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "recattn.tuning.worker", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=news,
                text=True,
                env={**os.environ, **environment},
            )

    def run(self, number: int, settings: Settings, report: Report) -> Outcome:
        model, train = settings
        self._say({"number": number, "model": to_dict(model), "train": to_dict(train)})
        while True:
            told = self._hear()
            if "state" in told:
                return Outcome(**told)
            if "wrong" in told:  # with any trial
                raise getattr(errors, told["wrong"])(told["error"])
            self._say({"go": report(told["epoch"], told["value"])})

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def dismiss(self) -> None:
        """Let it end by itself, as it does when it has no more orders; the time for its last words is short."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.close()

    def _say(self, message: Mapping[str, Any]) -> None:
        try:
            self._process.stdin.write(json.dumps(message) + "\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
        except OSError:
            raise self._lost() from None

    def _hear(self) -> dict[str, Any]:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line.endswith("\n"):
            raise self._lost()
        return json.loads(line)

    def _lost(self) -> LaneLost:
        status = self._process.wait()
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        memory = " The system may have lacked memory: take fewer workers." if status == -9 else ""
        last = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()][-1:]
        words = f" Its last words: {last[0].strip()}" if last else ""
        return LaneLost(f"{self.name} {how}.{memory}{words}")


@contextlib.contextmanager
def crew(folder: Path, workers: int, threads: int | None, tracking_uri: str | None) -> Iterator[list[Worker]]:
    """`workers` processes that read their task from `folder`; they share the processor's threads and the GPUs."""
    cores = threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    environment = {"RECATTN_THREADS": str(max(1, cores // workers)) if threads or workers > 1 else ""}
    if tracking_uri is not None:  # by the environment, since it may hold a password
        environment["MLFLOW_TRACKING_URI"] = tracking_uri
    gpus = _gpus()
    if workers > 1 and len(gpus) == 1:
        log.warning("%d workers share one GPU: each needs its memory there", workers)
    made: list[Worker] = []
    try:
        for number in range(workers):
            own = {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if len(gpus) > 1 else {}
            made.append(Worker(folder, f"worker {number + 1}", environment | own))
        yield made
    except BaseException:
        for worker in made:
            worker.close()
        raise
    finally:
        for worker in made:
            worker.dismiss()


def _gpus() -> list[str]:
    """The GPUs as CUDA_VISIBLE_DEVICES names them."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return given.split(",") if given else [str(number) for number in range(torch.cuda.device_count())]
