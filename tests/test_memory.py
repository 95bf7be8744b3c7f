"""course_utils.memory: counted by hand on small networks, each byte once, and released with the graph."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint_sequential

from course_utils.accumulation import backward
from course_utils.memory import LiveTensors, SavedForBackward, StepMemory, step_memory
from course_utils.models import cnn, deep_mlp, mlp


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


# LiveTensors


def test_what_is_made_lives_and_goes():
    before = torch.ones(5)
    with LiveTensors() as live:
        first = torch.ones(10)
        assert live.bytes == 40
        second = first * 2
        view, same = second[:3], second.add_(1)
        assert live.bytes == live.peak == 80
        del first
        assert live.bytes == 40
        before += 1
    del second, view, same
    assert live.bytes == 0 and live.peak == 80


def test_a_forward_pass_keeps_what_autograd_saves_and_gradients_stay():
    model, images = deep_mlp(8, 32), torch.rand(64, 1, 28, 28)
    with SavedForBackward(model) as saved:
        model(images).square().sum()
    with LiveTensors() as live:
        loss = model(images).square().sum()
        kept = live.bytes
        loss.backward()
        del loss
    assert 0 <= kept - (saved.peak - images.nbytes) <= images.nbytes // 28  # and the last layer's outputs, the loss
    assert live.bytes == sum(p.nbytes for p in model.parameters())


@pytest.mark.parametrize("segments", [2, 4, 8])
def test_checkpointing_keeps_one_input_a_segment_and_one_segment_at_a_time(segments):
    blocks, samples = deep_mlp(16, 8)[1:-1], 4096
    one_layer = samples * 8 * 4
    inputs = torch.rand(samples, 8, requires_grad=True)
    with LiveTensors() as live:
        outputs = checkpoint_sequential(blocks, segments, inputs, use_reentrant=False)
        assert live.bytes == one_layer * (segments - 1 + 16 // segments)  # the last segment is not checkpointed
        outputs.sum().backward()
    assert live.peak <= one_layer * (segments + 16 // segments + 3)


# step_memory


@pytest.mark.parametrize(
    ("optimizer", "copies"),
    [(torch.optim.SGD, 0), (lambda p: torch.optim.SGD(p, momentum=0.9), 1), (torch.optim.Adam, 2)],
)
def test_a_step_by_hand(optimizer, copies):
    model = mlp(4)
    parameters = 4 * (784 * 4 + 4 + 4 * 10 + 10)
    found = step_memory(model, optimizer(model.parameters()), 1000)
    counters = 4 * 4 if copies == 2 else 0  # Adam's step, a number for each parameter
    assert found == StepMemory(parameters, parameters, copies * parameters + counters, 1000)
    assert found.total == sum(found) and all(p.grad is None for p in model.parameters())


def test_what_is_not_trained_has_no_gradient():
    model = mlp(4)
    found = step_memory(model, torch.optim.SGD(model[3].parameters(), lr=0.1), 0)
    assert found.gradients == 4 * 50 < found.parameters


def test_bad_input_is_named():
    model = mlp(4)
    with pytest.raises(ValueError, match="activations=-1"):
        step_memory(model, torch.optim.SGD(model.parameters()), -1)
    with pytest.raises(ValueError, match="no parameter of model"):
        step_memory(model, torch.optim.SGD(mlp(4).parameters()), 0)
