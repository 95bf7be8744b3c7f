"""course_utils.watch holds for what real training does: every kind of loss, loop, optimizer and library."""

import copy
import gc
import itertools
import math
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from torch.optim import SGD, Adam, AdamW, lr_scheduler
from torch.optim import optimizer as torch_optimizer
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset, dataloader

from course_utils.watch import __main__ as command
from course_utils.watch import assert_right, watch
from course_utils.watch.recorder import KEPT, SKETCH

ROOT = Path(__file__).parent.parent
M, K = 3, 4  # samples of a micro-batch, micro-batches of an update
WHOLE = [[1 / K] * K] * 2  # the weights of two whole windows


def batches(samples=2 * K * M, features=5, classes=3):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, features, generator=generator)
    targets = torch.randint(classes, (samples,), generator=generator)
    return list(zip(inputs.split(M), targets.split(M), strict=True))


def network(hidden=8):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, hidden), nn.Tanh(), nn.Linear(hidden, 3))


def sgd(model, **options):
    return SGD(model.parameters(), lr=0.1, **options)


def is_last(i, loader):
    return (i + 1) % K == 0 or i + 1 == len(loader)


def divided(model, inputs, targets):
    return F.cross_entropy(model(inputs), targets) / K


def train(model, loader=None, loss_of=divided, optimizer=None, before=lambda: None, each=lambda: None):
    """Accumulates over K; `loss_of` divides. `before` is called before a step, `each` after a backward()."""
    loader, optimizer = batches() if loader is None else loader, optimizer or sgd(model)
    for i, batch in enumerate(loader):
        loss_of(model, *batch).backward()
        each()
        if is_last(i, loader):
            before()
            optimizer.step()
            optimizer.zero_grad()


def windows(loader):
    return [loader[start : start + K] for start in range(0, len(loader), K)]


def weights(table):
    return [[each.weight for each in row.micro_batches] for row in table.rows]


def plain(table):
    return [[each.plain for each in row.micro_batches] for row in table.rows]


def numbers(table):
    return [[each.number for each in row.micro_batches] for row in table.rows]


def kinds(seen):
    return {fault.kind for fault in seen.faults}


def near(rows, rel=1e-3):
    return [pytest.approx(row, rel=rel) for row in rows]


def assert_whole(seen, rows=WHOLE):
    """One table of two whole windows in their order, nothing wrong with them."""
    (table,) = seen.tables
    assert weights(table) == plain(table) == near(rows), str(seen)
    assert numbers(table) == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert seen.faults == [] and seen.verdict == "right" and seen.recording.error is None, str(seen)


pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning")  # it would like more workers

# Losses


def own_cross_entropy(outputs, targets):
    return -outputs.log_softmax(1).gather(1, targets[:, None]).mean()


def masked(outputs, targets):
    mask = torch.tensor([1.0, 0.0, 1.0])
    return (F.cross_entropy(outputs, targets, reduction="none") * mask).sum() / mask.sum()


def ctc(outputs, targets):
    log_probabilities = outputs.log_softmax(1)[None].expand(7, -1, -1)
    lengths = torch.full((len(targets),), 2)
    return F.ctc_loss(log_probabilities, targets.clamp(1)[:, None].expand(-1, 2), lengths + 5, lengths)


def hot(targets):
    return F.one_hot(targets, 3).float()


def ce(**options):
    return lambda outputs, targets: F.cross_entropy(outputs, targets, **options)


def on_hot(loss, change=lambda outputs: outputs):
    return lambda outputs, targets: loss(change(outputs), hot(targets))


#: Means of the outputs' losses, as people write them.
MEANS = {
    "cross_entropy": ce(),
    "CrossEntropyLoss": nn.CrossEntropyLoss(),
    "label smoothing": ce(label_smoothing=0.1),
    "nll_loss": lambda outputs, targets: F.nll_loss(outputs.log_softmax(1), targets),
    "NLLLoss": lambda outputs, targets: nn.NLLLoss()(outputs.log_softmax(1), targets),
    "soft targets": on_hot(F.cross_entropy),
    "own": own_cross_entropy,
    "none, mean": lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none").mean(),
    "none, sum": lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none").sum() / len(targets),
    "sum": lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="sum") / len(targets),
    "masked": masked,
    "bce with logits": on_hot(F.binary_cross_entropy_with_logits),
    "BCEWithLogitsLoss": on_hot(nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0]))),
    "BCELoss": on_hot(nn.BCELoss(), torch.sigmoid),
    "mse": on_hot(F.mse_loss),
    "MSELoss": on_hot(nn.MSELoss()),
    "own mse": lambda outputs, targets: (outputs - hot(targets)).pow(2).mean(),
    "L1Loss": on_hot(nn.L1Loss()),
    "SmoothL1Loss": on_hot(nn.SmoothL1Loss()),
    "HuberLoss": on_hot(nn.HuberLoss()),
    "KLDivLoss": on_hot(nn.KLDivLoss(reduction="batchmean"), lambda outputs: outputs.log_softmax(1)),
    "PoissonNLLLoss": on_hot(nn.PoissonNLLLoss()),
    "GaussianNLLLoss": lambda outputs, targets: nn.GaussianNLLLoss()(outputs, hot(targets), torch.ones_like(outputs)),
    "SoftMarginLoss": lambda outputs, targets: nn.SoftMarginLoss()(outputs, 2 * hot(targets) - 1),
    "MultiMarginLoss": nn.MultiMarginLoss(),
    "MultiLabelSoftMarginLoss": on_hot(nn.MultiLabelSoftMarginLoss()),
    "TripletMarginLoss": lambda outputs, targets: nn.TripletMarginLoss()(outputs, hot(targets), -hot(targets)),
    "CosineEmbeddingLoss": lambda outputs, targets: nn.CosineEmbeddingLoss()(
        outputs, hot(targets), torch.ones(len(targets))
    ),
    "ctc": ctc,
}


@pytest.mark.parametrize("name", MEANS)
def test_a_mean_divided_by_k_weighs_one_part_in_k(name):
    model = network()
    with watch(model, steps=K) as seen:
        train(model, loss_of=lambda model, inputs, targets: MEANS[name](model(inputs), targets) / K)
    assert_whole(seen)


#: Losses whose micro-batches have different counts: their sum, and the count.
CLASS_WEIGHTS = torch.tensor([1.0, 2.0, 5.0])
SUMS = {
    "ignore_index": (ce(reduction="sum"), lambda targets: (targets != -100).sum()),
    "own ignore_index": (
        lambda outputs, targets: F.cross_entropy(outputs, targets.clamp(0), ignore_index=0, reduction="sum"),
        lambda targets: (targets > 0).sum(),
    ),
    "class weights": (
        lambda outputs, targets: F.cross_entropy(outputs, targets.clamp(0), CLASS_WEIGHTS, reduction="sum"),
        lambda targets: CLASS_WEIGHTS[targets.clamp(0)].sum(),
    ),
    "smoothed": (ce(reduction="sum", label_smoothing=0.1), lambda targets: (targets != -100).sum()),
    "none and mask": (
        lambda outputs, targets: (
            F.cross_entropy(outputs, targets.clamp(0), reduction="none") * (targets != -100)
        ).sum(),
        lambda targets: (targets != -100).sum(),
    ),
}


def some_ignored(samples=2 * K * M):
    found = batches(samples)
    for i, (_, targets) in enumerate(found):
        targets[: i % M] = -100
    return found


@pytest.mark.parametrize("name", SUMS)
def test_sums_divided_by_the_windows_count_weigh_their_share_of_it(name):
    total, count = SUMS[name]
    model, loader = network(), some_ignored()
    shares = [[float(count(targets)) for _, targets in window] for window in windows(loader)]
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for window in windows(loader):
            for inputs, targets in window:
                (total(model(inputs), targets) / sum(count(targets) for _, targets in window)).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert_whole(seen, [[part / sum(row) for part in row] for row in shares])


@pytest.mark.parametrize("loss", [ce(), ce(weight=CLASS_WEIGHTS), ce(label_smoothing=0.1)])
def test_means_with_different_counts_are_named(loss):
    model = network()
    with watch(model, steps=K) as seen:
        train(model, some_ignored(), lambda model, inputs, targets: loss(model(inputs), targets) / K)
    assert weights(seen.tables[0]) == near(WHOLE)
    assert kinds(seen) == {"mean of means"} and seen.verdict == "wrong"


