"""course_utils.schedules: traces as PyTorch's source has them, rules by hand and by their invariants, clear errors."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from course_utils.schedules import (
    POWERS,
    half_life,
    plateau_trace,
    scaled_adam,
    scaled_beta2,
    scaled_lr,
    scheduler_trace,
    timm_rule,
    warmup_lr,
)

NAN, INF = float("nan"), float("inf")
rates = st.floats(1e-6, 10.0)
factors = st.floats(1e-3, 1e3)
betas = st.floats(0.5, 0.9999)


def lrs(metrics, **arguments):
    return [step.lr for step in plateau_trace(metrics, **arguments)]


def reductions(metrics, **arguments):
    return [index for index, step in enumerate(plateau_trace(metrics, **arguments)) if step.reduced]


# plateau_trace


@pytest.mark.parametrize(
    ("patience", "expected"),
    [
        (0, [1, 0.1, 0.01]),
        (1, [1, 1, 0.1, 0.1, 0.01]),
        (2, [1, 1, 1, 0.1, 0.1, 0.1, 0.01]),
        (3, [1, 1, 1, 1, 0.1]),
    ],
)
def test_patience_is_off_by_one(patience, expected):
    assert lrs([1.0] * len(expected), patience=patience) == pytest.approx(expected)


def test_every_field_by_hand():
    trace = plateau_trace([3.0, 4.0, 5.0, 1.0, 2.0, 2.0], lr=0.5, factor=0.5, patience=1, cooldown=1)
    assert [tuple(step) for step in trace] == [
        (3.0, 0.5, 3.0, 0, 0, False),
        (4.0, 0.5, 3.0, 1, 0, False),
        (5.0, 0.25, 3.0, 0, 1, True),
        (1.0, 0.25, 1.0, 0, 0, False),  # best is updated during cooldown
        (2.0, 0.25, 1.0, 1, 0, False),
        (2.0, 0.125, 1.0, 0, 1, True),
    ]


@given(patience=st.integers(0, 5), cooldown=st.integers(0, 5))
def test_period_on_a_flat_metric(patience, cooldown):
    found = reductions([1.0] * 40, patience=patience, cooldown=cooldown, factor=0.9)
    assert found == list(range(patience + 1, 40, patience + 1 + cooldown))


@given(metrics=st.lists(st.floats(), min_size=1, max_size=30), patience=st.integers(0, 3), cooldown=st.integers(0, 3))
def test_a_trace_is_what_the_scheduler_does_in_a_loop(metrics, patience, cooldown):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=patience, cooldown=cooldown)
    trace, before = plateau_trace(iter(metrics), patience=patience, cooldown=cooldown), 1.0
    assert len(trace) == len(metrics)
    for metric, step in zip(metrics, trace, strict=True):
        scheduler.step(metric)
        state = scheduler.state_dict()
        assert (step.metric, step.lr, step.best) == pytest.approx(
            (metric, scheduler.get_last_lr()[0], state["best"]), rel=0, abs=0, nan_ok=True
        )
        assert (step.num_bad_epochs, step.cooldown_counter) == (state["num_bad_epochs"], state["cooldown_counter"])
        assert step.num_bad_epochs <= patience and step.reduced == (step.lr < before)
        before = step.lr


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "limit"),
    [("min", "rel", 1.5), ("min", "abs", 1.75), ("max", "rel", 2.5), ("max", "abs", 2.25)],
)
def test_a_threshold_must_be_passed_not_only_reached(mode, threshold_mode, limit):
    arguments = {"mode": mode, "threshold_mode": threshold_mode, "threshold": 0.25}
    beyond = math.nextafter(limit, 0.0 if mode == "min" else 3.0)
    assert plateau_trace([2.0, limit], **arguments)[-1].num_bad_epochs == 1
    assert plateau_trace([2.0, beyond], **arguments)[-1].best == beyond


def test_negative_metrics_mislead_rel_mode():
    flat, worsening = [-1.0] * 8, [-1.0 + 0.00005 * epoch for epoch in range(10)]
    assert reductions(flat, patience=0) == []
    assert [step.best for step in plateau_trace(worsening, patience=0)] == worsening  # ever worse, ever the best
    assert reductions(flat, patience=0, threshold_mode="abs") == list(range(1, 8))
    assert reductions(worsening, patience=0, threshold_mode="abs", factor=0.5) == list(range(1, 10))


def test_a_flat_zero_reduces():
    assert reductions([0.0] * 4, patience=1) == [2]


def test_a_slow_improvement_counts_as_none():
    slow = [1 - 0.00005 * epoch for epoch in range(6)]
    assert reductions(slow, patience=1)[0] == 2
    assert reductions(slow, patience=1, threshold=0) == []


def test_nan_reduces_and_never_raises():
    trace = plateau_trace([NAN, NAN, 1.0, NAN, NAN], patience=1)
    assert [step.reduced for step in trace] == [False, True, False, False, True]
    assert [step.best for step in trace] == [INF, INF, 1.0, 1.0, 1.0]


def test_eps_blocks_a_reduction_but_starts_the_cooldown():
    trace = plateau_trace([1.0] * 5, lr=1e-8, patience=0, cooldown=1)
    assert {step.lr for step in trace} == {1e-8} and not any(step.reduced for step in trace)
    assert [step.cooldown_counter for step in trace] == [0, 1, 0, 1, 0]
    assert reductions([1.0] * 3, lr=1e-8, patience=0, eps=0.0) == [1, 2]


def test_min_lr_is_a_floor():
    for floor in (0.05, [0.05]):
        trace = plateau_trace([1.0] * 4, patience=0, min_lr=floor)
        assert [step.lr for step in trace] == pytest.approx([1, 0.1, 0.05, 0.05])
        assert [step.reduced for step in trace] == [False, True, True, False]
    assert reductions([1.0] * 4, patience=0, min_lr=2.0) == []


def test_metrics_may_be_tensors_and_accuracies():
    assert reductions(torch.tensor([0.5, 0.6, 0.6, 0.7]), mode="max", patience=0) == [2]


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "metrics is empty", {"metrics": []}),
        (ValueError, r"lr=0 must be a real number in \(0, inf\)", {"lr": 0}),
        (ValueError, "lr=nan must be", {"lr": NAN}),
        (ValueError, "Factor should be < 1.0", {"factor": 1.0}),
        (ValueError, "mode best is unknown", {"mode": "best"}),
        (ValueError, "threshold mode both is unknown", {"threshold_mode": "both"}),
        (ValueError, "expected 1 min_lrs, got 2", {"min_lr": [0.1, 0.2]}),
        (TypeError, "verbose", {"verbose": True}),
        (TypeError, "NoneType", {"metrics": [1.0, None]}),
    ],
)
def test_bad_plateau_arguments(error, message, arguments):
    with pytest.raises(error, match=message):
        plateau_trace(**{"metrics": [1.0], **arguments})


# scheduler_trace


def test_a_scheduler_by_hand():
    halving = functools.partial(lr_scheduler.StepLR, step_size=2, gamma=0.5)
    assert scheduler_trace(halving, 5, lr=8.0) == [8.0, 8.0, 4.0, 4.0, 2.0]


@pytest.mark.parametrize(
    "make_scheduler",
    [
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 8),
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=8),
        lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.1, 1.0, step_size_up=2),
        lambda optimizer: lr_scheduler.SequentialLR(
            optimizer,
            [lr_scheduler.LinearLR(optimizer, 0.25, total_iters=3), lr_scheduler.ExponentialLR(optimizer, 0.9)],
            [3],
        ),
    ],
)
def test_schedulers_run_to_their_end_without_a_warning(make_scheduler):
    found = scheduler_trace(make_scheduler, 8)
    assert len(found) == 8 and all(type(lr) is float for lr in found) and len(set(found)) > 2


@pytest.mark.parametrize(("arguments", "message"), [((0,), "updates=0"), ((2.5,), "updates=2.5"), ((1, -1.0), "lr=-1")])
def test_bad_scheduler_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        scheduler_trace(functools.partial(lr_scheduler.StepLR, step_size=2), *arguments)


# scaled_lr and timm_rule


def test_rules_by_hand():
    assert [scaled_lr(0.1, 16, rule) for rule in POWERS] == [0.1, 0.4, 1.6]
    assert scaled_lr(0.1, 32, "linear") == 3.2  # Goyal et al. 2017: 0.1 at 256 images, 3.2 at 8,192
    assert scaled_lr(0.1, 1 / 4, "sqrt") == 0.05
    assert scaled_lr(np.float32(0.5), np.int64(4), "sqrt") == 1.0


@given(lr=rates, first=factors, second=factors, rule=st.sampled_from(list(POWERS)))
def test_rules_compose_and_invert(lr, first, second, rule):
    then = scaled_lr(scaled_lr(lr, first, rule), second, rule)
    assert then == pytest.approx(scaled_lr(lr, first * second, rule), rel=1e-12)
    assert scaled_lr(scaled_lr(lr, first, rule), 1 / first, rule) == pytest.approx(lr, rel=1e-12)


@pytest.mark.parametrize(
    "name", ["adam", "AdamW", "nadam", "RAdam", "adagrad", "Adafactor", "adadelta", "lamb", "LAMBC"]
)
def test_timm_takes_the_root_for_adaptive_names(name):
    assert timm_rule(name) == "sqrt"


@pytest.mark.parametrize("name", ["sgd", "momentum", "rmsprop", "RMSpropTF", "lion", "lars", "madgrad", ""])
def test_timm_is_linear_for_the_others(name):
    assert timm_rule(name) == "linear"


# warmup_lr


def test_warmup_by_hand():
    assert [warmup_lr(0.5, 5, update, 4) for update in range(7)] == [0.5, 1.0, 1.5, 2.0, 2.5, 2.5, 2.5]


@given(lr=rates, k=factors, warmup_updates=st.integers(1, 50))
def test_warmup_has_constant_increments_and_exact_ends(lr, k, warmup_updates):
    found = [warmup_lr(lr, k, update, warmup_updates) for update in range(warmup_updates + 3)]
    assert found[0] == lr and set(found[warmup_updates:]) == {scaled_lr(lr, k, "linear")}
    increments = [after - before for before, after in itertools.pairwise(found[: warmup_updates + 1])]
    expected = (k - 1) * lr / warmup_updates
    assert increments == pytest.approx([expected] * warmup_updates, rel=1e-9, abs=1e-12 * max(found))


def test_warmup_in_a_loop_and_as_pytorch_has_it():
    by_factor = scheduler_trace(lambda sgd: lr_scheduler.LambdaLR(sgd, lambda n: warmup_lr(1.0, 8, n, 5)), 9, lr=0.1)
    by_pytorch = scheduler_trace(lambda sgd: lr_scheduler.LinearLR(sgd, start_factor=1 / 8, total_iters=5), 9, lr=0.8)
    assert by_factor == pytest.approx([warmup_lr(0.1, 8, update, 5) for update in range(9)], rel=1e-12)
    assert by_factor == pytest.approx(by_pytorch, rel=1e-12)


# scaled_adam


def test_adam_by_hand():
    found = scaled_adam(1e-3, 4)
    assert found["lr"] == pytest.approx(2e-3) and found["eps"] == pytest.approx(5e-9)
    assert found["betas"] == pytest.approx((0.6, 0.996))
    defaults = torch.optim.Adam([torch.zeros(1)], **found).defaults
    assert {name: defaults[name] for name in found} == found
    assert scaled_adam(1e-3, np.float32(4))["betas"] == found["betas"]  # not rounded to float32
    assert scaled_adam(0.01, 1 / 4, betas=(0.6, 0.0), eps=0)["betas"] == pytest.approx((0.9, 0.75))


@given(lr=rates, beta1=betas, beta2=betas, share=st.floats(1e-3, 0.999), final_share=st.floats(1e-3, 0.999))
def test_adam_composes_and_inverts(lr, beta1, beta2, share, final_share):
    limit = 1 / (1 - min(beta1, beta2))
    first, second = share * limit, final_share / share
    start = {"lr": lr, "betas": (beta1, beta2), "eps": 1e-8}
    once = scaled_adam(k=first, **start)
    for found, expected in [
        (scaled_adam(k=second, **once), scaled_adam(k=first * second, **start)),
        (scaled_adam(k=1 / first, **once), start),
    ]:
        assert found["lr"] == pytest.approx(expected["lr"], rel=1e-9)
        assert found["betas"] == pytest.approx(expected["betas"], rel=0, abs=1e-9)
        assert found["eps"] == pytest.approx(expected["eps"], rel=1e-9)


@pytest.mark.parametrize(
    ("k", "betas", "limit"),
    [
        (10, (0.9, 0.999), "1 / (1 - 0.9) = 10"),  # 1 - 10 * (1 - 0.9) is above 0 in floating point
        (1000, (0.999, 0.9999), "1 / (1 - 0.999) = 1000"),
        (50, (0.9, 0.5), "1 / (1 - 0.5) = 2"),  # the limit named is the one that holds for both
        (1.5, (0.0, 0.99), "1 / (1 - 0.0) = 1"),
    ],
)
def test_adam_has_a_limit(k, betas, limit):
    with pytest.raises(ValueError) as raised:
        scaled_adam(1e-3, k, betas)
    assert f"k={float(k)} must be below {limit}, " in str(raised.value)
    below = scaled_adam(1e-3, float(limit.split()[-1]) * (1 - 1e-6), betas)
    assert all(0 < beta < 1 for beta in below["betas"])


def test_one_times_the_batch_changes_nothing():
    for pair in ((0.0, 0.0), (0.0, 0.999), (0.9, 0.999)):
        assert scaled_adam(0.1, 1, pair, 1e-6) == {"lr": 0.1, "betas": pytest.approx(pair), "eps": 1e-6}
        assert scaled_beta2(pair[1], 1) == pair[1]


# scaled_beta2 and half_life


def test_half_life_by_hand():
    assert half_life(0.5, 32) == 32.0
    assert half_life(math.sqrt(0.5), 32) == pytest.approx(64.0)
    # Marek et al. 2025: 0.95 at batch 512 is 0.9999 at 1, and 0.95 at 16 is 0.997 at 1
    assert scaled_beta2(0.95, 1 / 512) == pytest.approx(0.9999, abs=5e-7)
    assert scaled_beta2(0.95, 1 / 16) == pytest.approx(0.9968, abs=5e-6)
    assert scaled_beta2(0.9, 2) == pytest.approx(0.81) and scaled_beta2(0.0, 3) == 0.0


@given(beta2=betas, batch_size=st.integers(1, 10**6), first=st.floats(0.01, 20), second=st.floats(0.01, 20))
def test_half_life_in_samples_is_unchanged(beta2, batch_size, first, second):
    scaled = scaled_beta2(beta2, first)
    assert half_life(scaled, batch_size * first) == pytest.approx(half_life(beta2, batch_size), rel=1e-9)
    assert scaled_beta2(scaled, second) == pytest.approx(scaled_beta2(beta2, first * second), rel=1e-9)
    assert scaled_beta2(scaled, 1 / first) == pytest.approx(beta2, rel=1e-9)


@given(beta=st.floats(0.9, 0.9999), k=st.floats(1, 9.99))
def test_the_two_rules_for_beta2_agree_while_little_is_forgotten(beta, k):
    linear, power = scaled_adam(1.0, k, (beta, beta))["betas"][1], scaled_beta2(beta, k)
    assert -1e-12 < power - linear < (k * (1 - beta)) ** 2


# errors


@pytest.mark.parametrize("k", [0, -2.0, NAN, INF, True, "2", None])
@pytest.mark.parametrize(
    "rule",
    [
        lambda k: scaled_lr(0.1, k, "linear"),
        lambda k: scaled_adam(0.1, k),
        lambda k: warmup_lr(0.1, k, 0, 10),
        lambda k: scaled_beta2(0.999, k),
    ],
)
def test_k_must_be_a_finite_positive_number(rule, k):
    with pytest.raises(ValueError, match=rf"^k={k!r} must be a real number in \(0, inf\)"):
        rule(k)


@pytest.mark.parametrize("lr", [0.0, -0.1, NAN, INF, "0.1"])
@pytest.mark.parametrize(
    "rule", [lambda lr: scaled_lr(lr, 2, "none"), lambda lr: scaled_adam(lr, 2), lambda lr: warmup_lr(lr, 2, 0, 10)]
)
def test_lr_must_be_a_finite_positive_number(rule, lr):
    with pytest.raises(ValueError, match=rf"^lr={lr!r} must be a real number in \(0, inf\)"):
        rule(lr)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scaled_lr(0.1, 2, "cubic"), "rule='cubic' must be one of 'none', 'sqrt', 'linear'"),
        (lambda: scaled_lr(0.1, 2, None), "rule=None must be one of"),
        (lambda: timm_rule(torch.optim.AdamW), "must be a string"),
        (lambda: warmup_lr(0.1, 2, -1, 10), r"update=-1 must be a real number in \[0, inf\)"),
        (lambda: warmup_lr(0.1, 2, 0, 0), "warmup_updates=0"),
        (lambda: scaled_adam(0.1, 2, (1.0, 0.999)), r"betas\[0\]=1.0 must be a real number in \[0, 1\)"),
        (lambda: scaled_adam(0.1, 2, (0.9, -0.1)), r"betas\[1\]=-0.1"),
        (lambda: scaled_adam(0.1, 2, (0.9, 0.99, 0.999)), "must be two numbers"),
        (lambda: scaled_adam(0.1, 2, eps=-1e-8), "eps=-1e-08"),
        (lambda: scaled_adam(0.1, 1e-20), "scaled beta=1.0"),
        (lambda: scaled_beta2(1.0, 2), r"beta2=1.0 must be a real number in \[0, 1\)"),
        (lambda: scaled_beta2(0.999, 1e-20), "scaled beta2=1.0"),
        (lambda: half_life(0.0, 32), r"beta=0.0 must be a real number in \(0, 1\)"),
        (lambda: half_life(0.9, 0), "batch_size=0"),
    ],
)
def test_other_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
