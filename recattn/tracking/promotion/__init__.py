"""Which version of a registered model is the champion, by evidence."""

from __future__ import annotations

from recattn.tracking.promotion.decision import Check, Decision
from recattn.tracking.promotion.gate import promote
from recattn.tracking.promotion.rollback import Rollback, rollback
from recattn.tracking.promotion.rules import Guards, Rules

__all__ = ["Check", "Decision", "Guards", "Rollback", "Rules", "promote", "rollback"]
