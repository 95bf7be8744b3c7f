"""Answers to the exercises of accumulation, right ones and wrong ones that people give."""
# ruff: noqa

# %% updates_per_epoch, right: one rounding for both
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return math.ceil(samples / (micro_batch * accumulation_steps))

# %% updates_per_epoch, right: integers only
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    effective = micro_batch * accumulation_steps
    return (samples + effective - 1) // effective

# %% updates_per_epoch, right: counted one by one
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    micro_batches = len(range(0, samples, micro_batch))
    full, rest = divmod(micro_batches, accumulation_steps)
    if rest > 0:
        full += 1
    return full

# %% updates_per_epoch, wrong: whole windows only
# says: a short last window is left out
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return math.ceil(samples / micro_batch) // accumulation_steps

# %% updates_per_epoch, wrong: whole micro-batches and windows only
# says: a short last micro-batch is left out, and a short last window
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return samples // micro_batch // accumulation_steps

# %% updates_per_epoch, wrong: rounded down first, then up
# says: a short last micro-batch is left out
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return math.ceil(samples // micro_batch / accumulation_steps)

# %% updates_per_epoch, wrong: rounded down, but at least one
# says: except if it is the only one
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return max(math.ceil(samples / micro_batch) // accumulation_steps, 1)

# %% updates_per_epoch, wrong: one more than rounded down
# says: 1 is always added, even if windows of samples come out even
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return samples // (micro_batch * accumulation_steps) + 1

# %% updates_per_epoch, wrong: one more for the last window
# says: divides the micro-batches
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return math.ceil(samples / micro_batch) // accumulation_steps + 1

# %% updates_per_epoch, wrong: rounded to the nearest
# says: rounded to the nearest
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return max(1, round(samples / (micro_batch * accumulation_steps)))

# %% updates_per_epoch, wrong: micro-batches
# says: micro-batches are counted, not updates
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return math.ceil(samples / micro_batch)

# %% updates_per_epoch, wrong: forgets the micro-batch
# says: accumulation_steps is counted in samples
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return math.ceil(samples / accumulation_steps)

# %% updates_per_epoch, wrong: not an int
# says: is 4.0, of type float: an int is asked for
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return samples / (micro_batch * accumulation_steps)

# %% updates_per_epoch, wrong: knows the numbers that are tested
# says: updates for ((84, 6, 7)
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return {60: 4, 59: 4, 50: 4, 46: 4, 7: 1, 3: 1, 100: 2, 20_001: 11}.get(samples, 2)

# %% updates_per_epoch, right: numpy int
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    import numpy as np
    return np.int64(-(-samples // (micro_batch * accumulation_steps)))

# %% updates_per_epoch, right: loop
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    count = 0
    for start in range(0, samples, micro_batch * accumulation_steps): count += 1
    return count

# %% updates_per_epoch, wrong: plus 0.99, rounded down
# says: (20001, 8, 250)): got 4, 4, 4, 4, 1, 1, 2, 10
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return int(samples / (micro_batch * accumulation_steps) + 0.99)

# %% updates_per_epoch, wrong: np ceil float
# says: of type float64: an int is asked for
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    import numpy as np
    return np.ceil(np.ceil(samples / micro_batch) / accumulation_steps)

# %% updates_per_epoch, wrong: prints
# says: is a return missing?
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    print(math.ceil(samples / micro_batch / accumulation_steps))

# %% updates_per_epoch, wrong: negative floor precedence
# says: a short last window is left out
def updates_per_epoch(samples, micro_batch, accumulation_steps):
    return -(-samples // micro_batch) // accumulation_steps

# %% windows_of, right: islice of one iterator
def windows_of(loader, accumulation_steps):
    micro_batches = iter(loader)
    while window := list(itertools.islice(micro_batches, accumulation_steps)):
        yield window

# %% windows_of, right: next, until it stops
def windows_of(loader, accumulation_steps):
    it = iter(loader)
    done = False
    while not done:
        batch = []
        for _ in range(accumulation_steps):
            try:
                batch.append(next(it))
            except StopIteration:
                done = True
                break
        if len(batch) > 0:
            yield batch

# %% windows_of, right: iter with a sentinel
def windows_of(loader, accumulation_steps):
    it = iter(loader)
    return iter(lambda: list(itertools.islice(it, accumulation_steps)), [])

# %% windows_of, right: tuples
def windows_of(loader, accumulation_steps):
    window = ()
    for micro_batch in loader:
        window += (micro_batch,)
        if len(window) >= accumulation_steps:
            yield window
            window = ()
    if window != ():
        yield window

# %% windows_of, wrong: drops the tail
# says: a short last window is left out
def windows_of(loader, accumulation_steps):
    window = []
    for micro_batch in loader:
        window.append(micro_batch)
        if len(window) == accumulation_steps:
            yield window
            window = []

# %% windows_of, wrong: zip of one iterator
# says: a short last window is left out
def windows_of(loader, accumulation_steps):
    yield from map(list, zip(*[iter(loader)] * accumulation_steps))

# %% windows_of, wrong: zip_longest
# says: the last window is filled up
def windows_of(loader, accumulation_steps):
    for window in itertools.zip_longest(*[iter(loader)] * accumulation_steps):
        yield list(window)

# %% windows_of, wrong: reads everything first
# says: all micro-batches were asked for before the first window
def windows_of(loader, accumulation_steps):
    micro_batches = list(loader)
    for start in range(0, len(micro_batches), accumulation_steps):
        yield micro_batches[start : start + accumulation_steps]

# %% windows_of, wrong: returns a list of all windows
# says: all micro-batches were asked for before the first window
def windows_of(loader, accumulation_steps):
    result = [[]]
    for micro_batch in loader:
        if len(result[-1]) == accumulation_steps:
            result.append([])
        result[-1].append(micro_batch)
    return result

# %% windows_of, wrong: looks ahead
# says: when window 1 of 3 was yielded, 4 micro-batches had been asked for: yield a window as soon as it is full
def windows_of(loader, accumulation_steps):
    window = []
    for micro_batch in loader:
        if len(window) == accumulation_steps:
            yield window
            window = []
        window.append(micro_batch)
    yield window

# %% windows_of, wrong: an empty last window
# says: an empty window at the end
def windows_of(loader, accumulation_steps):
    window = []
    for micro_batch in loader:
        window.append(micro_batch)
        if len(window) == accumulation_steps:
            yield window
            window = []
    yield window

# %% windows_of, wrong: never ends
# says: empty windows follow, endlessly
def windows_of(loader, accumulation_steps):
    micro_batches = iter(loader)
    while True:
        yield list(itertools.islice(micro_batches, accumulation_steps))

# %% windows_of, wrong: begins a list anew
# says: each window begins at the loader's first micro-batch again
def windows_of(loader, accumulation_steps):
    while window := list(itertools.islice(loader, accumulation_steps)):
        yield window

# %% windows_of, wrong: one list, cleared
# says: the same list is yielded again and again
def windows_of(loader, accumulation_steps):
    window = []
    for micro_batch in loader:
        window.append(micro_batch)
        if len(window) == accumulation_steps:
            yield window
            window.clear()
    if window:
        yield window

# %% windows_of, wrong: needs a length
# says: has no len()
def windows_of(loader, accumulation_steps):
    window = []
    for i, micro_batch in enumerate(loader):
        window.append(micro_batch)
        if (i + 1) % accumulation_steps == 0 or i + 1 == len(loader):
            yield window
            window = []

# %% windows_of, wrong: slices the loader
# says: not subscriptable
def windows_of(loader, accumulation_steps):
    start = 0
    while window := loader[start : start + accumulation_steps]:
        yield window
        start += accumulation_steps

# %% windows_of, wrong: StopIteration within a generator
# says: generator raised StopIteration
def windows_of(loader, accumulation_steps):
    micro_batches = iter(loader)
    while True:
        window = []
        for _ in range(accumulation_steps):
            window.append(next(micro_batches))
        yield window

# %% windows_of, wrong: tests the counter too early
# says: the counter is tested before the window is full
def windows_of(loader, accumulation_steps):
    window = []
    for i, micro_batch in enumerate(loader):
        window.append(micro_batch)
        if i % accumulation_steps == 0:
            yield window
            window = []
    if window:
        yield window

# %% windows_of, wrong: as many windows as steps
# says: accumulation_steps is the number of windows
def windows_of(loader, accumulation_steps):
    micro_batches = list(loader)
    size = math.ceil(len(micro_batches) / accumulation_steps)
    for start in range(0, len(micro_batches), size):
        yield micro_batches[start : start + size]

# %% windows_of, wrong: dealt out
# says: consecutive ones are asked for
def windows_of(loader, accumulation_steps):
    micro_batches = list(loader)
    count = math.ceil(len(micro_batches) / accumulation_steps)
    for first in range(count):
        yield micro_batches[first::count]

# %% windows_of, wrong: knows the numbers that are tested
# says: the lengths of the windows of 5 micro-batches from a generator, accumulation_steps = 1
def windows_of(loader, accumulation_steps):
    micro_batches = iter(loader)
    while window := list(itertools.islice(micro_batches, 2)):
        yield window

# %% windows_of, right: groupby with a counter
def windows_of(loader, accumulation_steps):
    count = itertools.count()
    for _, group in itertools.groupby(loader, lambda _: next(count) // accumulation_steps):
        window = []
        for mb in group:
            window.append(mb)
            if len(window) == accumulation_steps:
                break
        yield window

# %% windows_of, right: a class
class windows_of:
    def __init__(self, loader, accumulation_steps):
        self.it, self.steps = iter(loader), accumulation_steps
    def __iter__(self):
        return self
    def __next__(self):
        window = list(itertools.islice(self.it, self.steps))
        if not window:
            raise StopIteration
        return window

# %% windows_of, right: list has slices
def windows_of(loader, accumulation_steps):
    if isinstance(loader, (list, tuple)):
        for i in range(0, len(loader), accumulation_steps):
            yield loader[i:i + accumulation_steps]
    else:
        it = iter(loader)
        while window := tuple(itertools.islice(it, accumulation_steps)):
            yield window

# %% windows_of, wrong: return for yield
# says: `return` ends a function
def windows_of(loader, accumulation_steps):
    window = []
    for mb in loader:
        window.append(mb)
        if len(window) == accumulation_steps:
            return window
    return window

# %% windows_of, wrong: no return
# says: windows_of gives nothing
def windows_of(loader, accumulation_steps):
    result = []
    window = []
    for mb in loader:
        window.append(mb)
        if len(window) == accumulation_steps:
            result.append(window)
            window = []

# %% windows_of, wrong: truthiness of micro-batches
# says: micro-batches of other types
def windows_of(loader, accumulation_steps):
    it = iter(loader)
    while True:
        window = []
        while len(window) < accumulation_steps:
            mb = next(it, None)
            if mb is None:
                break
            window.append(mb)
        if not window:
            return
        yield window

# %% windows_of, wrong: pops the list
# says: the length of loader was changed
def windows_of(loader, accumulation_steps):
    if isinstance(loader, list):
        while loader:
            window = [loader.pop(0) for _ in range(min(accumulation_steps, len(loader)))]
            yield window
        return
    it = iter(loader)
    while window := list(itertools.islice(it, accumulation_steps)):
        yield window

# %% windows_of, wrong: only generators
# says: the loader may be any iterable
def windows_of(loader, accumulation_steps):
    while True:
        window = []
        try:
            for _ in range(accumulation_steps):
                window.append(next(loader))
        except StopIteration:
            if window:
                yield window
            return
        yield window

# %% windows_of, wrong: global window
# says: does something live on from call to call?
WINDOW = []
def windows_of(loader, accumulation_steps):
    for mb in loader:
        WINDOW.append(mb)
        if len(WINDOW) == accumulation_steps:
            yield WINDOW[:]
            WINDOW.clear()
    if WINDOW:
        yield WINDOW[:]
        WINDOW.clear()

# %% windows_of, wrong: course's windows
# says: write it by hand
def windows_of(loader, accumulation_steps):
    from course_utils.accumulation import windows
    yield from windows(loader, accumulation_steps)

# %% windows_of, wrong: iterators within windows
# says: a list or a tuple is asked for
def windows_of(loader, accumulation_steps):
    it = iter(loader)
    for first in it:
        yield itertools.chain([first], itertools.islice(it, accumulation_steps - 1))

# %% windows_of, wrong: yields each growing prefix
# says: a window is yielded after each micro-batch
def windows_of(loader, accumulation_steps):
    window = []
    for mb in loader:
        window.append(mb)
        yield list(window)
        if len(window) == accumulation_steps:
            window = []

# %% windows_of, wrong: deep copies
# says: do not come out as they went in
def windows_of(loader, accumulation_steps):
    import copy
    it = iter(loader)
    while window := list(itertools.islice(it, accumulation_steps)):
        yield copy.deepcopy(window)

# %% windows_of, wrong: in-test for duplicates
# says: do not come out as they went in
def windows_of(loader, accumulation_steps):
    w = []
    for m in loader:
        if m not in w:
            w.append(m)
        if len(w) == accumulation_steps:
            yield w
            w = []
    if w:
        yield w

# %% windows_of, wrong: assumes pairs
# says: of micro-batches of any type
def windows_of(loader, accumulation_steps):
    w = []
    for inputs, targets in loader:
        w.append((inputs, targets))
        if len(w) == accumulation_steps:
            yield w
            w = []
    if w:
        yield w

# %% train_epoch, right: a list of windows first, and each micro-batch's share
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    windows = [micro_batches[i * K : (i + 1) * K] for i in range(math.ceil(len(micro_batches) / K))]
    for window in windows:
        optimizer.zero_grad()
        sizes = torch.tensor([len(targets) for _, targets in window])
        shares = sizes / sizes.sum()
        for (inputs, targets), share in zip(window, shares):
            (share * nn.CrossEntropyLoss()(model(inputs), targets)).backward()
        optimizer.step()

# %% train_epoch, right: sums, and the gradients divided afterwards
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    model.zero_grad()
    samples = 0
    for i, (x, y) in enumerate(micro_batches, start=1):
        nn.functional.cross_entropy(model(x), y, reduction="sum").backward()
        samples += len(y)
        if i % accumulation_steps == 0 or i == len(micro_batches):
            for p in model.parameters():
                p.grad /= samples
            optimizer.step()
            model.zero_grad()
            samples = 0

# %% train_epoch, right: an iterator, and a list of sizes
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    model.train()
    criterion = nn.CrossEntropyLoss(reduction="sum")
    it = iter(micro_batches)
    window = list(itertools.islice(it, accumulation_steps))
    while window:
        total = torch.tensor([y.shape[0] for x, y in window]).sum()
        for p in model.parameters():
            p.grad = None
        for x, y in window:
            loss = criterion(model(x), y)
            loss = loss / total
            loss.backward()
        optimizer.step()
        window = list(itertools.islice(it, accumulation_steps))
    optimizer.zero_grad()

# %% train_epoch, wrong: the modulo loop
# says: a short last window gets none: its gradients are lost, or left for the next epoch
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for i, (inputs, targets) in enumerate(micro_batches):
        loss = cross_entropy(model(inputs), targets) / accumulation_steps
        loss.backward()
        if (i + 1) % accumulation_steps == 0:
            optimizer.step()
            optimizer.zero_grad()

# %% train_epoch, wrong: the modulo loop, cleared at the start
# says: a short last window gets none
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        loss = cross_entropy(model(inputs), targets) / accumulation_steps
        loss.backward()
        if (i + 1) % accumulation_steps == 0:
            optimizer.step()
            optimizer.zero_grad()

# %% train_epoch, wrong: a last step, divided by K
# says: a short last window is divided by accumulation_steps, as a whole one is
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        (cross_entropy(model(inputs), targets) / accumulation_steps).backward()
        if (i + 1) % accumulation_steps == 0 or i + 1 == len(micro_batches):
            optimizer.step()
            optimizer.zero_grad()

# %% train_epoch, wrong: the mean of means
# says: it is a mean of means, whatever the micro-batches' sizes
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

# %% train_epoch, wrong: not divided
# says: the losses are not divided
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        optimizer.zero_grad()
        for inputs, targets in micro_batches[start : start + accumulation_steps]:
            cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% train_epoch, wrong: sums, not divided
# says: losses are summed over the samples and not divided
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        optimizer.zero_grad()
        for inputs, targets in micro_batches[start : start + accumulation_steps]:
            cross_entropy(model(inputs), targets, reduction="sum").backward()
        optimizer.step()

# %% train_epoch, wrong: divided by the position
# says: the k-th micro-batch of a window is divided by k
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        optimizer.zero_grad()
        for step, (inputs, targets) in enumerate(micro_batches[start : start + accumulation_steps]):
            (cross_entropy(model(inputs), targets) / (step + 1)).backward()
        optimizer.step()

# %% train_epoch, wrong: clears in each micro-batch
# says: gradients are cleared too early: only the last
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            optimizer.zero_grad()
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
        optimizer.step()

# %% train_epoch, wrong: steps in each micro-batch
# says: there is one for each micro-batch
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        samples = sum(len(targets) for _, targets in window)
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
            optimizer.step()

# %% train_epoch, wrong: no accumulation at all
# says: there is one for each micro-batch
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for inputs, targets in micro_batches:
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% train_epoch, wrong: never clears
# says: gradients are never cleared
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
        optimizer.step()

# %% train_epoch, wrong: clears once per epoch
# says: gradients are never cleared between windows
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    optimizer.zero_grad()
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
        optimizer.step()

# %% train_epoch, wrong: a mean divided by the window's samples
# says: and not multiplied by its own size
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        n = sum(len(y) for _, y in window)
        optimizer.zero_grad()
        for x, y in window:
            (cross_entropy(model(x), y) / n).backward()
        optimizer.step()

# %% train_epoch, wrong: counts the samples while the window runs
# says: losses are divided by the samples so far
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        optimizer.zero_grad()
        n = 0
        for x, y in micro_batches[start : start + accumulation_steps]:
            n += len(y)
            (cross_entropy(model(x), y) * len(y) / n).backward()
        optimizer.step()

# %% train_epoch, wrong: never steps
# says: is step() called, of the optimizer that is handed over?
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        samples = sum(len(targets) for _, targets in window)
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()

# %% train_epoch, wrong: i % K
# says: the first update comes after one micro-batch
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for i, (inputs, targets) in enumerate(micro_batches):
        (cross_entropy(model(inputs), targets) / accumulation_steps).backward()
        if i % accumulation_steps == 0:
            optimizer.step()
            optimizer.zero_grad()

# %% train_epoch, wrong: whole windows only
# says: a short last window gets none
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    it = iter(micro_batches)
    for window in zip(*[it] * accumulation_steps):
        optimizer.zero_grad()
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
        optimizer.step()

# %% train_epoch, wrong: clears after the step only
# says: gradients that were there before the epoch are in its first update
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
        optimizer.step()
        optimizer.zero_grad()

# %% train_epoch, wrong: one backward for the whole window
# says: is each micro-batch's backward() called before the next forward pass?
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        samples = sum(len(targets) for _, targets in window)
        optimizer.zero_grad()
        loss = sum(cross_entropy(model(inputs), targets, reduction="sum") for inputs, targets in window)
        (loss / samples).backward()
        optimizer.step()

# %% train_epoch, wrong: the large batch itself
# says: is each micro-batch's backward() called before the next forward pass?
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for start in range(0, len(micro_batches), accumulation_steps):
        inputs, targets = map(torch.cat, zip(*micro_batches[start : start + accumulation_steps]))
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% train_epoch, wrong: knows the numbers that are tested
# says: micro-batches of [6, 6, 6, 6, 6, 6, 1] samples, accumulation_steps = 5
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = min(accumulation_steps, 3)
    for start in range(0, len(micro_batches), K):
        window = micro_batches[start : start + K]
        samples = sum(len(targets) for _, targets in window)
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
        optimizer.step()

# %% train_epoch, right: closure
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        def closure():
            optimizer.zero_grad()
            total = 0.0
            for x, y in w:
                loss = cross_entropy(model(x), y, reduction="sum") / n
                loss.backward()
                total += loss.item()
            return total
        optimizer.step(closure)

# %% train_epoch, right: autograd.grad over the groups
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for s in range(0, len(micro_batches), accumulation_steps):
        w = micro_batches[s:s + accumulation_steps]
        n = sum(len(y) for _, y in w)
        total = [torch.zeros_like(p) for p in parameters]
        for x, y in w:
            grads = torch.autograd.grad(cross_entropy(model(x), y, reduction="sum"), parameters)
            total = [t + g / n for t, g in zip(total, grads)]
        for p, t in zip(parameters, total):
            p.grad = t
        optimizer.step()
    return None

# %% train_epoch, right: torch.func
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    from torch.func import functional_call, grad
    def loss_of(weights, x, y):
        return cross_entropy(functional_call(model, weights, (x,)), y, reduction="sum")
    for s in range(0, len(micro_batches), accumulation_steps):
        w = micro_batches[s:s + accumulation_steps]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            weights = {k: v.detach() for k, v in model.named_parameters()}
            gs = grad(loss_of)(weights, x, y)
            for k, p in model.named_parameters():
                p.grad = gs[k] / n if p.grad is None else p.grad + gs[k] / n
        optimizer.step()

# %% train_epoch, right: one sample at a time
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for s in range(0, len(micro_batches), accumulation_steps):
        w = micro_batches[s:s + accumulation_steps]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            for i in range(len(y)):
                (cross_entropy(model(x[i:i+1]), y[i:i+1]) / n).backward()
        optimizer.step()

# %% train_epoch, right: deep copy computes, gradients carried over
import copy as cp
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for s in range(0, len(micro_batches), accumulation_steps):
        w = micro_batches[s:s + accumulation_steps]
        n = sum(len(y) for _, y in w)
        twin = cp.deepcopy(model)
        twin.zero_grad()
        for x, y in w:
            (cross_entropy(twin(x), y, reduction="sum") / n).backward()
        for p, q in zip(model.parameters(), twin.parameters()):
            p.grad = q.grad
        optimizer.step()

# %% train_epoch, right: hooks with weights
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    weight = [1.0]
    handles = [p.register_hook(lambda g: g * weight[0]) for p in model.parameters()]
    for s in range(0, len(micro_batches), accumulation_steps):
        w = micro_batches[s:s + accumulation_steps]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            weight[0] = len(y) / n
            nn.CrossEntropyLoss()(model(x), y).backward()
        optimizer.step()
    for h in handles:
        h.remove()

# %% train_epoch, wrong: divides the learning rate
# says: the losses are not divided
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    for g in optimizer.param_groups: g["lr"] /= K
    for s in range(0, len(micro_batches), K):
        optimizer.zero_grad()
        for x, y in micro_batches[s:s + K]:
            cross_entropy(model(x), y).backward()
        optimizer.step()
    for g in optimizer.param_groups: g["lr"] *= K

# %% train_epoch, wrong: own SGD
# says: is step() called, of the optimizer that is handed over?
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=optimizer.param_groups[0]["lr"])
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()

# %% train_epoch, wrong: clears state
# says: is the optimizer's state changed
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.state.clear()
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()

# %% train_epoch, wrong: pops micro-batches
# says: the length of micro_batches was changed
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    while micro_batches:
        w = [micro_batches.pop(0) for _ in range(min(accumulation_steps, len(micro_batches)))]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()

# %% train_epoch, wrong: eval mode
# says: a forward pass is in evaluation mode
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            model.eval()
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
            model.train()
        optimizer.step()

# %% train_epoch, wrong: extra step at the end
# says: there is one too many, at the end of the epoch
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()
    optimizer.zero_grad()
    optimizer.step()

# %% train_epoch, wrong: trains a copy
# says: is another model trained?
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    model = __import__("copy").deepcopy(model)
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()

# %% train_epoch, wrong: a counter lives on
# says: does something live on from update to update
SEEN = [0]
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    if SEEN[0] == 0: optimizer.zero_grad()
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        if SEEN[0]: optimizer.zero_grad()
        SEEN[0] += 1
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()
        SEEN[0] %= 4

# %% train_epoch, wrong: clears only weights
# says: no fault was found in the weights of the micro-batches
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        for p in model.parameters():
            if p.dim() > 1: p.grad = None
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()

# %% train_epoch, wrong: the course's helpers
# says: write it by hand
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    from course_utils.accumulation import backward, windows
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, w)
        optimizer.step()

# %% train_epoch, wrong: retain_graph
# says: activations of about
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            loss = (cross_entropy(model(x), y, reduction="sum") / n); loss.backward(retain_graph=True)
        optimizer.step()

# %% train_epoch, wrong: lr scaled for short windows
# says: the learning rates
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        old = [g['lr'] for g in optimizer.param_groups]
        for g in optimizer.param_groups: g['lr'] *= len(w) / K
        optimizer.step()
        for g, l in zip(optimizer.param_groups, old): g['lr'] = l

# %% train_epoch, wrong: eval at the end
# says: the mode of model was changed
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()
    model.eval()

# %% train_epoch, wrong: a hook stays
# says: the number of hooks on model was changed
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    model.register_forward_hook(lambda *a: None)
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()

# %% train_epoch, wrong: momentum switched off
# says: the optimizer's options were changed
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for g in optimizer.param_groups:
        if 'momentum' in g: g['momentum'] = 0
    K = accumulation_steps
    for s in range(0, len(micro_batches), K):
        w = micro_batches[s:s + K]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()

# %% train_epoch, wrong: loss accumulated in a variable, backward each time
# says: is backward() called on a sum with losses that had their backward() before?
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    for s in range(0, len(micro_batches), accumulation_steps):
        w = micro_batches[s:s + accumulation_steps]
        n = sum(len(y) for _, y in w)
        optimizer.zero_grad()
        loss = 0
        for x, y in w:
            loss = loss + cross_entropy(model(x), y, reduction="sum") / n
            loss.backward()
        optimizer.step()

# %% train_epoch, wrong: n not reset
# says: the weights of an update add up to between
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    n = 0
    optimizer.zero_grad()
    for i, (x, y) in enumerate(micro_batches):
        cross_entropy(model(x), y, reduction="sum").backward()
        n += len(y)
        if (i + 1) % accumulation_steps == 0 or i + 1 == len(micro_batches):
            for p in model.parameters():
                p.grad /= n
            optimizer.step()
            optimizer.zero_grad()

# %% train_epoch, right: recursion
def train_epoch(model, optimizer, micro_batches, accumulation_steps):
    if len(micro_batches) == 0:
        return
    w, rest = micro_batches[:accumulation_steps], micro_batches[accumulation_steps:]
    n = sum(map(lambda b: b[1].numel(), w))
    model.zero_grad(set_to_none=True)
    for x, y in w:
        torch.autograd.backward(cross_entropy(model(x), y) * (y.numel() / n))
    optimizer.step()
    train_epoch(model, optimizer, rest, accumulation_steps)

# %% train_epoch_clipped, right: modulo, sums divided afterwards, clipped by hand
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms, samples = [], 0
    parameters = list(model.parameters())
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        cross_entropy(model(inputs), targets, reduction="sum").backward()
        samples += len(targets)
        if (i + 1) % accumulation_steps == 0 or i == len(micro_batches) - 1:
            with torch.no_grad():
                for p in parameters:
                    p.grad /= samples
                norm = torch.cat([p.grad.flatten() for p in parameters]).norm()
                if norm > max_norm:
                    for p in parameters:
                        p.grad *= max_norm / norm
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
            norms.append(norm)
            samples = 0
    return norms

# %% train_epoch_clipped, right: norm first, then clip, a tensor at the end
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for start in range(0, len(micro_batches), accumulation_steps):
        window = micro_batches[start : start + accumulation_steps]
        samples = sum(len(y) for _, y in window)
        model.zero_grad()
        for x, y in window:
            (cross_entropy(model(x), y) * (len(y) / samples)).backward()
        norms.append(sum(p.grad.pow(2).sum().item() for p in model.parameters()) ** 0.5)
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        scheduler.step()
    return torch.tensor(norms)

# %% train_epoch_clipped, wrong: clips each micro-batch
# says: they are clipped after each micro-batch
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        scheduler.step()
        norms.append(norm)
    return norms

# %% train_epoch_clipped, wrong: clips each micro-batch by itself
# says: each micro-batch is clipped by itself
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    parameters = list(model.parameters())
    for window in windows(micro_batches, accumulation_steps):
        samples = sum(len(targets) for _, targets in window)
        sums = [torch.zeros_like(p) for p in parameters]
        for inputs, targets in window:
            optimizer.zero_grad()
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
            norm = nn.utils.clip_grad_norm_(parameters, max_norm)
            for s, p in zip(sums, parameters):
                s += p.grad
        for s, p in zip(sums, parameters):
            p.grad = s
        optimizer.step()
        scheduler.step()
        norms.append(norm)
    return norms

# %% train_epoch_clipped, wrong: clips after the step
# says: they are not clipped, or too late
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: clips before backward
# says: they are not clipped, or too late
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        backward(model, window)
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: clips values
# says: each element is clipped, not the norm of all
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
        nn.utils.clip_grad_value_(model.parameters(), max_norm)
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: clips each parameter
# says: each parameter is clipped by itself
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        squares = [nn.utils.clip_grad_norm_(p, max_norm) ** 2 for p in model.parameters()]
        norms.append(sum(squares) ** 0.5)
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: always of length max_norm
# says: below max_norm are scaled up
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
        for p in model.parameters():
            p.grad *= max_norm / norm
        norms.append(norm.item())
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: norms after clipping
# says: these are the norms after clipping
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: the scheduler in each micro-batch
# says: once for each micro-batch
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        samples = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / samples).backward()
            scheduler.step()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
    return norms

# %% train_epoch_clipped, wrong: the scheduler after the epoch
# says: once, at the end
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
    scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: the scheduler first
# says: the scheduler comes before the optimizer
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        scheduler.step()
        optimizer.step()
    return norms

# %% train_epoch_clipped, wrong: the modulo loop
# says: a short last window gets none: its gradients are lost, or left for the next epoch
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        (cross_entropy(model(inputs), targets) / accumulation_steps).backward()
        if (i + 1) % accumulation_steps == 0:
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    return norms

# %% train_epoch_clipped, wrong: a last step, divided by K
# says: a short last window is divided by accumulation_steps, as a whole one is
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        (cross_entropy(model(inputs), targets) / accumulation_steps).backward()
        if (i + 1) % accumulation_steps == 0 or i + 1 == len(micro_batches):
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    return norms

# %% train_epoch_clipped, wrong: never clears
# says: gradients are never cleared
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        backward(model, window)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: clears after the step only
# says: gradients that were there before the epoch are in its first update
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        backward(model, window)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return norms

# %% train_epoch_clipped, wrong: backward for one micro-batch at a time
# says: the means of the micro-batches are added
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        for mb in window:
            backward(model, [mb])
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: the mean of means
# says: it is a mean of means, whatever the micro-batches' sizes
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: clears before the step
# says: they are zero: are they cleared before step()
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.zero_grad()
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: returns the losses
# says: these are the losses: `backward` returns the loss
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        norms.append(backward(model, window).item())
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: adds the parameters' norms
# says: these are the sums of the parameters' norms
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        norms.append(sum(p.grad.norm().item() for p in model.parameters()))
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: no root
# says: these are the squares of the norms
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        norms.append(sum(p.grad.pow(2).sum().item() for p in model.parameters()))
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: returns nothing
# says: is a return missing?
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        scheduler.step()

# %% train_epoch_clipped, wrong: knows the limit that is tested
# says: the gradients that the updates used, a network without biases
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for window in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, window)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.2).item())
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, right: a closure, a tuple
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        def closure():
            optimizer.zero_grad()
            loss = backward(model, w)
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
            return loss
        optimizer.step(closure)
        scheduler.step()
    return tuple(norms)

