"""Inputs for the exercises of optimizers."""

import copy
import itertools
import math

import torch
from torch import nn

from course_utils.answers import networks
from tests.samples import after


def _parameters(draw):
    shapes = [draw.choice([(), (1,), (3,), (2, 4), (2, 1, 3, 3)]) for _ in range(draw.randint(1, 4))]
    return [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in shapes]


def _steps(answer, draw, parameters, state, options):
    """Three calls with the same lists, new gradients, and learning rates that change; one state may have begun."""
    found = []
    for _ in range(3):
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter) * draw.choice([0, 0.01, 1, 10])
        found.append(after(answer, parameters, state, draw.uniform(0.001, 0.5), *options))
    return found


def momentum_update(answer, draw):
    parameters = _parameters(draw)
    velocities = [torch.randn_like(p).detach() * draw.choice([0, 1]) for p in parameters]
    options = draw.choice([0.3, 0.5, 0.9, 0.99]), draw.choice([0.0, 0.01, 0.5])
    return _steps(answer, draw, parameters, velocities, options)


def updates_per_window(answer, draw):
    while True:
        momentum, updates, first = draw.uniform(0.1, 0.99), draw.randint(1, 60), draw.randint(1, 6)
        scale, kept = 10 ** draw.uniform(-6, 6), momentum**updates
        moves = [scale * (1 - kept ** (first + window)) for window in range(draw.randint(3, 6))]
        if all(later >= 1.001 * earlier for earlier, later in itertools.pairwise(moves)):
            found = after(answer, moves, momentum)
            if isinstance(found["returned"], (int, float)) and math.isfinite(found["returned"]):
                found["returned"] = float(found["returned"])  # a whole number of any type is right
            return found


def adam_update(answer, draw):
    parameters, states = _parameters(draw), []
    for parameter in parameters:
        age = draw.choice([0, 0, 1, 5])
        m, v = (torch.randn_like(parameter).detach() * bool(age) for _ in range(2))
        states.append({"m": m, "v": v.abs(), "t": age})
    betas = draw.choice([0.0, 0.5, 0.9]), draw.choice([0.0, 0.5, 0.95, 0.999])
    return _steps(answer, draw, parameters, states, (betas, draw.choice([1e-8, 1e-3, 0.5])))


def adamw_step(answer, draw):
    case = draw.choice(networks(draw.randint(0, 9)))
    *others, last = case.model.parameters()
    groups = [{"params": others, "betas": (0.5, 0.9)}, {"params": [last], "lr": 0.05}]
    optimizer = torch.optim.Adam(groups, lr=0.1, eps=draw.choice([1e-8, 1e-2]), amsgrad=draw.random() < 0.3)
    found, weight_decay = [], draw.choice([0.0, 0.1, 0.7])
    for _ in range(3):
        for parameter in case.model.parameters():
            scale = draw.choice([None, 0, 1, 1])
            parameter.grad = None if scale is None else torch.randn_like(parameter) * scale
        for group in optimizer.param_groups:
            group["lr"] = draw.choice([group["lr"], draw.uniform(0.001, 0.5)])
        outcome = after(answer, optimizer, weight_decay)
        found.append((outcome, copy.deepcopy([(p.detach(), p.grad) for p in case.model.parameters()])))
    return found


def second_moment_inputs(answer, draw):
    sizes = [draw.randint(1, 20) for _ in range(draw.randint(1, 6))]
    gradients = torch.randn(len(sizes), draw.randint(1, 5), dtype=torch.float64) * 10 ** draw.uniform(-2, 2)
    return after(answer, gradients, sizes)
