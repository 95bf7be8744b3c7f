"""course_utils.optimizers: what is right equals the large batch, what is wrong is wrong by the amount it should be."""

import copy
import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from course_utils.checks import compare_parameters
from course_utils.optimizers import (
    DENSE_OPTIMIZERS,
    AccumulatingOptimizer,
    AdamA,
    AdamMeanOfSquares,
    AdamPerMicroBatch,
    AdamSquaredMean,
    AdamSumOfSquares,
    MomentumPerMicroBatch,
)

ADAMS = [AdamSquaredMean, AdamMeanOfSquares, AdamSumOfSquares, AdamA, AdamPerMicroBatch]
ALL = [MomentumPerMicroBatch, *ADAMS]
UNDISTURBED = [AdamSquaredMean, AdamMeanOfSquares, AdamSumOfSquares]  # nothing is folded into m and v before step()


def weight(value=1.0):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def absorb(optimizer, parameter, share, gradient):
    parameter.grad = torch.as_tensor(gradient, dtype=parameter.dtype).expand_as(parameter).clone()
    optimizer.absorb(share)


def path(optimizer, parameter, windows):
    """The weight after each window; a window is a list of shares and gradients."""
    values = []
    for window in windows:
        for share, gradient in window:
            absorb(optimizer, parameter, share, gradient)
        optimizer.step()
        values.append(parameter.item())
    return values


def equal_shares(gradients):
    return [(1 / len(gradients), gradient) for gradient in gradients]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).double()