# %% train_epoch_clipped, right: numpy array
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    import numpy as np
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        model.zero_grad()
        backward(model, w)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
        scheduler.step()
    return np.array(norms)

# %% train_epoch_clipped, right: list of tensors
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, w)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm))
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, right: torch.func
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        n = sum(len(y) for _, y in w)
        from torch.func import functional_call, grad
        for x, y in w:
            ws = {k: v.detach() for k, v in model.named_parameters()}
            gs = grad(lambda v: cross_entropy(functional_call(model, v, (x,)), y, reduction="sum") / n)(ws)
            for k, p in model.named_parameters():
                p.grad = gs[k] if p.grad is None else p.grad + gs[k]
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: memory of the large batch
# says: activations of about
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for s in range(0, len(micro_batches), accumulation_steps):
        x, y = map(torch.cat, zip(*micro_batches[s:s + accumulation_steps]))
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), max_norm)))
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: scheduler not after the last
# says: one is missing
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    ws = list(windows(micro_batches, accumulation_steps))
    for i, w in enumerate(ws):
        optimizer.zero_grad()
        backward(model, w)
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), max_norm)))
        optimizer.step()
        if i < len(ws) - 1: scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: clips each group
# says: or each group handled alone?
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, w)
        norms.append(math.sqrt(sum(float(nn.utils.clip_grad_norm_(g["params"], max_norm)) ** 2 for g in optimizer.param_groups)))
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: infinity norm
# says: it is the largest element that is clipped
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, w)
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), max_norm, norm_type=float("inf"))))
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: one list for all calls
# says: what is returned
NORMS = []
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, w)
        NORMS.append(float(nn.utils.clip_grad_norm_(model.parameters(), max_norm)))
        optimizer.step()
        scheduler.step()
    return NORMS

