"""From frames to carriers in numpy."""

from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, make_requests, make_slate_requests
from recattn.dataset.vocabulary import Vocabulary
from recattn.dataset.windows import Windows, make_windows

__all__ = [
    "HistoryStore",
    "Requests",
    "Vocabulary",
    "Windows",
    "make_requests",
    "make_slate_requests",
    "make_windows",
]
