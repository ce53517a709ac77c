"""One fit: trainer, checkpoints, observers, the best weights at the end."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from recattn.config import to_dict
from recattn.errors import ArtifactError, ConfigError, TrainingError
from recattn.inference.model import FittedModel
from recattn.nn.scorer import Scorer
from recattn.observer import Observer
from recattn.training.callbacks import TellObservers, keepers
from recattn.training.data_module import DataModule
from recattn.training.lit_scorer import MONITOR, LitScorer
from recattn.training.memory_weights import choose_weights
from recattn.training.prepare import FitData
from recattn.training.processes import Agreement
from recattn.training.trainer import check_unused, interruptible, make_trainer, quiet_lightning, quiet_parts

log = logging.getLogger("recattn")

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@dataclass(frozen=True)
class FitResult:
    """The fitted model with the course of its training."""

    model: FittedModel
    curve: list[dict[str, float]] = field(default_factory=list)  # one entry an epoch
    best_epoch: int | None = None  # 0-based; None without validation


def fit_scorer(
    data: FitData,
    *,
    scorer: Scorer | None = None,
    trainer: L.Trainer | None = None,
    observers: Sequence[Observer] = (),
    checkpoint_dir: str | Path | None = None,
    resume: bool = False,
) -> FitResult:
    """Train a scorer on `data` and give it back with its best weights (without validation, its last).

    Under a trainer of several processes (`strategy="ddp"`) each calls this with the same arguments, and each ends with
    the same weights; a step then has `batch_size` windows of every process. The first process alone writes
    checkpoints, and only a resumed fit reads them elsewhere.

    Args:
        data: What to train on.
        scorer: Weights to start from; None draws them from the seed.
        trainer: Any `lightning.Trainer` whose processes stay to the end of the script; None makes one for the best
            device there is.
        observers: Told of the epochs.
        checkpoint_dir: Folder for `last.ckpt`, `best.ckpt`; None uses a temporary one.
        resume: Go on from `last.ckpt` there, if there is one: same batches, same weights as if undisturbed.

    Raises:
        ConfigError: The folder holds a fit and `resume` is false, or the fit of other data or settings; the trainer
            has been used for another fit; or its processes have different data, settings or checkpoints.
        TrainingError: The loss is not a number. The last good checkpoint is kept; the message names it.
        ArtifactError: Checkpoints cannot be written; none is left half-written.
    """
    temporary = tempfile.mkdtemp(prefix="recattn-") if checkpoint_dir is None else None
    folder = Path(temporary or checkpoint_dir)  # type: ignore[arg-type]
    fingerprint = _fingerprint(data)
    start = _starting_point(folder, fingerprint, resume)
    plan = data.blueprint
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.train.seed)
        scorer = plan.build() if scorer is None else scorer
        if scorer.memory is not None:
            scorer.memory.fill(data.assembler.store, plan.train.half_life)
        lit = LitScorer(scorer, plan.train)
        module = DataModule(data.assembler, plan.table, plan.train, data.validation)
        tell = TellObservers(observers)
        callbacks = [tell, *keepers(str(folder), plan.train, validated=data.validation is not None)]
        given = trainer
        trainer = make_trainer(plan.train, folder) if given is None else given
        if trainer.world_size > 1:
            callbacks.append(Agreement(fingerprint | _also_alike(data, start)))
        if start is None:
            check_unused(trainer)
        own = list(trainer.callbacks)  # type: ignore[attr-defined]
        _keep_states(folder, observers)
        if data.validation is not None:
            log.info(validation_cost(lit, module, trainer.world_size))
        try:
            trainer.callbacks.extend(callbacks)  # type: ignore[attr-defined]
            with interruptible(trainer), quiet_lightning() if given is None else quiet_parts(folder):
                trainer.fit(lit, datamodule=module, ckpt_path=start)
        except TrainingError as error:
            kept = [path for path in (folder / "best.ckpt", folder / "last.ckpt") if path.exists()]
            where = f"The last good checkpoint is {kept[0]}." if kept else "There is no good checkpoint yet."
            raise TrainingError(f"{error} {where}") from None
        except BaseException as error:
            if temporary is not None:
                shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in FULL:
                raise _unwritable(folder, error) from error
            raise
        finally:
            trainer.callbacks[:] = own  # type: ignore[attr-defined]
    best_epoch, best = trainer.strategy.broadcast(_best(callbacks) if trainer.is_global_zero else (None, {}))
    if best_epoch is not None:
        lit.load_state_dict(best)
    if temporary is not None:
        shutil.rmtree(folder, ignore_errors=True)
    if data.validation is not None and lit.scorer.memory is not None:
        lit.scorer.eval()
        assert module.validation is not None
        batches = module.truth_batches(module.validation, whole=True)  # all processes choose alike
        chosen = choose_weights(lit.scorer, (batches[i] for i in range(len(batches))), len(module.validation.requests))
        log.info("weights of the transition memory, chosen on validation: %s", chosen)
        for observer in observers if trainer.is_global_zero else ():
            observer.artifact("transition_memory.json", chosen)
    elif best_epoch is not None and (hint := cheaper_is_better(tell.curve, best_epoch)):
        log.warning(hint)
    return FitResult(FittedModel(plan, lit.scorer.cpu().eval()), tell.curve, best_epoch)


def _best(callbacks: Sequence[L.Callback]) -> tuple[int | None, dict[str, Any]]:
    """The epoch and the weights of `best.ckpt`; none without validation."""
    for one in callbacks:
        if isinstance(one, ModelCheckpoint) and one.monitor is not None and one.dirpath is not None:
            path = Path(one.dirpath) / "best.ckpt"
            if path.exists():
                state = torch.load(path, map_location="cpu", weights_only=True)
                return int(state["epoch"]), state["state_dict"]
    return None, {}


def cheaper_is_better(curve: Sequence[Mapping[str, float]], best_epoch: int) -> str | None:
    """What to consider where the retrieval score alone validates better than the score that builds on it."""
    best = next((epoch for epoch in curve if epoch["epoch"] == best_epoch), {})
    cheap, full = best.get("valid/retrieval_ndcg_at_10"), best.get(MONITOR)
    if cheap is None or full is None or cheap <= full:
        return None
    return (
        f"on validation the retrieval score alone ranks better (NDCG@10 {cheap:.4f}) than the model's score "
        f"({full:.4f}). Consider stage='retrieval' when scoring, or ModelConfig(score='retrieval')."
    )


def validation_cost(lit: LitScorer, module: DataModule, world_size: int = 1) -> str:
    """What one validation will take, from one timed batch of its middle."""
    validation = module.validation
    assert validation is not None
    batches = module.truth_batches(validation)
    was_training = lit.training
    lit.eval()
    with torch.inference_mode():
        lit.on_validation_epoch_start()
        lit.rank(batches[0], lit.scorer.config.score)  # the first call pays for set-up
        begin = time.perf_counter()
        lit.rank(batches[len(batches) // 2], lit.scorer.config.score)
        seconds = (time.perf_counter() - begin) * -(-len(batches) // world_size)
    lit.train(was_training)
    items = int(lit.scorer.items.trainable.sum())
    return (
        f"a validation ranks {items:,} items for {len(validation.requests):,} requests; "
        f"about {seconds:.1f} s on this processor"
    )


def _starting_point(folder: Path, fingerprint: Mapping[str, Any], resume: bool) -> str | None:
    """The checkpoint to go on from; writes the fit's fingerprint where it starts anew."""
    last, about = folder / "last.ckpt", folder / "fit.json"
    if last.exists() and not resume:
        raise ConfigError(
            f"{folder} holds the checkpoints of an earlier fit. Pass resume=True to go on with it, "
            "or name another folder."
        )
    if last.exists():
        known = json.loads(about.read_text()) if about.exists() else {}
        changed = [name for name, value in fingerprint.items() if known.get(name) != value]
        if changed:
            raise ConfigError(
                f"the fit in {folder} cannot be resumed: {', '.join(changed)} differ from when it began. "
                "Use the same data and settings, or name another folder to start anew."
            )
        return str(last)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        about.write_text(json.dumps(fingerprint, indent=1))
    except OSError as error:
        raise _unwritable(folder, error) from error
    return None


