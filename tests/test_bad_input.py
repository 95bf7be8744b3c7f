"""Every public function and class of course_utils with bad arguments: errors name them, and no model has changed."""

import copy
import fnmatch
import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR
from traitlets import TraitError

import course_utils
from course_utils import accumulation, loops, noise, optimizers, processes
from course_utils.data import Split
from course_utils.watch import Watched, watch

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NAN, INF = float("nan"), float("inf")


# Good arguments. The other device is "meta", which PyTorch has everywhere.

IMAGES, LABELS = torch.rand(20, 1, 28, 28), torch.arange(20) % 10
META_IMAGES, META_LABELS = IMAGES.to("meta"), LABELS.to("meta")
FIGURE = Figure(figsize=(2, 1))
SENTENCE = "The figure shows nothing."


def model(device="cpu") -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)).to(device)


def micro_batches(images=IMAGES, labels=LABELS) -> list:
    return list(zip(images.split(5), labels.split(5), strict=True))


def parameters() -> list:
    return [nn.Parameter(torch.ones(2))]


def trained() -> dict:
    network = model()
    return {"model": network, "optimizer": SGD(network.parameters(), lr=0.1)}


def changes_it(model) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1


def with_nan(model) -> nn.Module:
    with torch.no_grad():
        next(model.parameters()).fill_(NAN)
    return model


def one_epoch(model, optimizer, loader) -> None:
    for window in accumulation.windows(loader, 2):
        optimizer.zero_grad()
        accumulation.backward(model, window)
        optimizer.step()


def of_rank(rank, world_size) -> int:
    return rank


@functools.cache
def one_rank() -> processes.Ranks:
    return processes.Ranks(1)


def seen_right() -> Watched:
    trained_model = model()
    with watch(trained_model) as seen:
        one_epoch(trained_model, SGD(trained_model.parameters(), lr=0.1), micro_batches())
    return seen


def draw(level: float) -> tuple:
    return FIGURE, SENTENCE


# Bad values

NOT_INTEGERS = [2.5, NAN, "2", None, True, torch.ones(2), []]
NOT_FROM_0_UP = [-1, *NOT_INTEGERS]
NOT_POSITIVE_INTEGERS = [0, *NOT_FROM_0_UP]
NOT_NUMBERS = [NAN, "1", None, True, [1.0], torch.ones(2)]
NEGATIVE = [-0.1, INF, *NOT_NUMBERS]
NOT_POSITIVE = [0, 0.0, *NEGATIVE]
NOT_BELOW_1 = [1.0, 2, *NEGATIVE]
NOT_CALLABLE = [0, "", "mean", 5, torch.ones(2)]
NO_FUNCTION = [None, *NOT_CALLABLE]
NO_MODEL = [*NO_FUNCTION, nn.Linear]
NO_OPTIMIZER = [None, 0.1, "SGD", SGD]
NO_LOSS = [0, False, "mean", functional.cross_entropy]
NO_PATH = [None, 5, b"notebooks", [NOTEBOOKS]]
NO_FIGURE = [None, "figure", FIGURE.subplots()]
NO_TENSOR = [None, 1.0, [1.0], "ones"]
NO_SPLIT = [None, 5, (IMAGES, LABELS), IMAGES, Split(IMAGES.tolist(), LABELS), Split(IMAGES, LABELS.tolist())]
BAD_SPLIT = [
    Split(IMAGES[:0], LABELS[:0]),
    Split(IMAGES, LABELS[:-1]),
    Split(IMAGES[:-1], LABELS),
    Split(IMAGES, META_LABELS),
    Split(META_IMAGES, LABELS),
]
NO_PAIRS = [None, 5, torch.tensor(1.0), [1], IMAGES, [(IMAGES,)], [(IMAGES, LABELS, LABELS)], LABELS.tolist()]
NOTHING_COUNTS = [(IMAGES, LABELS), (IMAGES, torch.full_like(LABELS, -100))]
NOT_A_NUMBER = torch.full_like(IMAGES, NAN)


@dataclass(frozen=True)
class Bad:
    """Values of one argument, the error that each must give, and the words in it: the argument's name if not given."""

    argument: str
    values: list
    error: type[Exception] = ValueError
    says: str = ""


def no_split() -> tuple[Bad, Bad]:
    return Bad("split", NO_SPLIT, TypeError), Bad("split", BAD_SPLIT)


def no_model(values: list = NO_MODEL) -> tuple[Bad, Bad, Bad]:
    return (
        Bad("model", values, TypeError),
        Bad("model", [nn.Linear(3, 2)], RuntimeError, "shapes cannot be multiplied"),  # PyTorch's own words
        Bad("model", [model("meta")], RuntimeError, "device"),
    )


