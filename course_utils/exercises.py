"""The messages of an assignment's tests: about the shape of an answer, its values, or the mistake that fits it."""

from collections.abc import Iterator, Mapping
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from course_utils.arguments import instance_of, real_number

SHORT = 16  #: A list of so many numbers is shown.


def expect(
    what: str,
    answer: object,
    expected: object,
    mistakes: Mapping[str, object] | None = None,
    *,
    tolerance: float = 1e-6,
) -> None:
    """Raises AssertionError, starting with `what`, unless `answer` is `expected`.

    Both are a number, a tensor of any shape, or a sequence of such (a list of numbers or a NumPy array may stand for
    a tensor). They agree if the relative error, the L2 norm of the difference divided by the L2 norm of `expected`, is
    at most `tolerance`; both norms are of the concatenation of all tensors. `mistakes` maps a description of each known
    mistake to the answer that it leads to; the message names those that fit.

    Whatever `answer` is, it is only right or wrong. Any other argument that cannot be used, such as an `expected` with
    a NaN, which no answer can agree with, is a TypeError or ValueError: that mistake is not the student's.
    """
    instance_of(str, what=what)
    instance_of(Mapping | None, mistakes=mistakes)
    tolerance, mistakes = real_number("tolerance", tolerance, zero=True), mistakes or {}
    if any(tensor.isnan().any() for tensor in _numbers("expected", expected)):
        raise ValueError(f"expected={expected!r} must not have a NaN")
    for name, leads_to in mistakes.items():
        _numbers(f"mistakes[{name!r}]", leads_to)
    problem = _problem(answer, expected, tolerance)
    if problem:
        fitting = (name for name, leads_to in mistakes.items() if not _problem(answer, leads_to, tolerance))
        raise AssertionError("\n  it looks like this: ".join([f"{what}: {problem}", *fitting]))


def _numbers(name: str, value: object) -> list[Tensor]:
    try:
        return list(_tensors(value))
    except TypeError as error:
        raise TypeError(f"{name}={error}") from None


def _problem(answer: object, expected: object, tolerance: float) -> str:
    """What is wrong with `answer`, or "" if nothing is."""
    try:
        found, wanted = list(_tensors(answer)), list(_tensors(expected))
    except TypeError as error:
        return f"got {error}" + " (is a return missing?)" * (answer is None)
    shapes, expected_shapes = ([tuple(tensor.shape) for tensor in tensors] for tensors in (found, wanted))
    got, right = (
        torch.cat([tensor.flatten() for tensor in tensors] or [torch.zeros(0)]) for tensors in (found, wanted)
    )
    if shapes != expected_shapes:
        return f"got {_described(shapes, got)}; expected {_described(expected_shapes, right)}"
    if torch.equal(got, right) or (got - right).norm() <= tolerance * right.norm():
        return ""
    if len(right) <= SHORT:
        return f"got {_listed(got)}, expected {_listed(right)}"
    if not got.isfinite().all():
        return "got values that are not finite"
    times = (got @ right / (right @ right)).item()
    if times and (got - times * right).norm() <= tolerance * got.norm():
        return f"it is {times:.6g} times what it should be"
    return f"its relative error is {((got - right).norm() / right.norm()).item():.2g}"


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor) and not value.is_complex():
        yield value.detach().double().cpu()
    elif isinstance(value, Real):
        yield torch.tensor(float(value), dtype=torch.float64)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        yield torch.tensor(value, dtype=torch.float64)
    elif isinstance(value, (list, tuple)):
        parts = [tensor for part in value for tensor in _tensors(part)]
        yield from [torch.stack(parts)] if parts and not any(part.dim() for part in parts) else parts
    else:
        raise TypeError(f"{value!r}, of type {type(value).__name__}: expected numbers or tensors")


def _described(shapes: list[tuple[int, ...]], numbers: Tensor) -> str:
    if len(shapes) != 1:
        return f"{len(shapes)} tensors of shapes {shapes}" if shapes else "an empty list"
    kind = {0: "one number", 1: f"a list of {sum(shapes[0])}"}.get(len(shapes[0]), f"a tensor of shape {shapes[0]}")
    return f"{kind}: {_listed(numbers)}" if 0 < len(numbers) <= SHORT else kind


def _listed(numbers: Tensor) -> str:
    return ", ".join(f"{number:.6g}" for number in numbers.tolist())