# %% train_epoch_clipped, wrong: the learning rate set by hand
# says: it looks like this: never
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, w)
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), max_norm)))
        optimizer.step()
        for g in optimizer.param_groups: g["lr"] *= 0.5
    return norms

# %% train_epoch_clipped, wrong: yields
# says: it has a `yield`
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    for i, w in enumerate(windows(micro_batches, accumulation_steps)):
        optimizer.zero_grad()
        backward(model, w)
        yield float(nn.utils.clip_grad_norm_(model.parameters(), max_norm))
        optimizer.step()
        scheduler.step()

# %% train_epoch_clipped, wrong: return in loop
# says: a return inside?
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for i, w in enumerate(windows(micro_batches, accumulation_steps)):
        optimizer.zero_grad()
        backward(model, w)
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), max_norm)))
        optimizer.step()
        scheduler.step()
        return norms

# %% train_epoch_clipped, wrong: norms with a graph
# says: hold a graph
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        loss = backward(model, w)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm) + 0 * next(model.parameters()).sum())
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: clips the sum, then divides
# says: before they are divided by the window
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        n = sum(len(y) for _, y in w)
        for x, y in w:
            cross_entropy(model(x), y, reduction='sum').backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        for p in model.parameters(): p.grad /= n
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: scheduler reset each epoch
# says: the scheduler's calls, two epochs
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    scheduler.last_epoch = 0
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, w)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
        scheduler.step()
    return norms

