"""Reads from a recording the weight of each micro-batch in each update, and names the faults."""

import bisect
import collections
import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from course_utils.watch.losses import Loss
from course_utils.watch.recorder import BEFORE, KEPT, Backward, Recording, Steps, Update

#: The faults that are named, and what each means.
FAULTS = {
    "no update": "no optimizer steps",
    "another model": "what is trained is not the model that is watched",
    "tail dropped": "the last micro-batches of an epoch are in no update",
    "tail carried over": "the last micro-batches of an epoch are added to the next epoch's first update",
    "tail under-weighted": "a short window is divided as if it were a full one",
    "first step alone": "the first update comes after one micro-batch, as with i % K == 0",
    "counted on": "a window contains micro-batches of two epochs",
    "other K": "the number of micro-batches in a window is not what the loss is divided by, or not `steps`",
    "step missed": "a window is longer than the others: a step is missing",
    "step too early": "a window is shorter than the others, and no epoch ends there",
    "mean of means": "all micro-batches of a window have the same weight, although their counts differ",
    "divided by 1, 2, 3": "the k-th micro-batch of a window is divided by k",
    "uneven weights": "the weights of the micro-batches of a window are neither equal nor proportional to their counts",
    "not divided": "the means are not divided by the number of micro-batches",
    "divided twice": "the loss is divided by the count, and by the number of micro-batches as well",
    "divided again": "the gradients already in .grad are divided again at each micro-batch",
    "summed, divided by K": "losses are summed over the samples and divided by the number of micro-batches",
    "summed": "losses are summed over the samples, and not divided",
    "no accumulation": "there is an update after every micro-batch, though the loss is divided",
    "cleared too early": "gradients are cleared inside a window",
    "cleared before the step": "gradients are cleared between backward() and step()",
    "never cleared": "gradients are never cleared",
    "stepped each micro-batch": "there is a step after each micro-batch, although gradients accumulate",
    "in two updates": "a micro-batch is in more than one update",
    "twice in one update": "the same micro-batch is in one update more than once",
    "in no update": "the gradient of a micro-batch is cleared before a step uses it",
    "only every K-th": "most micro-batches have no backward()",
    "clipped each micro-batch": "gradients are clipped after each micro-batch",
    "scaled after clipping": "gradients are clipped before they are divided",
    "clipped after the step": "gradients are clipped after a step and before the next backward(), which has no effect",
    "schedule too long": "the length of the schedule is counted in micro-batches, but it steps once per update",
    "clipped before unscale_": "gradients are clipped while they are scaled by GradScaler",
    "scheduler each micro-batch": "the scheduler steps once per micro-batch",
    "low precision": "gradients are accumulated in bfloat16 or float16",
    "one parameter differs": "the gradient of a parameter is multiplied by another factor than the others",
    "step before backward": "there is a step between a forward pass and its backward()",
    "not synchronized": "the gradients of the ranks are not synchronized",
}


@dataclass(frozen=True)
class Fault:
    """What is wrong (a key of FAULTS), in a sentence, and the updates in which it is seen, counted from 1."""

    kind: str
    sentence: str
    updates: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.sentence


@dataclass
class MicroBatch:
    """A micro-batch in an update, or several that had one backward() together.

    number: its place among all, counted from 1; span: how many they are; weight: the factor of its mean loss in the
    loss whose gradient the update used; plain: the same without clip_grad_norm_; count: what its mean divides by, if
    that is known; backwards: its backward() calls.
    """

    number: int
    span: int
    weight: float
    plain: float
    count: float | None
    backwards: list[int]


@dataclass
class Row:
    """An update."""

    number: int
    micro_batches: list[MicroBatch]
    update: Update
    norm_before: float
    lost: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many micro-batches are in it."""
        return sum(each.span for each in self.micro_batches)

    @property
    def total(self) -> float:
        return math.fsum(each.weight for each in self.micro_batches)

    @property
    def plain_total(self) -> float:
        return math.fsum(each.plain for each in self.micro_batches)

    @property
    def counts(self) -> list[float] | None:
        counts = [each.count for each in self.micro_batches]
        return None if None in counts else counts

    @property
    def due(self) -> list[float] | None:
        """The right weight of each micro-batch: its share of the window's count."""
        counts = self.counts
        return None if not counts or not sum(counts) else [count / sum(counts) for count in counts]


@dataclass
class Table:
    """All updates of one optimizer, and what was found in them."""

    name: str
    rows: list[Row]
    steps: Steps
    loss: str  # the loss whose weights are shown
    known: bool  # whether the right weights are known
    unused: list[int] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)  # backward() by number: the number of its micro-batch
    missing: list[int] = field(default_factory=list)  # the last micro-batches of an epoch, without a backward()
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def read(
    recording: Recording, steps: int | None = None, counts: Sequence[Sequence[float]] | None = None
) -> list[Table]:
    """A table for each optimizer that stepped. `steps` is K, if it is known; `counts`, those of each epoch's
    micro-batches, and again from the first epoch's when they end."""
    tables = []
    for key, each in recording.steps.items():
        if each.updates or each.skipped:
            table = _table(recording, key, each, counts)
            _Judge(recording, table, steps).judge()
            tables.append(table)
    return tables


# The table


