"""Gradient accumulation by windows: the micro-batches of one update are gathered before the first backward."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from course_utils.arguments import positive_integer

MicroBatch = TypeVar("MicroBatch")


def windows(loader: Iterable[MicroBatch], steps: int) -> Iterator[list[MicroBatch]]:
    """The micro-batches of `loader` in lists of `steps`, the last list as short as it is.

    The loader needs no length. What waits in a window is its inputs, not activations: move them to a device one
    micro-batch at a time, as `backward` does. Raises ValueError if `steps` is not a positive integer, and, when it is
    iterated, if the loader gives nothing.
    """
    return _windows(iter(loader), positive_integer("steps", steps))


def _windows(micro_batches: Iterator[MicroBatch], steps: int) -> Iterator[list[MicroBatch]]:
    window = list(itertools.islice(micro_batches, steps))
    if not window:
        raise ValueError("loader gave no micro-batches: is it empty, or an iterator that was used up before?")
    while window:
        yield window
        window = list(itertools.islice(micro_batches, steps))


@dataclass(frozen=True)
class MeanLoss:
    """A loss that is a mean, as the two numbers it is made of, so that it can be added up over micro-batches.

    `total(outputs, targets)` is the sum of the terms, a scalar; `count(targets)` is what the mean divides by. A loss
    for which these two do not exist, such as a contrastive one, in which each sample is compared with all others of
    its batch, is not the mean of its micro-batches' losses, and no accumulation makes it so.
    """

    total: Callable[[Tensor, Tensor], Tensor]
    count: Callable[[Tensor], float]


def cross_entropy_mean(
    weight: Tensor | None = None, ignore_index: int = -100, label_smoothing: float = 0.0
) -> MeanLoss:
    """torch.nn.functional.cross_entropy with reduction="mean", which divides by the weights of the counted targets.

    Outputs are logits of shape (samples, classes) or (samples, classes, ...), targets class numbers of shape
    (samples) or (samples, ...).
    """

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(
            outputs, targets, weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="sum"
        )

    def count(targets: Tensor) -> float:
        counted = targets != ignore_index
        return (counted.count_nonzero() if weight is None else weight[targets[counted]].sum()).item()

    return MeanLoss(total, count)


def mean_squared_error() -> MeanLoss:
    """torch.nn.functional.mse_loss with reduction="mean", which divides by the number of elements."""
    return MeanLoss(lambda outputs, targets: functional.mse_loss(outputs, targets, reduction="sum"), Tensor.numel)


def backward(
    model: nn.Module,
    window: Sequence[tuple[Tensor, Tensor]],
    loss: MeanLoss | None = None,
    *,
    scale: Callable[[Tensor], Tensor] | None = None,
    device: str | torch.device | None = None,
) -> Tensor:
    """Adds the gradient of the window's mean loss to `.grad`, one micro-batch at a time, and returns that mean loss.

    Each micro-batch weighs as many counted targets as it has, so a short last window, uneven micro-batches, ignored
    targets and class weights need no care. `loss` is cross_entropy_mean() unless given; `scale` is a GradScaler's
    method of that name; `device` is where each micro-batch is moved when its turn comes.

    Raises ValueError if the window is empty or no target in it counts, before any backward, and FloatingPointError if
    the mean loss is not finite, before you call step(): parameters are never touched here.
    """
    loss = loss or cross_entropy_mean()
    divisor = sum(loss.count(targets) for _, targets in window)
    if not divisor > 0:
        raise ValueError(
            f"no target in the window of {len(window)} micro-batches counts, so its mean loss is undefined"
        )
    shares = []
    for inputs, targets in window:
        if device is not None:
            inputs, targets = inputs.to(device), targets.to(device)
        share = loss.total(model(inputs), targets) / divisor
        (scale(share) if scale else share).backward()
        shares.append(share.detach())
    mean = torch.stack(shares).sum()
    if not math.isfinite(mean.item()):
        raise FloatingPointError(f"the mean loss of the window is {mean.item()}: do not step, clear the gradients")
    return mean
