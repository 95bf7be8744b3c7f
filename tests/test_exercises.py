import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.exercises import expect


def message(answer, expected, mistakes=None, **options):
    with pytest.raises(AssertionError) as caught:
        expect("the answer", answer, expected, mistakes, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (3, 3.0),
        (True, True),
        (0.1 + 0.2, 0.3),
        (torch.tensor(2.0), 2),
        ((1, 2.0), [1, 2]),
        (torch.tensor([1.0, 2.0]), [1, 2]),
        ([torch.tensor(1.0), torch.tensor(2.0)], torch.tensor([1.0, 2.0])),
        ([torch.ones(2), torch.zeros(3, 1)], (torch.ones(2), torch.zeros(3, 1))),
        (np.array([1.0, 2.0]), [1, 2]),
        ([np.float32(1.0), np.int64(2)], [1, 2]),
        ([], []),
        (math.inf, math.inf),
        (torch.nn.Parameter(torch.ones(2)), [1, 1]),
    ],
)
def test_what_is_the_same(answer, expected):
    assert expect("the answer", answer, expected) is None


@pytest.mark.parametrize(
    ("answer", "expected", "says"),
    [
        (None, 3, "got None, of type NoneType: expected numbers or tensors (is a return missing?)"),
        ("3", 3, "got '3', of type str: expected numbers or tensors"),
        ({"a": 1}, 3, "of type dict"),
        (3, [3], "got one number: 3; expected a list of 1: 3"),
        ([1, 2], [1, 2, 3], "got a list of 2: 1, 2; expected a list of 3: 1, 2, 3"),
        ([], [1], "got an empty list; expected a list of 1: 1"),
        (torch.ones(4, 3), torch.ones(3, 4), "1, 1; expected a tensor of shape (3, 4): 1, 1"),
        ([torch.ones(2), torch.ones(3)], [torch.ones(2), torch.ones(4)], "got 2 tensors of shapes [(2,), (3,)]"),
        (3, 4, "got 3, expected 4"),
        (math.nan, 4, "got nan, expected 4"),
        (torch.zeros(16), torch.ones(16), "got 0, 0, 0, 0"),
        (torch.full((3, 6), torch.nan), torch.ones(3, 6), "got values that are not finite"),
        (4 * torch.ones(3, 6), torch.ones(3, 6), "it is 4 times what it should be"),
        (-torch.ones(3, 6), torch.ones(3, 6), "it is -1 times what it should be"),
        (torch.zeros(3, 6), torch.ones(3, 6), "its relative error is 1"),
        (torch.arange(18.0), torch.ones(18), "its relative error is"),
    ],
)
def test_what_is_different(answer, expected, says):
    assert message(answer, expected).startswith("the answer: ")
    assert says in message(answer, expected)


def test_the_mistakes_that_fit_are_named():
    found = message(3, 4, {"rounded down": 3, "one too many": 5, "a window forgotten": 3.0})
    assert found.splitlines()[1:] == ["  it looks like this: rounded down", "  it looks like this: a window forgotten"]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1), st.floats(2e-6, 1.0))
def test_the_tolerance_is_a_relative_error(values, share):
    right = torch.tensor(values, dtype=torch.float64)
    if right.norm() > 1e-3:
        expect("the answer", right * (1 + share / 2), right, tolerance=share)
        assert message(right * (1 + 2 * share), right, tolerance=share)
