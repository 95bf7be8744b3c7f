"""course_utils.lessons: the map and the ledger are read from the lessons, and the README says the same."""

import json
import re
from pathlib import Path

import pytest

from course_utils import lessons

ROOT = Path(__file__).parent.parent
INTRODUCTION = (
    "# Why?\n\n**About 5 minutes** · know first: nothing\n\n## What you will be able to do\n\n- tell\n- more\n"
)


def write(folder, name, prose=INTRODUCTION, table=""):
    output = {"output_type": "display_data", "data": {"text/markdown": table}, "metadata": {}}
    cells = [
        {"cell_type": "markdown", "source": prose},
        {"cell_type": "code", "source": "claims_tested(C03=...)", "outputs": [output] if table else []},
    ]
    (folder / name).write_text(json.dumps({"cells": cells}), encoding="utf-8")


def test_map_and_ledger(tmp_path):
    write(tmp_path, "02_second.ipynb", table="| | claim |\n| --- | --- |\n| C31 | late | **fails** | 2 |")
    write(tmp_path, "01_first.ipynb", table="| C36 | early | **holds** | 1 |")
    write(tmp_path, ".look-1.ipynb")
    assert lessons.map_of_lessons(tmp_path, "notebooks/").splitlines()[2:] == [
        "| [01](notebooks/01_first.ipynb) | Why? | 5 | tell |",
        "| [02](notebooks/02_second.ipynb) | Why? | 5 | tell |",
    ]
    assert lessons.ledger(tmp_path).splitlines()[2:] == [
        "| C31 | late | **fails** | 2 | [02](02_second.ipynb) |",
        "| C36 | early | **holds** | 1 | [01](01_first.ipynb) |",
    ]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no lesson in the folder"):
        lessons.read_lessons(tmp_path)
    write(tmp_path, "01_first.ipynb", prose="# Why?\n")
    with pytest.raises(ValueError, match=r"01_first.ipynb has no line '\*\*About N minutes"):
        lessons.read_lessons(tmp_path)


def test_a_table_of_claims(monkeypatch):
    shown = []
    monkeypatch.setattr(lessons, "show_markdown", shown.append)
    lessons.claims_tested(C36=("holds", "3 calls"), C19=("fails as too narrow", "2 places"))
    assert [line.split("|")[1].strip() for line in shown[0].splitlines()[2:]] == ["C19", "C36"]
    assert f"| C36 | {lessons.CLAIMS['C36']} | **holds** | 3 calls |" in shown[0]


@pytest.mark.parametrize("claims", [{"C99": ("holds", "1")}, {"C36": ("maybe", "1")}, {"C36": ("holds", "")}])
def test_a_claim_without_number_verdict_or_measurement_is_refused(claims):
    with pytest.raises(ValueError, match=next(iter(claims))):
        lessons.claims_tested(**claims)


def test_every_claim_is_tested_in_exactly_one_lesson():
    tested = [number for lesson in lessons.read_lessons(ROOT / "notebooks") for number in lesson.claims]
    assert sorted(tested) == sorted(lessons.CLAIMS) == [f"C{number:02}" for number in range(1, 42)]


def test_the_readme_has_the_map():
    table = lessons.map_of_lessons(ROOT / "notebooks", prefix="notebooks/")
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"README.md should have this map:\n{table}"


def test_every_pitfall_stands_in_exactly_one_lesson():
    named = [
        pitfall
        for lesson in lessons.read_lessons(ROOT / "notebooks")
        for pitfall in set(re.findall(r"\*\*(W\d\d)\. ", lesson.path.read_text(encoding="utf-8")))
    ]
    assert sorted(named) == [f"W{number:02}" for number in range(1, 27)]
