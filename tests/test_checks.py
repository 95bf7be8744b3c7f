"""course_utils.checks: tells same from different, says where, and never calls a broken comparison a success."""

import contextlib
import io
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_utils.accumulation import backward, windows
from course_utils.checks import MISTAKES, Difference, check_loop, compare_parameters, compare_training


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def add(number, parameter="weight"):
    def train(model):
        with torch.no_grad():
            getattr(model, parameter).add_(number)

    return train


def test_the_same_is_said_to_be_the_same():
    same = compare_parameters(linear(), linear())
    assert same.largest == 0 and str(same) == "the same to the last bit"


def test_the_largest_difference_and_its_place():
    model = linear()
    with torch.no_grad():
        model.weight[0, 0] += 0.25
        model.bias[1] -= 0.5
    difference = compare_parameters(model, linear())
    assert difference.largest == pytest.approx(0.5) and difference.parameter == "bias"
    assert str(Difference(0.5, "bias")) == "different by up to 5.0e-01, in bias"


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_training_that_broke_is_never_the_same(broken):
    assert compare_training(linear(), add(broken), add(broken)).largest == torch.inf


def test_different_models_cannot_be_compared():
    with pytest.raises(ValueError, match="different parameters"):
        compare_parameters(nn.Linear(3, 2), nn.Linear(2, 3))
    with pytest.raises(ValueError, match="no parameters"):
        compare_parameters(nn.ReLU(), nn.ReLU())


def test_both_ways_start_from_the_same_model_and_the_same_random_numbers():
    def noisy(model):
        add(torch.rand(1))(model)

    assert compare_training(linear(), noisy, noisy).largest == 0
    assert compare_training(linear(), add(1.0), add(1.5)).largest == pytest.approx(0.5)


def test_the_callers_model_and_random_numbers_stay_as_they_are():
    model, unchanged = linear(), linear()
    state = torch.get_rng_state()
    compare_training(model, add(1.0), add(1.0))
    assert torch.equal(state, torch.get_rng_state())
    assert compare_parameters(model, unchanged).largest == 0


def test_two_ways_that_train_nothing_are_an_error():
    with pytest.raises(ValueError, match="neither of the two ways changed a parameter"):
        compare_training(linear(), lambda model: None, lambda model: None)
    assert compare_training(linear(), lambda model: None, add(1.0)).largest == 1


# check_loop: loops as people write them. Micro-batches of 4, 4, 4, 4, 4 and 2 samples, 4 for an update.

K = 4


def micro_batches(samples=22, size=4):
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(samples, 3, generator=generator), torch.arange(samples) % 2
    return list(zip(inputs.split(size), targets.split(size), strict=True))


def report(loop, loader=None, model=None, **options):
    return check_loop(loop, model or linear(), loader or micro_batches(), K, **options)


def modulo(model, optimizer, loader, divide=lambda loss, i, targets: loss / K, reduction="mean", flush=True):
    """The loop that tutorials pass on, with a step at the end if `flush`."""
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(loader):
        loss = cross_entropy(model(inputs), targets, reduction=reduction)
        divide(loss, i, targets).backward()
        if (i + 1) % K == 0 or (flush and i + 1 == len(loader)):
            optimizer.step()
            optimizer.zero_grad()


def left_in_grad(model, optimizer, loader):
    for i, (inputs, targets) in enumerate(loader):
        (cross_entropy(model(inputs), targets) / K).backward()
        if (i + 1) % K == 0:
            optimizer.step()
            optimizer.zero_grad()


def counter_runs_on():
    count = 0

    def loop(model, optimizer, loader):
        nonlocal count
        for inputs, targets in loader:
            (cross_entropy(model(inputs), targets) / K).backward()
            count += 1
            if count % K == 0:
                optimizer.step()
                optimizer.zero_grad()

    return loop


def cleared_each_time(model, optimizer, loader):
    for window in windows(loader, K):
        for inputs, targets in window:
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs), targets, reduction="sum")
            (loss / sum(len(targets) for _, targets in window)).backward()
        optimizer.step()


def never_cleared(model, optimizer, loader):
    for window in windows(loader, K):
        backward(model, window)
        optimizer.step()


def steps_each_time(model, optimizer, loader):
    for window in windows(loader, K):
        optimizer.zero_grad()
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
            optimizer.step()


def steps_at_the_first(model, optimizer, loader):
    for i, (inputs, targets) in enumerate(loader):
        (cross_entropy(model(inputs), targets) / K).backward()
        if i % K == 0:
            optimizer.step()
            optimizer.zero_grad()


def divided_by(divisor):
    return lambda *arguments: modulo(*arguments, divide=lambda loss, i, targets: loss / divisor(i))


