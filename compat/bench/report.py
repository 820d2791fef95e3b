"""The table and the chart of a run."""

from __future__ import annotations

import os
import platform
import statistics
from pathlib import Path

from rows import ROWS, Row

Results = dict[str, dict[str, list[float]]]
"""peer → row → one value a round."""

_SCALE = {"ms": 1e3, "MB": 1e-6}


def median(results: Results, peer: str, row: str) -> float | None:
    values = results.get(peer, {}).get(row)
    return statistics.median(values) if values else None


def shown(row: Row, value: float | None) -> str:
    if value is None:
        return "–"
    value *= _SCALE.get(row.unit, 1.0)
    if row.unit == "/s":
        return f"{value:,.0f}/s"
    return f"{value:.2f} {row.unit}" if row.unit not in ("x", "ratio") else f"{value:.2f}"


def verdict(row: Row, results: Results) -> str:
    """Each goal with the ratio reached; better is always above 1."""
    ours = median(results, "pyconsul", row.name)
    if ours is None:
        return ""
    said = []
    for peer, factor in row.goals.items():
        if peer == "fdatasync":
            theirs = median(results, "pyconsul", "fdatasync")
        else:
            theirs = median(results, peer, row.name)
            if theirs is None and peer == "consul" and row.consul is not None:
                theirs = row.consul / _SCALE.get(row.unit, 1.0)
        if not theirs:
            continue
        ratio = theirs / ours if row.less_is_better else ours / theirs
        said.append(f"{ratio:.2f} × {peer} (goal {factor:g}) {'✓' if ratio >= factor else '✗'}")
    if row.limit is not None:
        value = ours * _SCALE.get(row.unit, 1.0)
        good = value <= row.limit if row.less_is_better else value >= row.limit
        bound = "≤" if row.less_is_better else "≥"
        said.append(
            f"goal {bound} {row.limit:g} {row.unit if row.unit not in ('x', 'ratio') else ''}".rstrip()
            + (" ✓" if good else " ✗")
        )
    return ", ".join(said)


def table(results: Results) -> str:
    """Markdown."""
    peers = [peer for peer in ("pyconsul", "etcd", "consul") if peer in results]
    lines = [
        "| work | " + " | ".join(peers) + " | Consul 1.10.7 (noted) | reached |",
        "| --- |" + " --- |" * (len(peers) + 2),
    ]
    for row in ROWS:
        cells = [shown(row, median(results, peer, row.name)) for peer in peers]
        noted = "–" if row.consul is None else shown(row, row.consul / _SCALE.get(row.unit, 1.0))
        if any(cell != "–" for cell in cells):
            lines.append(f"| {row.title} | {' | '.join(cells)} | {noted} | {verdict(row, results)} |")
    return "\n".join(lines)


def rounds(results: Results) -> str:
    """How many measurements the medians are of."""
    counts = sorted({len(values) for rows in results.values() for values in rows.values()})
    return f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"


def machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return (
        f"{os.cpu_count()} cores, {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def chart(results: Results) -> str:
    """Bars of requests per second: an SVG without scripts or fonts of its own."""
    rows = [row for row in ROWS if row.unit == "/s" and median(results, "pyconsul", row.name)]
    colours = {"pyconsul": "#1a7f37", "etcd": "#0969da", "consul": "#bf3989"}
    measured = [median(results, peer, row.name) or 0 for row in rows for peer in colours]
    most = max([*measured, *(row.consul or 0 for row in rows)], default=1)
    height = 30 + 58 * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for place, name in enumerate(colours):
        parts.append(f'<rect x="{320 + 110 * place}" y="6" width="12" height="12" fill="{colours[name]}"/>')
        parts.append(f'<text x="{337 + 110 * place}" y="16">{name}</text>')
    y = 30
    for row in rows:
        parts.append(f'<text x="310" y="{y + 26}" text-anchor="end">{row.title}</text>')
        for name, colour in colours.items():
            value = median(results, name, row.name)
            if value is None and name == "consul":
                value = row.consul
            if value:
                width = 480 * value / most
                parts.append(f'<rect x="320" y="{y}" width="{width:.1f}" height="14" fill="{colour}"/>')
                parts.append(f'<text x="{325 + width:.1f}" y="{y + 11}">{value:,.0f}</text>')
            y += 16
        y += 10
    return "\n".join([*parts, "</svg>"]) + "\n"
