"""Time per sample to make a batch of MNIST: one indexed tensor against Dataset, ToTensor and DataLoader.

Run with `make bench`. Medians of alternating passes over all 60,000 training samples, in one process.
"""

import statistics
import time
from collections.abc import Callable, Iterable

from torch.utils.data import DataLoader
from torchvision import transforms

from benchmarks.results import store
from course_utils.data import load_mnist, read_datasets
from course_utils.training import batches

BATCH_SIZE, PASSES = 64, 5


def microseconds_per_sample(new_pass: Callable[[], Iterable]) -> float:
    started = time.perf_counter()
    samples = sum(len(labels) for _, labels in new_pass())
    return (time.perf_counter() - started) / samples * 1e6


def main() -> None:
    training, _ = load_mnist()
    dataset, _ = read_datasets(transform=transforms.ToTensor())
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True)
    times = {"indexing tensors": [], "Dataset, ToTensor, DataLoader": []}
    for _ in range(PASSES):
        times["indexing tensors"].append(microseconds_per_sample(lambda: batches(training, BATCH_SIZE)))
        times["Dataset, ToTensor, DataLoader"].append(microseconds_per_sample(lambda: loader))
    medians = {path: statistics.median(values) for path, values in times.items()}
    print(medians)
    store("data_path", batch_size=BATCH_SIZE, passes=PASSES, microseconds_per_sample=medians)


if __name__ == "__main__":
    main()
