"""One request of a page: its history, its heat map, its reasons in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

REASONS = 3
OPEN = 24  # interactions that are listed without asking
NAMED = 10  # unknown items that are named
NOTHING = 5e-4  # a change that three digits show as none


@dataclass(frozen=True)
class Interaction:
    """A past interaction: its number among all the request sees, from 1."""

    number: int
    title: str
    moment: str | None


@dataclass(frozen=True, eq=False)
class Candidate:
    """A candidate, and how much its score loses by the masking of each interaction."""

    title: str
    score: float
    changes: np.ndarray  # float [n], in the order of the history


@dataclass(frozen=True, eq=False)
class Section:
    """All that is said of one request."""

    user: str
    request: str | None
    moment: str | None
    history: Sequence[Interaction]
    candidates: Sequence[Candidate]  # best first
    columns: np.ndarray  # places of the history that the heat map shows, ascending
    left_out: int  # candidates with a score that are not shown
    unknown: Sequence[str]  # candidates without one

    def html(self) -> str:
        """The section as HTML."""
        name = f"User {escape(self.user)}"
        name += "" if self.request is None else f" <small>request {escape(self.request)}</small>"
        name += "" if self.moment is None else f" <small>{escape(self.moment)} UTC</small>"
        parts = [f"<section><h2>{name}</h2>", self._past(), self._heat_map(), self._reasons(), self._unknown()]
        return "\n".join(part for part in [*parts, "</section>"] if part)

    def _past(self) -> str:
        if not self.candidates:
            return "<p class=note>The model knows none of the candidates: there is no score to explain.</p>"
        if not self.history:
            return (
                "<p class=note>No history: the scores are what the model says of anybody it has seen nothing of. "
                "No past interaction explains them.</p>"
            )
        lines = [
            f"<li value={one.number}>{escape(one.title)}{f' <time>{escape(one.moment)}</time>' if one.moment else ''}"
            for one in self.history
        ]
        before = self.history[0].number - 1
        note = f" (the latest; the {before:,} before them are out of the model's sight)" if before else ""
        summary = f"History: {plural(len(lines), 'interaction')}, oldest first{note}"
        state = " open" if len(lines) <= OPEN else ""
        return f"<details{state}><summary>{summary}</summary><ol>{''.join(lines)}</ol></details>"

    def _heat_map(self) -> str:
        if not self.candidates or not self.history:
            return self._scores()
        shown = [self.history[place] for place in self.columns]
        grid = np.array([one.changes[self.columns] for one in self.candidates])
        largest = max(float(np.abs(grid).max()), NOTHING)
        heads = "".join(
            f'<th scope=col title="{escape(name_of(one))}"><span>{escape(one.title)}</span><b>{one.number}</b></th>'
            for one in shown
        )
        rows = [
            f'<tr><th scope=row><span title="{escape(one.title)}">{escape(one.title)}</span>'
            f"<b>{number(one.score)}</b></th>"
            + "".join(cell(value, largest, one, past) for value, past in zip(values, shown, strict=True))
            + "</tr>"
            for one, values in zip(self.candidates, grid, strict=True)
        ]
        legend = (
            f"<p class=legend><span>{number(-largest)}</span><i class=ramp></i>"
            f"<span>{number(largest, plus=True)}</span> <span>what the score owes to the interaction: "
            "blue cells would be lower without it, orange ones higher"
            "</span></p>"
        )
        return (
            f"<h3>What each interaction did to each score</h3>{self._left_out()}"
            f"<div class=map><table><thead><tr><th scope=col class=corner>candidate, score</th>{heads}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table></div>{legend}"
        )

    def _scores(self) -> str:
        if not self.candidates:
            return ""
        rows = [
            f"<tr><th scope=row>{escape(one.title)}</th><td class=score>{number(one.score)}</td></tr>"
            for one in self.candidates
        ]
        head = "<thead><tr><th scope=col>candidate</th><th scope=col class=score>score</th></tr></thead>"
        return f"{self._left_out()}<table class=plain>{head}<tbody>{''.join(rows)}</tbody></table>"

    def _left_out(self) -> str:
        notes = []
        if self.left_out:
            best = plural(len(self.candidates), "candidate")
            notes.append(f"The {best} of the highest score; {self.left_out:,} more left out.")
        hidden = len(self.history) - len(self.columns)
        if hidden:
            notes.append(
                f"The {plural(len(self.columns), 'interaction')} that matter most for them, in order; {hidden:,} more "
                "left out, whose changes are smaller."
            )
        return f"<p class=note>{' '.join(notes)}</p>" if notes else ""

    def _reasons(self) -> str:
        if not self.candidates or not self.history:
            return ""
        lines = [f"<li><b>{escape(one.title)}</b> {self._reason(one)}" for one in self.candidates]
        return f"<h3>In words</h3><ol class=reasons>{''.join(lines)}</ol>"

    def _reason(self, candidate: Candidate) -> str:
        sizes = np.abs(candidate.changes)
        latest_first = np.arange(len(sizes))[::-1]
        order = latest_first[np.argsort(-sizes[latest_first], kind="stable")][:REASONS]
        found = [self._without(place, candidate.changes[place]) for place in order if sizes[place] >= NOTHING]
        score = f"has {number(candidate.score)}"
        return f"{score}; without {', '.join(found)}." if found else f"{score}; no single interaction changes it."

    def _without(self, place: int, change: float) -> str:
        past, side = self.history[place], "lower" if change > 0 else "higher"
        return f"<em>{escape(past.title)}</em> <small>({past.number})</small> {number(abs(change))} {side}"

    def _unknown(self) -> str:
        if not self.unknown:
            return ""
        named = ", ".join(escape(item) for item in self.unknown[:NAMED])
        more = f" and {len(self.unknown) - NAMED:,} more" if len(self.unknown) > NAMED else ""
        verb = "has" if len(self.unknown) == 1 else "have"
        return (
            f"<p class=note>{plural(len(self.unknown), 'candidate')} the model does not know {verb} no score: "
            f"{named}{more}.</p>"
        )


def cell(value: float, largest: float, candidate: Candidate, past: Interaction) -> str:
    """A cell coloured by side and root of the size of the change; the strongest have their sign written."""
    share = min(abs(value) / largest, 1.0) ** 0.5  # small changes are to be seen beside large ones
    side = "up" if value > 0 else "down"
    sign = ("+" if value > 0 else "−") if share > 0.7 else ""
    words = f"{candidate.title} without {name_of(past)}: {number(-value, plus=True)}"
    return f'<td class={side} style="--a:{share:.2f}" title="{escape(words)}">{sign}</td>'


def name_of(past: Interaction) -> str:
    """Number, title and moment in one line."""
    return f"{past.number}. {past.title}" + (f" ({past.moment})" if past.moment else "")


def number(value: float, *, plus: bool = False) -> str:
    """Three digits after the point, with a real minus."""
    text = f"{value:+.3f}" if plus else f"{value:.3f}"
    return text.replace("-", "−")


def plural(count: int, word: str) -> str:
    """`1 word`, `1,234 words`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
