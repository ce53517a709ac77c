"""From frames to carriers in numpy."""

from recattn.dataset.clean import CleanConfig, add_sessions, clean, drop_duplicates, drop_repeats, k_core
from recattn.dataset.history import HistoryStore
from recattn.dataset.protocols import leave_last_out, split_by_time
from recattn.dataset.requests import Requests, make_requests, make_slate_requests
from recattn.dataset.split import Split
from recattn.dataset.vocabulary import Vocabulary
from recattn.dataset.windows import Windows, make_windows

__all__ = [
    "CleanConfig",
    "HistoryStore",
    "Requests",
    "Split",
    "Vocabulary",
    "Windows",
    "add_sessions",
    "clean",
    "drop_duplicates",
    "drop_repeats",
    "k_core",
    "leave_last_out",
    "make_requests",
    "make_slate_requests",
    "make_windows",
    "split_by_time",
]