def batches(count, samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        inputs = torch.randn(samples, 3, generator=generator, dtype=torch.float64)
        yield inputs, torch.randint(0, 4, (samples,), generator=generator)


def train_in_windows(model, optimizer, data, sizes):
    for inputs, targets in data:
        optimizer.zero_grad()
        for some_inputs, some_targets in zip(inputs.split(sizes), targets.split(sizes), strict=True):
            functional.cross_entropy(model(some_inputs), some_targets).backward()
            optimizer.absorb(len(some_targets) / len(targets))
        optimizer.step()


def train_whole(model, optimizer, data):
    for inputs, targets in data:
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()


# dense optimizers


def test_dense_optimizers_are_all_that_step_without_a_closure():
    assert set(DENSE_OPTIMIZERS) >= {
        "SGD",
        "Adam",
        "AdamW",
        "NAdam",
        "RAdam",
        "RMSprop",
        "Adagrad",
        "Adafactor",
        "Muon",
    }
    assert not set(DENSE_OPTIMIZERS) & {"Optimizer", "SparseAdam", "LBFGS"}
    for kind in DENSE_OPTIMIZERS.values():
        matrix = torch.ones(2, 2, requires_grad=True)
        matrix.square().sum().backward()
        kind([matrix], lr=0.1).step()
        assert not torch.equal(matrix, torch.ones(2, 2))


# by hand: two windows of two micro-batches, (share, gradient); their mean gradients are 2 and 1

WINDOWS = [[(1 / 2, 1.0), (1 / 2, 3.0)], [(1 / 4, 4.0), (3 / 4, 0.0)]]


def test_momentum_per_micro_batch_by_hand():
    parameter = weight()
    optimizer = MomentumPerMicroBatch([parameter], lr=0.1, momentum=0.5)
    # velocity 0 -> .5·0 + .5·1 = .5 -> .5·.5 + .5·3 = 1.75;  weight 1 - .175
    # velocity -> .5·1.75 + .25·4 = 1.875 -> .5·1.875 + .75·0 = .9375;  weight .825 - .09375
    assert path(optimizer, parameter, WINDOWS) == pytest.approx([0.825, 0.73125], abs=1e-15)


# With betas .5 and .75, m is .5·0 + .5·2 = 1 and then .5·1 + .5·1 = 1, so m̂ is 1 / .5 = 2 and then 1 / .75 = 4/3.
# v̂ is v / .25 and then v / (1 - .75²) = v / .4375, but for AdamSumOfSquares.
BY_HAND = {
    # v: .25·2² = 1;  .75·1 + .25·1² = 1
    AdamSquaredMean: [(2, 1 / 0.25), (4 / 3, 1 / 0.4375)],
    # v: .25·(1/2 + 9/2) = 1.25;  .75·1.25 + .25·(16/4) = 1.9375
    AdamMeanOfSquares: [(2, 1.25 / 0.25), (4 / 3, 1.9375 / 0.4375)],
    # v: .25·(1 + 9) = 2.5;  .75²·2.5 + .25·16 = 5.40625.  weight: .25·2 = .5;  .75²·.5 + .5 = .78125
    AdamSumOfSquares: [(2, 2.5 / 0.5), (4 / 3, 5.40625 / 0.78125)],
    # v: .25·((1/2)² + (3/2)²) = .625;  .75·.625 + .25·(4/4)² = .71875
    AdamA: [(2, 0.625 / 0.25), (4 / 3, 0.71875 / 0.4375)],
    # m: .5·1 = .5, .5·.5 + .5·3 = 1.75;  .5·1.75 + .5·4 = 2.875, .5·2.875 + .5·0 = 1.4375
    # v: .25·1 = .25, .75·.25 + .25·9 = 2.4375;  .75·2.4375 + .25·16 = 5.828125, .75·5.828125 + .25·0 = 4.37109375
    AdamPerMicroBatch: [(1.75 / 0.5, 2.4375 / 0.25), (1.4375 / 0.75, 4.37109375 / 0.4375)],
}


@pytest.mark.parametrize("kind", ADAMS)
@pytest.mark.parametrize("weight_decay", [0, 0.5])
def test_adams_by_hand(kind, weight_decay):
    parameter = weight()
    optimizer = kind([parameter], lr=0.1, betas=(0.5, 0.75), eps=0.01, weight_decay=weight_decay)
    value, expected = 1.0, []
    for m, v in BY_HAND[kind]:
        value = (1 - 0.1 * weight_decay) * value - 0.1 * m / (math.sqrt(v) + 0.01)
        expected.append(value)
    assert path(optimizer, parameter, WINDOWS) == pytest.approx(expected, abs=1e-14)


# the same as torch.optim


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6), seed=st.integers(0, 1000), decay=st.booleans())
def test_adam_with_the_squared_mean_is_adam_of_the_large_batch(sizes, seed, decay):
    options = {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1 if decay else 0.0}
    accumulated, whole = network(), network()
    data = list(batches(6, sum(sizes), seed))
    train_in_windows(accumulated, AdamSquaredMean(accumulated.parameters(), **options), data, sizes)
    torch_kind = torch.optim.AdamW if decay else torch.optim.Adam
    train_whole(whole, torch_kind(whole.parameters(), **options), data)
    assert compare_parameters(accumulated, whole).largest < 1e-12


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("absorbing", [True, False])
def test_with_one_micro_batch_each_is_its_model_in_torch(kind, absorbing):
    options = {"lr": 0.01, "momentum": 0.8} if kind is MomentumPerMicroBatch else {"lr": 0.01, "weight_decay": 0.1}
    torch_kind = torch.optim.SGD if kind is MomentumPerMicroBatch else torch.optim.AdamW
    ours, theirs = network(), network()
    optimizer, data = kind(ours.parameters(), **options), list(batches(8, 6))
    if absorbing:
        train_in_windows(ours, optimizer, data, [6])
    else:
        train_whole(ours, optimizer, data)
    train_whole(theirs, torch_kind(theirs.parameters(), **options), data)
    assert compare_parameters(ours, theirs).largest < 1e-12
    assert all((p.grad is None) == absorbing for p in ours.parameters())  # step() leaves .grad as it is, as in torch


@pytest.mark.parametrize("kind", [k for k in ALL if k is not AdamSquaredMean])
def test_with_several_micro_batches_the_others_are_not(kind):
    ours, theirs = network(), network()
    data = list(batches(8, 8))
    train_in_windows(ours, kind(ours.parameters(), lr=0.01), data, [2] * 4)
    train_whole(theirs, AdamSquaredMean(theirs.parameters(), lr=0.01), data)
    if kind is MomentumPerMicroBatch:
        theirs = network()
        train_whole(theirs, torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9), data)
    assert compare_parameters(ours, theirs).largest > 1e-3


# momentum

GRADIENTS = st.floats(-10, 10)


@given(
    micro_batches=st.integers(1, 6),
    momentum=st.floats(0, 0.99),
    data=st.data(),
)
def test_momentum_per_micro_batch_is_sgd_of_the_power_on_decayed_gradients(micro_batches, momentum, data):
    windows = data.draw(st.lists(st.lists(GRADIENTS, min_size=micro_batches, max_size=micro_batches), max_size=5))
    ours, theirs = weight(), weight()
    optimizer = MomentumPerMicroBatch([ours], lr=0.1, momentum=momentum)
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=momentum**micro_batches)
    for gradients in windows:
        path(optimizer, ours, [equal_shares(gradients)])
        decayed = sum(momentum ** (micro_batches - 1 - k) * g / micro_batches for k, g in enumerate(gradients))
        theirs.grad = torch.tensor(decayed, dtype=torch.float64)
        sgd.step()
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)


