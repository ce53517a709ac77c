"""Several generators as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from recattn.candidates.asked import Asked
from recattn.candidates.base import CandidateGenerator, Job, bound, check_parts
from recattn.candidates.frames import SOURCE, SOURCE_RANK, candidates_frame, positions, read_candidates
from recattn.dataset.doors import History
from recattn.errors import ConfigError
from recattn.schema import check_k
from recattn.schema.columns import ITEM


@dataclass(frozen=True)
class Union:
    """The lists of several generators merged in turns: the first of each, the second of each, and so on.

    A candidate found twice stands where it came first, under the name of that source (of several at one turn, the
    one named first).

    Attributes:
        parts: The generators, in the order of their turns.
        k: Candidates a request at most, where this is less than is asked for.
        each: What each part is asked for; None: as much as the union is.
    """

    parts: Sequence[CandidateGenerator]
    k: int | None = None
    each: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.parts, list | tuple) or not self.parts:
            raise ConfigError(f"Union.parts must be a list of at least one generator, got {self.parts!r}.")
        check_parts(self.parts, CandidateGenerator, "Union.parts")
        for name in ("k", "each"):
            if getattr(self, name) is not None:
                check_k(getattr(self, name), name=f"Union.{name}")

    def bound(self, job: Job) -> Union:
        """Itself with every part bound."""
        return replace(self, parts=[bound(part, job) for part in self.parts])

    def candidates(self, requests: pd.DataFrame, *, history: History, k: int, as_of: Any = None) -> pd.DataFrame:
        """At most `k` items a request."""
        k = min(check_k(k), self.k or k)
        asked = Asked.of(requests, history=history, as_of=as_of)
        frames, places = [], []
        for part in self.parts:
            found = part.candidates(asked.frame, history=asked.store, k=self.each or k)
            frame, of_request = read_candidates(found, asked, repr(part))
            frames.append(frame[[ITEM, SOURCE, SOURCE_RANK]])
            places.append(of_request)
        owners = np.concatenate(places)
        turns = np.concatenate([positions(of_request) for of_request in places])
        full = [frame for frame in frames if len(frame)] or frames[:1]
        merged = pd.concat(full, ignore_index=True)
        order = np.lexsort((turns, owners))  # stable: within a turn the parts keep their order
        items = pd.factorize(merged[ITEM])[0][order]
        once = ~pd.DataFrame({"place": owners[order], "item": items}).duplicated().to_numpy()
        order = order[once]
        order = order[positions(owners[order]) < k]
        kept = merged.iloc[order]
        return candidates_frame(
            asked, owners[order], kept[ITEM].array, kept[SOURCE].to_numpy(object), kept[SOURCE_RANK].to_numpy()
        )
