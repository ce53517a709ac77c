"""One way to train, timed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from pipelines.benchmark.gpu_cost import counted_flops, waiter
from pipelines.benchmark.speed_process import EpochClock
from recattn.batching.batch import WindowBatch
from recattn.nn.scorer import Scorer
from recattn.training import DataModule, FitData, LitScorer
from recattn.training.trainer import quiet_lightning

if TYPE_CHECKING:
    from pipelines.benchmark.gpu import Variant

PRECISIONS = {  # Lightning's precision, torch's for float32 products, the limit it is held against
    "float32": ("32-true", "highest", "float32_flops"),
    "tf32": ("32-true", "high", "tf32_flops"),
    "bf16": ("bf16-mixed", "high", "bf16_flops"),
}
SAMPLED = 8  # batches whose arithmetic is counted


class Clock(EpochClock, Callback):
    """The clock in our Lightning."""


def train_variant(
    data: FitData, variant: Variant, device: torch.device, limits: dict[str, float], *, profile: Path | None = None
) -> tuple[Scorer, dict[str, Any]]:
    """The trained scorer, with seconds, arithmetic, memory and the validation NDCG@10 after the last epoch."""
    settings = data.blueprint.train
    precision, products, limit = PRECISIONS[variant.precision]
    torch.set_float32_matmul_precision(products)
    torch.manual_seed(settings.seed)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    clock = Clock(waiter(device))
    with quiet_lightning():
        trainer = L.Trainer(
            accelerator=device.type,
            devices=1,
            precision=precision,
            max_epochs=settings.max_epochs,
            check_val_every_n_epoch=settings.max_epochs,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[clock],
        )
        lit = LitScorer(data.blueprint.build(), settings)
        module = DataModule(
            data.assembler, data.blueprint.table, settings, data.validation, num_workers=variant.workers
        )
        flops = flops_a_step(lit, module)
        if variant.compiled:
            compile_parts(lit.scorer)
        trainer.fit(lit, datamodule=module)
        if profile is not None:
            write_profile(lit, module, device, profile / f"profile-{variant.name.replace(', ', '-')}.txt")
    steps = trainer.global_step // settings.max_epochs
    seconds = float(np.median(clock.seconds[1:] or clock.seconds))
    return lit.scorer, {
        "epoch_seconds": clock.seconds,
        "first_epoch_s": clock.seconds[0],
        "epoch_s": seconds,
        "steps": steps,
        "targets_per_s": len(data.assembler.store) / seconds,
        "batches_only_s": seconds_of_batches(module),
        "flops_per_s": flops * steps / seconds,
        "share_of_limit": flops * steps / seconds / limits[limit],
        "least_epoch_s": flops * steps / limits[limit],
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None,
        "valid_ndcg_at_10": float(trainer.callback_metrics["valid/ndcg_at_10"]),
        "train_loss": float(trainer.callback_metrics["train/loss"]),
    }


def compile_parts(scorer: Scorer) -> None:
    """The encoder and the attentions, in place: names of weights stay, shapes may change."""
    for part in (scorer.history, scorer.attention, *scorer.deep):
        if part is not None:
            part.compile(dynamic=True)


def sampled_batches(module: DataModule, count: int) -> list[WindowBatch]:
    """Evenly spaced batches of the first epoch: batches differ in length."""
    batches = module.train_dataloader().dataset
    return [batches[step] for step in np.linspace(0, len(batches) - 1, min(count, len(batches)), dtype=int)]


def flops_a_step(lit: LitScorer, module: DataModule) -> float:
    """Mean FLOP of a training step, counted on the CPU in float32: the arithmetic is the same everywhere."""
    lit.train()

    def step(batch: WindowBatch) -> None:
        loss_of(lit, batch).backward()

    counts = [counted_flops(lambda batch=batch: step(batch)) for batch in sampled_batches(module, SAMPLED)]
    lit.zero_grad(set_to_none=True)
    return float(np.mean(counts))


def loss_of(lit: LitScorer, batch: WindowBatch) -> torch.Tensor:
    """The sum of a step's losses, without what a trainer adds."""
    from recattn.nn.window_loss import window_losses

    return torch.stack(list(window_losses(lit.scorer, batch, lit.train_config).values())).sum()


def seconds_of_batches(module: DataModule) -> float:
    """Seconds to build one epoch's batches and do nothing with them."""
    begin = time.perf_counter()
    for _ in module.train_dataloader():
        pass
    return time.perf_counter() - begin


def write_profile(lit: LitScorer, module: DataModule, device: torch.device, path: Path) -> None:
    """Where the time of a few float32 steps goes, as torch's profiler has it."""
    from torch.profiler import ProfilerActivity, profile

    batches = [lit.transfer_batch_to_device(batch, device, 0) for batch in sampled_batches(module, 4)]
    lit.to(device).train()
    loss_of(lit, batches[0]).backward()
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=kinds) as found:
        for batch in batches:
            loss_of(lit, batch).backward()
        waiter(device)()
    key = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    path.write_text(found.key_averages().table(sort_by=key, row_limit=30))
    lit.zero_grad(set_to_none=True)