#: By function: what makes good arguments for it, and what is bad in the place of one of them. The error says the
#: argument's name unless other words stand here: PyTorch's, where its own error tells what is wrong.
TABLE: dict[str, tuple[Callable[[], dict[str, Any]], list[Bad]]] = {
    "accumulation.windows": (
        lambda: {"loader": micro_batches(), "steps": 2},
        [
            Bad("loader", [None, 5, torch.tensor(1.0)], TypeError),
            Bad("loader", [[], iter([])]),
            Bad("steps", NOT_POSITIVE_INTEGERS),
        ],
    ),
    "accumulation.MeanLoss": (
        lambda: {"total": functional.cross_entropy, "count": len},
        [Bad("total", NO_FUNCTION, TypeError), Bad("count", NO_FUNCTION, TypeError)],
    ),
    "accumulation.cross_entropy_mean": (
        lambda: {"weight": torch.ones(10), "ignore_index": -100, "label_smoothing": 0.1},
        [
            Bad("weight", [5, "ones", [1.0] * 10], TypeError),
            Bad(
                "weight", [torch.tensor(w) for w in ([-1.0, 2.0], [NAN, 1.0], [INF, 1.0], [0.0, 0.0], [], [[1.0]], 1.0)]
            ),
            Bad("weight", [torch.ones(10, device="meta")], RuntimeError, "meta"),
            Bad("ignore_index", NOT_INTEGERS),
            Bad("label_smoothing", [1.1, *NEGATIVE]),
        ],
    ),
    "accumulation.cross_entropy_mean().count": (
        lambda: {"targets": LABELS},
        [
            Bad("targets", [*NO_TENSOR, torch.rand(20, 10)], TypeError),  # the tensor: a probability for each class
            Bad("targets", [META_LABELS], RuntimeError, "meta"),
        ],
    ),
    "accumulation.mean_squared_error().total": (
        lambda: {"outputs": torch.ones(20, 1), "targets": torch.ones(20, 1)},
        [
            Bad("outputs", [torch.ones(20), torch.ones(1, 20), torch.ones(0, 1), torch.tensor(1.0)]),
            Bad("targets", [torch.ones(20), torch.ones(1, 20), torch.ones(0, 1), torch.tensor(1.0)]),
            Bad("targets", [torch.ones(20, 1, device="meta")], RuntimeError, "device"),
        ],
    ),
    "accumulation.backward": (
        lambda: {"model": model(), "window": micro_batches(), "loss": None, "scale": lambda x: x, "device": "cpu"},
        [
            *no_model(NO_FUNCTION),
            Bad("window", NO_PAIRS, TypeError),
            Bad("window", [[], iter([]), NOTHING_COUNTS[1:]]),
            Bad("window", [[(IMAGES, LABELS.tolist())], [(IMAGES, LABELS.float())]], TypeError, "targets"),
            Bad("window", [[(IMAGES, LABELS[1:])]], says="batch_size"),
            Bad("window", [[(IMAGES, LABELS + 10)]], IndexError, "Target 10 is out of bounds"),
            Bad("window", [[(IMAGES[..., 1:], LABELS)]], RuntimeError, "shapes cannot be multiplied"),
            Bad("window", [micro_batches(META_IMAGES, META_LABELS)], RuntimeError, "meta"),
            Bad("window", [micro_batches(NOT_A_NUMBER)], FloatingPointError),
            Bad("loss", NO_LOSS, TypeError),
            Bad("scale", NOT_CALLABLE, TypeError),
            Bad("device", ["gpu", "meta"], RuntimeError),
            Bad("device", [2.5, torch.float64, torch.ones(2), []], TypeError),
        ],
    ),
    "checks.compare_parameters": (
        lambda: {"first": model(), "second": model()},
        [
            *(Bad(argument, NO_MODEL, TypeError) for argument in ("first", "second")),
            *(Bad(argument, [nn.Linear(3, 2), nn.ReLU()], says="parameters") for argument in ("first", "second")),
            *(Bad(argument, [model("meta")], RuntimeError, "device") for argument in ("first", "second")),
        ],
    ),
    "checks.compare_training": (
        lambda: {"model": model(), "first": changes_it, "second": changes_it, "seed": 0},
        [
            Bad("model", NO_MODEL, TypeError),
            Bad("model", [nn.ReLU()], says="models"),
            Bad("model", [model("meta")], RuntimeError, "meta"),
            Bad("first", NO_FUNCTION, TypeError),
            Bad("second", NO_FUNCTION, TypeError),
            Bad("seed", NOT_INTEGERS),
        ],
    ),
    "checks.check_loop": (
        lambda: {"loop": one_epoch, "model": model(), "loader": micro_batches(), "accumulation_steps": 2, "seed": 0},
        [
            *no_model(),
            Bad("model", [nn.ReLU(), model().requires_grad_(False), with_nan(model())]),
            Bad("loop", NO_FUNCTION, TypeError),
            Bad("loader", [*NO_PAIRS, [(IMAGES.tolist(), LABELS)], [(IMAGES, LABELS.tolist())]], TypeError),
            Bad("loader", [[], iter([]), NOTHING_COUNTS[1:], micro_batches(NOT_A_NUMBER)]),
            Bad("loader", [[(IMAGES, LABELS.float())]], TypeError, "targets"),
            Bad("loader", [micro_batches(META_IMAGES, META_LABELS)], RuntimeError, "meta"),
            Bad("accumulation_steps", NOT_POSITIVE_INTEGERS),
            Bad("loss", NOT_CALLABLE, TypeError),
            Bad("join", NOT_CALLABLE, TypeError),
            Bad("optimizer", NOT_CALLABLE, TypeError),
            Bad("scheduler", NOT_CALLABLE, TypeError),
            Bad("clip", [0, -1.0, "1", NAN]),
            Bad("epochs", NOT_POSITIVE_INTEGERS),
            Bad("seed", NOT_INTEGERS),
        ],
    ),
    "data.number_of_samples": (lambda: {"split": Split(IMAGES, LABELS)}, [*no_split()]),
    "data.load_mnist": (lambda: {"device": "cpu"}, [Bad("device", ["gpu", "cuda:99", 2.5, "meta", []])]),
    "data.read_datasets": (dict, [Bad("colour", [True], TypeError)]),
    "answers.called": (
        lambda: {"answer": lambda inputs: None, "may_change": ["values"], "inputs": torch.ones(1)},
        [Bad("answer", NOT_CALLABLE, TypeError), Bad("may_change", [["weights"], ["values", 3]])],
    ),
    "answers.of_kind": (
        lambda: {"what": "the sum", "value": 3, "kind": int},
        [Bad("value", [None, 3.0, True, "3"], AssertionError, "the sum"), Bad("kind", [3, None], TypeError)],
    ),
    "answers.Steps": (
        lambda: {"optimizer": torch.optim.SGD([torch.ones(1)])},
        [Bad("optimizer", [None, 3, "SGD"], TypeError)],
    ),
    "answers.networks": (dict, [Bad("seed", [-1, 0.5, "1"])]),
    "answers.optimizers": (lambda: {"model": nn.Linear(2, 2)}, [Bad("model", [None, 3, "model"], TypeError)]),
    "exercises.expect": (
        lambda: {"what": "the sum", "answer": 3, "expected": 3, "mistakes": {"one too many": 4}, "tolerance": 1e-6},
        [
            Bad("what", [None, 5, [3]], TypeError),
            Bad("answer", [None, "3", {}, NAN, 4, [3], 3 + 1j, torch.tensor(3 + 1j)], AssertionError, "the sum"),
            Bad("answer", [torch.tensor(3.0, device="meta")], NotImplementedError, "meta"),
            Bad("expected", [None, "3", {}, 3 + 1j, torch.tensor(3 + 1j)], TypeError),
            Bad("expected", [NAN, [3, NAN], torch.tensor(NAN)]),
            Bad("mistakes", [0, [4], "one too many", {"one too many": "4"}, {"no answer": None}], TypeError),
            Bad("tolerance", NEGATIVE),
        ],
    ),
    "explorers.adam.step_lengths": (
        lambda: {"signal": 1.0, "steps": 4},
        [Bad("signal", NEGATIVE), Bad("steps", NOT_POSITIVE_INTEGERS)],
    ),
    "explorers.adam.simulated_step_lengths": (
        lambda: {"signal": 1.0, "steps": 4},
        [Bad("signal", NEGATIVE), Bad("steps", NOT_POSITIVE_INTEGERS)],
    ),
    "explorers.clearing.run_lines": (
        lambda: {"lines": ["backward"], "learning_rate": 0.1},
        [
            Bad("lines", [None, 5], TypeError),
            Bad("lines", [["jump"], "step", [None]], says="is none of backward, step, zero_grad"),
            Bad("learning_rate", NEGATIVE),
        ],
    ),
    "explorers.cloud.gradient_cloud": (
        lambda: {"split": Split(IMAGES, LABELS), "model": model()},
        [*no_split(), Bad("model", [*NO_MODEL, nn.Linear(784, 10)], TypeError)],
    ),
    "explorers.cloud.last_layer_gradients": (
        lambda: {"split": Split(IMAGES, LABELS), "model": model()},
        [*no_split(), Bad("model", [*NO_MODEL, nn.Linear(784, 10)], TypeError)],
    ),
    "explorers.digits.average_digit": (
        lambda: {"split": Split(IMAGES, LABELS)},
        [*no_split(), Bad("split", [Split(IMAGES[:9], LABELS[:9]), Split(IMAGES[:, 0], LABELS)])],
    ),
    "explorers.explorer.Explorer": (
        lambda: {"draw": draw, "buttons": (widgets.Button(),), "level": widgets.IntSlider()},
        [
            Bad("draw", NO_FUNCTION, TypeError),
            Bad("buttons", [0, [widgets.Button()], widgets.Button()], TypeError),
            Bad("buttons", [(5,)], TraitError, "expected a Widget, not the int 5"),
            Bad("level", [None, 5, widgets.HBox()], TypeError),
        ],
    ),
    "explorers.momentum.path": (
        lambda: {"momentum": 0.9, "steps": 4, "learning_rate": 0.02, "per_micro_batch": True},
        [
            Bad("momentum", [1.1, *NEGATIVE]),
            Bad("steps", NOT_POSITIVE_INTEGERS),
            Bad("learning_rate", NEGATIVE),
        ],
    ),
    "explorers.planner.activation_bytes": (
        lambda: {"layers": 4, "width": 8, "samples": 2, "segments": 2},
        [
            *(Bad(name, NOT_POSITIVE_INTEGERS) for name in ("layers", "width", "samples", "segments")),
            Bad("segments", [5]),
        ],
    ),
    "explorers.scaling.expected_losses": (
        lambda: {"learning_rate": 0.1, "noise": 1.0, "k": 2, "updates": 3},
        [
            Bad("learning_rate", NEGATIVE),
            Bad("noise", NEGATIVE),
            Bad("k", NOT_POSITIVE),
            Bad("updates", NOT_FROM_0_UP),
        ],
    ),
    "explorers.scheduling.simulate": (
        lambda: {"noise": 0.1, "lr": 0.5, "draw": 0, "factor": 0.5},
        [
            Bad("noise", NEGATIVE),
            Bad("lr", NEGATIVE),
            Bad("draw", NOT_FROM_0_UP),
            Bad("factor", [1.0], says="Factor"),
        ],
    ),
    "lessons.read_lessons": (
        lambda: {"folder": NOTEBOOKS},
        [Bad("folder", NO_PATH, TypeError), Bad("folder", ["missing"], FileNotFoundError)],
    ),
    "lessons.map_of_lessons": (
        lambda: {"folder": NOTEBOOKS, "prefix": "notebooks/"},
        [
            Bad("folder", NO_PATH, TypeError),
            Bad("folder", ["missing"], FileNotFoundError),
            Bad("prefix", NO_PATH, TypeError),
        ],
    ),
    "lessons.ledger": (
        lambda: {"folder": NOTEBOOKS},
        [Bad("folder", NO_PATH, TypeError), Bad("folder", ["missing"], FileNotFoundError)],
    ),
    "lessons.claims_tested": (
        lambda: {"C01": ("holds", "in 5 of 5 runs")},
        [
            Bad("C99", [("holds", "in 5 of 5 runs")]),
            Bad("C01", [None, 5, "holds", (), ("holds",), ("holds", ""), ("holds", 5), (True, "5"), ("maybe", "in 2")]),
        ],
    ),
    "lessons.show_markdown": (lambda: {"text": "**bold**"}, [Bad("text", [None, 5, b"bold", ["bold"]], TypeError)]),
    "loops.Loop": (
        lambda: {"divisor": "K", "tail": "left in .grad", "cleared": "never"},
        [Bad(name, ["", "Never", None, 4, []]) for name in ("divisor", "tail", "cleared")],
    ),
    "loops.plan": (
        lambda: {"loop": loops.MODULO, "counts": [5.0, 3.0], "steps": 2, "epochs": 2},
        [
            Bad("loop", [None, "modulo", loops.Loop], TypeError),
            Bad("counts", [None, 5], TypeError),
            Bad("counts", [[], "5", *([5.0, count] for count in NOT_POSITIVE)]),
            Bad("steps", NOT_POSITIVE_INTEGERS),
            Bad("epochs", NOT_POSITIVE_INTEGERS),
        ],
    ),
    "loops.run": (
        lambda: {
            "turns": loops.plan(loops.MODULO, [5.0] * 4, 2),
            "micro_batches": micro_batches(),
            "loss": accumulation.cross_entropy_mean(),
            **trained(),
        },
        [
            *no_model(NO_FUNCTION),
            Bad("turns", [None, 5, [1], [(True, 1.0, True)]], TypeError),
            Bad("optimizer", NO_OPTIMIZER, TypeError),
            Bad("micro_batches", NO_PAIRS, TypeError),
            Bad("micro_batches", [[], iter([])]),
            Bad("micro_batches", [micro_batches(META_IMAGES, META_LABELS)], RuntimeError, "device"),
            Bad("loss", [None, *NO_LOSS], TypeError),
        ],
    ),
    "loops.sample_weights": (
        lambda: {"loop": loops.MODULO, "samples": 10, "micro_batch": 3, "steps": 2, "epochs": 2},
        [
            Bad("loop", [None, "modulo", loops.Loop], TypeError),
            *(Bad(name, NOT_POSITIVE_INTEGERS) for name in ("samples", "micro_batch", "steps", "epochs")),
        ],
    ),
    "memory.SavedForBackward": (lambda: {"model": model()}, [Bad("model", NO_MODEL, TypeError)]),
    "memory.step_memory": (
        lambda: {**trained(), "activations": 0},
        [
            Bad("model", NO_MODEL, TypeError),
            Bad("model", [nn.ReLU(), model()]),
            Bad("optimizer", NO_OPTIMIZER, TypeError),
            Bad("optimizer", [SGD(parameters())]),
            Bad("activations", NOT_FROM_0_UP),
        ],
    ),
    "models.mlp": (lambda: {"hidden": 4}, [Bad("hidden", NOT_POSITIVE_INTEGERS)]),
    "models.cnn": (lambda: {"normalization": nn.BatchNorm2d}, [Bad("normalization", NOT_CALLABLE, TypeError)]),
    "models.deep_mlp": (
        lambda: {"layers": 2, "width": 4},
        [Bad("layers", NOT_POSITIVE_INTEGERS), Bad("width", NOT_POSITIVE_INTEGERS)],
    ),
    "noise.NoiseScale": (
        lambda: {"small_batch": 2, "large_batch": 8},
        [
            Bad("small_batch", [8, 9, *NOT_POSITIVE_INTEGERS]),
            Bad("large_batch", [1, 2, *NOT_POSITIVE_INTEGERS]),
        ],
    ),
    "noise.NoiseScale.add": (
        lambda: {"small": torch.ones(2), "large": torch.ones(2)},
        [
            *(Bad(name, NO_TENSOR, TypeError) for name in ("small", "large")),
            *(Bad(name, [torch.ones(3), torch.ones(0)]) for name in ("small", "large")),
            *(Bad(name, [torch.tensor([1.0, bad]) for bad in (NAN, INF)]) for name in ("small", "large")),
            *(Bad(name, [torch.ones(2, device="meta")], RuntimeError, "meta") for name in ("small", "large")),
        ],
    ),
    **{
        f"optimizers.{kind}": (
            lambda: {"params": parameters()},
            [
                Bad("params", [[]], says="parameter list"),
                Bad("params", [torch.ones(2), [2.0]], TypeError),
                Bad("params", [None, 5], TypeError, "object is not iterable"),  # PyTorch's own words
                Bad("lr", [-0.1, NAN, INF, "0.1", None]),
                *rows,
            ],
        )
        for kinds, rows in (
            (("AccumulatingOptimizer",), []),
            (("MomentumPerMicroBatch",), [Bad("momentum", [-0.1, 1.0, NAN, "0.9", None])]),
            (
                ("AdamSquaredMean", "AdamMeanOfSquares", "AdamSumOfSquares", "AdamA", "AdamPerMicroBatch"),
                [
                    Bad("betas", [None, 0.9, "ab", (), (0.9,), (0.9, 1.0), (-0.1, 0.9), (NAN, 0.9), (0.9, None)]),
                    Bad("eps", [-1e-8, NAN, INF, "0", None]),
                    Bad("weight_decay", [-0.1, NAN, INF, "0", None]),
                ],
            ),
        )
        for kind in kinds
    },
    "optimizers.AccumulatingOptimizer.add_param_group": (
        lambda: {"param_group": {"params": parameters()}},
        [
            Bad("param_group", [None, 5, parameters()], TypeError),
            Bad("param_group", [{"params": parameters(), "lr": -0.1}], says="lr"),
            Bad("param_group", [{}], KeyError, "params"),
        ],
    ),
    "optimizers.AccumulatingOptimizer.absorb": (
        lambda: {"share": 1.0},
        [Bad("share", [0, -0.1, 1.1, NAN, INF, "1", None, [1.0], torch.tensor([0.5, 0.5]), torch.ones(0)])],
    ),
    "optimizers.AccumulatingOptimizer.step": (
        lambda: {"closure": lambda: 1.0},
        [Bad("closure", NOT_CALLABLE, TypeError)],
    ),
    "plotting.png": (lambda: {"figure": FIGURE}, [Bad("figure", NO_FIGURE, TypeError)]),
    "plotting.mimebundle": (
        lambda: {"figure": FIGURE, "alt": SENTENCE},
        [Bad("figure", NO_FIGURE, TypeError), Bad("alt", [None, 5], TypeError)],
    ),
    "plotting.pixel_width": (lambda: {"figure": FIGURE}, [Bad("figure", NO_FIGURE, TypeError)]),
    "plotting.show": (
        lambda: {"figure": FIGURE, "alt": SENTENCE},
        [Bad("figure", NO_FIGURE, TypeError), Bad("alt", [None, 5, "", "Too short.", "it has no full stop"])],
    ),
    "processes.torchrun_command": (
        lambda: {"script": "train.py", "world_size": 2},
        [Bad("script", NO_PATH, TypeError), Bad("world_size", NOT_POSITIVE_INTEGERS)],
    ),
    "processes.run_ranks": (
        lambda: {"script": "print(1)", "world_size": 1, "timeout": 100},
        [
            Bad("script", [Path("train.py"), *NO_PATH], TypeError),
            Bad("world_size", NOT_POSITIVE_INTEGERS),
            Bad("timeout", NOT_POSITIVE),
        ],
    ),
    "processes.Ranks": (
        lambda: {"world_size": 1, "setup": "import os", "timeout": 100},
        [
            Bad("world_size", NOT_POSITIVE_INTEGERS),
            Bad("setup", [Path("train.py"), *NO_PATH], TypeError),
            Bad("timeout", NOT_POSITIVE),
        ],
    ),
    "processes.Ranks.define": (
        lambda: {"functions": [of_rank]},
        [Bad("functions", [[5], ["f"]], TypeError, "function")],
    ),
    "processes.Ranks.call": (
        lambda: {"function": of_rank},
        [Bad("function", NOT_CALLABLE, TypeError), Bad("function", [lambda rank, world_size: rank])],
    ),
    "schedules.plateau_trace": (
        lambda: {"metrics": [1.0, NAN], "lr": 1.0, "factor": 0.5},
        [
            Bad("metrics", [None, 1.0, [None], ["low"], [[1.0]]], TypeError),
            Bad("metrics", [[]]),
            Bad("lr", NOT_POSITIVE),
            Bad("factor", [1.0], says="Factor"),
            Bad("verbose", [True], TypeError),
        ],
    ),
    "schedules.scheduler_trace": (
        lambda: {"make_scheduler": lambda optimizer: StepLR(optimizer, 1), "updates": 2, "lr": 1.0},
        [
            Bad("make_scheduler", NO_FUNCTION, TypeError),
            Bad("make_scheduler", [lambda _: None, lambda _: StepLR(SGD(parameters()), 1)], TypeError),
            Bad("updates", NOT_POSITIVE_INTEGERS),
            Bad("lr", NOT_POSITIVE),
        ],
    ),
    "schedules.scaled_lr": (
        lambda: {"lr": 0.1, "k": 2, "rule": "sqrt"},
        [Bad("lr", NOT_POSITIVE), Bad("k", NOT_POSITIVE), Bad("rule", ["", "Linear", None, 0.5, []])],
    ),
    "schedules.timm_rule": (
        lambda: {"optimizer_name": "adam"},
        [Bad("optimizer_name", [None, 5, torch.optim.Adam, ["adam"]])],
    ),
    "schedules.warmup_lr": (
        lambda: {"lr": 0.1, "k": 2, "update": 0, "warmup_updates": 5},
        [
            Bad("lr", NOT_POSITIVE),
            Bad("k", NOT_POSITIVE),
            Bad("update", NEGATIVE),
            Bad("warmup_updates", NOT_POSITIVE_INTEGERS),
        ],
    ),
    "schedules.scaled_adam": (
        lambda: {"lr": 0.1, "k": 2, "betas": (0.9, 0.999), "eps": 1e-8},
        [
            Bad("lr", NOT_POSITIVE),
            Bad("k", [10, *NOT_POSITIVE]),
            Bad("betas", [None, 0.9], TypeError),
            Bad("betas", [(), (0.9,), (0.9, 0.9, 0.9), "ab", *((0.9, beta) for beta in NOT_BELOW_1)]),
            Bad("eps", NEGATIVE),
        ],
    ),
    "schedules.scaled_beta2": (
        lambda: {"beta2": 0.999, "k": 2},
        [Bad("beta2", NOT_BELOW_1), Bad("k", NOT_POSITIVE)],
    ),
    "schedules.half_life": (
        lambda: {"beta": 0.9, "batch_size": 32},
        [Bad("beta", [0.0, *NOT_BELOW_1]), Bad("batch_size", NOT_POSITIVE)],
    ),
    "training.train_step": (
        lambda: {"inputs": IMAGES, "targets": LABELS, **trained()},
        [
            *no_model(NO_FUNCTION),
            Bad("inputs", NO_TENSOR, TypeError),
            Bad("inputs", [IMAGES[1:]], says="batch_size"),
            Bad("inputs", [IMAGES[..., 1:]], RuntimeError, "shapes cannot be multiplied"),
            Bad("inputs", [META_IMAGES], RuntimeError, "device"),
            Bad("targets", NO_TENSOR, TypeError),
            Bad("targets", [LABELS[:0]]),
            Bad("targets", [LABELS[1:]], says="batch_size"),
            Bad("targets", [LABELS + 10], IndexError, "Target 10 is out of bounds"),
            Bad("targets", [LABELS.float()], RuntimeError, "target"),
            Bad("targets", [META_LABELS], RuntimeError, "device"),
            Bad("optimizer", NO_OPTIMIZER, TypeError),
        ],
    ),
    "training.batches": (
        lambda: {"split": Split(IMAGES, LABELS), "batch_size": 8},
        [*no_split(), Bad("batch_size", NOT_POSITIVE_INTEGERS)],
    ),
    "training.evaluate": (
        lambda: {"model": model(), "split": Split(IMAGES, LABELS), "update": 0, "batch_size": 8},
        [*no_model(), *no_split(), Bad("update", NOT_FROM_0_UP), Bad("batch_size", NOT_POSITIVE_INTEGERS)],
    ),
    "training.train": (
        lambda: {
            "split": Split(IMAGES, LABELS),
            "batch_size": 8,
            "epochs": 1,
            "test": Split(IMAGES, LABELS),
            "evaluate_every": 1,
            **trained(),
        },
        [
            *no_model(),
            *no_split(),
            Bad("test", NO_SPLIT[1:], TypeError),
            Bad("test", [None, *BAD_SPLIT]),
            Bad("optimizer", NO_OPTIMIZER, TypeError),
            *(Bad(name, NOT_POSITIVE_INTEGERS) for name in ("batch_size", "epochs", "evaluate_every")),
        ],
    ),
}