@pytest.mark.parametrize("micro_batches", [1, 4, 16])
def test_the_effective_momentum_is_the_power_and_equal_gradients_arrive_in_part(micro_batches):
    parameter = weight()
    optimizer = MomentumPerMicroBatch([parameter], lr=0.1, momentum=0.9)
    positions = path(optimizer, parameter, [equal_shares([1.0] * micro_batches)] * 400)
    assert positions[-2] - positions[-1] == pytest.approx(0.1 / (micro_batches * (1 - 0.9)))  # SGD: .1 / (1 - .9)
    before = optimizer.state[parameter]["velocity"]
    path(optimizer, parameter, [equal_shares([0.0] * micro_batches)])
    assert (optimizer.state[parameter]["velocity"] / before).item() == pytest.approx(0.9**micro_batches)


# second moments


def second_moment(kind, mu, micro_batches, draws=50_000):
    """v̂ after one window of gradients with mean `mu` and standard deviation 1, averaged over many weights."""
    generator = torch.Generator().manual_seed(0)
    parameter = torch.zeros(draws, dtype=torch.float64, requires_grad=True)
    optimizer = kind([parameter])
    for _ in range(micro_batches):
        gradient = mu + torch.randn(draws, generator=generator, dtype=torch.float64)
        absorb(optimizer, parameter, 1 / micro_batches, gradient)
    optimizer.step()
    state = optimizer.state[parameter]
    return (state["v"] / state.get("weight", 1 - 0.999)).mean().item()


@pytest.mark.parametrize("mu", [0, 0.1, 1, 10])
@pytest.mark.parametrize("micro_batches", [4, 16])
def test_second_moments_differ_as_theory_has_it(mu, micro_batches):
    K = micro_batches
    a, b = second_moment(AdamSquaredMean, mu, K), second_moment(AdamMeanOfSquares, mu, K)
    assert a == pytest.approx(mu**2 + 1 / K, rel=0.03)
    assert b == pytest.approx(mu**2 + 1, rel=0.03)
    assert b / a == pytest.approx((mu**2 + 1) / (mu**2 + 1 / K), rel=0.03)
    assert second_moment(AdamSumOfSquares, mu, K) == pytest.approx(b, rel=1e-9)
    assert second_moment(AdamA, mu, K) == pytest.approx(b / K, rel=1e-9)
    assert second_moment(AdamA, mu, K) / a == pytest.approx((mu**2 + 1) / (K * mu**2 + 1), rel=0.03)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    gradient=st.floats(0.1, 10),
    kind=st.sampled_from([AdamSquaredMean, AdamMeanOfSquares, AdamSumOfSquares]),
)
def test_bias_correction_makes_equal_gradients_a_step_of_lr_whatever_the_windows(lengths, gradient, kind):
    parameter = weight()
    positions = path(kind([parameter], lr=0.1, eps=0), parameter, [equal_shares([gradient] * K) for K in lengths])
    assert positions == pytest.approx([1 - 0.1 * t for t in range(1, len(lengths) + 1)], abs=1e-12)


def test_the_bias_of_the_sum_of_squares_is_not_that_of_updates():
    """Gradients of 1, so that v should be 1: dividing by 1 - beta2^t leaves it too large, for any t."""
    parameter, K, beta2 = weight(), 4, 0.9
    optimizer = AdamSumOfSquares([parameter], betas=(0.9, beta2))
    for t in range(1, 201):
        path(optimizer, parameter, [equal_shares([1.0] * K)])
        v = optimizer.state[parameter]["v"].item()
        assert v / optimizer.state[parameter]["weight"] == pytest.approx(1)
        assert v / (1 - beta2 ** (K * t)) == pytest.approx(K * (1 - beta2) / (1 - beta2**K))  # .4 / .3439 = 1.163
        if t == 1:
            assert v / (1 - beta2**t) == pytest.approx(K)
    assert v / (1 - beta2**t) == pytest.approx(1.163, abs=1e-3)


