"""The training loop of lesson 01: one step, the loop around it, and evaluation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from tqdm.auto import tqdm

from course_utils.arguments import instance_of, integer, positive_integer
from course_utils.data import Split, number_of_samples


class Evaluation(NamedTuple):
    """Mean loss and accuracy (the fraction of correct predictions) over a split, after `update` updates."""

    update: int
    loss: float
    accuracy: float


@dataclass
class History:
    """What `train` returns: the loss of each batch before its update, and the evaluations."""

    losses: list[float] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)


def train_step(model: nn.Module, inputs: Tensor, targets: Tensor, optimizer: Optimizer) -> Tensor:
    """One update on one batch. Returns the batch's mean loss before the update, a scalar without a graph.

    The caller sets the mode. Raises ValueError if the batch is empty. A loss that is not finite raises nothing: the
    update is made and the loss returned.
    """
    instance_of(Callable, model=model)
    instance_of(Tensor, inputs=inputs, targets=targets)
    instance_of(Optimizer, optimizer=optimizer)
    positive_integer("targets.numel()", targets.numel())
    optimizer.zero_grad()
    outputs = model(inputs)
    loss = cross_entropy(outputs, targets)
    loss.backward()
    optimizer.step()
    return loss.detach()


def batches(split: Split, batch_size: int) -> Iterator[Split]:
    """Every sample of `split` once, in a new random order, in batches; the last one may be smaller.

    Raises ValueError if `batch_size` is not a positive integer, and what `number_of_samples` raises for `split`.
    """
    batch_size, samples = positive_integer("batch_size", batch_size), number_of_samples(split)
    order = torch.randperm(samples, device=split.labels.device)
    return (Split(split.images[chosen], split.labels[chosen]) for chosen in order.split(batch_size))


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, update: int = 0, batch_size: int = 10_000) -> Evaluation:
    """Mean cross-entropy and accuracy of `model` over `split`, in evaluation mode; the model's mode is restored.

    All layers get the mode that the model as a whole had, also those that had another one.
    Raises ValueError if `batch_size` is not a positive integer, and what `number_of_samples` raises for `split`.
    """
    instance_of(nn.Module, model=model)
    update, batch_size = integer("update", update, least=0), positive_integer("batch_size", batch_size)
    number_of_samples(split)
    was_training = model.training
    model.eval()
    try:
        logits = torch.cat([model(images) for images in split.images.split(batch_size)])
    finally:
        model.train(was_training)
    accuracy = (logits.argmax(1) == split.labels).float().mean()
    return Evaluation(update, cross_entropy(logits, split.labels).item(), accuracy.item())


def train(
    model: nn.Module,
    split: Split,
    optimizer: Optimizer,
    *,
    batch_size: int,
    epochs: int,
    test: Split | None = None,
    evaluate_every: int | None = None,
) -> History:
    """Trains `model` in place for `epochs` passes over `split`, and evaluates it on `test` every n updates.

    The model is set to training mode first. The count of updates continues over the epochs. A progress bar appears
    after 2 seconds. Raises ValueError, before anything is trained, if a number is not a positive integer, if
    `number_of_samples` refuses `split` or `test`, or if only one of `test` and `evaluate_every` is given.
    """
    instance_of(nn.Module, model=model)
    instance_of(Optimizer, optimizer=optimizer)
    number_of_samples(split)
    batch_size = positive_integer("batch_size", batch_size)
    epochs = positive_integer("epochs", epochs)
    if (test is None) != (evaluate_every is None):
        raise ValueError("test and evaluate_every go together: what to evaluate on, and how often")
    if test is not None:
        number_of_samples(test, "test")
        evaluate_every = positive_integer("evaluate_every", evaluate_every)
    history, losses = History(), []
    model.train()
    for _ in tqdm(range(epochs), desc="epochs", delay=2, leave=False):
        for inputs, targets in batches(split, batch_size):
            losses.append(train_step(model, inputs, targets, optimizer))
            if evaluate_every and len(losses) % evaluate_every == 0:
                history.evaluations.append(evaluate(model, test, update=len(losses)))
    history.losses = torch.stack(losses).tolist()
    return history