def in_place(loss):
    loss /= K
    return loss


def in_place_under_a_name(loss):
    loss.div_(K)
    return loss


#: What people do to the mean before backward(), and what it weighs then.
SCALED = {
    "/= K": (in_place, 1 / K),
    "div_": (in_place_under_a_name, 1 / K),
    "* (1 / K)": (lambda loss: loss * (1 / K), 1 / K),
    "tensor": (lambda loss: loss / torch.tensor(float(K)), 1 / K),
    "mean of a stack": (lambda loss: torch.stack([loss, loss]).mean() / K, 1 / K),
    "twice by halves": (lambda loss: loss / 2 / 2, 1 / K),
}


@pytest.mark.parametrize("name", SCALED)
def test_however_the_loss_is_divided(name):
    change, weight = SCALED[name]
    model = network()
    with watch(model) as seen:
        train(model, loss_of=lambda model, inputs, targets: change(F.cross_entropy(model(inputs), targets)))
    assert_whole(seen, [[weight] * K] * 2)


def norm_of(model):
    return sum(p.pow(2).sum() for p in model.parameters())


#: Several losses in a backward(): the one that is shown is the main one.
SEVERAL = {
    "an auxiliary loss": lambda main, outputs, model: main + 0.3 * outputs.pow(2).mean(),
    "an auxiliary loss before": lambda main, outputs, model: 0.3 * outputs.pow(2).mean() + main,
    "a penalty on the weights": lambda main, outputs, model: main + 1e-2 * norm_of(model),
    "of the same kind": lambda main, outputs, model: main + 0.3 * F.cross_entropy(outputs, outputs.argmax(1)),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_of_several_losses_the_main_one_is_shown(name):
    def loss_of(model, inputs, targets):
        outputs = model(inputs)
        return SEVERAL[name](F.cross_entropy(outputs, targets), outputs, model) / K

    model = network()
    with watch(model, steps=K) as seen:
        train(model, loss_of=loss_of)
    assert weights(seen.tables[0]) == near(WHOLE) or weights(seen.tables[0]) == near([[1.3 / K] * K] * 2)
    assert seen.verdict == "right", str(seen)


@pytest.mark.parametrize("by_loader", [True, False])
def test_several_backwards_of_a_micro_batch_are_one_micro_batch(by_loader):
    """Two losses of one forward pass, with retain_graph, each with a backward() of its own."""
    model, parts = network(), batches()
    data = TensorDataset(*map(torch.cat, zip(*parts, strict=True)))
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for i, (inputs, targets) in enumerate(DataLoader(data, M) if by_loader else parts):
            outputs = model(inputs)
            (F.cross_entropy(outputs, targets) / K).backward(retain_graph=True)
            (F.multi_margin_loss(outputs, targets) / K).backward()
            if (i + 1) % K == 0:
                optimizer.step()
                optimizer.zero_grad()
    (table,) = seen.tables
    assert numbers(table) == [[1, 2, 3, 4], [5, 6, 7, 8]], str(seen)
    assert [len(each.backwards) for each in table.rows[0].micro_batches] == [2] * K
    assert weights(table) == near(WHOLE) and seen.verdict == "right", str(seen)


class LossInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = network()

    def forward(self, x, y, scale=1.0):
        return {"loss": F.cross_entropy(self.body(x * scale), y), "logits": None}


#: Batches of any kind: what is made of (inputs, targets), and how the loss is taken from it.
KINDS = {
    "dict": (lambda x, y: {"x": x, "y": y}, lambda model, batch: model(**batch)["loss"]),
    "three": (lambda x, y: (x, torch.ones(len(x), 1), y), lambda model, b: model(b[0], b[2], b[1])["loss"]),
    "list": (lambda x, y: [x, y], lambda model, batch: model(*batch)["loss"]),
    "nested": (lambda x, y: {"in": [x, {"y": y}]}, lambda m, b: m(b["in"][0], b["in"][1]["y"])["loss"]),
    "samples": (
        lambda x, y: list(zip(x, y, strict=True)),
        lambda model, batch: model(*map(torch.stack, zip(*batch, strict=True)))["loss"],
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_batches_of_any_kind_and_losses_inside_the_model(name):
    make, loss_of = KINDS[name]
    model, loader = LossInside(), [(make(*batch),) for batch in batches()]
    with watch(model, steps=K) as seen:
        train(model, loader, lambda model, batch: loss_of(model, batch) / K)
    assert_whole(seen)


def own_loss(outputs, targets):
    """A mean of its own, whose count no graph knows."""
    return torch.linalg.vector_norm(outputs - hot(targets))


@pytest.mark.parametrize("given", [None, [3] * 5 + [2]])
def test_an_own_loss_is_judged_by_the_counts_that_are_told(given):
    model = network()
    with watch(model, steps=K, counts=given) as seen:
        train(model, batches(17), lambda model, x, y: own_loss(model(x), y) / K)
    (table,) = seen.tables
    assert table.known == (given is not None) and numbers(table) == [[1, 2, 3, 4], [5, 6]]
    assert weights(table) == near([[1 / K] * 4, [1 / K] * 2])
    assert kinds(seen) == {"tail under-weighted"} | ({"mean of means"} if given else set()), str(seen)
    assert any("counts=" in each for each in seen.unseen) == (given is None)


def test_an_own_loss_that_is_right_is_right_with_counts():
    model, loader, counts = network(), batches(17), [3] * 5 + [2]
    with watch(model, steps=K, counts=counts) as seen:
        optimizer = sgd(model)
        for window in windows(loader):
            for inputs, targets in window:
                share = len(targets) / sum(len(targets) for _, targets in window)
                (own_loss(model(inputs), targets) * share).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert weights(seen.tables[0]) == near([[1 / 4] * 4, [3 / 5, 2 / 5]]), str(seen)
    assert seen.verdict == "right", str(seen)


#: Of a function of a mean that is not a multiple of it, the mean's derivative is no weight.
NOT_LINEAR = {
    "root of mse": on_hot(lambda outputs, targets: F.mse_loss(outputs, targets).sqrt()),
    "focal": lambda outputs, targets: (
        (1 - (-F.cross_entropy(outputs, targets)).exp()) ** 2 * F.cross_entropy(outputs, targets)
    ),
    "log of a sum": on_hot(lambda outputs, targets: (outputs - targets).pow(2).sum().log()),
    "norm": on_hot(lambda outputs, targets: torch.linalg.vector_norm(outputs - targets)),
    "exp": lambda outputs, targets: F.cross_entropy(outputs, targets).exp(),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_function_of_a_mean_is_a_loss_of_its_own(name):
    model = network()
    with watch(model, steps=K) as seen:
        train(model, loss_of=lambda model, x, y: NOT_LINEAR[name](model(x), y) / K)
    assert weights(seen.tables[0]) == near(WHOLE), str(seen)
    assert seen.verdict == "right", str(seen)


@pytest.mark.parametrize("place", [[0], [1], [K - 1], [0, 1], [0, K - 1, K, K + 1], list(range(K))])
@pytest.mark.parametrize("kind", ["all ignored", "margin kept"])
def test_a_micro_batch_whose_gradient_is_zero_is_no_fault(place, kind):
    model, loader = network(), [(i, *batch) for i, batch in enumerate(batches())]

    def loss_of(model, i, inputs, targets):
        if kind == "margin kept":
            return F.multi_margin_loss(model(inputs) + (1e3 * hot(targets) if i in place else 0), targets) / K
        return F.cross_entropy(model(inputs), targets - 100 if i in place else targets, reduction="sum") / used[i // K]

    for _, _, targets in (loader[i] for i in place):
        targets *= kind != "all ignored"
    used = [max(1, M * sum(i not in place for i in range(first, first + K))) for first in (0, K)]
    with watch(model) as seen:
        train(model, loader, loss_of)
    assert seen.faults == [], str(seen)
    found = [[n for n in row if n - 1 not in place] for row in numbers(seen.tables[0])]
    assert found == [[n for n in range(first + 1, first + K + 1) if n - 1 not in place] for first in (0, K)]


# Models and optimizers


def test_a_gan_has_a_table_for_each_optimizer():
    torch.manual_seed(0)
    generator, critic = nn.Linear(2, 5), nn.Linear(5, 1)
    of_generator, of_critic = Adam(generator.parameters(), fused=True), sgd(critic)
    real, fake = torch.ones(M, 1), torch.zeros(M, 1)
    loss = F.binary_cross_entropy_with_logits
    with watch() as seen:
        for window in windows(batches()):
            of_critic.zero_grad()
            for images, _ in window:
                made = generator(torch.randn(M, 2)).detach()
                ((loss(critic(images), real) + loss(critic(made), fake)) / 2 / K).backward()
            of_critic.step()
            of_generator.zero_grad()
            for _ in window:
                (loss(critic(generator(torch.randn(M, 2))), real) / K).backward()
            of_generator.step()
    assert [table.name for table in seen.tables] == ["SGD of Linear", "Adam of Linear"], str(seen)
    assert [numbers(table) for table in seen.tables] == [[[1, 2, 3, 4], [5, 6, 7, 8]]] * 2
    for table in seen.tables:
        assert weights(table) == near(WHOLE) or weights(table) == near([[0.5 / K] * K] * 2), str(seen)
    assert seen.verdict == "right" and seen.notes == [], str(seen)


def test_the_wrong_one_of_two_models_is_named():
    models = [network(), network()]
    with watch() as seen:
        for model, divisor in zip(models, (K, 1), strict=True):
            train(model, loss_of=lambda model, x, y, d=divisor: F.cross_entropy(model(x), y) / d)
    assert [table.faults == [] for table in seen.tables] == [True, False] and kinds(seen) == {"not divided"}
    assert seen.where(seen.faults[0]).endswith(" updates of SGD of Sequential)")


def test_one_loss_and_two_optimizers():
    model = network()
    with watch(model) as seen:
        optimizers = [sgd(model[0]), Adam(model[2].parameters())]
        for i, (inputs, targets) in enumerate(batches()):
            divided(model, inputs, targets).backward()
            if (i + 1) % K == 0:
                for optimizer in optimizers:
                    optimizer.step()
                model.zero_grad()
    assert [weights(table) for table in seen.tables] == [near(WHOLE)] * 2 and seen.verdict == "right", str(seen)


OPTIMIZERS = {
    "SGD": lambda p: SGD(p, lr=0.1),
    "SGD foreach": lambda p: SGD(p, lr=0.1, foreach=True, momentum=0.9),
    "SGD one by one": lambda p: SGD(p, lr=0.1, foreach=False, nesterov=True, momentum=0.9),
    "SGD fused": lambda p: SGD(p, lr=0.1, fused=True),
    "Adam foreach": lambda p: Adam(p, foreach=True),
    "Adam one by one": lambda p: Adam(p, foreach=False, amsgrad=True),
    "Adam fused": lambda p: Adam(p, fused=True),
    "AdamW": lambda p: AdamW(p, lr=torch.tensor(1e-3)),
    "Adagrad": lambda p: torch.optim.Adagrad(p),
    "maximize": lambda p: SGD(p, lr=0.1, maximize=True),
    "groups": lambda p: SGD([{"params": [each], "lr": 0.1} for each in p]),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer(name):
    model = network()
    with watch(model, steps=K) as seen:
        train(model, optimizer=OPTIMIZERS[name](list(model.parameters())))
    assert_whole(seen)


class Sign(torch.optim.Optimizer):
    """One of the reader's own."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.01})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad.sign()


def test_an_optimizer_of_the_readers_own():
    model = network()
    with watch(model, steps=K) as seen:
        train(model, optimizer=Sign(model.parameters()))
    assert_whole(seen)


def zeroed(parameters):
    for p in parameters:
        p.grad.zero_()


def zeroed_data(parameters):
    for p in parameters:
        p.grad.data.zero_()


def none(parameters):
    for p in parameters:
        p.grad = None


def other_zeros(parameters):
    for p in parameters:
        p.grad = torch.zeros_like(p)


CLEARED = {
    "to none": lambda model, optimizer: optimizer.zero_grad(set_to_none=True),
    "to zero": lambda model, optimizer: optimizer.zero_grad(set_to_none=False),
    "by the model": lambda model, optimizer: model.zero_grad(),
    "zero_": lambda model, optimizer: zeroed(model.parameters()),
    "data.zero_": lambda model, optimizer: zeroed_data(model.parameters()),
    "None": lambda model, optimizer: none(model.parameters()),
    "zeros": lambda model, optimizer: other_zeros(model.parameters()),
    "foreach": lambda model, optimizer: torch._foreach_zero_([p.grad for p in model.parameters()]),
}


@pytest.mark.parametrize("hidden", [8, 9000])
@pytest.mark.parametrize("name", CLEARED)
def test_however_gradients_are_cleared(name, hidden):
    model = network(hidden=hidden)
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for i, batch in enumerate(batches()):
            divided(model, *batch).backward()
            if (i + 1) % K == 0:
                optimizer.step()
                CLEARED[name](model, optimizer)
    assert_whole(seen)


@pytest.mark.parametrize("make", [SGD, torch.optim.LBFGS])
def test_a_step_with_a_closure(make):
    model = network()
    optimizer = make(model.parameters(), lr=0.1)
    with watch(model, steps=K) as seen:
        for window in windows(batches()):

            def closure(window=window):
                optimizer.zero_grad()
                return sum(take(divided(model, *batch)) for batch in window)

            optimizer.step(closure)
    (table,) = seen.tables
    assert weights(table) == near(WHOLE) and seen.verdict == "right", str(seen)
    assert numbers(table) == [[1, 2, 3, 4], [5, 6, 7, 8]]


def take(loss):
    loss.backward()
    return loss.detach()


@pytest.mark.parametrize("inputs_too", [False, True])
def test_targets_that_are_the_same_tensor_are_still_other_micro_batches(inputs_too):
    """The labels "real" of a GAN; or one batch that a network is to learn by heart."""
    model, (first, targets) = network(), batches()[0]
    with watch(model) as seen:
        train(model, [(first if inputs_too else inputs, targets) for inputs, _ in batches()])
    (table,) = seen.tables
    assert numbers(table) == [[1, 2, 3, 4], [5, 6, 7, 8]] and weights(table) == near(WHOLE), str(seen)
    assert kinds(seen) == ({"twice in one update"} if inputs_too else set()), str(seen)


def test_two_forward_and_backward_passes_for_a_step():
    """Sharpness-aware minimization: the first gradient only says where the second is taken."""
    model = network()
    with watch(model) as seen:
        optimizer = sgd(model)
        for batch in batches():
            F.cross_entropy(model(batch[0]), batch[1]).backward()
            moves = [0.05 * p.grad / p.grad.norm() for p in model.parameters()]
            torch._foreach_add_([p.data for p in model.parameters()], moves)
            optimizer.zero_grad()
            F.cross_entropy(model(batch[0]), batch[1]).backward()
            torch._foreach_sub_([p.data for p in model.parameters()], moves)
            optimizer.step()
            optimizer.zero_grad()
    assert weights(seen.tables[0]) == near([[1]] * 2 * K) and seen.verdict == "right", str(seen)


def test_backward_of_a_vector_of_losses():
    model = network()
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for i, (inputs, targets) in enumerate(batches()):
            losses = F.cross_entropy(model(inputs), targets, reduction="none")
            losses.backward(torch.full((M,), 1 / M / K))
            if is_last(i, batches()):
                optimizer.step()
                optimizer.zero_grad()
    assert_whole(seen)


# Mixed precision


def amp(model, loader=None, optimizer=None, before=lambda optimizer: None, spoil=None, scaler=None, unscale=False):
    """The recipe of PyTorch's documentation. The loss of micro-batch `spoil` is infinite."""
    loader, optimizer = batches() if loader is None else loader, optimizer or sgd(model)
    scaler = scaler or torch.amp.GradScaler("cpu")
    for i, (inputs, targets) in enumerate(loader):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(inputs), targets) / K
        scaler.scale(loss * (math.inf if i == spoil else 1)).backward()
        if is_last(i, loader):
            if unscale:
                scaler.unscale_(optimizer)
            before(optimizer)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()


SCALED_OPTIMIZERS = {
    "SGD": sgd,
    "SGD fused": lambda model: sgd(model, fused=True),
    "Adam fused": lambda model: Adam(model.parameters(), fused=True),
    "AdamW": lambda model: AdamW(model.parameters()),
}


@pytest.mark.parametrize("unscale", [False, True])
@pytest.mark.parametrize("name", SCALED_OPTIMIZERS)
def test_a_scaled_loss_weighs_what_is_left_when_it_is_unscaled(name, unscale):
    model = network()
    with watch(model, steps=K) as seen:
        amp(model, optimizer=SCALED_OPTIMIZERS[name](model), unscale=unscale)
    assert_whole(seen)
    assert 1e-3 < seen.tables[0].rows[0].norm_before < 10


@pytest.mark.parametrize("name", SCALED_OPTIMIZERS)
def test_a_skipped_step_is_a_note_and_no_fault(name):
    model = network()
    with watch(model, steps=K) as seen:
        amp(model, batches(3 * K * M), SCALED_OPTIMIZERS[name](model), spoil=K + 1)
    (table,) = seen.tables
    assert seen.faults == [] and "GradScaler skipped 1 step: gradients were not finite" in seen.notes, str(seen)
    assert weights(table) == near(WHOLE) and numbers(table) == [[1, 2, 3, 4], [9, 10, 11, 12]], str(seen)


@pytest.mark.parametrize("name", ["SGD", "SGD fused"])
@pytest.mark.parametrize("unscale", [False, True])
def test_clipping_with_a_scaler_comes_after_unscale(name, unscale):
    model = network()
    with watch(model, steps=K) as seen:
        clip = lambda optimizer: clip_grad_norm_(model.parameters(), 0.1)  # noqa: E731
        amp(model, optimizer=SCALED_OPTIMIZERS[name](model), before=clip, unscale=unscale)
    assert kinds(seen) == (set() if unscale else {"clipped before unscale_"}), str(seen)
    assert plain(seen.tables[0]) == near(WHOLE) and weights(seen.tables[0])[0][0] < 0.9 / K


def test_a_scaler_that_is_off_and_bfloat16_without_one():
    model = network()
    with watch(model, steps=K) as seen:
        amp(model, scaler=torch.amp.GradScaler("cpu", enabled=False))
    assert_whole(seen)


def test_parameters_in_bfloat16_are_added_up_in_16_bits():
    model = network().bfloat16()
    with watch(model, steps=K) as seen:
        train(model, loss_of=lambda model, x, y: F.cross_entropy(model(x.bfloat16()).float(), y) / K)
    assert kinds(seen) == {"low precision"} and weights(seen.tables[0]) == near(WHOLE, 0.02), str(seen)


# Parameters


def test_a_parameter_that_joins_late():
    model = network()
    with watch(model, steps=K) as seen:
        optimizer = sgd(model[2])
        train(model, optimizer=optimizer)
        optimizer.add_param_group({"params": model[0].parameters()})
        model.zero_grad()
        train(model, optimizer=optimizer)
    (table,) = seen.tables
    assert weights(table) == near(WHOLE * 2) and seen.verdict == "right" and seen.notes == [], str(seen)
    assert [n for row in numbers(table) for n in row] == list(range(1, 17)) and len(table.steps.parameters) == 4


def test_a_parameter_made_and_added_while_it_is_watched():
    model = network()
    with watch(steps=K) as seen:
        optimizer = sgd(model)
        train(model, optimizer=optimizer)
        model.append(nn.Linear(3, 3))
        optimizer.add_param_group({"params": model[3].parameters()})
        train(model, optimizer=optimizer)
    assert weights(seen.tables[0]) == near(WHOLE * 2) and seen.verdict == "right" and seen.notes == [], str(seen)


@pytest.mark.parametrize("optimizer", [sgd, lambda model: AdamW(model.parameters())])
def test_a_layer_that_is_frozen_and_unfrozen(optimizer):
    model = network()
    model[0].requires_grad_(False)
    with watch(model, steps=K) as seen:
        optimizer = optimizer(model)
        for frozen in (True, False, True):
            model[0].requires_grad_(not frozen)
            train(model, optimizer=optimizer)
    assert weights(seen.tables[0]) == near(WHOLE * 3) and seen.verdict == "right" and seen.notes == [], str(seen)


class Tied(nn.Module):
    """One weight at both ends, and a head that only every second micro-batch uses."""

    def __init__(self, sparse=False):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(11, 6, sparse=sparse)
        self.body, self.out = nn.Linear(6, 6), nn.Linear(6, 11, bias=False)
        if not sparse:
            self.out.weight = self.embedding.weight
        self.head, self.unused = nn.Linear(6, 11), nn.Linear(6, 6)

    def forward(self, tokens, use_head=False):
        features = self.body(self.embedding(tokens)).tanh()
        return self.head(features) if use_head else self.out(features)


def tokens(i, length=4):
    found = torch.randint(11, (M, length + 1), generator=torch.Generator().manual_seed(i))
    return found[:, :-1], found[:, 1:]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("every", [1, 2, K])
def test_tied_sparse_and_unused_parameters(sparse, every):
    model = Tied(sparse)
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for i in range(2 * K):
            inputs, targets = tokens(i)
            outputs = model(inputs, use_head=i % every == every - 1)
            (F.cross_entropy(outputs.flatten(0, 1), targets.flatten()) / K).backward()
            if (i + 1) % K == 0:
                optimizer.step()
                optimizer.zero_grad()
    assert_whole(seen)
    assert seen.notes == []


@pytest.mark.parametrize("layer", [0, 2])  # the first has most of the elements
@pytest.mark.parametrize("by_data", [False, True])
@pytest.mark.parametrize("hidden", [8, 12_000])
def test_a_parameter_scaled_by_hand_is_named(hidden, by_data, layer):
    model = network(hidden)

    def scale():
        grad = model[layer].weight.grad
        (grad.data if by_data else grad).mul_(3)

    with watch(model, steps=K) as seen:
        train(model, before=scale)
    assert "one parameter differs" in kinds(seen) and f"{layer}.weight" in str(seen), str(seen)


def test_clipping_a_part_of_the_parameters_is_no_fault():
    model = network()
    with watch(model, steps=K) as seen:
        train(model, before=lambda: clip_grad_norm_(model[2].parameters(), 0.01))
    assert seen.faults == [] and plain(seen.tables[0]) == near(WHOLE), str(seen)


def clip_by_parts(model):
    total = get_total_norm([p.grad for p in model.parameters()])
    clip_grads_with_norm_(model.parameters(), 0.01, total)


def clip_each(model):
    for p in model.parameters():
        clip_grad_norm_(p, 0.01)


def clip_by_hand(model):
    total = get_total_norm([p.grad for p in model.parameters()])
    for p in model.parameters():
        p.grad.mul_(min(1.0, 0.01 / total.item()))


CLIPS = {
    "norm": lambda model: clip_grad_norm_(model.parameters(), 0.01),
    "by parts": clip_by_parts,
    "each": clip_each,
    "value": lambda model: clip_grad_value_(model.parameters(), 0.01),
    "high": lambda model: clip_grad_norm_(model.parameters(), 1e6),
    "another norm": lambda model: clip_grad_norm_(model.parameters(), 0.01, norm_type=math.inf),
}


@pytest.mark.parametrize("name", CLIPS)
def test_clipping_once_an_update_is_no_fault(name):
    model = network()
    with watch(model, steps=K) as seen:
        train(model, before=lambda: CLIPS[name](model))
    assert seen.faults == [] and seen.verdict == "right", str(seen)
    if name != "value":
        assert plain(seen.tables[0]) == near(WHOLE), str(seen)
    assert (weights(seen.tables[0])[0][0] < 0.1 / K) == (name not in ("value", "high")), str(seen)


def test_clipping_by_hand_and_by_value_is_a_note():
    model = network()
    for clip, said in ((clip_by_hand, "not by clip_grad_norm_"), (CLIPS["value"], "clip_grad_value_")):
        with watch(model) as seen:
            train(model, batches(4 * K * M), before=lambda clip=clip: clip(model))
        assert seen.faults == [], str(seen)
        assert any(said in note for note in seen.notes) or clip is clip_by_hand, str(seen)


# What goes on inside the model


class Checkpointed(nn.Module):
    def __init__(self, use_reentrant):
        super().__init__()
        self.body, self.use_reentrant = network(), use_reentrant

    def forward(self, inputs):
        hidden = checkpoint(self.body[:2], inputs, use_reentrant=self.use_reentrant)
        return checkpoint(self.body[2], hidden, use_reentrant=self.use_reentrant)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointed_models(use_reentrant):
    model = Checkpointed(use_reentrant)
    loader = [(inputs.requires_grad_(), targets) for inputs, targets in batches()]
    with watch(model, steps=K) as seen:
        train(model, loader)
    assert_whole(seen)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("whole", [False, True])
def test_compiled_models(backend, whole):
    """Either the model alone is compiled, or the loss with it."""
    model = network()
    torch.compiler.reset()
    compiled = torch.compile(LossInside() if whole else model, backend=backend)
    with watch(compiled, steps=K) as seen:
        if whole:
            train(compiled, loss_of=lambda model, x, y: model(x, y)["loss"] / K)
        else:
            train(compiled)
    assert_whole(seen)


def test_a_model_compiled_before_and_trained_by_its_own_name():
    model = network()
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager")
    with watch(model, steps=K) as seen:
        train(compiled, optimizer=sgd(model))
    assert_whole(seen)


@pytest.mark.parametrize("given", [True, False])
def test_a_step_inside_backward(given):
    """One optimizer for each parameter, which steps as soon as its gradient is there, and clears it."""
    model = network()
    optimizers = {p: SGD([p], lr=0.1) for p in model.parameters()}

    def step(p):
        optimizers[p].step()
        optimizers[p].zero_grad()

    hooks = [p.register_post_accumulate_grad_hook(step) for p in model.parameters()]
    with watch(model if given else None) as seen:
        for inputs, targets in batches():
            F.cross_entropy(model(inputs), targets).backward()
    for hook in hooks:
        hook.remove()
    (table,) = seen.tables
    assert weights(table) == near([[1]] * 2 * K) and numbers(table) == [[i + 1] for i in range(2 * K)], str(seen)
    assert seen.verdict == "right", str(seen)


# Epochs, and what goes on beside the training


def by_next(loader):
    """A training by steps: the loader begins again where it ends."""
    batches_left = iter(loader)
    for _ in range(2 * len(loader)):
        try:
            yield next(batches_left)
        except StopIteration:
            batches_left = iter(loader)
            yield next(batches_left)


def by_epochs(loader):
    for _ in range(2):
        yield from loader


def with_evaluation(loader):
    for _ in range(2):
        yield from loader
        with torch.no_grad():
            for _ in DataLoader(ten(), 2):
                pass


def prefetched(loader):
    for _ in range(2):
        waiting = []
        for batch in loader:
            waiting.append(batch)
            if len(waiting) == K:
                yield from waiting
                waiting = []
        yield from waiting


EPOCHS = {
    "epochs": (by_epochs, {}),
    "next": (by_next, {}),
    "evaluation": (with_evaluation, {}),
    "prefetched": (prefetched, {}),
    "workers": (by_epochs, {"num_workers": 1}),
    "workers that stay": (by_epochs, {"num_workers": 1, "persistent_workers": True}),
    "by steps, workers that stay": (by_next, {"num_workers": 1, "persistent_workers": True}),
}


def ten():
    """10 micro-batches: the last window has two."""
    return TensorDataset(*map(torch.cat, zip(*batches(10 * M), strict=True)))


TEN = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


@pytest.mark.parametrize("name", EPOCHS)
def test_epochs_are_known_from_the_loader(name):
    passes, options = EPOCHS[name]
    model = network()
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for i, batch in enumerate(passes(DataLoader(ten(), M, **options))):
            divided(model, *batch).backward()
            if (i + 1) % K == 0:
                optimizer.step()
                optimizer.zero_grad()
    (table,) = seen.tables
    assert numbers(table) == [[n + j for j in range(K)] for n in range(1, 21, K)], str(seen)
    assert kinds(seen) == {"counted on"} and seen.faults[0].updates == (3,), str(seen)
    assert [row.update.epoch for row in table.rows] == [0, 0, 1, 1, 1], str(seen)


def test_an_epoch_that_is_broken_off_ends_all_the_same():
    """As with a limit on the steps of an epoch."""
    model, loader = network(), DataLoader(TensorDataset(*map(torch.cat, zip(*batches(20 * M), strict=True))), M)
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for _ in range(2):
            for i, batch in enumerate(loader):
                if i == 10:
                    break
                divided(model, *batch).backward()
                if (i + 1) % K == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    assert kinds(seen) == {"tail carried over", "tail dropped"} and seen.tables[0].rows[2].size == 6, str(seen)


def test_workers_of_a_loader_end_as_ever():
    model, loader = network(), DataLoader(ten(), M, num_workers=1)
    with watch(model):
        for _ in range(2):
            train(model, list(itertools.islice(loader, K)))
            gc.collect()
            assert multiprocessing.active_children() == []


@pytest.mark.parametrize("by_loader", [False, True])
@pytest.mark.parametrize("joined", [False, True])
def test_a_window_that_has_one_backward(joined, by_loader):
    """The losses of its micro-batches are added up, or they are joined to a large batch."""
    model, parts = network(), batches()
    loader = iter(DataLoader(TensorDataset(*map(torch.cat, zip(*parts, strict=True))), M) if by_loader else parts)
    with watch(model, steps=K if not joined else None) as seen:
        optimizer = sgd(model)
        for _ in range(2):
            window = list(itertools.islice(loader, K))
            large = [torch.cat(parts) for parts in zip(*window, strict=True)]
            loss = divided(model, *large) * K if joined else sum(divided(model, *batch) for batch in window)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    assert weights(seen.tables[0]) in (near([[1]] * 2), near(WHOLE)), str(seen)
    assert seen.verdict == "right", str(seen)


def test_what_was_in_grad_before_is_a_note():
    model = network()
    divided(model, *batches()[0]).backward()
    with watch(model, steps=K) as seen:
        train(model)
    assert weights(seen.tables[0]) == near(WHOLE) and seen.verdict == "right"
    assert seen.notes == ["gradients from before the watch began are in update 1"]


def test_epochs_without_a_loader_are_told():
    model = network()
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for _ in range(2):
            seen.new_epoch()
            train(model, batches(10 * M), optimizer=optimizer)
    assert numbers(seen.tables[0]) == TEN + [[n + 10 for n in row] for row in TEN]
    assert kinds(seen) == {"tail under-weighted"} and seen.faults[0].updates == (3, 6), str(seen)


@pytest.mark.parametrize("given", [True, False])
def test_a_watched_model_is_copied_and_saved_as_ever(tmp_path, given):
    """Averages, checkpoints and the best model so far are made while it trains."""
    model = network()
    with watch(model if given else None, steps=K) as seen:
        optimizer = sgd(model)
        train(model, batches(K * M), optimizer=optimizer)
        copied, average = copy.deepcopy(model), torch.optim.swa_utils.AveragedModel(model)
        torch.save(model, tmp_path / "model.pt")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state.pt")
        average.update_parameters(model)
        train(model, batches(K * M), optimizer=optimizer)
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    for other in (copied, average.module, loaded):
        assert not other._forward_pre_hooks and all(not p._backward_hooks for p in other.parameters())
    assert (tmp_path / "model.pt").stat().st_size < 20_000
    assert_whole(seen)


def with_penalty(model, inputs, targets):
    """A penalty on the gradient with respect to the inputs, as WGAN-GP has it."""
    inputs = inputs.clone().requires_grad_()
    loss = F.cross_entropy(model(inputs), targets)
    (slope,) = torch.autograd.grad(model(inputs).sum(), inputs, create_graph=True)
    return (loss + 0.1 * slope.pow(2).sum(1).mean()) / K


def with_norm(model, inputs, targets):
    """A penalty on the gradient with respect to the parameters."""
    loss = F.cross_entropy(model(inputs), targets)
    slopes = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
    return (loss + 0.1 * sum(slope.pow(2).sum() for slope in slopes)) / K


def adversarial(model, inputs, targets):
    """The inputs are changed along their gradient first."""
    inputs = inputs.clone().requires_grad_()
    F.cross_entropy(model(inputs), targets).backward(inputs=[inputs])
    return F.cross_entropy(model((inputs + 0.1 * inputs.grad.sign()).detach()), targets) / K


@pytest.mark.parametrize("loss_of", [with_penalty, with_norm, adversarial])
def test_gradients_of_gradients(loss_of):
    model = network()
    with watch(model, steps=K) as seen:
        train(model, loss_of=loss_of)
    (table,) = seen.tables
    assert weights(table) == near(WHOLE) and seen.verdict == "right", str(seen)
    assert numbers(table) == [[1, 2, 3, 4], [5, 6, 7, 8]], str(seen)


# Gradients put aside


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("by", ["grad", "backward"])
def test_buffers_of_ones_own(dtype, by):
    model = network()
    parameters = list(model.parameters())
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for window in windows(batches()):
            total = [torch.zeros_like(p, dtype=dtype) for p in parameters]
            for batch in window:
                loss = divided(model, *batch)
                if by == "grad":
                    found = torch.autograd.grad(loss, parameters)
                else:
                    loss.backward()
                    found = [p.grad for p in parameters]
                    model.zero_grad()
                for kept, new in zip(total, found, strict=True):
                    kept += new.to(dtype)
            for p, gradient in zip(parameters, total, strict=True):
                p.grad = gradient.to(p.dtype)
            optimizer.step()
            optimizer.zero_grad()
    (table,) = seen.tables
    low = dtype == torch.bfloat16
    assert kinds(seen) == ({"low precision"} if low else set()), str(seen)
    assert weights(table) == near(WHOLE, 0.05 if low else 1e-3) and numbers(table) == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize("forgotten", [0, 1])
def test_gradients_stashed_and_brought_back(forgotten):
    """As a loop does that looks at each micro-batch's own gradient; it may forget the first."""
    model = network()
    with watch(model, steps=K) as seen:
        optimizer = sgd(model)
        for window in windows(batches()):
            stash = []
            for batch in window:
                divided(model, *batch).backward()
                stash.append([p.grad for p in model.parameters()])
                optimizer.zero_grad()
            for p, parts in zip(model.parameters(), zip(*stash[forgotten:], strict=True), strict=True):
                p.grad = torch.stack(parts).sum(0)
            optimizer.step()
            optimizer.zero_grad()
    if forgotten:
        assert numbers(seen.tables[0]) == [[2, 3, 4], [6, 7, 8]] and seen.verdict == "wrong", str(seen)
    else:
        assert_whole(seen)


@pytest.mark.parametrize("strength", [0.05, 0.3])
@pytest.mark.parametrize("samples", [2 * K * M, K * M])
def test_what_is_added_to_a_gradient_by_hand_is_a_note(samples, strength):
    model = network()

    def penalty():
        for p in model.parameters():
            p.grad.add_(p.detach(), alpha=strength)

    with watch(model, steps=K) as seen:
        train(model, batches(samples), before=penalty)
    assert any("comes from no backward()" in note for note in seen.notes) and seen.faults == [], str(seen)
    assert weights(seen.tables[0]) == near(WHOLE[: samples // K // M], 0.5), str(seen)


@pytest.mark.parametrize("seed", range(8))
def test_the_factors_of_any_stash_are_found(seed):
    """Of 6 micro-batches some come back, each with a factor of its own."""
    chance = random.Random(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 3)) if seed % 2 else network()
    taken = {n: chance.uniform(-1, 2) for n in range(6) if chance.random() < 0.6} or {2: 0.5}
    with watch(model) as seen:
        optimizer, stash = sgd(model), []
        for inputs, targets in batches(6 * M):
            F.cross_entropy(model(inputs), targets).backward()
            stash.append([p.grad for p in model.parameters()])
            optimizer.zero_grad()
        for i, p in enumerate(model.parameters()):
            p.grad = sum(factor * stash[n][i] for n, factor in taken.items())
        optimizer.step()
    found = seen.tables[0].rows[0].update.factors
    assert found.keys() == taken.keys(), (found, taken)
    assert all(abs(found[n] - taken[n]) < 1e-3 for n in taken), (found, taken)


# Libraries


def test_accelerate_under_weights_the_last_window():
    accelerate = pytest.importorskip("accelerate", reason="pip install --editable '.[frameworks]'")
    accelerate.state.GradientState().sync_gradients = True
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=K)
    model = network()
    model, optimizer, loader = accelerator.prepare(model, sgd(model), DataLoader(ten(), M))
    with watch(model, steps=K) as seen:
        for inputs, targets in loader:
            with accelerator.accumulate(model):
                accelerator.backward(F.cross_entropy(model(inputs), targets))
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1e6)
                optimizer.step()
                optimizer.zero_grad()
    (table,) = seen.tables
    assert numbers(table) == TEN and weights(table) == near([[1 / K] * 4] * 2 + [[1 / K] * 2]), str(seen)
    assert kinds(seen) == {"tail under-weighted"}, str(seen)


@pytest.mark.parametrize("clip", [None, 0.01])
def test_lightning_under_weights_the_last_window(clip):
    lightning = pytest.importorskip("pytorch_lightning", reason="pip install --editable '.[frameworks]'")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.body = network()

        def training_step(self, batch):
            return F.cross_entropy(self.body(batch[0]), batch[1])

        def configure_optimizers(self):
            return SGD(self.parameters(), lr=0.1)

    module = Module()
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=2, barebones=True, accumulate_grad_batches=K, gradient_clip_val=clip
    )
    with watch(module, steps=K) as seen:
        trainer.fit(module, DataLoader(ten(), M))
    (table,) = seen.tables
    assert numbers(table) == TEN + [[n + 10 for n in row] for row in TEN], str(seen)
    assert plain(table) == near([*[[1 / K] * 4] * 2, [1 / K] * 2] * 2), str(seen)
    assert kinds(seen) == {"tail under-weighted"}, str(seen)
    assert (weights(table)[0][0] < 0.1 / K) == (clip is not None)


class Tokens(torch.utils.data.Dataset):
    """Texts of one length, or of several."""

    def __init__(self, lengths):
        generator = torch.Generator().manual_seed(0)
        self.texts = [torch.randint(1, 16, (length,), generator=generator) for length in lengths]

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, place):
        return {"input_ids": self.texts[place]}


def padded(rows):
    ids = nn.utils.rnn.pad_sequence([row["input_ids"] for row in rows], True)
    return {"input_ids": ids, "labels": ids.masked_fill(ids == 0, -100)}


def test_the_trainer_is_right(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers", reason="pip install --editable '.[frameworks]'")
    data = Tokens([3 + 7 * i % 11 for i in range(10 * M)])
    torch.manual_seed(0)
    sizes = {"vocab_size": 16, "hidden_size": 16, "intermediate_size": 32}
    config = transformers.LlamaConfig(**sizes, num_hidden_layers=1, num_attention_heads=2, pad_token_id=0)
    model = transformers.LlamaForCausalLM(config)
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        use_cpu=True,
        num_train_epochs=2,
        per_device_train_batch_size=M,
        gradient_accumulation_steps=K,
        train_sampling_strategy="sequential",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(model, arguments, train_dataset=data, data_collator=padded)
    with watch(model, steps=K) as seen:
        trainer.train()
    (table,) = seen.tables
    counts = [sum(len(text) - 1 for text in data.texts[i : i + M]) for i in range(0, 10 * M, M)]
    due = [[counts[n - 1] / sum(counts[m - 1] for m in row) for n in row] for row in TEN]
    assert numbers(table) == TEN + [[n + 10 for n in row] for row in TEN], str(seen)
    assert plain(table) == near(due * 2), str(seen)
    assert seen.verdict == "right", str(seen)


# Errors


class Broken(Exception):
    pass


@pytest.mark.parametrize("error", [Broken("in the fifth"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_inside_passes_through_and_leaves_the_table(error):
    model = network()

    def loss_of(model, inputs, targets, calls=iter(range(99))):  # noqa: B008
        if next(calls) == K:
            raise error
        return divided(model, inputs, targets)

    with pytest.raises(type(error)) as raised, watch(model) as seen:
        train(model, loss_of=loss_of)
    assert raised.value is error
    assert weights(seen.tables[0]) == near(WHOLE[:1])
    assert seen.recording.error.startswith(type(error).__name__) and "raise error" in seen.recording.error
    assert any(seen.recording.error in note for note in seen.notes) and seen.verdict == "right", str(seen)


def test_errors_that_are_caught_inside_leave_nothing_open():
    """In the backward() itself, in a loader and in a step; the training goes on."""

    class Fails(SGD):
        def step(self, closure=None):
            raise Broken

    class Negative(torch.autograd.Function):
        @staticmethod
        def forward(ctx, outputs):
            return outputs.clone()

        @staticmethod
        def backward(ctx, grad):
            raise Broken

    def fail(place):
        raise Broken

    model = network()
    broken = DataLoader(TensorDataset(torch.arange(3)), collate_fn=fail)
    fails = {
        "backward": lambda: train(model, loss_of=lambda model, x, y: F.cross_entropy(Negative.apply(model(x)), y)),
        "loader": lambda: list(broken),
        "step": lambda: train(model, optimizer=Fails(model.parameters(), lr=0.1)),
    }
    for name, attempt in fails.items():
        with watch(model) as seen:
            with pytest.raises(Broken):
                attempt()
            model.zero_grad()
            train(model)
        assert weights(seen.tables[-1])[-2:] == near(WHOLE), f"{name}: {seen}"


# Nothing stays


class Ours(lr_scheduler.LRScheduler):
    """A scheduler with a step of its own."""

    def get_lr(self):
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self, epoch=None):
        super().step(epoch)


def kinds_of(kind):
    yield kind
    for child in kind.__subclasses__():
        yield from kinds_of(child)


def patched_places(model):
    """Everything that watch() puts something into, as it is now."""
    found = {
        "backward": torch.autograd.backward,
        "grad": torch.autograd.grad,
        "Tensor.backward": torch.Tensor.backward,
        "add_param_group": vars(torch_optimizer.Optimizer)["add_param_group"],
        "step": {kind: vars(kind).get("step") for kind in kinds_of(torch_optimizer.Optimizer)},
        "next": vars(dataloader._BaseDataLoaderIter)["__next__"],
        "schedulers": {kind: vars(kind).get("step") for kind in kinds_of(lr_scheduler.LRScheduler)},
        "scaler": dict(vars(torch.amp.GradScaler)),
        "clipping": dict(vars(nn.utils.clip_grad)),
        "utils": {name: value for name, value in vars(nn.utils).items() if "clip" in name},
        "imported": (clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm),
        "here": {name: value for name, value in globals().items() if "clip" in name},
        "optimizer hooks": (
            dict(torch_optimizer._global_optimizer_pre_hooks),
            dict(torch_optimizer._global_optimizer_post_hooks),
        ),
        "module hooks": [(dict(m._forward_pre_hooks), dict(m._forward_hooks)) for m in model.modules()],
        "global module hooks": dict(nn.modules.module._global_forward_pre_hooks),
        "parameters": [list((p._backward_hooks or {}).values()) for p in model.parameters()],
        "post hooks": [list((p._post_accumulate_grad_hooks or {}).values()) for p in model.parameters()],
        "excepthook": sys.excepthook,
    }
    return found


def everything(model):
    """A training that uses all that is watched."""
    optimizer = sgd(model)
    scheduler = Ours(optimizer)
    loader = DataLoader(ten(), M)
    amp(model, list(loader), optimizer, before=lambda _: clip_grad_value_(model.parameters(), 1.0), unscale=True)
    clip_grad_norm_(model.parameters(), 1.0)
    torch.autograd.grad(divided(model, *batches()[0]), list(model.parameters()))
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    scheduler.step()


@pytest.mark.parametrize("end", ["ends", "raises", "is ended"])
@pytest.mark.parametrize("given", [True, False])
def test_nothing_stays_patched(end, given):
    model = network()
    before = patched_places(model)
    try:
        with watch(model if given else None, updates=1 if end == "is ended" else 0) as seen:
            assert patched_places(model) != before
            everything(model)
            if end == "raises":
                raise Broken
    except Broken:
        assert end == "raises"
    assert patched_places(model) == before
    assert seen.recording.cut == (end == "is ended") and len(seen.tables[0].rows) == (1 if end == "is ended" else 3)


def test_nothing_stays_patched_where_watching_cannot_begin(monkeypatch):
    model = network()
    monkeypatch.delattr(nn.utils.clip_grad, "_clip_grads_with_norm_")
    before = patched_places(model)
    with pytest.raises((KeyError, AttributeError)), watch(model):
        pass
    assert patched_places(model) == before


def test_nothing_holds_what_was_watched():
    import weakref

    model = network()
    with watch(model) as seen:
        train(model)
    held = weakref.ref(model)
    del model
    gc.collect()
    assert held() is None and seen.verdict == "right"


def test_one_watch_after_another_and_one_in_another():
    model = network()
    before, optimizer = patched_places(model), sgd(model)
    with watch(model, steps=K) as first:
        train(model)
    with watch(steps=K) as second:
        train(model)
    with watch(model, steps=K) as outer:
        with watch(model, steps=K) as inner:
            train(model, optimizer=optimizer)
        assert patched_places(model) != before
        train(model, optimizer=optimizer)
    for seen in (first, second, inner):
        assert_whole(seen)
    assert weights(outer.tables[0]) == near(WHOLE * 2) and outer.verdict == "right", str(outer)
    assert patched_places(model) == before


def test_a_watch_can_be_read_while_it_goes_on():
    model = network()
    optimizer = sgd(model)
    with watch(model, steps=K) as seen:
        assert seen.tables == [] and seen.verdict == "nothing seen" and "nothing seen" in str(seen)
        train(model, optimizer=optimizer)
        assert weights(seen.tables[0]) == near(WHOLE)
        train(model, optimizer=optimizer)
    assert weights(seen.tables[0]) == near(WHOLE * 2)


def test_the_end_that_was_asked_for_outside_goes_through_a_watch_inside():
    """A script that watches itself, under python -m course_utils.watch."""
    model = network()
    with watch(model, updates=1) as outer:
        with watch(model) as inner:
            train(model)
        raise Broken
    assert outer.recording.cut and len(outer.tables[0].rows) == 1
    assert weights(inner.tables[0]) == near(WHOLE[:1])


def test_a_watch_is_for_once():
    model = network()
    with watch(model) as seen:
        train(model)
    with pytest.raises(RuntimeError, match="watch"), seen:
        pass
    assert_whole(seen)


# Watching changes nothing


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.out = nn.Linear(8, 11)

    def forward(self, tokens):
        return self.out(self.layer(self.embedding(tokens))).flatten(0, 1)


def cnn():
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(64, 3))
    return nn.Sequential(*layers)


def images():
    return [(torch.randn(len(targets), 1, 6, 6), targets) for _, targets in batches(17)]


def texts():
    return [(inputs, targets.flatten()) for inputs, targets in map(tokens, range(2 * K))]


def everything_of(model, optimizer):
    return [
        *model.state_dict().items(),
        *((f"{name}.grad", p.grad) for name, p in model.named_parameters()),
        *(item for each in optimizer.state.values() for item in each.items()),
        ("torch", torch.get_rng_state()),
        ("numpy", torch.from_numpy(np.random.get_state()[1].copy())),
        ("python", random.getstate()),
    ]


def are_equal(one, other):
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize("with_amp", [False, True])
@pytest.mark.parametrize("make_optimizer", [sgd, lambda model: AdamW(model.parameters(), lr=1e-2)])
@pytest.mark.parametrize(
    ("make", "loader"),
    [(network, lambda: batches(17)), (cnn, images), (Transformer, texts)],
    ids=["mlp", "cnn", "transformer"],
)
def test_watching_changes_nothing(make, loader, make_optimizer, with_amp):
    def run(is_watched):
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        model = make()
        data = loader()
        optimizer = make_optimizer(model)
        if is_watched:
            with watch(model):
                (amp if with_amp else train)(model, data, optimizer=optimizer)
        else:
            (amp if with_amp else train)(model, data, optimizer=optimizer)
        divided(model, *data[0]).backward()
        return everything_of(model, optimizer)

    for (name, alone), (same, watched) in zip(run(False), run(True), strict=True):
        assert name == same and are_equal(alone, watched), name


# What it keeps


def bytes_kept(recorder):
    tensors = [t for _, _, t in recorder._pending] + list(recorder._signs.values()) + recorder._last_targets
    arrays = [row for kept in recorder._sketches.values() for row in kept.values()] + [recorder._expected]
    return sum(t.nbytes for t in tensors) + sum(a.nbytes for a in arrays)


def test_what_is_kept_does_not_grow_with_the_micro_batches():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 1000), nn.ReLU(), nn.Linear(1000, 1000), nn.ReLU(), nn.Linear(1000, 3))
    assert sum(p.numel() for p in model.parameters()) > 1_000_000
    optimizer, kept, traced = sgd(model), [], []
    with watch(model, steps=K) as seen:
        for _ in range(2):
            tracemalloc.start()
            train(model, batches(100 * M), optimizer=optimizer)
            gc.collect()
            traced.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            kept.append(bytes_kept(seen._recorder))
            assert len(seen._recorder._sketches) <= KEPT
    assert max(kept) < 2e6 and kept[1] <= 1.01 * kept[0]
    assert kept[0] <= (KEPT + 1) * len(list(model.parameters())) * SKETCH * 8 + 1e6
    assert traced[1] < 2e6, traced  # 100 micro-batches more
    assert len(pickle.dumps(seen.recording)) < 500 * len(seen.recording.backwards)
    assert weights(seen.tables[0]) == near([[1 / K] * K] * 50)


# The command

SCRIPT = """
import sys, os
import torch
from torch import nn
import neighbour
print("name", __name__, "arguments", sys.argv[1:], "script", sys.argv[0], "folder", os.getcwd(), "path", sys.path[0])
torch.manual_seed(0)
model = nn.Linear(5, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for i in range(neighbour.MICRO_BATCHES):
    loss = nn.functional.cross_entropy(model(torch.randn(3, 5)), torch.tensor([0, 1, 2]))
    (loss / int(sys.argv[1])).backward()
    if (i + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
        print("update", flush=True)
{end}
"""


@pytest.fixture
def script(tmp_path):
    def write(end=""):
        (tmp_path / "neighbour.py").write_text("MICRO_BATCHES = 40\n")
        path = tmp_path / "script.py"
        path.write_text(SCRIPT.format(end=end))
        return path

    return write


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Calls the command in this process: its status, and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["watch", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", ["first", *sys.path])
        monkeypatch.delitem(sys.modules, "neighbour", raising=False)
        try:
            status = command.main()
        except SystemExit as ended:
            status = ended.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    yield run
    sys.modules.pop("neighbour", None)


def run(*arguments, cwd):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command_line = [sys.executable, *map(str, arguments)]
    return subprocess.run(command_line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=50)


def test_the_command_runs_a_script_as_python_does(script, tmp_path):
    path = script()
    alone = run("-W", "error", path.name, 4, "--lr", "x", cwd=tmp_path)
    watched = run("-W", "error", "-m", "course_utils.watch", "--updates", 0, path.name, 4, "--lr", "x", cwd=tmp_path)
    assert alone.returncode == watched.returncode == 0, watched.stderr
    assert watched.stdout.startswith(alone.stdout) and "right, as far as" in watched.stdout, watched.stdout


@pytest.mark.parametrize(("divisor", "status", "said"), [(4, 0, "right, as far"), (1, 1, "not divided")])
@pytest.mark.parametrize(("updates", "seen"), [([], 8), (["--updates", 2], 2), (["--updates", 0], 10)])
def test_the_status_and_the_updates(script, call, divisor, status, said, updates, seen):
    found, printed, _ = call(*updates, script(), divisor)
    assert found == status and said in printed, printed
    assert printed.count("update\n") == seen - (0 < seen < 10) and f"{seen} updates" in printed, printed


def test_nothing_to_see_has_a_status_of_its_own(call, tmp_path):
    path = tmp_path / "empty.py"
    path.write_text("print('nothing')\n")
    status, printed, _ = call(path)
    assert status == 2 and "nothing seen" in printed


ENDS = {
    "raise ValueError('broken')": (2, "ValueError: broken"),
    "sys.exit(3)": (2, ""),
    "sys.exit('a word')": (2, "a word"),
    "sys.exit(0)": (0, ""),
    "sys.exit()": (0, ""),
    "raise KeyboardInterrupt": (2, "KeyboardInterrupt"),
    "os.chdir('/')": (0, ""),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_script_that_ends_early_still_prints_its_table(script, call, monkeypatch, tmp_path, end):
    monkeypatch.chdir(tmp_path)
    status, printed, errors = call("--updates", 0, script(end), 4)
    assert status == ENDS[end][0] and "10 updates" in printed, printed
    assert ENDS[end][1] in errors


def test_a_script_with_except_and_finally_is_still_ended(call, tmp_path):
    path = tmp_path / "stubborn.py"
    body = SCRIPT.replace("import neighbour", "class neighbour: MICRO_BATCHES = 40").format(end="")
    lines = "\n".join("    " + line for line in body.splitlines())
    path.write_text(f"try:\n{lines}\nexcept Exception:\n    print('caught')\nfinally:\n    print('tidied')\n")
    status, printed, _ = call("--updates", 2, path, 4)
    assert status == 0 and "tidied" in printed and "caught" not in printed and "2 updates" in printed


def test_a_module_with_relative_imports(call, monkeypatch, tmp_path):
    package = tmp_path / "watched_parts"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "neighbour.py").write_text("MICRO_BATCHES = 8\n")
    (package / "training.py").write_text(SCRIPT.format(end="").replace("import neighbour", "from . import neighbour"))
    monkeypatch.syspath_prepend(tmp_path)
    status, printed, errors = call("-m", "watched_parts.training", 4)
    assert status == 0 and "name __main__ arguments ['4']" in printed and "2 updates" in printed, errors
    assert f"script {package / 'training.py'}" in printed, printed  # as python -m has it


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: script"),
        (["missing.py"], "missing.py: no such file"),
        (["--updates", "-1", "x.py"], "--updates -1: must be 0 or more"),
        (["--updates", "many", "x.py"], "invalid int value: 'many'"),
        (["--what", "x.py"], "--what"),
        (["-m", "no_such_module"], "no_such_module"),
        (["."], "."),
    ],
)
def test_wrong_arguments_are_told(call, arguments, said):
    status, _, errors = call(*arguments)
    assert status == 2 and said in errors


def test_names_and_pickles_of_the_script_are_its_own(call, tmp_path):
    """Things that hang on __main__ being the script: pickling its classes, and its __file__."""
    path = tmp_path / "pickles.py"
    path.write_text(
        "import pickle, sys\n"
        "class Mine: pass\n"
        "print(type(pickle.loads(pickle.dumps(Mine()))).__name__, sys.modules['__main__'].__file__ == __file__)\n"
    )
    status, printed, errors = call(path)
    assert "Mine True" in printed and status == 2, errors


# What it says


def test_assert_right_raises_the_table():
    model = network()
    with watch(model, steps=K) as right:
        train(model)
    with watch(model, steps=K) as wrong:
        train(model, loss_of=lambda model, x, y: F.cross_entropy(model(x), y))
    with watch(model) as nothing:
        pass
    assert_right(right)
    for seen in (wrong, nothing):
        with pytest.raises(AssertionError) as raised:
            assert_right(seen)
        assert str(raised.value) == f"\n{seen}"
    assert "not divided" in str(wrong) and "nothing seen" in str(nothing)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"model": 3}, TypeError, "model=3, of type int, must be of type Module or None"),
        ({"steps": 0}, ValueError, "steps=0 must be an integer from 1 up"),
        ({"steps": 2.5}, ValueError, "steps=2.5 must be an integer"),
        ({"counts": ["a"]}, ValueError, r"counts\[0\]='a' must be a real number"),
        ({"counts": 3}, TypeError, "counts=3, of type int, must be iterable"),
        ({"updates": -1}, ValueError, "updates=-1 must be an integer from 0 up"),
    ],
)
def test_bad_arguments_are_told(arguments, error, said):
    with pytest.raises(error, match=said):
        watch(**arguments)
