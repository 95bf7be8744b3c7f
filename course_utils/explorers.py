"""Interactive figures: a pure function from a few parameters to a figure and a sentence, with controls around it."""

import functools
import html
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from course_utils import plotting
from course_utils.data import Split
from course_utils.plotting import COLORS

Draw = Callable[..., tuple[Figure, str]]


class Explorer(widgets.VBox):
    """Controls, the picture that `draw` makes of their values, and below it the sentence that says what it shows.

    `draw` takes the value of each control by name. Where nothing runs (GitHub, an HTML page, a screen reader), the
    picture and the sentence of the moment it was shown stand in for it.
    """

    def __init__(self, draw: Draw, *, buttons: tuple[widgets.Button, ...] = (), **controls: Any) -> None:
        self.draw, self.controls = draw, controls
        self.picture = widgets.Image(format="png", layout={"max_width": "100%"})
        self.sentence = widgets.HTML()
        top = [widgets.HBox(buttons)] if buttons else []
        super().__init__([*top, *controls.values(), self.picture, self.sentence])
        self.add_class("course-explorer")
        for control in controls.values():
            control.observe(self.redraw, names="value")
        self.redraw()

    def redraw(self, change: object = None) -> None:
        """Draws the picture and the sentence anew from the values of the controls."""
        figure, sentence = self.draw(**{name: control.value for name, control in self.controls.items()})
        self.standing = plotting.mimebundle(figure, sentence)
        self.picture.layout.width = f"{plotting.pixel_width(figure)}px"
        self.picture.value = self.standing[0]["image/png"]
        self.sentence.value = html.escape(sentence)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = self.standing
        return (super()._repr_mimebundle_(**kwargs) or {}) | data, metadata


def slider(kind: type, description: str, value: float, low: float, high: float, step: float) -> widgets.Widget:
    """A slider of the `kind` IntSlider or FloatSlider, wide enough for its description."""
    style, layout = {"description_width": "9em"}, {"width": "32em"}
    return kind(value=value, min=low, max=high, step=step, description=description, style=style, layout=layout)


# Lesson 00: averaging digits


def average_digit(split: Split) -> Explorer:
    """How many images of a digit must be averaged until the average stops changing?"""
    digits = [Digit(split.images[split.labels == digit, 0]) for digit in range(10)]
    return Explorer(
        functools.partial(draw_average_digit, digits),
        digit=slider(widgets.IntSlider, "digit", 3, 0, 9, 1),
        doublings=slider(widgets.IntSlider, "doublings", 4, 0, 12, 1),
    )


