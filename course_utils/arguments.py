"""Checks of arguments, made before any work is done."""

import math
import operator
from numbers import Real


def positive_integer(name: str, value: object) -> int:
    """`value` as an int. Raises ValueError, naming the argument, if it is not a whole number from 1 up."""
    try:
        if isinstance(value, bool) or operator.index(value) < 1:
            raise TypeError
    except TypeError:
        raise ValueError(f"{name}={value!r} must be a positive integer") from None
    return operator.index(value)


def real_number(name: str, value: object, *, zero: bool = False, below: float = math.inf) -> float:
    """`value` as a float. Raises ValueError unless it is real, above 0 (or 0, if `zero`), and less than `below`."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    if not is_real or not (0 < value < below or (zero and value == 0)):
        raise ValueError(f"{name}={value!r} must be a real number in {'[' if zero else '('}0, {below:g})")
    return float(value)
