"""Checks of arguments, made before any work is done."""

import operator


def positive_integer(name: str, value: object) -> int:
    """`value` as an int. Raises ValueError, naming the argument, if it is not a whole number from 1 up."""
    try:
        if isinstance(value, bool) or operator.index(value) < 1:
            raise TypeError
    except TypeError:
        raise ValueError(f"{name}={value!r} must be a positive integer") from None
    return operator.index(value)
