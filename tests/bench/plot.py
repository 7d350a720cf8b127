"""The plot: what a login costs by connections and by sessions, as SVG for light and dark pages."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from tests.bench.figures import CPU, WAIT, Row

WIDTH, HEIGHT = 380, 250  # of a panel, with its words
LEFT, TOP, RIGHT, BOTTOM = 56, 34, 30, 44  # what its words need
LINES = {
    "cold": "cold login",
    "repeat": "repeat login",
    "floor": "floor",
    "dovecot-cold": "Dovecot, cold",
    "dovecot-repeat": "Dovecot, cached",
}
DASHED = {"floor": "2 3", "dovecot-cold": "6 3", "dovecot-repeat": "6 3"}
COLOURS = {
    "cold": "#2f81f7",
    "repeat": "#2da44e",
    "floor": "#8b949e",
    "dovecot-cold": "#e8710a",
    "dovecot-repeat": "#bf3989",
}
STYLE = """\
text{font:11px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;fill:#1f2328}
.grid{stroke:#8b949e;stroke-opacity:.25}.line{fill:none;stroke-width:1.8}
@media(prefers-color-scheme:dark){text{fill:#9198a1}.title{fill:#f0f6fc}}"""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the four: lines over a logarithmic axis."""

    title: str
    along: str
    ticks: Sequence[float]  # of the axis below; 0 stands at its begin
    lines: Mapping[str, Points]
    is_logarithmic: bool = True  # upwards; else from nothing on

    def levels(self) -> list[float]:
        """Return where the rules across are, from the lowest to the highest."""
        values = [value for points in self.lines.values() for _, value in points]
        if not self.is_logarithmic:
            step = 10 ** math.floor(math.log10(max(values)))
            step = step / 2 if max(values) < 2.5 * step else step
            return [step * n for n in range(math.ceil(max(values) * 1.05 / step) + 1)]
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) * 1.01))
        return [10.0**n for n in range(low, high + 1)]

    def part(self, value: float) -> float:
        """Return how far up a value stands, from 0 to 1."""
        low, *_, high = self.levels()
        if not self.is_logarithmic:
            return value / high
        return math.log10(value / low) / math.log10(high / low)

    def along_part(self, at: float) -> float:
        """Return how far to the right it stands, from 0 to 1."""
        first = min((tick for tick in self.ticks if tick), default=1)
        begin = math.log10(first / 10 if 0 in self.ticks else first)
        end = math.log10(max(self.ticks))
        return (math.log10(at) - begin) / (end - begin or 1) if at else 0.0


def plot(rows: Sequence[Row]) -> str:
    """Return the SVG of what was measured of it."""
    panels = [each for each in _panels(rows) if each.lines]
    height = HEIGHT * math.ceil(len(panels) / 2) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {height}" role="img" '
        'aria-label="CPU time and wait of a login, by connections and by sessions">',
        f"<style>{STYLE}</style>",
    ]
    for number, panel in enumerate(panels):
        across, down = number % 2 * WIDTH, number // 2 * HEIGHT
        parts.append(f'<g transform="translate({across},{down})">{_drawn(panel)}</g>')
    parts.append(f'<g transform="translate(0,{height - 18})">{_legend(panels)}</g></svg>')
    return "\n".join(parts) + "\n"


def _panels(rows: Sequence[Row]) -> list[Panel]:
    by = {row.key: row.figures for row in rows}

    def lines(figure: str, names: Mapping[str, str]) -> dict[str, Points]:
        found: dict[str, Points] = {}
        for line, prefix in names.items():
            keys = {key: float(key.rpartition(".")[2]) for key in by if _is_of(key, prefix)}
            points = sorted((at, by[key][figure]) for key, at in keys.items())
            if points:
                found[line] = points
        return found

    connections = {name: name for name in LINES}
    sessions = {"cold": "sessions"}
    across = sorted({at for points in lines(CPU, connections).values() for at, _ in points})
    grown = sorted({at for points in lines(CPU, sessions).values() for at, _ in points})
    return [
        Panel("CPU time a login, µs", "connections", across, lines(CPU, connections)),
        Panel("wait, p50, ms", "connections", across, lines(WAIT, connections)),
        Panel(
            "CPU time a cold login, µs", "sessions in the table", grown, lines(CPU, sessions), False
        ),
        Panel(
            "wait of a cold login, p50, ms",
            "sessions in the table",
            grown,
            lines(WAIT, sessions),
            False,
        ),
    ]


def _is_of(key: str, prefix: str) -> bool:
    return key.rpartition(".")[0] == prefix


def _drawn(panel: Panel) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT

    def x(at: float) -> float:
        return LEFT + panel.along_part(at) * (right - LEFT)

    def y(value: float) -> float:
        return bottom - panel.part(value) * (bottom - TOP)

    parts = [f'<text class="title" x="{LEFT}" y="{TOP - 14}">{escape(panel.title)}</text>']
    for level in panel.levels():
        parts.append(_rule(LEFT, y(level), right, y(level)))
        parts.append(_word(LEFT - 6, y(level) + 4, f"{level:,g}", "end"))
    for tick in panel.ticks:
        parts.append(_rule(x(tick), TOP, x(tick), bottom))
        parts.append(_word(x(tick), bottom + 16, f"{tick:,.0f}", "middle"))
    parts.append(_word((LEFT + right) / 2, bottom + 34, panel.along, "middle"))
    for name, points in panel.lines.items():
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        parts.append(f'<polyline class="line" {_stroke(name)} points="{path}"/>')
        for at, value in points:
            where = f'cx="{x(at):.1f}" cy="{y(value):.1f}" r="3" fill="{COLOURS[name]}"'
            told = escape(f"{LINES[name]}, {at:,.0f} {panel.along}: {value:,.4g}")
            parts.append(f"<circle {where}><title>{told}</title></circle>")
    return "".join(parts)


def _legend(panels: Sequence[Panel]) -> str:
    names = [name for name in LINES if any(name in panel.lines for panel in panels)]
    parts = []
    for number, name in enumerate(names):
        at = LEFT + number * (2 * WIDTH - LEFT) / len(LINES)
        parts.append(f'<path class="line" {_stroke(name)} d="M{at:.0f} 0h22"/>')
        parts.append(_word(at + 28, 4, LINES[name], "start"))
    return "".join(parts)


def _stroke(name: str) -> str:
    dashes = f' stroke-dasharray="{DASHED[name]}"' if name in DASHED else ""
    return f'stroke="{COLOURS[name]}"{dashes}'


def _rule(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path class="grid" d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"/>'


def _word(x: float, y: float, word: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(word)}</text>'
