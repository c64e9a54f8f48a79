"""A small line chart as SVG: two logarithmic axes, labels at the lines' ends, readable on light and dark pages."""

import math
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 820, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 230, 52, 56
LABEL_GAP = 16
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.tick { font-size: 12px; fill: #59636e; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.line { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
.strong { stroke-width: 3.5; }
.dashed { stroke-dasharray: 5 4; }
.name { font-weight: 400; }
.name.strong { font-weight: 700; stroke-width: 0; }
.s0 { stroke: #0969da; } .s1 { stroke: #bc4c00; } .s2 { stroke: #1a7f37; } .s3 { stroke: #8250df; }
.s4 { stroke: #bf3989; } .s5 { stroke: #7d4e00; } .s6 { stroke: #57606a; } .s7 { stroke: #1b7c83; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .tick { fill: #9198a1; } .grid { stroke: #3d444d; }
  .s0 { stroke: #4493f8; } .s1 { stroke: #f0883e; } .s2 { stroke: #3fb950; } .s3 { stroke: #ab7df8; }
  .s4 { stroke: #db61a2; } .s5 { stroke: #d29922; } .s6 { stroke: #8b949e; } .s7 { stroke: #39c5cf; }
}
"""


@dataclass(frozen=True)
class Series:
    """One line: points in the order of x, all values above zero."""

    name: str
    points: list[tuple[float, float]]
    strong: bool = False
    dashed: bool = False


class Axis:
    """A logarithmic scale from data to pixels."""

    def __init__(self, values: list[float], start: float, end: float) -> None:
        self.low, self.high = math.log10(min(values)), math.log10(max(values))
        if self.high - self.low < 0.3:
            self.low, self.high = self.low - 0.3, self.high + 0.3
        self.start, self.end = start, end

    def place(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """1, 2 and 5 of each decade in range; only the ones when that would be many."""
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        steps = (1, 2, 5) if self.high - self.low < 2.5 else (1,)
        found = [step * 10.0**decade for decade in decades for step in steps]
        return [x for x in found if self.low - 1e-9 <= math.log10(x) <= self.high + 1e-9]


def tick_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def grid(x: Axis, y: Axis) -> list[str]:
    lines = []
    for value in y.ticks():
        at = y.place(value)
        lines.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        lines.append(
            f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick_text(value)}</text>'
        )
    for value in x.ticks():
        at = x.place(value)
        lines.append(
            f'<text class="tick" x="{at:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{tick_text(value)}</text>'
        )
    return lines


def spread(wanted: list[float]) -> list[float]:
    """Label positions near the wanted ones that do not overlap."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    places = list(wanted)
    for before, after in pairwise(order):
        places[after] = max(places[after], places[before] + LABEL_GAP)
    over = max(places, default=0) - (HEIGHT - BOTTOM)
    return [place - over for place in places] if over > 0 else places


def lines(series: list[Series], x: Axis, y: Axis) -> list[str]:
    parts = []
    ends = spread([y.place(one.points[-1][1]) for one in series])
    for number, (one, label) in enumerate(zip(series, ends, strict=True)):
        looks = f"s{number % 8}" + " strong" * one.strong + " dashed" * one.dashed
        places = [(x.place(a), y.place(b)) for a, b in one.points]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        last_x, last_y = places[-1]
        parts.append(f'<polyline class="line {looks}" points="{path}"/>')
        parts.append(
            f'<polyline class="line s{number % 8}" stroke-opacity="0.5" '
            f'points="{last_x + 3:.1f},{last_y:.1f} {last_x + 18:.1f},{label:.1f}"/>'
        )
        name_looks = "name strong" if one.strong else "name"
        parts.append(
            f'<text class="{name_looks}" x="{last_x + 22:.1f}" y="{label + 4:.1f}">{escape(one.name)}</text>'
        )
    return parts


def line_chart(title: str, x_name: str, y_name: str, series: list[Series]) -> str:
    """The chart's SVG; every series has at least one point."""
    xs = [a for one in series for a, _ in one.points]
    ys = [b for one in series for _, b in one.points]
    roomy = [*ys, min(ys) * 0.8, max(ys) * 1.25]
    x, y = Axis(xs, LEFT, WIDTH - RIGHT), Axis(roomy, HEIGHT - BOTTOM, TOP)
    middle = (TOP + HEIGHT - BOTTOM) / 2
    upright = f'x="16" y="{middle:.0f}" transform="rotate(-90 16 {middle:.0f})"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<text class="title" x="{LEFT}" y="26">{escape(title)}</text>',
            *grid(x, y),
            *lines(series, x, y),
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_name)}</text>',
            f'<text {upright} text-anchor="middle">{escape(y_name)}</text>',
            "</svg>\n",
        ]
    )
