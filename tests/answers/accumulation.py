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

