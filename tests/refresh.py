"""Runs lessons and stores their outputs, in the same form each time: python -m tests.refresh NOTEBOOK ...

A cell whose output may differ (tag nbval-ignore-output) keeps the stored one as long as no code has changed, neither
the notebook's nor that of course_utils. So a second run changes nothing, and a diff shows what a change of code did.
"""

import hashlib
import os
import sys
from pathlib import Path

import mdformat
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

PACKAGE = Path(__file__).parent.parent / "course_utils"
WIDGET = "application/vnd.jupyter.widget-view+json"


def refresh(path: Path) -> None:
    """Runs the notebook at `path` and stores it. A notebook that ends in an error is left as it was."""
    notebook = nbformat.read(path, as_version=4)
    code = fingerprint(notebook)
    unchanged = notebook.metadata.get("course", {}).get("code") == code
    kept = {cell.id: cell.outputs for cell in notebook.cells if unchanged and may_differ(cell) and cell.outputs}
    NotebookClient(
        notebook, timeout=300, record_timing=False, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    count = 0
    for cell in notebook.cells:
        cell.metadata = {name: cell.metadata[name] for name in ("tags", "nbgrader") if cell.metadata.get(name)}
        if cell.cell_type == "markdown":
            cell.source = formatted(cell.source)
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = kept.get(cell.id) or [tidy(output, count) for output in joined(cell.outputs)]
    notebook.metadata = ({"course": {"code": code}} if any(map(may_differ, notebook.cells)) else {}) | {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def formatted(markdown: str) -> str:
    """The same Markdown in one form: a paragraph is one line.

    JupyterLab wraps the lines of a cell while one writes, so a break in the text would be typed by hand, would stand
    at an odd place after the next change, and would render as a space, also within "micro-batches".
    """
    options = {"wrap": "no", "number": True, "compact_tables": True}
    return mdformat.text(markdown, options=options, extensions={"gfm", "myst"}).rstrip("\n")


def fingerprint(notebook: nbformat.NotebookNode) -> str:
    """Changes when the code of the notebook or of course_utils changes."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    sources += [module.read_text(encoding="utf-8") for module in sorted(PACKAGE.rglob("*.py"))]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def may_differ(cell: nbformat.NotebookNode) -> bool:
    return "nbval-ignore-output" in cell.metadata.get("tags", [])


def joined(outputs: list) -> list:
    """The outputs with neighbouring pieces of the same stream joined: where it is cut depends on timing."""
    result = []
    for output in outputs:
        if result and output.output_type == "stream" == result[-1].output_type and output.name == result[-1].name:
            result[-1].text += output.text
        else:
            result.append(output)
    return result


def tidy(output: nbformat.NotebookNode, count: int) -> nbformat.NotebookNode:
    """Without the ids of live widgets, so that the stored picture shows in their place; numbered by the cell."""
    if "data" in output:
        output.data.pop(WIDGET, None)
    if output.output_type == "execute_result":
        output.execution_count = count
    return output


if __name__ == "__main__":
    os.environ |= {"TQDM_DISABLE": "1"}  # a progress bar is for the one who waits
    paths = [Path(name) for name in sys.argv[1:]] or sys.exit(__doc__)
    # Lesson 00 shows what the others have stored, so it comes last
    for path in sorted(paths, key=lambda path: (path.name.startswith("00"), path)):
        print(path, flush=True)
        try:
            refresh(path)
        except CellExecutionError as error:
            sys.exit(f"{path} was left as it was, since a cell ended in an error:\n{error}")
