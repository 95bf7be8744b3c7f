"""CPU time of an epoch of a model of a million parameters with `watch`, divided by the time without.

Run with `make bench`. Watched and unwatched epochs in random turns, in one process; medians of the rounds' ratios.
"""

import contextlib
import itertools
import random
import statistics
import time

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.results import store
from course_utils.accumulation import windows
from course_utils.data import load_mnist
from course_utils.watch import watch

SAMPLES, STEPS, ROUNDS = 2_048, 4, 9
SIZES = (16, 64)


def mlp() -> nn.Module:
    layers = [nn.Linear(784, 1_024), nn.ReLU(), nn.Linear(1_024, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(nn.Flatten(), *layers)


def cnn() -> nn.Module:
    layers = [nn.Conv2d(1, 32, 5, 2), nn.ReLU(), nn.Conv2d(32, 64, 5, 2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1_024, 896), nn.ReLU(), nn.Linear(896, 10))


class Transformer(nn.Module):
    """Reads the rows of an image; 64 parameter tensors."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(144, 4, 432, dropout=0.0, batch_first=True)
        self.inputs, self.outputs = nn.Linear(28, 144), nn.Linear(144, 10)
        self.encoder = nn.TransformerEncoder(layer, 5, enable_nested_tensor=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.outputs(self.encoder(self.inputs(images.flatten(1).unflatten(1, (28, 28)))).mean(1))


MODELS = {"MLP": mlp, "CNN": cnn, "transformer": Transformer}


def seconds(model: nn.Module, micro_batches: list, watched: bool) -> tuple[float, float]:
    """CPU time of an epoch, and of starting and stopping the watch and reading what it saw."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    started = time.process_time()
    with watch(model) if watched else contextlib.nullcontext() as seen:
        begun = time.process_time()
        for window in windows(micro_batches, STEPS):
            optimizer.zero_grad()
            for inputs, targets in window:
                (cross_entropy(model(inputs), targets) / len(window)).backward()
            optimizer.step()
        ended = time.process_time()
    assert not watched or seen.verdict == "right"
    return ended - begun, time.process_time() - started - (ended - begun)


def main() -> None:
    training, _ = load_mnist()
    found = []
    for (name, make), size in itertools.product(MODELS.items(), SIZES):
        torch.manual_seed(0)
        model = make()
        micro_batches = list(
            zip(training.images[:SAMPLES].split(size), training.labels[:SAMPLES].split(size), strict=True)
        )
        ratios, start_and_stop = [], []
        for _ in range(ROUNDS):
            turns = [True, False]
            random.shuffle(turns)
            times = {watched: seconds(model, micro_batches, watched) for watched in turns}
            ratios.append(times[True][0] / times[False][0])
            start_and_stop.append(times[True][1])
        low, median, high = statistics.quantiles(ratios, n=4)
        parameters = sum(p.numel() for p in model.parameters())
        tensors = len(list(model.parameters()))
        found.append(
            {"model": name, "parameters": parameters, "tensors": tensors, "micro_batch": size}
            | {"low": low, "median": median, "high": high, "start_and_stop": statistics.median(start_and_stop)}
        )
        print(found[-1])
    store("watch", samples=SAMPLES, accumulation_steps=STEPS, rounds=ROUNDS, models=found)


if __name__ == "__main__":
    main()
