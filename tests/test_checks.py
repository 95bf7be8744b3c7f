"""course_utils.checks: tells same from different, says where, and never calls a broken comparison a success."""

import contextlib
import io
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss, normalize
from torch.utils.data import DataLoader, TensorDataset

from course_utils.accumulation import MeanLoss, backward, mean_squared_error, windows
from course_utils.checks import ROUNDING, Difference, check_loop, compare_parameters, compare_training


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


# check_loop: loops as people write them. Micro-batches of 3, 3, 3, 3, 3 and 2 samples, 4 for an update.

K = 4


def micro_batches(samples=17, size=3, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    inputs, targets = scale * torch.randn(samples, 3, generator=generator), torch.arange(samples) % 2
    return list(zip(inputs.split(size), targets.split(size), strict=True))


def network(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*(layers or (nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))))


def report(loop, loader=None, model=None, **options):
    return check_loop(loop, model or network(), loader or micro_batches(), K, **options)


def kinds(found):
    return {fault.kind for fault in found.faults}


def modulo(divide=lambda loss, i, targets: loss / K, flush=False, first=False, reduction="mean", clear=True, make=None):
    """The loop that tutorials pass on, right or wrong in its parts."""

    def loop(model, optimizer, loader):
        optimizer = make(model) if make else optimizer
        for i, (inputs, targets) in enumerate(loader):
            loss = cross_entropy(model(inputs), targets, reduction=reduction)
            divide(loss, i, targets).backward()
            if (i % K == 0 if first else (i + 1) % K == 0) or (flush and i + 1 == len(loader)):
                optimizer.step()
                if clear:
                    optimizer.zero_grad()

    return loop


def divided_by(divisor, **how):
    return modulo(divide=lambda loss, i, targets: loss / divisor(i), **how)


def by_windows(total=None, before=lambda model: None, after=lambda model: None, each=lambda model: None, make=None):
    """Window-first, and right: what is called before and after the step, and after each backward(), may not be."""
    total = total or (lambda model, batch: cross_entropy(model(batch[0]), batch[1], reduction="sum"))

    def loop(model, optimizer, loader, *_):
        optimizer = make(model) if make else optimizer
        for window in windows(list(loader), K):
            optimizer.zero_grad()
            count = sum(len(batch["y"] if isinstance(batch, dict) else batch[-1]) for batch in window)
            for batch in window:
                (total(model, batch) / count).backward()
                each(model)
            before(model)
            optimizer.step()
            after(model)

    return loop


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


def no_accumulation(model, optimizer, loader):
    for inputs, targets in loader:
        (cross_entropy(model(inputs), targets) / K).backward()
        optimizer.step()
        optimizer.zero_grad()


def sample_by_sample(model, optimizer, loader):
    for i, (inputs, targets) in enumerate(loader):
        for j in range(len(inputs)):
            (cross_entropy(model(inputs[j : j + 1]), targets[j : j + 1]) / K).backward()
        if (i + 1) % K == 0 or i + 1 == len(loader):
            optimizer.step()
            optimizer.zero_grad()


def twice(model, optimizer, loader):
    for window in windows(loader, K):
        optimizer.zero_grad()
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples / len(window)).backward()
        optimizer.step()


def skips_empty(model, optimizer, loader):
    for i, (inputs, targets) in enumerate(loader):
        if (targets != -100).sum() == 0:
            continue  # and jumps over the step
        (cross_entropy(model(inputs), targets) / K).backward()
        if (i + 1) % K == 0:
            optimizer.step()
            optimizer.zero_grad()