def test_the_sum_of_squares_is_nearly_the_v_of_an_update_for_each_micro_batch():
    gradients = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).tolist()
    parameter, other = weight(), weight()
    summed, each = AdamSumOfSquares([parameter]), torch.optim.Adam([other])
    for window in gradients:
        path(summed, parameter, [equal_shares(window)])
        for gradient in window:
            other.grad = torch.tensor(gradient, dtype=torch.float64)
            each.step()
    ratio = summed.state[parameter]["v"] / each.state[other]["exp_avg_sq"]
    assert 1 < ratio.item() < 0.999**-3  # the first of 4 squares should have decayed three times


@pytest.mark.parametrize("micro_batches", [2, 4, 8])
def test_moments_per_micro_batch_make_the_first_steps_too_long(micro_batches):
    K = micro_batches
    parameter = weight()
    first = 1 - path(AdamPerMicroBatch([parameter], lr=0.1, eps=0), parameter, [equal_shares([3.0] * K)])[0]
    m, v = (1 - 0.9**K) / (1 - 0.9), (1 - 0.999**K) / (1 - 0.999)
    assert first == pytest.approx(0.1 * m / math.sqrt(v))
    assert 1.3 < first / 0.1 < math.sqrt(K)


def test_adam_a_makes_signal_steps_longer_by_the_root_of_k():
    parameter = weight()
    assert path(AdamA([parameter], lr=0.1, eps=0), parameter, [equal_shares([3.0] * 4)]) == pytest.approx([1 - 0.1 * 2])


@pytest.mark.parametrize(
    ("kind", "tensors"),
    [(AdamSquaredMean, 3), (AdamMeanOfSquares, 4), (AdamSumOfSquares, 4), (AdamA, 2), (AdamPerMicroBatch, 2)],
)
def test_what_is_kept_between_micro_batches(kind, tensors):
    """m and v, the gradient unless they took it at once, and the squares where they are separate."""
    parameter = weight()
    optimizer = kind([parameter])
    path(optimizer, parameter, WINDOWS)
    assert sum(isinstance(value, torch.Tensor) for value in optimizer.state[parameter].values()) == 2
    absorb(optimizer, parameter, 0.5, 1.0)
    assert parameter.grad is None
    assert sum(isinstance(value, torch.Tensor) for value in optimizer.state[parameter].values()) == tensors


# parameters without a gradient


@pytest.mark.parametrize("kind", ALL)
def test_parameters_without_a_gradient_are_skipped(kind):
    used, unused = weight(), weight()
    options = {} if kind is MomentumPerMicroBatch else {"weight_decay": 0.1}
    optimizer = kind([used, unused], **options)
    path(optimizer, used, WINDOWS)
    used.grad = None
    optimizer.step()  # neither .grad nor absorb(): nothing happens, as in torch.optim
    assert used.item() != 1 and unused.item() == 1 and unused not in optimizer.state
    assert optimizer.state[used].get("updates", 2) == 2


@pytest.mark.parametrize("kind", [AdamSquaredMean, AdamMeanOfSquares, AdamSumOfSquares, AdamA])
def test_a_micro_batch_that_does_not_reach_a_parameter_counts_as_a_gradient_of_zero(kind):
    reached, zero = weight(), weight()
    for parameter, gradients in [(reached, [1.0, None, 3.0]), (zero, [1.0, 0.0, 3.0])]:
        optimizer = kind([parameter], lr=0.1)
        for _ in range(2):
            for gradient in gradients:
                parameter.grad = None if gradient is None else torch.tensor(gradient, dtype=torch.float64)
                optimizer.absorb(1 / 3)
            optimizer.step()
    assert reached.item() == pytest.approx(zero.item(), abs=1e-15)


# saving and loading


def saved_and_loaded(optimizer):
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@settings(deadline=None)
@given(kind=st.sampled_from(ALL), cut=st.integers(0, 12), gradients=st.lists(GRADIENTS, min_size=12, max_size=12))
def test_a_loaded_state_continues_to_the_last_bit_from_anywhere(kind, cut, gradients):
    """Four windows of three micro-batches; after `cut` of them, a new optimizer takes over."""
    straight, resumed = weight(), weight()
    optimizers = kind([straight], lr=0.1), kind([resumed], lr=0.1)
    for i, gradient in enumerate(gradients):
        if i == cut:
            successor = kind([resumed], lr=7.0)
            successor.load_state_dict(saved_and_loaded(optimizers[1]))
            optimizers = optimizers[0], successor
        for parameter, optimizer in zip((straight, resumed), optimizers, strict=True):
            absorb(optimizer, parameter, [0.5, 0.3, 0.2][i % 3], gradient)
            if i % 3 == 2:
                optimizer.step()
    assert straight.item() == resumed.item()


