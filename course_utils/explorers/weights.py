"""Lessons 05 and 06: the weight that every sample, and every update, ends up with."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import pad

from course_utils.explorers.explorer import Draw, Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.loops import MODULO, WINDOW_FIRST, Loop, sample_weights
from course_utils.plotting import COLORS

FOUR_LOOPS = {
    "modulo": MODULO,
    "modulo, and a step at the end": Loop(divisor="K"),
    "the same, divided by the window's length": Loop(divisor="the window's micro-batches"),
    "window-first": WINDOW_FIRST,
}
_weights = functools.lru_cache(sample_weights)  # window-first's are right, and a row of their own


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
        micro_batch=slider(widgets.IntSlider, "micro-batch M", 3, 1, 16, 1),
        steps=slider(widgets.IntSlider, "micro-batches K", 4, 1, 8, 1),
    )


@functools.cache
def _stage(names: tuple[str, ...], epochs: int) -> Stage:
    height = 1.2 + 0.9 * len(names)
    stage = Stage(figsize=(8, height))
    stage.subplots_adjust(0.02, 0.5 / height, 0.98, 1 - 0.35 / height, wspace=0.08)
    of_samples, of_updates = stage.subplots(1, 2, width_ratios=[3, 1])
    of_samples.set_title("weight")
    of_updates.set_title("sum in each update")
    stage.animate(of_samples.xaxis, "sample" + ", of the first epoch and of the second" * (epochs > 1))
    stage.animate(of_updates.xaxis, "update")
    for axes in stage.axes:
        axes.set(ylim=(1 - len(names) - 0.05, 1), yticks=[])
        axes.grid(False)
        axes.locator_params(axis="x", nbins=6, integer=True)
    for row, name in enumerate(names):
        of_samples.text(0, 0.9 - row, name, fontsize=9, va="top")
    return stage


def draw_weights(loops: dict[str, Loop], epochs: int, samples: int, micro_batch: int, steps: int) -> tuple[Figure, str]:
    """For each of `loops` a row: the weight of every sample on the left, the sum in each update on the right."""
    right = _weights(WINDOW_FIRST, samples, micro_batch, steps, epochs)
    found = {name: _weights(loop, samples, micro_batch, steps, epochs) for name, loop in loops.items()}
    stage = _stage(tuple(loops), epochs).empty()
    of_samples, of_updates = stage.axes
    _draw_rows(of_samples, {name: weights.sum(0) for name, weights in found.items()}, right.sum(0))
    made = {name: pad(weights.sum(1), (0, len(right) - len(weights))) for name, weights in found.items()}
    _draw_rows(of_updates, made, torch.ones(len(right)))
    if epochs > 1:
        of_samples.axvline(samples, color=COLORS["reference"], linestyle=":", linewidth=1)
    verdicts = [
        f"{name}: {_count(len(weights), 'update')}, "
        f"{_count(int(_off(weights.sum(0), right.sum(0)).sum()), 'wrong weight')}"
        for name, weights in found.items()
    ]
    return stage, f"{_count(len(right[0]), 'sample')}, due: {_count(len(right), 'update')}. {'; '.join(verdicts)}."


def _draw_rows(axes: Axes, rows: dict[str, Tensor], right: Tensor) -> None:
    """Draws each row's weights, in one colour where they are right and in another where not, under the right line."""
    places, highest = torch.arange(len(right)), max(weights.max().item() for weights in [right, *rows.values()])
    bars, colors = [], []
    for row, weights in enumerate(rows.values()):
        bars.append(_rectangles(places, -row, 0.6 / highest * weights))
        colors += [COLORS["wrong" if off else "right"] for off in _off(weights, right)]
    outlines = [_rectangles(places, -row, 0.6 / highest * right)[:, 1:3] for row in range(len(rows))]
    axes.add_collection(PolyCollection(torch.cat(bars).numpy(), facecolors=colors, alpha=0.7), autolim=False)
    axes.add_collection(LineCollection(torch.cat(outlines).numpy(), color=COLORS["reference"]), autolim=False)
    axes.set_xlim(0, len(right))


def _rectangles(places: Tensor, base: float, heights: Tensor) -> Tensor:
    """Corners of bars of width 1, shape (bars, 4, 2), from the lower left one clockwise."""
    x = torch.stack([places, places, places + 1, places + 1], dim=1).double()
    y = base + torch.stack([0 * heights, heights, heights, 0 * heights], dim=1)
    return torch.stack([x, y], dim=2)


def _off(weights: Tensor, right: Tensor) -> Tensor:
    return (weights - right).abs() > 1e-9


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
