"""Inputs for the exercises of learning_rate."""

import math

from torch.optim.lr_scheduler import ReduceLROnPlateau

from course_utils.answers import networks, optimizers
from course_utils.data import Split
from tests.samples import after


def starting_rate(answer, draw):
    lr, recipe_batch, steps = draw.uniform(1e-4, 0.5), draw.randint(1, 600), draw.randint(1, 70)
    kind = draw.choice(["SGD", "Adam", "mean of squares"])
    micro_batch = recipe_batch if kind == "mean of squares" else draw.randint(1, 600)
    return after(answer, lr, recipe_batch, micro_batch, steps, kind)


def same_half_life(answer, draw):
    return after(
        answer, draw.choice([0.9, 0.95, 0.999, draw.uniform(0.01, 0.99)]), draw.randint(1, 99), draw.randint(1, 99)
    )


def warmup(answer, draw):
    warmup_updates, lr = draw.randint(0, 9), draw.uniform(1e-4, 0.5)
    return [after(answer, update, warmup_updates, lr) for update in draw.sample(range(12), 12)]


def schedule_length(answer, draw):
    return after(answer, draw.randint(1, 300), draw.randint(1, 20), draw.randint(1, 9), draw.randint(1, 5))


def plateau(answer, draw):
    levels = [round(draw.uniform(-1.5, 3), 1) for _ in range(draw.randint(1, 9))] + [math.nan, 0.0]
    metrics = [draw.choice(levels) for _ in range(draw.randint(0, 40))]
    if draw.random() < 0.5:
        metrics = [abs(metric) / (1 + place) for place, metric in enumerate(metrics)]
    lr = draw.uniform(0.1, 1)
    rules = [draw.uniform(0.1, 0.9), draw.randint(0, 4), draw.choice([0.0, 1e-4, 0.1, 0.5]), draw.randint(0, 4)]
    return after(answer, metrics, lr, *rules, draw.choice([0.0, lr / 10, lr / 3, lr]))


def train_with_plateau(answer, draw):
    case = draw.choice(networks(draw.randint(0, 9)))
    optimizer = draw.choice([*optimizers(case.model).values()])
    scheduler = ReduceLROnPlateau(optimizer, factor=0.3, patience=draw.randint(0, 1), threshold=draw.choice([0.0, 0.1]))
    loader = case.batches([draw.randint(1, 7) for _ in range(draw.randint(1, 5))], draw.randint(0, 99))
    validation = Split(*case.batches([draw.randint(1, 9)], draw.randint(0, 99))[0])
    numbers = draw.randint(1, 4), draw.randint(1, 6)
    found = [after(answer, case.model, optimizer, scheduler, loader, validation, *numbers) for _ in range(2)]
    return [*found, case.note.seen]
