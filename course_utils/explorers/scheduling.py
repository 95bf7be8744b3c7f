"""Lesson 10: ReduceLROnPlateau with every argument, on a training whose noise floor depends on the rate."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from course_utils.arguments import real_number
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.plotting import COLORS

EPOCHS = 60
ARGUMENTS = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps")


def plateau() -> Explorer:
    """When does the rate fall, and what does that do to the loss?"""

    def choice(description: str, *options: str) -> widgets.Dropdown:
        style = {"description_width": "9em"}
        return widgets.Dropdown(options=options, value=options[0], description=description, style=style)

    return Explorer(
        draw_plateau,
        patience=slider(widgets.IntSlider, "patience", 2, 0, 10, 1),
        cooldown=slider(widgets.IntSlider, "cooldown", 0, 0, 10, 1),
        factor=slider(widgets.FloatSlider, "factor", 0.3, 0.1, 0.9, 0.1),
        threshold=slider(widgets.FloatLogSlider, "threshold", 1e-2, -4, 0, 1),
        min_lr=slider(widgets.FloatLogSlider, "min_lr", 1e-4, -6, -1, 1),
        eps=slider(widgets.FloatLogSlider, "eps", 1e-8, -8, -1, 1),
        wobble=slider(widgets.FloatSlider, "wobble of the loss", 0.1, 0.0, 0.5, 0.1),
        mode=choice("mode", "min", "max"),
        threshold_mode=choice("threshold_mode", "rel", "abs"),
    )


def simulate(wobble: float, lr: float = 0.5, **arguments: object) -> tuple[list[float], list[float]]:
    """The loss after each epoch, and the rate that the epoch used; `arguments` are ReduceLROnPlateau's.

    An epoch is one noisy step on w²/2, whose mean loss falls until it meets the noise of the rate. What the scheduler
    sees is that mean times 1 + wobble · (a standard normal number, the same at every call).
    """
    wobble, lr = real_number("wobble", wobble, zero=True), real_number("lr", lr, zero=True)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments)
    square, losses, rates = 4.0, [], []
    for bump in torch.randn(EPOCHS, generator=torch.Generator().manual_seed(0)).tolist():
        rates.append(optimizer.param_groups[0]["lr"])
        square = (1 - rates[-1]) ** 2 * square + rates[-1] ** 2
        losses.append(square / 2 * max(0.05, 1 + wobble * bump))
        scheduler.step(losses[-1])
    return losses, rates


@functools.cache
def _stage() -> Stage:
    stage = Stage(figsize=(8, 3.2))
    stage.subplots_adjust(0.06, 0.14, 0.98, 0.84, wspace=0.16)
    losses, rates = stage.subplots(1, 2)
    losses.set(title="log₁₀ of the loss", ylim=(-3, 1), yticks=[-3, -2, -1, 0, 1])
    rates.set(title="log₁₀ of the rate", ylim=(-6.5, 0), yticks=[-6, -4, -2, 0])
    for axes in stage.axes:
        axes.set(xlim=(0, EPOCHS), xticks=[0, 20, 40, 60], xlabel="epoch")
    return stage


def draw_plateau(wobble: float, **arguments: object) -> tuple[Figure, str]:
    """Loss and rate over the epochs, with a line wherever the rate falls."""
    losses, rates = simulate(wobble, **arguments)
    falls = [epoch for epoch in range(1, EPOCHS) if rates[epoch] < rates[epoch - 1]]
    said = ", ".join(
        f"{name} {arguments[name]:.3g}" if name not in ("mode", "threshold_mode") else str(arguments[name])
        for name in ARGUMENTS
    )
    stage = _stage().empty()
    stage.axes[0].text(0, 1.14, said, fontsize=9, transform=stage.axes[0].transAxes)
    for axes, values, color in zip(stage.axes, (losses, rates), ("loss", "weight"), strict=True):
        axes.vlines(falls, -7, 2, color=COLORS["reference"], linestyle=":", linewidth=1)
        axes.step(range(EPOCHS), torch.tensor(values).log10().numpy(), color=COLORS[color], where="mid")
    when = f"after epoch {', '.join(map(str, falls))}" if falls else "never"
    return stage, f"With {said}, and wobble {wobble:.1f}: the rate falls {when}; the last loss is {losses[-1]:.3g}."
