"""The largest parameter difference to the large batch after an epoch that ends in a short micro-batch and window.

Run with `make bench`. 342 samples of MNIST in micro-batches of 16, K = 4: 22 micro-batches, the last of 6 samples, and
6 windows, the last of two micro-batches. Every loop trains the same MLP with SGD, in 64-bit numbers, with each
framework's own accumulation as its documentation shows it. Nothing here depends on the machine but the last digits.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable

os.environ["HF_HUB_OFFLINE"] = "1"

import accelerate
import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments

from benchmarks.results import store
from course_utils.accumulation import backward, windows
from course_utils.checks import compare_parameters
from course_utils.data import load_mnist
from course_utils.models import mlp

SAMPLES, MICRO_BATCH, STEPS = 342, 16, 4
MicroBatches = list[tuple[Tensor, Tensor]]


def large_batch(model: nn.Module, micro_batches: MicroBatches) -> None:
    optimizer = sgd(model)
    for window in windows(micro_batches, STEPS):
        images, labels = map(torch.cat, zip(*window, strict=True))
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()


def window_first(model: nn.Module, micro_batches: MicroBatches) -> None:
    optimizer = sgd(model)
    for window in windows(micro_batches, STEPS):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()


def modulo(model: nn.Module, micro_batches: MicroBatches) -> None:
    optimizer = sgd(model)
    for i, (images, labels) in enumerate(micro_batches):
        (cross_entropy(model(images), labels) / STEPS).backward()
        if (i + 1) % STEPS == 0:
            optimizer.step()
            optimizer.zero_grad()


def modulo_with_last_step(model: nn.Module, micro_batches: MicroBatches) -> None:
    optimizer = sgd(model)
    for i, (images, labels) in enumerate(micro_batches):
        (cross_entropy(model(images), labels) / STEPS).backward()
        if (i + 1) % STEPS == 0 or i + 1 == len(micro_batches):
            optimizer.step()
            optimizer.zero_grad()


def with_accelerate(model: nn.Module, micro_batches: MicroBatches) -> None:
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=STEPS)
    loader = DataLoader(micro_batches, batch_size=None)
    model, optimizer, loader = accelerator.prepare(model, sgd(model), loader)
    for images, labels in loader:
        with accelerator.accumulate(model):
            accelerator.backward(cross_entropy(model(images), labels))
            optimizer.step()
            optimizer.zero_grad()


class Module(lightning.LightningModule):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        return cross_entropy(self.model(images), labels)

    def configure_optimizers(self) -> SGD:
        return sgd(self.model)


def with_lightning(model: nn.Module, micro_batches: MicroBatches) -> None:
    trainer = lightning.Trainer(accelerator="cpu", max_epochs=1, accumulate_grad_batches=STEPS, barebones=True)
    trainer.fit(Module(model), DataLoader(micro_batches, batch_size=None))


class ForTrainer(nn.Module):
    """As Transformers' models do, it divides by the number of items that the Trainer has counted in the window.

    The `**kwargs` tells the Trainer that it does.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, images: Tensor, labels: Tensor, num_items_in_batch: int | Tensor | None = None, **kwargs: object
    ) -> dict[str, Tensor]:
        logits = self.model(images)
        if num_items_in_batch is None:
            return {"loss": cross_entropy(logits, labels), "logits": logits}
        return {"loss": cross_entropy(logits, labels, reduction="sum") / num_items_in_batch, "logits": logits}


class OwnLoss(Trainer):
    """What many projects write: a loss that knows nothing of the window."""

    def compute_loss(self, model: nn.Module, inputs: dict, return_outputs: bool = False, **_: object) -> Tensor:
        return cross_entropy(model(inputs["images"], inputs["labels"])["logits"], inputs["labels"])


def with_trainer(model: nn.Module, micro_batches: MicroBatches, trainer_class: type[Trainer] = Trainer) -> None:
    rows = [
        {"images": image, "labels": label}
        for images, labels in micro_batches
        for image, label in zip(images, labels, strict=True)
    ]
    optimizer = sgd(model)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            num_train_epochs=1,
            per_device_train_batch_size=MICRO_BATCH,
            gradient_accumulation_steps=STEPS,
            train_sampling_strategy="sequential",
            max_grad_norm=0.0,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        schedule = LambdaLR(optimizer, lambda update: 1.0)
        trainer = trainer_class(ForTrainer(model), arguments, train_dataset=rows, optimizers=(optimizer, schedule))
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def with_own_loss(model: nn.Module, micro_batches: MicroBatches) -> None:
    with_trainer(model, micro_batches, OwnLoss)


LOOPS: dict[str, Callable[[nn.Module, MicroBatches], None]] = {
    "window-first": window_first,
    "modulo, as it is passed on": modulo,
    "modulo, with a step at the end": modulo_with_last_step,
    "Accelerate": with_accelerate,
    "Lightning": with_lightning,
    "Trainer": with_trainer,
    "Trainer, with a compute_loss of one's own": with_own_loss,
}


def sgd(model: nn.Module) -> SGD:
    return SGD(model.parameters(), lr=0.1)


def network() -> nn.Module:
    torch.manual_seed(0)
    return mlp(16).double()


def main() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    images, labels = (tensor[:SAMPLES] for tensor in load_mnist()[0])
    micro_batches = list(zip(images.double().split(MICRO_BATCH), labels.split(MICRO_BATCH), strict=True))
    right = network()
    large_batch(right, micro_batches)
    way = compare_parameters(network(), right).largest
    rows = []
    for loop, train in LOOPS.items():
        model = network()
        train(model, micro_batches)
        rows.append({"loop": loop, "difference": compare_parameters(model, right).largest})
        print(f"{loop:45} {rows[-1]['difference']:.1e}", flush=True)
    print(f"{'(how far the large batch itself goes)':45} {way:.1e}")
    store("equality", samples=SAMPLES, micro_batch=MICRO_BATCH, accumulation_steps=STEPS, way=way, loops=rows)


if __name__ == "__main__":
    main()
