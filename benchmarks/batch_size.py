"""How long training on MNIST takes to 97 % and to 98 % accuracy by batch size, from 1 to 60,000.

Learning rate 0.02, momentum 0.5.

Run with `make bench-batch-size` (about a quarter of an hour). Each finished run is stored at once in batch_size.json,
and a run that is stored from the same CPU and PyTorch is not repeated, so it can be interrupted; delete the file to
start again.
"""

import itertools
import time

import torch
from tqdm.auto import tqdm

from benchmarks.results import FOLDER, machine, store, stored
from course_utils.data import load_mnist
from course_utils.models import cnn, mlp
from course_utils.training import batches, evaluate, train_step

RESULTS = FOLDER / "batch_size.json"
MODELS = {"MLP": mlp, "CNN": cnn}
BATCH_SIZES = [1, 6, 60, 600, 6_000, 60_000]
SECONDS = 60  # of loading and computing, without the evaluations
SAME = ("cpu", "capability", "threads", "torch")  # what the results depend on


def run(model_name: str, batch_size: int, training, test) -> dict:
    """Trains until 98 % on the test images or SECONDS; evaluates once an epoch, and every 1,000 updates within one."""
    torch.manual_seed(0)
    model = MODELS[model_name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.5)
    result = {
        "model": model_name,
        "batch_size": batch_size,
        "best": 0.0,
        "updates": 0,
        "computing": 0.0,
        "loading": 0.0,
    }
    started = time.perf_counter()
    while True:
        feed = batches(training, batch_size)
        per_epoch = -(-60_000 // batch_size)
        for position in range(1, per_epoch + 1):
            batch = next(feed)
            loaded = time.perf_counter()
            train_step(model, *batch, optimizer)
            done = time.perf_counter()
            result["updates"] += 1
            result["loading"] += loaded - started
            result["computing"] += done - loaded
            if position == per_epoch or position % 1_000 == 0:
                result["epochs"] = result["updates"] / per_epoch
                accuracy = evaluate(model, test).accuracy
                result["best"] = max(result["best"], accuracy)
                for goal in ("97 %", "98 %"):
                    if accuracy >= float(goal[:2]) / 100:
                        seconds = result["computing"] + result["loading"]
                        result.setdefault(goal, {"updates": result["updates"], "seconds": seconds})
                if "98 %" in result or result["computing"] + result["loading"] > SECONDS:
                    return result
            started = time.perf_counter()


def main() -> None:
    earlier = stored("batch_size") if RESULTS.exists() else {}
    here, there = machine(), earlier.get("machine", {})
    runs = earlier["runs"] if all(there.get(name) == here[name] for name in SAME) else []
    finished = {(result["model"], result["batch_size"]) for result in runs}
    training, test = load_mnist()
    left = [pair for pair in itertools.product(MODELS, BATCH_SIZES) if pair not in finished]
    print(f"{len(runs)} of {len(MODELS) * len(BATCH_SIZES)} runs are stored; delete {RESULTS} to measure them anew")
    for model_name, batch_size in tqdm(left, desc="runs"):
        runs.append(run(model_name, batch_size, training, test))
        store("batch_size", runs=runs)


if __name__ == "__main__":
    main()
