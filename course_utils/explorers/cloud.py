"""Lesson 03: the gradients of many batches, around the gradient of all the samples that they are drawn from."""

import functools

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from course_utils.arguments import instance_of
from course_utils.data import Split, number_of_samples
from course_utils.explorers.explorer import Explorer, slider
from course_utils.explorers.stage import Stage
from course_utils.plotting import COLORS

SAMPLES = 4_000
XLIM, YLIM = (-4, 6), (-5, 5)


def gradient_cloud(split: Split, model: torch.nn.Sequential) -> Explorer:
    """How far do the gradients of batches scatter around the gradient of the samples that they are drawn from?

    Of the weights of the last layer of `model`. The batches are drawn from the first 4,000 samples of `split`.
    """
    number_of_samples(split)
    gradients = last_layer_gradients(Split(split.images[:SAMPLES], split.labels[:SAMPLES]), model)
    return Explorer(
        functools.partial(draw_gradient_cloud, gradients, plane(gradients)),
        doublings=slider(widgets.IntSlider, "doublings", 2, 0, 12, 1),
    )


def last_layer_gradients(split: Split, model: torch.nn.Sequential) -> torch.Tensor:
    """The gradient of each sample's cross-entropy with respect to the last layer's weights, a row for each sample."""
    number_of_samples(split)
    instance_of(torch.nn.Sequential, model=model)
    with torch.no_grad():
        inputs = model[:-1](split.images)
        errors = model[-1](inputs).softmax(1) - torch.nn.functional.one_hot(split.labels, 10)
    return (errors[:, :, None] * inputs[:, None, :]).flatten(1)


def plane(gradients: torch.Tensor) -> torch.Tensor:
    """Two orthonormal directions, shape (dimensions, 2): that of the mean, and that of the largest remaining variance.

    Projecting on them keeps two of the dimensions of the gradients.
    """
    along = torch.nn.functional.normalize(gradients.mean(0), dim=0)
    rest = gradients - (gradients @ along)[:, None] * along
    across = torch.ones_like(along)
    for _ in range(20):  # power iteration
        across = torch.nn.functional.normalize(rest.T @ (rest @ across), dim=0)
    return torch.stack([along, across], dim=1)


@functools.cache
def _stage(samples: int) -> Stage:
    stage = Stage(figsize=(4.3, 4.4))
    stage.subplots_adjust(0.15, 0.13, 0.97, 0.92)
    axes = stage.subplots()
    axes.set(xlim=XLIM, ylim=YLIM, title=f"projected gradients; arrow: {samples:,} samples", aspect="equal")
    axes.set(xlabel="along the arrow (its length = 1)", ylabel="direction of largest scatter (same unit)")
    axes.locator_params(nbins=6)
    return stage


def draw_gradient_cloud(gradients: torch.Tensor, plane: torch.Tensor, doublings: int) -> tuple[Figure, str]:
    """100 batches of 2^doublings samples, drawn with replacement; `gradients` has a row for each sample.

    Open dots at the frame stand for gradients outside it.
    """
    batch_size, samples = 2**doublings, len(gradients)
    mean = gradients.mean(0)
    chosen = torch.randint(samples, (100, batch_size), generator=torch.Generator().manual_seed(0))
    shares = torch.zeros(100, samples).scatter_add_(1, chosen, torch.full(chosen.shape, 1 / batch_size))
    cloud = shares @ gradients
    distance = (cloud - mean).norm(dim=1).square().mean().sqrt() / mean.norm()
    close = (torch.nn.functional.cosine_similarity(cloud, mean[None]) > 0.5**0.5).sum().item()
    shadow = cloud @ plane / mean.norm()

    stage = _stage(samples).empty()
    [axes] = stage.axes
    low, high = torch.tensor([XLIM, YLIM], dtype=shadow.dtype).T
    inside = ((shadow >= low) & (shadow <= high)).all(1)
    dots = {"color": COLORS["gradient"], "alpha": 0.5, "markersize": 4}
    axes.plot(*shadow[inside].T.numpy(), "o", **dots)
    axes.plot(*shadow[~inside].clamp(low, high).T.numpy(), "o", markerfacecolor="none", clip_on=False, **dots)
    axes.annotate("", (1, 0), (0, 0), arrowprops={"arrowstyle": "-|>", "color": COLORS["reference"], "lw": 2})
    sentence = (
        f"Batches of {batch_size:,}: the RMS distance of a gradient from the arrow's tip is {distance:.1f} times the "
        f"arrow's length; {close} of 100 gradients are within 45 degrees of the arrow. The picture shows 2 of "
        f"{gradients.shape[1]:,} dimensions, so distances and most angles look smaller in it."
    )
    return stage, sentence + " Open dots are outside." * (not inside.all())
