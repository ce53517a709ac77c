"""The protocols: how a log is cut, what is asked, what a request may see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

import recattn as ra
from pipelines.benchmark.datasets import Data
from recattn.config import Ties
from recattn.dataset import HistoryStore, Requests, make_requests
from recattn.dataset.split import Part
from recattn.dataset.targets import Target
from recattn.errors import ConfigError, nearest
from recattn.schema import columns as c


@dataclass(frozen=True)
class Protocol:
    """One way to judge: every model of a table has the same."""

    name: str
    cut: Literal["time", "last"]  # a global time split (q = 0.9, validation by time too), or each user's last two
    target: Target
    ties: Ties

    @property
    def legacy(self) -> bool:
        """Leaves what other users did later in train: for comparison with published figures only."""
        return self.cut == "last"

    @property
    def refits(self) -> bool:
        """Whether models are fitted again on train and validation before test.

        After a cut in time they are: else what was learned would be as old as validation is long. By `loo` they are
        not, as in the published rows of that protocol.
        """
        return self.cut == "time"

    def fits(self, data: Data) -> bool:
        """Whether the data can be cut this way: an order has no time split."""
        return self.cut == "last" or data.time == "timestamp"

    def split(self, data: Data) -> ra.Split:
        """The log in train, validation, test."""
        if self.cut == "last":
            return ra.leave_last_out(data.log, time=data.time, ties=self.ties)
        return ra.split_by_time(data.log, q=0.9, ties=self.ties)


PROTOCOLS = {
    one.name: one
    for one in (
        Protocol("loo", "last", "last", "order"),
        Protocol("gts-last", "time", "last", "exclude"),
        Protocol("gts-successive", "time", "successive", "exclude"),
        Protocol("gts-last-ties-order", "time", "last", "order"),
        Protocol("gts-successive-ties-order", "time", "successive", "order"),
    )
}


def protocol(name: str) -> Protocol:
    """The protocol of that name; ConfigError for an unknown one."""
    if name not in PROTOCOLS:
        raise ConfigError(f"no protocol {name!r}.{nearest(name, PROTOCOLS)} There are: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


@dataclass(frozen=True, eq=False)
class Asked:
    """The requests of one part, with what each may see and what it asks for."""

    requests: pd.DataFrame
    truth: pd.DataFrame
    history: pd.DataFrame
    bound: Requests  # the requests over a store of the history
    store: HistoryStore
    cold: pd.Series  # bool by request_id: none of its unseen targets occurs in what its models are fitted on
    users: pd.Series  # int32 by request_id: the user's place in the log

    @cached_property
    def lengths(self) -> pd.Series:
        """Interactions each request may see, int64 by request_id."""
        return pd.Series(self.bound.lengths, index=self.bound.request_ids)


@dataclass(frozen=True, eq=False)
class Task:
    """A data set cut by a protocol. What is asked of test is made only when it is asked for."""

    data: Data
    protocol: Protocol

    @cached_property
    def split(self) -> ra.Split:
        return self.protocol.split(self.data)

    def fitted_on(self, part: Part) -> pd.DataFrame:
        """What models judged on `part` are fitted on: train; before test, where the protocol refits, validation too."""
        return self._both if part == "test" and self.protocol.refits else self.split.train

    def catalog(self, part: Part) -> pd.Index:
        """The items of what models are fitted on."""
        return pd.Index(self.fitted_on(part)[c.ITEM].unique())

    def asked(self, part: Part) -> Asked:
        """The requests of `valid` or `test`, made once."""
        if part not in self._asked:
            self._asked[part] = self._ask(part)
        return self._asked[part]

    @cached_property
    def _asked(self) -> dict[str, Asked]:
        return {}

    @cached_property
    def _both(self) -> pd.DataFrame:
        from recattn.training.prepare import joined  # brings Lightning, which tables do without

        order = ra.ModelConfig(time=self.data.time, ties=self.protocol.ties)
        return joined(self.split.train, self.split.valid, order)

    def _ask(self, part: Part) -> Asked:
        split, target = self.split, self.protocol.target
        requests, truth, history = split.requests(part, target), split.truth(part, target), split.history(part)
        store = HistoryStore.from_frame(history, ra.Vocabulary.from_values(c.ITEM, split.log[c.ITEM]), time=split.time)
        place = pd.Index(split.log[c.USER].unique()).get_indexer(pd.Index(requests[c.USER]))
        fresh = truth[~truth[c.SEEN]]
        known = fresh[c.ITEM].isin(self.catalog(part))
        return Asked(
            requests=requests,
            truth=truth,
            history=history,
            bound=make_requests(store, requests, ties=split.ties),
            store=store,
            cold=~known.groupby(fresh[c.REQUEST]).any(),
            users=pd.Series(place.astype(np.int32), index=requests[c.REQUEST]),
        )

    def cold_share(self, part: Part) -> float:
        """Share of the targets that no model of the part was fitted on, among those no user has seen."""
        truth = self.asked(part).truth
        judged = truth[~truth[c.SEEN]]
        return float((~judged[c.ITEM].isin(self.catalog(part))).mean())
