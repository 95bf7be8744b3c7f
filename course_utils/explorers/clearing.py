"""Lesson 02: what `.grad` holds with and without clearing."""

import functools
import math
from collections.abc import Callable

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from course_utils.arguments import iterator, real_number
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.plotting import COLORS

LINES = ("backward", "step", "zero_grad")


def zero_grad() -> Explorer:
    """Press backward(), step() and zero_grad() in any order, and watch one weight and its gradient."""
    program = widgets.Text(
        value="backward step backward",
        description="lines run so far",
        continuous_update=False,
        style={"description_width": "9em"},
        layout={"width": "48em"},
    )

    def run(line: str) -> Callable[[object], None]:
        def press(button: object) -> None:
            program.value = f"{program.value} {line}".strip()

        return press

    def start_again(button: object) -> None:
        program.value = ""

    buttons = [widgets.Button(description=f"{line}()") for line in LINES]
    for line, button in zip(LINES, buttons, strict=True):
        button.on_click(run(line))
    buttons.append(widgets.Button(description="start again"))
    buttons[-1].on_click(start_again)
    learning_rate = slider(widgets.FloatSlider, "learning rate", 0.3, 0.1, 1.0, 0.1)
    return Explorer(draw_zero_grad, buttons=tuple(buttons), program=program, learning_rate=learning_rate)


def run_lines(lines: list[str], learning_rate: float) -> tuple[list[float], list[float]]:
    """Runs `lines` (names in LINES) on the loss w²/2 from w = 1; returns w and its gradient before and after each.

    The gradient is NaN while `.grad` is None. Raises ValueError for a line that is not in LINES.
    """
    learning_rate, lines = real_number("learning_rate", learning_rate, zero=True), list(iterator("lines", lines))
    weight = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=learning_rate)
    weights, gradients = [1.0], [float("nan")]
    for line in lines:
        if line == "backward":
            (weight**2 / 2).backward()
        elif line in LINES:
            getattr(optimizer, line)()
        else:
            raise ValueError(f"{line!r} is none of {', '.join(LINES)}")
        weights.append(weight.item())
        gradients.append(float("nan") if weight.grad is None else weight.grad.item())
    return weights, gradients


@functools.cache
def _stage() -> Stage:
    stage = Stage(figsize=(7.2, 3))
    stage.subplots_adjust(0.02, 0.28, 0.92, 0.9)
    valley, history = stage.subplots(1, 2, width_ratios=[1, 1.6])
    valley.set_title("loss w²/2 (large dot: now)")
    valley.locator_params(nbins=4)
    valley.yaxis.set_visible(False)
    history.locator_params(axis="y", nbins=4)
    history.set_title("weight and .grad after each line")
    stage.animate(valley.xaxis, "weight w")
    for axis in (history.xaxis, history.yaxis):
        stage.animate(axis)
    return stage


def draw_zero_grad(program: str, learning_rate: float) -> tuple[Figure, str]:
    """The weight on the curve of its loss, and weight and gradient after each line of `program`.

    `program` holds names in LINES, with spaces between them.
    """
    lines = program.replace("()", "").replace(",", " ").split()
    try:
        weights, gradients = run_lines(lines, learning_rate)
    except ValueError as error:
        return Figure(figsize=(7.2, 3), layout="none"), f"Nothing was run: {error}."
    stage = _stage().empty()
    valley, history = stage.axes

    reach = max(1.4, *map(abs, weights)) * 1.1
    slope = torch.linspace(-reach, reach, 200)
    valley.plot(slope, slope**2 / 2, color=COLORS["reference"], linewidth=1)
    valley.plot(weights, [w**2 / 2 for w in weights], "o-", color=COLORS["weight"], alpha=0.35, markersize=4)
    valley.plot(weights[-1], weights[-1] ** 2 / 2, "o", color=COLORS["weight"], markersize=9)

    places = range(len(weights))
    history.axhline(0, color=COLORS["reference"], linewidth=0.8)
    for name, values, marker, color in [("weight", weights, "o-", "weight"), (".grad", gradients, "s-", "gradient")]:
        history.plot(places, values, marker, color=COLORS[color])
        if math.isfinite(values[-1]):
            history.text(places[-1], values[-1], f"   {name}", color=COLORS[color], verticalalignment="center")
    history.set_xticks(places, ["start", *lines], rotation=60, fontsize=8)

    held = lines[len(lines) - lines[::-1].index("zero_grad") :] if "zero_grad" in lines else lines
    backwards = held.count("backward")
    if backwards:
        gradient = gradients[-1]
        state = (
            f".grad is {gradient:+.3f}, the sum of {backwards} backward() call{'s' * (backwards > 1)}, "
            f"while the slope at this weight is {weights[-1]:+.3f}; step() would move the weight to "
            f"{weights[-1] - learning_rate * gradient:+.3f}."
        )
    else:
        state = ".grad is None, so step() would not move the weight."
    return stage, f"After {len(lines)} line{'s' * (len(lines) != 1)} the weight is {weights[-1]:+.3f} and {state}"
