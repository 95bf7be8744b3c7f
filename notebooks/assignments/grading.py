"""Makes what students get, and grades what they hand in.

    python grading.py release [NAME ...]  writes release/ from source/
    python grading.py grade [NAME ...]    grades submitted/STUDENT/NAME/NAME.ipynb

Both take all assignments unless some are named.

`grade` writes scores.csv, and feedback/STUDENT/NAME/NAME.html. What was graded before is graded again only if it was
handed in anew or the assignment has changed; marks given by hand are kept. In scores.csv, the rows of the assignments
named are written anew, those of other assignments stay. A scores.csv that cannot be read is kept under another name.
"""

import argparse
import csv
import itertools
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import PyFileConfigLoader

HERE = Path(__file__).resolve().parent


class Score(NamedTuple):
    """One row of scores.csv. `to_read` are written answers that nobody has marked yet."""

    student: str
    assignment: str
    score: float
    out_of: float
    to_read: int
    remark: str


class Course:
    """An nbgrader course: `root` has source/ and submitted/, and gets release/, autograded/, feedback/, gradebook.db.

    A cell that runs for more than `seconds` (nbgrader_config.py's unless given) is stopped, and counts as an error.
    """

    def __init__(self, root: Path = HERE, seconds: int | None = None) -> None:
        self.root = root
        config = PyFileConfigLoader("nbgrader_config.py", path=str(HERE)).load_config()
        config.CourseDirectory.root = str(root)
        config.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
        if seconds:
            config.Execute.timeout = seconds
        self.nbgrader = NbGraderAPI(config=config)
        # nbgrader calls alembic, which is beside this Python whether or not the environment is activated
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    @property
    def assignments(self) -> list[str]:
        return sorted(folder.name for folder in (self.root / "source").iterdir() if folder.is_dir())

    def gradebook(self) -> Gradebook:
        return Gradebook(self.nbgrader.coursedir.db_url, self.nbgrader.coursedir.course_id)

    def release(self, names: list[str]) -> None:
        """Writes release/ from source/. Raises RuntimeError, with nbgrader's log, if an assignment is not valid."""
        for name in names:
            done = self.nbgrader.generate_assignment(name, force=True)
            if not done["success"]:
                raise RuntimeError(f"{name} could not be generated:\n{done.get('error') or ''}{done['log']}")

    def is_released(self, name: str) -> bool:
        """Whether release/ and the gradebook have the assignment as it stands in source/."""
        source, release = (self.root / folder / name / f"{name}.ipynb" for folder in ("source", "release"))
        with self.gradebook() as gradebook:
            known = name in {assignment.name for assignment in gradebook.assignments}
        return known and release.exists() and _changed(release) >= _changed(source)

    def grade(self, names: list[str]) -> Iterator[Score]:
        """Grades the submissions to the assignments `names`, one at a time; none can stop the others."""
        for student, name in self.submissions(names):
            yield self._scored(student, name, self._graded(student, name))

    def submissions(self, names: list[str]) -> list[tuple[str, str]]:
        """Students and names of the assignments they have handed in."""
        folders = sorted((self.root / "submitted").glob("*/*/"))
        return [(folder.parent.name, folder.name) for folder in folders if folder.name in names]

    def _graded(self, student: str, name: str) -> str:
        """Grades and writes feedback; returns a remark if something is wrong with the submission."""
        submission = self.root / "submitted" / student / name / f"{name}.ipynb"
        if not submission.exists():
            found = ", ".join(sorted(path.name for path in submission.parent.iterdir())) or "nothing"
            return f"no {submission.name} was handed in, but {found}"
        autograded, source = self._autograded(student, name), self.root / "source" / name / submission.name
        if not autograded.exists() or autograded.stat().st_mtime < max(_changed(submission), _changed(source)):
            done = self.nbgrader.autograde(name, student, force=True)
            if not done["success"]:
                reasons = re.findall(r"^ +(?:\w+\.)*(\w+Error: .+)$", done["log"], re.MULTILINE)
                return f"could not be graded: {reasons[-1] if reasons else done['log']}"
        if not self.nbgrader.generate_feedback(name, student, force=True)["success"]:
            return "no feedback page could be written"
        locked = _locked_cells(self.root / "release" / name / submission.name)
        return "" if locked == _locked_cells(submission) else "locked cells were changed or deleted: they were put back"

    def _autograded(self, student: str, name: str) -> Path:
        return self.root / "autograded" / student / name / f"{name}.ipynb"

    def _scored(self, student: str, name: str, remark: str) -> Score:
        with self.gradebook() as gradebook:
            out_of = gradebook.find_assignment(name).max_score
            if not self._autograded(student, name).exists():
                return Score(student, name, 0.0, out_of, 0, remark)
            submission = gradebook.find_submission(name, student)
            to_read = sum(grade.needs_manual_grade for notebook in submission.notebooks for grade in notebook.grades)
            return Score(student, name, submission.score, out_of, to_read, remark)


