"""The scorer as a LightningModule."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torchmetrics import MeanMetric

from recattn.batching.batch import TruthBatch, WindowBatch
from recattn.batching.loaders import TruthBatches, WindowBatches
from recattn.config import Stage, TrainConfig
from recattn.errors import TrainingError
from recattn.evaluation.metrics import ndcg, recall
from recattn.inference.cascade import Cascade, CatalogView, best_items, catalog_scores, rank_catalog
from recattn.inference.predictor import not_seen
from recattn.nn.scorer import Scorer
from recattn.nn.window_loss import total_loss, window_losses
from recattn.training.cascade_quality import KEPT, CascadeSample, hits

MONITOR = "valid/ndcg_at_10"
K = 10


class LitScorer(L.LightningModule):
    """Trains a scorer on `WindowBatch`es, validates it on `TruthBatch`es over the full catalog.

    Logs `train/loss` with its parts, and `valid/ndcg_at_10`, `valid/recall_at_10` (and the retrieval score's
    `valid/retrieval_ndcg_at_10`) by epoch; where the catalog is larger than what the cascade keeps, also
    `valid/retrieval_recall_at_500` and `valid/cascade_ndcg_at_20_loss` (`recattn.training.cascade_quality`).
    Randomness of a step is a function of (seed, epoch, step, rank) alone. Several processes train as one does that
    gathers the gradients of their batches; metrics are those of all windows and requests, each counted once.

    Args:
        scorer: The scorer to train.
        train: How.
        cascade: Used in validation where the catalog is large.
    """

    def __init__(self, scorer: Scorer, train: TrainConfig, *, cascade: Cascade | None = None) -> None:
        super().__init__()
        self.scorer, self.train_config, self.cascade = scorer, train, cascade or Cascade()
        self._means = torch.nn.ModuleDict()
        self._catalog: CatalogView | None = None
        self._windows: WindowBatches | None = None
        self._truths: TruthBatches | None = None
        self._sample: CascadeSample | None = None

    def on_train_epoch_start(self) -> None:
        """Tells the batches their epoch, of which they are a function; Lightning itself tells samplers only."""
        dataset = getattr(self.trainer.train_dataloader, "dataset", None)
        self._windows = dataset if isinstance(dataset, WindowBatches) else None
        if self._windows is not None:
            self._windows.set_epoch(self.current_epoch)

    def training_step(self, batch: WindowBatch, batch_idx: int) -> Tensor:
        place = [self.train_config.seed, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        losses = window_losses(self.scorer, batch, self.train_config)
        loss = total_loss(losses, self.train_config)
        self._check_finite(loss, batch_idx)
        size = len(batch.targets)
        if self._windows is not None:
            size *= self._windows.world_size  # Lightning divides the sum of sizes by it, and cuts what is left over
            if self._windows.spare(batch_idx):
                loss, size = 0 * loss, 0
        self._log_loss("train/loss", loss, size, prog_bar=True)
        for name, value in losses.items():
            self._log_loss(f"train/{name}_loss", value, size)
        return loss

    def _log_loss(self, name: str, value: Tensor, size: int, *, prog_bar: bool = False) -> None:
        self.log(name, value.detach(), on_epoch=True, on_step=False, prog_bar=prog_bar, batch_size=size, sync_dist=True)

    def _check_finite(self, loss: Tensor, batch_idx: int) -> None:
        if loss.device.type != "cpu" and batch_idx % 20:  # each look waits for the device
            return
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss.item()} at epoch {self.current_epoch}, step {batch_idx}. {self._advice()}"
            )

    def on_train_epoch_end(self) -> None:
        self._check_weights()

    def _check_weights(self) -> None:
        """No checkpoint is written of weights that are not numbers: these would be the last good ones."""
        broken = [name for name, weight in self.scorer.named_parameters() if not torch.isfinite(weight).all()]
        if broken:
            raise TrainingError(
                f"{len(broken)} weights (first: {broken[0]}) are no longer finite at the end of epoch "
                f"{self.current_epoch}. {self._advice()}"
            )

    def _advice(self) -> str:
        rate = self.train_config.learning_rate
        return f"Try a lower learning_rate (now {rate:g}), more warmup_steps, or a smaller clip_norm."

    def setup(self, stage: str) -> None:
        """Counts the transitions of the training histories where nobody has yet.

        Buffers are the same in all processes, and never change: they need not be sent before each step.
        """
        memory, data = self.scorer.memory, getattr(self.trainer, "datamodule", None)
        if stage == "fit" and memory is not None and memory.empty and data is not None:
            memory.fill(data.assembler.store, self.train_config.half_life)
        fixed = [name for name, _ in self.named_buffers()]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, fixed)

    def on_validation_epoch_start(self) -> None:
        self._check_weights()
        codes = torch.nonzero(self.scorer.items.trainable).squeeze(1)
        with self._as_served():
            self._catalog = CatalogView.of(self.scorer, codes)

    def _as_served(self) -> torch.autocast:
        """Without mixed precision: scores rounded to bfloat16 tie where those served do not."""
        return torch.autocast(self.device.type, enabled=False)

    def on_validation_start(self) -> None:
        batches = getattr(self.trainer.val_dataloaders, "dataset", None)
        items = int(self.scorer.items.trainable.sum())
        self._truths = batches if isinstance(batches, TruthBatches) else None
        self._sample = None
        if self._truths is not None and self.scorer.config.score != "retrieval" and items > KEPT:
            scored = not self.cascade.used_for(items, self.scorer.config.score)
            self._sample = CascadeSample(len(self._truths.requests), items, scored=scored)

    def validation_step(self, batch: TruthBatch, batch_idx: int) -> None:
        with self._as_served():
            self._validate(batch, batch_idx)

    def _validate(self, batch: TruthBatch, batch_idx: int) -> None:
        assert self._catalog is not None
        final, catalog = self.scorer.config.score, self._catalog
        prefixes, allowed = self.scorer.requests(batch.requests, final), self._allowed(batch)
        cheap = catalog_scores(self.scorer, prefixes, catalog, allowed, "retrieval")
        if final == "retrieval":
            self._log_ranking(best_items(cheap, catalog, K)[0], batch, "valid/")
            return
        staged = self.cascade.used_for(len(catalog.codes), final)
        dear = None if staged else catalog_scores(self.scorer, prefixes, catalog, allowed, final)
        best = self.rank(batch, final) if dear is None else best_items(dear, catalog, K)[0]
        self._log_ranking(best, batch, "valid/")
        self._log_ranking(best_items(cheap, catalog, K)[0], batch, "valid/retrieval_", with_recall=False)
        if self._sample is not None and self._truths is not None:
            place = self._truths.place(batch_idx)
            first = self.scorer.with_memory(cheap, prefixes, catalog.codes)  # what the cascade's first cut goes by
            found = self._sample.judge(place, self.scorer, prefixes, catalog, allowed, first, dear, batch.truth)
            for name, values in found.items():
                self._log_mean(f"valid/{name}", values)

    def _log_ranking(self, best: Tensor, batch: TruthBatch, prefix: str, *, with_recall: bool = True) -> None:
        found, counts = hits(best, batch.truth), (batch.truth != 0).sum(dim=1).cpu().numpy()
        self._log_mean(f"{prefix}ndcg_at_10", ndcg(found, counts, K))
        if with_recall:
            self._log_mean(f"{prefix}recall_at_10", recall(found, counts, K))

    def rank(self, batch: TruthBatch, stage: Stage) -> Tensor:
        """The best 10 unseen items of the catalog a request, by `stage`: codes int64 [R, 10]."""
        assert self._catalog is not None
        allowed = self._allowed(batch)
        best, _ = rank_catalog(
            self.scorer, batch.requests, self._catalog, allowed, K, stage=stage, cascade=self.cascade
        )
        return best

    def _allowed(self, batch: TruthBatch) -> Tensor | None:
        """bool [R, S], items not seen; None where nothing was."""
        assert self._catalog is not None
        if not batch.seen.shape[1]:
            return None
        return not_seen(batch.seen, self._catalog.codes, self.scorer.items.num_codes)

    def _log_mean(self, name: str, values: np.ndarray) -> None:
        """The mean over all requests, also where processes have unequal shares of them."""
        if name not in self._means:
            exact = torch.float32 if self.device.type == "mps" else torch.float64
            self._means[name] = MeanMetric().set_dtype(exact).to(self.device)
        metric = self._means[name]
        assert isinstance(metric, MeanMetric)
        count = 0 if self._truths is not None and self._truths.spare else len(values)
        metric.update(float(values.mean()) if count else 0.0, count)  # also of none: all processes log the same names
        shown = name == MONITOR
        self.log(name, metric, on_step=False, on_epoch=True, prog_bar=shown, metric_attribute=f"_means.{name}")

    def configure_optimizers(self) -> Any:
        config = self.train_config
        decayed: list[torch.nn.Parameter] = []
        free: list[torch.nn.Parameter] = []
        embeddings = {p for m in self.scorer.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
        for parameter in self.scorer.parameters():
            (free if parameter.dim() < 2 or parameter in embeddings else decayed).append(parameter)
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
        total = max(int(self.trainer.estimated_stepping_batches), config.warmup_steps + 1)

        def factor(step: int) -> float:
            if step < config.warmup_steps:
                return (step + 1) / config.warmup_steps
            if config.schedule == "constant":
                return 1.0
            done = (step - config.warmup_steps) / (total - config.warmup_steps)
            return 0.01 + 0.495 * (1 + float(np.cos(np.pi * min(done, 1.0))))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """The trainer's own clipping where it has one, else to `clip_norm`."""
        self.clip_gradients(
            optimizer,
            gradient_clip_val=self.train_config.clip_norm if gradient_clip_val is None else gradient_clip_val,
            gradient_clip_algorithm=gradient_clip_algorithm or "norm",
        )