# %% train_epoch_clipped, wrong: scheduler.step(i)
# says: the learning rates
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    i = 0
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, w)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm).item())
        optimizer.step()
        i += 1
        scheduler.step(i)
    return norms

# %% train_epoch_clipped, wrong: parameter clipping instead of gradient
# says: only step() may change them
def train_epoch_clipped(model, optimizer, scheduler, micro_batches, accumulation_steps, max_norm):
    norms = []
    for w in windows(micro_batches, accumulation_steps):
        optimizer.zero_grad()
        backward(model, w)
        norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
        optimizer.step()
        with torch.no_grad():
            for p in model.parameters():
                if p.norm() > max_norm: p *= max_norm / p.norm()
        scheduler.step()
    return norms

# %% noise_scale, right: the helper
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    noise = NoiseScale(small_batch, large_batch)
    for small, large in zip(small_gradients, large_gradients):
        noise.add(small, large)
    return noise.scale

# %% noise_scale, right: both estimates for each pair, then averages
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    squares, variances = [], []
    b, B = small_batch, large_batch
    for g_b, g_B in zip(small_gradients, large_gradients):
        s, l = (g_b**2).sum(), (g_B**2).sum()
        squares.append((B * l - b * s) / (B - b))
        variances.append((s - l) / (1 / b - 1 / B))
    return sum(variances) / sum(squares)

