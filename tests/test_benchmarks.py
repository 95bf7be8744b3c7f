"""What is written about the measurements is what they have stored."""

import itertools

from benchmarks import table
from benchmarks.batch_size import BATCH_SIZES, MODELS
from benchmarks.explorers import PRESSES
from benchmarks.results import FOLDER, machine, stored
from tests.browser import LESSONS, WITH_EXPLORER


def test_the_table_shows_what_is_stored():
    assert table.RESULTS.read_text(encoding="utf-8") == table.text(), "run .venv/bin/python -m benchmarks.table"


def test_the_readme_shows_what_is_stored():
    lines = "\n".join(table.for_the_readme())
    assert lines in (FOLDER.parent / "README.md").read_text(encoding="utf-8"), f"the README should say:\n{lines}"


def test_every_result_says_on_which_machine():
    for name in table.NAMES:
        assert stored(name)["machine"].keys() == machine().keys(), name
        assert all(stored(name)["machine"].values()), name


def test_everything_was_measured():
    assert [row["lesson"] for row in stored("lessons")["lessons"]] == [path.stem for path in LESSONS]
    assert {row["lesson"] for row in stored("explorers")["explorers"]} == {path.stem for path in WITH_EXPLORER}
    assert {row["presses"] for row in stored("explorers")["explorers"]} == {PRESSES}
    runs = {(run["model"], run["batch_size"]) for run in stored("batch_size")["runs"]}
    assert runs == set(itertools.product(MODELS, BATCH_SIZES))


def test_lessons_and_explorers_were_fast_enough():
    lessons = stored("lessons")
    assert {row["lesson"]: row["seconds"] for row in lessons["lessons"] if row["seconds"] >= 25} == {}
    assert lessons["all_lessons"] < 150
    assert lessons["import_course_utils"] < 0.3
    assert max(row["median"] for row in stored("explorers")["explorers"]) <= 100


def test_watching_cost_little_enough():
    ratios = {(row["model"], row["micro_batch"]): row["median"] for row in stored("watch")["models"]}
    assert (
        len(ratios) == 6 and {model: ratio for model, ratio in ratios.items() if ratio > 1.3 and model[1] == 64} == {}
    )


def test_every_benchmark_has_its_paragraph():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    scripts = {path.stem for path in FOLDER.glob("*.py")} - {"results", "table"}
    assert [name for name in scripts if f"**[{name}]({name}.py):" not in page] == []
