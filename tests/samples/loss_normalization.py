"""Inputs for the exercises of loss_normalization."""

import torch
from torch import nn

from course_utils.answers import networks
from tests.samples import after


def factors(answer, draw):
    sizes = [draw.randint(1, draw.choice([3, 9, 1000])) for _ in range(draw.randint(1, 7))]
    return [after(answer, sizes), after(answer, sizes, draw.choice([1, 2, 4, 7, draw.uniform(0.1, 20)]))]


def _trained(draw):
    """A network in which every micro-batch gives each parameter a gradient, with or without gradients before."""
    case = networks(draw.randint(0, 9))[draw.choice([0, 1, 3])]
    for parameter in case.model.parameters():
        if draw.random() < 0.5:
            parameter.grad = torch.full_like(parameter, draw.uniform(-1, 1))
    return case


def _window(case, draw):
    return case.batches([draw.randint(1, 6) for _ in range(draw.randint(1, 5))], draw.randint(0, 99))


def _alone(found):
    """What the answer returns is not used."""
    return {
        key: value
        for key, value in found.items()
        if key != "returned" or isinstance(value, str)  # the name of an error
    }


def backward_over_window(answer, draw):
    case = _trained(draw)
    if draw.random() < 0.3:
        model = case.model.float()
        return _alone(after(answer, model, [(x.float(), y) for x, y in _window(case, draw)]))
    return [_alone(after(answer, case.model, _window(case, draw))) for _ in range(2)]


def backward_over_tokens(answer, draw):
    torch.manual_seed(draw.randint(0, 99))
    vocabulary = draw.randint(3, 9)
    model = nn.Sequential(nn.Embedding(vocabulary, 8), nn.Tanh(), nn.Linear(8, vocabulary)).double()
    ignore_index, window = draw.choice([-100, 0, -1, 2, 50]), []
    for _ in range(draw.randint(1, 4)):
        inputs = torch.randint(vocabulary, (draw.randint(1, 3), draw.randint(1, 6)))
        kept = torch.rand(inputs.shape) < draw.choice([0, 0.1, 0.9])
        window.append(
            (inputs, torch.where(kept, torch.randint(1, vocabulary, inputs.shape), ignore_index))
        )
    window[draw.randrange(len(window))][1][0, 0] = 1
    return [after(answer, model, window, ignore_index) for _ in range(2)]


def backward_with_class_weights(answer, draw):
    case = _trained(draw)
    weights = torch.rand(case.classes, dtype=torch.float64) + 0.1
    if draw.random() < 0.5:
        weights[draw.randrange(1, case.classes)] = 0
    window = _window(case, draw)
    window[0][1][0] = 0
    return _alone(after(answer, case.model, window, weights))


def equivalent_settings(answer, draw):
    return after(answer, *(draw.uniform(0.1, 3) for _ in range(4)))
