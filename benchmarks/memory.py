"""Bytes saved for backward by K, and bytes alive by checkpointing, against the theory; and peak resident memory.

Run with `make bench`. Each configuration runs in a process of its own, twice: once under the counters of
course_utils.memory, which slow it down and need memory of their own, and once without, for the resident memory: how
much the process's peak rises above what it had when the data and the network were loaded and all freed memory was
returned to the system. That needs Linux.
"""

import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint_sequential
from tqdm.auto import tqdm

from benchmarks.results import store
from course_utils.data import load_mnist
from course_utils.memory import LiveTensors, SavedForBackward
from course_utils.models import cnn, deep_mlp

BATCH, KS = 8_192, [1, 2, 4, 8, 16, 32]
BYTES_A_SAMPLE = 9_072  # of the CNN, as lesson 05 counts them
LAYERS, WIDTH, ROWS, SEGMENTS = 64, 256, 2_048, [1, 2, 4, 8, 16, 32]
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def accumulate(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, steps: int) -> None:
    for inputs, targets in zip(images.chunk(steps), labels.chunk(steps), strict=True):
        (cross_entropy(model(inputs), targets, reduction="sum") / len(labels)).backward()


def checkpointed(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, segments: int) -> None:
    states, blocks = model[0](images), model[1:-1]
    states = blocks(states) if segments == 1 else checkpoint_sequential(blocks, segments, states, use_reentrant=False)
    cross_entropy(model[-1](states), labels).backward()


def resident(field: str) -> int | None:
    """Bytes in this line of /proc/self/status: VmRSS is the memory now, VmHWM its peak."""
    lines = STATUS.read_text(encoding="utf-8").splitlines() if STATUS.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)


def one(kind: str, count: int, counted: bool) -> dict[str, int | None]:
    """One gradient with K = `count` or with `count` segments: the counter's peak, or the rise of resident memory."""
    training, _ = load_mnist()
    size = BATCH if kind == "accumulation" else ROWS
    images, labels = training.images[:size].clone(), training.labels[:size].clone()
    del training
    gc.collect()
    torch.manual_seed(0)
    model, train = (cnn(), accumulate) if kind == "accumulation" else (deep_mlp(LAYERS, WIDTH), checkpointed)
    train(model, images[:64], labels[:64], 1)  # what is made once: gradients, thread pools
    if counted:
        with SavedForBackward(model) if kind == "accumulation" else LiveTensors() as counter:
            train(model, images, labels, count)
        return {"bytes": counter.peak}
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    if before is not None:
        RESET.write_text("5", encoding="utf-8")  # the peak begins anew (Linux, Documentation/filesystems/proc.rst)
    train(model, images, labels, count)
    return {"resident": before and resident("VmHWM") - before}


def measured(kind: str, count: int) -> dict[str, int | None]:
    found = {}
    for counted in ("counted", "resident"):
        command = [sys.executable, "-m", "benchmarks.memory", kind, str(count), counted]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found |= json.loads(done.stdout)
    return found


def main() -> None:
    configurations = [("accumulation", steps) for steps in KS] + [("checkpointing", segments) for segments in SEGMENTS]
    rows = {"accumulation": [], "checkpointing": []}
    for kind, count in tqdm(configurations):
        if kind == "accumulation":
            theory = BYTES_A_SAMPLE * BATCH // count
        else:
            layers = LAYERS if count == 1 else count + LAYERS // count
            theory = layers * ROWS * WIDTH * 4
        rows[kind].append({"count": count, "theory": theory, **measured(kind, count)})
    for kind, found in rows.items():
        print(kind, *found, sep="\n")
    store("memory", batch=BATCH, layers=LAYERS, width=WIDTH, rows=ROWS, **rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "counted")))
    else:
        main()
