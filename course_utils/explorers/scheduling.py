"""Lesson 10: ReduceLROnPlateau with every argument, on a training whose final loss depends on the learning rate."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from course_utils.arguments import integer, real_number
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.plotting import COLORS

EPOCHS = 60
ARGUMENTS = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps")


def plateau() -> Explorer:
    """When is the learning rate reduced, and what does that do to the loss?"""

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
        noise=slider(widgets.FloatSlider, "loss noise", 0.1, 0.0, 0.5, 0.1),
        mode=choice("mode", "min", "max"),
        threshold_mode=choice("threshold_mode", "rel", "abs"),
    )


def simulate(noise: float, lr: float = 0.5, draw: int = 0, **arguments: object) -> tuple[list[float], list[float]]:
    """The loss after each epoch, and the learning rate of that epoch; `arguments` are ReduceLROnPlateau's.

    An epoch is one step on w²/2 with a noisy gradient. The mean loss decreases to a floor, which is lower for a smaller
    learning rate. What the scheduler sees is that mean times 1 + noise · (a standard normal number), and at least a
    twentieth of it. `draw` is the seed of these numbers.
    """
    noise, lr = real_number("noise", noise, zero=True), real_number("lr", lr, zero=True)
    draw = integer("draw", draw, least=0)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments)
    square, losses, learning_rates = 4.0, [], []
    for deviation in torch.randn(EPOCHS, generator=torch.Generator().manual_seed(draw)).tolist():
        learning_rates.append(optimizer.param_groups[0]["lr"])
        square = (1 - learning_rates[-1]) ** 2 * square + learning_rates[-1] ** 2
        losses.append(square / 2 * max(0.05, 1 + noise * deviation))
        scheduler.step(losses[-1])
    return losses, learning_rates


@functools.cache
def _stage() -> Stage:
    stage = Stage(figsize=(8, 3.2))
    stage.subplots_adjust(0.09, 0.15, 0.98, 0.84, wspace=0.28)
    losses, learning_rates = stage.subplots(1, 2)
    losses.set(ylabel="loss after the epoch", ylim=(1e-3, 1))
    learning_rates.set(ylabel="learning rate of the epoch", ylim=(3e-7, 1))
    for axes in stage.axes:
        axes.set(xlim=(0, EPOCHS), xticks=[0, 20, 40, 60], xlabel="epochs", yscale="log")
        axes.minorticks_off()
    dotted = "dotted lines: the learning rate is reduced"
    losses.text(0, 1.03, dotted, fontsize=9, color=COLORS["reference"], transform=losses.transAxes)
    return stage


def draw_plateau(noise: float, **arguments: object) -> tuple[Figure, str]:
    """Loss and learning rate over the epochs, with a line wherever the learning rate is reduced."""
    losses, learning_rates = simulate(noise, **arguments)
    reduced = [epoch for epoch in range(1, EPOCHS) if learning_rates[epoch] < learning_rates[epoch - 1]]
    said = ", ".join(
        f"{name} {arguments[name]:.3g}" if name not in ("mode", "threshold_mode") else str(arguments[name])
        for name in ARGUMENTS
    )
    said = f"{said}, loss noise {noise:.1f}"
    stage = _stage().empty()
    stage.axes[0].text(0, 1.12, said, fontsize=9, transform=stage.axes[0].transAxes)
    for axes in stage.axes:
        axes.vlines(reduced, 1e-8, 100, color=COLORS["reference"], linestyle=":", linewidth=1)
    stage.axes[0].plot(range(1, EPOCHS + 1), losses, ".-", color=COLORS["loss"], markersize=4)
    stage.axes[1].step(range(EPOCHS + 1), [*learning_rates, learning_rates[-1]], color=COLORS["first"], where="post")
    when = f"after epoch {', '.join(map(str, reduced))}" if reduced else "never"
    sentence = f"With {said}: the learning rate is reduced {when}; "
    return stage, f"{sentence}the last loss is {losses[-1]:.3g}."