def _unwritable(folder: Path, error: OSError) -> ArtifactError:
    return ArtifactError(f"checkpoints cannot be written to {folder}: {error.strerror or error}.")


def _fingerprint(data: FitData) -> dict[str, Any]:
    """What must be the same for a resumed fit to end where an undisturbed one would; more epochs are allowed."""
    train = {name: value for name, value in to_dict(data.blueprint.train).items() if name != "max_epochs"}
    features = json.dumps([data.blueprint.users.to_dict(), data.blueprint.context.to_dict()])
    table, _ = data.blueprint.table.to_arrays()
    state = hashlib.sha256(features.encode())
    for name in sorted(table):
        state.update(table[name].tobytes())
    return {
        "model": to_dict(data.blueprint.config),
        "train": train,
        "interactions": data.assembler.store.digest,
        "features": state.hexdigest(),
    }


def _also_alike(data: FitData, start: str | None) -> dict[str, Any]:
    """What processes of one fit have in common beside its fingerprint."""
    validation = data.validation
    told = {"max_epochs": data.blueprint.train.max_epochs, "checkpoints": start is not None, "validation": ""}
    if validation is not None:
        answers = hashlib.sha256(validation.requests.stops.tobytes() + validation.truth.tobytes())
        told["validation"] = f"{validation.assembler.store.digest} {answers.hexdigest()}"
    return told


def _keep_states(folder: Path, observers: Sequence[Observer]) -> None:
    """What a later process needs to go on with the same runs."""
    states: dict[str, str] = {}
    for observer in observers:
        states |= observer.state()
    if states:
        (folder / "observers.json").write_text(json.dumps(states, indent=1))
