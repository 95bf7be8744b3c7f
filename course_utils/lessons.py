"""The map of lessons, and the ledger of the claims that they tested, both read from the lessons."""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from IPython.display import display

from course_utils.arguments import instance_of

#: The claims that the lessons test, as they circulate in tutorials, forums and lecture notes.
CLAIMS = {
    "C01": "A larger batch trains more stably, and better.",
    "C02": "Batch sizes of 8 to 32 are usual; large inputs allow only 2 to 4.",
    "C03": "The five lines of a training loop must stand in one fixed order.",
    "C04": "One step after every K micro-batches, with gradients cleared only then, is like a batch K times as large.",
    "C05": "The loss must be divided by K, the number of micro-batches.",
    "C06": "Evaluate every n micro-batches, inside the branch that calls step().",
    "C07": "Accumulation gives much better models than the small batch.",
    "C08": "A batch of N = K · M samples equals K micro-batches of M samples and one update.",
    "C09": "Optimizers with state, such as momentum, need care under accumulation.",
    "C10": "To update the momentum at every micro-batch is wrong.",
    "C11": "Accumulate the sum of the gradients, then update the momentum once.",
    "C12": "Adam's moments are biased if they are updated at every micro-batch.",
    "C13": "A second moment from the square of the accumulated gradient has an error.",
    "C14": "v ← β₂ᴷ v + (1 − β₂) Σ g² is more accurate.",
    "C15": "Frameworks divide the loss by K and update the optimizer's state once.",
    "C16": "With a batch K times as large, the learning rate must be multiplied by K, or by √K.",
    "C17": "BatchNorm still sees micro-batches; GroupNorm helps.",
    "C18": "Accumulation reduces the variance of the gradient.",
    "C19": "Clear the gradients after the update.",
    "C20": "An epoch has N/b iterations, and its time is proportional to their number.",
    "C21": "The loss is averaged over a batch, so it oscillates if batches are small.",
    "C22": "With a huge batch consecutive gradients are alike, and training ends in a local minimum.",
    "C23": "Large batches save time, until data loading dominates.",
    "C24": "Batch size 1 diverges at learning rate 0.02: small batches need small learning rates.",
    "C25": "Batch sizes 6 to 60 reach 98 % on MNIST soonest, batch size 1 never, larger ones later.",
    "C26": "A learning rate should be large first and small later.",
    "C27": "ReduceLROnPlateau takes mode, factor, patience, threshold, threshold_mode, cooldown, min_lr, eps, verbose.",
    "C28": "Call scheduler.step(metric) after the validation.",
    "C29": "Other schedulers change the learning rate by a fixed plan: StepLR, CosineAnnealingLR, OneCycleLR, ...",
    "C30": "The optimizer minimizes the loss.",
    "C31": "Gradients are kept because PyTorch's graph is dynamic; backward() and step() are independent.",
    "C32": "zero_grad() must stand before backward().",
    "C33": "non_blocking=True makes copies to the device faster.",
    "C34": "K = 8 is a batch 8 times as large, so raise the learning rate.",
    "C35": "It can happen that not even one sample fits into memory.",
    "C36": "Gradients stay in parameter.grad until they are cleared.",
    "C37": "model.zero_grad() and optimizer.zero_grad() are the same.",
    "C38": "Checkpointing trades time for memory.",
    "C39": "DataParallel is one line, and its first GPU fills up.",
    "C40": "Computing the loss on each device balances their memory.",
    "C41": "Accumulation made my results worse, because the learning rate was still the small batch's.",
}
ROW = re.compile(r"^\| (C\d\d) \|.*\|$", re.MULTILINE)


class Lesson(NamedTuple):
    """A lesson, as its file says. `claims` maps the numbers of claims (C01, ...) to the rows of its table of claims."""

    path: Path
    title: str
    minutes: int
    outcome: str
    claims: dict[str, str]


def read_lessons(folder: str | Path = ".") -> list[Lesson]:
    """The lessons in `folder`, in order. Raises FileNotFoundError if there is none."""
    instance_of(str | os.PathLike, folder=folder)
    paths = sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise FileNotFoundError(f"there is no lesson in the folder {Path(folder).resolve()}")
    return [_read_lesson(path) for path in paths]


def _read_lesson(path: Path) -> Lesson:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    tables = [
        "".join(output["data"]["text/markdown"])
        for cell in cells
        for output in cell.get("outputs", [])
        if "text/markdown" in output.get("data", {}) and "claims_tested(" in "".join(cell["source"])
    ]
    title, minutes, outcome = (
        _find(pattern, prose, what, path)
        for pattern, what in [
            (r"^# (.+)$", "title"),
            (r"^\*\*About (\d+) minutes\*\*", "line '**About N minutes**'"),
            (r"^## What you will be able to do\s+- (.+)$", "list of what you will be able to do"),
        ]
    )
    return Lesson(path, title, int(minutes), outcome, {m[1]: m[0] for m in ROW.finditer("\n".join(tables))})


def _find(pattern: str, prose: str, what: str, path: Path) -> str:
    found = re.search(pattern, prose, re.MULTILINE)
    if not found:
        raise ValueError(f"the lesson {path} has no {what}")
    return found[1]


def map_of_lessons(folder: str | Path = ".", prefix: str = "") -> str:
    """A Markdown table of the lessons in `folder`; links begin with `prefix`."""
    instance_of(str, prefix=prefix)
    rows = [
        f"| [{path.stem[:2]}]({prefix}{path.name}) | {title} | {minutes} | {outcome} |"
        for path, title, minutes, outcome, _ in read_lessons(folder)
    ]
    return "\n".join(["| lesson | question | minutes | afterwards you can |", "| --- | --- | --- | --- |", *rows])


def ledger(folder: str | Path = ".") -> str:
    """A Markdown table of every claim that the lessons in `folder` tested, with verdict, figure and lesson."""
    rows = sorted(
        f"{row} [{lesson.path.stem[:2]}]({lesson.path.name}) |"
        for lesson in read_lessons(folder)
        for row in lesson.claims.values()
    )
    return "\n".join(["| | claim | verdict | what was measured | lesson |", "| --- | --- | --- | --- | --- |", *rows])


def claims_tested(**verdicts: tuple[str, str]) -> None:
    """Shows a lesson's table of claims: `C31=(verdict, what was measured)` for each.

    Raises ValueError for a claim that is not in CLAIMS, for what is not two strings, a verdict that does not begin with
    "holds" or "fails", and an empty measurement.
    """
    rows = []
    for number, pair in sorted(verdicts.items()):
        if number not in CLAIMS:
            raise ValueError(f"{number} is none of the claims in course_utils.lessons.CLAIMS")
        match pair:
            case (str(verdict), str(measured)) if verdict.startswith(("holds", "fails")) and measured:
                rows.append(f"| {number} | {CLAIMS[number]} | **{verdict}** | {measured} |")
            case _:
                raise ValueError(f"{number}={pair!r} must be a verdict ('holds' or 'fails' ...) and what was measured")
    show_markdown("\n".join(["| | claim | verdict | what was measured |", "| --- | --- | --- | --- |", *rows]))


def show_markdown(text: str) -> None:
    """Shows `text`, Markdown, below the cell."""
    instance_of(str, text=text)
    display({"text/markdown": text, "text/plain": text}, raw=True)