def _table(recording: Recording, key: int, steps: Steps, counts: Sequence[Sequence[float]] | None) -> Table:
    backwards = recording.backwards
    used = sorted({n for update in steps.updates for n in update.factors if n >= 0 and not backwards[n].repeated})
    ours = [
        b.number
        for b in backwards
        if (key in b.reached or key == 0) and not b.repeated and (b.number in used or not (b.optimizers or b.captured))
    ]
    end = _taken_over(recording, steps)
    ours = [n for n in ours if n in used or backwards[n].epoch < end]
    group_of, together = _grouped(recording, ours)
    loss = _MainLoss(backwards, steps, used, group_of)
    places = _places(backwards, ours, loss, counts) if counts else None
    if places is None and (spans := loss.spans(used)):
        ends = list(itertools.accumulate(spans.get(n, 1) for n in ours))
        places = {n: (end - spans.get(n, 1), spans.get(n, 1)) for n, end in zip(ours, ends, strict=True)}
        together, missing = False, []
    elif places is None:
        order = {group: place for place, group in enumerate(sorted(set(group_of.values())))}
        places = {n: (order[group], 1) for n, group in group_of.items()}
        missing = []
    else:
        together = False
        loss.tell({n: _told(counts, backwards[n].epoch, places[n]) for n in ours})
        missing = _missing(recording, places, counts)
    skipped = _skipped(steps, backwards)
    places_used = {places[n] for n in used}
    unused = [n for n in ours if places[n] not in places_used and n not in skipped]
    table = Table(steps.name, [], steps, loss.name, loss.known, unused, {n: places[n][0] + 1 for n in ours}, missing)
    last = BEFORE
    for number, update in enumerate(steps.updates, start=1):
        groups: dict[tuple[int, int], list[int]] = collections.defaultdict(list)
        for n in sorted(update.factors):
            if n in places:
                groups[places[n]].append(n)
        micro_batches = []
        for (place, span), members in groups.items():
            if span > 1 and (parts := loss.parts(backwards[members[0]], span)):  # their sum had one backward()
                factor, clipped = update.factors[members[0]], update.clipped[members[0]]
                for i, (multiplier, count) in enumerate(parts):
                    weight = factor * multiplier
                    micro_batches.append(MicroBatch(place + 1 + i, 1, weight * clipped, weight, count, members[:1]))
                continue
            plain = [update.factors[n] * loss.multiplier(backwards[n]) for n in members]
            weights = [weight * update.clipped[n] for weight, n in zip(plain, members, strict=True)]
            found = [loss.count(backwards[n]) for n in members]
            count = None if None in found else max(found) if together or loss.is_told else math.fsum(found)
            share = len(members) if together else 1  # several losses of one batch, or parts of one
            micro_batches.append(
                MicroBatch(place + 1, span, math.fsum(weights) / share, math.fsum(plain) / share, count, members)
            )
        clips = [clip for clip in update.clips if clip[2] == update.after]
        before = update.norm / math.prod(min(1.0, most / (norm + 1e-6)) or 1.0 for most, norm, _ in clips)
        lost = [n for n in unused if last < n <= update.after]
        table.rows.append(Row(number, micro_batches, update, before, lost))
        last = update.after
    return table


def _taken_over(recording: Recording, steps: Steps) -> float:
    """The epoch in which another optimizer takes over some of its parameters."""
    last = steps.updates[-1].after if steps.updates else BEFORE
    firsts = [
        min((recording.backwards[n].epoch for n in other.updates[0].factors if n >= 0), default=math.inf)
        for other in recording.steps.values()
        if other is not steps and other.updates and other.updates[0].after > last
        if set(other.parameters) & set(steps.parameters)
    ]
    return min(firsts, default=math.inf)


def _places(backwards, ours, loss, counts) -> dict[int, tuple[int, int]] | None:
    """Of each backward(): the place of the first micro-batch that is in it, and how many are, by their counts.

    Its place among the others, where the loss does not tell its count. None if they do not fit.
    """
    places, before = {}, 0
    epochs = sorted({backwards[n].epoch for n in ours})
    for epoch in epochs:
        told = counts[epoch % len(counts)]
        ends = list(itertools.accumulate(told))
        numbers = [n for n in ours if backwards[n].epoch == epoch]
        position = 0.0
        for order, n in enumerate(numbers):
            count = loss.count(backwards[n])
            if count is None:
                if order >= len(told):
                    return None
                places[n] = (before + order, 1)
                continue
            small = 1e-6 * max(1.0, ends[-1])
            first = bisect.bisect_right(ends, position + small)
            position += count
            last = max(first, bisect.bisect_left(ends, position - small))
            if last >= len(told):
                return None
            places[n] = (before + first, last - first + 1)
        before += len(told)
    return places


def _told(counts, epoch: int, place: tuple[int, int]) -> float:
    before = sum(len(counts[each % len(counts)]) for each in range(epoch))
    first = place[0] - before
    return math.fsum(counts[epoch % len(counts)][first : first + place[1]])


def _missing(recording: Recording, places, counts) -> list[int]:
    """The last micro-batches of each epoch that no backward() has come to."""
    missing, before = [], 0
    for epoch in sorted({recording.backwards[n].epoch for n in places}):
        told = counts[epoch % len(counts)]
        ends = [first + span for n, (first, span) in places.items() if recording.backwards[n].epoch == epoch]
        missing += [place + 1 for place in range(max(ends), before + len(told)) if told[place - before] > 0]
        before += len(told)
    return [] if recording.cut or recording.error else missing


def _skipped(steps: Steps, backwards: list[Backward]) -> set[int]:
    """The backward() calls of windows whose step GradScaler skipped."""
    ends = sorted([(update.after, False) for update in steps.updates] + [(after, True) for after in steps.skipped])
    found, last = set(), BEFORE
    for after, was_skipped in ends:
        if was_skipped:
            found |= set(range(last + 1, after + 1))
        last = after
    return found


def _grouped(recording: Recording, ours: list[int]) -> tuple[dict[int, int], bool]:
    """Which backward() calls belong to one micro-batch, as several losses of a batch do; and whether there are such."""
    backwards, group_of = recording.backwards, {n: n for n in ours}
    taken = sorted({backwards[n].batch for n in ours})
    gaps = [later - earlier for earlier, later in itertools.pairwise(taken)]
    # Whole windows may be taken from the loader first: then as many batches come between as backward() calls.
    by_loader = bool(taken) and taken[0] > 0 and (not gaps or statistics.fmean(gaps) < 0.8 * len(ours) / len(taken))
    for before, n in itertools.pairwise(ours):
        b, previous = backwards[n], backwards[before]
        samples = b.losses[0].samples if b.losses else None
        whole = samples in (None, b.batch_samples) or b.batch_samples is None
        same_targets = b.same_targets and not recording.targets_return
        same_batch = by_loader and b.batch == previous.batch and (whole or same_targets)
        if same_batch or (same_targets and n == before + 1):
            group_of[n] = group_of[before]
    return group_of, any(group != n for n, group in group_of.items())


