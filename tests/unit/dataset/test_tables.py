"""Tests of the attributes of items and users."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from recattn.config import Categorical, Multi, Numeric
from recattn.dataset.tables import ItemTable, UserTable
from recattn.dataset.vocabulary import Vocabulary
from recattn.errors import ConfigError, DataError
from recattn.schema import DataWarning

SPECS = [Categorical("kind"), Multi("tags"), Numeric("price")]
CATALOG = Vocabulary("item_id", ["a", "b", "c", "d"])
TRAINED = np.array([False, True, False, True, False])


def items() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "item_id": ["d", "c", "b", "a"],
            "kind": ["film", "book", "film", "song"],
            "tags": ["x|y", "x", "y", None],
            "price": [100.0, 1.0, 50.0, 3.0],
        }
    )


def full_table() -> ItemTable:
    frame = items().assign(available_from=np.array([7, 0, 5, 6]))
    return ItemTable.build(CATALOG, trained=TRAINED, items=frame, specs=SPECS)


def test_cold_items_share_row_1_and_trained_items_have_rows_of_their_own() -> None:
    table = full_table()
    assert table.id_row.tolist() == [0, 2, 1, 3, 1]
    assert table.id_row.dtype == np.int32
    assert table.num_id_rows == 4
    assert len(table) == 5


@pytest.mark.parametrize("trained", [[3, 1, 1], [0, 1, 3, -1], [True, True, False, True, False]])
def test_trained_items_are_codes_or_a_mask_in_which_padding_plays_no_part(trained: list) -> None:
    table = ItemTable.build(CATALOG, trained=np.array(trained))
    assert table.id_row.tolist() == [0, 2, 1, 3, 1]
    assert table.recommendable.tolist() == [False, True, False, True, False]


def test_features_are_in_code_order_with_a_missing_row_for_padding() -> None:
    table = full_table()
    assert len(table.features) == 5
    assert table.features.categorical[:, 0].tolist() == [0, 3, 1, 2, 1]
    values, offsets = table.features.multi[0]
    assert (values.tolist(), offsets.tolist()) == ([1, 2, 2, 1], [0, 0, 0, 1, 2, 4])
    assert table.features.numeric.tolist() == [[0, 1], [1, 0], [48, 0], [-1, 0], [98, 0]]


def test_statistics_come_from_trained_items_only() -> None:
    frame = items()
    cold = ~frame["item_id"].isin(["a", "c"])
    changed = frame.assign(price=frame["price"].where(~cold, -5.0), kind=frame["kind"].where(~cold, "new"))
    other = ItemTable.build(CATALOG, trained=TRAINED, items=changed, specs=SPECS)
    assert other.fitted == full_table().fitted
    assert other.fitted.features[0].values == ("book", "song")


def test_items_with_training_events_or_a_row_in_the_frame_can_be_recommended() -> None:
    only_b = items()[items()["item_id"] == "b"]
    assert ItemTable.build(CATALOG, trained=TRAINED, items=only_b).recommendable.tolist() == [0, 1, 1, 1, 0]
    assert ItemTable.build(CATALOG, trained=TRAINED).recommendable.tolist() == [0, 1, 0, 1, 0]
    assert full_table().recommendable.tolist() == [0, 1, 1, 1, 1]


def test_moments_of_availability_are_in_code_order_and_0_where_unknown() -> None:
    assert full_table().available_from is not None
    assert full_table().available_from.tolist() == [0, 6, 5, 0, 7]  # type: ignore[union-attr]
    some = items().assign(available_from=9)[:1]
    table = ItemTable.build(CATALOG, trained=TRAINED, items=some)
    assert table.available_from.tolist() == [0, 0, 0, 0, 9]  # type: ignore[union-attr]
    assert ItemTable.build(CATALOG, trained=TRAINED, items=items()).available_from is None


def test_items_missing_from_the_frame_are_counted_and_have_no_features() -> None:
    with pytest.warns(DataWarning, match=r"no row for 2 of the 4 items of the catalog \(first: 'a', 'c'\)"):
        table = ItemTable.build(CATALOG, trained=TRAINED, items=items()[::2], specs=SPECS)
    assert table.features.categorical[:, 0].tolist() == [0, 0, 1, 0, 1]
    assert table.features.numeric[[1, 3]].tolist() == [[0, 1], [0, 1]]


def test_a_partial_frame_is_no_matter_where_no_feature_is_asked_for() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ItemTable.build(CATALOG, trained=TRAINED, items=items()[:1])


def test_rows_of_unknown_items_are_left_alone() -> None:
    more = pd.concat([items(), items()[:1].assign(item_id="stranger", kind="odd", price=9.0)], ignore_index=True)
    table = ItemTable.build(CATALOG, trained=TRAINED, items=more, specs=SPECS)
    assert len(table) == 5
    assert table.fitted == full_table().fitted
    assert table.features.numeric.tolist() == full_table().features.numeric.tolist()


def test_an_empty_catalog_and_one_without_trained_items_are_tables_too() -> None:
    empty = ItemTable.build(Vocabulary("item_id", []), trained=np.zeros(1, bool))
    assert (len(empty), empty.num_id_rows, empty.recommendable.tolist()) == (1, 2, [False])
    cold = ItemTable.build(CATALOG, trained=np.zeros(5, bool), items=items(), specs=SPECS)
    assert cold.id_row.tolist() == [0, 1, 1, 1, 1]
    assert cold.features.categorical[:, 0].tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("table", [full_table(), ItemTable.build(CATALOG, trained=TRAINED)])
def test_saving_as_arrays_keeps_every_bit(table: ItemTable) -> None:
    arrays, values = table.to_arrays()
    again = ItemTable.from_arrays(CATALOG, arrays, json.loads(json.dumps(values)))
    restored, _ = again.to_arrays()
    assert restored.keys() == arrays.keys()
    assert all(array.dtype == restored[name].dtype for name, array in arrays.items())
    assert all(np.array_equal(array, restored[name]) for name, array in arrays.items())
    assert again.fitted == table.fitted
    assert again.num_id_rows == table.num_id_rows


def test_arrays_survive_safetensors() -> None:
    from safetensors.numpy import load, save

    arrays, values = full_table().to_arrays()
    again = ItemTable.from_arrays(CATALOG, load(save(arrays)), values)
    assert np.array_equal(again.features.numeric, full_table().features.numeric)
    assert np.array_equal(again.recommendable, full_table().recommendable)


def test_the_frames_of_the_caller_are_not_changed() -> None:
    frame = items()
    ItemTable.build(CATALOG, trained=TRAINED, items=frame, specs=SPECS)
    pd.testing.assert_frame_equal(frame, items())


def test_item_features_without_an_items_frame_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"item_features name 'kind', 'tags', 'price', but no items frame"):
        ItemTable.build(CATALOG, trained=TRAINED, specs=SPECS)


def users() -> pd.DataFrame:
    return pd.DataFrame({"user_id": [30, 10, 20], "age": [20.0, 40.0, 90.0], "town": ["x", None, "y"]})


USER_SPECS = [Numeric("age"), Categorical("town")]


def test_users_are_found_by_id_and_strangers_get_row_minus_1() -> None:
    table = UserTable.build(users(), USER_SPECS)
    rows = table.rows([10, 99, 30, 10])
    assert (rows.tolist(), rows.dtype) == ([1, -1, 0, 1], np.int64)
    assert table.features.take(rows).categorical[:, 0].tolist() == [0, 0, 2, 0]
    assert table.features.take(rows).numeric[:, 1].tolist() == [0, 1, 0, 0]


def test_user_statistics_come_from_training_users_only() -> None:
    table = UserTable.build(users(), USER_SPECS, trained=np.array([30, 10, 10, 77]))
    assert table.features.numeric[:, 0].tolist() == [-1, 1, 6]
    assert table.features.categorical[:, 0].tolist() == [2, 0, 1]


def test_a_fitted_model_reads_new_users_by_what_it_learned() -> None:
    fitted = UserTable.build(users(), USER_SPECS).fitted
    table = UserTable.build(pd.DataFrame({"user_id": ["n"], "age": [50.0], "town": ["z"]}), fitted)
    assert table.fitted is fitted
    assert table.features.numeric.tolist() == [[0, 0]]
    assert table.features.categorical.tolist() == [[1]]
    with pytest.raises(DataError, match=r"users has features that differ from the model's: no column 'town'"):
        UserTable.build(users().drop(columns="town"), fitted)


def test_without_a_frame_nobody_is_known_and_all_is_missing() -> None:
    table = UserTable.build(None, UserTable.build(users(), USER_SPECS).fitted)
    assert len(table) == 0
    missing = table.features.take(table.rows(["u", "v"]))
    assert (missing.categorical.tolist(), missing.numeric.tolist()) == ([[0], [0]], [[0, 1], [0, 1]])
    assert UserTable.build(None, ()).fitted.specs == ()


def test_user_features_without_a_users_frame_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"user_features name 'age', 'town', but no users frame .*Pass users="):
        UserTable.build(None, USER_SPECS)
