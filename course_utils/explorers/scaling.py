"""Lesson 09: a parabola with noisy gradients, on which every rule for the learning rate can be computed."""

import functools

import ipywidgets as widgets
from matplotlib.figure import Figure

from course_utils.arguments import integer, real_number
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.plotting import COLORS
from course_utils.schedules import POWERS, scaled_lr

SMALL_UPDATES = 512  # of the small batch; a batch k times as large makes 1/k of them
RULE_COLORS = {"none": "wrong", "sqrt": "weight", "linear": "right"}


def noisy_quadratic() -> Explorer:
    """Which rule follows the small batch, on the loss w²/2 with noise in the gradient?"""
    return Explorer(
        draw_noisy_quadratic,
        doublings=slider(widgets.IntSlider, "doublings of k", 4, 0, 8, 1),
        learning_rate=slider(widgets.FloatLogSlider, "small batch's rate", 0.02, -3, -0.5, 0.25),
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
    stage = Stage(figsize=(6.5, 3.4))
    stage.subplots_adjust(0.1, 0.15, 0.8, 0.9)
    axes = stage.subplots()
    axes.text(SMALL_UPDATES + 8, 0.92, "small batch", color=COLORS["reference"], fontsize=9)
    for row, rule in enumerate(POWERS):
        axes.text(SMALL_UPDATES + 8, 0.8 - 0.12 * row, rule, color=COLORS[RULE_COLORS[rule]], fontsize=9)
    axes.set(xlim=(0, SMALL_UPDATES), ylim=(0, 1), xticks=[0, 256, 512], yticks=[0, 0.5, 1], ylabel="expected loss")
    axes.set_xlabel("small batches seen")
    return stage


def draw_noisy_quadratic(doublings: int, learning_rate: float, noise: float) -> tuple[Figure, str]:
    """The expected loss by samples seen, for the small batch and for one 2^doublings times as large by each rule."""
    k = 2**doublings
    small = expected_losses(learning_rate, noise, 1, SMALL_UPDATES)
    stage = _stage().empty()
    [axes] = stage.axes
    axes.plot(range(SMALL_UPDATES + 1), _shown(small), "--", color=COLORS["reference"])
    ends = {}
    for rule in POWERS:
        losses = expected_losses(scaled_lr(learning_rate, k, rule), noise, k, SMALL_UPDATES // k)
        axes.plot(range(0, SMALL_UPDATES + 1, k), _shown(losses), ".-", color=COLORS[RULE_COLORS[rule]], markersize=3)
        ends[rule] = losses[-1]
    found = ", ".join(f"{rule} {loss:.3g}" for rule, loss in ends.items())
    sentence = (
        f"After {SMALL_UPDATES} small batches the small batch's loss is {small[-1]:.3g}; a batch {k} times as large "
        f"ends at: {found}."
    )
    return stage, sentence


def _shown(losses: list[float]) -> list[float]:
    return [min(loss, 2.0) for loss in losses]  # what explodes leaves the picture
