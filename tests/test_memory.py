"""course_utils.memory: counted by hand on small networks, each byte once, and released with the graph."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from course_utils.accumulation import backward
from course_utils.memory import SavedForBackward
from course_utils.models import cnn, mlp


def test_a_network_counted_by_hand():
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2, bias=False))
    inputs = torch.randn(7, 3)
    with SavedForBackward(model) as saved:
        outputs = model(inputs)
    assert saved.bytes == saved.peak == 4 * 7 * (3 + 5)  # the inputs and what tanh gave; not the weights
    outputs.sum().backward()
    assert saved.bytes == 0 and saved.peak == 4 * 7 * (3 + 5)


def test_a_slice_counts_what_it_covers_and_overlaps_count_once():
    everything = torch.randn(100, 3)
    weight = torch.randn(3, requires_grad=True)
    with SavedForBackward(nn.Identity()) as saved:
        products = [everything[:10] * weight, everything[5:20] * weight, everything[:10].view(2, 15) * weight[:1]]
    assert saved.bytes == 4 * 3 * 20
    del products
    assert saved.bytes == 0


def test_an_expanded_tensor_counts_what_it_covers():
    weight = torch.randn(1000, requires_grad=True)
    with SavedForBackward(nn.Identity()) as saved:
        kept = torch.ones(1).expand(1000) * weight
    assert saved.bytes == 4 and kept.shape == (1000,)


def test_buffers_are_left_out_and_modes_that_keep_nothing_keep_nothing():
    model = nn.BatchNorm1d(4).eval()
    with SavedForBackward(model) as saved, torch.no_grad():
        model(torch.randn(8, 4))
    assert saved.peak == 0


@settings(deadline=None, max_examples=20)
@given(samples=st.integers(1, 40), hidden=st.integers(1, 30))
def test_bytes_grow_with_the_samples_and_not_with_the_weights(samples, hidden):
    model = mlp(hidden)
    with SavedForBackward(model) as saved:
        loss = cross_entropy(model(torch.rand(samples, 1, 28, 28)), torch.zeros(samples, dtype=torch.int64))
    # images, units after ReLU, log-probabilities and targets; and one number, the divisor of the mean
    assert saved.bytes == samples * (4 * (784 + hidden + 10) + 8) + 4
    loss.backward()


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_the_peak_of_a_window_is_that_of_a_micro_batch(steps):
    model, images, targets = cnn(), torch.rand(32, 1, 28, 28), torch.arange(32) % 10
    with SavedForBackward(model) as alone:
        cross_entropy(model(images[: 32 // steps]), targets[: 32 // steps], reduction="sum").backward()
    with SavedForBackward(model) as saved:
        backward(model, list(zip(images.split(32 // steps), targets.split(32 // steps), strict=True)))
    assert 0 <= saved.peak - alone.peak <= 16 and saved.bytes == 0  # the divisor, once


def test_gradients_are_the_same_with_it():
    models = [mlp(4), mlp(4)]
    models[1].load_state_dict(models[0].state_dict())
    images = torch.rand(3, 1, 28, 28)
    models[0](images).square().sum().backward()
    with SavedForBackward(models[1]):
        models[1](images).square().sum().backward()
    for first, second in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(first.grad, second.grad)
