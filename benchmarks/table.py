"""Writes RESULTS.md, one table of all that the benchmarks have stored: python -m benchmarks.table

`for_the_readme` gives the lines that the course's README shows; a test compares both with what is stored.
"""

from collections.abc import Iterable, Iterator

from benchmarks.results import FOLDER, stored

RESULTS = FOLDER / "RESULTS.md"
NAMES = ["loops", "equality", "memory", "data_path", "batch_size", "lessons", "explorers", "watch"]
LOOPS = {"modulo": "modulo, with a step at the end"}  # as equality.py calls it
Row = tuple[str, str, str]


def loops() -> Iterator[Row]:
    for network in stored("loops")["networks"]:
        for other, share in network["window_first_share"].items():
            name = LOOPS.get(other, other)
            what = f"CPU time of an epoch, window-first / {name}, MLP with {network['hidden_units']:,} hidden units"
            yield "loops", what, f"{share['median']:.2f} ({share['low']:.2f} to {share['high']:.2f})"


def equality() -> Iterator[Row]:
    found = stored("equality")
    for row in found["loops"]:
        what = f"largest parameter difference from the large batch after an epoch: {row['loop']}"
        yield (
            "equality",
            what,
            f"{row['difference']:.1e} (relative error {_share(row['difference'] / found['change'])})",
        )


def memory() -> Iterator[Row]:
    found = stored("memory")
    for row in found["accumulation"]:
        what = f"saved for backward, CNN, batch {found['batch']:,}, K = {row['count']}"
        yield "memory", what, _bytes(row)
    for row in found["checkpointing"]:
        what = f"alive at the peak, {found['layers']} layers, {row['count']} segment{'s' * (row['count'] > 1)}"
        yield "memory", what, _bytes(row)


def data_path() -> Iterator[Row]:
    fast, slow = stored("data_path")["microseconds_per_sample"].values()
    yield "data_path", "time per sample, Dataset + ToTensor + DataLoader / indexed tensors", f"{slow / fast:.0f}"


def batch_size() -> Iterator[Row]:
    for run in stored("batch_size")["runs"]:
        reached = f"{run['98 %']['seconds']:.0f} s" if "98 %" in run else f"not in a minute, best {run['best']:.1%}"
        yield "batch_size", f"98 % on MNIST, {run['model']}, batch {run['batch_size']:,}", reached


def lessons() -> Iterator[Row]:
    found = stored("lessons")
    for row in found["lessons"]:
        first, slowest = row["kernel"] + row["first_cell"], row["slowest_cell"]
        parts = f"start and first cell {first:.0f} s, slowest after it {slowest:.0f} s: {row['its_section']}"
        yield "lessons", f"lesson {row['lesson']}", f"{row['seconds']:.0f} s ({parts})"
    what = "importing all of course_utils, after torch and matplotlib"
    yield "lessons", what, f"{found['import_course_utils']:.2f} s"
    yield "lessons", "all lessons, strict nbval, two workers", f"{found['all_lessons']:.0f} s"
    yield "lessons", "lessons and assignments, strict nbval, two workers", f"{found['with_assignments']:.0f} s"


def explorers() -> Iterator[Row]:
    for row in stored("explorers")["explorers"]:
        what = f"input latency, lesson {row['lesson'][:2]}, explorer {row['explorer']}"
        yield "explorers", what, f"{row['median']:.0f} ms, worst of {row['presses']}: {row['worst']:.0f} ms"


def watched() -> Iterator[Row]:
    found = stored("watch")
    for row in found["models"]:
        what = f"CPU time of an epoch, with watch / without, {row['model']} of {row['parameters']:,} parameters in "
        what += f"{row['tensors']} tensors, micro-batches of {row['micro_batch']}"
        yield "watch", what, f"{row['median']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    start_and_stop = max(row["start_and_stop"] for row in found["models"])
    yield "watch", "CPU time of starting and stopping watch and of reading it", f"at most {start_and_stop:.2f} s"


def for_the_readme() -> list[str]:
    """The figures that matter most, as lines of a Markdown table."""
    shares = {network["hidden_units"]: network["window_first_share"] for network in stored("loops")["networks"]}[128]
    times = ", ".join(f"{LOOPS.get(loop, loop)} {share['median']:.2f}" for loop, share in shares.items())
    found = stored("equality")
    errors = [f"{row['loop']} {_share(row['difference'] / found['change'])}" for row in found["loops"][:5]]
    kept = {row["count"]: row["bytes"] for row in stored("memory")["accumulation"]}
    most = max(kept)
    cost = [f"{row['model']} {row['median']:.2f}" for row in stored("watch")["models"] if row["micro_batch"] == 64]
    return [
        "| measured | found |",
        "| --- | --- |",
        "| relative error of the parameter change (maximum norm) after an epoch with a short last window "
        f"| {'; '.join(errors)} |",
        f"| CPU time of an epoch with the window-first loop, divided by that of another loop | {times} |",
        f"| bytes saved for backward at K = {most}, divided by those at K = 1 | 1/{kept[1] / kept[most]:.0f} |",
        "| CPU time of an epoch with `watch`, divided by that without; a million parameters, micro-batches of 64 "
        f"| {', '.join(cost)} |",
    ]


def _share(share: float) -> str:
    return f"{share:.0%}" if share > 0.005 else f"{share:.0e}"


def _bytes(row: dict) -> str:
    resident = f"; resident memory rises by {row['resident'] / 1e6:.0f} MB" if row["resident"] else ""
    return f"{row['bytes'] / 1e6:.1f} MB, theory {row['theory'] / 1e6:.1f} MB{resident}"


def machines() -> Iterator[str]:
    names = {}
    for name in NAMES:
        names.setdefault(tuple(stored(name)["machine"].items()), []).append(name)
    for machine, benchmarks in names.items():
        yield f"| {', '.join(benchmarks)} | {', '.join(f'{key} {value}' for key, value in machine)} |"
    yield f"| explorers | chromium {stored('explorers')['chromium']} |"


def lines() -> Iterable[str]:
    yield from [
        "# What the benchmarks found",
        "",
        "Written by `make bench` and `make bench-batch-size`; [README.md](README.md) says what it means.",
        "",
    ]
    yield from ["| benchmark | what | found |", "| --- | --- | --- |"]
    for rows in (loops, equality, memory, data_path, batch_size, lessons, explorers, watched):
        yield from (f"| {' | '.join(row)} |" for row in rows())
    yield from [
        "",
        "## On which machine",
        "",
        "| benchmarks | machine and versions |",
        "| --- | --- |",
    ]
    yield from machines()


def text() -> str:
    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    RESULTS.write_text(text(), encoding="utf-8")
    print(text())
