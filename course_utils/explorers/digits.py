"""Lesson 00: averaging digits."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from course_utils.data import Split, number_of_samples
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage


def average_digit(split: Split) -> Explorer:
    """How close is the average of some images of a digit to the average of all of them?

    Raises ValueError if `split` has no image of a digit.
    """
    number_of_samples(split)
    missing = sorted({*range(10)} - {*split.labels.tolist()})
    if missing or split.images.shape[1:] != (1, 28, 28):
        shape = tuple(split.images.shape)
        raise ValueError(
            f"split must have images of shape (samples, 1, 28, 28), not {shape}; digits missing: {missing}"
        )
    digits = [Digit(split.images[split.labels == digit, 0]) for digit in range(10)]
    return Explorer(
        functools.partial(draw_average_digit, digits),
        digit=slider(widgets.IntSlider, "digit", 3, 0, 9, 1),
        doublings=slider(widgets.IntSlider, "doublings", 4, 0, 12, 1),
    )


class Digit:
    """All images of one digit, shape (samples, 28, 28), their average, and their RMS distance from it (L2 norm)."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images, self.average = images, images.mean(0)
        self.spread = (images - self.average).square_().sum((1, 2)).mean().sqrt().item()


@functools.cache
def _stage() -> Stage:
    stage = Stage(figsize=(6, 2.2))
    stage.subplots_adjust(0, 0, 1, 0.88, wspace=0)
    for axes in stage.subplots(1, 3):
        axes.set(xlim=(-0.5, 27.5), ylim=(27.5, -0.5), xticks=[], yticks=[], aspect="equal")
        axes.spines[:].set_visible(False)
    return stage


def draw_average_digit(digits: list[Digit], digit: int, doublings: int) -> tuple[Figure, str]:
    """The first image of `digit`, the average of the first 2^doublings (or of all, if there are fewer), that of all."""
    images, average, spread = digits[digit].images, digits[digit].average, digits[digit].spread
    count = min(2**doublings, len(images))
    few = images[:count].mean(0)
    stage = _stage().empty()
    titles = ["one image", f"average of {count:,}", f"average of all {len(images):,}"]
    for axes, image, title in zip(stage.axes, [images[0], few, average], titles, strict=True):
        axes.imshow(image.numpy(), cmap="gray_r", vmin=0, vmax=1)
        axes.text(13.5, -1.7, title, ha="center")
    sentence = (
        f"The average of {count:,} images of the digit {digit} is {(few - average).norm().item() / spread:.2f} times "
        f"as far from the average of all as a single image typically is; 1/√{count:,} is {count**-0.5:.2f}."
    )
    return stage, sentence