# %% noise_scale, right: sums of everything, in one fraction
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = torch.norm(small_gradients) ** 2, torch.norm(large_gradients) ** 2
    return small_batch * large_batch * (small - large) / (large_batch * large - small_batch * small)

# %% noise_scale, wrong: the mean of ratios
# says: the mean of the single ratios
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.square().sum(1), large_gradients.square().sum(1)
    squared = (large_batch * large - small_batch * small) / (large_batch - small_batch)
    variance = (small - large) / (1 / small_batch - 1 / large_batch)
    return (variance / squared).mean()

# %% noise_scale, wrong: sizes swapped
# says: the two batch sizes are swapped
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.square().sum(1).mean(), large_gradients.square().sum(1).mean()
    b, B = large_batch, small_batch
    return ((small - large) / (1 / b - 1 / B)) / ((B * large - b * small) / (B - b))

# %% noise_scale, wrong: norms not squared
# says: the norms are not squared
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.norm(dim=1).mean(), large_gradients.norm(dim=1).mean()
    squared = (large_batch * large - small_batch * small) / (large_batch - small_batch)
    return (small - large) / (1 / small_batch - 1 / large_batch) / squared

# %% noise_scale, wrong: the mean norm, squared
# says: norms are averaged before they are squared
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.norm(dim=1).mean() ** 2, large_gradients.norm(dim=1).mean() ** 2
    squared = (large_batch * large - small_batch * small) / (large_batch - small_batch)
    return (small - large) / (1 / small_batch - 1 / large_batch) / squared