WRONG = {
    "not divided": (divided_by(lambda i: 1), ["gradients are K times too large"]),
    "sum instead of mean": (
        lambda *arguments: modulo(*arguments, divide=lambda loss, i, targets: loss, reduction="sum"),
        ["summed and not divided"],
    ),
    "tail missing": (lambda *arguments: modulo(*arguments, flush=False), ["last window is dropped"]),
    "tail under-weighted": (divided_by(lambda i: K), ["divided by K"]),
    "tail left in .grad": (left_in_grad, ["divided by K", "left in .grad"]),
    "counter runs on": (counter_runs_on(), ["divided by K", "counter of micro-batches runs on"]),
    "mean of means": (divided_by(lambda i: K if i < K else 2), ["mean of the micro-batches' means"]),
    "divided by the position": (divided_by(lambda i: i % K + 1), ["k-th micro-batch"]),
    "cleared each time": (cleared_each_time, ["cleared before each micro-batch"]),
    "never cleared": (never_cleared, ["never cleared"]),
    "steps each time": (steps_each_time, ["steps after each micro-batch"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_loop_is_told_by_its_mistakes(name):
    loop, said = WRONG[name]
    found = report(loop)
    assert not found.is_right
    assert any(all(words in explanation for words in said) for explanation in found.looks_like), found
    assert f"it looks like this: {found.looks_like[0]}" in str(found)


def test_every_mistake_is_tested():
    told = [explanation for loop, _ in WRONG.values() for explanation in report(loop).looks_like]
    told += report(steps_at_the_first, micro_batches(20)).looks_like
    assert [mistake for mistake in MISTAKES.values() if not any(mistake in explanation for explanation in told)] == []


def test_a_forgotten_division_is_k_times_as_long():
    assert report(WRONG["not divided"][0], micro_batches(32)).length == pytest.approx(K, rel=0.05)


def test_two_mistakes_are_told_together():
    found = report(lambda *arguments: modulo(*arguments, divide=lambda loss, i, targets: loss, flush=False))
    assert len(found.looks_like) == 1
    assert "K times too large" in found.looks_like[0] and "dropped" in found.looks_like[0]


def test_an_unknown_mistake_is_said_to_be_unknown():
    found = report(divided_by(lambda i: 7))
    assert not found.looks_like and "none of the known mistakes" in str(found)


def weighted_means(model, optimizer, loader):
    for start in range(0, len(loader), K):
        window = loader[start : start + K]
        weights = [len(targets) for _, targets in window]
        means = [cross_entropy(model(inputs), targets) for inputs, targets in window]
        optimizer.zero_grad()
        (sum(w * mean for w, mean in zip(weights, means, strict=True)) / sum(weights)).backward()
        optimizer.step()


def gradients_divided_at_the_end(model, optimizer, loader):
    seen = 0
    for i, (inputs, targets) in enumerate(loader, start=1):
        cross_entropy(model(inputs), targets, reduction="sum").backward()
        seen += len(targets)
        if i % K == 0 or i == len(loader):
            for p in model.parameters():
                p.grad /= seen
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
            seen = 0


def one_large_batch(model, optimizer, loader):
    for window in windows(loader, K):
        inputs, targets = (torch.cat(parts) for parts in zip(*window, strict=True))
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()


def by_autograd_grad(model, optimizer, loader):
    for window in windows(loader, K):
        samples = sum(len(targets) for _, targets in window)
        total = [torch.zeros_like(p) for p in model.parameters()]
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets, reduction="sum") / samples
            for kept, new in zip(total, torch.autograd.grad(loss, list(model.parameters())), strict=True):
                kept += new
        for p, gradient in zip(model.parameters(), total, strict=True):
            p.grad = gradient
        optimizer.step()


@pytest.mark.parametrize("loop", [weighted_means, gradients_divided_at_the_end, one_large_batch, by_autograd_grad])
@pytest.mark.parametrize("samples", [22, 16, 3])
def test_right_loops_written_in_other_ways_are_right(loop, samples):
    found = report(loop, micro_batches(samples))
    assert found.is_right and not found.looks_like and str(found).startswith("right: ")


def test_what_the_micro_batches_cannot_show_is_said():
    assert not report(one_large_batch).unseen
    found = report(one_large_batch, micro_batches(32))
    assert {mistake.split(",")[0] for mistake in found.unseen} >= {
        "a short last window is divided by K",
        "a short last window is dropped",
        "it takes the mean of the micro-batches' means",
    }
    assert "not tested by these micro-batches: a short last window is dropped" in str(found)


def test_other_losses_and_layers():
    batches = micro_batches()
    for _, targets in batches[:2]:
        targets[1:] = -100
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert report(by_tokens, batches, model).is_right
    assert not report(weighted_means, batches, model).is_right
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def by_tokens(model, optimizer, loader):
    for window in windows(loader, K):
        optimizer.zero_grad()
        counted = sum((targets != -100).sum() for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / counted).backward()
        optimizer.step()


def test_a_loop_that_breaks_down_is_wrong():
    def breaks(model, optimizer, loader):
        with torch.no_grad():
            model.weight.fill_(torch.nan)

    assert report(breaks).difference == torch.inf


def test_check_loop_refuses_what_it_cannot_check():
    with pytest.raises(ValueError, match="loader gave no micro-batches"):
        report(one_large_batch, iter([]))
    with pytest.raises(ValueError, match="steps=0"):
        check_loop(one_large_batch, linear(), micro_batches(), 0)
    with pytest.raises(ValueError, match="changes no parameter"):
        report(one_large_batch, model=nn.Sequential(linear().requires_grad_(False), Scale(0.0)))


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, inputs):
        return inputs + 0 * self.factor


def test_the_readmes_loop_is_told_by_its_mistakes():
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    source, said = re.search(
        r"```python\n(from course_utils.checks import check_loop.*?)```.*?\n\n(    .*?)\n\n", readme, re.S
    ).groups()
    names = {"torch": torch, "model": linear(), "micro_batches": micro_batches()}
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(source, names)

    def explanation(text):
        return " ".join(text.partition("it looks like this: ")[2].split())

    assert explanation(said) == explanation(shown.getvalue()) != ""
