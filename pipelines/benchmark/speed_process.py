"""What every measured process does alike: keep to its core, time epochs, name the machine. It needs no recattn."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8")


class EpochClock:
    """Seconds of each training epoch, from before its first batch is fetched to after its last step.

    The hooks are those of a Lightning callback, whichever package of Lightning calls them; validation is left out.

    Args:
        wait: Called before each reading of the clock: a device that works on its own must have finished.
    """

    def __init__(self, wait: Callable[[], object] | None = None) -> None:
        self.wait = wait
        self.seconds: list[float] = []
        self._spent, self._since = 0.0, 0.0

    def _now(self) -> float:
        if self.wait is not None:
            self.wait()
        return time.perf_counter()

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self._spent, self._since = 0.0, self._now()

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        self._spent += self._now() - self._since

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        self._since = self._now()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.seconds.append(self._spent + self._now() - self._since)


def keep_to(core: int | None, threads: int) -> None:
    """This process on one core (None: wherever the system puts it); call it before torch is imported."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    import torch

    torch.set_num_threads(threads)


def peak_bytes() -> int:
    """The most memory this process has held (`ru_maxrss` may be that of the process that started it)."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def machine() -> dict[str, Any]:
    """The processor, what it can do, and what runs on it."""
    import numpy
    import pandas
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    about = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    flags = set(about.get("flags", "").split())
    return {
        "cpu": about.get("model name", platform.processor()),
        "cpus": os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "pandas": pandas.__version__,
    }


def ndcg_at_10(best: Any, truth: Any) -> float:
    """Mean NDCG@10 of lists `best` [X, 10] with one right item `truth` [X] each: 1 / log2(1 + its rank), or 0."""
    import numpy as np

    hits = np.asarray(best)[:, :10] == np.asarray(truth)[:, None]
    return float((hits @ (1 / np.log2(np.arange(2, hits.shape[1] + 2)))).mean())


def measured(measure: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """`python SCRIPT spec.json out.json`: what `measure` finds, with the machine it was found on."""
    given, made = (Path(name) for name in sys.argv[1:3])
    spec = json.loads(given.read_text())
    load = os.getloadavg()[0]
    keep_to(spec["core"], spec["threads"])
    found = measure(spec) | {"peak_bytes": peak_bytes(), "load_before": load, "machine": machine()}
    made.write_text(json.dumps(found, indent=1))