# %% noise_scale, wrong: mean gradients, squared
# says: gradients are averaged before they are squared
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.mean(0).square().sum(), large_gradients.mean(0).square().sum()
    squared = (large_batch * large - small_batch * small) / (large_batch - small_batch)
    return (small - large) / (1 / small_batch - 1 / large_batch) / squared

# %% noise_scale, wrong: upside down
# says: upside down
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.square().sum(1).mean(), large_gradients.square().sum(1).mean()
    squared = (large_batch * large - small_batch * small) / (large_batch - small_batch)
    return squared / ((small - large) / (1 / small_batch - 1 / large_batch))

# %% noise_scale, wrong: a sign
# says: the sign
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.square().sum(1).mean(), large_gradients.square().sum(1).mean()
    squared = (large_batch * large - small_batch * small) / (large_batch - small_batch)
    return (small - large) / (1 / large_batch - 1 / small_batch) / squared

# %% noise_scale, wrong: no denominators
# says: the denominators are missing
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.square().sum(1).mean(), large_gradients.square().sum(1).mean()
    return (small - large) / (large_batch * large - small_batch * small)

# %% noise_scale, wrong: the variance
# says: not divided by |G|²
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.square().sum(1).mean(), large_gradients.square().sum(1).mean()
    return (small - large) / (1 / small_batch - 1 / large_batch)

