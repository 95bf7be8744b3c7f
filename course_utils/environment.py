"""Is everything installed that the lessons need? Imports only the standard library: a package may be missing."""

import importlib
import importlib.metadata
import sys

COURSE = "training-loop-course"
FRAMEWORKS = {"extra": "frameworks"}  # lessons 08 and 14
MODULES = {"ipython": "IPython", "pillow": "PIL"}  # packages whose module has another name


def check_environment() -> bool:
    """Prints a line for each package that the lessons need: [OK], or what is wrong and what to type.

    Returns True if all packages are [OK]. Never raises, whatever is missing, outdated or broken.
    """
    try:
        lines = importlib.metadata.requires(COURSE) or []
    except importlib.metadata.PackageNotFoundError:
        return _fail(COURSE, "is not installed", "--editable .   (in the course's folder)")
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return _fail("packaging", "is missing", "packaging")
    requirements = [Requirement(line) for line in lines]
    # A list, not a generator, so that every package gets its line
    return all([_check(r.name, r.specifier, r.marker) for r in requirements if _is_needed(r.marker)])


def _is_needed(marker: object) -> bool:
    return marker is None or marker.evaluate(FRAMEWORKS)


def _check(name: str, allowed: object, marker: object) -> bool:
    """Prints the line of one package; `allowed` is a packaging SpecifierSet, such as '<3,>=2.13'."""
    wanted = f'"{name}{allowed}"'
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return _fail(name, "is missing", wanted)
    if not allowed.contains(version, prereleases=True):
        return _fail(f"{name} {version}", f"is not {allowed}", wanted)
    try:
        if marker is None:  # frameworks take seconds to import
            importlib.import_module(MODULES.get(name, name))
    except Exception as error:
        return _fail(f"{name} {version}", f"cannot be imported ({error})", f"--force-reinstall {wanted}")
    print(f"[OK]   {name} {version}")
    return True


def _fail(what: str, problem: str, arguments: str) -> bool:
    print(f'[FAIL] {what} {problem}. Type: "{sys.executable}" -m pip install {arguments}')
    return False
