"""Tests of the interaction log at the door."""

from __future__ import annotations

import datetime
import uuid
import warnings

import numpy as np
import pandas as pd
import pytest

from recattn.errors import ConfigError, DataError
from recattn.schema import DataWarning, read_interactions

DAY = 1_714_521_600  # 2024-05-01


def log(**columns: object) -> pd.DataFrame:
    values: dict[str, object] = {
        "user_id": ["a", "a", "b"],
        "item_id": [1, 2, 1],
        "timestamp": [DAY, DAY + 1, DAY + 2],
    }
    return pd.DataFrame({**values, **columns})


def test_canonical_frame_has_known_columns_first_then_the_rest_as_given() -> None:
    frame = log(device=["x", "y", "z"], weight=[1, 2, 3], event_type=["view", "like", "view"])
    frame = frame[["device", "weight", "timestamp", "event_type", "item_id", "user_id"]]
    out = read_interactions(frame)
    assert list(out.columns) == ["user_id", "item_id", "timestamp", "event_type", "weight", "device"]
    assert out["timestamp"].dtype == np.int64
    assert out["weight"].dtype == np.float32
    assert out["device"].tolist() == ["x", "y", "z"]


def test_rows_keep_their_order_under_a_new_index() -> None:
    frame = log(timestamp=[30, 10, 20]).set_index(pd.Index([7, 7, 9]))
    out = read_interactions(frame)
    assert out["timestamp"].tolist() == [30, 10, 20]
    assert out.index.equals(pd.RangeIndex(3))


def test_a_canonical_frame_passes_unchanged() -> None:
    once = read_interactions(log(rating=[1, 2, 3], event_type=pd.Categorical(["v", None, "l"])))
    pd.testing.assert_frame_equal(read_interactions(once), once)
    order = read_interactions(log(timestamp=[3, 2, 1]), time="order")
    pd.testing.assert_frame_equal(read_interactions(order, time="order"), order)


def test_the_callers_frame_is_never_changed() -> None:
    frame = log(rating=[1, 2, 3], item_id=pd.Series([1, 2, 1], dtype="category"))
    before = frame.copy(deep=True)
    out = read_interactions(frame, columns={"user_id": "user_id"})
    out["timestamp"] = 0
    out.loc[0, "weight"] = 9
    pd.testing.assert_frame_equal(frame, before)


def test_rating_is_the_weight_unless_there_is_one() -> None:
    assert read_interactions(log(rating=[1, 2, 3]))["weight"].tolist() == [1, 2, 3]
    both = read_interactions(log(rating=[1, 2, 3], weight=[4, 5, 6]))
    assert both["weight"].tolist() == [4, 5, 6]
    assert both["rating"].tolist() == [1, 2, 3]


def test_columns_map_our_names_to_the_frames_own() -> None:
    frame = log().rename(columns={"timestamp": "ts", "user_id": "who"})
    out = read_interactions(frame, columns={"timestamp": "ts", "user_id": "who"})
    pd.testing.assert_frame_equal(out, read_interactions(log()))


def test_a_missing_column_names_what_is_there_and_the_likely_one() -> None:
    expected = (
        r"^interactions has no column 'timestamp'; it has 'user_id', 'item_id', 'ts'\. "
        r"Rename it, or pass columns=\{'timestamp': 'ts'\}\.$"
    )
    with pytest.raises(DataError, match=expected):
        read_interactions(log().rename(columns={"timestamp": "ts"}))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("user_id", "userId"), ("user_id", "user_idd"), ("item_id", "movieId"), ("timestamp", "timestmp")],
)
def test_a_misspelt_column_is_guessed(ours: str, theirs: str) -> None:
    with pytest.raises(DataError, match=rf"no column '{ours}'.*pass columns=\{{'{ours}': '{theirs}'\}}"):
        read_interactions(log().rename(columns={ours: theirs}))


def test_a_missing_column_without_a_likely_one_asks_for_its_name() -> None:
    with pytest.raises(DataError, match=r"pass columns=\{'item_id': <its name>\}"):
        read_interactions(log().rename(columns={"item_id": "zzz"}))


def test_a_column_that_hides_in_the_index_is_told() -> None:
    with pytest.raises(DataError, match=r"'user_id' as its index.*reset_index\(\)"):
        read_interactions(log().set_index("user_id"))


