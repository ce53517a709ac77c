"""A run in MLflow around a command, where one is wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from recattn.cli.settings import Tracking

if TYPE_CHECKING:
    from recattn.tracking import Run


@contextlib.contextmanager
def tracked(settings: Tracking, *, resume_from: str | None = None) -> Iterator[Run | None]:
    """The run of `recattn.track`, without MLflow's small talk; None with tracking off."""
    if not settings.enabled:
        yield None
        return
    from recattn.tracking import track
    from recattn.tracking.quiet import quiet

    with (
        quiet("mlflow", "alembic"),
        track(
            settings.experiment,
            settings.run_name,
            tracking_uri=settings.tracking_uri,
            resume_from=resume_from,
            system_metrics=settings.system_metrics,
        ) as run,
    ):
        yield run
