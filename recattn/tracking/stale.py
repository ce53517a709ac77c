"""Runs whose process died without a word."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import os
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

HEARTBEAT = "recattn.heartbeat"
CLOSED_AS = "recattn.closed_as"
BEAT_SECONDS = 600
OLD_SECONDS = 3600

log = logging.getLogger(__name__)


def process_mark(pid: int) -> str | None:
    """When the living process `pid` began, as the system writes it; "" where there is none, None where
    unknown.

    With the pid it names one process: a later process under the same pid has another mark.
    """
    if Path("/proc/1/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    try:
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def machine() -> str:
    """What tells this host's process table from any other's, such as another container of the same name."""
    parts = [socket.gethostname()]
    for read in (Path("/proc/sys/kernel/random/boot_id").read_text, lambda: os.readlink("/proc/self/ns/pid")):
        try:
            parts.append(read().strip())
        except OSError:
            continue
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def heartbeat() -> str:
    """The sign of life of this process: time, host, pid."""
    return json.dumps(
        {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "machine": machine(),
            "pid": os.getpid(),
            "started": process_mark(os.getpid()),
        }
    )


def read_beat(run: Run) -> dict[str, Any] | None:
    """The last sign of life of a run, or None for a run that gives none of ours."""
    try:
        beat = json.loads(run.data.tags[HEARTBEAT])
        return {
            **beat,
            "time": datetime.datetime.fromisoformat(beat["time"]).timestamp(),
            "pid": int(beat["pid"]),
        }
    except (KeyError, TypeError, ValueError):
        return None


def is_alive(beat: dict[str, Any], now: float) -> bool:
    """On this machine: whether the process lives. Elsewhere: whether it gave a sign within the hour."""
    if beat.get("machine") == machine():
        mark = process_mark(beat["pid"])
        if mark is not None:
            return mark != "" and mark == beat.get("started")
    return now - beat["time"] < OLD_SECONDS


def lives_here(run: Run) -> bool:
    """Whether another living process of this machine still writes to `run`."""
    beat = read_beat(run)
    if beat is None or run.info.status != "RUNNING" or beat.get("machine") != machine():
        return False
    return beat["pid"] != os.getpid() and is_alive(beat, now=beat["time"] + OLD_SECONDS)


def close_stale(client: MlflowClient, experiment_id: str, but: str | None = None) -> list[str]:
    """Mark FAILED every RUNNING run of ours in the experiment, `but` one, whose process is gone; their ids.

    A run ends at its last sign of life. Runs without our heartbeat are never touched.
    """
    now = datetime.datetime.now(datetime.UTC).timestamp()
    closed: list[str] = []
    for run in _running(client, experiment_id):
        beat = read_beat(run)
        if beat is None or run.info.run_id == but or is_alive(beat, now):
            continue
        try:
            client.set_tag(run.info.run_id, CLOSED_AS, "stale")
            client.set_terminated(run.info.run_id, "FAILED", end_time=int(beat["time"] * 1000))
        except MlflowException as error:
            log.warning("Run %s is stale but could not be closed: %s", run.info.run_id, error)
            continue
        log.warning("Run %s was left RUNNING by a process that is gone; it is FAILED now.", run.info.run_id)
        closed.append(run.info.run_id)
    return closed


def _running(client: MlflowClient, experiment_id: str) -> list[Run]:
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], "attributes.status = 'RUNNING'", page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs
