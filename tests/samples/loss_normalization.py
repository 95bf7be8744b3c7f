"""Inputs for the exercises of loss_normalization."""

import torch
from torch import nn

from course_utils.answers import networks
from tests.samples import after


def factors(answer, draw):
    sizes = [draw.randint(1, 9) for _ in range(draw.randint(1, 6))]
    return [after(answer, sizes), after(answer, sizes, draw.choice([1, 2, 4, 7]))]


def _window(case, draw):
    return case.batches([draw.randint(1, 6) for _ in range(draw.randint(1, 4))], draw.randint(0, 99))


def backward_over_window(answer, draw):
    case = draw.choice(networks(draw.randint(0, 9)))
    for parameter in case.model.parameters():
        if draw.random() < 0.5:
            parameter.grad = torch.full_like(parameter, draw.uniform(-1, 1))
    return after(answer, case.model, _window(case, draw))


def backward_over_tokens(answer, draw):
    torch.manual_seed(draw.randint(0, 99))
    model = nn.Sequential(nn.Embedding(5, 8), nn.Tanh(), nn.Linear(8, 5)).double()
    ignore_index, window = draw.choice([-100, 0, -1]), []
    for _ in range(draw.randint(1, 4)):
        inputs = torch.randint(1, 5, (draw.randint(1, 3), draw.randint(1, 6)))
        targets = torch.where(
            torch.rand(inputs.shape) < draw.choice([0.1, 0.9]), torch.randint(1, 5, inputs.shape), ignore_index
        )
        window.append((inputs, targets))
    window[0][1][0, 0] = 1
    return after(answer, model, window, ignore_index)


def backward_with_class_weights(answer, draw):
    case = draw.choice(networks(draw.randint(0, 9)))
    weights = torch.rand(case.classes, dtype=torch.float64) + 0.1
    return after(answer, case.model, _window(case, draw), weights)


def equivalent_settings(answer, draw):
    return after(answer, *(draw.uniform(0.1, 3) for _ in range(4)))