def _changed(path: Path) -> float:
    return path.stat().st_mtime


def _locked_cells(path: Path) -> dict[str, tuple[str, int]]:
    """Source and points of the cells that students cannot change, by their names."""
    marked = ((cell.source, cell.metadata.get("nbgrader", {})) for cell in nbformat.read(path, as_version=4).cells)
    return {cell["grade_id"]: (source, cell.get("points", 0)) for source, cell in marked if cell.get("locked")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["release", "grade"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="assignments, all unless given")
    parser.add_argument("--course", type=Path, default=HERE, help="a folder with source/ and submitted/")
    parser.add_argument("--seconds", type=int, help="how long one cell may run, 30 unless given")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # nbgrader's, about the libraries it uses
    course = Course(arguments.course.resolve(), arguments.seconds)
    unknown = sorted(set(arguments.names) - set(course.assignments))
    if unknown:
        parser.error(f"no assignment is named {', '.join(unknown)}: there are {', '.join(course.assignments)}")
    names = arguments.names or course.assignments
    if arguments.command == "release":
        course.release(names)
    else:
        course.release([name for name in names if not course.is_released(name)])
        write_scores(course, names)


def write_scores(course: Course, names: list[str]) -> None:
    """Grades `names`, prints their rows, and puts them into scores.csv, which is whole after each of them."""
    submissions = course.submissions(names)
    if not submissions:
        sys.exit(f"nothing to grade: put notebooks into {course.root / 'submitted'}/STUDENT/NAME/NAME.ipynb")
    path = course.root / "scores.csv"
    rows = {key: row for key, row in read_scores(path).items() if key[1] not in names or key in submissions}
    print(f"{'student':20} {'assignment':20} {'score':>12}  remark")
    for row in course.grade(names):
        rows[row.student, row.assignment] = row
        new = path.with_suffix(".new")
        with open(new, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([Score._fields, *(rows[key] for key in sorted(rows))])
        new.replace(path)
        to_read = f"{row.to_read} written to read" if row.to_read else ""
        remarks = "; ".join(filter(None, [to_read, row.remark]))
        print(f"{row.student:20} {row.assignment:20} {row.score:5g} / {row.out_of:<4g}  {remarks}", flush=True)


def read_scores(path: Path) -> dict[tuple[str, str], Score]:
    """The rows of scores.csv at `path`, by student and assignment. A file with anything else is renamed."""
    if not path.exists():
        return {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file, strict=True)
        if tuple(header) != Score._fields:
            raise ValueError(f"its columns are {', '.join(header)}")
        scores = [
            Score(student, name, float(score), float(out_of), int(to_read), remark)
            for student, name, score, out_of, to_read, remark in rows
        ]
    except (ValueError, csv.Error) as error:
        names = (path.with_name(f"scores_kept_{number}.csv") for number in itertools.count(1))
        kept = path.rename(next(name for name in names if not name.exists()))
        print(f"{path} was not written by this program, or is damaged: {error}", file=sys.stderr)
        print(f"It is kept as {kept.name}. Without NAME, all assignments are put into a new one.", file=sys.stderr)
        return {}
    return {(score.student, score.assignment): score for score in scores}


if __name__ == "__main__":
    main()
