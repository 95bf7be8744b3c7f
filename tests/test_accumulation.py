"""course_utils.accumulation: accumulated equals the full batch, whatever the sizes, weights and ignored targets."""

import copy
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from course_utils.accumulation import backward, cross_entropy_mean, mean_squared_error, windows
from course_utils.checks import compare_parameters
from course_utils.optimizers import DENSE_OPTIMIZERS

CLASSES, FEATURES = 4, 3


def network(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(FEATURES, 5, bias=False), nn.Tanh(), nn.Linear(5, CLASSES, bias=False)).to(dtype)


def samples(count, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, FEATURES, generator=generator, dtype=dtype)
    return inputs, torch.randint(0, CLASSES, (count,), generator=generator)


def gradients(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def full_batch_gradients(inputs, targets, **options):
    model = network(inputs.dtype)
    functional.cross_entropy(model(inputs), targets, **options).backward()
    return gradients(model)


def cut(tensors, sizes):
    return list(zip(*(tensor.split(sizes) for tensor in tensors), strict=True))


# windows


@given(micro_batches=st.integers(1, 30), steps=st.integers(1, 40))
def test_windows_keep_order_and_lose_nothing(micro_batches, steps):
    found = list(windows(iter(range(micro_batches)), steps))  # an iterator: no length
    assert [item for window in found for item in window] == list(range(micro_batches))
    assert all(len(window) == steps for window in found[:-1]) and 1 <= len(found[-1]) <= steps


def test_windows_are_gathered_one_at_a_time():
    taken = []
    source = windows((taken.append(i) or i for i in range(10)), 3)
    next(source)
    assert taken == [0, 1, 2]


@pytest.mark.parametrize(("deletes", "most"), [(False, 6), (True, 3)])
def test_two_windows_are_in_memory_or_one_if_the_caller_deletes_it(deletes, most):
    made, counts = [], []

    def micro_batch(i):
        made.append(weakref.ref(new := torch.full((1,), i)))
        counts.append(sum(each() is not None for each in made))
        return new

    for window in windows(map(micro_batch, range(10)), 3):
        assert len(window) <= 3
        if deletes:
            del window
    assert max(counts) == most


@pytest.mark.parametrize("steps", [0, -1, 1.0, "2", None, True])
def test_bad_steps_are_named_at_once(steps):
    with pytest.raises(ValueError, match="steps="):
        windows([1], steps)


def test_an_empty_or_used_up_loader_is_an_error():
    used_up = iter([1])
    list(windows(used_up, 2))
    for loader in ([], used_up):
        with pytest.raises(ValueError, match="loader gave no micro-batches"):
            list(windows(loader, 2))


# backward

SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=6)


@settings(deadline=None)
@given(
    sizes=SIZES,
    seed=st.integers(0, 1000),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1]),
    data=st.data(),
)
def test_accumulated_gradients_are_those_of_the_full_batch(sizes, seed, weighted, smoothing, data):
    inputs, targets = samples(sum(sizes), seed)
    ignored = data.draw(st.sets(st.integers(0, sum(sizes) - 1), max_size=sum(sizes) - 1))
    targets[list(ignored)] = -100
    weight = torch.tensor([0.5, 1.0, 2.0, 3.5], dtype=torch.float64) if weighted else None
    model = network()
    mean = backward(model, cut((inputs, targets), sizes), cross_entropy_mean(weight, label_smoothing=smoothing))
    options = {"weight": weight, "label_smoothing": smoothing}
    assert (gradients(model) - full_batch_gradients(inputs, targets, **options)).abs().max() < 1e-12
    assert mean.item() == pytest.approx(
        functional.cross_entropy(network()(inputs), targets, **options).item(), rel=1e-12
    )


