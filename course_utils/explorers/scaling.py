"""Lesson 09: a parabola with noisy gradients, on which every rule for the learning rate can be computed."""

import functools
import itertools
import math
from typing import Any

import ipywidgets as widgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.arguments import integer, real_number
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.plotting import COLORS
from course_utils.schedules import POWERS, scaled_lr

SMALL_UPDATES = 512  # of the small batch; a batch k times as large makes 1/k of them
RULE_COLORS = {"none": "first", "sqrt": "second", "linear": "third"}
LOWEST, HIGHEST = 1e-4, 10.0  # the losses that the picture shows


def noisy_quadratic() -> Explorer:
    """Which rule follows the small batch, on the loss w²/2 with noise in the gradient?"""
    return Explorer(
        draw_noisy_quadratic,
        doublings=slider(widgets.IntSlider, "batch doublings", 4, 0, 8, 1),
        learning_rate=slider(widgets.FloatLogSlider, "learning rate", 0.02, -3, -0.5, 0.25),
        noise=slider(widgets.FloatSlider, "gradient noise", 1.0, 0.0, 3.0, 0.25),
    )


def expected_losses(learning_rate: float, noise: float, k: float, updates: int) -> list[float]:
    """The mean of w²/2 before and after each update of SGD, from w = 1, with gradients w + noise / √k."""
    learning_rate = real_number("learning_rate", learning_rate, zero=True)
    noise, k, updates = (
        real_number("noise", noise, zero=True),
        real_number("k", k),
        integer("updates", updates, least=0),
    )
    squares = [1.0]
    for _ in range(updates):
        squares.append((1 - learning_rate) ** 2 * squares[-1] + learning_rate**2 * noise**2 / k)
    return [square / 2 for square in squares]


@functools.cache
def _stage() -> Stage:
    stage = Stage(figsize=(7, 3.6))
    stage.subplots_adjust(0.1, 0.14, 0.7, 0.95)
    axes = stage.subplots()
    dash = {"transform": axes.transAxes, "fontsize": 14, "weight": "bold", "va": "center"}
    for name, color in {"small batch": "reference", **RULE_COLORS}.items():
        axes.text(1.03, _height(name), "—", color=COLORS[color], **dash)
    axes.text(1.03, 0.98, "loss at the end", transform=axes.transAxes, fontsize=9, va="center")
    axes.set(xlim=(0, SMALL_UPDATES), xticks=[0, 128, 256, 384, 512], xlabel="samples seen, in small batches")
    axes.set(ylim=(LOWEST, HIGHEST), yscale="log", ylabel="expected loss")
    axes.minorticks_off()
    return stage


def _height(name: str) -> float:
    """Where the name of a curve stands, from 0 to 1."""
    return 0.88 - 0.1 * ("small batch", *POWERS).index(name)


def draw_noisy_quadratic(doublings: int, learning_rate: float, noise: float) -> tuple[Figure, str]:
    """The expected loss by samples seen, for the small batch and for one 2^doublings times as large by each rule."""
    k = 2**doublings
    stage = _stage().empty()
    [axes] = stage.axes
    small = expected_losses(learning_rate, noise, 1, SMALL_UPDATES)
    _plot(axes, "small batch", small, 1, linestyle="--", color=COLORS["reference"])
    ends = {}
    for rule in POWERS:
        losses = expected_losses(scaled_lr(learning_rate, k, rule), noise, k, SMALL_UPDATES // k)
        _plot(axes, rule, losses, k, marker=".", markersize=4, color=COLORS[RULE_COLORS[rule]])
        ends[rule] = losses[-1]
    found = ", ".join(f"{rule} {loss:.3g}" for rule, loss in ends.items())
    sentence = (
        f"After {SMALL_UPDATES} small batches the small batch's loss is {small[-1]:.3g}; a batch {k} times as large "
        f"ends at: {found}."
    )
    return stage, sentence


def _plot(axes: Axes, name: str, losses: list[float], k: int, **style: Any) -> None:
    """One curve, its last loss beside its name, and an arrow at the edge where it leaves the picture."""
    places, logs = range(0, SMALL_UPDATES + 1, k), [math.log10(max(loss, 1e-300)) for loss in losses]
    axes.plot(places, [10**log for log in logs], **style)
    axes.text(1.08, _height(name), f"{name}: {losses[-1]:.3g}", transform=axes.transAxes, fontsize=9, va="center")
    for (place, before), (_, after) in itertools.pairwise(zip(places, logs, strict=True)):
        for edge, arrow in ((LOWEST, "v"), (HIGHEST, "^")):
            share = (math.log10(edge) - before) / ((after - before) or math.inf)
            if 0 < share <= 1 and LOWEST <= 10**before <= HIGHEST:
                axes.plot([place + share * k], [edge], arrow, color=style["color"], markersize=9, clip_on=False)
