"""The table as a picture: rows are updates, columns micro-batches, the colour compares a weight with the right one."""

import math

from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.pyplot import figure as new_figure

from course_utils.plotting import COLORS
from course_utils.watch.reading import Row, Table

MOST = 24  # rows and columns that are drawn
ABSENT = "#d9d9d9"  # the background: a micro-batch that is not in the update
SHADES = LinearSegmentedColormap.from_list("weights", ["#542788", "white", COLORS["wrong"]])  # too little: purple


def draw(table: Table) -> Figure:
    """The weight of every micro-batch in every update: purple is too small, orange-red too large, white right.

    Grey is a micro-batch that is not in the update. A weight is right if it is the one in the mean over the
    micro-batches that are in the update: the micro-batch's share of their count where the counts are known, else 1 /
    (their number). Whether these are the micro-batches that should be in the update is not compared here. The first 24
    updates and micro-batches are drawn.
    """
    rows = table.rows[:MOST]
    numbers = [each.number + i for row in rows for each in row.micro_batches for i in range(each.span)]
    columns = min(max([*table.numbers.values(), *numbers], default=1), MOST)
    rows = [row for row in rows if all(each.number <= columns for each in row.micro_batches)] or rows[:1]
    figure = new_figure(figsize=(1.6 + 0.42 * max(columns, 8), 1.7 + 0.36 * len(rows)))
    axes, colors = figure.add_subplot(), TwoSlopeNorm(0, -2, 2)
    axes.grid(False)
    axes.set_facecolor(ABSENT)
    axes.set_xlim(0.5, columns + 0.5)
    axes.set_ylim(len(rows) + 0.5, 0.5)
    for row in rows:
        for each, due in zip(row.micro_batches, due_weights(row), strict=True):
            off = math.log2(each.plain / due) if each.plain > 0 and due > 0 else -2
            off = max(-2.0, min(2.0, off))
            left = each.number - 0.5
            axes.barh(row.number, each.span, 0.9, left, color=SHADES(colors(off)), edgecolor="#555555", linewidth=0.8)
            dark = abs(off) > 1.2
            axes.text(
                left + each.span / 2,
                row.number,
                (f"{each.weight:.2g}" if each.weight >= 0.005 else f"{each.weight:.0e}").removeprefix("0"),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    meaning = "(white: right weight, purple: too small, orange-red: too large,\ngrey: not in this update)"
    axes.set(xlabel=f"micro-batch\n{meaning}", ylabel="update")
    axes.set_title(f"{table.name}: weights")
    axes.locator_params(axis="both", integer=True, nbins=12)
    axes.text(columns + 0.7, 0.3, "sum", va="center", fontsize=8, clip_on=False)
    for row in rows:
        axes.text(columns + 0.7, row.number, f"{row.total:.3g}", va="center", fontsize=8, clip_on=False)
    return figure


def due_weights(row: Row) -> list[float]:
    """The right weight of each micro-batch of the row."""
    return row.due or [each.span / row.size for each in row.micro_batches]


def sentence(table: Table) -> str:
    """What the picture shows."""
    rows = table.rows
    updates = f"{len(rows)} update{'s' * (len(rows) != 1)}"
    wrong = [
        (row, each)
        for row in rows
        for each, due in zip(row.micro_batches, due_weights(row), strict=True)
        if abs(each.plain - due) > 2e-3 * max(abs(each.plain), due)
    ]
    sums = sorted({float(f"{row.total:.3g}") for row in rows})
    said = f"{sums[0]:g}" if len(sums) == 1 else f"between {sums[0]:g} and {sums[-1]:g}" if sums else "nothing"
    unused = len({table.numbers[n] for n in table.unused})
    total = sum(len(row.micro_batches) for row in rows)
    return (
        f"{table.name}, {updates}: {len(wrong)} of {total} weights are wrong, the weights of an update add up to "
        f"{said}, and {unused} micro-batch{'es are' if unused != 1 else ' is'} in no update."
    )
