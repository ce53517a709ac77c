"""Tests of the scorer as a LightningModule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from recattn.errors import TrainingError
from recattn.evaluation import NDCG, Recall, evaluate
from recattn.recommender import Recommender
from recattn.training import DataModule, LitScorer


class Watch(Callback):
    """Notes the rate, and the gradient after clipping, of each step."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.norms: list[float] = []
        self.largest: list[float] = []

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.norms.append(float(torch.stack([g.norm() for g in gradients]).norm()))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self.norms[-1] = float(torch.stack([g.norm() for g in gradients]).norm())
        self.largest.append(max(float(g.abs().max()) for g in gradients))


def train(prepared: Callable[..., Any], trainer: Callable[..., L.Trainer], *, of: Any = None, **settings: Any) -> Watch:
    """A fit of 4 epochs of 3 steps by Lightning alone; what was seen of its steps."""
    data, watch = prepared(**({"max_epochs": 4} | settings)), Watch()
    torch.manual_seed(0)
    lit = LitScorer(data.blueprint.build(), data.blueprint.train)
    module = DataModule(data.assembler, data.blueprint.table, data.blueprint.train)
    trainer(max_epochs=data.blueprint.train.max_epochs, callbacks=[watch], **(of or {})).fit(lit, datamodule=module)
    return watch


def test_the_rate_warms_up_and_then_stays(prepared: Any, quiet_trainer: Any) -> None:
    watch = train(prepared, quiet_trainer, learning_rate=0.1, warmup_steps=5, schedule="constant")
    np.testing.assert_allclose(watch.rates, [0.02, 0.04, 0.06, 0.08, 0.1] + 7 * [0.1], rtol=1e-6)


def test_the_rate_falls_by_a_cosine_to_a_hundredth(prepared: Any, quiet_trainer: Any) -> None:
    watch = train(prepared, quiet_trainer, learning_rate=0.1, warmup_steps=2, schedule="cosine")
    falling = [0.001 + 0.0495 * (1 + np.cos(np.pi * step / 10)) for step in range(10)]
    np.testing.assert_allclose(watch.rates, [0.05, 0.1, *falling], rtol=1e-6)


def test_a_warm_up_longer_than_the_fit_never_reaches_the_peak(prepared: Any, quiet_trainer: Any) -> None:
    watch = train(prepared, quiet_trainer, learning_rate=0.1, warmup_steps=100, schedule="cosine")
    np.testing.assert_allclose(watch.rates, [0.001 * (step + 1) for step in range(12)], rtol=1e-6)


def test_gradients_are_clipped_to_the_norm(prepared: Any, quiet_trainer: Any) -> None:
    free = train(prepared, quiet_trainer, clip_norm=0.0)
    clipped = train(prepared, quiet_trainer, clip_norm=0.05)
    assert min(free.norms) > 0.06
    np.testing.assert_allclose(clipped.norms, 0.05, rtol=1e-3)


def test_the_trainers_own_clipping_comes_first(prepared: Any, quiet_trainer: Any) -> None:
    by_norm = train(prepared, quiet_trainer, clip_norm=0.05, of={"gradient_clip_val": 0.02})
    np.testing.assert_allclose(by_norm.norms, 0.02, rtol=1e-3)
    by_value = train(
        prepared, quiet_trainer, of={"gradient_clip_val": 1e-3, "gradient_clip_algorithm": "value"}, clip_norm=0.05
    )
    assert max(by_value.largest) == pytest.approx(1e-3)
    none = train(prepared, quiet_trainer, clip_norm=0.05, of={"gradient_clip_val": 0.0})
    assert min(none.norms) > 0.06


def test_embeddings_biases_and_norms_do_not_decay(prepared: Any, quiet_trainer: Any) -> None:
    data = prepared(weight_decay=0.1)
    lit = LitScorer(data.blueprint.build(), data.blueprint.train)
    trainer = quiet_trainer(max_epochs=1, fast_dev_run=True)
    trainer.fit(lit, datamodule=DataModule(data.assembler, data.blueprint.table, data.blueprint.train))
    names = {id(weight): name for name, weight in lit.scorer.named_parameters()}
    decayed, free = ({names[id(p)] for p in group["params"]} for group in trainer.optimizers[0].param_groups)
    assert [group["weight_decay"] for group in trainer.optimizers[0].param_groups] == [0.1, 0.0]
    assert {"attention.query.weight", "history.blocks.0.attention.project.weight"} <= decayed
    assert {"items.ids.weight", "items.bias.weight", "history.gap.weight", "start", "history.norm.weight"} <= free
    assert len(decayed) + len(free) == len(names)


def test_a_steps_chance_hangs_on_seed_epoch_and_step_alone(prepared: Any) -> None:
    data = prepared(dropout=0.5)
    scorer = data.blueprint.build().train()
    module = DataModule(data.assembler, data.blueprint.table, data.blueprint.train)
    batch = next(iter(module.train_dataloader()))

    def loss(step: int, seed: int = 3) -> float:
        lit = LitScorer(scorer, prepared(seed=seed).blueprint.train)
        lit.log = lambda *args, **named: None  # type: ignore[method-assign,assignment]
        torch.rand(7)
        return float(lit.training_step(batch, step))

    assert loss(0) == loss(0)
    assert loss(0) != loss(1)
    assert loss(0) != loss(0, seed=4)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_names_epoch_step_and_advice(prepared: Any, broken: float) -> None:
    data = prepared(learning_rate=0.25)
    lit = LitScorer(data.blueprint.build(), data.blueprint.train)
    with torch.no_grad():
        lit.scorer.start.fill_(broken)
    batch = next(iter(DataModule(data.assembler, data.blueprint.table, data.blueprint.train).train_dataloader()))
    with pytest.raises(
        TrainingError, match=r"became (nan|inf) at epoch 0, step 17\. Try a lower learning_rate \(now 0\.25\)"
    ):
        lit.training_step(batch, 17)


