"""What a batch job is asked to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from recattn.config import STAGES, Stage
from recattn.errors import ConfigError, nearest
from recattn.jobs.budget import parse_bytes, rows_a_part
from recattn.jobs.facts import Facts
from recattn.jobs.limits import FailIf
from recattn.schema import check_k
from recattn.schema.times import Unit, check_unit

Grouping = Literal["auto", "rows", "requests"]
BadFiles = Literal["stop", "skip"]
NO_LIMIT = FailIf()
FREE = ("out", "device", "threads", "shard", "overwrite", "fail_if")  # may change between two starts of a job
FILES = ("model", "history", "slate", "users", "candidates", "user_features", "fallback")  # known by their contents


@dataclass(frozen=True)
class ScoreJob:
    """A slate to score, or users to list the best items of the catalog for; plain values, as a config file has them.

    Attributes:
        model: Model folder.
        history: Interactions: a store of `recattn prepare`, or Parquet or CSV (path or URI).
        out: The folder for the result: a path, or a URI such as s3://bucket/scores.
        slate: Candidates: a Parquet or CSV file, or a folder of them (path or URI). Without it, the catalog.
        k: Items a request, for the catalog.
        users: Requests for the catalog (user_id, where known request_id, timestamp); without it all of the history.
        candidates: File with the item_id of the only items to choose from, for the catalog.
        exclude_seen: Whether items of the visible history are left out, for the catalog.
        fallback: File with an item_id column: what requests without history are given, in this order.
        user_features: File with the attributes of users (path or URI), for models that use them.
        as_of: The moment of rows that name none, a date or seconds; just after the end of the history by default.
        stage: A cheaper score than the model's own.
        explain: Interactions to add to each scored row, those whose masking changes its score most; 0: none.
        columns: Our name to yours, `{"timestamp": "ts"}`.
        unit: What numbers in timestamp count.
        device: Where to score (`cpu`, `cuda`).
        threads: Torch threads on the CPU.
        memory_budget: What the job may hold in memory beside the libraries, the model and a history that is no store.
        rows_a_part: Rows of the slate (or requests, for the catalog) a part; as many as the budget holds by default.
        grouping: `rows`: a part is scored by itself. `requests`: the rows of a request are brought together first,
            through files beside the output, so that its history is read once. `auto`: what the slate calls for.
        bad_files: Files of the slate that cannot be read: `stop`, or `skip` them and record which.
        shard: `i/n`: the i-th of n shares of the parts, for n processes. `publish` puts them together.
        overwrite: Whether to begin anew where there is a result already.
        fail_if: Limits; where one is passed nothing is published. Of a shard its own rows count.
    """

    model: str
    history: str
    out: str
    slate: str | None = None
    k: int | None = None
    users: str | None = None
    candidates: str | None = None
    exclude_seen: bool = True
    fallback: str | None = None
    user_features: str | None = None
    as_of: str | int | None = None
    stage: Stage | None = None
    explain: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: Unit = "s"
    device: str | None = None
    threads: int | None = None
    memory_budget: str | int = "2GB"
    rows_a_part: int | None = None
    grouping: Grouping = "auto"
    bad_files: BadFiles = "stop"
    shard: str | None = None
    overwrite: bool = False
    fail_if: FailIf = NO_LIMIT

    def __post_init__(self) -> None:
        if (self.slate is None) == (self.k is None):
            raise ConfigError("a job needs a slate to score, or k for the catalog: one of them, not both.")
        if self.k is not None:
            check_k(self.k)
        for name in ("users", "candidates", "fallback"):
            if self.slate is not None and getattr(self, name) is not None:
                raise ConfigError(f"{name} is for the catalog, and slate={self.slate!r} is given. Leave one out.")
        for name, number in (("threads", self.threads), ("rows_a_part", self.rows_a_part)):
            if number is not None:
                check_k(number, name=name)
        if self.explain != 0:
            check_k(self.explain, name="explain")
        check_unit(self.unit)
        _one_of("grouping", self.grouping, ("auto", "rows", "requests"))
        _one_of("bad_files", self.bad_files, ("stop", "skip"))
        if self.stage is not None:
            _one_of("stage", self.stage, STAGES)
        self.part_rows()
        self.share()

    def part_rows(self) -> int:
        """Rows or requests a part."""
        most = rows_a_part(parse_bytes(self.memory_budget), self.k)
        return most if self.rows_a_part is None else min(most, self.rows_a_part)

    def share(self) -> tuple[int, int]:
        """The shard i of n, from 1; (1, 1) without any."""
        if self.shard is None:
            return 1, 1
        found = re.fullmatch(r"(\d+)/(\d+)", self.shard)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ConfigError(f"shard must be i/n with i from 1 to n, such as 1/4, got {self.shard!r}.")
        return int(found[1]), int(found[2])

    def settings(self) -> dict[str, Any]:
        """What shapes the result beside the contents of files, as plain values."""
        values = {name: value for name, value in asdict(self).items() if name not in (*FREE, *FILES)}
        return values | {"columns": dict(self.columns), "as_of": None if self.as_of is None else str(self.as_of)}


@dataclass(frozen=True)
class JobResult:
    """What a job, or its share, has come to.

    Attributes:
        out: The folder of the result.
        rows: Rows written, those of earlier starts among them.
        parts: Files of the result.
        kept: Parts that were whole from an earlier start.
        reasons: Rows (requests, for the catalog) of each reason.
        seconds: What this start took.
        facts: Shares and distances of the whole.
        digest: sha256 of what the result is of: settings, inputs, moment, plan.
        finished_before: Whether there was nothing left to do.
    """

    out: str
    rows: int
    parts: int
    kept: int
    reasons: dict[str, int]
    seconds: float
    facts: Facts
    digest: str
    finished_before: bool = False


def _one_of(name: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise ConfigError(f"{name} must be one of {', '.join(options)}, got {value!r}.{nearest(str(value), options)}")
