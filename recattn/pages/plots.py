"""Plots of a page as HTML and SVG: intervals on a scale, histograms, curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 190  # of an SVG, which scales with its panel
_LEFT, _BELOW, _ABOVE = 46, 22, 8


@dataclass(frozen=True)
class Scale:
    """Values to percent of a track's width."""

    low: float
    high: float

    @classmethod
    def around_zero(cls, values: Iterable[float]) -> Scale:
        """A scale with 0 in it and a little room on both sides."""
        known = [value for value in values if math.isfinite(value)]
        low, high = min([0.0, *known]), max([0.0, *known])
        room = (high - low) * 0.06 or 1.0
        return cls(low - room, high + room)

    def percent(self, value: float) -> float:
        """0 to 100; beyond the ends, the end."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0) * 100

    def ticks(self, most: int = 5) -> list[float]:
        """Round numbers inside, 0 among them."""
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= most)
        return [number * step for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]

    def axis(self) -> str:
        """The ticks as a line of text under tracks."""
        marks = "".join(f'<span style="left:{self.percent(mark):.2f}%">{tick(mark)}</span>' for mark in self.ticks())
        return f"<div class=scale aria-hidden=true><span></span>{marks}<span></span></div>"


def track(scale: Scale, value: float, low: float, high: float, *, colour: str, solid: bool, title: str) -> str:
    """A point with its interval and the line at zero; hollow where nothing is shown."""
    left, right = scale.percent(low), scale.percent(high)
    dot = "dot" if solid else "dot hollow"
    return (
        f'<div class=track style="--c:{colour}" title="{escape(title)}"><i style="left:{scale.percent(0):.2f}%"></i>'
        f'<span class=bar style="left:{left:.2f}%;width:{right - left:.2f}%"></span>'
        f'<span class="{dot}" style="left:{scale.percent(value):.2f}%"></span></div>'
    )


def histogram(counts: Sequence[int], edges: Sequence[float], label: str) -> str:
    """Bars by the root of their height, green above zero and red below; a rare large change is to be seen, too."""
    largest = max([1.0, *(math.sqrt(count) for count in counts)])
    span = edges[-1] - edges[0]
    plot = WIDTH - 8
    bars = []
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        if not count:
            continue
        height = math.sqrt(count) / largest * (HEIGHT - _BELOW - _ABOVE)
        left = 4 + (low - edges[0]) / span * plot
        colour = "--good" if low + high > 0 else "--bad"
        bars.append(
            f'<rect x="{left:.1f}" y="{HEIGHT - _BELOW - height:.1f}" width="{(high - low) / span * plot - 1:.1f}" '
            f'height="{height:.1f}" fill="rgb(var({colour}))"><title>{low:+.3f} to {high:+.3f}: {count:,}</title>'
            "</rect>"
        )
    base = HEIGHT - _BELOW
    ticks = "".join(
        f'<text x="{4 + share * plot:.0f}" y="{HEIGHT - 6}" text-anchor="{anchor}">'
        f"{tick(edges[0] + share * span)}</text>"
        for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role=img aria-label="{escape(label)}">{"".join(bars)}'
        f'<path class=axis d="M4 {base}H{WIDTH - 4}"/><path class=zero d="M{WIDTH / 2} {_ABOVE}V{base}"/>{ticks}</svg>'
    )


def curves(lines: Mapping[str, Mapping[int, float]], colours: Mapping[str, str], label: str) -> str:
    """One line a contender over epochs, its end marked."""
    points = {name: sorted((int(epoch), value) for epoch, value in line.items()) for name, line in lines.items()}
    epochs = [epoch for line in points.values() for epoch, _ in line]
    values = [value for line in points.values() for _, value in line]
    first, last, low, high = min(epochs), max(epochs), min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room

    def x(epoch: float) -> float:
        return _LEFT + (epoch - first) / max(last - first, 1) * (WIDTH - _LEFT - 10)

    def y(value: float) -> float:
        return _ABOVE + (high - value) / (high - low) * (HEIGHT - _BELOW - _ABOVE)

    parts = []
    for value in Scale(low, high).ticks(4):
        parts.append(
            f'<path class=axis d="M{_LEFT} {y(value):.1f}H{WIDTH - 4}"/>'
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    for name, line in points.items():
        path = "L".join(f"{x(epoch):.1f} {y(value):.1f}" for epoch, value in line)
        end = f'<circle cx="{x(line[-1][0]):.1f}" cy="{y(line[-1][1]):.1f}" r="3.5" fill="{colours[name]}"/>'
        parts.append(
            f'<g><title>{escape(name)}: {line[-1][1]:.4g} at epoch {line[-1][0]}</title><path d="M{path}" fill="none" '
            f'stroke="{colours[name]}" stroke-width="2" stroke-linejoin="round"/>{end}</g>'
        )
    ends = "" if first == last else f'<text x="{WIDTH - 10}" y="{HEIGHT - 5}" text-anchor="end">{last}</text>'
    parts.append(f'<text x="{_LEFT}" y="{HEIGHT - 5}">epoch {first}</text>{ends}')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role=img aria-label="{escape(label)}">{"".join(parts)}</svg>'


def signed(value: float, digits: int = 4) -> str:
    """A difference with its sign and a real minus; 0 has no sign."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def tick(value: float) -> str:
    """A mark of a scale: signed, with no more digits than it needs."""
    return f"{value:+.4g}".replace("-", "−") if abs(value) > 1e-12 else "0"