class Digit:
    """All images of one digit, shape (samples, 28, 28), their average, and how far a single one is from it."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images, self.average = images, images.mean(0)
        self.spread = (images - self.average).square_().sum((1, 2)).mean().sqrt().item()


def draw_average_digit(digits: list[Digit], digit: int, doublings: int) -> tuple[Figure, str]:
    """The first image of `digit`, the average of the first 2^doublings, and the average of all, side by side."""
    images, average, spread = digits[digit].images, digits[digit].average, digits[digit].spread
    count = 2**doublings
    few = images[:count].mean(0)
    figure = Figure(figsize=(6, 2.2), layout="none")
    figure.subplots_adjust(0, 0, 1, 0.88, wspace=0)
    titles = ["one image", f"average of {count:,}", f"average of all {len(images):,}"]
    for axes, image, title in zip(figure.subplots(1, 3), [images[0], few, average], titles, strict=True):
        axes.imshow(image.numpy(), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(title, loc="center")
        axes.set(xticks=[], yticks=[], frame_on=False)
    sentence = (
        f"The average of {count:,} images of the digit {digit} is {(few - average).norm().item() / spread:.2f} times "
        f"as far from the average of all as a single image is; 1/√{count:,} is {count**-0.5:.2f}."
    )
    return figure, sentence


# Lesson 02: what the gradient holds while nobody, or somebody, clears it

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


def draw_zero_grad(program: str, learning_rate: float) -> tuple[Figure, str]:
    """The weight on its valley, and weight and gradient after each line of `program` (names in LINES, with spaces)."""
    lines = program.replace("()", "").replace(",", " ").split()
    figure = Figure(figsize=(8, 3.2), layout="none")
    figure.subplots_adjust(0.06, 0.27, 0.93, 0.9)
    try:
        weights, gradients = run_lines(lines, learning_rate)
    except ValueError as error:
        return figure, f"Nothing was run: {error}."
    valley, history = figure.subplots(1, 2, width_ratios=[1, 1.6])

    reach = max(1.4, *map(abs, weights)) * 1.1
    slope = torch.linspace(-reach, reach, 200)
    valley.plot(slope, slope**2 / 2, color=COLORS["reference"], linewidth=1)
    valley.plot(weights, [w**2 / 2 for w in weights], "o-", color=COLORS["weight"], alpha=0.35, markersize=4)
    valley.plot(weights[-1], weights[-1] ** 2 / 2, "o", color=COLORS["weight"], markersize=9)
    valley.set(xlabel="weight w", title="loss w²/2")
    valley.locator_params(nbins=4)

    places = range(len(weights))
    history.axhline(0, color=COLORS["reference"], linewidth=0.8)
    for name, values, marker, color in [("weight", weights, "o-", "weight"), (".grad", gradients, "s-", "gradient")]:
        history.plot(places, values, marker, color=COLORS[color])
        history.annotate(name, (places[-1], values[-1]), (7, -3), textcoords="offset points", color=COLORS[color])
    history.set_xticks(places, ["start", *lines], rotation=60, fontsize=8)
    history.locator_params(axis="y", nbins=4)
    history.set_title("after each line")

    held = lines[len(lines) - lines[::-1].index("zero_grad") :] if "zero_grad" in lines else lines
    backwards = held.count("backward")
    if backwards:
        gradient = gradients[-1]
        state = (
            f".grad is {gradient:+.3f}, the sum of {backwards} backward() call{'s' * (backwards > 1)}, "
            f"where the slope here is {weights[-1]:+.3f}; step() would move the weight to "
            f"{weights[-1] - learning_rate * gradient:+.3f}."
        )
    else:
        state = ".grad is None, so step() would not move it."
    return figure, f"After {len(lines)} line{'s' * (len(lines) != 1)} the weight is {weights[-1]:+.3f} and {state}"


# Lesson 03: the cloud of gradients


def gradient_cloud(split: Split, model: torch.nn.Sequential) -> Explorer:
    """How far do the gradients of batches scatter around the gradient of all samples?

    Of the last layer of `model`, for the first 4,000 samples, which are "all samples" here.
    """
    gradients = last_layer_gradients(Split(split.images[:4_000], split.labels[:4_000]), model)
    return Explorer(
        functools.partial(draw_gradient_cloud, gradients, plane(gradients)),
        doublings=slider(widgets.IntSlider, "doublings", 2, 0, 12, 1),
    )


def last_layer_gradients(split: Split, model: torch.nn.Sequential) -> torch.Tensor:
    """The gradient of each sample's cross-entropy with regard to the last layer's weights, a row for each sample."""
    with torch.no_grad():
        inputs = model[:-1](split.images)
        errors = model[-1](inputs).softmax(1) - torch.nn.functional.one_hot(split.labels, 10)
    return (errors[:, :, None] * inputs[:, None, :]).flatten(1)


def plane(gradients: torch.Tensor) -> torch.Tensor:
    """Two directions, shape (dimensions, 2): the mean gradient's, and that in which samples scatter most besides it."""
    along = torch.nn.functional.normalize(gradients.mean(0), dim=0)
    rest = gradients - (gradients @ along)[:, None] * along
    across = torch.ones_like(along)
    for _ in range(20):  # power iteration
        across = torch.nn.functional.normalize(rest.T @ (rest @ across), dim=0)
    return torch.stack([along, across], dim=1)


def draw_gradient_cloud(gradients: torch.Tensor, plane: torch.Tensor, doublings: int) -> tuple[Figure, str]:
    """100 batches of 2^doublings samples, drawn with replacement; `gradients` has a row for each sample."""
    batch_size, samples = 2**doublings, len(gradients)
    mean = gradients.mean(0)
    chosen = torch.randint(samples, (100, batch_size), generator=torch.Generator().manual_seed(0))
    shares = torch.zeros(100, samples).scatter_add_(1, chosen, torch.full(chosen.shape, 1 / batch_size))
    cloud = shares @ gradients
    distance = (cloud - mean).norm(dim=1).square().mean().sqrt() / mean.norm()
    same_way = ((cloud @ mean) / cloud.norm(dim=1) / mean.norm() > 0.5**0.5).sum().item()

    figure = Figure(figsize=(5.2, 3.4), layout="none")
    figure.subplots_adjust(0.09, 0.1, 0.98, 0.92)
    axes = figure.subplots()
    axes.plot(*(cloud @ plane / mean.norm()).T.numpy(), "o", color=COLORS["gradient"], alpha=0.5, markersize=4)
    axes.annotate("", (1, 0), (0, 0), arrowprops={"arrowstyle": "-|>", "color": COLORS["right"], "lw": 2})
    axes.set(xlim=(-4, 6), ylim=(-5, 5), title=f"gradients of 100 batches of {batch_size:,}; arrow: of all samples")
    axes.locator_params(nbins=4)
    sentence = (
        f"Batches of {batch_size:,}: on average a gradient is {distance:.1f} times the arrow's length away from the "
        f"arrow's tip; {same_way} of 100 point within 45 degrees of it."
    )
    return figure, sentence
