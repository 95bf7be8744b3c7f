"""Lesson 12: what a training step needs, against a budget."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_utils.arguments import positive_integer
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.memory import StepMemory, step_memory
from course_utils.models import deep_mlp
from course_utils.plotting import COLORS

MODELS = {"64 layers of 64": (64, 64), "16 layers of 64": (16, 64), "16 layers of 512": (16, 512)}
OPTIMIZERS = {
    "SGD": torch.optim.SGD,
    "SGD, momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "Adam": torch.optim.Adam,
}
PART_COLORS = {"parameters": "weight", "gradients": "gradient", "optimizer state": "first", "activations": "second"}


def memory_planner() -> Explorer:
    """Does a training step fit into the budget?"""

    def choice(description: str, options: dict) -> widgets.Dropdown:
        style = {"description_width": "9em"}
        return widgets.Dropdown(options=list(options), description=description, style=style)

    return Explorer(
        draw_plan,
        batch_doublings=slider(widgets.IntSlider, "log₂ of the batch", 10, 0, 14, 1),
        steps_doublings=slider(widgets.IntSlider, "log₂ of K", 0, 0, 14, 1),
        segments=slider(widgets.IntSlider, "segments", 1, 1, 16, 1),
        budget=slider(widgets.IntSlider, "budget in MB", 8, 1, 40, 1),
        model=choice("model", MODELS),
        optimizer=choice("optimizer", OPTIMIZERS),
    )


def activation_bytes(layers: int, width: int, samples: int, segments: int = 1) -> int:
    """The most that an MLP of `layers` blocks saves for backward: the inputs, and 4 bytes per unit, block and sample.

    With more than one segment, it is each segment's input and the blocks of one segment (Chen et al. 2016, arXiv
    1604.06174). Raises ValueError if a number is not a positive integer, or there are more segments than layers.
    """
    layers, width = positive_integer("layers", layers), positive_integer("width", width)
    samples, segments = positive_integer("samples", samples), positive_integer("segments", segments)
    if segments > layers:
        raise ValueError(f"segments={segments} must be at most layers={layers}")
    saved = layers if segments == 1 else segments - 1 + -(-layers // segments)
    return 4 * samples * (28 * 28 + (saved + 1) * width)


@functools.cache
def _without_activations(model: str, optimizer: str) -> StepMemory:
    network = deep_mlp(*MODELS[model])
    return step_memory(network, OPTIMIZERS[optimizer](network.parameters()), 0)


@functools.cache
def _stage() -> Stage:
    stage = Stage(figsize=(8, 2.2))
    stage.subplots_adjust(0.03, 0.25, 0.98, 0.84)
    axes = stage.subplots()
    for place, (name, color) in enumerate(PART_COLORS.items()):  # above the axes: it belongs to no place on the bar
        corner = 0.25 * place, 1.08
        square = {"facecolor": COLORS[color], "transform": axes.transAxes, "clip_on": False}
        axes.add_patch(Rectangle(corner, 0.015, 0.09, **square))
        axes.text(corner[0] + 0.02, corner[1], name, transform=axes.transAxes, fontsize=9)
    axes.set(yticks=[], ylim=(-0.44, 0.84))
    stage.animate(axes.xaxis, "megabytes")
    return stage


def draw_plan(
    batch_doublings: int, steps_doublings: int, segments: int, budget: int, model: str, optimizer: str
) -> tuple[Figure, str]:
    """A bar of the four parts of a training step, and a line at the budget."""
    samples = max(1, 2 ** (batch_doublings - steps_doublings))
    plan = _without_activations(model, optimizer)._replace(
        activations=activation_bytes(*MODELS[model], samples, segments)
    )
    megabytes = {name: part / 1e6 for name, part in zip(PART_COLORS, plan, strict=True)}
    fits = plan.total / 1e6 <= budget
    stage = _stage().empty()
    [axes] = stage.axes
    start = 0.0
    for name, size in megabytes.items():
        axes.add_patch(Rectangle((start, -0.4), size, 0.8, facecolor=COLORS[PART_COLORS[name]]))
        start += size
    right_end = max(40.0, start)
    color = COLORS["right" if fits else "wrong"]
    axes.axvline(budget, color=color, linewidth=2)
    side, space = ("left", 5) if budget < right_end / 2 else ("right", -5)
    verdict = "fits" if fits else "does not fit"
    place = {"xytext": (space, 0), "textcoords": "offset points", "ha": side, "va": "center", "fontsize": 9}
    axes.annotate(f"budget {budget} MB: {verdict}", (budget, 0.64), color=color, **place)
    axes.set_xlim(0, right_end)
    parts = ", ".join(f"{name} {size:.2f}" for name, size in megabytes.items())
    sentence = (
        f"Micro-batches of {samples} of {2**batch_doublings}, {segments} segment{'s' * (segments > 1)}: {parts}; "
        f"together {plan.total / 1e6:.2f} MB, which {'fits into' if fits else 'does not fit into'} {budget} MB."
    )
    return stage, sentence
