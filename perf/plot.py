"""A result as a picture, by gnuplot: panels one above the other.

A set may say itself what is drawn: plot(result) -> [panel]. Else each figure that it declares is
drawn round by round, with the median as a line.

panel: {"title", "x", "y": labels, "series": {name: [(x, y), ...]}, "lines": {name: y}, "log": y is,
"logx": x is logarithmic}
"""

import statistics
import subprocess

from comparison import values

WIDTH, PANEL_HEIGHT = 800, 260


def panels_of_rounds(result, figures):
    panels = []
    for name in figures:
        found = values(result["rounds"], name)
        if not found:
            continue
        panels.append(
            {
                "title": name,
                "x": "round",
                "y": "",
                "series": {"rounds": list(enumerate(found, 1))},
                "lines": {"median": statistics.median(found)},
            }
        )
    return panels


def quoted(text):
    return '"' + str(text).replace("\\", "").replace('"', "'") + '"'


def script(title, panels, out):
    yield f"set terminal svg size {WIDTH},{PANEL_HEIGHT * len(panels)} dynamic noenhanced"
    yield f"set output {quoted(out)}"
    yield f"set multiplot layout {len(panels)},1 title {quoted(title)}"
    yield "set grid; set key outside right"
    for panel in panels:
        yield f"set title {quoted(panel['title'])}"
        yield f"set xlabel {quoted(panel['x'])}; set ylabel {quoted(panel['y'])}"
        across = [x for points in panel["series"].values() for x, _ in points]
        margin = (max(across) - min(across)) / 50 or 1
        yield f"set xrange [{min(across) - margin}:{max(across) + margin}]"
        yield "unset logscale"
        yield "set logscale y" if panel.get("log") else "set yrange [0:*]"
        if panel.get("logx"):
            yield "set logscale x; set autoscale x"
        wanted = []
        for name, points in panel["series"].items():
            yield f"$d{len(wanted)} << end"
            yield from (f"{x} {y}" for x, y in points)
            yield "end"
            wanted.append(f"$d{len(wanted)} with linespoints pt 7 ps 0.5 title {quoted(name)}")
        wanted += [
            f"{y} with lines dt 2 title {quoted(name)}"
            for name, y in panel.get("lines", {}).items()
        ]
        yield "plot " + ", ".join(wanted)
        yield "set autoscale"
    yield "unset multiplot"


def draw(title, panels, out):
    """Writes an SVG file."""
    text = "\n".join(script(title, panels, out)) + "\n"
    subprocess.run(["gnuplot"], input=text, text=True, check=True)
