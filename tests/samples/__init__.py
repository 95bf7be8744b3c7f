"""Inputs on which tests/mutation.py compares a changed solution with the solution itself.

Each module has, for each exercise of its assignment, a function `exercise(answer, draw)` that calls `answer` on inputs
drawn with `draw`, a `random.Random`, from all that the task's text allows, and returns `after(...)`, or a list of such.
"""

from course_utils.answers import _facts, _same


def after(answer, *arguments):
    """What answer(*arguments) returns or raises, and its arguments afterwards, in a form that `same` compares."""
    places = {}
    _with_places(_facts("the arguments", arguments), places)
    try:
        result = answer(*arguments)
    except Exception as error:
        result = f"{type(error).__name__} was raised"
    return {"returned": result, **_with_places(_facts("the arguments", arguments), places)}


def _with_places(facts, places):
    """`facts` with places, given in order, instead of the ids of layers and parameters, which differ between runs."""
    found = dict(facts)
    for (aspect, what), value in facts.items():
        if aspect == "modules":
            found[aspect, what] = {path: places.setdefault(layer, len(places)) for path, layer in value.items()}
        if aspect == "optimizer" and isinstance(value, list):
            found[aspect, what] = [
                {**group, "params": [places.setdefault(each, len(places)) for each in group["params"]]}
                for group in value
            ]
    return found


def same(one, other):
    """Whether two outcomes are the same; numbers may differ by rounding."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= 1e-9 * max(abs(one), abs(other)) or (one != one and other != other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "is_floating_point") and hasattr(other, "is_floating_point"):
        same_kind = one.shape == other.shape and one.dtype == other.dtype and one.requires_grad == other.requires_grad
        return same_kind and bool((one.nan_to_num() - other.nan_to_num()).abs().double().sum() <= 1e-9)
    return _same(one, other)
