"""What the course says is written in one form, in the field's words, and without spelling mistakes."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.refresh import formatted

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NOTEBOOKS = LESSONS + sorted((ROOT / "notebooks/assignments/source").glob("*/*.ipynb"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "benchmarks").glob("*.md"))]
CODE = [path for folder in ("course_utils", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
CODE += sorted((ROOT / "notebooks/assignments").glob("*.py"))


def name(path):
    return str(path.relative_to(ROOT))


def markdown(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


def text(path):
    """All that a reader of the file reads; of a notebook, its cells and their outputs."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        parts.append(cell.source)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            parts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/markdown", "")]
    return "\n".join(parts)


def kept_out():
    """Each phrase of CONTRIBUTING.md's table, and what to write instead."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| not | but |\n")[2].partition("\n\n")[0]
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    return {phrase: instead for phrases, instead in rows for phrase in phrases.split(", ")}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_markdown_is_in_the_formatter_s_form(path):
    assert [source for source in markdown(path) if source != formatted(source)] == [], "make refresh formats it"


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_every_prediction_has_its_folded_answer_in_the_same_cell(path):
    for source in markdown(path):
        for prediction in source.split("**Predict.**")[1:]:
            assert "<details><summary>Answer</summary>\n\n" in prediction, prediction


@pytest.mark.parametrize("path", NOTEBOOKS + PAGES + CODE, ids=name)
def test_the_field_s_words_are_used(path):
    prose = text(path)
    if path.name == "CONTRIBUTING.md":
        prose = "".join(prose.split("## Words")[::2])
    found = [
        f"{match[0]!r}: write {instead!r}"
        for phrase, instead in kept_out().items()
        for match in re.finditer(rf"\b{re.escape(phrase)}\b".replace(r"\ ", r"\s+"), prose, re.IGNORECASE)
    ]
    assert found == []


def test_spelling():
    words = "\n".join(map(text, NOTEBOOKS + PAGES + CODE))
    done = subprocess.run([sys.executable, "-m", "codespell_lib", "-"], input=words, capture_output=True, text=True)
    assert done.stdout == "" and done.returncode == 0, done.stdout