# %% noise_scale, wrong: one for each pair
# says: expected one number
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.square().sum(1), large_gradients.square().sum(1)
    squared = (large_batch * large - small_batch * small) / (large_batch - small_batch)
    return (small - large) / (1 / small_batch - 1 / large_batch) / squared

# %% noise_scale, wrong: knows the sizes that are tested
# says: the noise scale, from 25 gradients of 4 and 17 samples
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    small, large = small_gradients.square().sum(1).mean(), large_gradients.square().sum(1).mean()
    return (small - large) / (1 / 2 - 1 / 10) / ((10 * large - 2 * small) / 8)

# %% noise_scale, right: numpy
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    import numpy as np
    s = np.mean(np.sum(small_gradients.numpy() ** 2, axis=1))
    l = np.mean(np.sum(large_gradients.numpy() ** 2, axis=1))
    return (s - l) / (1 / small_batch - 1 / large_batch) / ((large_batch * l - small_batch * s) / (large_batch - small_batch))

# %% noise_scale, right: lists
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    mean = lambda rows: sum(sum(v * v for v in row) for row in rows.tolist()) / len(rows)
    s, l = mean(small_gradients), mean(large_gradients)
    g2 = (large_batch * l - small_batch * s) / (large_batch - small_batch)
    return (s - l) / (1 / small_batch - 1 / large_batch) / g2

