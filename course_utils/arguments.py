"""Checks of arguments, made before any computation. Their errors name the argument, its value and what is allowed."""

import math
import operator
import reprlib
from collections.abc import Collection, Iterable, Iterator
from numbers import Real
from types import UnionType
from typing import Any, get_args


def positive_integer(name: str, value: object) -> int:
    """`value` as an int. Raises ValueError, naming the argument, if it is not a whole number from 1 up."""
    return integer(name, value, least=1)


def integer(name: str, value: object, *, least: float = -math.inf) -> int:
    """`value` as an int. Raises ValueError, naming the argument, if it is not a whole number from `least` up."""
    try:
        if isinstance(value, bool) or operator.index(value) < least:
            raise TypeError
    except TypeError:
        from_least_up = f" from {least} up" * (least > -math.inf)
        raise ValueError(f"{name}={value!r} must be an integer{from_least_up}") from None
    return operator.index(value)


def real_number(
    name: str, value: object, *, zero: bool = False, below: float = math.inf, closed: bool = False
) -> float:
    """`value` as a float. Raises ValueError, naming the argument, unless it is a real number above 0 and below `below`.

    With `zero` it may also be 0, and with `closed` also `below`.
    """
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    if not is_real or not (0 < value < below or (zero and value == 0) or (closed and value == below)):
        interval = f"{'[' if zero else '('}0, {below:g}{']' if closed else ')'}"
        raise ValueError(f"{name}={value!r} must be a real number in {interval}")
    return float(value)


def one_of(name: str, value: object, allowed: Collection[str]) -> None:
    """Raises ValueError, naming the argument, unless `value` is in `allowed`."""
    if value not in tuple(allowed):
        raise ValueError(f"{name}={value!r} must be one of {', '.join(map(repr, allowed))}")


def instance_of(kind: type | UnionType, /, **arguments: object) -> None:
    """Raises TypeError unless each of `arguments`, a value by its name, is an instance of `kind`."""
    for name, value in arguments.items():
        if not isinstance(value, kind):
            kinds = " or ".join(each.__name__ for each in get_args(kind) or [kind]).replace("NoneType", "None")
            raise TypeError(f"{_described(name, value)} must be of type {kinds}")


def iterator(name: str, values: Iterable) -> Iterator:
    """iter(values). Raises TypeError, naming the argument, if there is none."""
    try:
        return iter(values)
    except TypeError as error:
        raise TypeError(f"{_described(name, values)} must be iterable: {error}") from error


def pairs(name: str, values: Iterable, kind: type = object) -> list[tuple[Any, Any]]:
    """`values` as a list. Raises TypeError, naming the argument, unless each is a pair (inputs, targets) of `kind`s."""
    values = list(iterator(name, values))
    for place, value in enumerate(values):
        if not (isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(part, kind) for part in value)):
            described = _described(f"{name}[{place}]", value)
            raise TypeError(f"{described} must be a pair (inputs, targets) of {kind.__name__}s")
    return values


def _described(name: str, value: object) -> str:
    return f"{name}={reprlib.repr(value)}, of type {type(value).__name__},"