def test_a_mapping_to_an_absent_column_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no column 'tim'.*Did you mean 'time'\?"):
        read_interactions(log().rename(columns={"timestamp": "time"}), columns={"timestamp": "tim"})


def test_a_mapping_onto_a_taken_name_is_refused() -> None:
    with pytest.raises(DataError, match=r"has a column 'timestamp' already.*take 'ts'"):
        read_interactions(log(ts=[1, 2, 3]), columns={"timestamp": "ts"})


def test_a_column_name_that_stands_twice_is_refused() -> None:
    frame = log()
    frame.columns = ["user_id", "user_id", "timestamp"]
    with pytest.raises(DataError, match="two columns named 'user_id'"):
        read_interactions(frame)


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(DataError, match="interactions is empty"):
        read_interactions(log().iloc[:0])


def test_one_row_is_enough() -> None:
    assert len(read_interactions(log().iloc[:1])) == 1


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(DataError, match="interactions must be a pandas DataFrame or a path, got list"):
        read_interactions([("a", 1, 2)])  # type: ignore[arg-type]


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_null_ids_are_counted_and_shown(column: str) -> None:
    with pytest.raises(DataError, match=rf"2 of 3 rows.*2 with a null {column} \(row 0, row 2\).*drop"):
        read_interactions(log(**{column: [None, "x", np.nan]}))


def test_whole_numbers_made_float_by_a_null_are_a_null_id() -> None:
    with pytest.raises(DataError, match=r"1 with a null item_id \(row 1\)"):
        read_interactions(log(item_id=[1, None, 2]))


def test_mixed_id_types_are_counted_and_shown() -> None:
    mixture = r"column 'item_id' mixes int \(2 rows\) and str \(1 rows\); str first at row 1: 'x'\. .*astype\(str\)"
    with pytest.raises(DataError, match=mixture):
        read_interactions(log(item_id=[1, "x", 2]))


def test_unhashable_ids_are_refused() -> None:
    with pytest.raises(DataError, match="holds list values, which cannot be ids"):
        read_interactions(log(item_id=[[1], [2], [3]]))


def test_ids_that_lost_digits_as_floats_are_refused() -> None:
    with pytest.raises(DataError, match="float ids that have lost digits"):
        read_interactions(log(item_id=[1.0, 2.0, 9e18]))


@pytest.mark.parametrize(
    "ids",
    [
        [1, 2, 3],
        ["a", "b", "c"],
        [uuid.UUID(int=i) for i in range(3)],
        [(1, "a"), (2, "b"), (3, "c")],
        [datetime.date(2024, 1, day) for day in (1, 2, 3)],
        [b"a", b"b", b"c"],
    ],
    ids=["int", "str", "uuid", "tuple", "date", "bytes"],
)
def test_ids_of_any_hashable_kind_pass(ids: list[object]) -> None:
    assert read_interactions(log(item_id=pd.Series(ids)))["item_id"].tolist() == ids


@pytest.mark.parametrize("dtype", ["Int64", "category", "int64[pyarrow]", "object", "uint8"])
def test_wrapped_integer_ids_come_out_as_plain_integers(dtype: str) -> None:
    out = read_interactions(log(item_id=pd.Series([1, 2, 1]).astype(dtype)))["item_id"]
    assert isinstance(out.dtype, np.dtype)
    assert out.dtype.kind in "iu"
    assert out.tolist() == [1, 2, 1]


@pytest.mark.parametrize("dtype", ["string", "category", "string[pyarrow]", "object"])
def test_wrapped_text_ids_come_out_in_one_dtype(dtype: str) -> None:
    out = read_interactions(log(user_id=pd.Series(["a", "a", "b"]).astype(dtype)))["user_id"]
    assert out.dtype == pd.Series(["a"]).dtype


@pytest.mark.parametrize("dtype", ["Int64", "category", "int64[pyarrow]", "float64"])
def test_dropping_null_ids_leaves_plain_ids(dtype: str) -> None:
    frame = log(item_id=pd.Series([1, None, 2]).astype(dtype))
    with pytest.warns(DataWarning, match=r"1 of 3 rows left out: 1 with a null item_id \(row 1\)"):
        out = read_interactions(frame, bad_rows="drop")
    assert out["item_id"].tolist() == [1, 2]
    assert out.index.equals(pd.RangeIndex(2))