TABLE |= {
    "watch.report.watch": (
        lambda: {"model": model(), "steps": 2, "counts": [3, 3, 2], "updates": 8},
        [
            Bad("model", [value for value in NO_MODEL if value is not None], TypeError),
            Bad("steps", [value for value in NOT_POSITIVE_INTEGERS if value is not None]),
            Bad("counts", [5], TypeError),
            Bad("counts", [["a"], [-1], [NAN]]),
            Bad("updates", NOT_FROM_0_UP),
        ],
    ),
    "watch.report.assert_right": (lambda: {"seen": seen_right()}, [Bad("seen", [None, 5, "seen"], TypeError)]),
}

#: What has no rows in the table, and why; a parameter is named in parentheses.
EXCEPTIONS = {
    "answers.Case*": "made by networks",
    "answers.Note.forward": "PyTorch calls it",
    "answers.called(arguments)": "handed to the answer",
    "answers.called(named)": "handed to the answer",
    "answers.called(keeps_random_state)": "anything is true or false",
    "answers.of_kind(what)": "a name in the message",
    "arguments.*": "the checks themselves, which all rows go through",
    "checks.Difference": "a result",
    "checks.LoopReport": "a result",
    "data.Split": "checked by number_of_samples, where it is used",
    "data.number_of_samples(name)": "what errors call the split",
    "explorers.*.draw_*": "an Explorer calls them, with values of its controls, which stay in their ranges",
    "explorers.cloud.plane": "a step of draw_gradient_cloud",
    "explorers.digits.Digit": "a step of average_digit, which looks at the split",
    "explorers.explorer.Explorer.redraw": "ipywidgets calls it",
    "explorers.explorer.slider": "makes the controls, with errors of ipywidgets",
    "explorers.momentum.height": "a step of draw_valley",
    "explorers.momentum.path(per_micro_batch)": "anything is true or false",
    "explorers.stage.Stage": "matplotlib's options for a figure",
    "explorers.stage.Stage.animate": "an explorer calls it for its axes",
    "explorers.stage.Stage.draw": "matplotlib calls it",
    "explorers.stage.Stage.set": "matplotlib writes it",
    "lessons.Lesson": "a result",
    "loops.Turn": "a result",
    "memory.StepMemory": "a result",
    "optimizers.*.absorb_gradient": "absorb and step call what a subclass defines",
    "optimizers.*.move": "absorb and step call what a subclass defines",
    "optimizers.*.second_moment": "absorb and step call what a subclass defines",
    "optimizers.AccumulatingOptimizer(defaults)": "a subclass hands them over; the rows name those with a range",
    "optimizers.AccumulatingOptimizer.zero_grad": "anything is true or false",
    "schedules.PlateauStep": "a result",
    "training.Evaluation": "a result",
    "watch.losses.*": "watch calls it with what PyTorch gives",
    "watch.picture.*": "Watched.show calls it with its tables",
    "watch.reading.*": "a result, or what makes it of a recording",
    "watch.recorder.*": "PyTorch calls it; Watched begins and ends it",
    "watch.ranks.*": "Watched calls it with what the recorders have made",
    "watch.report.View*": "watch makes it",
    "watch.report.Watched*": "watch makes it",
    "training.History": "a result",
}

