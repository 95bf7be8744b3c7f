"""The largest parameter difference from the large batch after an epoch that ends in a short micro-batch and window.

Run with `make bench`. 342 samples of MNIST in micro-batches of 16, K = 4: 22 micro-batches, the last of 6 samples, and
6 windows, the last of two micro-batches. The loops whose time loops.py measures, the modulo loop of most tutorials
(without a step at the end), and Transformers' Trainer train the same MLP with SGD in float64. Only the last digits
depend on the machine. `change` is the largest change of a parameter in the large batches' epoch.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments

from benchmarks import loops
from benchmarks.loops import MICRO_BATCH, STEPS, MicroBatches, loader_of, sgd
from benchmarks.results import store
from course_utils.accumulation import windows
from course_utils.checks import compare_parameters
from course_utils.data import Split, load_mnist
from course_utils.models import mlp

SAMPLES = 342


def large_batch(model: nn.Module, loader: DataLoader) -> None:
    optimizer = sgd(model)
    for window in windows(loader, STEPS):
        images, labels = map(torch.cat, zip(*window, strict=True))
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()


def modulo_without_last_step(model: nn.Module, loader: DataLoader) -> None:
    optimizer = sgd(model)
    for i, (images, labels) in enumerate(loader):
        (cross_entropy(model(images), labels) / STEPS).backward()
        if (i + 1) % STEPS == 0:
            optimizer.step()
            optimizer.zero_grad()


def loop_of(name: str) -> Callable[[nn.Module, DataLoader], None]:
    return lambda model, loader: loops.LOOPS[name](model, loader)()


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
    """What many projects write: a loss that does not use the number of items in the window."""

    def compute_loss(self, model: nn.Module, inputs: dict, return_outputs: bool = False, **_: object) -> Tensor:
        return cross_entropy(model(inputs["images"], inputs["labels"])["logits"], inputs["labels"])


def with_trainer(model: nn.Module, loader: DataLoader, trainer_class: type[Trainer] = Trainer) -> None:
    rows = [
        {"images": image, "labels": label}
        for images, labels in loader
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


def with_own_loss(model: nn.Module, loader: DataLoader) -> None:
    with_trainer(model, loader, OwnLoss)


LOOPS: dict[str, Callable[[nn.Module, DataLoader], None]] = {
    "window-first": loop_of("window-first"),
    "modulo, without a step at the end": modulo_without_last_step,
    "modulo, with a step at the end": loop_of("modulo"),
    "Accelerate": loop_of("Accelerate"),
    "Lightning": loop_of("Lightning"),
    "Trainer": with_trainer,
    "Trainer, with a compute_loss of one's own": with_own_loss,
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return mlp(16).double()


def main() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    images, labels = (tensor[:SAMPLES] for tensor in load_mnist()[0])
    loader = loader_of(MicroBatches(Split(images.double(), labels)))
    right = network()
    large_batch(right, loader)
    change = compare_parameters(network(), right).largest
    rows = []
    for loop, train in LOOPS.items():
        model = network()
        train(model, loader)
        rows.append({"loop": loop, "difference": compare_parameters(model, right).largest})
        print(f"{loop:45} {rows[-1]['difference']:.1e}", flush=True)
    print(f"{'(largest change by the large batches)':45} {change:.1e}")
    store("equality", samples=SAMPLES, micro_batch=MICRO_BATCH, accumulation_steps=STEPS, change=change, loops=rows)


if __name__ == "__main__":
    main()
