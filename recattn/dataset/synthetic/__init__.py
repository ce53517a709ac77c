"""Generated worlds whose true preferences are known."""

from __future__ import annotations

from recattn.dataset.synthetic.process import Process, Strengths
from recattn.dataset.synthetic.world import World, make_world

__all__ = ["Process", "Strengths", "World", "make_world"]