def validated(data: Any, scorer: Any, trainer: Callable[..., L.Trainer]) -> dict[str, float]:
    """What Lightning logs for a validation of this scorer."""
    lit = LitScorer(scorer, data.blueprint.train)
    module = DataModule(data.assembler, data.blueprint.table, data.blueprint.train, data.validation)
    return trainer().validate(lit, datamodule=module, verbose=False)[0]


@pytest.mark.parametrize("target", ["last", "successive", "all"])
@pytest.mark.parametrize("time", ["timestamp", "order"])
def test_validation_agrees_with_evaluate_on_what_is_recommended(
    world: Any, small_model: Any, small_train: Any, quiet_trainer: Any, target: Any, time: Any
) -> None:
    """With an unknown item, one bought twice, items seen before, and two items of one moment."""
    from recattn.dataset.split import Split
    from recattn.schema import read_interactions
    from recattn.training.prepare import Specs, joined, prepare_fit

    valid = world.valid.copy()
    valid.loc[valid.index[:3], "item_id"] = "unknown"
    valid.loc[valid.index[4], "item_id"] = valid.loc[valid.index[16], "item_id"]  # u04 twice
    valid.loc[valid["user_id"] == "u06", "timestamp"] = valid["timestamp"].max()
    valid.loc[valid.index[5], "item_id"] = world.train[world.train["user_id"] == "u05"]["item_id"].iloc[0]
    model = small_model(time=time, ties="exclude")
    train, valid = (read_interactions(frame, time=time) for frame in (world.train, valid))
    data = prepare_fit(train, valid, None, None, Specs(), model, small_train(valid_target=target, batch_size=5))
    recommender = Recommender(model, small_train()).fit(world.train)
    logged = validated(data, recommender.scorer, quiet_trainer)

    log = joined(train, valid, model)
    split = Split(log, (np.arange(len(log)) >= len(train)).astype(np.int8), None, None, time, "exclude", False)
    requests, truth = split.requests("valid", target), split.truth("valid", target)
    found = recommender.recommend(requests, history=log, k=10)
    report = evaluate(found, truth, [NDCG(10), Recall(10)], seen="drop")
    assert logged["valid/ndcg_at_10"] == pytest.approx(report.summary["ndcg_at_10"], rel=1e-5)
    assert logged["valid/recall_at_10"] == pytest.approx(report.summary["recall_at_10"], rel=1e-5)
    first = recommender.recommend(requests, history=log, k=10, stage="retrieval")
    report = evaluate(first, truth, [NDCG(10)], seen="drop")
    assert logged["valid/retrieval_ndcg_at_10"] == pytest.approx(report.summary["ndcg_at_10"], rel=1e-5)


@pytest.mark.parametrize("stage", ["retrieval", "deep"])
def test_validation_ranks_only_items_that_can_be_recommended(prepared: Any, stage: Any) -> None:
    data = prepared(valid=True)
    scorer = data.blueprint.build().eval()
    codes = scorer.items.catalog()
    closed = codes[::3]
    scorer.items.trainable[closed] = False
    lit = LitScorer(scorer, data.blueprint.train)
    module = DataModule(data.assembler, data.blueprint.table, data.blueprint.train, data.validation)
    batch = next(iter(module.val_dataloader()))
    with torch.no_grad():
        lit.on_validation_epoch_start()
        best = lit.rank(batch._replace(seen=batch.seen[:, :0]), stage)
    assert set(best[best > 0].tolist()) <= set(codes.tolist()) - set(closed.tolist())
    assert ((best > 0).sum(dim=1) == min(10, len(codes) - len(closed))).all()


def test_a_retrieval_model_is_not_judged_twice(prepared: Any, quiet_trainer: Any) -> None:
    data = prepared(valid=True, score="retrieval")
    logged = validated(data, data.blueprint.build(), quiet_trainer)
    assert set(logged) == {"valid/ndcg_at_10", "valid/recall_at_10"}


def test_weights_that_are_no_numbers_are_not_validated(prepared: Any, quiet_trainer: Any) -> None:
    data = prepared(valid=True)
    scorer = data.blueprint.build()
    with torch.no_grad():
        scorer.start[2] = torch.nan
    with pytest.raises(TrainingError, match=r"1 weights \(first: start\) are no longer finite at the end of epoch 0"):
        validated(data, scorer, quiet_trainer)


def test_frames_given_to_a_validation_stay_as_they_were(prepared: Any, world: Any) -> None:
    train, valid = world.train.copy(), world.valid.copy()
    prepared(valid=True)
    pd.testing.assert_frame_equal(world.train, train)
    pd.testing.assert_frame_equal(world.valid, valid)
