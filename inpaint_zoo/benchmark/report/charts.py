"""Plots as inline SVG without a plotting library: a few kilobytes each, styled by the page's CSS, and deterministic.

Each plot is drawn twice, for a wide and a narrow screen, because text in a scaled SVG would shrink with it; the page
shows one of the two. A method has the same color and marker in all plots: the classes `c0`..`c5` set `--c` in the style
sheet, and the marker's shape distinguishes methods without color.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from inpaint_zoo.benchmark.report.typography import thousands

__all__ = ["SIZES", "Frame", "Mark", "Series", "marker", "scatter", "style_class", "swatch", "trend"]

COLORS = 6  # c0..c5 in style.css
SIZES = {"wide": (760, 400), "narrow": (343, 320)}
_DASHES = ("", "7 4", "2 4")  # solid line, then dashed from the 7th and dotted from the 13th method on
_LETTER = 7.0  # approximate width of a letter in pixels; the reader's font is unknown
_SHAPES: tuple[Callable[[float], str], ...] = (
    lambda r: f"M{-r:g} 0a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0z",  # circle
    lambda r: f"M{-r * 0.9:g} {-r * 0.9:g}h{r * 1.8:g}v{r * 1.8:g}h{-r * 1.8:g}z",  # square
    lambda r: f"M0 {-r * 1.2:g}L{r * 1.15:g} {r * 0.9:g}H{-r * 1.15:g}z",  # triangle
    lambda r: f"M0 {-r * 1.3:g}L{r * 1.3:g} 0L0 {r * 1.3:g}L{-r * 1.3:g} 0z",  # diamond
    lambda r: f"M0 {r * 1.2:g}L{r * 1.15:g} {-r * 0.9:g}H{-r * 1.15:g}z",  # triangle, down
    lambda r: (
        f"M{-r * 0.4:g} {-r:g}h{r * 0.8:g}v{r * 0.6:g}h{r * 0.6:g}v{r * 0.8:g}h{-r * 0.6:g}v{r * 0.6:g}"
        f"h{-r * 0.8:g}v{-r * 0.6:g}h{-r * 0.6:g}v{-r * 0.8:g}h{r * 0.6:g}z"
    ),  # cross
)


@dataclass(frozen=True)
class Series:
    """One method: `dots` are single images, `line` the trend through them, as (x, y) pairs. `index` sets the style."""

    name: str
    index: int
    dots: Sequence[tuple[float, float]]
    line: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Mark:
    """One method as one labeled point."""

    name: str
    index: int
    x: float
    y: float


@dataclass(frozen=True)
class Frame:
    """Axes in pixels. `log` makes the x axis logarithmic."""

    width: int
    height: int
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    log: bool = False
    left: int = 52
    right: int = 12
    top: int = 12
    bottom: int = 44

    def x(self, value: float) -> float:
        """Return the horizontal pixel position of a value."""
        low, high = self.x_range
        at = math.log(value / low) / math.log(high / low) if self.log else (value - low) / (high - low)
        return round(self.left + at * (self.width - self.left - self.right), 1)

    def y(self, value: float) -> float:
        """Return the vertical pixel position of a value."""
        low, high = self.y_range
        return round(
            self.height - self.bottom - (value - low) / (high - low) * (self.height - self.top - self.bottom), 1
        )


def style_class(index: int) -> str:
    """Return the CSS class of the method at this position in the suite."""
    return f"c{index % COLORS}"


def marker(index: int, radius: float) -> str:
    """Return the path data of a method's marker around (0, 0); with its color it is unique for 36 methods."""
    return _SHAPES[(index + index // COLORS) % len(_SHAPES)](radius)


def swatch(index: int) -> Markup:
    """Return the marker of a method as a small SVG for legends and tables."""
    path = f'<path d="{marker(index, 4.5)}"/>'
    return Markup(f'<svg class="swatch {style_class(index)}" viewBox="-7 -7 14 14" aria-hidden="true">{path}</svg>')


def trend(series: Sequence[Series], size: str, *, x_label: str, y_label: str, title: str, ratio: bool = True) -> Markup:
    """Draw dots of single images and the trend line of each method.

    Args:
        series: The methods.
        size: Name in SIZES.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        title: Text for readers who do not see the plot.
        ratio: Whether x is the hole ratio, at most 0 to 1, which is shown in percent.
    """
    points = [point for one in series for point in (*one.dots, *one.line)]
    width, height = SIZES[size]
    x_high = max(x for x, _ in points) * 1.04 or 1.0
    x_high = min(1.0, x_high) if ratio else x_high
    y_range = _padded([y for _, y in points])
    ticks = _ticks(*y_range, 5)
    letters = max((len(_number(tick, ticks)) for tick in ticks), default=0)
    left = max(Frame.left, round(24 + _LETTER * letters))  # room for long numbers beside the label of the axis
    frame = Frame(width, height, (0.0, x_high), y_range, left=left)
    parts = [_axes(frame, x_label, y_label, percent=ratio)]
    for one in series:
        dots = "".join(f"M{frame.x(x):g} {frame.y(y):g}h0" for x, y in one.dots)
        path = " ".join(f"{frame.x(x):g},{frame.y(y):g}" for x, y in one.line)
        dash = _DASHES[one.index // COLORS % len(_DASHES)]
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(
            f'<g class="series {style_class(one.index)}" data-method="{one.index}"><path class="dots" d="{dots}"/>'
            f'<polyline class="line" points="{path}"{dashes}/>'
            + "".join(_marker_at(frame, one.index, x, y, 4.5) for x, y in one.line)
            + f"<title>{escape(one.name)}</title></g>"
        )
    return _svg(frame, size, title, parts)


def scatter(
    marks: Sequence[Mark], size: str, *, x_label: str, y_label: str, title: str, higher_is_better: bool
) -> Markup:
    """Draw one labeled point per method on a logarithmic x axis, and a line through the Pareto-optimal methods."""
    width, height = SIZES[size]
    xs = [mark.x for mark in marks]
    frame = Frame(width, height, (min(xs) / 1.6, max(xs) * 1.6), _padded([mark.y for mark in marks]), log=True)
    parts = [_axes(frame, x_label, y_label)]
    front = _front(marks, higher_is_better)
    if len(front) > 1:
        path = " ".join(f"{frame.x(mark.x):g},{frame.y(mark.y):g}" for mark in front)
        parts.append(f'<polyline class="front" points="{path}"/>')
    for mark, label in zip(marks, _labels(frame, marks), strict=True):
        parts.append(
            f'<g class="series {style_class(mark.index)}" data-method="{mark.index}">'
            f"{_marker_at(frame, mark.index, mark.x, mark.y, 6)}{label}</g>"
        )
    return _svg(frame, size, title, parts)


def _svg(frame: Frame, size: str, title: str, parts: Iterable[str]) -> Markup:
    return Markup(
        f'<svg class="chart {size}" viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _marker_at(frame: Frame, index: int, x: float, y: float, radius: float) -> str:
    return f'<path class="mark" transform="translate({frame.x(x):g} {frame.y(y):g})" d="{marker(index, radius)}"/>'


def _axes(frame: Frame, x_label: str, y_label: str, *, percent: bool = False) -> str:
    base, right = frame.height - frame.bottom, frame.width - frame.right
    parts = []
    y_ticks = _ticks(*frame.y_range, 5)
    for value in y_ticks:
        y = frame.y(value)
        parts.append(f'<path class="grid" d="M{frame.left} {y:g}H{right}"/>')
        parts.append(f'<text x="{frame.left - 8}" y="{y + 4:g}" text-anchor="end">{_number(value, y_ticks)}</text>')
    x_ticks = _log_ticks(*frame.x_range) if frame.log else _ticks(*frame.x_range, 5 if frame.width < 500 else 8)
    for value in x_ticks:
        text = f"{value * 100:.0f} %" if percent else _number(value, [value])
        parts.append(f'<path class="tick" d="M{frame.x(value):g} {base}v5"/>')
        parts.append(f'<text x="{frame.x(value):g}" y="{base + 19}" text-anchor="middle">{text}</text>')
    parts.append(f'<path class="axis" d="M{frame.left} {base}H{right}"/>')
    middle = (frame.left + right) / 2
    parts.append(
        f'<text class="label" x="{middle:g}" y="{frame.height - 6}" text-anchor="middle">{escape(x_label)}</text>'
    )
    place = f"translate(12 {(frame.top + base) / 2:g}) rotate(-90)"
    parts.append(f'<text class="label" transform="{place}" text-anchor="middle">{escape(y_label)}</text>')
    return "".join(parts)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    flat = high - low <= 1e-9 * abs(high)
    pad = (0.05 * abs(high) or 1.0) if flat else 0.06 * (high - low)
    return low - pad, high + pad


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Return about ``count`` round numbers within [low, high]."""
    raw = (high - low) / count
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next(scale * nice for nice in (1, 2, 2.5, 5, 10) if scale * nice >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * n, 12) + 0.0 for n in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Return ticks at 1, 2 and 5 times powers of ten, fewer for wide ranges; only powers of ten above three decades."""
    steps = (1,) if high / low > 1000 else (1, 2, 5) if high / low < 50 else (1, 3)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def _number(value: float, ticks: Sequence[float]) -> str:
    """Format a value with as few decimals as distinguish the ticks."""
    decimals = max((len(f"{abs(tick):.6f}".rstrip("0").split(".")[1]) for tick in ticks), default=0)
    return thousands(value, decimals)


def _front(marks: Sequence[Mark], higher_is_better: bool) -> list[Mark]:
    """Return the methods that no other method beats on both axes, fastest first."""
    front: list[Mark] = []
    for mark in sorted(marks, key=lambda one: (one.x, -one.y if higher_is_better else one.y)):
        if not front or (mark.y > front[-1].y if higher_is_better else mark.y < front[-1].y):
            front.append(mark)
    return front


def _labels(frame: Frame, marks: Sequence[Mark]) -> list[str]:
    """Place names beside the markers, on the side with more room, shifted vertically so that none overlap."""
    taken: list[tuple[float, float, float]] = [(frame.x(m.x) - 8, frame.x(m.x) + 8, frame.y(m.y)) for m in marks]
    placed = {}
    for mark in sorted(marks, key=lambda one: frame.y(one.y)):
        x, y = frame.x(mark.x), frame.y(mark.y)
        room_right, room_left = frame.width - frame.right - x - 11, x - 11 - frame.left
        left = _LETTER * min(len(mark.name), 24) > room_right and room_left > room_right
        letters = min(24, int((room_left if left else room_right) / _LETTER))
        name = mark.name if len(mark.name) <= letters else f"{mark.name[: letters - 1]}…"
        length = _LETTER * len(name)
        start = x - 11 - length if left else x + 11
        shifts = sorted((sign * 4 * n for n in range(40) for sign in (1, -1)), key=abs)
        at = next((y + shift for shift in shifts if _free(start, start + length, y + shift, taken, frame)), y)
        taken.append((start, start + length, at))
        edge, anchor = (x - 11, ' text-anchor="end"') if left else (x + 11, "")
        leader = f'<path class="leader" d="M{x:g} {y:g}L{edge:g} {at:g}"/>' if abs(at - y) > 6 else ""
        placed[mark.name] = f'{leader}<text class="who" x="{edge:g}" y="{at + 4:g}"{anchor}>{escape(name)}</text>'
    return [placed[mark.name] for mark in marks]


def _free(start: float, end: float, y: float, taken: Sequence[tuple[float, float, float]], frame: Frame) -> bool:
    inside = frame.top + 4 <= y <= frame.height - frame.bottom - 6
    return inside and not any(a < end and start < b and abs(y - at) < 14 for a, b, at in taken)