@settings(deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 1000))
def test_in_32_bits_to_rounding(sizes, seed):
    inputs, targets = samples(sum(sizes), seed, torch.float32)
    model = network(torch.float32)
    backward(model, cut((inputs, targets), sizes))
    expected = full_batch_gradients(inputs, targets)
    assert (gradients(model) - expected).norm() <= 1e-6 * expected.norm()


@settings(deadline=None, max_examples=20)
@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_tokens_of_sequences_of_different_length(lengths):
    """Each sequence is a micro-batch of shape (1, tokens); the mean is over tokens, not over sequences."""
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5)).double()
    sequences = [
        torch.randint(0, 5, (1, length), generator=torch.Generator().manual_seed(length)) for length in lengths
    ]

    class Logits(nn.Module):
        def forward(self, tokens):
            return model(tokens).transpose(1, 2)

    backward(Logits(), [(tokens, tokens.roll(1)) for tokens in sequences])
    accumulated = gradients(model)
    model.zero_grad()
    everything = torch.cat([model(tokens)[0] for tokens in sequences])
    functional.cross_entropy(everything, torch.cat([tokens.roll(1)[0] for tokens in sequences])).backward()
    assert (accumulated - gradients(model)).abs().max() < 1e-12


def test_mean_squared_error_divides_by_elements():
    inputs, _ = samples(7)
    targets = torch.randn(7, CLASSES, dtype=torch.float64)
    model, whole = network(), network()
    backward(model, cut((inputs, targets), [4, 3]), mean_squared_error())
    functional.mse_loss(whole(inputs), targets).backward()
    assert (gradients(model) - gradients(whole)).abs().max() < 1e-12


@pytest.mark.parametrize("name", DENSE_OPTIMIZERS)
def test_an_epoch_with_a_short_last_window_trains_like_full_batches(name):
    inputs, targets = samples(41)
    accumulated, whole = network(), network()
    for model, train_window in [(accumulated, backward), (whole, backward_of_one_batch)]:
        optimizer = DENSE_OPTIMIZERS[name](model.parameters(), lr=0.01)
        for _ in range(3):
            for window in windows(cut((inputs, targets), [4] * 10 + [1]), 4):
                optimizer.zero_grad()
                train_window(model, window)
                optimizer.step()
    assert compare_parameters(accumulated, whole).largest < 1e-12


def backward_of_one_batch(model, window):
    inputs, targets = (torch.cat(parts) for parts in zip(*window, strict=True))
    functional.cross_entropy(model(inputs), targets).backward()


def test_a_scaler_scales_gradients_and_not_the_returned_loss():
    inputs, targets = samples(6)
    plain, scaled = network(), network()
    window = cut((inputs, targets), [4, 2])
    mean = backward(plain, window)
    assert backward(scaled, window, scale=lambda loss: 8 * loss) == mean
    assert torch.allclose(gradients(scaled), 8 * gradients(plain))


def test_micro_batches_are_moved_one_at_a_time():
    inputs, targets = samples(6)
    assert backward(network(), cut((inputs, targets), [4, 2]), device="cpu") > 0
    with pytest.raises((RuntimeError, NotImplementedError)):
        backward(network(), cut((inputs, targets), [4, 2]), device="meta")


@pytest.mark.parametrize("window", [[], [samples(0)], [(samples(3)[0], torch.full((3,), -100))]])
def test_a_window_in_which_nothing_counts_is_an_error_before_any_backward(window):
    model = network()
    with pytest.raises(ValueError, match=f"all targets of its {len(window)} micro-batches are ignored"):
        backward(model, window)
    assert all(p.grad is None for p in model.parameters())


def test_a_loss_that_is_not_finite_is_an_error_and_parameters_stay():
    inputs, targets = samples(4)
    inputs[3] = float("nan")
    model = network()
    before = copy.deepcopy(model)
    with pytest.raises(FloatingPointError, match="mean loss of the window is nan"):
        backward(model, cut((inputs, targets), [2, 2]))
    assert compare_parameters(model, before).largest == 0
