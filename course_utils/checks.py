"""Are these two ways of training the same? Runs both and reports the largest difference."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


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
    copies = []
    with torch.random.fork_rng():
        for train in (first, second):
            copies.append(copy.deepcopy(model))
            torch.manual_seed(seed)
            train(copies[-1])
    if all(compare_parameters(model, trained).largest == 0 for trained in copies):
        raise ValueError("neither of the two ways changed a parameter: do they train the model that they are given?")
    return compare_parameters(*copies)
