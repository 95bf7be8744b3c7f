"""The context manager `watch`, and its report."""

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from torch import nn

from course_utils.arguments import instance_of, integer, iterator, real_number
from course_utils.watch.ranks import gather, join
from course_utils.watch.reading import Fault, Table, listed, read
from course_utils.watch.recorder import Recorder, Recording

RIGHT, WRONG, UNSEEN = "right", "wrong", "nothing seen"
_SHOWN = 12  # rows of a table that are printed; the others are counted


class View:
    """A recording as it is read: tables, one for each optimizer, and what they say.

    tables: of type Table, their rows the updates.
    faults: what is wrong, of type Fault: a name, a sentence, and the updates it is seen in.
    notes: what is no fault, but should be known.
    unseen: the faults that these micro-batches could not have shown.
    verdict: "right", "wrong" or "nothing seen".
    """

    def __init__(self, recording: Recording, steps: int | None, counts: Sequence[Sequence[float]] | None) -> None:
        self.recording, self._steps, self._counts = recording, steps, counts
        self._tables: list[Table] | None = None

    @property
    def tables(self) -> list[Table]:
        if self._tables is None:
            self._tables = read(self.recording, self._steps, self._counts)
        return self._tables

    @property
    def faults(self) -> list[Fault]:
        recording = self.recording
        found = [fault for table in self.tables for fault in table.faults]
        if any(fault.kind == "another model" for fault in found):
            return [next(fault for fault in found if fault.kind == "another model")]
        stepped = any(table.rows or table.steps.skipped for table in self.tables)
        if recording.backwards and not stepped and not recording.cut and not recording.moved:
            count = len(recording.backwards)
            calls = f"{count} call{'s' * (count > 1)} of backward()"
            found.append(Fault("no update", f"there is no update: {calls}, and no step of an optimizer"))
        return found

    @property
    def sentences(self) -> list[str]:
        """The faults' sentences, each with the updates it is true of."""
        return [f"{fault}{self.where(fault)}" for fault in self.faults]

    @property
    def notes(self) -> list[str]:
        notes = list(dict.fromkeys(note for table in self.tables for note in table.notes))
        if self.recording.error:
            notes.append(f"the code stopped with {self.recording.error}")
        return notes

    @property
    def unseen(self) -> list[str]:
        return list(dict.fromkeys(what for table in self.tables for what in table.unseen))

    @property
    def verdict(self) -> str:
        if self.faults:
            return WRONG
        return RIGHT if any(row.micro_batches for table in self.tables for row in table.rows) else UNSEEN

    @property
    def exit_status(self) -> int:
        """0 if nothing wrong was seen, 1 if something was, 2 if nothing could be seen."""
        return {RIGHT: 0, WRONG: 1, UNSEEN: 2}[self.verdict]

    def __str__(self) -> str:
        return "\n".join([*(line for table in self.tables for line in _lines(table)), *self._said()])

    def _said(self) -> list[str]:
        lines = {
            RIGHT: ["right, as far as these updates show"],
            WRONG: ["wrong:"],
            UNSEEN: [_why_nothing(self.recording)],
        }[self.verdict]
        lines += [f"  - {sentence}" for sentence in self.sentences]
        lines += [f"  note: {note}" for note in self.notes]
        return lines + [f"  not tested: {what}" for what in self.unseen]

    def show(self) -> None:
        """Shows below the cell, for each optimizer, the weights as a picture with its sentence: see `picture.draw`."""
        from course_utils.plotting import show  # matplotlib is needed here only
        from course_utils.watch.picture import draw, sentence

        for table in self.tables:
            show(draw(table), alt=sentence(table))

    def where(self, fault: Fault) -> str:
        """The updates of a fault, in brackets: " (updates 1 and 5 of Adam)"."""
        table = next((table for table in self.tables if any(fault is each for each in table.faults)), None)
        if table is None or not fault.updates:
            return ""
        name = f" of {table.name}" if len(self.tables) > 1 else ""
        if len(fault.updates) == len(table.rows) > 1:
            return f" (both updates{name})" if len(table.rows) == 2 else f" (all {len(table.rows)} updates{name})"
        return f" (update{'s' * (len(fault.updates) > 1)} {listed(fault.updates)}{name})"


class Watched(View):
    """What `watch` has seen: its View. With several ranks, rank 0 has a View of each in `ranks`, of all in `joined`."""

    _count = 0

    def __init__(self, recorder: Recorder, steps: int | None, counts: Sequence[Sequence[float]] | None) -> None:
        super().__init__(recorder.recording, steps, counts)
        self._recorder = recorder
        self.ranks: list[View] = []
        self.joined: View | None = None

    def __enter__(self) -> Self:
        self._recorder.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        self._recorder.stop(error)
        self._tables = None
        Watched._count += 1
        if self.recording.world > 1 and self._recorder.store is not None:
            found = gather(self.recording, self._recorder.store, Watched._count)
            if len(found) > 1:
                self.ranks = [View(each, self._steps, self._counts) for each in found]
                if not any(fault.kind == "not synchronized" for each in self.ranks for fault in each.faults):
                    self.joined = View(join(found), self._steps and self._steps * len(found), None)
        return self._recorder.has_enough(error)

    @property
    def tables(self) -> list[Table]:
        if self._recorder.is_running:
            self._tables = None
        return super().tables

    @property
    def verdict(self) -> str:
        verdicts = {super().verdict, *(each.verdict for each in self.ranks)}
        if self.joined is not None:
            verdicts.add(self.joined.verdict)
        return WRONG if WRONG in verdicts else RIGHT if RIGHT in verdicts else UNSEEN

    def __str__(self) -> str:
        if not self.ranks:
            return super().__str__()
        parts = [f"rank {each.recording.rank}\n{each}" for each in self.ranks]
        if self.joined is not None:
            parts.append(f"all {len(self.ranks)} ranks together\n{self.joined}")
        return "\n\n".join(parts)

    def new_epoch(self) -> None:
        """Says that an epoch begins here, for loops that take their batches from no DataLoader."""
        self._recorder.new_epoch()


