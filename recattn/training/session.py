"""A whole fit as a user asks for it: first fit, observers' notes, refit."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_only

from recattn.config import FeatureSpec, ModelConfig, TrainConfig, to_dict
from recattn.dataset.history import HistoryStore
from recattn.errors import ConfigError
from recattn.inference.model import FittedModel
from recattn.observer import Observer
from recattn.training.fit import FitResult, fit_scorer
from recattn.training.prepare import FitData, Log, Specs, joined, prepare_fit
from recattn.training.profile import training_profile
from recattn.training.trainer import check_trainer
from recattn.training.warm_start import warm_scorer

if TYPE_CHECKING:
    import lightning as L


def cost(model: FittedModel, seconds: float) -> dict[str, float]:
    """What a fit took: `cost/fit_seconds`, `cost/parameters`, `cost/peak_memory_mb` of this process, of the GPU."""
    told = {"cost/fit_seconds": seconds, "cost/parameters": sum(p.numel() for p in model.scorer.parameters())}
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        told["cost/peak_memory_mb"] = peak * (1 if sys.platform == "darwin" else 1024) / 1e6
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        told["cost/peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
    return told


class Session:
    """What stays the same over the fits of one call of `Recommender.fit`."""

    def __init__(
        self,
        config: ModelConfig,
        settings: TrainConfig,
        specs: tuple[tuple[FeatureSpec, ...], ...],
        *,
        trainer: L.Trainer | None = None,
        observers: Sequence[Observer] = (),
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
        warm_start: FittedModel | None = None,
    ) -> None:
        if resume and checkpoint_dir is None:
            raise ConfigError("resume=True needs checkpoint_dir: the folder with the checkpoints to go on from.")
        if trainer is not None:
            check_trainer(trainer)
        if not isinstance(observers, Sequence) or not all(isinstance(one, Observer) for one in observers):
            raise ConfigError(
                f"observers must be a list of observers, got {observers!r}. Write `with recattn.track() as run:` "
                "around the fit and pass observers=[run]."
            )
        self.config, self.settings, self.specs = config, settings, Specs(*specs)
        self.observers = observers if rank_zero_only.rank == 0 else ()  # of the processes of a fit the first one speaks
        self.trainer, self.resume, self.warm_start = trainer, resume, warm_start
        self.folder = None if checkpoint_dir is None else Path(checkpoint_dir)

    def run(
        self,
        train: Log,
        *,
        valid: Log | None,
        items: pd.DataFrame | None,
        users: pd.DataFrame | None,
        refit: bool,
    ) -> FitResult:
        """Fit on train; with `refit` once more on train + valid, for the best number of epochs."""
        if refit and valid is None:
            raise ConfigError("refit=True needs valid: the best number of epochs is found on it.")
        if refit and self.trainer is not None:
            raise ConfigError("refit=True sets the number of epochs itself; leave trainer out.")
        begin = time.perf_counter()
        try:
            data = prepare_fit(train, valid, items, users, self.specs, self.config, self.settings)
            self._tell(data, train, valid, items)
            result = self._fit(data, self.folder, self.observers)
            profile = training_profile(data, result.model)
            if refit:
                assert valid is not None
                assert result.best_epoch is not None
                settings = replace(self.settings, max_epochs=result.best_epoch + 1)
                everything = joined(train, valid, self.config)
                data = prepare_fit(everything, None, items, users, self.specs, self.config, settings)
                final = self._fit(data, None if self.folder is None else self.folder / "refit", ())
                if final.model.scorer.memory is not None and result.model.scorer.memory is not None:
                    final.model.scorer.memory.weights.copy_(result.model.scorer.memory.weights)
                result = FitResult(final.model, result.curve, result.best_epoch)
                profile = profile.after(training_profile(data, final.model))
            for observer in self.observers:
                observer.metrics(cost(result.model, time.perf_counter() - begin), step=0)
        except BaseException as error:
            for observer in self.observers:
                observer.failed(error)
            raise
        return replace(result, model=replace(result.model, profile=profile))

    def _fit(self, data: FitData, folder: Path | None, observers: Sequence[Observer]) -> FitResult:
        scorer = None if self.warm_start is None else warm_scorer(self.warm_start, data.blueprint)
        return fit_scorer(
            data,
            scorer=scorer,
            trainer=self.trainer,
            observers=observers,
            checkpoint_dir=folder,
            resume=self.resume,
        )

    def _tell(self, data: FitData, train: Log, valid: Log | None, items: pd.DataFrame | None) -> None:
        config = {"model": to_dict(self.config), "train": to_dict(self.settings)}
        plan, store = data.blueprint, data.assembler.store
        counts = {
            "data.users": len(store.users),
            "data.items": len(plan.table) - 1,
            "data.cold_items": int((plan.table.id_row[1:] == 1).sum()),
            "data.interactions": len(store),
            "data.longest_history": int(store.lengths.max()),
            "data.mean_history": float(np.round(store.lengths.mean(), 2)),
        }
        flat = {f"{part}.{name}": value for part, values in config.items() for name, value in values.items()}
        flat = {name: "none" if value is None else value for name, value in flat.items()}
        features = [*self.specs.items, *self.specs.users, *self.specs.context]
        for observer in self.observers:
            observer.params(flat | counts | {"model.features": ",".join(spec.column for spec in features) or "none"})
            observer.artifact("config.json", config | {"features": [repr(spec) for spec in features]})
            for name, frame in (("train", train), ("valid", valid), ("items", items)):
                if isinstance(frame, pd.DataFrame):
                    observer.dataset(name, frame, "validation" if name == "valid" else "training")
                elif isinstance(frame, HistoryStore):
                    observer.params({f"data.{name}_digest": frame.digest})
