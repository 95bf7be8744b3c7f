"""Assignments keep the course's form, release/ is what source/ gives, and a class is graded with the real nbgrader."""

import csv
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from tests import grading
from tests.grading import ASSIGNMENTS, NAMES, grade_id

HEADING = re.compile(r"## Exercise (\d+): .+\n\n\*(\d+) minutes, difficulty [123] of 3, (\d+) points?\.\*")


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def cells(name):
    return grading.read(name, "source")


def points(cells):
    return sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in cells)


# The form


def test_all_assignments_are_there():
    assert {
        *("training_loop", "loss_normalization", "accumulation", "optimizers", "learning_rate"),
        *("broken_loops", "memory_budget"),
    } == set(NAMES)


def test_the_first_lines_say_minutes_points_and_lessons(name, cells):
    first = cells[0].source
    assert re.match(r"# Assignment: .+\?\n", first)
    minutes, total = re.search(
        r"\*\*About (\d+) minutes\*\* · know first: lessons? (?:.|\n)+? · (\d+) points\n", first
    ).groups()
    found = [HEADING.search(cell.source).groups() for cell in cells if cell.source.startswith("## Exercise")]
    assert [int(number) for number, _, _ in found] == list(range(1, len(found) + 1))
    assert sum(int(each) for _, each, _ in found) == int(minutes)
    assert sum(int(each) for _, _, each in found) == int(total) == points(cells)
    for target in re.findall(r"\]\(([^)#]+)\)", "\n".join(cell.source for cell in cells)):
        assert "://" in target or (ASSIGNMENTS / "release" / name / target).exists(), target


def test_each_exercise_has_help_an_answer_and_tests(cells):
    starts = [i for i, cell in enumerate(cells) if cell.source.startswith("## Exercise")]
    for start, end in zip(starts, [*starts[1:], len(cells)], strict=True):
        heading, exercise = HEADING.search(cells[start].source), cells[start:end]
        assert points(exercise) == int(heading[3])
        kinds = [grade_id(cell) for cell in exercise if grade_id(cell) and not grade_id(cell).startswith("given")]
        if kinds == ["written"]:
            assert start == starts[-1]
            assert re.search(
                r"=== BEGIN MARK SCHEME ===\n(.|\n)+=== END MARK SCHEME ===", source_of(exercise, "written")
            )
            continue
        answer = kinds[0]
        assert kinds == [answer, f"{answer}_visible", f"{answer}_hidden"]
        assert re.findall(r"<summary>(.+?)</summary>", cells[start].source) == ["Hint", "More help"]
        assert re.search(r'def \w+\(.*\):\n    """(.|\n)+"""\n    ### BEGIN SOLUTION\n', source_of(exercise, answer))
        assert re.fullmatch(
            "# Further tests run here when this is graded.\n### BEGIN HIDDEN TESTS\n(.|\n)+\n### END HIDDEN TESTS",
            source_of(exercise, f"{answer}_hidden"),
        )
        assert re.search(r'\nprint\(".+"\)$', source_of(exercise, f"{answer}_visible"))


def source_of(cells, wanted):
    return next(cell.source for cell in cells if grade_id(cell) == wanted)


def test_cells_are_short_and_stored_as_run(cells):
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        limit = 35 if grade_id(cell).endswith("_visible") else 25
        assert len(cell.source.splitlines()) <= limit, cell.source
        assert "tags" not in cell.metadata and {output.get("name") for output in cell.outputs} <= {"stdout"}
    for cell in cells:
        if cell.source.startswith("## Exercise"):
            task = re.sub(r"<details>(.|\n)+?</details>", "", cell.source)
            assert len(task.split()) <= 150, task


def test_everything_but_the_answers_is_locked(cells):
    for cell in cells:
        marked = cell.metadata.get("nbgrader", {})
        assert bool(marked) or cell.cell_type == "markdown"
        assert not marked or marked["locked"] != marked["solution"]


