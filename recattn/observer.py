"""What a training run tells those who watch it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pandas as pd

Scalar = str | int | float | bool


@runtime_checkable
class Observer(Protocol):
    """Told of everything worth keeping about a fit. `recattn.track` gives one that writes to MLflow.

    Methods are called on the main process only, in this order: `params`, `dataset` and `artifact` before the first
    step, `metrics` once an epoch, once more for what the fit took, or `failed` where the fit raised.
    """

    def params(self, values: Mapping[str, Scalar]) -> None:
        """Flat settings of the run, told once before training."""

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers of one epoch; `step` is the epoch (0-based), names look like `valid/ndcg_at_10`.

        At the end of a fit, at step 0, what it took: `cost/fit_seconds`, `cost/parameters`, `cost/peak_memory_mb`.
        """

    def dataset(self, name: str, frame: pd.DataFrame, context: str = "training") -> None:
        """A frame the run used, as its digest; the frame itself is not kept."""

    def artifact(self, path: str, value: object) -> None:
        """Something to keep under the relative `path`: a DataFrame, dict, str, or matplotlib figure."""

    def state(self) -> dict[str, str]:
        """What a later process needs to go on with the same run; kept beside the checkpoints."""

    def failed(self, error: BaseException) -> None:
        """The fit ended with this error."""
