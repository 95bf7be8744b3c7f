"""Gradient accumulation, done right and with common mistakes, as plans that can be run and measured."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from course_utils.accumulation import MeanLoss
from course_utils.arguments import instance_of, iterator, one_of, pairs, positive_integer, real_number

#: By the name of a divisor: the factor of a micro-batch's summed loss, computed from its count, the counts of all
#: micro-batches of its window, and K. The count is what the mean divides by: samples, class weights or tokens.
DIVISORS: dict[str, Callable[[float, list[float], int], float]] = {
    "the window's count": lambda count, window, steps: 1 / sum(window),
    "K": lambda count, window, steps: 1 / (count * steps),
    "the window's micro-batches": lambda count, window, steps: 1 / (count * len(window)),
    "nothing, means": lambda count, window, steps: 1 / count,
}

#: The allowed values of each part of a Loop; the first one is right.
PARTS = {
    "divisor": tuple(DIVISORS),
    "tail": ("stepped", "left in .grad"),
    "cleared": ("each window", "never"),
}


@dataclass(frozen=True)
class Loop:
    """A way to accumulate gradients. The defaults are right; every other value is a mistake.

    divisor: what the loss of a micro-batch is divided by, one of DIVISORS.
    tail: what happens to a last window with fewer than K micro-batches: it is "stepped", or "left in .grad", where it
    is added to the first window of the next epoch.
    cleared: when gradients are cleared, "each window" or "never".

    Raises ValueError for any other value.
    """

    divisor: str = "the window's count"
    tail: str = "stepped"
    cleared: str = "each window"

    def __post_init__(self) -> None:
        for name, allowed in PARTS.items():
            one_of(name, getattr(self, name), allowed)


#: The loop of most tutorials: loss / K, and after every K-th micro-batch step() and zero_grad().
MODULO = Loop(divisor="K", tail="left in .grad")
WINDOW_FIRST = Loop()


class Turn(NamedTuple):
    """What a loop does with one micro-batch.

    clear: are gradients cleared before it?
    factor: what its summed loss is multiplied by.
    step: does step() follow?
    """

    clear: bool
    factor: float
    step: bool


def plan(loop: Loop, counts: Sequence[float], steps: int, epochs: int = 1) -> list[Turn]:
    """What `loop` does with micro-batches that have these `counts`, in `epochs` passes over them.

    Raises ValueError if there are no counts, one is not above 0, or another number is not a positive integer.
    """
    instance_of(Loop, loop=loop)
    steps, epochs = positive_integer("steps", steps), positive_integer("epochs", epochs)
    counts = [real_number(f"counts[{place}]", count) for place, count in enumerate(iterator("counts", counts))] * epochs
    positive_integer("len(counts)", len(counts))
    turns, left_over = [], False
    for start in range(0, len(counts), len(counts) // epochs):
        epoch = counts[start : start + len(counts) // epochs]
        for window in (epoch[i : i + steps] for i in range(0, len(epoch), steps)):
            ends_in_step = loop.tail == "stepped" or len(window) == steps
            for position, count in enumerate(window):
                turns.append(
                    Turn(
                        clear=loop.cleared == "each window" and position == 0 and not left_over,
                        factor=DIVISORS[loop.divisor](count, window, steps),
                        step=ends_in_step and position == len(window) - 1,
                    )
                )
            left_over = not ends_in_step
    return turns


def run(
    turns: Sequence[Turn],
    model: nn.Module,
    optimizer: Optimizer,
    micro_batches: Sequence[tuple[Tensor, Tensor]],
    loss: MeanLoss,
) -> None:
    """Trains `model` in place, one turn for each micro-batch; after the last micro-batch it starts again at the first.

    Raises ValueError if there are no micro-batches.
    """
    instance_of(Callable, model=model)
    instance_of(Optimizer, optimizer=optimizer)
    instance_of(MeanLoss, loss=loss)
    turns, micro_batches = list(iterator("turns", turns)), pairs("micro_batches", micro_batches)
    instance_of(Turn, **{f"turns[{place}]": turn for place, turn in enumerate(turns)})
    positive_integer("len(micro_batches)", len(micro_batches))
    for turn, (inputs, targets) in zip(turns, itertools.cycle(micro_batches)):
        if turn.clear:
            optimizer.zero_grad()
        (turn.factor * loss.total(model(inputs), targets)).backward()
        if turn.step:
            optimizer.step()


def sample_weights(loop: Loop, samples: int, micro_batch: int, steps: int, epochs: int = 1) -> Tensor:
    """The weight of every sample in every update, float64 of shape (updates, epochs × samples).

    The weights are measured: the loss of each sample of each epoch is a parameter of its own, so its gradient in an
    update is its weight. Raises ValueError if a size is not a positive integer.
    """
    samples, micro_batch = positive_integer("samples", samples), positive_integer("micro_batch", micro_batch)
    passes = torch.arange(samples * positive_integer("epochs", epochs)).split(samples)
    micro_batches = [(part, part) for each in passes for part in each.split(micro_batch)]
    counts = [float(len(part)) for part in passes[0].split(micro_batch)]
    losses = nn.Embedding(samples * epochs, 1, dtype=torch.float64)
    optimizer, weights = torch.optim.SGD(losses.parameters(), lr=0.0), []
    optimizer.register_step_pre_hook(lambda *_: weights.append(losses.weight.grad[:, 0].clone()))
    run(plan(loop, counts, steps, epochs), losses, optimizer, micro_batches, MeanLoss(lambda own, _: own.sum(), len))
    return torch.stack(weights) if weights else torch.zeros(0, samples * epochs, dtype=torch.float64)
