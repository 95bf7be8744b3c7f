"""Where the benchmarks store what they found, each in a JSON file of its own name, with the machine it ran on."""

import importlib.metadata
import json
import os
import platform
from pathlib import Path

import torch

FOLDER = Path(__file__).parent


def store(name: str, **found: object) -> None:
    """Writes benchmarks/`name`.json: what was found, and on which machine."""
    text = json.dumps({"machine": machine(), **found}, indent=1, ensure_ascii=False)
    unfinished = FOLDER / f"{name}.json.part"  # an interruption leaves the last results whole
    unfinished.write_text(text + "\n", encoding="utf-8")
    os.replace(unfinished, FOLDER / f"{name}.json")


def stored(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def machine() -> dict[str, object]:
    packages = ("torch", "accelerate", "pytorch-lightning", "transformers", "jupyterlab")
    return {
        "cpu": _cpu(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
    }


def _cpu() -> str:
    """The CPU's name. Python's platform.processor() does not know it on Linux."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