#: What to call, where it is not the function itself: it is part of an object, or does nothing until it is iterated.
CALLS = {
    "accumulation.windows": lambda **arguments: list(accumulation.windows(**arguments)),
    "accumulation.cross_entropy_mean().count": lambda **arguments: accumulation.cross_entropy_mean().count(**arguments),
    "accumulation.mean_squared_error().total": lambda **arguments: accumulation.mean_squared_error().total(**arguments),
    "processes.Ranks.define": lambda functions: one_rank().define(*functions),
    "processes.Ranks.call": lambda function: one_rank().call(function),
    "noise.NoiseScale.add": lambda **arguments: noise.NoiseScale(2, 8).add(**arguments),
    "optimizers.AccumulatingOptimizer": lambda params, lr=0.1: optimizers.AccumulatingOptimizer(params, {"lr": lr}),
    **{
        f"optimizers.AccumulatingOptimizer.{name}": lambda name=name, **arguments: getattr(
            optimizers.MomentumPerMicroBatch(parameters()), name
        )(**arguments)
        for name in ("add_param_group", "absorb", "step")
    },
}


ROWS = [
    pytest.param(name, bad, value, id=f"{name}({bad.argument})-{number}")
    for name, (_, rows) in TABLE.items()
    for number, (bad, value) in enumerate((bad, value) for bad in rows for value in bad.values)
]


