"""The doors: what a frame must look like."""

from __future__ import annotations

from recattn.schema.frames import read_items, read_requests, read_slate, read_users
from recattn.schema.ids import check_ids, check_same_kind
from recattn.schema.interactions import check_time, places, read_interactions
from recattn.schema.names import require
from recattn.schema.read import read_frame
from recattn.schema.recommendations import check_k, check_recommendations
from recattn.schema.rows import DataWarning
from recattn.schema.times import moment, read_times, span

__all__ = [
    "DataWarning",
    "check_ids",
    "check_k",
    "check_recommendations",
    "check_same_kind",
    "check_time",
    "moment",
    "places",
    "read_frame",
    "read_interactions",
    "read_items",
    "read_requests",
    "read_slate",
    "read_times",
    "read_users",
    "require",
    "span",
]
