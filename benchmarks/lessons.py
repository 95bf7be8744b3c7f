"""Seconds that each lesson takes, in which part of it, and that the whole course takes under strict nbval.

Run with `make bench`, with nothing else running. Each lesson runs from top to bottom in a kernel of its own, on one
thread; the time of a cell is from its request to its last reply. Then the whole course, lessons and solved
assignments, runs under `pytest --nbval` with two workers. And what importing all of course_utils adds to importing
torch and matplotlib, in a kernel, the median of five.
"""

import pkgutil
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from tqdm.auto import tqdm

import course_utils
from benchmarks.results import store
from tests.browser import LESSONS, ROOT

ASSIGNMENTS = sorted((ROOT / "notebooks/assignments/source").glob("*/*.ipynb"))


def timed(path: Path) -> dict[str, object]:
    """Seconds of the lesson, of the kernel's start, of the first cell, which imports, and of the slowest later cell."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}})
    started, section, cells = time.perf_counter(), "", []
    with client.setup_kernel():
        start = time.perf_counter() - started
        for i, cell in enumerate(notebook.cells):
            if cell.cell_type == "markdown":
                section = (re.findall(r"^## (.+)$", cell.source, re.MULTILINE) or [section])[-1]
                continue
            began = time.perf_counter()
            client.execute_cell(cell, i)
            cells.append((time.perf_counter() - began, section))
        total = time.perf_counter() - started
    slowest, section = max(cells[1:])
    return {
        "lesson": path.stem,
        "seconds": total,
        "kernel": start,
        "first_cell": cells[0][0],
        "slowest_cell": slowest,
        "its_section": section,
    }


def under_nbval(paths: list[Path]) -> float:
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-n", "2", "--dist", "loadscope", *map(str, paths)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"Nothing is stored: a notebook that fails takes another time.\n{done.stdout[-5_000:]}")
    return time.perf_counter() - started


def import_seconds() -> float:
    modules = ", ".join(module.name for module in pkgutil.iter_modules(course_utils.__path__, "course_utils."))
    first = "import time, torch, matplotlib.pyplot; started = time.perf_counter()"
    code = f"{first}; import {modules}; print(time.perf_counter() - started)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    return float(NotebookClient(notebook).execute().cells[0].outputs[0].text)


def main() -> None:
    rows = []
    for path in tqdm(LESSONS):
        rows.append(timed(path))
        print({name: round(value, 1) if isinstance(value, float) else value for name, value in rows[-1].items()})
    lessons, course = under_nbval(LESSONS), under_nbval(LESSONS + ASSIGNMENTS)
    print(f"strict nbval, two workers: lessons {lessons:.0f} s, with the assignments {course:.0f} s")
    importing = statistics.median(import_seconds() for _ in range(5))
    print(f"importing course_utils: {importing:.2f} s after torch and matplotlib")
    store("lessons", lessons=rows, all_lessons=lessons, with_assignments=course, import_course_utils=importing)


if __name__ == "__main__":
    main()
