"""A two-stage job as plain values, for one YAML file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from recattn.candidates.asked import Users
from recattn.candidates.base import CandidateFilter, CandidateGenerator, PostProcessor
from recattn.candidates.caps import Cap
from recattn.candidates.diversity import Mmr
from recattn.candidates.given import FromFrame
from recattn.candidates.job import two_stage
from recattn.candidates.lists import Allow, Deny
from recattn.candidates.policies import Availability, Seen
from recattn.candidates.popular import Popular
from recattn.candidates.recommended import Neighbors
from recattn.candidates.retrieval import Retrieval
from recattn.candidates.similarity import ItemVectors
from recattn.candidates.union import Union
from recattn.config import STAGES, Stage
from recattn.dataset.doors import History
from recattn.errors import ConfigError, nearest
from recattn.kinds import make
from recattn.recommender import Recommender
from recattn.schema import check_k


@dataclass(frozen=True)
class TwoStage:
    """Everything about a two-stage job but the model, the requests and the history.

    Attributes:
        generator: Finds candidates.
        filters: Which of them may be scored.
        post: What becomes of the ranked lists.
        candidates: What the generator is asked for, a request.
        exclude_seen: Whether items of the visible history are left out.
        stage: Rank by a cheaper score than the model's own.
    """

    generator: CandidateGenerator
    filters: Sequence[CandidateFilter] = field(default=())
    post: Sequence[PostProcessor] = field(default=())
    candidates: int = 500
    exclude_seen: bool = True
    stage: Stage | None = None

    def __post_init__(self) -> None:
        check_k(self.candidates, name="candidates")
        if not isinstance(self.exclude_seen, bool):
            raise ConfigError(f"exclude_seen must be true or false, got {self.exclude_seen!r}.")
        if self.stage is not None and self.stage not in STAGES:
            raise ConfigError(
                f"stage must be one of {', '.join(STAGES)}, got {self.stage!r}.{nearest(str(self.stage), STAGES)}"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TwoStage:
        """From plain values.

            candidates: 500
            generator:
              kind: union
              parts: [{kind: popular, window: 7D}, neighbors, retrieval]
            filters: [{kind: deny, items: deny.parquet}, {kind: availability, items: items.parquet}]
            post:
              - {kind: cap, items: items.parquet, by: category, most: 2}
              - {kind: mmr, trade_off: 0.7}

        A part is a mapping with a `kind`, or its name alone. Files are looked for from the current folder.

        Raises:
            ConfigError: An unknown key or kind (the nearest is named), a key that is missing, an impossible value.
        """
        if not isinstance(config, Mapping):
            raise ConfigError(f"a two-stage job must be a mapping with a generator, got {config!r}.")
        names = list(inspect.signature(cls).parameters)
        for key in config:
            if key not in names:
                raise ConfigError(
                    f"a two-stage job has no key {key!r}.{nearest(str(key), names)} It has: {', '.join(names)}."
                )
        if config.get("generator") is None:
            raise ConfigError(f"a two-stage job lacks 'generator', one of: {', '.join(GENERATORS)}.")
        rest = {key: value for key, value in config.items() if key not in ("generator", "filters", "post")}
        return cls(
            _make(config["generator"], GENERATORS, "generator"),
            [_make(spec, FILTERS, f"filters[{n}]") for n, spec in enumerate(_list(config, "filters"))],
            [_make(spec, POST, f"post[{n}]") for n, spec in enumerate(_list(config, "post"))],
            **rest,
        )

    @classmethod
    def read(cls, path: str | Path) -> TwoStage:
        """From a YAML (or JSON) file of what `from_config` takes.

        Raises:
            ConfigError: No such file, or no YAML in it; and as `from_config`.
        """
        import yaml  # type: ignore[import-untyped]

        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the two-stage job {str(path)!r}: {error}.") from None
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{str(path)!r} is no YAML: {' '.join(str(error).split())}.") from None
        return cls.from_config(values)

    def recommend(self, model: Recommender, requests: Users = None, *, history: History, **rest: Any) -> pd.DataFrame:
        """Run it: `two_stage` with these settings. `rest`: `k`, `as_of`, `user_features`, `device`, `threads`."""
        settings = {name: getattr(self, name) for name in ("candidates", "filters", "post", "exclude_seen", "stage")}
        return two_stage(model, self.generator, requests, history=history, **(settings | rest))


def _make(spec: object, kinds: Mapping[str, Callable[..., Any]], where: str) -> Any:
    return make(spec, kinds, where, not_plain=_NOT_PLAIN)


def _union(parts: list[Any], k: int | None = None, each: int | None = None) -> Union:
    if not isinstance(parts, list):
        raise ConfigError(f"generator of kind 'union': parts must be a list of generators, got {parts!r}.")
    return Union([_make(part, GENERATORS, f"parts[{n}]") for n, part in enumerate(parts)], k, each)


def _mmr(trade_off: float = 0.7, pool: int | None = None, items: str | None = None, by: str | None = None) -> Mmr:
    """Likeness by the column `by` of the file `items`, or by the model's item embeddings."""
    if (items is None) != (by is None):
        raise ConfigError("post of kind 'mmr': items and by go together: likeness is by the column 'by' of 'items'.")
    checked = Mmr(None, trade_off, pool)
    return checked if items is None or by is None else Mmr(ItemVectors.of_categories(items, by), trade_off, pool)


def _frame(path: str, source: str = "frame") -> FromFrame:
    return FromFrame(path, source)


def _deny(items: Any) -> Deny:
    return Deny(items)


def _allow(items: Any, unlisted: str = "none") -> Allow:
    return Allow(items, unlisted)


def _list(config: Mapping[str, Any], key: str) -> list[Any]:
    values = config.get(key)
    if values is not None and not isinstance(values, list):
        raise ConfigError(f"{key} must be a list of mappings with a kind, got {values!r}.")
    return values or []


GENERATORS: dict[str, Callable[..., Any]] = {
    "popular": Popular,
    "neighbors": Neighbors,
    "retrieval": Retrieval,
    "frame": _frame,
    "union": _union,
}
FILTERS: dict[str, Callable[..., Any]] = {"seen": Seen, "availability": Availability, "allow": _allow, "deny": _deny}
POST: dict[str, Callable[..., Any]] = {"cap": Cap, "mmr": _mmr}
_NOT_PLAIN = ("exclude_seen", "fitted", "model", "device", "threads", "_timeline")
