"""Inputs for the exercises of accumulation."""

import itertools

import torch

from course_utils.answers import Steps, networks, optimizers
from tests.samples import after


def updates_per_epoch(answer, draw):
    return [
        after(answer, *(draw.randint(1, most) for most in mosts)) for mosts in [(9, 4, 4), (90, 9, 9), (10**6, 99, 99)]
    ]


def windows_of(answer, draw):
    """What is asked for when, too; from a generator and from a list."""
    count, steps, asked = draw.randint(1, 12), draw.randint(1, 6), []

    def feed():
        for number in range(count):
            asked.append(number)
            yield draw.choice([None, 0, "", number])

    seen = [(type(window).__name__, list(window), len(asked)) for window in itertools.islice(answer(feed(), steps), 20)]
    windows = list(itertools.islice(answer(list(range(count)), steps), 20))
    return [seen, windows, len(set(map(id, windows)))]


def _arguments(draw):
    """Model, optimizer, its steps, and micro-batches. The networks are those whose parameters all get a gradient."""
    case = networks(draw.randint(0, 9))[draw.choice([0, 1, 3])]
    optimizer = optimizers(case.model)[draw.choice(["SGD", "SGD with momentum and two groups", "Adam"])]
    for parameter in case.model.parameters():
        if draw.random() < 0.5:
            parameter.grad = torch.full_like(parameter, draw.uniform(-1, 1))
    sizes = [draw.randint(1, 6) for _ in range(draw.randint(1, 7))]
    return case.model, optimizer, Steps(optimizer), [case.batches(sizes, draw.randint(0, 99)) for _ in range(2)]


def _as_floats(outcome):
    """`outcome` with floats for tensors of one number: the text allows both."""

    def number(value):
        return value.item() if isinstance(value, torch.Tensor) and value.shape == () else value

    returned = outcome["returned"]
    return outcome | {"returned": [*map(number, returned)] if isinstance(returned, list) else number(returned)}


def _seen(outcomes, steps):
    """Without .grad as it is left in the end, of which the text says nothing."""
    kept = [{key: value for key, value in each.items() if key[0] != "gradients"} for each in outcomes]
    return [kept, len(steps), steps.gradients, steps.rates]


def train_epoch(answer, draw):
    model, optimizer, steps, epochs = _arguments(draw)
    return _seen([after(answer, model, optimizer, epoch, draw.randint(1, 5)) for epoch in epochs], steps)


def train_epoch_clipped(answer, draw):
    model, optimizer, steps, epochs = _arguments(draw)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    outcomes = []
    for epoch in epochs:
        several, limit = draw.randint(1, 5), draw.choice([0.1, 0.5, 2.0, torch.inf])
        outcomes.append(_as_floats(after(answer, model, optimizer, scheduler, epoch, several, limit)))
    return _seen(outcomes, steps)


def noise_scale(answer, draw):
    count, parameters, small = draw.randint(1, 9), draw.randint(1, 6), draw.randint(1, 9)
    large, draws = small + draw.randint(1, 9), torch.Generator().manual_seed(draw.randint(0, 999))
    rows = (3 + torch.randn(count, parameters, generator=draws, dtype=torch.float64) for _ in range(2))
    return _as_floats(after(answer, *rows, small, large))
