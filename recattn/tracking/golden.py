"""Made-up requests saved with a model, and the scores it gave them: re-scored whenever it is loaded."""

from __future__ import annotations

import contextlib
import platform
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recattn.errors import ArtifactError
from recattn.schema.columns import ITEM, SCORE
from recattn.tracking.request_rows import AS_OF, CANDIDATES, EVENTS, ITEMS, TIMES

if TYPE_CHECKING:
    from recattn.recommender import Recommender
    from recattn.tracking.pyfunc import RequestScorer

FILE = "golden.parquet"
TOLERANCE = 1e-4
"""Largest difference of a score, relative to the largest score of its request (absolute where that is below 1).

Rounding of float32 moves scores by some 1e-6 between instruction sets, batches and threads; bfloat16 in place of
float32, other weights, or items in another order move them by 1e-3 and more.
"""
_LISTED, _LONGEST, _K = 32, 400, 10
_START = 1_700_000_000


def requests(model: Recommender) -> pd.DataFrame:
    """Rows for `RequestScorer`: histories of none, one, 20 and more than `max_history` items; candidates and catalog.

    Ids are taken from all over the catalog, in its order, gaps grow from a second to a day: it is nobody's history.
    """
    names = model.items.vocabulary.ids
    lengths = [0, 0, 1, 20, min(model.config.max_history, _LONGEST) + 3]
    listed = _spread(names, _LISTED)
    frame = pd.DataFrame({ITEMS: pd.Series([_spread(names, length) for length in lengths], dtype=object)})
    if model.config.time == "timestamp":
        times = [(_START + np.cumsum(np.geomspace(1, 86_400, n).astype(np.int64))).tolist() for n in lengths]
        frame[TIMES] = pd.Series(times, dtype=object)
        frame[AS_OF] = _START + 400 * 86_400
    behaviours = model._fitted().blueprint.behaviours
    if behaviours is not None:
        kinds = [str(kind) for kind in behaviours.ids]
        frame[EVENTS] = pd.Series([[kinds[i % len(kinds)] for i in range(n)] for n in lengths], dtype=object)
    frame[CANDIDATES] = pd.Series([listed, None, listed, None, listed], dtype=object)
    return frame


def save(scorer: RequestScorer, folder: str | Path) -> None:
    """Write the requests with the answers of now into the model's folder."""
    asked = requests(scorer.model)
    answers = _answers(scorer, asked)
    frame = asked.assign(**{f"golden_{name}": answers[name] for name in (ITEM, SCORE)})
    frame.attrs |= _surroundings(scorer)
    frame.to_parquet(Path(folder) / FILE)


def check(scorer: RequestScorer, folder: str | Path) -> None:
    """ArtifactError where a score of the requests in the model's folder is not what it was when the model was saved.

    Of the catalog the scores at each rank are compared, not the items: those may change places within the tolerance.
    """
    path = Path(folder) / FILE
    try:
        frame = pd.read_parquet(path)
        saved = [np.array(row, float) for row in frame[f"golden_{SCORE}"]]
        found = [np.array(row, float) for row in _answers(scorer, frame)[SCORE]]
    except Exception as error:  # whatever a damaged file leads to
        raise ArtifactError(
            f"the golden batch {path} cannot be read or scored: {type(error).__name__}: {error}. Log the model again."
        ) from error
    differences = [_difference(*pair) for pair in zip(saved, found, strict=True)]
    worst = int(np.argmax(differences))
    if differences[worst] <= TOLERANCE:
        return
    kind = "with candidates" if frame[CANDIDATES][worst] is not None else "for the catalog"
    raise ArtifactError(
        f"the model in {folder} does not give the scores it gave when it was saved: the largest difference is "
        f"{differences[worst]:.2g} (relative to the largest score of its request; {TOLERANCE:g} is tolerated), in the "
        f"request of {len(frame[ITEMS][worst])} interactions {kind}. Then: {_told(frame.attrs)}. Now: "
        f"{_told(_surroundings(scorer))}. Load it with the versions of its requirements.txt; where that does not help, "
        "the files are not those of the model: log it again."
    )


def _difference(saved: np.ndarray, found: np.ndarray) -> float:
    """The largest difference of scores [C], relative to the largest score; infinite for a score gone or new."""
    if saved.shape != found.shape or (np.isnan(saved) != np.isnan(found)).any():
        return np.inf
    if np.isnan(saved).all():
        return 0.0
    return float(np.nanmax(np.abs(saved - found)) / max(1.0, np.nanmax(np.abs(saved))))


def _answers(scorer: RequestScorer, asked: pd.DataFrame) -> pd.DataFrame:
    with warnings.catch_warnings(), _full_precision():
        warnings.simplefilter("ignore")
        return scorer.predict(asked, {"k": _K})


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Products in float32, whatever the process has chosen for speed: it is the model that is looked at."""
    import torch

    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # chosen through torch.backends, which does not mix with this
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _spread(names: np.ndarray, count: int) -> list[str]:
    """`count` ids from all over the catalog, as text; with repetitions where there are fewer."""
    return [str(names[place]) for place in np.linspace(0, len(names) - 1, count).astype(int)]


def _surroundings(scorer: RequestScorer) -> dict[str, Any]:
    import torch

    start = scorer.model.scorer.start
    return {
        "torch": torch.__version__,
        "device": str(start.device),
        "dtype": str(start.dtype).removeprefix("torch."),
        "machine": platform.machine(),
    }


def _told(surroundings: Mapping[Any, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in surroundings.items()) or "unknown"
