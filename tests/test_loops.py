"""course_utils.loops: plans are what the loops do, and the right one is a large batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.loops import DIVISORS, MODULO, WINDOW_FIRST, Loop, Turn, plan, sample_weights

SIZES = {"samples": st.integers(1, 40), "micro_batch": st.integers(1, 9), "steps": st.integers(1, 6)}


def test_plans_by_hand():
    counts = [4, 4, 2]
    assert plan(WINDOW_FIRST, counts, 2) == [(True, 1 / 8, False), (False, 1 / 8, True), (True, 1 / 2, True)]
    assert plan(MODULO, counts, 2, epochs=2) == [
        *[(True, 1 / 8, False), (False, 1 / 8, True), (True, 1 / 4, False)],
        *[(False, 1 / 8, False), (False, 1 / 8, True), (True, 1 / 4, False)],
    ]
    assert plan(Loop(cleared="never"), [3], 2) == [Turn(False, 1 / 3, True)]


@settings(deadline=None)
@given(**SIZES, epochs=st.integers(1, 2))
def test_the_right_loop_is_a_loader_with_the_large_batch(samples, micro_batch, steps, epochs):
    weights = sample_weights(WINDOW_FIRST, samples, micro_batch, steps, epochs)
    large = [part for one in torch.arange(samples * epochs).split(samples) for part in one.split(micro_batch * steps)]
    assert len(weights) == len(large)
    for found, part in zip(weights, large, strict=True):
        expected = torch.zeros(samples * epochs, dtype=torch.float64)
        expected[part] = 1 / len(part)
        assert torch.equal(found, expected)


@settings(deadline=None)
@given(**SIZES)
def test_the_modulo_loop_is_right_just_when_the_windows_are_whole(samples, micro_batch, steps):
    whole = steps == 1 or samples % (micro_batch * steps) == 0
    weights = [sample_weights(loop, samples, micro_batch, steps, 2) for loop in (MODULO, WINDOW_FIRST)]
    assert (weights[0].shape == weights[1].shape and bool((weights[0] - weights[1]).abs().max() < 1e-12)) == whole


def test_every_divisor_by_hand():
    weights = {name: sample_weights(Loop(divisor=name), 17, 3, 4)[1, 12:] * 120 for name in DIVISORS}
    assert {name: [round(w) for w in found[[0, 3]].tolist()] for name, found in weights.items()} == {
        "the window's count": [24, 24],
        "K": [10, 15],
        "the window's micro-batches": [20, 30],
        "nothing, means": [40, 60],
    }


def test_a_tail_left_in_grad_counts_in_the_next_epoch():
    weights = sample_weights(MODULO, 17, 3, 4, 2)
    assert weights.shape == (2, 34)
    assert [weights[1, 12:17].sum().item(), weights[1].sum().item()] == pytest.approx([0.5, 1.5])
    assert sample_weights(MODULO, 3, 1, 4).shape == (0, 3)


@pytest.mark.parametrize("name", ["samples", "micro_batch", "steps", "epochs"])
def test_bad_sizes_are_named(name):
    sizes = {"samples": 4, "micro_batch": 2, "steps": 1, "epochs": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"{name}=0"):
        sample_weights(WINDOW_FIRST, **sizes)
