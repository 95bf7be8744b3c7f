"""What is written about the measurements is what they have stored."""

from benchmarks import table
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


def test_every_lesson_and_every_explorer_was_measured():
    assert [row["lesson"] for row in stored("lessons")["lessons"]] == [path.stem for path in LESSONS]
    assert {row["lesson"] for row in stored("explorers")["explorers"]} == {path.stem for path in WITH_EXPLORER}


def test_every_benchmark_has_its_paragraph():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    scripts = {path.stem for path in FOLDER.glob("*.py")} - {"results", "table"}
    assert [name for name in scripts if f"**[{name}]({name}.py):" not in page] == []
