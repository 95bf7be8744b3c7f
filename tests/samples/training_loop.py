"""Inputs for the exercises of training_loop."""

import torch
from torch import nn

from course_utils.answers import networks, optimizers
from tests.samples import after


def _trained(draw):
    """A network in which every batch gives each parameter a gradient, and a function that gives its batches."""
    case = draw.choice([networks(draw.randint(0, 9))[i] for i in (0, 1, 3)])
    sizes = [draw.randint(1, 9) for _ in range(draw.randint(1, 5))]
    dtype = draw.choice([torch.float64, torch.float64, torch.float32])
    loader = [(inputs.to(dtype), targets) for inputs, targets in case.batches(sizes, draw.randint(0, 99))]
    return case.model.to(dtype), loader


def train_one_epoch(answer, draw):
    model, loader = _trained(draw)
    model.train(draw.random() < 0.5)
    each = optimizers(model)
    optimizer = each[draw.choice(sorted(each))]
    as_loader = draw.choice([list, iter])
    found = [after(answer, model, optimizer, as_loader(loader)) for _ in range(2)]
    return [_without_gradients(one) for one in found]


def accuracy(answer, draw):
    classes, shape = draw.randint(2, 6), draw.choice([(4,), (1, 3, 3)])
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(4 if shape == (4,) else 9, classes), nn.BatchNorm1d(classes), nn.Dropout(0.5)
    ).train(draw.random() < 0.5)
    model[2].bias.requires_grad_(False)
    if draw.random() < 0.5:
        model[1].weight.grad = torch.ones_like(model[1].weight)
    n = draw.randint(1, 12)
    with torch.set_grad_enabled(draw.random() < 0.5):
        return after(answer, model, torch.randn(n, *shape), torch.randint(classes, (n,)))


def sgd_update(answer, draw):
    parameters = []
    for _ in range(draw.randint(1, 5)):
        parameters.append(nn.Parameter(torch.randn(draw.choice([(), (1,), (3,), (2, 4)]))))
        if draw.random() < 0.7:
            parameters[-1].grad = torch.randn_like(parameters[-1])
    return [after(answer, parameters, draw.uniform(0.01, 2)) for _ in range(2)]


def cleared_but_the_same(answer, draw):
    model, loader = _trained(draw)
    found = after(answer, model, draw.choice([list, iter])(loader), draw.uniform(0.01, 0.5))
    return _without_gradients(found)


def _without_gradients(found):
    """Whether gradients are cleared before a batch or after it is left to the answer, and so is the mode at the end."""
    return {key: value for key, value in found.items() if key[0] not in ("gradients", "mode") and key != "returned"} | {
        "returned": found["returned"]
    }
