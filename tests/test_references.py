"""REFERENCES.md lists every source that the course cites, where, and for what, and nothing else."""

import ast
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
OWN = re.compile(r"https://(mybinder\.org|mybinder\.readthedocs\.io)|https?://(127\.0\.0\.1|localhost)")


def addresses(text):
    """Web addresses, without fragments; a paper's number, arXiv:1234.56789, is one, too."""
    found = {address.rstrip(".,;:") for address in re.findall(r"https?://[^\s)\"'<>`\\|]+", text)}
    found |= {f"https://arxiv.org/abs/{number}" for number in re.findall(r"arXiv[: ](\d{4}\.\d{4,5})", text)}
    return {address.partition("#")[0] for address in found if not OWN.match(address)}


def strings(module):
    """The docstrings and messages of a module, and its comments."""
    source = module.read_text(encoding="utf-8")
    constants = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return "\n".join([*(value for value in constants if isinstance(value, str)), *re.findall(r"#.*", source)])


def cited():
    """For each address, the places that cite it: numbers of lessons, names of assignments, and other files' paths."""
    texts = {}
    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        texts[path.name[:2]] = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    for path in (ROOT / "notebooks/assignments/source").glob("*/*.ipynb"):
        texts[path.stem] = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "benchmarks").glob("*.md")]:
        texts[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
    for folder in ("course_utils", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            texts[str(path.relative_to(ROOT))] = strings(path)
    places = {}
    for place, text in texts.items():
        for address in addresses(text):
            places.setdefault(address, set()).add(place)
    return places


def listed():
    """The rows of REFERENCES.md: for each address what it is cited for, and the places."""
    rows = {}
    for line in (ROOT / "REFERENCES.md").read_text(encoding="utf-8").splitlines():
        if row := re.fullmatch(r"\| \[.+?\]\((\S+)\) \| (.+) \| (.+) \|", line):
            assert row[1] not in rows, f"{row[1]} has two rows"
            rows[row[1]] = (row[2], set(row[3].split(", ")))
    return rows


def test_every_reference_is_listed_with_the_places_that_cite_it():
    assert {address: places for address, (_, places) in listed().items()} == cited()


def test_every_row_says_what_the_source_is_cited_for():
    assert [address for address, (what, _) in listed().items() if len(what.split()) < 4] == []
