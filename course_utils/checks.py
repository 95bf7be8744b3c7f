"""Are these two ways of training the same? Runs both, and says how they differ."""

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from course_utils.accumulation import MeanLoss, cross_entropy_mean
from course_utils.arguments import instance_of, integer, pairs, positive_integer, real_number
from course_utils.loops import WINDOW_FIRST, plan, run


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference between the parameters of two models, and the parameter it is in."""

    largest: float
    parameter: str

    def __str__(self) -> str:
        if self.largest == 0:
            return "the same to the last bit"
        return f"different by up to {self.largest:.1e}, in {self.parameter}"


def compare_parameters(first: nn.Module, second: nn.Module) -> Difference:
    """The largest absolute difference between parameters of the same name.

    Raises ValueError if the models do not have the same parameters in the same shapes, or have none.
    """
    instance_of(nn.Module, first=first, second=second)
    ones, others = dict(first.named_parameters()), dict(second.named_parameters())
    shapes, other_shapes = ({name: tuple(p.shape) for name, p in ps.items()} for ps in (ones, others))
    if shapes != other_shapes:
        raise ValueError(f"the models have different parameters: {shapes} and {other_shapes}")
    if not ones:
        raise ValueError("the models have no parameters to compare")
    with torch.no_grad():
        largest = {name: _largest(ones[name] - others[name]) for name in ones}
    parameter = max(largest, key=largest.get)
    return Difference(largest[parameter], parameter)


def _largest(difference: torch.Tensor) -> float:
    """A NaN counts as infinitely far: a training that broke is never the same as one that did not."""
    return difference.abs().nan_to_num(nan=torch.inf, posinf=torch.inf).max().item() if difference.numel() else 0.0


def compare_training(
    model: nn.Module, first: Callable[[nn.Module], object], second: Callable[[nn.Module], object], seed: int = 0
) -> Difference:
    """Trains one copy of `model` with `first` and one with `second`, and compares the parameters they end with.

    `first` and `second` take a model and train it in place; what they return is not used. Both start from the same
    parameters and the same state of PyTorch's random numbers (`seed`). `model` and the random numbers of the caller
    stay as they are. Raises ValueError if neither of the two changes any parameter: nothing would be compared.
    """
    instance_of(nn.Module, model=model)
    instance_of(Callable, first=first, second=second)
    seed = integer("seed", seed)
    copies = []
    with torch.random.fork_rng():
        for train in (first, second):
            copies.append(copy.deepcopy(model))
            torch.manual_seed(seed)
            train(copies[-1])
    if all(compare_parameters(model, trained).largest == 0 for trained in copies):
        raise ValueError("neither of the two ways changed a parameter: do they train the model that they are given?")
    return compare_parameters(*copies)


#: Each mistake in a loop that accumulates gradients: what it sets in Loop, and how to say it.
MISTAKES = {
    ("divisor", "K"): "a short last window is divided by K, so it is under-weighted",
    ("divisor", "the window's micro-batches"): "it takes the mean of the micro-batches' means, whatever their sizes",
    ("divisor", "1, 2, 3, ..."): "the k-th micro-batch of a window is divided by k",
    ("divisor", "nothing, means"): "the means are not divided, so gradients are K times too large",
    ("divisor", "nothing, sums"): "losses are summed and not divided",
    ("tail", "dropped"): "a short last window is dropped",
    ("tail", "left in .grad"): "a short last window is left in .grad, and added to the next epoch's first update",
    ("tail", "counted on"): "the counter of micro-batches runs on into the next epoch",
    (
        "cleared",
        "each micro-batch",
    ): "gradients are cleared before each micro-batch, so only the last of a window counts",
    ("cleared", "never"): "gradients are never cleared",
    ("stepped", "each micro-batch"): "the optimizer steps after each micro-batch",
    ("stepped", "at i % K == 0"): "the first update comes after one micro-batch, as with i % K == 0",
}
SAME = 1e-8  # as a share of the way; rounding in 64 bits stays far below, mistakes stay far above


@dataclass(frozen=True)
class LoopReport:
    """What `check_loop` found.

    `difference` is the distance between where the loop and the right one lead, as a share of the way that the right
    one goes; `length` is how long the loop's way is, in the same measure. `looks_like` are explanations, each of one or
    two mistakes, that lead to where the loop leads; `unseen` are mistakes that change nothing with these micro-batches.
    """

    difference: float
    length: float
    looks_like: tuple[str, ...]
    unseen: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        return self.difference <= SAME

    def __str__(self) -> str:
        if self.is_right:
            lines = [f"right: the same as one large batch per window, to {SAME:.0e} of the way"]
        else:
            lines = [f"wrong: off by {self.difference:.2g} of the way, and goes {self.length:.2f} times as far"]
            lines += [f"  it looks like this: {mistake}" for mistake in self.looks_like]
            lines += ["  it is none of the known mistakes, nor two of them together"] * (not self.looks_like)
        return "\n".join(lines + [f"  not tested by these micro-batches: {mistake}" for mistake in self.unseen])


def check_loop(
    loop: Callable[[nn.Module, Optimizer, list[tuple[Tensor, Tensor]]], object],
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    accumulation_steps: int,
    *,
    loss: MeanLoss | None = None,
    seed: int = 0,
) -> LoopReport:
    """Does `loop` train like the large batch? If not, which known mistake leads to where it leads?

    `loop(model, optimizer, micro_batches)` is yours: one epoch over a list of micro-batches, with `accumulation_steps`
    of them for an update. It runs for two epochs on a copy of `model` with plain SGD and a small learning rate, which
    hide nothing, and in 64-bit numbers; so does the right loop, and so do the mistakes. `loss` is the mean loss that it
    minimizes, cross_entropy_mean() unless given. `model` and the caller's random numbers stay as they are.

    Raises ValueError if `accumulation_steps` is not a positive integer, the loader is empty or gives a micro-batch in
    which no target counts, or the right loop changes no parameter, or not to finite numbers: nothing would be compared.
    """
    instance_of(Callable, loop=loop)
    instance_of(nn.Module, model=model)
    instance_of(MeanLoss | None, loss=loss)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("model has no parameter that requires a gradient")
    accumulation_steps, seed = positive_integer("accumulation_steps", accumulation_steps), integer("seed", seed)
    loss = loss or cross_entropy_mean()
    micro_batches = [tuple(map(_in_64_bits, micro_batch)) for micro_batch in pairs("loader", loader, Tensor)]
    if not micro_batches:
        raise ValueError("loader gave no micro-batches: is it empty, or an iterator that was used up before?")
    counts = [
        real_number(f"loss.count of loader[{place}]", loss.count(targets))
        for place, (_, targets) in enumerate(micro_batches)
    ]
    start = nn.utils.parameters_to_vector(model.parameters()).detach().double()

    def way(train: Callable[[nn.Module, Optimizer], object]) -> Tensor:
        trained = copy.deepcopy(model).double()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            train(trained, SGD(trained.parameters(), lr=1e-3))
        return nn.utils.parameters_to_vector(trained.parameters()).detach() - start

    def way_of(mistakes: tuple[tuple[str, str], ...]) -> Tensor:
        planned = plan(dataclasses.replace(WINDOW_FIRST, **dict(mistakes)), counts, accumulation_steps, epochs=2)
        return way(lambda model, optimizer: run(planned, model, optimizer, micro_batches, loss))

    def two_epochs(model: nn.Module, optimizer: Optimizer) -> None:
        for _ in range(2):
            loop(model, optimizer, list(micro_batches))

    right = way_of(())
    if not 0 < right.norm() < torch.inf:
        how = "changes no parameter" if right.norm() == 0 else "makes a parameter NaN or infinite"
        raise ValueError(f"the right loop {how} of this model on the loader's micro-batches")
    found = way(two_epochs)

    def apart(first: Tensor, second: Tensor) -> float:
        return _largest((first - second).norm() / right.norm())

    singles = {(mistake,): way_of((mistake,)) for mistake in MISTAKES}
    unseen = [mistakes for mistakes, leads_to in singles.items() if apart(leads_to, right) <= SAME]
    looks_like = []
    if apart(found, right) > SAME:
        looks_like = [mistakes for mistakes, leads_to in singles.items() if apart(leads_to, found) <= SAME]
        looks_like = looks_like or [
            pair
            for pair in itertools.combinations(MISTAKES, 2)
            if pair[0][0] != pair[1][0] and apart(way_of(pair), found) <= SAME
        ]
    return LoopReport(apart(found, right), _largest(found.norm() / right.norm()), _said(looks_like), _said(unseen))


def _in_64_bits(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _said(explanations: list[tuple[tuple[str, str], ...]]) -> tuple[str, ...]:
    return tuple("; and ".join(MISTAKES[mistake] for mistake in mistakes) for mistakes in explanations)
