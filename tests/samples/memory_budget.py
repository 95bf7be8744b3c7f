"""Inputs for the exercises of memory_budget."""

import torch
from torch import nn

from course_utils.answers import networks
from tests.samples import after


def bytes_per_sample(answer, draw):
    """An int is what a float is, rounded down: the text allows both."""
    case = draw.choice(networks(draw.randint(0, 9)))
    model, channels = case.model, case.shape[0]
    if draw.random() < 0.6:
        normalization = nn.BatchNorm1d(channels) if len(case.shape) == 1 else nn.BatchNorm2d(channels)
        model = nn.Sequential(normalization.double(), nn.Dropout(0.3), model)
    ((images, _),) = case.batches([draw.randint(2, 9)])
    if draw.random() < 0.5:
        model(images).sum().backward()
    for module in model.modules():
        module.training = draw.random() < 0.5
    return after(lambda model, images: int(answer(model, images)), model, images)


def fit(answer, draw):
    return [after(answer, draw.randint(1, 20), draw.randint(1, 300), draw.randint(1, 60)) for _ in range(20)]


def swap_batchnorm(answer, draw):
    """The new layers are told from the old ones by their kind, groups and channels; the others by their values, too."""

    def layer(depth):
        channels, kind = 12 * draw.randint(1, 2), draw.randint(0, 7 if depth else 9)
        if kind > 5:
            parts = [layer(depth + 1) for _ in range(draw.randint(1, 3))] if depth < 4 else []
            names = draw.sample("abcde", len(parts))
            return draw.choice(
                [nn.Sequential(*parts), nn.ModuleList(parts), nn.ModuleDict(dict(zip(names, parts, strict=True)))]
            )
        kinds = nn.BatchNorm2d, nn.BatchNorm2d, nn.BatchNorm1d, nn.InstanceNorm2d, nn.Identity
        return nn.GroupNorm(3, channels) if kind == 5 else kinds[kind](channels)

    torch.manual_seed(draw.randint(0, 99))
    model = nn.Sequential(layer(0), layer(0))
    for module in model.modules():
        module.training = draw.random() < 0.5
    before = dict(model.named_modules())
    outcome = after(lambda model, groups: answer(model, groups) and None, model, draw.choice([1, 2, 3, 4, 6, 12]))
    layers = {name: (repr(module), before.get(name) is module) for name, module in model.named_modules()}
    return [outcome["returned"], layers, model.state_dict(), next(iter(before.values())) is model]


def train_within(answer, draw):
    """Whether the limits are kept, and the accuracy is reached; few inputs, because it takes long."""
    if draw.random() < 0.93:
        return []
    judge, most = answer.__globals__["judge"], draw.randint(24_300, 200_000)
    updates = draw.randint(12, 30)
    asked = 0.35 if updates < 25 else 0.6
    return [not judge(2_048 * draw.randint(0, 28), draw.randint(0, 99), most, updates, asked)]
