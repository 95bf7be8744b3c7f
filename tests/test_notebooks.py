"""Every lesson keeps the course's form. (What its cells print is compared by nbval.)"""

import json
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
FRAME = [
    "What you will be able to do",
    "Claims tested",
    "In the wild",
    "Check yourself",
    "Exercises",
    "Further reading",
]


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture
def code(lesson):
    return [cell for cell in lesson.cells if cell.cell_type == "code"]


def headings(lesson):
    prose = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    return re.findall(r"^## (.+)$", prose, re.MULTILINE)


def outputs(code):
    return [output for cell in code for output in cell.outputs]


def test_lessons_are_numbered_without_a_gap():
    assert [int(path.name[:2]) for path in LESSONS] == list(range(len(LESSONS)))


@pytest.mark.parametrize("path", LESSONS[1:], ids=lambda path: path.stem)
def test_the_frame(path):
    found = headings(nbformat.read(path, as_version=4))
    assert found[0] == FRAME[0] and [heading for heading in found if heading in FRAME] == FRAME
    assert found[-5:] == FRAME[1:], "the sections stand before the last five headings"


def test_the_title_is_a_question(lesson):
    assert re.match(r"# .+\?\n", lesson.cells[0].source)


def test_check_yourself_has_folded_answers(lesson):
    for cell in lesson.cells:
        if cell.source.startswith("## Check yourself"):
            questions = len(re.findall(r"^\d\. ", cell.source, re.MULTILINE))
            assert 3 <= questions <= 5 and cell.source.count("<details>") == questions


def test_cells_are_stored_as_run_from_top_to_bottom(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_every_code_cell_is_compared_or_asserts(code):
    ignored = [cell.source for cell in code if "nbval-ignore-output" in cell.metadata.get("tags", [])]
    assert [source for source in ignored if not re.search(r"^\s*assert ", source, re.MULTILINE)] == []
    allowed = {"nbval-ignore-output"}
    assert [tag for cell in code for tag in cell.metadata.get("tags", []) if tag not in allowed] == []
    assert not any("NBVAL_" in cell.source for cell in code)


def test_cells_and_prose_are_short(lesson):
    for cell in lesson.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 25, cell.source
        elif not cell.source.startswith(("## Words", "## Check yourself", "## Exercises", "## Further reading")):
            assert len(cell.source.split()) <= 150, cell.source


def test_pictures_have_alternative_texts(code):
    for output in outputs(code):
        if "image/png" in output.get("data", {}):
            assert output.metadata["image/png"]["alt"].endswith(".")
            assert output.data["text/plain"] == output.metadata["image/png"]["alt"]


def test_nothing_is_stored_that_should_not_be(lesson, code):
    assert [output for output in outputs(code) if output.output_type == "error" or output.get("name") == "stderr"] == []
    kinds = {kind for output in outputs(code) for kind in output.get("data", {})}
    assert kinds <= {"text/plain", "text/markdown", "image/png"}
    assert set(lesson.metadata) - {"course"} == {"kernelspec", "language_info"}
    text = json.dumps([cell.source for cell in lesson.cells]) + json.dumps(outputs(code))
    assert not re.search(r"/(home|Users|root|tmp|work)/|[A-Z]:\\\\\\\\Users|0x[0-9a-f]{6,}", text)


def test_no_cell_ends_in_a_value_hidden_by_a_semicolon(code):
    assert [cell.source for cell in code if cell.source.rstrip().endswith(";")] == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_links_between_lessons_lead_somewhere(path):
    prose = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)\)", "\n".join(prose)) if "://" not in target]
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_file_is_small(path):
    assert path.stat().st_size < 500_000
