"""Lesson 03: the cloud of gradients."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from course_utils.arguments import instance_of
from course_utils.data import Split, number_of_samples
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.plotting import COLORS


def gradient_cloud(split: Split, model: torch.nn.Sequential) -> Explorer:
    """How far do the gradients of batches scatter around the gradient of all samples?

    Of the last layer of `model`, for the first 4,000 samples, which are "all samples" here.
    """
    number_of_samples(split)
    gradients = last_layer_gradients(Split(split.images[:4_000], split.labels[:4_000]), model)
    return Explorer(
        functools.partial(draw_gradient_cloud, gradients, plane(gradients)),
        doublings=slider(widgets.IntSlider, "doublings", 2, 0, 12, 1),
    )


def last_layer_gradients(split: Split, model: torch.nn.Sequential) -> torch.Tensor:
    """The gradient of each sample's cross-entropy with regard to the last layer's weights, a row for each sample."""
    number_of_samples(split)
    instance_of(torch.nn.Sequential, model=model)
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


@functools.cache
def _stage() -> Stage:
    stage = Stage(figsize=(5.2, 3.4))
    stage.subplots_adjust(0.09, 0.1, 0.98, 0.92)
    axes = stage.subplots()
    axes.set(xlim=(-4, 6), ylim=(-5, 5), title="gradients of 100 batches; arrow: of all samples")
    axes.locator_params(nbins=4)
    return stage


def draw_gradient_cloud(gradients: torch.Tensor, plane: torch.Tensor, doublings: int) -> tuple[Figure, str]:
    """100 batches of 2^doublings samples, drawn with replacement; `gradients` has a row for each sample."""
    batch_size, samples = 2**doublings, len(gradients)
    mean = gradients.mean(0)
    chosen = torch.randint(samples, (100, batch_size), generator=torch.Generator().manual_seed(0))
    shares = torch.zeros(100, samples).scatter_add_(1, chosen, torch.full(chosen.shape, 1 / batch_size))
    cloud = shares @ gradients
    distance = (cloud - mean).norm(dim=1).square().mean().sqrt() / mean.norm()
    same_way = ((cloud @ mean) / cloud.norm(dim=1) / mean.norm() > 0.5**0.5).sum().item()

    stage = _stage().empty()
    [axes] = stage.axes
    axes.plot(*(cloud @ plane / mean.norm()).T.numpy(), "o", color=COLORS["gradient"], alpha=0.5, markersize=4)
    axes.annotate("", (1, 0), (0, 0), arrowprops={"arrowstyle": "-|>", "color": COLORS["right"], "lw": 2})
    sentence = (
        f"Batches of {batch_size:,}: on average a gradient is {distance:.1f} times the arrow's length away from the "
        f"arrow's tip; {same_way} of 100 point within 45 degrees of it."
    )
    return stage, sentence
