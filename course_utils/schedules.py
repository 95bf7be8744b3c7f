"""Learning rates: traces of PyTorch's schedulers, and rules for a batch that is k times as large.

In the rules k is the new batch size divided by the old one, any real number above 0: below 1 the batch gets smaller.
An argument that is not a real number in its range raises a ValueError that names it, its value and the range.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from course_utils.arguments import instance_of, iterator, one_of, positive_integer, real_number

POWERS = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}


class PlateauStep(NamedTuple):
    """The state after one `step(metric)` of ReduceLROnPlateau.

    `num_bad_epochs` never exceeds the patience: the step at which it would sets it to 0 and starts the cooldown.
    """

    metric: float
    lr: float
    best: float
    num_bad_epochs: int
    cooldown_counter: int
    reduced: bool


def plateau_trace(metrics: Iterable[float], lr: float = 1.0, **arguments: Any) -> list[PlateauStep]:
    """What torch.optim.lr_scheduler.ReduceLROnPlateau(**arguments) does with these metrics, from learning rate `lr`.

    One record for each metric, taken after its step. `reduced` tells whether the learning rate was reduced, which `eps`
    or `min_lr` may have prevented. Raises ValueError if there are no metrics or `lr` is not positive, and whatever
    PyTorch raises for `arguments`. A metric may be NaN.
    """
    try:
        metrics = [float(metric) for metric in metrics]
    except (TypeError, ValueError) as error:
        raise TypeError(f"metrics must be numbers: {error}") from error
    if not metrics:
        raise ValueError("metrics is empty: a trace needs at least one")
    optimizer = _idle_optimizer(lr)
    scheduler = ReduceLROnPlateau(optimizer, **arguments)
    trace = []
    for metric in metrics:
        before = _lr(optimizer)
        scheduler.step(metric)
        after = _lr(optimizer)
        counters = scheduler.best, scheduler.num_bad_epochs, scheduler.cooldown_counter
        trace.append(PlateauStep(metric, after, *counters, reduced=after < before))
    return trace


def scheduler_trace(
    make_scheduler: Callable[[torch.optim.Optimizer], LRScheduler], updates: int, lr: float = 1.0
) -> list[float]:
    """The learning rate that each update uses, `updates` of them, if the scheduler steps after every one.

    `make_scheduler` gets an SGD optimizer with learning rate `lr`, such as `lambda optimizer: StepLR(optimizer, 30)`.
    Lengths are in updates: with accumulation, one update for each window, not for each micro-batch. Raises ValueError
    if `updates` is not a positive integer or `lr` not positive, and TypeError if `make_scheduler` returns no scheduler
    of that optimizer. For ReduceLROnPlateau, which wants a metric, see `plateau_trace`.
    """
    instance_of(Callable, make_scheduler=make_scheduler)
    updates, optimizer = positive_integer("updates", updates), _idle_optimizer(lr)
    scheduler = make_scheduler(optimizer)
    if getattr(scheduler, "optimizer", None) is not optimizer:
        raise TypeError(f"make_scheduler={make_scheduler!r} must return a scheduler of the optimizer that it gets")
    rates = []
    for _ in range(updates):
        rates.append(_lr(optimizer))
        optimizer.step()
        scheduler.step()
    return rates


def scaled_lr(lr: float, k: float, rule: str) -> float:
    """The learning rate for a batch k times as large: lr · k to the power of 0, 1/2 or 1, for the rules in `POWERS`.

    "linear": one step of k·lr goes about as far as k steps of lr did (Goyal et al. 2017, arXiv 1706.02677, section
    2.1). "sqrt": the noise in one update of SGD keeps its variance (Krizhevsky 2014, arXiv 1404.5997).
    """
    one_of("rule", rule, POWERS)
    return real_number("lr", lr) * real_number("k", k) ** POWERS[rule]


def timm_rule(optimizer_name: str) -> str:
    """The rule that timm chooses: "sqrt" if the name contains "ada" or "lamb" in any case, else "linear".

    From train.py of huggingface/pytorch-image-models, where it applies if neither --lr nor --lr-base-scale is given. It
    looks at the name alone: "adamw", "nadam" and "adagrad" get the square root, "rmsprop" and "lion" do not.
    """
    if not isinstance(optimizer_name, str):
        raise ValueError(f"optimizer_name={optimizer_name!r} must be a string")
    return "sqrt" if any(part in optimizer_name.lower() for part in ("ada", "lamb")) else "linear"


def warmup_lr(lr: float, k: float, update: int, warmup_updates: int) -> float:
    """The learning rate of an update, counted from 0, in gradual warmup: from lr to k·lr in constant increments.

    Goyal et al. 2017 (arXiv 1706.02677, section 2.2) take 5 epochs: `warmup_updates` is 5 times the updates of an
    epoch. Update 0 uses lr; update `warmup_updates` and all after it use k·lr. With lr=1 it is the factor for
    torch.optim.lr_scheduler.LambdaLR on an optimizer whose learning rate is lr. Raises ValueError if
    `warmup_updates` is not a positive integer.
    """
    done = min(real_number("update", update, zero=True) / positive_integer("warmup_updates", warmup_updates), 1.0)
    return real_number("lr", lr) * ((1 - done) + done * real_number("k", k))


def scaled_adam(lr: float, k: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> dict[str, Any]:
    """Adam's arguments for a batch k times as large: lr · sqrt(k), 1 - k(1 - beta) for both betas, eps / sqrt(k).

    The square-root scaling rule of Malladi et al. 2022 (arXiv 2205.10287), for gradients that are mostly noise. Use it
    as `torch.optim.Adam(parameters, **scaled_adam(lr, k))`. Raises ValueError unless k is below 1 / (1 - beta) for both
    betas, which is 10 for the usual beta1: for a larger k a beta would not be positive.
    """
    betas = tuple(
        real_number(f"betas[{index}]", beta, zero=True, below=1.0)
        for index, beta in enumerate(iterator("betas", betas))
    )
    if len(betas) != 2:
        raise ValueError(f"betas={betas} must be two numbers")
    lr, k, eps = real_number("lr", lr), real_number("k", k), real_number("eps", eps, zero=True)
    limit = 1 / (1 - min(betas))
    # isclose: 1 / (1 - 0.9) is 10.000000000000002, and k=10 must not pass. k > 1: k=1 is no change, even for beta=0.
    if k > 1 and (k >= limit or math.isclose(k, limit)):
        raise ValueError(f"k={k!r} must be below 1 / (1 - {min(betas)}) = {limit:.6g}, or a beta would not be positive")
    scaled = (real_number("scaled beta", 1 - k * (1 - beta), zero=True, below=1.0) for beta in betas)
    return {"lr": lr * math.sqrt(k), "betas": tuple(scaled), "eps": eps / math.sqrt(k)}


def scaled_beta2(beta2: float, k: float) -> float:
    """Adam's beta2 for a batch k times as large, with the same half-life in samples or tokens: beta2 to the power k.

    Marek et al. 2025 (arXiv 2507.07101). It is close to 1 - k(1 - beta2) while k(1 - beta2) is small, but works for
    every k.
    """
    return real_number(
        "scaled beta2", real_number("beta2", beta2, zero=True, below=1.0) ** real_number("k", k), zero=True, below=1.0
    )


def half_life(beta: float, batch_size: float) -> float:
    """After how many samples a gradient's weight in a moving average has halved, with `batch_size` samples per update.

    A batch size in tokens gives tokens. log(1/2) / log(beta) is the number of updates. `beta` is above 0 and below 1.
    """
    return real_number("batch_size", batch_size) * math.log(1 / 2) / math.log(real_number("beta", beta, below=1.0))


def _idle_optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=real_number("lr", lr))


def _lr(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])
