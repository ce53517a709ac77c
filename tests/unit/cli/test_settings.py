from __future__ import annotations

import pandas as pd

from recattn.cli.settings import Columns, SplitSettings

LOG = pd.DataFrame({"user_id": ["u", "v"] * 6, "item_id": list("abcdefghijkl"), "timestamp": range(0, 1200, 100)})


def test_columns_map_only_what_was_renamed() -> None:
    assert Columns(timestamp="ts").mapping() == {"timestamp": "ts"}


def test_a_split_by_time_takes_its_dates_or_shares() -> None:
    cut = SplitSettings(valid_from=600, test_from="1970-01-01 00:15:00").cut(LOG, time="timestamp", ties="exclude")
    assert (cut.valid_from, cut.test_from, cut.leaks) == (600, 900, False)
    assert SplitSettings(q=0.5).cut(LOG, time="timestamp", ties="exclude").test_from == 600


def test_leave_last_out_does_not_look_at_dates() -> None:
    settings = SplitSettings(kind="leave_last_out", valid_from=600, min_history=2)
    cut = settings.cut(LOG, time="timestamp", ties="order")
    assert (len(cut.test), cut.leaks, cut.ties) == (2, True, "order")
