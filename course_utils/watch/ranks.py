"""What several ranks have seen, brought together: the weight of every rank's micro-batches in the update they share."""

import contextlib
import copy
import math
import pickle
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from course_utils.watch.recorder import Recording, Steps, Update

PATIENCE = timedelta(seconds=60)  # rank 0 waits so long for what the others have seen
_LARGEST_REST = 2e-2


def gather(recording: Recording, store: Any, watch_number: int) -> list[Recording]:
    """On rank 0 the recordings of all ranks that have left theirs, on others their own; through the ranks' store.

    A store needs no collective call, so a rank that has failed, or ends early, stops no other.
    """
    names = [f"course_utils.watch/{watch_number}/{rank}" for rank in range(recording.world)]
    store.set(names[recording.rank], pickle.dumps(recording))
    if recording.rank:
        return [recording]
    found = [recording]
    for name in names[1:]:
        with contextlib.suppress(Exception):  # a rank that was killed has left nothing
            store.wait([name], PATIENCE)
            found.append(pickle.loads(store.get(name)))
    return found


def join(recordings: Sequence[Recording]) -> Recording:
    """One recording of all ranks: each backward() of each, and its factor in the gradient that all of them used.

    The factors are those with which the sketches of all ranks' gradients make up that of the update.
    """
    order = sorted((b.number, rank) for rank, each in enumerate(recordings) for b in each.backwards)
    place = {(rank, number): new for new, (number, rank) in enumerate(order)}
    keys = [list(each.steps) for each in recordings]
    joined = Recording(model=recordings[0].model, cut=recordings[0].cut, mixing=recordings[0].mixing)
    joined.ranks = len(recordings)
    joined.loader_lengths = {length * len(recordings) for length in recordings[0].loader_lengths}
    for number, rank in order:
        backward = copy.copy(recordings[rank].backwards[number])
        known = {key: i for i, key in enumerate(keys[rank])}
        backward.number = place[rank, number]
        backward.batch = backward.batch * len(recordings) + rank if backward.batch else 0
        backward.reached = {known[key] for key in backward.reached if key in known}
        backward.optimizers = set()
        joined.backwards.append(backward)
    for i in range(min(map(len, keys))):
        ranks = [each.steps[keys[rank][i]] for rank, each in enumerate(recordings)]
        steps = joined.steps[i] = Steps(ranks[0].name, ranks[0].parameters)
        for updates in zip(*(each.updates for each in ranks), strict=False):
            update = _joined(updates, place)
            if update is None:
                break
            steps.updates.append(update)
            for number in update.factors:
                joined.backwards[number].optimizers.add(i)
    return joined


def _joined(updates: Sequence[Update], place: dict[tuple[int, int], int]) -> Update | None:
    target = updates[0].target
    if target is None:
        return None
    columns = {
        place[rank, n]: column for rank, each in enumerate(updates) for n, column in each.columns.items() if n >= 0
    }
    length = np.linalg.norm(target)
    factors, left = {}, 0.0
    if columns and length and len(columns) < len(target):
        matrix = np.stack(list(columns.values()), 1)
        found, *_ = np.linalg.lstsq(matrix, target, rcond=1e-7)
        left = float(np.linalg.norm(target - matrix @ found) / length)
        largest = np.abs(found).max()
        factors = {n: float(f) for n, f in zip(columns, found, strict=True) if abs(f) > 1e-3 * largest}
    last = updates[0].after
    clip = math.prod(min(1.0, most / (norm + 1e-6)) for most, norm, after in updates[0].clips if after == last)
    update = copy.copy(updates[0])
    update.factors = {n: factor / clip for n, factor in factors.items()}
    update.clipped = dict.fromkeys(factors, clip)
    update.residual = left if left > _LARGEST_REST else 0.0
    update.after = max(place[rank, each.after] for rank, each in enumerate(updates))
    update.target, update.columns, update.alike = None, {}, []
    return update