class _MainLoss:
    """The loss whose weights are shown. Of several in a backward(), the one whose weights are nearest to adding up to
    1: the others have factors of their own, which say nothing about accumulation."""

    def __init__(self, backwards: list[Backward], steps: Steps, used: list[int], group_of: dict[int, int]) -> None:
        self.backwards, self.steps, self.group_of = backwards, steps, group_of
        self.is_told, self._told = False, {}
        common: set | None = None
        for n in used:
            keys = set(self._slots(backwards[n]))
            common = keys if common is None else common & keys
        self.key = min(self._undivided(common, used) or common, key=self._distance) if common else None
        self.known = bool(common) and all(self.count(backwards[n]) is not None for n in used)
        name = self.key[1] if self.key else "backward()"
        self.name = f"a {name}" if name in ("mean", "sum") else name

    def tell(self, counts: dict[int, float]) -> None:
        """Counts from outside, where the loss does not say its own."""
        if not self.known:
            self.is_told, self.known, self._told = True, True, counts

    def multiplier(self, b: Backward) -> float:
        if self.key is None:
            return b.losses[0].multiplier if len(b.losses) == 1 else 1.0
        multiplier = self._slots(b).get(self.key, (1.0, None))[0]
        is_sum = self.key[1] == "sum" and self.is_told
        return multiplier * (self._told.get(b.number, 1.0) if is_sum else 1.0)

    def count(self, b: Backward) -> float | None:
        if self.is_told:
            return self._told.get(b.number)
        return self._slots(b).get(self.key, (1.0, None))[1] if self.key else None

    def spans(self, used: list[int]) -> dict[int, int]:
        """How many losses of the main kind each backward() has, if that varies: then it is one for a whole window."""
        found = {n: sum(loss.name == self.key[1] for loss in self.backwards[n].losses) for n in used if self.key}
        counts = [loss.count for n in used for loss in self.backwards[n].losses]
        return found if len(set(found.values())) > 1 and max(found.values()) > 2 and None not in counts else {}

    def parts(self, b: Backward, span: int) -> list[tuple[float, float]]:
        """The multipliers and counts of as many losses of one kind, if it is the sum of them."""
        kind = [loss for loss in b.losses if self.key and loss.name == self.key[1]]
        found = [(loss.multiplier, loss.count) for loss in kind if loss.count is not None]
        return found if len(found) == len(kind) == span else []

    def _slots(self, b: Backward) -> dict[tuple, tuple[float, float | None]]:
        """Every loss in it, as its multiplier and count."""
        found = {}
        for place, loss in enumerate(b.losses):
            found[place, loss.name, "count"] = (loss.multiplier, loss.count)
            if loss.reduction == "sum" and loss.count and loss.samples:  # summed over elements, a mean over samples
                found[place, loss.name, "samples"] = (loss.multiplier * loss.samples / loss.count, float(loss.samples))
        for name in {loss.name for loss in b.losses}:
            alike = [loss for loss in b.losses if loss.name == name]
            counts = [loss.count for loss in alike]
            total = math.fsum(loss.multiplier for loss in alike)
            found[-1, name, "all"] = (total, None if None in counts else math.fsum(counts))
        return found

    def _undivided(self, keys: set, used: list[int]) -> list[tuple]:
        """Losses that weigh 1 throughout, where nothing is divided: they say that nothing is."""
        factors = [
            factor for update in self.steps.updates for n, factor in update.factors.items() if n in self.group_of
        ]
        divided = any(loss.divisors for n in used for loss in self.backwards[n].losses)
        if divided or any(abs(factor - 1) > 1e-3 for factor in factors):
            return []
        return [
            k for k in keys if k[0] >= 0 and all(abs(self._slots(self.backwards[n])[k][0] - 1) < 1e-6 for n in used)
        ]

    def _distance(self, key: tuple) -> tuple:
        sums, unknown = [], False
        for update in self.steps.updates:
            groups = collections.defaultdict(list)
            for n, factor in update.factors.items():
                if n in self.group_of:
                    multiplier, count = self._slots(self.backwards[n])[key]
                    groups[self.group_of[n]].append(factor * multiplier)
                    unknown = unknown or count is None
            sums.append(math.fsum(statistics.fmean(each) for each in groups.values()))
        middle = statistics.median(sums) if sums else 0.0
        far = abs(math.log(middle)) if middle > 0 and math.isfinite(middle) else math.inf
        varies = 2 * sum(abs(each - middle) > 2e-3 * abs(middle) for each in sums) > len(sums)
        return unknown, varies, round(far, 6), key[0] < 0, key[0]


# The verdict