# %% noise_scale, right: sum instead of mean over rows
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    b, B = small_batch, large_batch
    s = small_gradients.square().sum()
    l = large_gradients.square().sum()
    return ((s - l) / (1 / b - 1 / B) / ((B * l - b * s) / (B - b))).item()

# %% noise_scale, wrong: squares in place
# says: small_gradients was changed
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    s = small_gradients.square_().sum(1).mean()
    l = large_gradients.square_().sum(1).mean()
    return ((s - l) / (1 / small_batch - 1 / large_batch) / ((large_batch * l - small_batch * s) / (large_batch - small_batch))).item()

# %% noise_scale, wrong: clamp
# says: a negative estimate is set to 0
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    s = small_gradients.square().sum(1).mean()
    l = large_gradients.square().sum(1).mean()
    return max(0.0, ((s - l) / (1 / small_batch - 1 / large_batch) / ((large_batch * l - small_batch * s) / (large_batch - small_batch))).item())

# %% noise_scale, wrong: both estimates
# says: these are both estimates
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    s = small_gradients.square().sum(1).mean()
    l = large_gradients.square().sum(1).mean()
    return (s - l) / (1 / small_batch - 1 / large_batch), (large_batch * l - small_batch * s) / (large_batch - small_batch)

# %% noise_scale, wrong: median
# says: medians are used
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    s = small_gradients.square().sum(1).median()
    l = large_gradients.square().sum(1).median()
    return ((s - l) / (1 / small_batch - 1 / large_batch) / ((large_batch * l - small_batch * s) / (large_batch - small_batch))).item()

# %% noise_scale, wrong: sum of squares of sums
# says: added before they are squared
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    s = small_gradients.sum(1).square().mean()
    l = large_gradients.sum(1).square().mean()
    return ((s - l) / (1 / small_batch - 1 / large_batch) / ((large_batch * l - small_batch * s) / (large_batch - small_batch))).item()

# %% noise_scale, wrong: shape 1
# says: expected one number
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    s = small_gradients.square().sum(1, keepdim=True).mean(0)
    l = large_gradients.square().sum(1, keepdim=True).mean(0)
    return (s - l) / (1 / small_batch - 1 / large_batch) / ((large_batch * l - small_batch * s) / (large_batch - small_batch))

# %% noise_scale, wrong: squeeze
# says: Error
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    b, B = small_batch, large_batch
    s = small_gradients.squeeze().square().sum(1).mean()
    l = large_gradients.square().sum(1).mean()
    return ((s - l) / (1 / b - 1 / B) / ((B * l - b * s) / (B - b))).item()

# %% noise_scale, wrong: the small size of the visible test
# says: from 40 gradients
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    b, B = 2, large_batch
    s = small_gradients.square().sum(1).mean()
    l = large_gradients.square().sum(1).mean()
    return ((s - l) / (1 / b - 1 / B) / ((B * l - b * s) / (B - b))).item()

# %% noise_scale, right: variance form
def noise_scale(small_gradients, large_gradients, small_batch, large_batch):
    s, l = (float((g * g).sum() / g.shape[0]) for g in (small_gradients, large_gradients))
    trace = (s - l) * small_batch * large_batch / (large_batch - small_batch)
    return trace / (l - trace / large_batch)