def without_tail(model, optimizer, loader):
    by_windows()(model, optimizer, loader[: len(loader) // K * K])


def every_kth(model, optimizer, loader):
    for i, (inputs, targets) in enumerate(loader):
        loss = cross_entropy(model(inputs), targets) / K
        if (i + 1) % K == 0:
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()


def step_first(model, optimizer, loader):
    for i, (inputs, targets) in enumerate(loader):
        loss = cross_entropy(model(inputs), targets) / K
        if (i + 1) % K == 0:
            optimizer.step()
            optimizer.zero_grad()
        loss.backward()


def in_bfloat16(model, optimizer, loader):
    parameters = list(model.parameters())
    for window in windows(loader, K):
        samples = sum(len(targets) for _, targets in window)
        total = [torch.zeros_like(p, dtype=torch.bfloat16) for p in parameters]
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets, reduction="sum") / samples
            for kept, new in zip(total, torch.autograd.grad(loss, parameters), strict=True):
                kept += new.bfloat16()
        for p, gradient in zip(parameters, total, strict=True):
            p.grad = gradient.to(p.dtype)
        optimizer.step()


def clips_scaled(model, optimizer, loader):
    scaler = torch.amp.GradScaler("cpu")
    for window in windows(loader, K):
        optimizer.zero_grad()
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            scaler.scale(cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()


def scheduled(per_micro_batch):
    def loop(model, optimizer, loader):
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
        by_windows(
            each=lambda _: scheduler.step() if per_micro_batch else None,
            after=lambda _: None if per_micro_batch else scheduler.step(),
        )(model, optimizer, loader)

    return loop


def clip(model, norm=1.0):
    nn.utils.clip_grad_norm_(model.parameters(), norm)


def one_weight_is_off(model):
    model[0].weight.grad *= 2


EMPTY = [(inputs, targets.clone()) for inputs, targets in micro_batches(24)]
EMPTY[3][1][:] = -100
SIZES = [3, 3, 1, 3, 3, 3, 3, 1]
UNEVEN = list(zip(*(part.split(SIZES) for part in map(torch.cat, zip(*micro_batches(20), strict=True))), strict=True))
LARGE = micro_batches(scale=100.0)

#: Loops that are wrong: the faults that must be named, and none else; micro-batches, unless they are the usual ones.
WRONG = {
    "not divided": (divided_by(lambda i: 1, flush=True), {"not divided", "mean of means"}),
    "not divided, whole": (divided_by(lambda i: 1), {"not divided"}, micro_batches(24)),
    "sum instead of mean": (modulo(lambda loss, i, targets: loss, flush=True, reduction="sum"), {"summed"}),
    "tail dropped": (without_tail, {"tail dropped"}),
    "tail under-weighted": (modulo(flush=True), {"tail under-weighted", "mean of means"}),
    "tail carried over": (modulo(), {"tail carried over", "mean of means", "tail dropped"}),
    "carried over, not divided": (
        divided_by(lambda i: 1),
        {"tail carried over", "mean of means", "tail dropped", "not divided"},
    ),
    "counter runs on": (counter_runs_on(), {"counted on", "mean of means"}),
    "mean of means": (divided_by(lambda i: K if i < K else 2, flush=True), {"mean of means"}),
    "mean of means, no short window": (modulo(), {"mean of means"}, UNEVEN),
    "divided by the position": (divided_by(lambda i: i % K + 1, flush=True), {"divided by 1, 2, 3", "uneven weights"}),
    "divided by another number": (divided_by(lambda i: 7), {"other K"}, micro_batches(24)),
    "divided twice": (twice, {"divided twice"}),
    "summed, divided by K": (sample_by_sample, {"summed, divided by K"}),
    "the same, whole": (sample_by_sample, {"summed, divided by K"}, micro_batches(24)),
    "the same, of five": (sample_by_sample, {"summed, divided by K"}, micro_batches(22, 5)),
    "by the samples of a whole window": (
        modulo(lambda loss, i, targets: loss / (K * 3), flush=True, reduction="sum"),
        {"tail under-weighted"},
    ),
    "first alone": (modulo(first=True), {"first step alone", "tail under-weighted"}, micro_batches(15)),
    "first alone, and a tail": (
        modulo(first=True),
        {"first step alone", "tail under-weighted", "tail carried over", "tail dropped", "mean of means"},
    ),
    "first alone, 24 samples": (
        modulo(first=True),
        {"first step alone", "tail under-weighted", "tail carried over", "tail dropped"},
        micro_batches(24),
    ),
    "cleared each time": (cleared_each_time, {"cleared too early"}),
    "never cleared": (never_cleared, {"never cleared"}),
    "steps each time": (steps_each_time, {"stepped each micro-batch"}),
    "no accumulation": (no_accumulation, {"no accumulation"}),
    "no accumulation, whole": (no_accumulation, {"no accumulation"}, micro_batches(24)),
    "only every K-th": (every_kth, {"only every K-th"}, micro_batches(24)),
    "an empty one skips the step": (skips_empty, {"step missed"}, EMPTY),
    "step before backward": (step_first, {"step before backward"}, micro_batches(24)),
    "in bfloat16": (in_bfloat16, {"low precision"}),
    "clips each micro-batch": (by_windows(each=lambda model: clip(model, 0.05)), {"clipped each micro-batch"}),
    "clips scaled gradients": (clips_scaled, {"clipped before unscale_"}),
    "one parameter differs": (by_windows(before=one_weight_is_off), {"one parameter differs"}),
    "windows of two": (
        lambda model, optimizer, loader: [by_one_window(model, optimizer, window) for window in windows(loader, 2)],
        {"other K"},
        micro_batches(24),
    ),
}


def by_one_window(model, optimizer, window):
    optimizer.zero_grad()
    backward(model, window)
    optimizer.step()


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_loop_is_told_its_faults(name):
    loop, named, *loader = WRONG[name]
    found = report(loop, *loader)
    assert not found.is_right and str(found).startswith("wrong")
    assert kinds(found) == named, str(found)
    assert all(fault.sentence in str(found) for fault in found.faults)


def test_a_scheduler_that_steps_too_often_is_told():
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        found = report(scheduled(per_micro_batch=True), micro_batches(24))
    assert kinds(found) == {"scheduler each micro-batch"} and not found.is_right


def test_a_forgotten_division_makes_the_update_k_times_as_long():
    assert report(divided_by(lambda i: 1), micro_batches(24)).length == pytest.approx(K, rel=0.05)


# Loops that are right, in many ways


def weighted_means(model, optimizer, loader):
    for start in range(0, len(loader), K):
        window = loader[start : start + K]
        weights = [len(targets) for _, targets in window]
        means = [cross_entropy(model(inputs), targets) for inputs, targets in window]
        optimizer.zero_grad()
        (sum(w * mean for w, mean in zip(weights, means, strict=True)) / sum(weights)).backward()
        optimizer.step()


def gradients_divided_at_the_end(model, optimizer, loader):
    seen = torch.tensor(0)
    for i, (inputs, targets) in enumerate(loader, start=1):
        cross_entropy(model(inputs), targets, reduction="sum").backward()
        seen += len(targets)
        if i % K == 0 or i == len(loader):
            for p in model.parameters():
                p.grad.mul_(1 / seen)  # a float32 number: it differs in the eighth digit
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
            seen = torch.tensor(0)


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


def logits_in_float32(model, batch):
    return cross_entropy(model(batch[0]).float(), batch[1], reduction="sum")


def inputs_in_float32(model, batch):
    return cross_entropy(model(batch[0].float()), batch[1], reduction="sum")


def draws_first(model, optimizer, loader):
    torch.rand(1)
    by_windows()(model, optimizer, loader)


def an_optimizer_for_each(model, optimizer, loader):
    optimizers = [torch.optim.AdamW([p], lr=1e-3) for p in model.parameters()]
    for window in windows(loader, K):
        model.zero_grad()
        backward(model, window)
        for each in optimizers:
            each.step()


RIGHT = {
    "weighted means": weighted_means,
    "divided at the end": gradients_divided_at_the_end,
    "one large batch": one_large_batch,
    "autograd.grad": by_autograd_grad,
    "logits in float32": by_windows(logits_in_float32),
    "inputs in float32": by_windows(inputs_in_float32),
    "clips once": by_windows(before=clip),
    "its own AdamW": by_windows(make=lambda model: torch.optim.AdamW(model.parameters(), lr=1e-3)),
    "an optimizer for each parameter": an_optimizer_for_each,
    "a scheduler": scheduled(per_micro_batch=False),
    "random numbers of its own": draws_first,
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("samples", [17, 12, 3])
def test_right_loops_written_in_other_ways_are_right(name, samples):
    found = report(RIGHT[name], micro_batches(samples))
    assert found.is_right and not found.faults and str(found).startswith("right: "), str(found)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_clipping_that_acts_is_clipping_of_the_large_batch_too(scale):
    found = report(by_windows(before=clip), micro_batches(scale=scale))
    assert found.is_right and any("no gradient had a norm above" in what for what in found.unseen) == (scale == 1.0)


def test_clipping_that_never_acted_is_not_tested():
    found = report(by_windows(each=clip))
    assert found.is_right and "after each micro-batch, but no gradient had a norm above 1" in "".join(found.unseen)


def test_what_the_micro_batches_cannot_show_is_said():
    assert not report(one_large_batch).unseen
    found = report(by_windows(), micro_batches(24))
    assert [what.partition(":")[0] for what in found.unseen] == ["a short last window", "a mean of means"]
    assert "not tested by these micro-batches: a short last window" in str(found)


# The large batch is really run


def batch_norm():
    return network(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))


def test_batch_norm_is_not_additive():
    found = report(by_windows(), micro_batches(24), batch_norm())
    assert not found.is_right and not found.faults
    assert found.reason.startswith("this model's loss is not additive over micro-batches: BatchNorm1d in layer 1 ")
    assert report(one_large_batch, micro_batches(24), batch_norm()).is_right


def test_a_contrastive_loss_is_no_mean_over_samples():
    def contrast(outputs, _=None):
        return cross_entropy(10 * normalize(outputs) @ normalize(outputs).T.roll(1, 0), torch.arange(len(outputs)))

    def accumulated(model, optimizer, loader):
        for window in windows(loader, K):
            optimizer.zero_grad()
            for inputs, _ in window:
                (contrast(model(inputs)) / len(window)).backward()
            optimizer.step()

    def large(model, optimizer, loader):
        for window in windows(loader, K):
            optimizer.zero_grad()
            contrast(model(torch.cat([inputs for inputs, _ in window]))).backward()
            optimizer.step()

    loss = MeanLoss(lambda outputs, targets: contrast(outputs) * len(outputs), len)
    found = report(accumulated, micro_batches(24), loss=loss)
    assert not found.is_right and "this loss is not a mean over samples" in found.reason
    assert report(large, micro_batches(24), loss=loss).is_right


def test_dropout_is_compared_with_the_same_draws():
    dropout = network(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    assert report(draws_first, model=dropout).is_right
    assert kinds(report(without_tail, model=dropout)) == {"tail dropped"}


def test_batch_norm_shows_itself_beside_dropout():
    both = network(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.4), nn.Linear(8, 2))
    found = report(by_windows(), micro_batches(24), both)
    assert not found.is_right and "not additive over micro-batches: BatchNorm1d in layer 1" in found.reason


def test_a_model_that_takes_no_more_than_a_micro_batch():
    class Small(nn.Linear):
        def forward(self, inputs):
            if len(inputs) > 3:
                raise MemoryError("too many samples")
            return super().forward(inputs)

    found = report(by_windows(), model=Small(3, 2))
    assert found.is_right and any("MemoryError: too many samples" in note for note in found.notes)


def test_what_is_given_goes_to_both_sides():
    adam = {"optimizer": lambda parameters: torch.optim.Adam(parameters)}
    assert report(by_windows(), **adam).is_right
    assert not report(by_windows(make=lambda m: torch.optim.SGD(m.parameters(), lr=0.1)), **adam).is_right


def test_a_scheduler_and_a_norm_that_are_given():
    def loop(model, optimizer, loader, scheduler):
        by_windows(before=clip, after=lambda _: scheduler.step())(model, optimizer, loader)

    halves = {"scheduler": lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)}
    assert report(loop, LARGE, clip=1.0, **halves).is_right
    assert not report(loop, LARGE, clip=0.5, **halves).is_right


def test_batches_of_any_kind():
    batches = [{"x": inputs, "y": targets, "name": "a"} for inputs, targets in micro_batches()]

    def total(model, batch):
        return cross_entropy(model(batch["x"]), batch["y"], reduction="sum")

    def join(window):
        return {name: torch.cat([batch[name] for batch in window]) for name in ("x", "y")}

    found = report(
        by_windows(total), batches, loss=lambda model, batch: (total(model, batch), len(batch["y"])), join=join
    )
    assert found.is_right and not found.notes
    with pytest.raises(TypeError, match="pass loss=lambda model, batch"):
        report(by_windows(total), batches)


def test_a_loss_of_ones_own_with_its_counts():
    def total(model, batch):
        return ((model(batch[0]) - 1) ** 2).sum()

    found = report(by_windows(total), loss=lambda model, batch: (total(model, batch), len(batch[1])))
    assert found.is_right

    def means(model, optimizer, loader):
        for window in windows(loader, K):
            optimizer.zero_grad()
            for inputs, targets in window:
                (total(model, (inputs, targets)) / len(targets) / len(window)).backward()
            optimizer.step()

    found = report(means, loss=lambda model, batch: (total(model, batch), len(batch[1])))
    assert kinds(found) == {"mean of means"}


def test_the_loop_gets_the_loader_itself():
    inputs, targets = (torch.cat(parts) for parts in zip(*micro_batches(), strict=True))
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=3, shuffle=True)

    def asks(model, optimizer, given):
        assert given is loader and len(given.dataset) == 17
        by_windows()(model, optimizer, given)

    assert report(asks, loader).is_right


