"""Lesson 08: the length of Adam's steps with (a) the square of the mean gradient, (b) the mean of the squares."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from course_utils.arguments import positive_integer, real_number
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.plotting import COLORS

WINDOWS = 4_000
CURVES = {"(a) square of the mean gradient": "right", "(b) mean of the squared micro-batch gradients": "first"}


def second_moment() -> Explorer:
    """How long are Adam's steps for a signal-to-noise ratio of a micro-batch and a number of micro-batches?"""
    return Explorer(
        draw_second_moment,
        signal=slider(widgets.FloatLogSlider, "signal-to-noise ratio", 0.1, -2, 1, 0.25),
        steps=slider(widgets.IntSlider, "micro-batches K", 16, 1, 64, 1),
    )


def step_lengths(signal: float, steps: int) -> tuple[float, float]:
    """E[m] / √E[v], in learning rates, for (a) the square of the mean, (b) the mean of the squares."""
    signal, steps = real_number("signal", signal, zero=True), positive_integer("steps", steps)
    return signal / (signal**2 + 1 / steps) ** 0.5, signal / (signal**2 + 1) ** 0.5


def simulated_step_lengths(signal: float, steps: int) -> tuple[float, float]:
    """The same from WINDOWS windows of gradients with mean `signal` and standard deviation 1."""
    signal, steps = real_number("signal", signal, zero=True), positive_integer("steps", steps)
    gradients = signal + torch.randn(WINDOWS, steps, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    m, a, b = gradients.mean(), gradients.mean(1).square().mean(), gradients.square().mean()
    return (m / a.sqrt()).item(), (m / b.sqrt()).item()


@functools.cache
def _stage() -> Stage:
    stage = Stage(figsize=(6.5, 3.4))
    stage.subplots_adjust(0.1, 0.15, 0.97, 0.9)
    axes = stage.subplots()
    for place, (name, color) in enumerate(CURVES.items()):
        axes.text(-1.95, 1.21 - 0.1 * place, name, color=COLORS[color])
    axes.set(xlim=(-2, 1), xticks=[-2, -1, 0, 1], xticklabels=["0.01", "0.1", "1", "10"], ylim=(0, 1.3))
    axes.set(yticks=[0, 0.5, 1], ylabel="mean step, in learning rates")
    axes.set_xlabel("signal-to-noise ratio of a micro-batch's gradient")
    return stage


def draw_second_moment(signal: float, steps: int) -> tuple[Figure, str]:
    """Both lengths over three decades of signal-to-noise ratio, with the simulated ones at `signal` as dots."""
    a, b = step_lengths(signal, steps)
    stage = _stage().empty()
    [axes] = stage.axes
    decades = torch.linspace(-2, 1, 61, dtype=torch.float64)
    simulated = simulated_step_lengths(signal, steps)
    for place, color in enumerate(CURVES.values()):
        lengths = [step_lengths(10**x, steps)[place] for x in decades.tolist()]
        axes.plot(decades.numpy(), lengths, color=COLORS[color])
        axes.plot(torch.tensor(signal).log10().item(), simulated[place], "o", color=COLORS[color])
    axes.text(-1.95, 1.35, f"K = {steps}; curves: computed, dots: simulated", color=COLORS["reference"])
    sentence = (
        f"Signal-to-noise ratio {signal:.3g}, K = {steps}: the mean step is {a:.3f} learning rates with (a), {b:.3f} "
        f"with (b); the second moment of (b) is {(a / b) ** 2:.1f} times that of (a)."
    )
    return stage, sentence
