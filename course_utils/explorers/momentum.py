"""Lesson 07: SGD with momentum in a valley, its velocity updated once per window or at every micro-batch."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.arguments import positive_integer, real_number
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.plotting import COLORS

CURVATURES = torch.tensor([1.0, 20.0], dtype=torch.float64)  # of the loss, along the valley and across it
START = torch.tensor([-10.0, 1.5], dtype=torch.float64)
UPDATES = 40
PATHS = {"once per window": "right", "per micro-batch": "wrong"}


def valley() -> Explorer:
    """Where do 40 updates lead with one velocity update per window, and with one per micro-batch?"""
    return Explorer(
        draw_valley,
        momentum=slider(widgets.FloatSlider, "momentum", 0.8, 0.0, 0.95, 0.05),
        steps=slider(widgets.IntSlider, "micro-batches K", 4, 1, 16, 1),
        learning_rate=slider(widgets.FloatSlider, "learning rate", 0.02, 0.005, 0.1, 0.005),
    )


def path(momentum: float, steps: int, learning_rate: float, per_micro_batch: bool) -> Tensor:
    """Both weights at the start and after each update, shape (UPDATES + 1, 2).

    All micro-batches of a window have the same gradient.
    """
    momentum = real_number("momentum", momentum, zero=True, below=1.0, closed=True)
    steps, learning_rate = positive_integer("steps", steps), real_number("learning_rate", learning_rate, zero=True)
    place, velocity, places = START, torch.zeros(2, dtype=torch.float64), [START]
    for _ in range(UPDATES):
        gradient = CURVATURES * place
        if per_micro_batch:
            for _ in range(steps):
                velocity = momentum * velocity + gradient / steps
        else:
            velocity = momentum * velocity + gradient
        place = place - learning_rate * velocity
        places.append(place)
    return torch.stack(places)


def height(places: Tensor) -> Tensor:
    """The loss at `places`, pairs of weights of shape (..., 2)."""
    return (CURVATURES * places.square()).sum(-1) / 2


@functools.cache
def _stage() -> Stage:
    stage = Stage(figsize=(8, 3.4))
    stage.subplots_adjust(0.07, 0.16, 0.98, 0.9, wspace=0.25)
    above, losses = stage.subplots(1, 2, width_ratios=[1.5, 1])
    x, y = torch.meshgrid(torch.linspace(-11, 11, 110), torch.linspace(-2.5, 2.5, 50), indexing="xy")
    levels = height(torch.stack([x, y], -1))
    above.contour(x, y, levels, [5, 15, 30, 50, 75], colors=COLORS["reference"], alpha=0.35, linewidths=0.7)
    above.set(xlim=(-11, 11), ylim=(-2.5, 2.5), xticks=[-10, -5, 0, 5, 10], yticks=[-2, 0, 2])
    above.set(title="the path, and lines of equal loss", xlabel="weight along the valley", ylabel="weight across it")
    losses.set(ylim=(-6, 6), yticks=[-6, -3, 0, 3, 6], yticklabels=["≤ 10⁻⁶", "10⁻³", "1", "10³", "≥ 10⁶"])
    losses.set(title="the loss", xlabel="update", xticks=[0, 20, 40])
    for row, (name, color) in enumerate(PATHS.items()):
        losses.text(1, -4.5 - row, name, color=COLORS[color], fontsize=9)
    return stage


def draw_valley(momentum: float, steps: int, learning_rate: float) -> tuple[Figure, str]:
    """Both paths, and the loss on both at the start and after each update."""
    paths = [path(momentum, steps, learning_rate, per_micro_batch) for per_micro_batch in (False, True)]
    stage = _stage().empty()
    above, losses = stage.axes
    for places, color, width in zip(paths[::-1], list(PATHS.values())[::-1], (2, 1), strict=True):
        above.plot(*places.T.numpy(), ".-", color=COLORS[color], linewidth=width, markersize=2 + width)
        losses.plot(height(places).clamp(1e-6, 1e6).log10().numpy(), color=COLORS[color], linewidth=1.25 * width)
    ends = [height(places)[-1].item() for places in paths]
    sentence = (
        f"After {UPDATES} updates the loss is {ends[0]:.1e} with one velocity update per window, and {ends[1]:.1e} "
        f"with one per micro-batch; it was {height(START).item():.0f} at the start. With one per micro-batch, the "
        f"velocity decays by {momentum:.2f} to the power of {steps} = {momentum**steps:.3f} from window to window."
    )
    return stage, sentence
