"""Pages to look at: self-contained HTML, everything escaped."""

from recattn.pages.explanation import Limits, explanation_page

__all__ = ["Limits", "explanation_page"]