# What students get


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the course with nothing generated."""
    root = tmp_path_factory.mktemp("course ü")
    shutil.copytree(ASSIGNMENTS / "source", root / "source", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return root


def run(course, *arguments):
    command = [sys.executable, ASSIGNMENTS / "grading.py", *arguments, "--course", course, "--seconds", "15"]
    return subprocess.run(command, capture_output=True, text=True)


def test_release_is_what_source_gives(course):
    done = run(course, "release")
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        path = Path("release") / name / f"{name}.ipynb"
        stored = (ASSIGNMENTS / path).read_text(encoding="utf-8")
        assert (course / path).read_text(encoding="utf-8") == stored, f"{path} is stale: run make release"
        assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)", stored)
    assert {path.name for path in (ASSIGNMENTS / "release").iterdir()} == set(NAMES)


# A class


def answered(name, code):
    """The released notebook with these answers: {grade_id: source}."""
    notebook = nbformat.read(ASSIGNMENTS / "release" / name / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = code.get(grade_id(cell), cell.source)
    return notebook


def solutions(name):
    marked = {grade_id(cell): cell for cell in grading.read(name, "source")}
    return {key: cell.source for key, cell in marked.items() if cell.metadata.get("nbgrader", {}).get("solution")}


def wrong(title):
    return next(a.code for a in grading.answers("training_loop") if not a.is_right and a.title == title)


def cheat(notebook):
    """Tests that pass, that are worth more, or that are not there."""
    for cell in notebook.cells:
        if grade_id(cell) == "train_one_epoch_visible":
            cell.source = "print('all is right')"
            cell.metadata.nbgrader.points = 100
    notebook.cells = [cell for cell in notebook.cells if grade_id(cell) != "train_one_epoch_hidden"]
    return notebook


RIGHT = solutions("training_loop")
WARNS = RIGHT["train_one_epoch"].replace(
    "model.train()", "model.train(); import sys; print('a warning', file=sys.stderr)"
)
LOOPS_FOREVER = RIGHT["accuracy"].replace("model.eval()", "model.eval()\n    while True:\n        pass")
ENDS_THE_KERNEL = RIGHT["sgd_update"].replace("with torch", "import os\n    os._exit(1)\n    with torch")
CRASHED = "could not be graded: DeadKernelError"
PUT_BACK = "locked cells were changed or deleted: they were put back"
#: Each student's training_loop, and the row of scores.csv that it should give: score, written answers to read, remark.
CLASS = {
    "perfect": (answered("training_loop", RIGHT), 16, 1, ""),
    "partly": (
        answered(
            "training_loop",
            {
                "train_one_epoch": RIGHT["train_one_epoch"],
                "accuracy": wrong("only the visible numbers"),  # only the further tests see it
                "sgd_update": wrong("the wrong sign"),
            },
        ),
        6,
        0,
        "",
    ),
    "empty": (answered("training_loop", {}), 0, 0, ""),
    "syntax_error": (answered("training_loop", RIGHT | {"accuracy": "def accuracy(model:\n    return 1"}), 12, 1, ""),
    "endless": (answered("training_loop", RIGHT | {"accuracy": LOOPS_FOREVER}), 12, 1, ""),
    "warns": (answered("training_loop", RIGHT | {"train_one_epoch": WARNS}), 16, 1, ""),
    "cheats": (cheat(answered("training_loop", RIGHT | {"train_one_epoch": wrong("never clears")})), 12, 1, PUT_BACK),
    "crashes": (answered("training_loop", RIGHT | {"sgd_update": ENDS_THE_KERNEL}), 0, 0, CRASHED),
    "wrong_name": (None, 0, 0, "no training_loop.ipynb was handed in, but training_loop (1).ipynb"),
    "unreadable": (None, 0, 0, "could not be graded: NotJSONError"),
}


@pytest.fixture(scope="module")
def graded(course):
    """The class has handed in, and `make grade` has run twice; in between somebody read a written answer."""
    for student, (notebook, *_) in CLASS.items():
        folder = course / "submitted" / student / "training_loop"
        folder.mkdir(parents=True)
        if notebook:
            nbformat.write(notebook, folder / "training_loop.ipynb")
    nbformat.write(CLASS["perfect"][0], course / "submitted/wrong_name/training_loop/training_loop (1).ipynb")
    (course / "submitted/unreadable/training_loop/training_loop.ipynb").write_text('{"cells": [')
    for name in set(NAMES) - {"training_loop"}:
        (course / "submitted/perfect" / name).mkdir()
        nbformat.write(answered(name, solutions(name)), course / "submitted/perfect" / name / f"{name}.ipynb")
    first = run(course, "grade")
    assert first.returncode == 0, first.stderr
    rows = scores(course)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        grade = gradebook.find_grade("written", "training_loop", "training_loop", "endless")
        grade.manual_score, grade.needs_manual_grade = 3, False
        gradebook.db.commit()
    second = run(course, "grade", "training_loop")
    assert second.returncode == 0, second.stderr
    return rows, scores(course), first


def scores(course):
    with open(course / "scores.csv", newline="", encoding="utf-8") as file:
        return {(row["student"], row["assignment"]): row for row in csv.DictReader(file)}


@pytest.mark.parametrize("student", CLASS)
def test_each_gets_the_marks_it_should(graded, student):
    _, score, to_read, remark = CLASS[student]
    row = graded[0][student, "training_loop"]
    assert (float(row["score"]), float(row["out_of"]), int(row["to_read"])) == (score, 20, to_read)
    assert row["remark"].startswith(remark) and bool(row["remark"]) == bool(remark)


def test_the_solutions_of_every_assignment_get_all_marks_but_the_written_ones(graded, name):
    row = graded[0]["perfect", name]
    assert float(row["score"]) == float(row["out_of"]) - 4 and row["to_read"] == "1"


def test_marks_given_by_hand_stay(graded):
    before, after, _ = graded
    assert float(after["endless", "training_loop"]["score"]) == float(before["endless", "training_loop"]["score"]) + 3
    assert after["endless", "training_loop"]["to_read"] == "0"
    changed = {key for key, row in after.items() if row != before[key]}
    assert changed == {("endless", "training_loop")}


def test_the_other_assignments_rows_stay(graded):
    before, after, _ = graded
    assert list(after) == list(before) == sorted(before) and {name for _, name in after} == set(NAMES)


def test_nothing_but_the_table_is_printed(graded):
    assert re.search(r"^partly +training_loop +6 / 20", graded[2].stdout, re.MULTILINE)
    assert re.search(r"^perfect +training_loop +16 / 20 +1 written to read", graded[2].stdout, re.MULTILINE)
    header, *rows = graded[2].stdout.splitlines()
    assert header.startswith("student ") and [tuple(row.split()[:2]) for row in rows] == list(graded[0])
    assert graded[2].stderr == ""


@pytest.fixture(scope="module")
def program():
    """notebooks/assignments/grading.py as a module."""
    spec = importlib.util.spec_from_file_location("grading_of_assignments", ASSIGNMENTS / "grading.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class GradedBefore:
    """Stands for a Course in which each of `students` handed in each of `names`, and got `points`."""

    def __init__(self, program, root, students, names, points):
        self.root, self.row, self.points = root, program.Score, points
        self.handed_in = [(student, name) for student in students for name in names]

    def submissions(self, names):
        return [(student, name) for student, name in self.handed_in if name in names]

    def grade(self, names):
        for student, name in self.submissions(names):
            yield self.row(student, name, self.points, 20.0, 0, "")


def test_only_the_rows_of_the_assignments_named_are_replaced(program, tmp_path):
    def points():
        return {key: float(row["score"]) for key, row in scores(tmp_path).items()}

    program.write_scores(GradedBefore(program, tmp_path, ["ann", "bo"], ["a", "b"], 1.5), ["b"])
    program.write_scores(GradedBefore(program, tmp_path, ["ann", "bo"], ["a", "b"], 2.0), ["a"])
    assert points() == {("ann", "a"): 2, ("ann", "b"): 1.5, ("bo", "a"): 2, ("bo", "b"): 1.5}
    program.write_scores(GradedBefore(program, tmp_path, ["bo"], ["a", "b"], 3.0), ["b"])  # ann's was taken back
    assert points() == {("ann", "a"): 2, ("bo", "a"): 2, ("bo", "b"): 3}
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


class Stopped(Exception):
    pass


def test_no_row_is_lost_when_grading_is_stopped(program, tmp_path):
    course = GradedBefore(program, tmp_path, ["ann", "bo"], ["a"], 1.0)
    program.write_scores(course, ["a"])
    stops = GradedBefore(program, tmp_path, ["ann", "bo"], ["a"], 2.0)

    def grade(names):
        yield program.Score("ann", "a", 2.0, 20.0, 0, "")
        raise Stopped

    stops.grade = grade
    with pytest.raises(Stopped):
        program.write_scores(stops, ["a"])
    assert {key: float(row["score"]) for key, row in scores(tmp_path).items()} == {("ann", "a"): 2, ("bo", "a"): 1}


HEADER = b"student,assignment,score,out_of,to_read,remark\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "values"),
        (b"name;points\nann;3\n", "its columns are name;points"),
        (HEADER + b"ann,a,1.5,20.0,0,\nbo,a,1.5,2", "values"),
        (HEADER + b"ann,a,many,20.0,0,\n", "could not convert"),
        (HEADER + b"ann,a,1.5,20.0,0,\xff\n", "decode"),
        (HEADER + b'ann,a,1.5,20.0,0,"', "unexpected end"),
    ],
)
def test_scores_that_cannot_be_read_are_kept(program, tmp_path, capsys, content, problem):
    for number in (1, 2):
        (tmp_path / "scores.csv").write_bytes(content)
        program.write_scores(GradedBefore(program, tmp_path, ["ann"], ["a"], 1.0), ["a"])
        assert (tmp_path / f"scores_kept_{number}.csv").read_bytes() == content
        assert list(scores(tmp_path)) == [("ann", "a")]
        message = capsys.readouterr().err
        assert problem in message and f"It is kept as scores_kept_{number}.csv" in message


def test_feedback_shows_what_the_tests_said(graded, course):
    def page(student):
        return (course / "feedback" / student / "training_loop" / "training_loop.html").read_text(encoding="utf-8")

    assert "it moves up the slope, not down" in page("partly")
    assert "CellTimeoutError" in page("endless")
    assert "gradients are never cleared" in page("cheats")


def test_a_name_that_no_assignment_has(course):
    done = run(course, "grade", "training_lop")
    assert done.returncode == 2 and "no assignment is named training_lop: there are accumulation, " in done.stderr


def test_nothing_handed_in(tmp_path):
    shutil.copytree(ASSIGNMENTS / "source" / "training_loop", tmp_path / "source" / "training_loop")
    done = run(tmp_path, "grade")
    assert done.returncode == 1 and "nothing to grade: put notebooks into" in done.stderr


# The way to them


def test_the_readme_says_how_long_it_takes(name, cells):
    minutes = re.search(r"\*\*About (\d+) minutes\*\*", cells[0].source)[1]
    link = f"[{name}](notebooks/assignments/release/{name}/{name}.ipynb)"
    assert f"| {link} | {minutes} |" in (grading.ROOT / "README.md").read_text(encoding="utf-8")


def test_the_last_lesson_it_stands_on_leads_to_it(name, cells):
    last = max(re.findall(r"\]\(\.\./\.\./\.\./(\d\d_\w+\.ipynb)\)", cells[0].source))
    assert f"(assignments/release/{name}/{name}.ipynb)" in (ASSIGNMENTS.parent / last).read_text(encoding="utf-8")