def public_things() -> dict[str, Callable]:
    """Every function and class that a module of course_utils defines, and every method of such a class, by name."""
    found = {}
    for module in pkgutil.walk_packages(course_utils.__path__, "course_utils."):
        for name, thing in vars(importlib.import_module(module.name)).items():
            if getattr(thing, "__module__", None) == module.name and (
                inspect.isclass(thing) or inspect.isfunction(thing)
            ):
                found[f"{module.name}.{name}"] = thing
                methods = vars(thing).items() if inspect.isclass(thing) else ()
                found |= {f"{module.name}.{name}.{method}": it for method, it in methods if inspect.isfunction(it)}
    return {name.removeprefix("course_utils."): thing for name, thing in found.items() if not re.search(r"\._", name)}


def parameters_of(thing: Callable) -> list[inspect.Parameter]:
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return []
    return [parameter for name, parameter in inspect.signature(thing).parameters.items() if name != "self"]


PUBLIC = public_things()


def call(name: str, arguments: dict) -> None:
    CALLS.get(name, PUBLIC.get(name))(**arguments)


@pytest.fixture(autouse=True)
def nothing_is_shown(monkeypatch):
    monkeypatch.setattr("course_utils.plotting.display", lambda *args, **kwargs: None)
    monkeypatch.setattr("course_utils.lessons.display", lambda *args, **kwargs: None)


