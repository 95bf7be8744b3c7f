"""Writes RESULTS.md, one table of all that the benchmarks have stored: python -m benchmarks.table

`for_the_readme` gives the lines that the course's README shows; a test compares both with what is stored.
"""

from collections.abc import Iterable, Iterator

from benchmarks.results import FOLDER, stored

RESULTS = FOLDER / "RESULTS.md"
NAMES = ["loops", "equality", "memory", "data_path", "batch_size", "lessons", "explorers"]
Row = tuple[str, str, str]


def loops() -> Iterator[Row]:
    for network in stored("loops")["networks"]:
        seconds = network["seconds"]
        for other in list(seconds)[1:]:
            what = f"time of an epoch, window-first / {other}, MLP with {network['hidden_units']:,} hidden units"
            yield "loops", what, f"{seconds['window-first'] / seconds[other]:.2f}"


def equality() -> Iterator[Row]:
    found = stored("equality")
    for row in found["loops"]:
        what = f"largest parameter difference to the large batch after an epoch: {row['loop']}"
        yield "equality", what, f"{row['difference']:.1e} ({_share(row['difference'] / found['way'])} of the way)"


def memory() -> Iterator[Row]:
    found = stored("memory")
    for row in found["accumulation"]:
        what = f"kept for backward, CNN, batch {found['batch']:,}, K = {row['count']}"
        yield "memory", what, _bytes(row)
    for row in found["checkpointing"]:
        what = f"alive at the peak, {found['layers']} layers, {row['count']} segment{'s' * (row['count'] > 1)}"
        yield "memory", what, _bytes(row)


def data_path() -> Iterator[Row]:
    fast, slow = stored("data_path")["microseconds_per_sample"].values()
    yield "data_path", "time a sample, Dataset + ToTensor + DataLoader / indexed tensors", f"{slow / fast:.0f}"


def batch_size() -> Iterator[Row]:
    for run in stored("batch_size")["runs"]:
        reached = f"{run['98 %']['seconds']:.0f} s" if "98 %" in run else f"not in a minute, best {run['best']:.1%}"
        yield "batch_size", f"98 % on MNIST, {run['model']}, batch {run['batch_size']:,}", reached


def lessons() -> Iterator[Row]:
    found = stored("lessons")
    for row in found["lessons"]:
        share = f"{row['kernel'] + row['imports']:.0f} s start and imports; slowest: {row['its_section']}"
        yield "lessons", f"lesson {row['lesson']}", f"{row['seconds']:.0f} s ({share}, {row['slowest_cell']:.0f} s)"
    what = "importing all of course_utils, after torch and matplotlib"
    yield "lessons", what, f"{found['import_course_utils']:.2f} s"
    yield "lessons", "all lessons, strict nbval, two workers", f"{found['all_lessons']:.0f} s"
    yield "lessons", "lessons and assignments, strict nbval, two workers", f"{found['with_assignments']:.0f} s"


def explorers() -> Iterator[Row]:
    for row in stored("explorers")["explorers"]:
        what = f"key press to picture, lesson {row['lesson'][:2]}, explorer {row['explorer']}"
        yield "explorers", what, f"{row['median']:.0f} ms, worst of {row['presses']}: {row['worst']:.0f} ms"


def for_the_readme() -> list[str]:
    """The three figures that matter most, as lines of a Markdown table."""
    ratios = {network["hidden_units"]: network["seconds"] for network in stored("loops")["networks"]}[128]
    times = {loop: f"{ratios['window-first'] / seconds:.2f}" for loop, seconds in ratios.items()}
    found = stored("equality")
    off = {row["loop"]: _share(row["difference"] / found["way"]) for row in found["loops"]}
    named = {"modulo": "modulo, as it is passed on", "Accelerate": "Accelerate", "Lightning": "Lightning"}
    kept = {row["count"]: row["bytes"] for row in stored("memory")["accumulation"]}
    most = max(kept)
    others = ", ".join(f"{name} {off[loop]}" for name, loop in named.items())
    ratios = ", ".join(f"{name} {ratio}" for name, ratio in times.items() if name != "window-first")
    return [
        "| measured | found |",
        "| --- | --- |",
        "| off the large batch's parameters after an epoch with a short last window, as a share of how far they moved "
        f"| window-first {off['window-first']}; {others} |",
        f"| time of an epoch in the window-first loop, as a share of the others' | {ratios} |",
        f"| bytes kept for backward at K = {most}, as a share of those at K = 1 | 1/{kept[1] / kept[most]:.0f} |",
    ]


def _share(share: float) -> str:
    return f"{share:.0%}" if share > 0.005 else f"{share:.0e}"


def _bytes(row: dict) -> str:
    resident = f"; resident memory rises by {row['resident'] / 1e6:.0f} MB" if row["resident"] else ""
    return f"{row['bytes'] / 1e6:.1f} MB, theory {row['theory'] / 1e6:.1f} MB{resident}"


def machines() -> Iterator[str]:
    for name in NAMES:
        found = stored(name)["machine"]
        versions = ", ".join(f"{key} {value}" for key, value in found.items() if key not in ("cpu", "capability"))
        yield f"| {name} | {found.get('cpu', '')} ({found.get('capability', '')}) | {versions} |"


def lines() -> Iterable[str]:
    yield from [
        "# What the benchmarks found",
        "",
        "Written by `make bench`; [README.md](README.md) says what it means.",
        "",
    ]
    yield from ["| benchmark | what | found |", "| --- | --- | --- |"]
    for rows in (loops, equality, memory, data_path, batch_size, lessons, explorers):
        yield from (f"| {' | '.join(row)} |" for row in rows())
    yield from [
        "",
        "## On which machine",
        "",
        "| benchmark | CPU | versions, cores and threads |",
        "| --- | --- | --- |",
    ]
    yield from machines()


def text() -> str:
    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    RESULTS.write_text(text(), encoding="utf-8")
    print(text())