def watch(
    model: nn.Module | None = None,
    *,
    steps: int | None = None,
    counts: Sequence[float] | None = None,
    updates: int = 0,
) -> Watched:
    """Watches the training inside `with watch(model) as seen:`, and leaves in `seen` the weight of each micro-batch.

    The weight of a micro-batch in an update is the factor of its mean loss in the loss whose gradient the update used.

    Without `model` the parameters of every optimizer are watched. `steps` is the number of micro-batches that an
    update should have, if you want it compared. `counts` are those of an epoch's micro-batches in their order: what the
    mean of a loss of your own divides by. After `updates` updates of each optimizer the code inside is ended, without
    an error; 0 lets it run. watch changes nothing that is computed, and leaves nothing of PyTorch patched.

    Raises TypeError or ValueError for arguments of another kind.
    """
    instance_of(nn.Module | None, model=model)
    steps = None if steps is None else integer("steps", steps, least=1)
    if counts is not None:
        counts = [real_number(f"counts[{i}]", count, zero=True) for i, count in enumerate(iterator("counts", counts))]
    return Watched(Recorder(model, integer("updates", updates, least=0)), steps, [counts] if counts else None)


def assert_right(seen: Watched) -> None:
    """Raises AssertionError, with the table as its message, unless something was seen and nothing of it was wrong."""
    instance_of(Watched, seen=seen)
    if seen.verdict != RIGHT:
        raise AssertionError(f"\n{seen}")


def _why_nothing(recording: Recording) -> str:
    if recording.moved and not recording.steps:
        return "nothing seen: the parameters have changed, but not by an optimizer of torch.optim"
    if not recording.backwards and not recording.steps:
        return "nothing seen: no optimizer of torch.optim tells the parameters; pass the model: watch(model)"
    if not recording.backwards:
        return "nothing seen: optimizers stepped, but no backward() reached their parameters"
    return "nothing seen: there are backward() calls, but no update that is known to use their gradients"


def _lines(table: Table) -> list[str]:
    """The table. Of each update: its micro-batches, their weights and the sum of the weights, this sum without
    clipping, the learning rate, the gradient's norm before clipping and after it; since the update before, the steps of
    the scheduler, and how often gradients were synchronized with other ranks; and the share of the gradient's norm that
    no backward() of the window explains.
    """
    lines = [f"{table.name}: {len(table.rows)} update{'s' * (len(table.rows) != 1)}, weights of {table.loss}"]
    cells = [
        [
            "update",
            "micro-batches",
            "weights",
            "sum",
            "unclipped",
            "lr",
            "norm",
            "clipped to",
            "scheduler",
            "syncs",
            "unexplained",
        ]
    ]
    faulty = {number for fault in table.faults if len(fault.updates) < len(table.rows) for number in fault.updates[:4]}
    shown = [row for row in table.rows if row.number <= _SHOWN or row.number in faulty]
    for row in shown:
        update = row.update
        clipped = [clip for clip in update.clips if clip[1] > clip[0]]
        cells.append(
            [
                str(row.number),
                listed([each.number + i for each in row.micro_batches for i in range(each.span)], 4),
                _weights([each.weight for each in row.micro_batches]),
                f"{row.total:.3f}" if 1e-3 < row.total < 1e4 or not row.total else f"{row.total:.1e}",
                "" if abs(row.plain_total - row.total) < 1e-3 * abs(row.plain_total) else f"{row.plain_total:.3f}",
                f"{update.lr:.3g}",
                f"{row.norm_before:.3g}",
                f"{update.norm:.3g}" if clipped else "",
                str(len(update.scheduler_calls)) if update.scheduler_calls else "",
                str(update.synchronized) if update.synchronized else "",
                f"{update.residual:.0%}" if update.residual > 0.02 else "",
            ]
        )
    kept = [column for column in zip(*cells, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in kept]
    for line in zip(*kept, strict=True):
        lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if len(table.rows) > len(shown):
        lines.append(f"  … and {len(table.rows) - len(shown)} more")
    return lines


def _weights(weights: list[float]) -> str:
    """0.25 0.25 0.5, or 8 × 0.125."""
    said = [f"{weight:.3g}" if math.isfinite(weight) else "?" for weight in weights]
    if len(said) > 4 and len(set(said)) == 1:
        return f"{len(said)} × {said[0]}"
    return " ".join(said if len(said) <= 8 else [*said[:6], "…", said[-1]])