def test_every_kind_of_bad_row_is_in_one_message() -> None:
    frame = pd.DataFrame(
        {
            "user_id": ["a", None, "b", "c", "d", "e"],
            "item_id": [1, 2, 3, 4, 5, 6],
            "timestamp": ["2024-05-01", "2024-05-01", "soon", None, "1960-01-01", "2030-01-01"],
        }
    )
    with pytest.raises(DataError) as caught:
        read_interactions(frame, now="2024-06-01")
    message = str(caught.value)
    assert "5 of 6 rows" in message
    assert "1 with a null user_id (row 1)" in message
    assert "1 with a null timestamp (row 3)" in message
    assert "1 with an unparsable timestamp (row 2: 'soon')" in message
    assert "1 with a negative timestamp (before 1970) (row 4: '1960-01-01')" in message
    assert "1 with a timestamp in the future of now=2024-06-01 00:00:00 (row 5: '2030-01-01')" in message
    with pytest.warns(DataWarning, match="5 of 6 rows left out"):
        out = read_interactions(frame, now="2024-06-01", bad_rows="drop")
    assert out["user_id"].tolist() == ["a"]


def test_only_the_first_bad_rows_are_shown() -> None:
    frame = pd.DataFrame({"user_id": [None] * 9 + ["a"], "item_id": range(10), "timestamp": range(10)})
    with pytest.raises(DataError, match=r"9 with a null user_id \(row 0, row 1, row 2, row 3, row 4 and 4 more\)"):
        read_interactions(frame)


def test_no_usable_row_is_an_error_even_when_dropping() -> None:
    with pytest.raises(DataError, match="no usable row"):
        read_interactions(log(timestamp=[-1, -2, -3]), bad_rows="drop")


def test_a_weight_that_is_no_number_is_a_bad_row() -> None:
    with pytest.raises(DataError, match=r"1 with a weight that is no number \(row 1: 'five'\)"):
        read_interactions(log(weight=["4", "five", "3"]))


def test_event_types_become_text_with_nulls_kept() -> None:
    events = read_interactions(log(event_type=pd.Series([1, None, 3], dtype="Int64")))["event_type"]
    assert events.dropna().tolist() == ["1", "3"]
    assert events.isna().tolist() == [False, True, False]


def test_order_without_timestamps_counts_rows_within_a_user() -> None:
    frame = pd.DataFrame({"user_id": ["b", "a", "b", "a"], "item_id": [1, 2, 3, 4]})
    assert read_interactions(frame, time="order")["timestamp"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "key",
    [
        [5, 9, 5, 1],
        [0.5, 0.9, 0.5, 0.1],
        ["2024-01-05", "2024-01-09", "2024-01-05", "2024-01-01"],
        pd.to_datetime(["2024-01-05", "2024-01-09", "2024-01-05", "2024-01-01"]),
    ],
    ids=["int", "float", "text", "datetime"],
)
def test_order_sorts_within_a_user_by_the_timestamp_then_by_row(key: object) -> None:
    frame = pd.DataFrame({"user_id": ["a"] * 4, "item_id": [1, 2, 3, 4], "timestamp": key})
    out = read_interactions(frame, time="order")
    assert out["item_id"].tolist() == [1, 2, 3, 4]
    assert out["timestamp"].tolist() == [1, 3, 2, 0]


def test_order_places_count_after_bad_rows_are_left_out() -> None:
    frame = log(user_id=["a", "a", "a"], timestamp=[1, None, 3])
    with pytest.warns(DataWarning, match="a null timestamp"):
        out = read_interactions(frame, time="order", bad_rows="drop")
    assert out["timestamp"].tolist() == [0, 1]


def test_good_rows_raise_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_interactions(log(timestamp=["01/05/2024", "02/05/2024", "03/05/2024"]), bad_rows="drop")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="time must be 'timestamp' or 'order', got 'orders'"):
        read_interactions(log(), time="orders")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="bad_rows must be 'error' or 'drop', got 'skip'"):
        read_interactions(log(), bad_rows="skip")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unit must be one of s, ms, us, ns, got 'sec'"):
        read_interactions(log(), unit="sec")  # type: ignore[arg-type]