@pytest.mark.parametrize("kind", ALL)
def test_what_was_loaded_is_not_changed_by_going_on(kind):
    first, second = weight(), weight()
    source, target = kind([first]), kind([second])
    path(source, first, WINDOWS)
    absorb(source, first, 0.5, 1.0)
    state = source.state_dict()
    before = copy.deepcopy(state)
    target.load_state_dict(state)
    absorb(target, second, 0.5, 2.0)
    target.step()
    assert state["state"]["window"] == before["state"]["window"]
    assert state["state"][0].keys() == before["state"][0].keys()
    assert all(state["state"][0][name] == value for name, value in before["state"][0].items())
    path(source, first, [[(0.5, 2.0)]])  # the source is where it was, too


@pytest.mark.parametrize("kind", ALL)
def test_a_copy_in_the_middle_of_a_window_goes_its_own_way(kind):
    parameter = weight()
    optimizer = kind([parameter])
    absorb(optimizer, parameter, 0.5, 1.0)
    other, other_parameter = copy.deepcopy((optimizer, parameter))
    assert path(other, other_parameter, [[(0.5, 3.0)]]) == path(optimizer, parameter, [[(0.5, 3.0)]])


# groups, schedulers, closures


@pytest.mark.parametrize("kind", ALL)
def test_groups_have_their_own_rates_and_may_be_added_later(kind):
    slow, fast, late = weight(), weight(), weight()
    optimizer = kind([{"params": [slow]}, {"params": [fast], "lr": 0.2}], lr=0.1)
    for parameters in ([slow, fast], [slow, fast, late]):
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        if late not in parameters:
            assert fast.item() - 1 == pytest.approx(2 * (slow.item() - 1))
            optimizer.add_param_group({"params": [late], "lr": 0.4})
            slow_first = slow.item()
    assert late.item() - 1 == pytest.approx(4 * (slow_first - 1))  # its first update, with a bias correction of its own


@pytest.mark.parametrize("kind", ALL)
def test_a_scheduler_sets_the_rate_of_the_next_update(kind):
    def position(lr, rates):
        parameter = weight()
        optimizer = kind([parameter], lr=lr)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: rates[update])
        for _ in rates[:-1]:
            path(optimizer, parameter, [equal_shares([1.0, 2.0])])
            scheduler.step()
        return 1 - parameter.item()

    steps = [position(0.1, [1, 1]), position(0.1, [1, 1, 1]) - position(0.1, [1, 1])]
    assert position(0.1, [1, 0.5, 0.1]) == pytest.approx(steps[0] + 0.5 * steps[1])


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("absorbing", [True, False])
def test_a_closure_may_compute_the_whole_window(kind, absorbing):
    with_closure, without = weight(), weight()
    optimizer = kind([with_closure], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = with_closure**2
        loss.backward()
        if absorbing:
            optimizer.absorb(1)
        return loss

    with torch.no_grad():  # step() has to turn gradients on for the closure
        assert optimizer.step(closure).item() == 1
    path(kind([without], lr=0.1), without, [[(1.0, 2.0)]])
    assert with_closure.item() == without.item()


# zero_grad


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_drops_the_window(kind, set_to_none):
    parameter = weight()
    optimizer = kind([parameter], lr=0.1)
    absorb(optimizer, parameter, 0.5, 1.0)
    optimizer.zero_grad(set_to_none)
    optimizer.step()
    assert parameter.item() == 1
    path(optimizer, parameter, WINDOWS)  # shares add up: the dropped one does not count
    assert parameter.item() != 1


@pytest.mark.parametrize("kind", UNDISTURBED)
def test_a_dropped_window_leaves_no_trace(kind):
    dropped, never = weight(), weight()
    optimizer = kind([dropped])
    for share, gradient in [(0.5, 1.0), (0.25, math.nan)]:
        absorb(optimizer, dropped, share, gradient)
    optimizer.zero_grad()
    assert path(optimizer, dropped, WINDOWS) == path(kind([never]), never, WINDOWS)


@pytest.mark.parametrize("kind", [MomentumPerMicroBatch, AdamA, AdamPerMicroBatch])
def test_a_gradient_that_was_folded_in_at_once_cannot_be_taken_back(kind):
    dropped, never = weight(), weight()
    optimizer = kind([dropped])
    absorb(optimizer, dropped, 0.5, 1.0)
    optimizer.zero_grad()
    assert path(optimizer, dropped, WINDOWS) != path(kind([never]), never, WINDOWS)


# errors


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("shares", "total"), [([0.5, 0.25], "0.75"), ([0.5] * 3, "1.5"), ([0.5, 0.500002], "1.000002")]
)
def test_shares_that_do_not_add_up_are_an_error_and_parameters_stay(kind, shares, total):
    parameter = weight()
    optimizer = kind([parameter], lr=0.1)
    for share in shares:
        absorb(optimizer, parameter, share, 1.0)
    with pytest.raises(ValueError, match=f"add up to {total}, not to 1: a micro-batch left out"):
        optimizer.step()
    assert parameter.item() == 1
    if sum(shares) < 1:  # the window is still open
        path(optimizer, parameter, [[(1 - sum(shares), 1.0)]])
        assert parameter.item() != 1


