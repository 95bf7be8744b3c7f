"""What the course says is written in one form."""

from pathlib import Path

import nbformat
import pytest

from tests.refresh import formatted

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")) + sorted(
    (ROOT / "notebooks/assignments/source").glob("*/*.ipynb")
)


def name(path):
    return str(path.relative_to(ROOT))


def markdown(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_markdown_is_in_the_formatter_s_form(path):
    assert [source for source in markdown(path) if source != formatted(source)] == [], "make refresh formats it"
