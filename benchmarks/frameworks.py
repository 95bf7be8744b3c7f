"""Two processes: after which micro-batches do Accelerate, Lightning and Transformers' Trainer synchronize gradients?

Run with `make bench`. Each process gets six micro-batches, with four of them for an update, so that the second window
is short. A hook in DistributedDataParallel counts the all-reduces, and each framework's own schedule counts its steps.
The two loops by windows of lesson 14 run, too: of these the weights of the samples in each update are noted. The
results are stored in frameworks.json, or in the file named as argument; tests/test_frameworks.py compares the two.
"""

import contextlib
import json
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"

import accelerate
import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from course_utils.accumulation import windows

RESULTS = Path(__file__).with_suffix(".json")
STEPS, MICRO_BATCHES, PROCESSES = 4, 6, 2
DATA = [{"sample": torch.tensor([i]), "labels": torch.tensor([i])} for i in range(MICRO_BATCHES * PROCESSES)]


class OwnLosses(nn.Module):
    """One parameter for each sample, which is its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = nn.Embedding(len(DATA), 1)

    def forward(self, sample: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": self.losses(sample).mean()}


class Parts(NamedTuple):
    """A model, its optimizer, and a schedule that never changes the learning rate but counts its own steps."""

    model: OwnLosses
    optimizer: torch.optim.SGD
    scheduler: LambdaLR


def parts() -> Parts:
    model = OwnLosses()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return Parts(model, optimizer, LambdaLR(optimizer, lambda step: 1.0))


class Counter:
    """How many all-reduces there were when each micro-batch was over."""

    def __init__(self) -> None:
        self.all_reduces, self.after = 0, []

    def watch(self, model: DistributedDataParallel) -> None:
        def hook(_: None, bucket: torch.distributed.GradBucket) -> torch.futures.Future[Tensor]:
            self.all_reduces += 1
            return allreduce_hook(None, bucket)

        model.register_comm_hook(None, hook)

    def note(self) -> None:
        self.after.append(self.all_reduces)

    def each(self) -> list[int]:
        return [now - before for before, now in zip([0, *self.after], self.after, strict=False)]

    def result(self, scheduler: LambdaLR) -> dict[str, Any]:
        return {"all_reduces": self.each(), "scheduler_steps": scheduler.last_epoch}


def with_accelerate() -> dict[str, Any]:
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=STEPS)
    counter, made = Counter(), parts()
    model, optimizer, scheduler, loader = accelerator.prepare(*made, DataLoader(DATA, batch_size=1))
    counter.watch(model)
    for batch in loader:
        with accelerator.accumulate(model):
            accelerator.backward(model(**batch)["loss"])
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        counter.note()
    return counter.result(made.scheduler)


def accelerate_by_windows() -> dict[str, Any]:
    """The first process has six micro-batches of one sample, the second six of two."""
    accelerator = accelerate.Accelerator(cpu=True)
    accelerator.sync_gradients = True
    rank, counter = accelerator.process_index, Counter()
    micro_batches = [torch.arange(MICRO_BATCHES), torch.arange(MICRO_BATCHES, 3 * MICRO_BATCHES)][rank].split(rank + 1)
    losses = nn.Embedding(3 * MICRO_BATCHES, 1)
    model, optimizer = accelerator.prepare(losses, torch.optim.SGD(losses.parameters(), lr=0.01))
    counter.watch(model)
    weights = []
    for window in windows(micro_batches, STEPS):
        optimizer.zero_grad()
        samples = accelerator.reduce(torch.tensor(sum(map(len, window))), "sum") / accelerator.num_processes
        for i, inputs in enumerate(window, start=1):
            with contextlib.nullcontext() if i == len(window) else accelerator.no_sync(model):
                accelerator.backward(model(inputs).sum() / samples)
            counter.note()
        weights.append(distinct(losses))
        optimizer.step()
    return {"all_reduces": counter.each(), "weights": weights}


def distinct(losses: nn.Embedding) -> list[float]:
    return sorted({round(weight, 4) for weight in losses.weight.grad[:, 0].tolist()})


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.losses, self.optimizer, self.scheduler = parts()

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        return self.losses(**batch)["loss"]

    def configure_optimizers(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer, "lr_scheduler": {"scheduler": self.scheduler, "interval": "step"}}


class NoteLightning(lightning.Callback):
    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def on_train_start(self, trainer: lightning.Trainer, *_: object) -> None:
        self.counter.watch(trainer.strategy.model)

    def on_train_batch_end(self, *_: object) -> None:
        self.counter.note()


def fit(module: lightning.LightningModule, batch_size: int, **arguments: Any) -> Counter:
    counter = Counter()
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=PROCESSES,
        strategy="ddp",
        max_epochs=1,
        callbacks=[NoteLightning(counter)],
        barebones=True,
        **arguments,
    )
    trainer.fit(module, DataLoader(DATA, batch_size=batch_size))
    return counter


def with_lightning() -> dict[str, Any]:
    module = Module()
    return fit(module, 1, accumulate_grad_batches=STEPS).result(module.scheduler)


class ByWindows(Module):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization, self.weights = False, []

    def training_step(self, batch: dict[str, Tensor]) -> None:
        optimizer = self.optimizers()
        optimizer.zero_grad()
        for sample in batch["sample"].split(1):
            self.manual_backward(self.losses(sample, sample)["loss"] / len(batch["sample"]))
        self.weights.append(distinct(self.losses.losses))
        optimizer.step()


def lightning_by_windows() -> dict[str, Any]:
    module = ByWindows()
    return {"all_reduces": fit(module, STEPS).each(), "weights": module.weights}


class NoteTrainer(TrainerCallback):
    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def on_train_begin(self, *_: object, model: nn.Module, **__: object) -> None:
        self.counter.watch(self.trainer.model_wrapped)

    def on_substep_end(self, *_: object, **__: object) -> None:
        self.counter.note()

    def on_step_end(self, *_: object, **__: object) -> None:
        self.counter.note()


def with_trainer() -> dict[str, Any]:
    counter, made = Counter(), parts()
    note = NoteTrainer(counter)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            ddp_backend="gloo",
            ddp_find_unused_parameters=False,
            num_train_epochs=1,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=STEPS,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        note.trainer = Trainer(made.model, arguments, train_dataset=DATA, optimizers=made[1:], callbacks=[note])
        note.trainer.remove_callback(PrinterCallback)
        note.trainer.train()
    return counter.result(made.scheduler)


def main() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    result = {
        "processes": PROCESSES,
        "accumulation_steps": STEPS,
        "Accelerate": with_accelerate(),
        "Accelerate by windows": accelerate_by_windows(),
        "Lightning": with_lightning(),
        "Lightning by windows": lightning_by_windows(),
        "Trainer": with_trainer(),
    }
    if int(os.environ["RANK"]) == 0:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
