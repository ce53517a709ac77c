"""Tests of what an item looks like to the scorer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from recattn.batching.assemble import as_tensors
from recattn.batching.batch import FeatureBatch
from recattn.nn.item_encoder import COLD_ROW, FeatureEncoder, ItemEncoder

# Three rows: two categorical columns, two multi-valued ones, one number with its missing flag.
FEATURES = FeatureBatch(
    categorical=torch.tensor([[2, 0], [3, 2], [1, 2], [2, 1]]),
    multi_values=(torch.tensor([2, 3, 3, 1]), torch.tensor([2, 1, 1, 1])),
    multi_offsets=(torch.tensor([0, 2, 2, 3, 4]), torch.tensor([0, 0, 1, 3, 4])),
    numeric=torch.tensor([[0.5, 0], [0, 1], [-2, 0], [1, 0]]),
)
SIZES: tuple[Any, ...] = ((4, 3), (4, 3), 2, 6)


@pytest.fixture
def encoder(stirred: Callable[..., Any]) -> FeatureEncoder:
    return stirred(FeatureEncoder(*SIZES))


@pytest.fixture
def items(build_scorer: Callable[..., Any], scene: Any) -> ItemEncoder:
    return build_scorer(scene).items


def test_attributes_are_the_sum_of_their_embeddings(encoder: FeatureEncoder, loops: Any) -> None:
    got = encoder(FEATURES).detach().numpy()
    for row in range(4):
        wanted = loops.attributes(row, FEATURES, loops.weights_of(encoder), "", 6)
        np.testing.assert_allclose(got[row], wanted, atol=1e-6)


def test_attributes_may_be_of_one_kind_or_of_none(stirred: Callable[..., Any], loops: Any) -> None:
    for sizes in (((4, 3), (), 0, 6), ((), (4, 3), 0, 6), ((), (), 2, 6), ((), (), 0, 6)):
        encoder = stirred(FeatureEncoder(*sizes))
        features = FeatureBatch(
            FEATURES.categorical[:, : len(sizes[0])],
            FEATURES.multi_values[: len(sizes[1])],
            FEATURES.multi_offsets[: len(sizes[1])],
            FEATURES.numeric[:, : sizes[2]],
        )
        for row, got in enumerate(encoder(features).detach().numpy()):
            np.testing.assert_allclose(
                got, loops.attributes(row, features, loops.weights_of(encoder), "", 6), atol=1e-6
            )


def test_values_unseen_in_training_start_and_stay_at_zero() -> None:
    encoder = FeatureEncoder(*SIZES)
    encoder(FEATURES).pow(2).sum().backward()
    for embedding in [*encoder.categorical, *encoder.multi]:
        assert not embedding.weight[1].any()  # type: ignore[index]
        assert not embedding.weight.grad[1].any()  # type: ignore[index, union-attr]
        assert embedding.weight.grad[2].any()  # type: ignore[index, union-attr]


def test_no_rows_have_no_attributes(encoder: FeatureEncoder) -> None:
    empty = torch.zeros(0, dtype=torch.int64)
    none = FeatureBatch(FEATURES.categorical[:0], (empty, empty), (empty.new_zeros(1),) * 2, FEATURES.numeric[:0])
    assert encoder(none).shape == (0, 6)


def test_an_item_is_its_id_row_and_its_attributes(items: ItemEncoder, scene: Any, loops: Any) -> None:
    weights, features = loops.weights_of(items), as_tensors(scene.table.features)
    codes = torch.tensor([[3, 14], [3, 0]])
    got = items(codes).detach().numpy()
    assert got.shape == (2, 2, 8)
    for place, code in np.ndenumerate(codes.numpy()):
        wanted = weights["ids.weight"][scene.table.id_row[code]]
        if code:
            wanted = wanted + loops.attributes(code, features, weights, "encoder.", 8)
        np.testing.assert_allclose(got[place], wanted, atol=1e-6)


def test_padding_has_no_attributes(items: ItemEncoder) -> None:
    assert torch.equal(items(torch.tensor([0, 3]))[0], items.ids.weight[0])


def test_padding_starts_at_zero_and_gets_no_gradient(scene: Any) -> None:
    items = ItemEncoder(torch.from_numpy(scene.table.id_row).long(), None, None, 4)
    codes = torch.tensor([0, 0, 5])
    assert not items(codes)[:2].any()
    items(codes).sum().backward()
    assert items.ids.weight.grad is not None
    assert not items.ids.weight.grad[0].any()
    assert items.ids.weight.grad[items.id_rows[5]].all()


def test_cold_items_share_an_id_row_and_a_bias_and_differ_by_attributes(items: ItemEncoder) -> None:
    assert items.id_rows[13] == items.id_rows[14] == COLD_ROW
    cold, other = items(torch.tensor([13, 14]))
    assert not torch.allclose(cold, other)
    items.encoder = None
    cold, other, warm = items(torch.tensor([13, 14, 12]))
    assert torch.equal(cold, other)
    assert not torch.equal(cold, warm)
    biases = items.biases(torch.tensor([13, 14, 12]))
    assert biases[0] == biases[1] == items.bias.weight[COLD_ROW, 0] != biases[2]


def test_id_dropout_replaces_the_id_row_by_the_cold_row_while_training_only(items: ItemEncoder) -> None:
    items.encoder, items.id_dropout = None, 0.25
    codes = torch.tensor([5]).expand(4000)
    assert torch.equal(items(codes), items.ids.weight[items.id_rows[codes]])
    torch.manual_seed(0)
    dropped = (items.train()(codes) == items.ids.weight[COLD_ROW]).all(dim=1)
    kept = (items.train()(codes) == items.ids.weight[items.id_rows[5]]).any()
    assert 0.2 < float(dropped.float().mean()) < 0.3
    assert kept
    items.id_dropout = 0.0
    assert torch.equal(items(codes), items.ids.weight[items.id_rows[codes]])


def test_id_dropout_leaves_padding_alone(items: ItemEncoder) -> None:
    items.id_dropout = 0.99
    torch.manual_seed(0)
    assert torch.equal(items.train()(torch.zeros(50, dtype=torch.int64)), items.ids.weight[0].expand(50, -1))


@pytest.fixture
def separate(build_scorer: Callable[..., Any], scene: Any) -> ItemEncoder:
    return build_scorer(scene, keys="separate").items


def test_the_table_for_attention_is_of_ids_alone_and_as_large(separate: ItemEncoder) -> None:
    assert separate.attention_ids is not None
    assert separate.attention_ids.weight.shape == separate.ids.weight.shape == (2 + 12, 8)
    codes = torch.tensor([[3, 13], [14, 0]])
    assert torch.equal(separate.attention(codes), separate.attention_ids.weight[separate.id_rows[codes]])
    cold, other, warm = separate.attention(torch.tensor([13, 14, 12]))
    assert torch.equal(cold, other), "attributes have no part in it"
    assert torch.equal(cold, separate.attention_ids.weight[COLD_ROW])
    assert not torch.equal(cold, warm)


def test_id_dropout_is_of_the_table_for_attention_too(separate: ItemEncoder) -> None:
    separate.id_dropout, codes = 0.25, torch.tensor([5]).expand(4000)
    torch.manual_seed(0)
    dropped = (separate.train().attention(codes) == separate.attention_ids.weight[COLD_ROW]).all(dim=1)  # type: ignore[union-attr]
    assert 0.2 < float(dropped.float().mean()) < 0.3
    assert torch.equal(separate.eval().attention(codes)[0], separate.attention_ids.weight[separate.id_rows[5]])  # type: ignore[union-attr]


def test_padding_starts_at_zero_for_attention_and_gets_no_gradient(scene: Any) -> None:
    items = ItemEncoder(torch.from_numpy(scene.table.id_row).long(), None, None, 4, separate=True)
    assert items.attention_ids is not None
    found = items.attention(torch.tensor([0, 5]))
    assert not found[0].any()
    assert 0 < float(items.attention_ids.weight[1:].detach().std()) < 0.03
    found.sum().backward()
    assert not items.attention_ids.weight.grad[0].any()  # type: ignore[index]
    assert items.attention_ids.weight.grad[items.id_rows[5]].all()  # type: ignore[index]
    assert items.ids.weight.grad is None


def test_there_is_one_table_unless_told(items: ItemEncoder) -> None:
    assert items.attention_ids is None
    assert not [name for name in items.state_dict() if "attention" in name]


def test_an_item_looks_the_same_in_any_company(items: ItemEncoder) -> None:
    alone = items(torch.tensor([7]))
    torch.testing.assert_close(items(torch.tensor([[3, 7], [7, 14]]))[0, 1], alone[0], rtol=0, atol=1e-7)
    torch.testing.assert_close(items(items.catalog())[6], alone[0], rtol=0, atol=1e-7)


def test_the_catalog_is_every_code_but_padding(items: ItemEncoder) -> None:
    assert items.catalog().tolist() == list(range(1, 15))
    assert items.num_codes == 15


def test_all_but_padding_is_trainable_unless_told() -> None:
    rows = torch.tensor([0, 2, 1])
    assert ItemEncoder(rows, None, None, 4).trainable.tolist() == [False, True, True]
    trained = torch.tensor([False, True, False])
    assert ItemEncoder(rows, None, None, 4, trainable=trained).trainable.tolist() == [False, True, False]


def test_only_weights_are_in_the_state_of_a_model(items: ItemEncoder) -> None:
    names = set(items.state_dict())
    assert {"ids.weight", "bias.weight"} <= names
    assert not names & {"id_rows", "trainable", "categorical", "numeric", "multi_values_0", "multi_offsets_0"}


def test_only_items_with_an_id_row_of_their_own_can_be_targets() -> None:
    rows, open_ = torch.tensor([0, 1, 2, 3]), torch.tensor([False, True, True, False])
    assert ItemEncoder(rows, None, None, 4, trainable=open_).targets.tolist() == [False, False, True, False]


def test_biases_fall_back_on_the_cold_one_at_the_rate_of_id_dropout() -> None:
    encoder = ItemEncoder(torch.tensor([0, 1, 2]), None, None, 4, id_dropout=0.25)
    with torch.no_grad():
        encoder.bias.weight.copy_(torch.tensor([[0.0], [1.0], [2.0]]))
    codes = torch.full((4000,), 2)
    torch.manual_seed(0)
    assert float((encoder.train().biases(codes) == 1).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert bool((encoder.eval().biases(codes) == 2).all())