class _Judge:
    def __init__(self, recording: Recording, table: Table, steps: int | None) -> None:
        self.recording, self.table, self.given = recording, table, steps
        self.rows, self.backwards = table.rows, recording.backwards
        sixteen = (torch.bfloat16, torch.float16)
        low = any(row.update.dtype in sixteen or row.update.rounded or row.update.residual for row in self.rows)
        self.tolerance = 3e-2 if low else 2e-3
        self.sizes = [row.size for row in self.rows]
        losses = [self.backwards[n].losses for row in self.rows for each in row.micro_batches for n in each.backwards]
        self.several = any(len(each) > 1 for each in losses)
        kinds = [tuple(self.backwards[n].kind for m in row.micro_batches for n in m.backwards) for row in self.rows]
        # The same different losses in every update: heads, or tasks, that have a backward() each.
        self.tasks = len(kinds) > 1 and len(set(kinds)) == 1 and len(set(kinds[0])) > 1 and steps is None
        self.divisor = self._divisor(losses)
        self.steps = self._steps()
        self.unit = "targets" if table.loss == "cross_entropy" else "elements"
        self.odd_rows: set[int] = set()  # windows that begin or end where they should not

    def _divisor(self, losses: list[list[Loss]]) -> int | None:
        """The whole number from 2 up by which most losses are divided as a whole."""
        found = collections.Counter()
        for each in losses:
            of_all = set.intersection(*(set(loss.divisors) for loss in each)) if each else set()
            samples = {loss.samples for loss in each}
            whole = [d for loss in each[:1] for d in loss.divisors if d in of_all - samples and d > 1 and d == int(d)]
            found[int(whole[0]) if whole else None] += 1
        divisor, times = max(found.items(), key=lambda item: item[1], default=(None, 0))
        # Between ranks, gradients are averaged.
        return divisor * self.recording.ranks if divisor and times > 0.6 * found.total() else None

    def _steps(self) -> int:
        """K: as it was said, or as most windows have it."""
        if self.given:
            return self.given
        sizes = [size for row, size in zip(self.rows, self.sizes, strict=True) if size and not self._crosses(row)]
        sizes = sizes or [size for size in self.sizes if size] or [1]
        rows = [row for row in self.rows if row.micro_batches]
        one_window = rows and all(self._begins_epoch(row) and self._ends_epoch(row) for row in rows)
        if self.divisor and self.divisor > max(sizes) and one_window and self.recording.loader_lengths:
            return self.divisor  # an epoch is shorter than a window
        if self.divisor in sizes and max(sizes) > 1:
            return self.divisor
        counted = collections.Counter(sizes)
        most = max(counted.values())
        return max(size for size, times in counted.items() if times == most)

    def _epoch(self, each: MicroBatch) -> int:
        return self.backwards[each.backwards[0]].epoch

    def _epochs(self, row: Row) -> set[int]:
        return {self._epoch(each) for each in row.micro_batches}

    def _crosses(self, row: Row) -> bool:
        return len(self._epochs(row)) > 1

    def _say(self, kind: str, sentence: str, rows: Iterable[Row] = ()) -> None:
        self.table.faults.append(Fault(kind, sentence, tuple(row.number for row in rows)))

    def _note(self, note: str) -> None:
        self.table.notes.append(note)

    def judge(self) -> None:
        if self.table.steps.skipped:
            count = len(self.table.steps.skipped)
            self._note(f"GradScaler skipped {count} step{'s' * (count > 1)}: gradients were not finite")
        if not self.rows:
            return
        stale = self._stale()
        self._every_kth()
        twice = self._used_twice()
        self._lost()
        if not twice and not stale and not any(row.update.by_hand for row in self.rows):
            self._windows()
            if self.recording.world == 1:  # what a rank's micro-batches weigh among those of all is seen in the joined
                self._weights()
        self._clipping()
        self._schedulers()
        self._others()
        self._unseen()

    def _stale(self) -> bool:
        rows = [
            row for row in self.rows if any(self.backwards[n].stale for m in row.micro_batches for n in m.backwards)
        ]
        if rows or any(b.stale and not b.reached for b in self.backwards):  # which did not reach any: it failed
            said = (
                "a step comes between a forward pass and its backward(): the last backward() of the window is too late"
            )
            self._say("step before backward", said, rows)
            return True
        return False

    # Which micro-batches are in which update

    def _used_twice(self) -> bool:
        rows = [row for row in self.rows if not row.update.by_hand]
        times = collections.Counter(n for row in rows for n in row.update.factors if n >= 0)
        twice = sorted(n for n, count in times.items() if count > 1 and not self.backwards[n].repeated)
        if not twice:
            return False
        rows = [row for row in self.rows if any(n in row.update.factors for n in twice)]
        sets = [{n for n in row.update.factors if n >= 0} for row in self.rows]
        pairs = list(itertools.pairwise(sets))
        grows = [earlier < later for earlier, later in pairs]
        if all(grows):
            said = "gradients are never cleared: each update also contains the gradients of all earlier micro-batches"
            self._say("never cleared", said, rows)
        elif any(grows) and {len(later - earlier) for earlier, later in pairs} == {1}:
            said = "there is a step after each micro-batch, although gradients accumulate over several of them"
            self._say("stepped each micro-batch", said, rows)
        else:
            said = f"{self._micro_batches(twice)} in more than one update: gradients are not cleared after the first"
            self._say("in two updates", said, rows)
        return True

    def _micro_batches(self, numbers: Iterable[int]) -> str:
        found = sorted({self.table.numbers[n] for n in numbers if n in self.table.numbers})
        return f"micro-batch {found[0]} is" if len(found) == 1 else f"micro-batches {listed(found)} are"

    def _lost(self) -> None:
        last = self.rows[-1].update.after
        unused = [n for n in self.table.unused if n <= last or not (self.recording.cut or self.recording.error)]
        empty = [row for row in self.rows if not row.micro_batches and row.lost]
        if empty:
            said = "gradients are cleared between backward() and step(), so the step has none to use"
            self._say("cleared before the step", said, empty)
        early = {row.number: self._cleared_early(row) for row in self.rows if row.micro_batches}
        rows = [row for row in self.rows if early.get(row.number)]
        if rows and 2 * len(rows) >= len(early):
            lengths = {len(early[row.number]) + row.size for row in rows}
            part = "the last" if all(row.size == 1 for row in rows) else "a part"
            of = f"of {lengths.pop()} micro-batches" if len(lengths) == 1 else "of the window"
            self._say("cleared too early", f"gradients are cleared too early: only {part} {of} is in the update", rows)
            self.odd_rows |= {row.number for row in rows}
            unused = [n for n in unused if not any(n in early[row.number] for row in rows)]
        unused = [n for n in unused if not any(n in row.lost for row in empty)]
        tails = [n for n in unused if self._is_in_tail(n)]
        others = [n for n in unused if n not in tails]
        if self.table.missing and not self._numbers("only every K-th"):
            found = self.table.missing
            which = f"micro-batch {found[0]}" if len(found) == 1 else f"micro-batches {listed(found)}"
            self._say("tail dropped", f"a short last window is dropped: there is no backward() for {which}")
        elif tails:
            if min(tails) > last:
                said = f"{self._micro_batches(tails)} in no update: training ends before the next step"
            else:
                said = f"a short last window is dropped: {self._micro_batches(tails)} in no update"
            self._say("tail dropped", said)
        if others:
            self._say(
                "in no update",
                f"{self._micro_batches(others)} in no update: gradients are cleared before a step uses them",
            )

    def _cleared_early(self, row: Row) -> list[int]:
        """What was cleared between the update before and this one, of the epoch that this one begins in."""
        return [n for n in row.lost if self.backwards[n].epoch >= min(self._epochs(row))]

    def _is_in_tail(self, n: int) -> bool:
        epoch = self.backwards[n].epoch
        return n > max((row.update.after for row in self.rows if epoch in self._epochs(row)), default=BEFORE)

    # How the windows are cut

    def _windows(self) -> None:
        rows = [row for row in self.rows if row.micro_batches and row.number not in self.odd_rows]
        if not rows or max(self.sizes) < 2:
            return
        self._other_k(rows)
        k = self.steps
        begins = [row for row in rows if self._begins_epoch(row)]
        firsts = [row for row in begins if row.size == 1 and self._next_is_whole(row)]
        firsts = [row for row in firsts if not self._ends_epoch(row)]
        if firsts and firsts[0] is rows[0] and k > 1:
            said = "the first update comes after one micro-batch, as with i % K == 0 instead of (i + 1) % K == 0"
            self._say("first step alone", said, firsts)
            self.odd_rows |= {row.number for row in firsts}
        crossing = [row for row in rows if self._crosses(row)]
        counted = [row for row in crossing if row.size == k and not self._starts_anew(row)]
        carried = [row for row in crossing if row not in counted]
        if carried:
            parts = {self._from_before(row) for row in carried}
            amount = "micro-batches are"
            if len(parts) == 1:
                amount = "micro-batch is" if parts == {1} else f"{parts.pop()} micro-batches are"
            said = f"a short last window is left in .grad: its {amount} added to the next epoch's first update"
            self._say("tail carried over", said, carried)
            self.odd_rows |= {row.number for row in carried}
        if counted:
            said = "the count of micro-batches goes on in the next epoch, so a window has micro-batches of two epochs"
            if self.given:
                self._say("counted on", said, counted)
            else:
                self._note(f"{said} (update{_plural(counted)})")
        regular = self.given or self.divisor or self._is_usual(k)
        for row in rows:
            size = row.size
            if row.number in self.odd_rows or self._crosses(row) or not regular:
                continue
            if size > k:
                self._add("step missed", f"an update has {size} micro-batches, not {k}: a step is missing", row)
            elif size < k and not self._ends_epoch(row) and self._knows_epochs() and k > 1:
                begins_late = self._begins_epoch(row) and row is not rows[0]
                why = ": the count goes on from the epoch before" if begins_late else ", although no epoch ends there"
                several = "micro-batch" if size == 1 else "micro-batches"
                self._add("step too early", f"an update has {size} {several}, not {k}{why}", row)

    def _other_k(self, rows: list[Row]) -> None:
        """Do the windows have another length than K, all of them?"""
        k, common = self.given, collections.Counter(self.sizes).most_common(1)[0][0]
        if not k or k in self.sizes or common < 2:
            return
        whole = [row for row in rows if row.size == common]
        others = [row for row in rows if row not in whole and not self._ends_epoch(row)]
        fitting = [row for row in whole if self._begins_epoch(row) and not self._ends_epoch(row)]
        if len(whole) > 1 and not others and fitting:
            self._say("other K", f"the windows have {common} micro-batches, not {k}", whole)
            self.steps = common

    def _add(self, kind: str, sentence: str, row: Row) -> None:
        """One sentence for all rows of which it is true."""
        self.odd_rows.add(row.number)
        for place, fault in enumerate(self.table.faults):
            if (fault.kind, fault.sentence) == (kind, sentence):
                self.table.faults[place] = Fault(kind, sentence, (*fault.updates, row.number))
                return
        self._say(kind, sentence, [row])

    def _is_usual(self, k: int) -> bool:
        return 2 * sum(size == k for size in self.sizes) > len(self.sizes)

    def _all_epochs(self) -> set[int]:
        return {self.backwards[n].epoch for n in self.table.numbers}

    def _knows_epochs(self) -> bool:
        return bool(self.recording.loader_lengths) or len(self._all_epochs()) > 1 or self.given is not None

    def _begins_epoch(self, row: Row) -> bool:
        first = row.micro_batches[0].backwards[0]
        return first == min(n for n in self.table.numbers if self.backwards[n].epoch == self.backwards[first].epoch)

    def _ends_epoch(self, row: Row) -> bool:
        """Is its last micro-batch the last of an epoch, as far as the recording goes?"""
        last = row.micro_batches[-1].backwards[-1]
        return last == max(n for n in self.table.numbers if self.backwards[n].epoch == self.backwards[last].epoch)

    def _next_is_whole(self, row: Row) -> bool:
        after = self.rows[row.number : row.number + 1]
        return bool(after) and after[0].size == self.steps

    def _from_before(self, row: Row) -> int:
        return sum(each.span for each in row.micro_batches if self._epoch(each) != max(self._epochs(row)))

    def _starts_anew(self, row: Row) -> bool:
        """Does the counter begin anew with the epoch? Then a whole window of it is in its first update."""
        own = row.size - self._from_before(row)
        return own == self.steps or (own == 1 and bool(self._numbers("first step alone")))

    # What they weigh

    def _weights(self) -> None:
        rows = [row for row in self.rows if row.micro_batches]
        if not rows:
            return
        usual = [row for row in rows if row.size == self.steps and row.number not in self.odd_rows]
        usual = usual or [row for row in rows if row.number not in self.odd_rows]
        if not usual:  # no window is known to begin and end where it should
            return
        self._undo_clipping_by_hand(rows)
        self._shapes(rows)
        if self._numbers("uneven weights") and not self.given:
            self._short(rows, 1.0, False)
            return
        if not self.table.known:
            self._relative(rows)
        elif not any(row.update.value_clips for row in rows):
            self._scale(rows, usual)

    def _undo_clipping_by_hand(self, rows: list[Row]) -> None:
        """A factor below 1 that leaves the same norm in several updates is clipping, whoever does it."""
        full = max((row.plain_total for row in rows), default=0.0)
        short = [row for row in rows if row.plain_total < full * (1 - self.tolerance) and not row.update.clips]
        norms = [row.update.norm for row in short]
        totals = [row.plain_total for row in short]
        varies = 2 <= len(short) < len(rows) and not self._close(min(totals), max(totals))
        if varies and max(norms) - min(norms) <= 3e-5 * max(norms):
            for row in short:
                factor = full / row.plain_total
                for each in row.micro_batches:
                    each.plain *= factor
            self._note(f"gradients are clipped to a norm of {norms[0]:.3g}, without clip_grad_norm_")

    def _close(self, one: float, other: float) -> bool:
        return abs(one - other) <= self.tolerance * max(abs(one), abs(other))

    def _shapes(self, rows: list[Row]) -> None:
        """How are the weights within an update: proportional to the counts, which is right, or equal, or neither?"""
        uneven, means, growing = [], [], []
        for row in rows:
            weights = [each.plain for each in row.micro_batches]
            due, total = row.due, sum(weights)
            if due and total > 0 and all(self._close(w / total, share) for w, share in zip(weights, due, strict=True)):
                continue
            if all(self._close(w, weights[0]) for w in weights):
                means += [row] if due else []
            elif all(self._close(w * (i + 1), weights[0]) for i, w in enumerate(weights)):
                growing.append(row)
            else:
                uneven.append(row)
        if means:
            low, high = (f(count for row in means for count in row.counts) for f in (min, max))
            off = max(abs(1 / len(row.due) / share - 1) for row in means for share in row.due if share)
            size = f"{off:.0%}" if off >= 0.01 else f"{off:.1%}"
            counts = f"{low:g} to {high:g} {self.unit}"
            said = f"a mean of means: micro-batches of {counts} have equal weights (relative error up to {size})"
            self._say("mean of means", said, means)
        if growing:
            said = "the k-th micro-batch of a window is divided by k, so the first has the largest weight"
            self._say("divided by 1, 2, 3", said, growing)
        again = [row for row in uneven if self._is_divided_again(row)]
        if again:
            said = "what is already in .grad is divided again at each micro-batch, so the first has the smallest weight"
            self._say("divided again", said, again)
        rest = [row for row in uneven if row not in again]
        patterns = [[each.plain for each in row.micro_batches] for row in rest]
        alike = all(len(each) == len(patterns[0]) and all(map(self._close, each, patterns[0])) for each in patterns)
        if rest and (self.tasks or (len(rest) > 1 and len(rest) == len(rows) and alike and not self.given)):
            self._note("the weights within an update differ, and are the same in each update: several losses, probably")
        elif rest and self.table.known and not self.several:
            said = f"the weights within an update are neither equal nor proportional to the number of {self.unit}"
            self._say("uneven weights", said, rest)

    def _is_divided_again(self, row: Row) -> bool:
        factors = [row.update.factors[each.backwards[0]] for each in row.micro_batches]
        ratios = [earlier / later for earlier, later in itertools.pairwise(factors)]
        return len(ratios) > 0 and all(self._close(r, ratios[0]) for r in ratios) and ratios[0] < 1 - self.tolerance

    def _scale(self, rows: list[Row], usual: list[Row]) -> None:
        """Is the sum of an update's weights right?"""
        k, given, divisor = self.steps, self.given, self.divisor
        middle = statistics.median(row.plain_total for row in usual)
        constant = all(self._close(row.plain_total, middle) for row in usual)
        parts = [each for row in rows for each in row.micro_batches]
        per_term = [each.plain / each.count for each in parts if each.count]
        alike = len(per_term) > 1 and all(self._close(each, per_term[0]) for each in per_term)
        losses = [loss for each in parts for n in each.backwards for loss in self.backwards[n].losses]
        sums = alike and all(loss.reduction == "sum" or loss.count == 1 for loss in losses)
        add_up = f"the weights of an update add up to {middle:.3g}"
        if max(self.sizes) == 1:
            if not any(row.number in self.odd_rows for row in rows):
                self._single(rows, middle, constant, sums)
        elif constant and abs(middle - 1) < 1e-2:
            self._short(rows, 1.0, alike)
        elif sums and self._close(per_term[0], 1) and not self._close(middle, k):
            said = "losses are summed over the samples and not divided: the gradient grows with the number of samples"
            self._say("summed", said, rows) if given else self._note(said)
        elif sums and not self._close(per_term[0], 1) and self._is_a_number_of_micro_batches(1 / per_term[0]):
            number = f"{1 / per_term[0]:.0f}, not by the number of {self.unit}"
            said = f"losses are summed over the samples and divided by {number}"
            self._say("summed, divided by K", said, rows)
        elif constant and all(self._close(each.plain, 1) for row in usual for each in row.micro_batches) and k > 1:
            # Two or three for a step, in turn with another optimizer's: a GAN's, of real and of made samples.
            adversaries = len(self.recording.steps) > 1 and k < 4 and not self.recording.loader_lengths and not given
            if self.tasks or adversaries:
                self._note(
                    f"an update has {k} backward(), each of weight 1: several losses, or a missing division by {k}"
                )
            elif self.several and k in {d for loss in losses for d in loss.divisors}:
                self._note(f"{add_up}: right only if the loss is meant to have this factor")
            else:
                said = f"the losses are not divided: {add_up}, not 1"
                ones = [row for row in rows if row.size > 1 and all(self._close(m.plain, 1) for m in row.micro_batches)]
                self._say("not divided", said, ones)
        elif constant and divisor and divisor != k and self._close(middle, k / divisor) and divisor != k * k:
            said = f"the loss is divided by {divisor}, but an update has {k} micro-batches: {add_up}"
            self._say("other K", said, usual)
            self._short(rows, middle, alike)
        elif constant and k > 1 and self._close(middle * k, 1) and (given or not self.several):
            said = f"divided twice: {add_up}, which is 1/{k}"
            self._say("divided twice", said, rows)
        elif given and not self.several:
            low, high = min(row.plain_total for row in usual), max(row.plain_total for row in usual)
            self._say("uneven weights", f"the weights of an update add up to {_between(low, high)}, not 1", usual)
            self._short(rows, middle, alike)
        else:
            if constant:
                self._note(f"{add_up}: right only if the loss is meant to have this factor")
            elif not self.several:
                low, high = min(row.plain_total for row in usual), max(row.plain_total for row in usual)
                self._note(f"the weights of an update add up to {_between(low, high)}: updates are scaled differently")
            if divisor:
                self._short(rows, middle, alike)

    def _is_a_number_of_micro_batches(self, number: float) -> bool:
        """A divisor that is no number of samples: K, or the length of a window."""
        if number < 1.5 or abs(number - round(number)) > self.tolerance * number:
            return False
        totals = {sum(row.counts) for row in self.rows if row.counts}
        return not any(self._close(number, total) for total in totals)

    def _single(self, rows: list[Row], middle: float, constant: bool, sums: bool) -> None:
        """Updates of one micro-batch each: no accumulation, or none that works."""
        divided = self.divisor if self.divisor and constant and self._close(middle * self.divisor, 1) else None
        if self.given and self.given > 1:
            if all(self._begins_epoch(row) and self._ends_epoch(row) for row in rows):
                return  # an epoch has no more
            if any(self._has_all(self.backwards[row.micro_batches[0].backwards[0]], self.given) for row in rows):
                return
            weight = f", of weight {middle:.3g}" if constant else ""
            self._say("no accumulation", f"each micro-batch has its own update{weight}: nothing is accumulated", rows)
        elif divided and not self.several:
            said = f"the loss is divided by {divided}, but each micro-batch has its own update: nothing is accumulated"
            self._say("no accumulation", said, rows)
        elif sums:
            self._note("losses are summed over the samples: the gradient grows with the number of samples")
        elif constant and not self._close(middle, 1) and not self.several:
            self._note(f"the loss is multiplied by a constant factor of {middle:.3g}")

    def _short(self, rows: list[Row], usual: float, by_term: bool) -> None:
        """Do the weights of windows that are shorter than the others add up to the same?"""
        low = [row for row in rows if row.size < self.steps and not self._crosses(row)]
        low = [row for row in low if row.plain_total < usual * (1 - self.tolerance)]
        low = [row for row in low if self.divisor or by_term or self._close(usual, 1)]
        firsts = [row for row in low if row.number in self._numbers("first step alone")]
        tails = [row for row in low if row not in firsts]
        if firsts:
            what = (
                f"the first update has one micro-batch, which is divided by {self.steps} as well: it is under-weighted"
            )
            self._say("tail under-weighted", what, firsts)
        if not tails:
            return
        totals = sorted(row.plain_total for row in tails)
        as_whole = all(self._close(row.plain_total * self.steps, usual * row.size) for row in tails)
        last = "short last window" if all(self._ends_epoch(row) for row in tails) else "short window"
        by = f"by {self.steps} " if self._close(usual, 1) else ""
        how = f"is divided {by}like a full one" if as_whole else "has weights that are too small"
        if not as_whole and by_term:
            how = "is divided by the number of samples of a full one"
        sums = f"{_between(totals[0], totals[-1])}, not {usual:.3g}"
        said = f"a {last} {how}: it is under-weighted (its weights add up to {sums})"
        self._say("tail under-weighted", said, tails)

    def _numbers(self, kind: str) -> tuple[int, ...]:
        return next((fault.updates for fault in self.table.faults if fault.kind == kind), ())

    def _relative(self, rows: list[Row]) -> None:
        """The right weights are not known; but the factors of backward() can be compared."""
        divisor, k = self.divisor, self.steps
        weights = [each.plain for row in rows for each in row.micro_batches]
        if not divisor or not all(self._close(weight, weights[0]) for weight in weights):
            return
        if max(self.sizes) == 1:
            if not any(row.number in self.odd_rows for row in rows):
                self._single(rows, 1 / divisor, True, False)
        elif divisor != k:
            self._note(f"the loss is divided by {divisor} before backward(), and updates have {k} micro-batches")
        else:
            short = [row for row in rows if row.size < k and row.number not in self.odd_rows]
            if short:
                said = f"a short last window is divided by {k} like a full one: it is under-weighted"
                self._say("tail under-weighted", said, short)

    # The rest

    def _clipping(self) -> None:
        late, rows = [], []
        for place, row in enumerate(self.rows):
            before = self.rows[place - 1].update.after if place else BEFORE
            if place and any(after == before for *_, after in row.update.clips):
                late.append(self.rows[place - 1])
            row.update.clips = [clip for clip in row.update.clips if clip[2] > before]
            rows += [row] if row.update.clips else []
        if late and not rows:
            said = "gradients are clipped between a step and the next backward(), which has no effect"
            self._say("clipped after the step", said, late)
        if not rows:
            return
        scaled = [row for row in rows if row.update.clip_scaled]
        if scaled:
            said = "gradients are clipped while they are scaled by GradScaler: call scaler.unscale_(optimizer) first"
            self._say("clipped before unscale_", said, scaled)
        later = [row for row in rows if self._is_scaled_after_clipping(row.update)]
        if later and not scaled:
            said = (
                "gradients are divided after they are clipped: max_norm is compared with the norm before the division"
            )
            self._say("scaled after clipping", said, later)
        acted = [clip for row in rows for clip in row.update.clips if clip[1] > clip[0]]
        often = [row for row in rows if len({n for *_, n in row.update.clips}) > 1 and self._width(row) > 1]
        early = [row for row in often if any(c[1] > c[0] and c[2] < row.update.after for c in row.update.clips)]
        early = [row for row in early if row.size > 1]
        if early:
            said = "gradients are clipped after each micro-batch, so those of the first ones are clipped repeatedly"
            self._say("clipped each micro-batch", said, early)
        if not acted:
            norm = max(clip[0] for row in rows for clip in row.update.clips)
            how = "clip_grad_norm_ is called after each micro-batch, but " if often else ""
            self.table.unseen.append(f"clipping: {how}no gradient had a norm above {norm:g}")

    def _is_scaled_after_clipping(self, update: Update) -> bool:
        most, norm, after = update.clips[-1]
        acted = after == update.after and most < norm < math.inf
        return acted and 0 < update.norm < 0.95 * most

    def _width(self, row: Row) -> int:
        """How many micro-batches came since the update before, used or not."""
        return row.size + len(row.lost)

    def _schedulers(self) -> None:
        often, few = [], 0
        for place, row in enumerate(self.rows):
            size = sum(len(each.backwards) for each in row.micro_batches) + len(row.lost)
            due = size if place else size - 1
            if due > 1:
                if len(row.update.scheduler_calls) >= due <= len(set(row.update.scheduler_calls)):
                    often.append(row)
                else:
                    few += 1
        key = next((key for key, steps in self.recording.steps.items() if steps is self.table.steps), None)
        length = self.recording.schedules.get(key)
        micro_batches = len(set(self.table.numbers.values()))
        if often and len(often) > few:
            loaders = [loader for loader in self.recording.loader_lengths if loader > 1]
            if length and (abs(length - micro_batches) <= 1 or any(length % loader == 0 for loader in loaders)):
                self._note(
                    "the scheduler steps once per micro-batch, and the length of its schedule counts micro-batches, too"
                )
            else:
                said = (
                    "the scheduler steps once per micro-batch: too fast, unless its length is counted in micro-batches"
                )
                self._say("scheduler each micro-batch", said, often)
        elif self._is_too_long(length, micro_batches):
            said = (
                f"the schedule has {length} steps, as many as there were micro-batches, but it stepped "
                f"{len(self.rows)} times, once per update: it does not reach its end"
            )
            self._say("schedule too long", said, self.rows)
        elif any(row.update.lr_changes for row in self.rows) and max(self.sizes) > 1:
            self._note("the learning rate is set for each micro-batch; only the last value of a window is used")

    def _is_too_long(self, length: int | None, micro_batches: int) -> bool:
        ended = not (self.recording.cut or self.recording.error)
        calls = sum(len(row.update.scheduler_calls) for row in self.rows)
        return bool(ended and length == micro_batches and max(self.sizes) > 1 and 0 < calls <= len(self.rows))

    def _others(self) -> None:
        steps, rows = self.table.steps, self.rows
        accumulates = max(self.sizes) > 1
        if self.recording.model and steps.foreign == len(steps.parameters):
            kind = self.recording.model
            said = f"the {kind} that is watched is not what is trained: the optimizer has other parameters"
            self._say("another model", said)
        odd: dict[str, list[Row]] = collections.defaultdict(list)
        for row in (row for row in rows if not row.update.by_hand):
            for name in row.update.odd:
                odd[name].append(row)
        if odd and len(odd) <= max(1, len(steps.parameters) // 2):
            name, where = next(iter(odd.items()))
            more = f" (and of {len(odd) - 1} more)" if len(odd) > 1 else ""
            share = where[0].update.odd[name]
            said = f"the gradient of {name}{more} is multiplied by {share:.3g}, compared with the other parameters"
            self._say("one parameter differs", said, where)
        low = [row for row in rows if row.size > 1]
        low = [row for row in low if row.update.dtype in (torch.bfloat16, torch.float16) or row.update.rounded]
        if low and self.recording.world == 1:
            kind = "float16, which has 11" if low[0].update.dtype == torch.float16 else "bfloat16, which has 8"
            self._say("low precision", f"gradients are accumulated in {kind} significant bits", low)
        same = [row for row in rows if row.update.alike]
        if same and accumulates:
            first = same[0].update.alike
            whose = [self.table.numbers[n] for n in first if n in self.table.numbers]
            if len(set(whose)) > 1:
                said = f"a micro-batch is in one update twice: the gradients of {listed(whose)} have the same direction"
                self._say("twice in one update", said, same)
        self._other_gradients(rows)
        if accumulates and self.recording.mixing:
            kind, name = self.recording.mixing[0]
            self._note(
                f"{kind} in {name or 'the model'} uses statistics of a micro-batch, not of the large batch: "
                "the training is another one"
            )
        losses = [loss for n in self.table.numbers for loss in self.backwards[n].losses[:1] if (loss.samples or 0) > 1]
        if accumulates and losses and all(loss.in_batch for loss in losses):
            self._note(
                "the loss of a sample seems to depend on the other samples of its micro-batch (a contrastive loss): no "
                "weights make that the loss of the large batch"
            )
        times = [row.update.synchronized for row in rows]
        if self.recording.world > 1 and not any(times):
            self._say(
                "not synchronized", "the gradients of the ranks are not synchronized: there is no all-reduce", rows
            )
        elif accumulates and max(times) > 1:
            self._note(f"gradients are synchronized {max(times)} times for an update; once is enough (no_sync)")

    def _other_gradients(self, rows: list[Row]) -> None:
        by_hand = [row for row in rows if row.update.by_hand]
        if by_hand:
            self._note(f"gradients are combined by hand, also from earlier windows, in update{_plural(by_hand)}")
        other = [row for row in rows if row.update.residual > 0.02 and not row.update.value_clips]
        before = [row for row in rows if BEFORE in row.update.factors]
        if before:
            self._note(f"gradients from before the watch began are in update{_plural(before)}")
        if other:
            share = max(row.update.residual for row in other)
            said = f"up to {share:.0%} of the gradient's norm comes from no backward() of the window"
            self._note(f"{said}, in update{_plural(other)}")
        if any(row.update.value_clips for row in rows):
            self._note("clip_grad_value_ changes gradients element by element: the weights shown are those before it")

    def _every_kth(self) -> None:
        """Are there batches, or forward passes, without a backward()?"""
        if set(self.sizes) != {1} or any(row.lost for row in self.rows):
            return
        firsts = [self.backwards[row.micro_batches[0].backwards[0]] for row in self.rows]
        batches = [firsts[0].batch, *(later.batch - earlier.batch for earlier, later in itertools.pairwise(firsts))]
        passes = [b.passes for b in firsts if b.number < KEPT]
        alone = len({b.batch for b in self.backwards}) == len({b.batch for b in firsts})
        for what, gaps in (("batches are taken", batches), ("forward passes are made", passes)):
            k = statistics.mode(gaps or [0])
            if k < 2 or max(gaps) != k or min(gaps) < 1 or len(gaps) < 2:  # a short last window has fewer
                continue
            whole = any(self._has_all(b, k) for b in firsts)
            # Several forward passes for one backward() are usual, unless they are as many as the loss is divided by.
            if not whole and (alone if gaps is batches else k in (self.given, self.divisor)):
                said = f"{k} {what} for each backward(): only one micro-batch in {k} is trained on"
                self._say("only every K-th", said, self.rows)
                self.odd_rows |= {row.number for row in self.rows}
                return

    def _has_all(self, b: Backward, k: int) -> bool:
        """Did k micro-batches have this one backward() together?"""
        names = collections.Counter(loss.name for loss in b.losses)
        samples = b.losses[0].samples if b.losses else None
        joined = samples and b.batch_samples and samples > (k - 1) * b.batch_samples
        return bool(joined) or max(names.values(), default=0) >= k

    def _unseen(self) -> None:
        """The faults that these micro-batches could not have shown."""
        if self.steps < 2 or (max(self.sizes) < 2 and not self.given):
            return
        table, kinds = self.table, {fault.kind for fault in self.table.faults}
        tail = {"tail dropped", "tail carried over", "tail under-weighted", "counted on"}
        if not kinds & tail and not any(row.size < self.steps for row in self.rows):
            ended = len(self._all_epochs()) > 1 or not self.recording.cut
            why = "there was none" if ended else "no epoch ended (--updates 0 runs the script to its end)"
            table.unseen.append(f"a short last window: {why}")
        counts = {each.count for row in self.rows for each in row.micro_batches}
        if None in counts or not table.known:
            table.unseen.append(
                "the right weights: what the mean of this loss divides by is not known (pass it as counts=)"
            )
        elif len(counts) == 1:
            table.unseen.append(f"a mean of means: all micro-batches have {counts.pop():g} {self.unit}")
        if len({b.epoch for b in self.backwards}) < 2 and not kinds & tail:
            known = self.recording.loader_lengths or self.given
            why = "there was one epoch" if known else "no DataLoader tells where an epoch ends"
            table.unseen.append(f"what carries over from one epoch to the next: {why}")


def _between(low: float, high: float) -> str:
    return f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"between {low:.3g} and {high:.3g}"


def listed(numbers: Sequence[int], most: int = 8) -> str:
    """1 to 4, 7 and 9."""
    if not numbers:
        return "none"
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = []
    for run in runs:
        parts += [str(run[0])] if len(run) == 1 else [f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run)
    if len(parts) > most:
        parts = [*parts[:most], "more"]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _plural(rows: Sequence[Row]) -> str:
    return ("s " if len(rows) > 1 else " ") + listed([row.number for row in rows])
