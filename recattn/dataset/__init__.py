"""From frames to carriers in numpy."""

from recattn.dataset.history import HistoryStore
from recattn.dataset.protocols import leave_last_out, split_by_time
from recattn.dataset.requests import Requests, make_requests, make_slate_requests
from recattn.dataset.split import Split
from recattn.dataset.vocabulary import Vocabulary
from recattn.dataset.windows import Windows, make_windows

__all__ = [
    "HistoryStore",
    "Requests",
    "Split",
    "Vocabulary",
    "Windows",
    "leave_last_out",
    "make_requests",
    "make_slate_requests",
    "make_windows",
    "split_by_time",
]
