"""A log cut into train, validation, test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from recattn.config import Ties, Time
from recattn.dataset.segments import segment_columns
from recattn.dataset.targets import OrderedLog, Target, Targets
from recattn.errors import ConfigError, nearest
from recattn.schema import columns as c

Part = Literal["valid", "test"]
PARTS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """A log and the part each of its rows belongs to.

    Clean (`recattn.dataset.clean`) and fit on `train` only; what is asked of the other parts stays as it was.
    """

    log: pd.DataFrame  # canonical, every row in the order given
    part: np.ndarray  # int8 [R]: 0 train, 1 valid, 2 test
    valid_from: int | None  # seconds UTC: train < valid_from <= valid < test_from <= test; None: not cut by time
    test_from: int | None
    time: Time
    ties: Ties
    leaks: bool  # whether train holds what other users did after a held-out interaction

    @cached_property
    def train(self) -> pd.DataFrame:
        """The rows to fit on: canonical, in the order given."""
        return self._rows(self.part == 0)

    @cached_property
    def valid(self) -> pd.DataFrame:
        """The held-out rows to choose by: canonical, in the order given."""
        return self._rows(self.part == 1)

    @cached_property
    def test(self) -> pd.DataFrame:
        """The held-out rows to judge by: canonical, in the order given."""
        return self._rows(self.part == 2)

    def history(self, part: Part) -> pd.DataFrame:
        """What to hand as `history=` with the requests of `part`: its rows and all before them, in the order given.

        Rows of the part itself are there because later requests see earlier ones; each request is cut at its own
        moment (`timestamp`, or `position` where ties go by order), so nothing it asks for is seen.
        """
        return self._rows(self.part <= _number(part))

    def requests(self, part: Part, target: Target = "last") -> pd.DataFrame:
        """One row a request of `part`, by user (first appearance in the log), then time.

        Columns: `request_id` 0..X-1, `user_id`, `timestamp` (the moment; absent for `time="order"`), `position` (rows
        of the user's log before the target), then the other columns of the target's row (of the first target, where
        there are several) but not its item, event_type or weight.

        Args:
            part: `valid` or `test`.
            target: `last`: a user's last row in the part. `successive`: each row; with `ties="exclude"` rows of one
                user at one moment share a request. `all`: every row of a user in the part, asked for at the start of
                the part (for `leave_last_out`, at the one row there is).
        """
        return self._ordered.requests_frame(self._targets(part, target))

    def truth(self, part: Part, target: Target = "last") -> pd.DataFrame:
        """What `requests(part, target)` ask for: `request_id`, `user_id`, `item_id`, `seen`, one row an interaction.

        `seen`: the item occurs in that user's log before the request; with `ties="exclude"`, before its moment.
        Where the log has times, `timestamp` tells when each happened.
        """
        targets = self._targets(part, target)
        truth = self._ordered.truth_frame(targets)
        return truth if self.time == "order" else truth.assign(**{c.TIME: self.log[c.TIME].to_numpy()[targets.rows]})

    def segments(self, part: Part, target: Target = "last", *, fitted: pd.DataFrame | None = None) -> pd.DataFrame:
        """What kind of request each of `requests(part, target)` is; for `evaluate(..., segments=)`.

        Args:
            part: `valid` or `test`.
            target: As for `requests`.
            fitted: The interactions the model learned from; None: `train`. Pass those left after `clean`, or train and
                valid together after a refit.

        Returns:
            `request_id`, `user_id`; `history_length` int64, the rows of the user's log the request may see;
            `target_popularity` float64, rows of `fitted` with its target (the mean over distinct targets where there
            are several); `cold` bool, whether a target is not in `fitted`; `popularity`, text: `cold`, else `tail`,
            `mid` or `head`, which hold a third of `fitted` each (see `popularity_bounds`).
        """
        truth, visible = self.truth(part, target), self._targets(part, target).visible
        return segment_columns(truth, visible, (self.train if fitted is None else fitted)[c.ITEM])

    def summary(self) -> pd.DataFrame:
        """Counts by part (index train, valid, test).

        `rows`; `users` (requests with targets `last` or `all`); `requests` (with target `successive`); `items`;
        `new_users` and `cold_items`, which train does not have; `cold_rows` on cold items, and `cold_share` of the
        rows; `leaks`, whether the future of other users is in train.
        """
        users, items = self._ordered.users, pd.factorize(self.log[c.ITEM])[0]
        in_train = self.part == 0
        known_user = np.bincount(users[in_train], minlength=users.max() + 1) > 0
        known_item = np.bincount(items[in_train], minlength=items.max() + 1) > 0
        lines = []
        for number, name in enumerate(PARTS):
            rows = self.part == number
            here_users, here_items = pd.unique(users[rows]), pd.unique(items[rows])
            cold = int((~known_item[items[rows]]).sum())
            lines.append(
                {
                    "rows": int(rows.sum()),
                    "users": len(here_users),
                    "requests": len(self._targets(name, "successive").heads) if number else 0,
                    "items": len(here_items),
                    "new_users": int((~known_user[here_users]).sum()),
                    "cold_items": int((~known_item[here_items]).sum()),
                    "cold_rows": cold,
                    "cold_share": cold / int(rows.sum()),
                    "leaks": self.leaks and number > 0,
                }
            )
        return pd.DataFrame(lines, index=pd.Index(PARTS, name="part"))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={int((self.part == number).sum()):,}" for number, name in enumerate(PARTS))
        cuts = (
            f"valid_from={day(self.valid_from)}, test_from={day(self.test_from)}, "
            if self.valid_from is not None
            else ""
        )
        return f"Split({sizes} rows, {cuts}time={self.time!r}, ties={self.ties!r}, leaks={self.leaks})"

    @cached_property
    def _ordered(self) -> OrderedLog:
        return OrderedLog(self.log)

    def _rows(self, mask: np.ndarray) -> pd.DataFrame:
        return self.log.loc[mask].reset_index(drop=True)

    def _targets(self, part: str, target: Target) -> Targets:
        number = _number(part)
        start = self.valid_from if number == 1 else self.test_from
        return self._ordered.targets(self.part == number, target, time=self.time, ties=self.ties, start=start)


def _number(part: str) -> int:
    if part not in PARTS[1:]:
        raise ConfigError(f"part must be 'valid' or 'test', got {part!r}.{nearest(str(part), PARTS[1:])}")
    return PARTS.index(part)


def day(seconds: int | None) -> str:
    """A moment for a message; None is open."""
    return "open" if seconds is None else pd.Timestamp(seconds, unit="s").isoformat(sep=" ")
