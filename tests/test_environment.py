"""The check that lesson 00 runs, and that all files which name packages agree."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

from course_utils import environment

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED = len(PROJECT["dependencies"]) + len(PROJECT["optional-dependencies"]["frameworks"])
CONDA = (ROOT / "environment.yml").read_text(encoding="utf-8")
CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}
MODULE_NAMES = {
    "PIL": "pillow",
    "IPython": "ipython",
    "yaml": "pyyaml",
    "pytorch_lightning": "pytorch-lightning",
}


# The check of lesson 00


def test_all_is_well_here(capsys):
    assert environment.check_environment()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == NEEDED and all(line.startswith("[OK]   ") for line in lines)


def test_a_missing_package(capsys, monkeypatch):
    def version(name, original=importlib.metadata.version):
        if name == "torchvision":
            raise importlib.metadata.PackageNotFoundError(name)
        return original(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert not environment.check_environment()
    out = capsys.readouterr().out
    assert re.search(r'\[FAIL\] torchvision is missing\. Type: ".+" -m pip install "torchvision<1,>=0.28"', out)
    assert out.count("[OK]") == NEEDED - 1


def test_an_old_package(capsys, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.1")
    assert not environment.check_environment()
    assert '[FAIL] torch 0.1 is not <3,>=2.13. Type: "' in capsys.readouterr().out


def test_a_package_that_cannot_be_imported(capsys, monkeypatch):
    def broken(name, original=importlib.import_module):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return original(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    assert not environment.check_environment()
    assert "cannot be imported (operator torchvision::nms does not exist). Type:" in capsys.readouterr().out


def test_the_course_is_not_installed(capsys, monkeypatch):
    monkeypatch.setattr(environment, "COURSE", "no-such-course")
    assert not environment.check_environment()
    assert "[FAIL] no-such-course is not installed. Type:" in capsys.readouterr().out


def test_without_packaging(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert not environment.check_environment()
    assert "[FAIL] packaging is missing." in capsys.readouterr().out


def test_the_check_imports_nothing_but_the_standard_library():
    code = "import sys; before = set(sys.modules); import course_utils.environment; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.partition(".")[0] for name in loaded} - {"course_utils"} <= set(sys.stdlib_module_names)


# The files that name packages


def requirements(lines):
    return {requirement.name: requirement.specifier for requirement in map(Requirement, lines)}


def test_environment_yml_names_the_same_packages_with_the_same_bounds():
    lines = [line for line in yaml.safe_load(CONDA)["dependencies"] if isinstance(line, str)]
    conda = requirements(line for line in lines if line != "pip" and not line.startswith("python="))
    assert {CONDA_NAMES.get(name, name): bounds for name, bounds in conda.items()} == requirements(
        [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["frameworks"]]
    )
    assert {"pip": ["--editable ."]} in yaml.safe_load(CONDA)["dependencies"]


def test_every_package_has_a_comment_saying_what_needs_it():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"^(?:dependencies|\w+) = \[\n(    \".*?)^\]", project, re.MULTILINE | re.DOTALL)
    lines = [line for text in lists for line in text.splitlines() if re.match(r'\s+"[a-z][\w-]+[<>=]', line)]
    lines += [line for line in CONDA.splitlines() if re.match(r"\s+- (?!conda-forge|nodefaults|pip:)", line)]
    assert len(lines) > 20 and [line for line in lines if "#" not in line] == []


def test_constraints_are_exact_and_within_the_bounds():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    exact = dict(line.split("==") for line in text.splitlines() if not line.startswith("#"))
    wanted = requirements([*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())])
    by_name = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in exact.items()}
    assert [name for name, bounds in wanted.items() if by_name.get(name) not in bounds] == []


def imported(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def code_of(path):
    if path.suffix == ".py":
        return [path.read_text(encoding="utf-8")]
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize(
    ("files", "extras"),
    [
        (["notebooks/*.ipynb", "course_utils/**/*.py"], ["frameworks"]),
        (["notebooks/assignments/source/*/*.ipynb"], []),
        (["notebooks/assignments/*.py"], ["grading"]),
        (["tests/*.py"], ["test", "grading"]),
        (["benchmarks/*.py"], ["frameworks", "test"]),
    ],
)
def test_every_import_is_declared(files, extras):
    paths = [path for pattern in files for path in ROOT.glob(pattern)]
    modules = {module for path in paths for source in code_of(path) for module in imported(source)}
    declared = requirements(
        [*PROJECT["dependencies"], *chain(*(PROJECT["optional-dependencies"][extra] for extra in extras))]
    )
    foreign = modules - set(sys.stdlib_module_names) - {"course_utils", "tests", "benchmarks"}
    assert {MODULE_NAMES.get(module, module) for module in foreign} - set(declared) == set()


def test_binder_would_build_the_conda_environment_with_the_course_in_it():
    done = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)], capture_output=True, text=True
    )
    dockerfile = done.stdout + done.stderr
    assert "Building conda environment for python=3.11" in dockerfile
    # `--editable .` needs the repository's files before the environment is made
    assert 0 < dockerfile.index("COPY --chown=0:0 src/") < dockerfile.index('--file "environment.yml"')
