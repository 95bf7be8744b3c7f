"""CPU seconds of an epoch in the window-first loop, the modulo loop, Accelerate and Lightning, for MLPs of three sizes.

Run with `make bench`. All four train the same network on the same micro-batches from the same kind of DataLoader, in
random order, in one process. loops.json gets the medians, and the time of the window-first loop divided by each
other loop's: the median of this ratio over the rounds, and its quartiles. The modulo loop steps at the end of the
epoch, too, so that all loops make the same number of updates.
"""

import gc
import logging
import random
import statistics
import time
import warnings
from collections.abc import Callable

import accelerate
import pytorch_lightning as lightning
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from benchmarks.results import store
from course_utils.accumulation import backward, windows
from course_utils.data import Split, load_mnist
from course_utils.models import mlp

SAMPLES, MICRO_BATCH, STEPS, ROUNDS = 4_120, 16, 4, 25
HIDDEN_UNITS = [16, 128, 1_024]


class MicroBatches(Dataset):
    """The split's micro-batches, each by one indexing operation, so that loading costs little in all loops."""

    def __init__(self, split: Split) -> None:
        self.parts = list(zip(split.images.split(MICRO_BATCH), split.labels.split(MICRO_BATCH), strict=True))

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.parts[place]


def loader_of(data: MicroBatches) -> DataLoader:
    return DataLoader(data, batch_size=1, collate_fn=lambda parts: parts[0])


def sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.5)


def window_first(model: nn.Module, loader: DataLoader) -> Callable[[], None]:
    optimizer = sgd(model)

    def epoch() -> None:
        for window in windows(loader, STEPS):
            optimizer.zero_grad()
            backward(model, window)
            optimizer.step()

    return epoch


def modulo(model: nn.Module, loader: DataLoader) -> Callable[[], None]:
    optimizer = sgd(model)

    def epoch() -> None:
        optimizer.zero_grad()
        for i, (inputs, targets) in enumerate(loader):
            loss = cross_entropy(model(inputs), targets) / STEPS
            loss.backward()
            if (i + 1) % STEPS == 0 or i + 1 == len(loader):
                optimizer.step()
                optimizer.zero_grad()

    return epoch


def with_accelerate(model: nn.Module, loader: DataLoader) -> Callable[[], None]:
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=STEPS)
    model, optimizer, loader = accelerator.prepare(model, sgd(model), loader)

    def epoch() -> None:
        for inputs, targets in loader:
            with accelerator.accumulate(model):
                accelerator.backward(cross_entropy(model(inputs), targets))
                optimizer.step()
                optimizer.zero_grad()

    return epoch


class Module(lightning.LightningModule):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        inputs, targets = batch
        return cross_entropy(self.model(inputs), targets)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return sgd(self.model)


def with_lightning(model: nn.Module, loader: DataLoader) -> Callable[[], None]:
    """The time of an epoch leaves out what fit() does before and after it."""
    module = Module(model)

    def epoch() -> float:
        clock = Clock()
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            accumulate_grad_batches=STEPS,
            callbacks=[clock],
            logger=False,
            barebones=True,
        )
        trainer.fit(module, loader)
        return clock.seconds

    return epoch


class Clock(lightning.Callback):
    def on_train_epoch_start(self, *_: object) -> None:
        self.started = time.process_time()

    def on_train_epoch_end(self, *_: object) -> None:
        self.seconds = time.process_time() - self.started


LOOPS = {"window-first": window_first, "modulo": modulo, "Accelerate": with_accelerate, "Lightning": with_lightning}


def seconds(epoch: Callable[[], float | None]) -> float:
    started = time.process_time()
    measured = epoch()
    return measured or time.process_time() - started


def share(of: list[float], others: list[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles((a / b for a, b in zip(of, others, strict=True)), n=4)
    return {"low": low, "median": median, "high": high}


def main() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    training, _ = load_mnist()
    data = MicroBatches(Split(training.images[:SAMPLES], training.labels[:SAMPLES]))
    rows = []
    for hidden in HIDDEN_UNITS:
        times = {loop: [] for loop in LOOPS}
        for turn in tqdm(range(ROUNDS + 1), desc=f"{hidden:,} hidden units"):
            for loop in random.Random(turn).sample(list(LOOPS), k=len(LOOPS)):
                torch.manual_seed(0)
                epoch = LOOPS[loop](mlp(hidden), loader_of(data))  # a new one: its place in memory matters, too
                gc.collect()  # or each loop would pay for the garbage of the one before
                times[loop].append(seconds(epoch))
        times = {loop: values[1:] for loop, values in times.items()}  # the first one warms up
        medians = {loop: statistics.median(values) for loop, values in times.items()}
        shares = {loop: share(times["window-first"], times[loop]) for loop in LOOPS if loop != "window-first"}
        rows.append({"hidden_units": hidden, "seconds": medians, "window_first_share": shares})
        print(rows[-1])
    store("loops", samples=SAMPLES, micro_batch=MICRO_BATCH, accumulation_steps=STEPS, rounds=ROUNDS, networks=rows)


if __name__ == "__main__":
    main()