def test_zero_grad_before_each_backward_is_found():
    parameter = weight()
    optimizer = AdamSquaredMean([parameter])
    for share, gradient in WINDOWS[0]:
        optimizer.zero_grad()
        absorb(optimizer, parameter, share, gradient)
    with pytest.raises(ValueError, match=r"zero_grad\(\) called within the window\?"):
        optimizer.step()


@given(counts=st.lists(st.integers(1, 1000), min_size=1, max_size=50))
def test_shares_of_counted_samples_add_up(counts):
    parameter = weight()
    optimizer = AdamSquaredMean([parameter])
    for count in counts:
        absorb(optimizer, parameter, torch.tensor(count) / sum(counts), 1.0)  # counted tokens come as 32-bit tensors
    optimizer.step()
    assert parameter.item() != 1


@pytest.mark.parametrize("share", [0, -0.5, 1.01, 4, math.nan, math.inf, None, "0.5"])
def test_a_bad_share_is_named_and_nothing_is_absorbed(share):
    parameter = weight()
    optimizer = AdamSquaredMean([parameter])
    parameter.grad = torch.ones_like(parameter)
    with pytest.raises(ValueError, match="share="):
        optimizer.absorb(share)
    assert parameter.grad.item() == 1 and not optimizer.state


@pytest.mark.parametrize("kind", ALL)
def test_gradients_beside_absorbed_ones_are_an_error_and_parameters_stay(kind):
    parameter = weight()
    optimizer = kind([parameter])
    absorb(optimizer, parameter, 0.5, 1.0)
    parameter.grad = torch.ones_like(parameter)
    with pytest.raises(RuntimeError, match=r"call absorb\(\) after each backward\(\)"):
        optimizer.step()
    assert parameter.item() == 1
    optimizer.absorb(0.5)
    optimizer.step()
    assert parameter.item() != 1


BAD = [("lr", -0.1), ("lr", math.nan), ("lr", math.inf), ("lr", "0.1"), ("lr", None)]
BAD_OF_ADAM = [
    ("betas", (1.0, 0.9)),
    ("betas", (0.9, -0.1)),
    ("betas", (0.9,)),
    ("betas", 0.9),
    ("betas", ("0.9", 0.9)),
    ("eps", -1e-8),
    ("weight_decay", -1),
]
BAD_OF_MOMENTUM = [("momentum", 1.0), ("momentum", -0.5)]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(kind, *bad) for kind in ALL for bad in BAD]
    + [(kind, *bad) for kind in ADAMS for bad in BAD_OF_ADAM]
    + [(MomentumPerMicroBatch, *bad) for bad in BAD_OF_MOMENTUM],
)
def test_bad_hyperparameters_are_named_with_their_value(kind, name, value):
    with pytest.raises(ValueError) as error:
        kind([weight()], **{name: value})
    assert str(error.value).startswith(f"{name}={value!r} must be ")
    optimizer = kind([weight()])
    with pytest.raises(ValueError, match=f"{name}="):
        optimizer.add_param_group({"params": [weight()], name: value})
    assert len(optimizer.param_groups) == 1


def test_the_base_class_says_what_a_subclass_has_to_define():
    parameter = weight()
    optimizer = AccumulatingOptimizer([parameter], {"lr": 0.1})
    with pytest.raises(NotImplementedError):
        absorb(optimizer, parameter, 1.0, 1.0)