def test_float32_where_float64_cannot_be():
    loader = DataLoader(TensorDataset(torch.randn(17, 3), torch.randn(17, 2)), batch_size=3)

    def loop(model, optimizer, loader):
        for window in windows(loader, K):
            optimizer.zero_grad()
            elements = sum(targets.numel() for _, targets in window)
            for inputs, targets in window:
                if model(inputs).dtype != torch.float32:
                    raise RuntimeError("expected scalar type Float but found Double")
                (mse_loss(model(inputs), targets, reduction="sum") / elements).backward()
            optimizer.step()

    found = report(loop, loader, loss=mean_squared_error())
    assert found.is_right and found.rounding == ROUNDING[torch.float32]


def test_a_model_that_cannot_do_with_float64():
    class Rotated(nn.Linear):
        def forward(self, inputs):
            return super().forward(inputs @ torch.eye(3))

    found = report(by_windows(), model=Rotated(3, 2))
    assert found.is_right and found.rounding == ROUNDING[torch.float32]
    assert kinds(report(without_tail, model=Rotated(3, 2))) == {"tail dropped"}


def test_a_loop_that_trains_another_model():
    other = network()
    found = report(
        lambda model, *rest: by_windows(make=lambda _: torch.optim.SGD(other.parameters(), lr=0.1))(other, *rest)
    )
    assert not found.is_right and found.reason == "the loop does not change the model that it is given"