def test_the_table_is_complete():
    missing, needed = set(), set()
    for name, thing in PUBLIC.items():
        parameters, named = parameters_of(thing), {bad.argument for bad in TABLE.get(name, (None, []))[1]}
        beside = named - {parameter.name for parameter in parameters}  # go to **keywords
        for parameter in parameters:
            if parameter.name in named or (beside and parameter.kind is parameter.VAR_KEYWORD):
                continue
            full = f"{name}({parameter.name})"
            reasons = {entry for entry in EXCEPTIONS if entry == full or fnmatch.fnmatchcase(name, entry)}
            needed |= reasons
            missing |= set() if reasons else {full}
    assert not missing
    assert needed == set(EXCEPTIONS), "an exception that nothing needs"
    assert {name for name in TABLE if "()" not in name} <= set(PUBLIC)


@pytest.mark.parametrize("name", TABLE)
def test_good_arguments_are_good(name):
    call(name, TABLE[name][0]())


@pytest.mark.parametrize(("name", "bad", "value"), ROWS)
def test_a_bad_argument_is_named_and_changes_no_model(name, bad, value):
    arguments = TABLE[name][0]()
    networks = [argument for argument in arguments.values() if isinstance(argument, nn.Module)]
    before = copy.deepcopy([network.state_dict() for network in networks])
    with pytest.raises(bad.error) as caught:
        call(name, {**arguments, bad.argument: value})
    assert re.search(rf"(?<!\w){re.escape(bad.says or bad.argument)}(?!\w)", str(caught.value)), caught.value
    for network, state in zip(networks, before, strict=True):
        assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())
