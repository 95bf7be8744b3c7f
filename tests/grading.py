"""Answers to exercises, and what the test cells of an assignment say of them, without a kernel: the same cells, run."""

import contextlib
import functools
import io
import re
import warnings
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import nbformat
import torch

from course_utils import data

ROOT = Path(__file__).parent.parent
ASSIGNMENTS = ROOT / "notebooks" / "assignments"
NAMES = sorted(path.stem for path in ASSIGNMENTS.glob("source/*/*.ipynb"))


class Answer(NamedTuple):
    """An answer to the exercise `exercise`. If it is wrong, `says` is part of the message that names the mistake."""

    assignment: str
    exercise: str
    is_right: bool
    title: str
    says: str
    code: str


class Marks(NamedTuple):
    points: int
    out_of: int
    messages: list[str]


def answers(assignment: str) -> list[Answer]:
    """Those of tests/answers, where each begins with a line `# %% exercise, right|wrong: title`."""
    path = ROOT / "tests" / "answers" / f"{assignment}.py"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.split(r"^# %% (\w+), (right|wrong): (.+)\n(?:# says: (.+)\n)?", text, flags=re.MULTILINE)[1:]
    return [
        Answer(assignment, exercise, kind == "right", title, says or "", code)
        for exercise, kind, title, says, code in zip(*(found[i::5] for i in range(5)), strict=True)
    ]


@functools.cache
def read(assignment: str, folder: str) -> list[nbformat.NotebookNode]:
    return nbformat.read(ASSIGNMENTS / folder / assignment / f"{assignment}.ipynb", as_version=4).cells


def grade_id(cell: nbformat.NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def exercises(cells: list[nbformat.NotebookNode]) -> list[str]:
    """The names of the exercises that are answered in code."""
    return [grade_id(c) for c in cells if c.cell_type == "code" and c.metadata.get("nbgrader", {}).get("solution")]


def given(assignment: str, exercise: str) -> dict:
    """The names of the notebook after the given cells that stand before `exercise`."""
    cells = read(assignment, "source")
    position = [grade_id(cell) for cell in cells].index(exercise)
    namespace = {"__name__": "__main__"}
    for cell in cells[:position]:
        if grade_id(cell).startswith("given"):
            with mock.patch.object(data, "load_mnist", _mnist):
                message = _error(cell.source, namespace)
            assert not message, message
    return namespace


def marks(assignment: str, exercise: str, code: str) -> Marks:
    """What nbgrader would give for `code`: cells that are given before it, `code`, then the tests of the exercise."""
    cells = read(assignment, "source")
    tests = [cell for cell in cells if grade_id(cell) in (f"{exercise}_visible", f"{exercise}_hidden")]
    points, messages = 0, []
    with _nothing_leaks():
        namespace = given(assignment, exercise)
        messages += filter(None, [_error(code, namespace)])
        for cell in tests:
            error = _error(cell.source, namespace)
            points += 0 if error else cell.metadata.nbgrader.points
            messages += [error] if error else []
    return Marks(points, sum(cell.metadata.nbgrader.points for cell in tests), messages)


_load_mnist = functools.cache(data.load_mnist)


def _mnist() -> tuple[data.Split, data.Split]:
    """load_mnist(), faster: copies of what was loaded once."""
    return tuple(data.Split(*(tensor.clone() for tensor in split)) for split in _load_mnist())


def _error(source: str, namespace: dict) -> str:
    """The message that running `source` ends with, "" if it does not end in an error."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(source, "cell", "exec"), namespace)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@contextlib.contextmanager
def _nothing_leaks():
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)
            torch.set_grad_enabled(True)
