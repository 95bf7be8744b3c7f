"""Gradient accumulation by windows: the micro-batches of an update are collected before the first backward()."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from course_utils.arguments import instance_of, integer, iterator, pairs, positive_integer, real_number

MicroBatch = TypeVar("MicroBatch")


def windows(loader: Iterable[MicroBatch], steps: int) -> Iterator[list[MicroBatch]]:
    """Yields the micro-batches of `loader` in lists of `steps`; the last list may be shorter.

    The loader needs no length. A window holds inputs and targets, and no activations: move one micro-batch at a time
    to the device, as `backward` does. While the next window is collected, the loop variable still holds the one before,
    so at most two are in memory; with `del window` at the end of the loop's body, it is one.

    Raises ValueError if `steps` is not a positive integer, and, when it is iterated, if the loader is empty.
    """
    return _windows(iterator("loader", loader), positive_integer("steps", steps))


def _windows(micro_batches: Iterator[MicroBatch], steps: int) -> Iterator[list[MicroBatch]]:
    window = list(itertools.islice(micro_batches, steps))
    if not window:
        raise ValueError("loader gave no micro-batches: is it empty, or an iterator that was used up before?")
    while window:
        yield window
        del window  # else two windows would be in memory, whatever the caller does
        window = list(itertools.islice(micro_batches, steps))


@dataclass(frozen=True)
class MeanLoss:
    """A loss that is a mean, split into a sum and a count, so that it can be accumulated over micro-batches.

    `total(outputs, targets)` is the sum of the terms, a scalar; `count(targets)` is what the mean divides by. A
    contrastive loss, which compares each sample with all others of its batch, has no such parts: it is not a mean of
    its micro-batches' losses, however these are weighted.
    """

    total: Callable[[Tensor, Tensor], Tensor]
    count: Callable[[Tensor], float]

    def __post_init__(self) -> None:
        instance_of(Callable, total=self.total, count=self.count)


def cross_entropy_mean(
    weight: Tensor | None = None, ignore_index: int = -100, label_smoothing: float = 0.0
) -> MeanLoss:
    """torch.nn.functional.cross_entropy with reduction="mean", which divides by the sum of the targets' class weights.

    Targets equal to `ignore_index` are left out, in the sum and in the count. Outputs are logits of shape (samples,
    classes) or (samples, classes, ...), targets class numbers of shape (samples) or (samples, ...). Class probabilities
    as targets would need another count, and raise TypeError. Raises ValueError unless the class weights are finite, at
    least 0 and not all 0, `ignore_index` is an integer, and `label_smoothing` is in [0, 1].
    """
    instance_of(Tensor | None, weight=weight)
    if weight is not None and not (weight.dim() == 1 and 0 < weight.sum() < math.inf and weight.min() >= 0):
        raise ValueError(f"weight={weight} must be a finite number from 0 up for each class, and not all 0")
    ignore_index = integer("ignore_index", ignore_index)
    label_smoothing = real_number("label_smoothing", label_smoothing, zero=True, below=1.0, closed=True)

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(
            outputs, targets, weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="sum"
        )

    def count(targets: Tensor) -> float:
        instance_of(Tensor, targets=targets)
        if targets.is_floating_point():
            raise TypeError(f"targets, {targets.dtype} of shape {tuple(targets.shape)}, must be class numbers, int64")
        counted = targets != ignore_index
        return (counted.count_nonzero() if weight is None else weight[targets[counted]].sum()).item()

    return MeanLoss(total, count)


_CROSS_ENTROPY = cross_entropy_mean()


def mean_squared_error() -> MeanLoss:
    """torch.nn.functional.mse_loss with reduction="mean", which divides by the number of elements.

    `total` raises ValueError unless outputs and targets have the same shape: PyTorch would broadcast them.
    """

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.shape != targets.shape:
            shapes = f"outputs, of shape {tuple(outputs.shape)}, and targets, of shape {tuple(targets.shape)}"
            raise ValueError(f"{shapes}, must have the same shape")
        return functional.mse_loss(outputs, targets, reduction="sum")

    return MeanLoss(total, Tensor.numel)


def backward(
    model: nn.Module,
    window: Sequence[tuple[Tensor, Tensor]],
    loss: MeanLoss | None = None,
    *,
    scale: Callable[[Tensor], Tensor] | None = None,
    device: str | torch.device | None = None,
) -> Tensor:
    """Adds the gradient of the window's mean loss to `.grad`, one micro-batch at a time, and returns that mean loss.

    Each micro-batch is weighted by its count (see MeanLoss), so the result is right for a short last window, for
    micro-batches of different sizes, for ignored targets and for class weights. `model` may be a function that calls
    one; `loss` is cross_entropy_mean() unless given; `scale` is a GradScaler's method of that name; `device` is where
    each micro-batch is moved just before its forward pass.

    Raises ValueError, before any backward(), if the window is empty or all its targets are ignored, and
    FloatingPointError if the mean loss is not finite: then do not call step(). Parameters are not changed here.
    """
    instance_of(Callable, model=model)
    instance_of(MeanLoss | None, loss=loss)
    instance_of(Callable | None, scale=scale)
    window, loss = pairs("window", window), loss or _CROSS_ENTROPY
    device = None if device is None else torch.device(device)
    divisor = sum(loss.count(targets) for _, targets in window)
    if not divisor > 0:
        raise ValueError(
            f"the mean loss of the window is undefined: all targets of its {len(window)} micro-batches are ignored, or "
            "have class weight 0"
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
