"""Runs notebooks under strict nbval as other machines and other readers would: python -m tests.matrix NOTEBOOK ...

Every CPU capability that PyTorch knows (they draw other random numbers, or round differently) with 1 and 2 threads;
without a network; with every cell run twice; again from each heading; ten times in a row. Prints a table of passes,
and exits with 1 if anything failed; build/matrix then holds pytest's output. --only runs the configurations whose
names contain a text.
"""

import argparse
import copy
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import torch
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
LOGS = ROOT / "build/matrix"
CAPABILITIES = ["default", "avx2", "avx512"]
NO_NETWORK = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


class Configuration(NamedTuple):
    """`change` makes of a notebook's cells those that are run; `impossible` says why it can't be tried here."""

    name: str
    threads: int = 1
    capability: str | None = None
    prefix: tuple[str, ...] = ()
    change: Callable[[list[NotebookNode]], list[NotebookNode]] | None = None
    times: int = 1
    impossible: str = ""


def every_cell_twice(cells: list[NotebookNode]) -> list[NotebookNode]:
    return [copy.deepcopy(cell) for cell in cells for _ in range(1 + (cell.cell_type == "code"))]


def again_from_each_heading(cells: list[NotebookNode]) -> list[NotebookNode]:
    """From the top to the end, then from the last heading to the end, from the one before it, and so on."""
    headings = [i for i, cell in enumerate(cells) if cell.cell_type == "markdown" and cell.source.startswith("## ")]
    starts = [0, *reversed(headings)]
    return [copy.deepcopy(cell) for start in starts for cell in cells[start:]]


def configurations() -> Iterator[Configuration]:
    for capability, threads in itertools.product(CAPABILITIES, [1, 2]):
        impossible = "" if capability in possible_capabilities() else "this CPU lacks it"
        name = f"{capability}, {threads} thread{'s' * (threads == 2)}"
        yield Configuration(name, threads, capability, impossible=impossible)
    impossible = "" if can_do_without_network() else "needs Linux with ip, and an unshare that is permitted"
    yield Configuration("no network", prefix=NO_NETWORK, impossible=impossible)
    yield Configuration("every cell twice", change=every_cell_twice)
    yield Configuration("again from each heading", change=again_from_each_heading)
    yield Configuration("ten times in a row", times=10)


def can_do_without_network() -> bool:
    available = shutil.which("unshare") and shutil.which("ip")
    return bool(available) and subprocess.run([*NO_NETWORK, "true"], capture_output=True).returncode == 0


def possible_capabilities() -> list[str]:
    """Those of CAPABILITIES that this CPU has. (Asked for another, PyTorch crashes in the middle of a run.)"""
    best = torch.backends.cpu.get_cpu_capability().lower()
    return CAPABILITIES[: CAPABILITIES.index(best) + 1] if best in CAPABILITIES else CAPABILITIES[:1]


def run(configuration: Configuration, notebooks: list[Path], folder: Path) -> tuple[set[str], str]:
    """One run of `notebooks`, copied into `folder`: the names of those that failed, and pytest's output if any did."""
    for name in ("notebooks", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
    paths = [folder / path.resolve().relative_to(ROOT) for path in notebooks]
    for path in paths if configuration.change else []:
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = configuration.change(notebook.cells)
        for number, cell in enumerate(notebook.cells):
            cell.id = f"cell-{number}"
        nbformat.write(notebook, path)
    workers = str(2 // configuration.threads)  # two threads and two workers would wait for each other
    command = [*configuration.prefix, sys.executable, "-m", "pytest", "--nbval", "-q", "-n", workers]
    command += [
        "--dist",
        "loadscope",
        f"--rootdir={folder}",
        f"--config-file={ROOT / 'pyproject.toml'}",
        *map(str, paths),
    ]
    variables = os.environ | {"OMP_NUM_THREADS": str(configuration.threads)}
    if configuration.capability:
        variables["ATEN_CPU_CAPABILITY"] = configuration.capability
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    failed = {Path(name).stem for name in re.findall(r"^(?:FAILED|ERROR) (\S+?\.ipynb)", done.stdout, re.MULTILINE)}
    if done.returncode and not failed:  # pytest itself did not run
        failed = {path.stem for path in paths}
    return failed, done.stdout + done.stderr if done.returncode else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="run the configurations whose names contain it")
    parser.add_argument("notebooks", nargs="+", type=Path)
    arguments = parser.parse_args()
    chosen = [configuration for configuration in configurations() if arguments.only in configuration.name]
    if not chosen:
        parser.error(f"no configuration's name contains {arguments.only!r}")
    shutil.rmtree(LOGS, ignore_errors=True)
    for configuration in chosen:
        if configuration.impossible:
            print(f"{configuration.name:25} not possible here: {configuration.impossible}", flush=True)
            continue
        started, failed = time.perf_counter(), []
        for _ in range(configuration.times):
            with tempfile.TemporaryDirectory() as folder:
                names, output = run(configuration, arguments.notebooks, Path(folder))
            failed += sorted(names)
            if output:
                LOGS.mkdir(parents=True, exist_ok=True)
                with open(LOGS / f"{configuration.name}.txt", "a", encoding="utf-8") as log:
                    log.write(output)
        total = len(arguments.notebooks) * configuration.times
        verdict = f"{total - len(failed):3} of {total:3} passed, {time.perf_counter() - started:5.0f} s"
        print(f"{configuration.name:25} {verdict}{'; FAILED: ' * bool(failed)}{', '.join(failed)}", flush=True)
    if LOGS.exists():
        print(f"What failed stands in {LOGS}")
    return 1 if LOGS.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
