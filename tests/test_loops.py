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
    assert [turn.step for turn in plan(Loop(tail="counted on"), counts, 2, epochs=2)] == [False, True] * 3
    assert [turn.step for turn in plan(Loop(stepped="at i % K == 0"), [1] * 5, 2)] == [True, False, True, False, True]
    assert plan(Loop(stepped="each micro-batch", cleared="never"), [3], 2) == [Turn(False, 1 / 3, True)]


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
    weights = {name: sample_weights(Loop(divisor=name), 22, 4, 4)[1, 16:] * 48 for name in DIVISORS}
    assert {name: [round(w) for w in found[[0, 4]].tolist()] for name, found in weights.items()} == {
        "the window's count": [8, 8],
        "K": [3, 6],
        "the window's micro-batches": [6, 12],
        "1, 2, 3, ...": [12, 12],
        "nothing, means": [12, 24],
        "nothing, sums": [48, 48],
    }


def test_a_tail_left_in_grad_counts_in_the_next_epoch():
    weights = sample_weights(MODULO, 22, 4, 4, 2)
    assert weights.shape == (2, 44) and weights[1, 16:22].sum() == 0.5 and weights[1].sum() == 1.5
    assert sample_weights(MODULO, 3, 1, 4).shape == (0, 3)


@pytest.mark.parametrize("name", ["samples", "micro_batch", "steps", "epochs"])
def test_bad_sizes_are_named(name):
    sizes = {"samples": 4, "micro_batch": 2, "steps": 1, "epochs": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"{name}=0"):
        sample_weights(WINDOW_FIRST, **sizes)
