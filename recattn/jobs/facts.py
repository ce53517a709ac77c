"""What a job met: kept part by part, put together at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recattn.dataset.frames import UNKNOWN_ITEM
from recattn.dataset.profile import Profile, drift, length_counts, score_counts

if TYPE_CHECKING:
    from recattn.jobs.manifest import Manifest

QUANTILES = (np.arange(20) + 0.5) / 20  # of the scores of a part: each stands for a twentieth of them
TOLD = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Facts:
    """Figures of a whole result, or of one shard.

    Attributes:
        rows: Rows written.
        requests: Requests answered. One that lies in two parts of an ungrouped slate counts twice.
        unknown_items: Share of the slate's rows with an item the model does not know; None for the catalog.
        unknown_history: Share of the history's interactions with such an item: they are left out.
        no_history: Share of the requests that see no interaction.
        drift: Distance of the lengths of their histories from those of train (`recattn.dataset.profile.drift`), empty
            ones left out; None for models without a profile.
        score_drift: The same of the best score of a request, from validation; None too where the model was trained
            without validation, or scores are not its own. A slate's depends on how its candidates were chosen.
        lengths: Requests by the length of their history (`length_counts`).
        scores: About these quantiles of all scores: 0.05, 0.25, 0.5, 0.75, 0.95.
    """

    rows: int
    requests: int
    unknown_items: float | None
    unknown_history: float | None
    no_history: float | None
    drift: float | None
    score_drift: float | None
    lengths: tuple[int, ...]
    scores: dict[float, float]


def facts_of_part(lengths: np.ndarray, best: np.ndarray, scores: np.ndarray, profile: Profile | None) -> dict[str, Any]:
    """Plain values for the manifest, which add up over parts.

    Args:
        lengths: Of the histories of the part's requests, int [X].
        best: The best score of each, float [X]; NaN where there is none.
        scores: All scores of the part, float [M].
        profile: Whose bins best scores are counted in.
    """
    found: dict[str, Any] = {"lengths": _short(length_counts(lengths))}
    if profile is not None and profile.best_scores:
        found["best_scores"] = score_counts(best, profile.score_edges).tolist()
    known = scores[~np.isnan(scores)]
    found["scored"] = len(known)
    if len(known):
        found["scores"] = [float(f"{value:.6g}") for value in np.quantile(known, QUANTILES)]
    return found


def facts_of(manifest: Manifest) -> Facts:
    """The facts of all parts of a manifest."""
    about, parts = manifest.about, manifest.parts
    found = [part.facts for part in parts if part.facts]
    lengths = _sum([one["lengths"] for one in found])
    profile = None if about.get("profile") is None else Profile.from_dict(about["profile"])
    requests, asked = int(lengths.sum()), sum(part.stop - part.start for part in parts)
    score_drift = None
    if profile is not None and about.get("own_score"):
        score_drift = drift(profile.best_scores, _sum([one.get("best_scores", []) for one in found]))
    unknown = manifest.reasons.get(UNKNOWN_ITEM, 0)
    return Facts(
        rows=manifest.rows,
        requests=requests,
        unknown_items=unknown / asked if about.get("slate") and asked else None,
        unknown_history=about.get("unknown_history"),
        no_history=float(lengths[0] / requests) if requests else None,
        drift=None if profile is None else drift(profile.lengths[1:], lengths[1:]),
        score_drift=score_drift,
        lengths=tuple(lengths.tolist()),
        scores=_quantiles(found),
    )


def _sum(counts: Sequence[Sequence[int]]) -> np.ndarray:
    total = np.zeros(max(map(len, counts), default=0), np.int64)
    for one in counts:
        total[: len(one)] += np.asarray(one, np.int64)
    return total


def _short(counts: np.ndarray) -> list[int]:
    """Without the zeros at the end."""
    return np.trim_zeros(counts, "b").tolist()


def _quantiles(found: Sequence[Mapping[str, Any]]) -> dict[float, float]:
    """Of the quantiles of parts, each standing for an equal share of its part's scores."""
    scored = [one for one in found if one.get("scores")]
    if not scored:
        return {}
    values = np.concatenate([one["scores"] for one in scored])
    weights = np.repeat([one["scored"] for one in scored], len(QUANTILES)).astype(float)
    values, weights = values[order := np.argsort(values)], weights[order]
    places = (np.cumsum(weights) - weights / 2) / weights.sum()
    return {q: float(np.interp(q, places, values)) for q in TOLD}
