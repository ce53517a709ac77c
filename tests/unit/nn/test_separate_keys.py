"""Tests of attention weights that come from embeddings of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recattn.batching.batch import RequestBatch
from recattn.config import TrainConfig
from recattn.dataset.requests import make_requests
from recattn.nn import ItemEncoder, Scorer, window_losses
from recattn.nn.attention import BoundedTargetAttention


@pytest.fixture
def scorer(scene: Any, build_scorer: Callable[..., Scorer]) -> Scorer:
    return build_scorer(scene, keys="separate")


@pytest.fixture
def batch(scene: Any, scorer: Scorer) -> RequestBatch:
    """Users with histories of several lengths, and one without."""
    requests = make_requests(scene.store, [*scene.store.users, "nobody"])
    return scene.assembler(scorer.config).requests(requests)


def terms(scorer: Scorer, batch: RequestBatch) -> tuple[Tensor, Tensor, Tensor]:
    """The retrieval score of the catalog, and what attention and the deep layers add."""
    with torch.no_grad():
        retrieval, attention, deep = (scorer(batch, stage) for stage in ("retrieval", "attention", "deep"))
    return retrieval, attention - retrieval, deep - attention


def found(scorer: Scorer, batch: RequestBatch, codes: Tensor) -> Tensor:
    """What candidates find in histories by the heads of the attention score, [R, S, D]."""
    with torch.no_grad():
        prefixes = scorer.requests(batch, "attention")
        assert scorer.attention is not None
        return scorer.attention(scorer.asked(scorer.candidates(codes))[0], prefixes.attention_keys, prefixes.view)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_embeddings_for_attention_change_the_attention_term_alone(scorer: Scorer, batch: RequestBatch) -> None:
    before = terms(scorer, batch)
    with torch.no_grad():
        scorer.items.attention_ids.weight.add_(torch.randn(14, 8, generator=torch.Generator().manual_seed(1)))  # type: ignore[union-attr]
    after = terms(scorer, batch)
    close(after[0], before[0])
    close(after[2], before[2])
    seen = batch.history.mask.any(dim=1)
    assert not torch.isclose(after[1][seen], before[1][seen], atol=1e-3).all(dim=1).any()


def test_candidates_find_what_their_embeddings_for_attention_ask_for(scorer: Scorer, batch: RequestBatch) -> None:
    """Whatever they are themselves: with their rows for attention two items exchange what they find."""
    codes = torch.tensor([3, 7])
    before = found(scorer, batch, codes)
    assert not torch.isclose(before[0, 0], before[0, 1], atol=1e-3).all()
    prefixes = scorer.requests(batch, "attention")  # keys as they were
    rows = scorer.items.id_rows[codes]
    with torch.no_grad():
        table = scorer.items.attention_ids.weight  # type: ignore[union-attr]
        table[rows] = table[rows.flip(0)]
        queries = scorer.asked(scorer.candidates(codes))[0]
        after = scorer.attention(queries, prefixes.attention_keys, prefixes.view)  # type: ignore[misc]
    close(after, before.flip(1))


def test_weights_do_not_look_at_the_content(scorer: Scorer, batch: RequestBatch) -> None:
    assert isinstance(scorer.attention, BoundedTargetAttention)
    codes, history = scorer.items.catalog(), batch.history

    def logits() -> Tensor:
        keys = scorer.attention_keys(history, scorer.encode(history)).keys_BHTK
        return scorer.attention.queries(scorer.asked(scorer.candidates(codes))[0]) @ keys.transpose(2, 3)  # type: ignore[union-attr]

    before, values = logits(), scorer.attention_keys(history, scorer.encode(history)).values_BHTK
    with torch.no_grad():
        scorer.items.ids.weight.add_(torch.randn(14, 8, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(logits(), before)
    after = scorer.attention_keys(history, scorer.encode(history)).values_BHTK
    real = history.mask[:, None].expand(-1, 2, -1)
    assert torch.equal(after[:, :, 0], values[:, :, 0]), "the null value is learned"
    assert not torch.isclose(after[:, :, 1:][real], values[:, :, 1:][real], atol=1e-3).all(dim=1).any()


def test_cold_items_ask_alike_and_are_read_apart(scorer: Scorer, batch: RequestBatch) -> None:
    cold = torch.tensor([13, 14])
    assert scorer.items.id_rows[cold].tolist() == [1, 1]
    looked = found(scorer, batch, cold)
    assert torch.equal(looked[:, 0], looked[:, 1])
    term = terms(scorer, batch)[1]
    assert not torch.isclose(term[:, 12], term[:, 13], atol=1e-4).any(), "attributes are of the content"


def test_id_dropout_makes_some_candidates_ask_like_cold_ones(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    scorer = build_scorer(scene, keys="separate", id_dropout=0.25).train()
    codes = torch.tensor([5]).expand(4000)
    torch.manual_seed(0)
    with torch.no_grad():
        queries = scorer.asked(scorer.candidates(codes))[0]
        cold = scorer.match_inputs(torch.tensor([13]))
    assert 0.2 < float((queries - cold).abs().amax(dim=1).lt(1e-6).float().mean()) < 0.3


def test_a_scorer_and_its_items_must_agree_on_the_second_table(scorer: Scorer) -> None:
    one = ItemEncoder(scorer.items.id_rows, None, None, 8)
    with pytest.raises(AssertionError):
        Scorer(scorer.config, one)


def test_training_moves_the_second_table_and_leaves_padding(scene: Any, build_scorer: Callable[..., Scorer]) -> None:
    import numpy as np

    from recattn.dataset.negatives import NegativeSampler
    from recattn.dataset.windows import make_windows

    scorer = build_scorer(scene, keys="separate", score="attention", attention="both").train()
    windows, train = make_windows(scene.store, 6, ties="exclude"), TrainConfig(num_negatives=6)
    batch = scene.assembler(scorer.config).windows(
        windows, np.arange(len(windows)), train, NegativeSampler(np.arange(15), 0.5), np.random.default_rng(0)
    )
    losses = window_losses(scorer, batch, train)
    assert scorer.items.attention_ids is not None
    weight = scorer.items.attention_ids.weight
    (of_retrieval,) = torch.autograd.grad(losses["retrieval"], weight, retain_graph=True, allow_unused=True)
    assert of_retrieval is None
    (gradient,) = torch.autograd.grad(losses["attention"], weight)
    assert not gradient[0].any()
    assert gradient[scorer.items.id_rows[batch.candidates]].any(dim=1).all()
