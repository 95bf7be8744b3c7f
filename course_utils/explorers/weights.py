"""Lessons 05 and 06: the weight that every sample, and every update, ends up with."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torch.nn.functional import pad

from course_utils.explorers.explorer import Draw, Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.loops import MODULO, WINDOW_FIRST, Loop, sample_weights
from course_utils.plotting import COLORS

#: The loops of lesson 06, by the names of their functions there.
FOUR_LOOPS = {
    "modulo": MODULO,
    "with_last_step": Loop(divisor="K"),
    "divided_by_length": Loop(divisor="the window's micro-batches"),
    "window_first": WINDOW_FIRST,
}
LARGEST, ONE = 0.6, 0.4  # heights within a row: of the largest weight, and of a sum of 1 (no sum reaches 2)
WIDTH = 0.9  # of a bar
LOCATOR = MaxNLocator(nbins=2, steps=[1, 2, 5, 10])
_weights = functools.lru_cache(sample_weights)  # those of window_first are the right ones, and a row of their own


def modulo_loop() -> Explorer:
    """Which weight does every sample get from the modulo loop, in one epoch?"""
    return _explorer(functools.partial(draw_weights, {"modulo": MODULO}, 1))


def four_loops() -> Explorer:
    """Which weight do every sample and every update get from four loops, in two epochs?"""
    return _explorer(functools.partial(draw_weights, FOUR_LOOPS, 2))


def _explorer(draw: Draw) -> Explorer:
    return Explorer(
        draw,
        samples=slider(widgets.IntSlider, "samples N", 17, 1, 48, 1),
        micro_batch=slider(widgets.IntSlider, "micro-batch size M", 3, 1, 16, 1),
        steps=slider(widgets.IntSlider, "micro-batches K", 4, 1, 8, 1),
    )


@functools.cache
def _stage(names: tuple[str, ...], epochs: int) -> Stage:
    height = 1.45 + 0.9 * len(names)
    stage = Stage(figsize=(8, height))
    stage.subplots_adjust(0.06, 0.5 / height, 0.98, 1 - 0.6 / height, wspace=0.14)
    of_samples, of_updates = stage.subplots(1, 2, width_ratios=[3, 1])
    of_samples.set_title("weight of each sample")
    of_updates.set_title("sum of the weights")
    stage.animate(of_samples.xaxis, "sample" + ": first epoch, then second epoch" * (epochs > 1))
    stage.animate(of_samples.yaxis)
    stage.animate(of_updates.xaxis, "update")
    heights = [height - row for row in range(len(names)) for height in (0, ONE)]
    of_updates.set_yticks(heights, ["0", "1"] * len(names))
    for axes in stage.axes:
        axes.set(ylim=(1 - len(names) - 0.1, 1))
        axes.tick_params(axis="y", labelsize=8)
        axes.grid(False)
        axes.locator_params(axis="x", nbins=6, integer=True)
    near_axis = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    for row, name in enumerate(names):
        of_samples.annotate(name, (0, 0.92 - row), (6, 0), va="top", **near_axis)
        of_samples.annotate("0", (0, -row), (-7, 0), va="center_baseline", ha="right", fontsize=8, **near_axis)
    handles = [
        Line2D([], [], color=COLORS["reference"], label="as it should be"),
        Patch(color=COLORS["right"], alpha=0.7, label="right"),
        Patch(color=COLORS["wrong"], alpha=0.7, label="wrong"),
        _crosses([], label="weight 0; update not made"),
    ]
    look = {"fontsize": 9, "columnspacing": 1.2, "borderpad": 0.2}
    stage.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.99, 1), ncols=4, **look)
    return stage


def draw_weights(loops: dict[str, Loop], epochs: int, samples: int, micro_batch: int, steps: int) -> tuple[Figure, str]:
    """For each of `loops` a row: the weight of every sample on the left, the sum in each update on the right."""
    right = _weights(WINDOW_FIRST, samples, micro_batch, steps, epochs)
    found = {name: _weights(loop, samples, micro_batch, steps, epochs) for name, loop in loops.items()}
    of_sample = {name: weights.sum(0) for name, weights in found.items()}
    of_update = {name: pad(weights.sum(1), (0, len(right) - len(weights))) for name, weights in found.items()}
    scale = LARGEST / max(weights.max().item() for weights in [right, *of_sample.values()])
    stage = _stage(tuple(loops), epochs).empty()
    _draw_rows(stage.axes[0], of_sample, right.sum(0), scale)
    _draw_rows(stage.axes[1], of_update, torch.ones(len(right)), ONE)
    tick = max(tick for tick in LOCATOR.tick_values(0, LARGEST / scale) if scale * tick < 1.01 * LARGEST)
    stage.axes[0].set_yticks([scale * tick - row for row in range(len(loops))], [f"{tick:.3g}"] * len(loops))
    if epochs > 1:
        stage.axes[0].axvline(samples + 0.5, color=COLORS["reference"], linestyle=":", linewidth=1)
    data = f"{_count(len(right[0]), 'sample')}{f' in {epochs} epochs' * (epochs > 1)}"
    verdicts = [f"{name}: {_verdict(weights, right.sum(0))}" for name, weights in found.items()]
    return stage, f"{data}, {_count(len(right), 'update')} due. {'. '.join(verdicts)}."


def _verdict(weights: Tensor, right: Tensor) -> str:
    """What is wrong with the `weights` of a loop, of shape (updates, samples)."""
    of_sample = weights.sum(0)
    sums = int(_off(weights.sum(1), torch.ones(len(weights))).sum())
    unused = int((of_sample == 0).sum())
    wrong = int(_off(of_sample, right).sum()) - unused
    faults = [
        f"in {sums} of them the weights do not add up to 1" * (sums > 0),
        f"{_count(wrong, 'sample')} {'has' if wrong == 1 else 'have'} a wrong weight" * (wrong > 0),
        f"{_count(unused, 'sample')} {'has' if unused == 1 else 'have'} weight 0" * (unused > 0),
    ]
    return ", ".join([_count(len(weights), "update"), *(list(filter(None, faults)) or ["all weights are right"])])


def _draw_rows(axes: Axes, rows: dict[str, Tensor], right: Tensor, scale: float) -> None:
    """Draws each row's weights, `scale` times as high, below the line of the right ones; a cross where one is 0."""
    bars, colors, crosses = [], [], []
    for row, weights in enumerate(rows.values()):
        bars.append(_rectangles(-row, scale * weights))
        colors += [COLORS["wrong" if off else "right"] for off in _off(weights, right)]
        crosses += [(place, -row) for place, weight in enumerate(weights.tolist(), start=1) if weight == 0]
    outlines = [_rectangles(-row, scale * right)[:, 1:3] for row in range(len(rows))]
    look = {"facecolors": colors, "alpha": 0.7, "snap": False}  # or narrow gaps come and go
    axes.add_collection(PolyCollection(torch.cat(bars).numpy(), **look), autolim=False)
    axes.add_collection(LineCollection(torch.cat(outlines).numpy(), color=COLORS["reference"]), autolim=False)
    axes.add_line(_crosses(crosses))
    axes.set_xlim(0.5, len(right) + 0.5)


def _crosses(places: list[tuple[float, float]], label: str = "") -> Line2D:
    x, y = [x for x, _ in places], [y for _, y in places]
    return Line2D(x, y, color=COLORS["wrong"], marker="x", markersize=5, markeredgewidth=1.4, linestyle="", label=label)


def _rectangles(base: float, heights: Tensor) -> Tensor:
    """Corners of bars around 1, 2, ..., shape (bars, 4, 2), from the lower left one clockwise."""
    left, right = (torch.arange(1, len(heights) + 1).double() + side for side in (-WIDTH / 2, WIDTH / 2))
    x = torch.stack([left, left, right, right], dim=1)
    y = base + torch.stack([0 * heights, heights, heights, 0 * heights], dim=1)
    return torch.stack([x, y], dim=2)


def _off(weights: Tensor, right: Tensor) -> Tensor:
    return (weights - right).abs() > 1e-9


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