def test_a_loop_that_raises_is_reported_with_its_line():
    def loop(model, optimizer, loader):
        raise RuntimeError("out of coffee")

    found = report(loop)
    assert not found.is_right and "RuntimeError: out of coffee" in str(found) and "test_checks.py" in str(found)


def test_other_losses_and_layers():
    batches = micro_batches()
    for _, targets in batches[:2]:
        targets[1:] = -100
    model = nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8), nn.Dropout(0.5), nn.Linear(8, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    assert report(by_tokens, batches, model).is_right
    assert kinds(report(weighted_means, batches, model)) == {"mean of means"}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


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
            model[0].weight.fill_(torch.nan)

    assert report(breaks).difference == torch.inf


def test_check_loop_refuses_what_it_cannot_check():
    with pytest.raises(ValueError, match="loader gave no micro-batches"):
        report(one_large_batch, iter([]))
    with pytest.raises(ValueError, match="steps=0"):
        check_loop(one_large_batch, linear(), micro_batches(), 0)
    with pytest.raises(ValueError, match="change no parameter"):
        report(one_large_batch, model=nn.Sequential(linear().requires_grad_(False), Scale(0.0)))


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, inputs):
        return inputs + 0 * self.factor


def test_the_readmes_loop_is_told_its_faults():
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    source, said = re.search(
        r"```python\n(from course_utils.checks import check_loop.*?)```.*?\n\n(    .*?)\n\n", readme, re.S
    ).groups()
    names = {"torch": torch, "model": network(), "micro_batches": micro_batches()}
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(source, names)

    def faults(text):
        return [" ".join(line.split()) for line in " ".join(text.split()).split(" - ")[1:]]

    assert faults(said) == faults(shown.getvalue()) != []
