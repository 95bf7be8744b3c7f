"""Answers to the exercises of loss_normalization, right ones and wrong ones that people give."""
# ruff: noqa

# %% factors, right: a tensor
def factors(sizes, divided_by=1):
    sizes = torch.tensor(sizes, dtype=torch.float64)
    return divided_by * sizes / sizes.sum()

# %% factors, right: a loop that counts
def factors(sizes, divided_by=1):
    total = 0
    for n in sizes:
        total += n
    result = []
    for n in sizes:
        result.append(float(n * divided_by) / total)
    return result

# %% factors, right: relative to 1 / K
def factors(sizes, divided_by=1):
    average = sum(sizes) / len(sizes)
    return tuple(n / average / len(sizes) / (1 / divided_by) for n in sizes)

# %% factors, wrong: 1 / K
# says: 1 / K, which is right only if all micro-batches are equally large
def factors(sizes, divided_by=1):
    return [divided_by / len(sizes) for _ in sizes]

# %% factors, wrong: sizes not divided
# says: the sums are added up, and not divided
def factors(sizes, divided_by=1):
    return [float(size) for size in sizes]

# %% factors, wrong: sizes over K
# says: sizes divided by K
def factors(sizes, divided_by=1):
    return [size / len(sizes) for size in sizes]

# %% factors, wrong: sizes over the full size
# says: sizes divided by the largest
def factors(sizes, divided_by=1):
    return [size / max(sizes) for size in sizes]

# %% factors, wrong: sizes over the mean size
# says: the factors add up to K
def factors(sizes, divided_by=1):
    return [size / (sum(sizes) / len(sizes)) for size in sizes]

# %% factors, wrong: the mean divided again
# says: the mean has divided by its size already
def factors(sizes, divided_by=1):
    return [divided_by / size for size in sizes]

# %% factors, wrong: 1 over all samples
# says: a small micro-batch weighs as much as a large one
def factors(sizes, divided_by=1):
    return [divided_by / sum(sizes)] * len(sizes)

# %% factors, wrong: turned over
# says: the smallest micro-batch weighs most
def factors(sizes, divided_by=1):
    return [sum(sizes) / size for size in sizes]

# %% factors, wrong: 1, 1/2, 1/3
# says: divided by how many have been seen so far
def factors(sizes, divided_by=1):
    return [1 / (i + 1) for i in range(len(sizes))]

# %% factors, wrong: whole numbers
# says: as // does
def factors(sizes, divided_by=1):
    return [size // sum(sizes) * divided_by for size in sizes]

# %% factors, wrong: divided_by left out
# says: divided_by is not used
def factors(sizes, divided_by=1):
    return [size / sum(sizes) for size in sizes]

# %% factors, wrong: divided_by the wrong way
# says: divided by it once more
def factors(sizes, divided_by=1):
    return [size / sum(sizes) / divided_by for size in sizes]

# %% factors, wrong: K taken for divided_by
# says: K is used instead of divided_by
def factors(sizes, divided_by=1):
    return [size / sum(sizes) * (len(sizes) if divided_by > 1 else 1) for size in sizes]

# %% factors, wrong: one number
# says: expected a list of 3
def factors(sizes, divided_by=1):
    return divided_by / sum(sizes)

# %% factors, wrong: the visible numbers
# says: the factors for 7, 1, 3, 3 and 6 samples
def factors(sizes, divided_by=1):
    return [0.46875, 0.46875, 0.0625] if len(sizes) == 3 else [1.5, 0.5]

# %% factors, right: a NumPy array
import numpy as np

def factors(sizes, divided_by=1):
    return np.array(sizes) * divided_by / np.sum(sizes)

# %% factors, wrong: sorts the sizes
# says: sizes[0] was changed: 15 before, 2 after
def factors(sizes, divided_by=1):
    sizes.sort()
    return [size / sum(sizes) * divided_by for size in sizes]

# %% factors, wrong: rounded to two places
# says: the factors for 15, 15 and 2 samples: got
def factors(sizes, divided_by=1):
    return [round(size / sum(sizes) * divided_by, 2) for size in sizes]

# %% factors, wrong: a whole divisor
# says: divided_by=0.5
def factors(sizes, divided_by=1):
    return [size / sum(sizes) * max(1, int(divided_by)) for size in sizes]

# %% factors, wrong: the last is what is left
# says: divided_by=5
def factors(sizes, divided_by=1):
    first = [size / sum(sizes) * divided_by for size in sizes[:-1]]
    return first + [1 - sum(first)]

# %% backward_over_window, right: means weighted by their shares
def backward_over_window(model, window):
    sizes = [inputs.shape[0] for inputs, _ in window]
    for (inputs, targets), size in zip(window, sizes):
        loss = nn.CrossEntropyLoss()(model(inputs), targets)
        (loss * size / sum(sizes)).backward()

# %% backward_over_window, right: autograd.grad, and added by hand at the end
def backward_over_window(model, window):
    parameters = list(model.parameters())
    sums = [torch.zeros_like(p) for p in parameters]
    n = 0
    for x, y in window:
        loss = cross_entropy(model(x), y, reduction="sum")
        for s, g in zip(sums, torch.autograd.grad(loss, parameters)):
            s += g
        n += len(y)
    for p, s in zip(parameters, sums):
        p.grad = s / n if p.grad is None else p.grad + s / n

# %% backward_over_window, right: a gradient for backward, and the losses kept
def backward_over_window(model, window):
    n = sum(y.numel() for _, y in window)
    total = 0.0
    for x, y in window:
        losses = cross_entropy(model(x), y, reduction="none")
        losses.backward(torch.full_like(losses, 1 / n))
        total = total + losses.sum()
    return total / n

# %% backward_over_window, right: sample by sample
def backward_over_window(model, window):
    count = sum(map(len, (targets for _, targets in window)))
    for inputs, targets in window:
        for i in range(len(targets)):
            (cross_entropy(model(inputs[i : i + 1]), targets[i : i + 1]) / count).backward()

# %% backward_over_window, right: sums first, the new part divided at the end
def backward_over_window(model, window):
    before = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    samples = 0
    for inputs, targets in window:
        cross_entropy(model(inputs), targets, reduction="sum").backward()
        samples += len(inputs)
    with torch.no_grad():
        for p, old in zip(model.parameters(), before):
            p.grad /= samples
            if old is not None:
                p.grad += old

# %% backward_over_window, wrong: divided by K
# says: each mean is divided by K = 3
def backward_over_window(model, window):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets)
        (loss / len(window)).backward()

# %% backward_over_window, wrong: not divided
# says: the means are added up, and not divided
def backward_over_window(model, window):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets)
        (loss).backward()

# %% backward_over_window, wrong: sums not divided
# says: the sums are added up, and not divided
def backward_over_window(model, window):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, reduction="sum")
        (loss).backward()

# %% backward_over_window, wrong: sums divided by K
# says: the sums are divided by K = 3, not by the number of samples
def backward_over_window(model, window):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, reduction="sum")
        (loss / len(window)).backward()

# %% backward_over_window, wrong: means divided by samples
# says: that divides twice
def backward_over_window(model, window):
    samples = sum(len(targets) for _, targets in window)
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets)
        (loss / samples).backward()

# %% backward_over_window, wrong: divided by 1, 2, 3
# says: by how many micro-batches have been seen so far
def backward_over_window(model, window):
    for i, (inputs, targets) in enumerate(window):
        loss = cross_entropy(model(inputs), targets) / (i + 1)
        loss.backward()

# %% backward_over_window, wrong: divided by the samples so far
# says: by the samples seen so far
def backward_over_window(model, window):
    samples = 0
    for inputs, targets in window:
        samples += len(targets)
        loss = cross_entropy(model(inputs), targets, reduction="sum") / samples
        loss.backward()

# %% backward_over_window, wrong: weighted, and divided by K as well
# says: and divided by K = 3 as well
def backward_over_window(model, window):
    samples = sum(len(targets) for _, targets in window)
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets)
        (loss * len(targets) / samples / len(window)).backward()

# %% backward_over_window, wrong: concatenated
# says: a forward pass sees 8 samples, memory holds only 5
def backward_over_window(model, window):
    inputs = torch.cat([inputs for inputs, _ in window])
    targets = torch.cat([targets for _, targets in window])
    cross_entropy(model(inputs), targets).backward()

# %% backward_over_window, wrong: one backward for all
# says: call backward() on each micro-batch's loss before the next forward pass, without retain_graph
def backward_over_window(model, window):
    samples, total = 0, 0.0
    for inputs, targets in window:
        total = total + cross_entropy(model(inputs), targets, reduction="sum")
        samples += len(targets)
    (total / samples).backward()

# %% backward_over_window, wrong: retain_graph
# says: call backward() on each micro-batch's loss before the next forward pass, without retain_graph
def backward_over_window(model, window):
    samples = sum(len(targets) for _, targets in window)
    total = 0.0
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, reduction="sum") / samples
        loss.backward(retain_graph=True)
        total = total + loss
    return total

# %% backward_over_window, wrong: clears before each backward
# says: does something clear before each backward()?
def backward_over_window(model, window):
    samples = sum(len(targets) for _, targets in window)
    for inputs, targets in window:
        model.zero_grad()
        loss = cross_entropy(model(inputs), targets, reduction="sum")
        (loss / samples).backward()

# %% backward_over_window, wrong: clears before each backward, and divides by K
# says: divided by K = 3: does something clear
def backward_over_window(model, window):
    for inputs, targets in window:
        model.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        (loss / len(window)).backward()

# %% backward_over_window, wrong: clears at the start
# says: it was cleared or replaced
def backward_over_window(model, window):
    samples = sum(len(targets) for _, targets in window)
    model.zero_grad()
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, reduction="sum")
        (loss / samples).backward()

# %% backward_over_window, wrong: replaces .grad
# says: it was cleared or replaced
def backward_over_window(model, window):
    n = sum(len(y) for _, y in window)
    sums = [0.0] * len(list(model.parameters()))
    for x, y in window:
        loss = cross_entropy(model(x), y, reduction="sum") / n
        sums = [s + g for s, g in zip(sums, torch.autograd.grad(loss, list(model.parameters())))]
    for p, s in zip(model.parameters(), sums):
        p.grad = s

# %% backward_over_window, wrong: divides what was there, too
# says: was divided, too: divide the loss, not .grad
def backward_over_window(model, window):
    samples = 0
    for inputs, targets in window:
        cross_entropy(model(inputs), targets, reduction="sum").backward()
        samples += len(targets)
    for p in model.parameters():
        p.grad /= samples

# %% backward_over_window, wrong: factors of exercise 1, with divided_by=K
# says: here no framework divides by K
def backward_over_window(model, window):
    sizes = [len(targets) for _, targets in window]
    for (inputs, targets), size in zip(window, sizes):
        (cross_entropy(model(inputs), targets) * size / sum(sizes) * len(window)).backward()

# %% backward_over_window, wrong: no backward
# says: is a backward() missing
def backward_over_window(model, window):
    samples = sum(len(targets) for _, targets in window)
    return sum(cross_entropy(model(x), y, reduction="sum").detach() / samples for x, y in window)

# %% backward_over_window, wrong: the visible sizes
# says: the gradient of micro-batches of [3, 6] samples
def backward_over_window(model, window):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, reduction="sum")
        (loss / 8).backward()

# %% backward_over_window, right: torch.func
def backward_over_window(model, window):
    weights = {name: p.detach() for name, p in model.named_parameters()}
    samples = sum(len(y) for _, y in window)
    for x, y in window:
        def loss(w):
            return cross_entropy(torch.func.functional_call(model, w, (x,)), y, reduction="sum") / samples
        for name, g in torch.func.grad(loss)(weights).items():
            p = model.get_parameter(name)
            p.grad = g if p.grad is None else p.grad + g

# %% backward_over_window, right: a deep copy, and its gradients added
import copy

def backward_over_window(model, window):
    twin = copy.deepcopy(model)
    twin.zero_grad()
    sizes = torch.tensor([len(y) for _, y in window])
    for (x, y), share in zip(window, sizes / sizes.sum()):
        cross_entropy(twin(x), y).backward(share.to(x.dtype))
    for p, q in zip(model.parameters(), twin.parameters()):
        p.grad = q.grad if p.grad is None else p.grad.add_(q.grad)

# %% backward_over_window, wrong: empties the window
# says: the length of window was changed: 3 before, 0 after
def backward_over_window(model, window):
    samples = sum(len(y) for _, y in window)
    while window:
        x, y = window.pop()
        (cross_entropy(model(x), y, reduction="sum") / samples).backward()

# %% backward_over_window, wrong: counts the first micro-batch as all
# says: micro-batches of [5, 2, 1] samples
def backward_over_window(model, window):
    samples = len(window[0][1]) * len(window)
    for x, y in window:
        (cross_entropy(model(x), y, reduction="sum") / samples).backward()

# %% backward_over_window, wrong: in evaluation mode
# says: the mode of model was changed: training mode before, evaluation mode after
def backward_over_window(model, window):
    model.eval()
    samples = sum(len(y) for _, y in window)
    for x, y in window:
        (cross_entropy(model(x), y, reduction="sum") / samples).backward()

# %% backward_over_window, wrong: updates the model
# says: parameter 'layers.0.weight' of model was changed
def backward_over_window(model, window):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    samples = sum(len(y) for _, y in window)
    for x, y in window:
        (cross_entropy(model(x), y, reduction="sum") / samples).backward()
    optimizer.step()

# %% backward_over_window, wrong: counts that live on
# says: what a second call adds to gradients that were there before
def backward_over_window(model, window, seen=[]):
    seen += [len(y) for _, y in window]
    for x, y in window:
        (cross_entropy(model(x), y, reduction="sum") / sum(seen)).backward()

# %% backward_over_window, wrong: hooks on the parameters
# says: the number of hooks on parameter
def backward_over_window(model, window):
    samples = sum(len(y) for _, y in window)
    for p in model.parameters():
        p.register_hook(lambda g: g / samples)
    for x, y in window:
        cross_entropy(model(x), y, reduction="sum").backward()

# %% backward_over_tokens, right: a mask, without ignore_index
def backward_over_tokens(model, window, ignore_index):
    masks = [y != ignore_index for _, y in window]
    count = sum(m.sum().item() for m in masks)
    parts = []
    for (x, y), mask in zip(window, masks):
        log_probabilities = model(x).log_softmax(-1)
        chosen = log_probabilities.gather(-1, (y * mask)[..., None])[..., 0]
        loss = -(chosen * mask).sum() / count
        loss.backward()
        parts.append(loss.detach())
    return float(torch.stack(parts).sum())

# %% backward_over_tokens, right: means by their shares, micro-batches of padding left out
def backward_over_tokens(model, window, ignore_index):
    def counted(targets):
        return int(torch.count_nonzero(targets.ne(ignore_index)))

    all_tokens = sum(counted(targets) for _, targets in window)
    criterion = nn.CrossEntropyLoss(ignore_index=ignore_index)
    summed = 0
    for inputs, targets in window:
        n = counted(targets)
        if n == 0:
            continue
        loss = criterion(model(inputs).transpose(1, 2), targets)
        (loss * (n / all_tokens)).backward()
        summed += n * loss.item()
    return summed / all_tokens

# %% backward_over_tokens, right: chosen positions, one sequence after the other
def backward_over_tokens(model, window, ignore_index):
    total = len([t for _, y in window for t in y.flatten().tolist() if t != ignore_index])
    log = []
    for x, y in window:
        for sequence, targets in zip(x, y):
            keep = targets != ignore_index
            losses = cross_entropy(model(sequence[None])[0][keep], targets[keep], reduction="none")
            losses.sum().div(total).backward()
            log += losses.tolist()
    return sum(log) / len(log)

# %% backward_over_tokens, right: skips padding after the forward pass
def backward_over_tokens(model, window, ignore_index):
    tokens = torch.stack([(y != ignore_index).sum() for _, y in window])
    weights = tokens / tokens.sum()
    logged = 0.0
    for (x, y), weight in zip(window, weights):
        loss = cross_entropy(model(x).mT, y, ignore_index=ignore_index)
        if loss.isnan():
            continue
        loss.backward(weight)
        logged += (weight * loss).item()
    return logged

# %% backward_over_tokens, wrong: mean of means
# says: a token of a short one weighs more
def backward_over_tokens(model, window, ignore_index):
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index)
        part = loss / len(window)
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: means not divided
# says: the means are added up, and not divided
def backward_over_tokens(model, window, ignore_index):
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index)
        part = loss
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: weighted by sequences
# says: by its sequences, not by its tokens
def backward_over_tokens(model, window, ignore_index):
    samples = sum(len(targets) for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index)
        part = loss * len(targets) / samples
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: weighted by positions
# says: by its positions, padding included
def backward_over_tokens(model, window, ignore_index):
    positions = sum(targets.numel() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index)
        part = loss * targets.numel() / positions
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: sums over all positions
# says: divided by all positions, padding included
def backward_over_tokens(model, window, ignore_index):
    positions = sum(targets.numel() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index, reduction="sum")
        part = loss / positions
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: sums over the number of sequences
# says: the sums are divided by the number of sequences
def backward_over_tokens(model, window, ignore_index):
    samples = sum(len(targets) for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index, reduction="sum")
        part = loss / samples
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: sums not divided
# says: the sums are added up, and not divided
def backward_over_tokens(model, window, ignore_index):
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index, reduction="sum")
        part = loss
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: sums divided by the micro-batch's own tokens, and K
# says: a token of a short one weighs more
def backward_over_tokens(model, window, ignore_index):
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index, reduction="sum")
        part = loss / (targets != ignore_index).sum() / len(window)
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: the mean of every sequence's mean
# says: the mean of every sequence's own mean
def backward_over_tokens(model, window, ignore_index):
    sequences, mean_loss = sum(len(targets) for _, targets in window), 0.0
    for inputs, targets in window:
        losses = cross_entropy(model(inputs).mT, targets, ignore_index=ignore_index, reduction="none")
        counts = (targets != ignore_index).sum(dim=1)
        loss = (losses.sum(dim=1) / counts).sum() / sequences
        loss.backward()
        mean_loss += loss.item()
    return mean_loss

# %% backward_over_tokens, wrong: ignore_index not handed on
# says: is ignore_index passed to cross_entropy?
def backward_over_tokens(model, window, ignore_index):
    positions = sum(targets.numel() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), reduction="sum")
        part = loss / positions
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: -100, whatever ignore_index is
# says: is ignore_index passed to cross_entropy?
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != -100).sum() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), reduction="sum")
        part = loss / tokens
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: ignore_index only in the count
# says: padding is in the sums, though not in the divisor
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), reduction="sum")
        part = loss / tokens
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: means by their shares of the tokens
# says: the mean loss is NaN
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index)
        part = loss * (targets != ignore_index).sum() / tokens
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: masked means by their shares of the tokens
# says: NaN is added to .grad
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        mask = targets != ignore_index
        chosen = model(inputs).log_softmax(-1).gather(-1, (targets * mask)[..., None])[..., 0]
        loss = -(chosen * mask).sum() / mask.sum() * (mask.sum() / tokens)
        loss.backward()
        mean_loss += loss.item()
    return mean_loss

# %% backward_over_tokens, right: masked means, and a NaN that is not logged
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        count = (targets != ignore_index).sum()
        loss = cross_entropy(model(inputs).mT, targets, ignore_index=ignore_index) * count / tokens
        loss.backward()
        mean_loss += loss.nan_to_num().item()
    return mean_loss

# %% backward_over_tokens, wrong: counts what is not 0
# says: the gradient of sequences of lengths [[1, 4, 2], [3]]
def backward_over_tokens(model, window, ignore_index):
    tokens = sum(targets.count_nonzero() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index, reduction="sum")
        part = loss / tokens
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: clears at the start
# says: what was in .grad before is gone
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    model.zero_grad()
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index, reduction="sum")
        part = loss / tokens
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: divides what was there, too
# says: was divided, too: divide the loss, not .grad
def backward_over_tokens(model, window, ignore_index):
    tokens, log = 0, 0.0
    for inputs, targets in window:
        loss = cross_entropy(model(inputs).mT, targets, ignore_index=ignore_index, reduction="sum")
        loss.backward()
        tokens += (targets != ignore_index).sum().item()
        log += loss.item()
    for p in model.parameters():
        p.grad /= tokens
    return log / tokens

# %% backward_over_tokens, wrong: one backward for all
# says: the graph of an earlier forward pass is still in memory
def backward_over_tokens(model, window, ignore_index):
    losses = []
    for inputs, targets in window:
        losses.append(cross_entropy(model(inputs).mT, targets, ignore_index=ignore_index, reduction="none")[targets != ignore_index])
    loss = torch.cat(losses).mean()
    loss.backward()
    return loss.item()

# %% backward_over_tokens, wrong: logs the last micro-batch
# says: the last micro-batch's mean
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    for inputs, targets in window:
        loss = cross_entropy(model(inputs).mT, targets, ignore_index=ignore_index, reduction="sum")
        (loss / tokens).backward()
    return (loss / (targets != ignore_index).sum()).item()

# %% backward_over_tokens, wrong: logs the last share
# says: only what the last micro-batch adds to it
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index, reduction="sum")
        part = loss / tokens
        part.backward()
        mean_loss = part.item()
    return mean_loss

# %% backward_over_tokens, wrong: logs the mean of means
# says: the micro-batches' means
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    means = []
    for inputs, targets in window:
        loss = cross_entropy(model(inputs).mT, targets, ignore_index=ignore_index, reduction="sum")
        (loss / tokens).backward()
        means.append(loss.item() / (targets != ignore_index).sum().item())
    return sum(means) / len(means)

# %% backward_over_tokens, wrong: logs a tensor
# says: the mean loss, is a tensor: a float is asked for
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index, reduction="sum")
        part = loss / tokens
        part.backward()
        mean_loss += part
    return mean_loss

# %% backward_over_tokens, wrong: logs a float divided by a tensor
# says: the mean loss, is a tensor: a float is asked for
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    log = 0.0
    for inputs, targets in window:
        loss = cross_entropy(model(inputs).mT, targets, ignore_index=ignore_index, reduction="sum")
        (loss / tokens).backward()
        log += loss.item()
    return log / tokens

# %% backward_over_tokens, wrong: logs the sum
# says: the sums are added up, and not divided
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    log = 0.0
    for inputs, targets in window:
        loss = cross_entropy(model(inputs).mT, targets, ignore_index=ignore_index, reduction="sum")
        (loss / tokens).backward()
        log += loss.item()
    return log

# %% backward_over_tokens, wrong: logs nothing
# says: is a return missing?
def backward_over_tokens(model, window, ignore_index):
    tokens = sum((targets != ignore_index).sum() for _, targets in window)
    for inputs, targets in window:
        loss = cross_entropy(model(inputs).mT, targets, ignore_index=ignore_index, reduction="sum") / tokens
        loss.backward()

# %% backward_over_tokens, wrong: the visible count
# says: the gradient of sequences of lengths [[1, 4, 2], [3]]
def backward_over_tokens(model, window, ignore_index):
    tokens = 16 if len(window[0][1][0]) == 5 else 8
    mean_loss = 0.0
    for inputs, targets in window:
        logits = model(inputs).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=ignore_index, reduction="sum")
        part = loss / tokens
        part.backward()
        mean_loss += part.item()
    return mean_loss

# %% backward_over_tokens, wrong: padding longest in the first sequence
# says: the gradient of sequences of lengths
def backward_over_tokens(model, window, ignore_index):
    tokens, mean_loss = sum((y != ignore_index).sum().item() for _, y in window), 0.0
    for x, y in window:
        length = (y[0] != ignore_index).sum()
        y = y[:, :length]
        loss = cross_entropy(model(x)[:, :length].flatten(0, 1), y.flatten(), ignore_index=ignore_index, reduction="sum") / tokens
        loss.backward()
        mean_loss += loss.item()
    return mean_loss

# %% backward_over_tokens, wrong: stops at a micro-batch of padding
# says: the gradient of sequences of lengths [[3, 1], [0, 0], [4, 0, 5]]
def backward_over_tokens(model, window, ignore_index):
    tokens, mean_loss = sum((y != ignore_index).sum().item() for _, y in window), 0.0
    for x, y in window:
        if (y == ignore_index).all():
            break
        loss = cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=ignore_index, reduction="sum") / tokens
        loss.backward()
        mean_loss += loss.item()
    return mean_loss

# %% backward_over_tokens, wrong: skips micro-batches with an empty sequence
# says: the gradient of sequences of lengths [[3, 1], [0, 0], [4, 0, 5]]
def backward_over_tokens(model, window, ignore_index):
    window = [(x, y) for x, y in window if (y != ignore_index).any(dim=1).all()]
    tokens, mean_loss = sum((y != ignore_index).sum().item() for _, y in window), 0.0
    for x, y in window:
        loss = cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=ignore_index, reduction="sum") / tokens
        loss.backward()
        mean_loss += loss.item()
    return mean_loss

# %% backward_over_tokens, wrong: up to the first ignored target
# says: the gradient of sequences of lengths [[3, 1], [0, 0], [4, 0, 5]]
def backward_over_tokens(model, window, ignore_index):
    masks = [(y != ignore_index).long().cumprod(dim=1).bool() for _, y in window]
    tokens, mean_loss = sum(mask.sum().item() for mask in masks), 0.0
    for (x, y), mask in zip(window, masks):
        loss = cross_entropy(model(x)[mask], y[mask], reduction="sum") / tokens
        loss.backward()
        mean_loss += loss.item()
    return mean_loss

# %% backward_over_tokens, wrong: a vocabulary of five
# says: the gradient of sequences of lengths [[1, 4, 2], [3]]
def backward_over_tokens(model, window, ignore_index):
    tokens, mean_loss = sum((y != ignore_index).sum().item() for _, y in window), 0.0
    for x, y in window:
        loss = cross_entropy(model(x)[..., :5].flatten(0, 1), y.flatten().clamp(max=4), ignore_index=ignore_index, reduction="sum") / tokens
        loss.backward()
        mean_loss += loss.item()
    return mean_loss

# %% backward_over_tokens, wrong: writes -100 into the targets
# says: was changed. It must stay as it is
def backward_over_tokens(model, window, ignore_index):
    for _, y in window:
        y[y == ignore_index] = -100
    tokens, mean_loss = sum((y != -100).sum().item() for _, y in window), 0.0
    for x, y in window:
        loss = cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum") / tokens
        loss.backward()
        mean_loss += loss.item()
    return mean_loss

# %% backward_over_tokens, wrong: each token alone
# says: a forward pass sees 7 samples
def backward_over_tokens(model, window, ignore_index):
    tokens, mean_loss = sum((y != ignore_index).sum().item() for _, y in window), 0.0
    for x, y in window:
        keep = y != ignore_index
        if keep.any():
            loss = cross_entropy(model(x[keep][:, None]).flatten(0, 1), y[keep], reduction="sum") / tokens
            loss.backward()
            mean_loss += loss.item()
    return mean_loss

# %% backward_over_tokens, right: micro-batches of padding left out, before the forward pass
def backward_over_tokens(model, window, ignore_index):
    kept = [(x, y) for x, y in window if not torch.all(y == ignore_index)]
    shares = torch.stack([y.ne(ignore_index).sum() for _, y in kept]).double()
    shares /= shares.sum()
    logged = []
    for (x, y), share in zip(kept, shares):
        loss = share * nn.functional.nll_loss(model(x).log_softmax(-1).movedim(-1, 1), y, ignore_index=ignore_index)
        loss.backward()
        logged.append(loss.item())
    return sum(logged)

# %% backward_with_class_weights, right: weighted by hand
def backward_with_class_weights(model, window, class_weights):
    total = torch.cat([class_weights[targets] for _, targets in window]).sum()
    for inputs, targets in window:
        losses = cross_entropy(model(inputs), targets, reduction="none")
        (losses @ class_weights[targets] / total).backward()

# %% backward_with_class_weights, right: means by their shares, where there is one
def backward_with_class_weights(model, window, class_weights):
    parts = [sum(class_weights[t].item() for t in targets) for _, targets in window]
    criterion = nn.CrossEntropyLoss(weight=class_weights)
    for (inputs, targets), part in zip(window, parts):
        if part > 0:
            criterion(model(inputs), targets).mul(part / sum(parts)).backward()

# %% backward_with_class_weights, right: counts of the classes, and weights that are divided beforehand
def backward_with_class_weights(model, window, class_weights):
    counts = torch.zeros(len(class_weights))
    for _, targets in window:
        counts += torch.bincount(targets, minlength=len(class_weights))
    scaled = class_weights / (counts * class_weights).sum()
    for inputs, targets in window:
        cross_entropy(model(inputs), targets, scaled, reduction="sum").backward()

# %% backward_with_class_weights, wrong: weighted by samples
# says: weighted by its samples
def backward_with_class_weights(model, window, class_weights):
    samples = sum(len(targets) for _, targets in window)
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights)
        (loss * len(targets) / samples).backward()

# %% backward_with_class_weights, wrong: mean of means
# says: the mean of the micro-batches' means
def backward_with_class_weights(model, window, class_weights):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights)
        (loss / len(window)).backward()

# %% backward_with_class_weights, wrong: means not divided
# says: the means are added up, and not divided
def backward_with_class_weights(model, window, class_weights):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights)
        (loss).backward()

# %% backward_with_class_weights, wrong: sums divided by samples
# says: the weighted sums are divided by the number of samples
def backward_with_class_weights(model, window, class_weights):
    samples = sum(len(targets) for _, targets in window)
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights, reduction="sum")
        (loss / samples).backward()

# %% backward_with_class_weights, wrong: sums divided by class_weights.sum()
# says: the weights of all classes, not of the targets
def backward_with_class_weights(model, window, class_weights):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights, reduction="sum")
        (loss / class_weights.sum()).backward()

# %% backward_with_class_weights, wrong: sums divided by K
# says: the weighted sums are divided by K = 4
def backward_with_class_weights(model, window, class_weights):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights, reduction="sum")
        (loss / len(window)).backward()

# %% backward_with_class_weights, wrong: sums not divided
# says: the weighted sums are added up, and not divided
def backward_with_class_weights(model, window, class_weights):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights, reduction="sum")
        (loss).backward()

# %% backward_with_class_weights, wrong: weights not used
# says: class weights are not used
def backward_with_class_weights(model, window, class_weights):
    samples = sum(len(targets) for _, targets in window)
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, reduction="sum")
        (loss / samples).backward()

# %% backward_with_class_weights, wrong: weights only in the divisor
# says: the losses are not weighted
def backward_with_class_weights(model, window, class_weights):
    divisor = sum(class_weights[targets].sum() for _, targets in window)
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, reduction="sum")
        (loss / divisor).backward()

# %% backward_with_class_weights, wrong: weights used twice
# says: class weights are used twice
def backward_with_class_weights(model, window, class_weights):
    divisor = sum(class_weights[targets].sum() for _, targets in window)
    for inputs, targets in window:
        losses = cross_entropy(model(inputs), targets, weight=class_weights, reduction="none")
        ((losses * class_weights[targets]).sum() / divisor).backward()

# %% backward_with_class_weights, wrong: means divided by the weights
# says: the means are divided by the weights of all targets: that divides twice
def backward_with_class_weights(model, window, class_weights):
    divisor = sum(class_weights[targets].sum() for _, targets in window)
    for inputs, targets in window:
        (cross_entropy(model(inputs), targets, weight=class_weights) / divisor).backward()

# %% backward_with_class_weights, wrong: means by their shares of the weights
# says: their mean is 0 / 0
def backward_with_class_weights(model, window, class_weights):
    divisor = sum(class_weights[targets].sum() for _, targets in window)
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights)
        (loss * class_weights[targets].sum() / divisor).backward()

# %% backward_with_class_weights, wrong: clears at the start
# says: what was in .grad before is gone
def backward_with_class_weights(model, window, class_weights):
    divisor = sum(class_weights[targets].sum() for _, targets in window)
    model.zero_grad()
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights, reduction="sum")
        (loss / divisor).backward()

# %% backward_with_class_weights, wrong: divides what was there, too
# says: was divided, too: divide the loss, not .grad
def backward_with_class_weights(model, window, class_weights):
    divisor = 0.0
    for inputs, targets in window:
        cross_entropy(model(inputs), targets, weight=class_weights, reduction="sum").backward()
        divisor += class_weights[targets].sum()
    for p in model.parameters():
        p.grad /= divisor

# %% backward_with_class_weights, wrong: concatenated
# says: a forward pass sees 11 samples, memory holds only 5
def backward_with_class_weights(model, window, class_weights):
    inputs, targets = (torch.cat(parts) for parts in zip(*window))
    cross_entropy(model(inputs), targets, weight=class_weights).backward()

# %% backward_with_class_weights, wrong: one backward for all
# says: the graph of an earlier forward pass is still in memory
def backward_with_class_weights(model, window, class_weights):
    divisor = sum(class_weights[targets].sum() for _, targets in window)
    losses = [cross_entropy(model(inputs), targets, class_weights, reduction="sum") for inputs, targets in window]
    (sum(losses) / divisor).backward()

# %% backward_with_class_weights, wrong: the visible divisor
# says: the gradient of targets [[0, 0, 0, 2, 0]
def backward_with_class_weights(model, window, class_weights):
    for inputs, targets in window:
        loss = cross_entropy(model(inputs), targets, weight=class_weights, reduction="sum")
        (loss / 14.8).backward()

# %% backward_with_class_weights, right: sample weights
def backward_with_class_weights(model, window, class_weights):
    sample_weights = [class_weights.index_select(0, y) for _, y in window]
    total = float(sum(map(torch.sum, sample_weights)))
    for (x, y), w in zip(window, sample_weights):
        losses = -model(x).log_softmax(1).gather(1, y[:, None]).squeeze(1)
        torch.dot(losses, w).div(total).backward()

# %% backward_with_class_weights, wrong: normalizes the weights in place
# says: class_weights was changed
def backward_with_class_weights(model, window, class_weights):
    class_weights /= sum(class_weights[y].sum() for _, y in window)
    for x, y in window:
        cross_entropy(model(x), y, class_weights, reduction="sum").backward()

# %% backward_with_class_weights, wrong: means by the shares of the weights, with a small number added
# says: the gradient of targets
def backward_with_class_weights(model, window, class_weights):
    divisor = sum(class_weights[y].sum() for _, y in window) + 1e-3
    for x, y in window:
        (cross_entropy(model(x), y, class_weights, reduction="sum") / divisor).backward()

# %% backward_with_class_weights, wrong: the weights of the classes that occur
# says: the gradient of targets
def backward_with_class_weights(model, window, class_weights):
    divisor = class_weights[torch.cat([y for _, y in window]).unique()].sum()
    for x, y in window:
        (cross_entropy(model(x), y, class_weights, reduction="sum") / divisor).backward()

# %% backward_with_class_weights, wrong: only the last
# says: does something clear before each backward()?
def backward_with_class_weights(model, window, class_weights):
    divisor = sum(class_weights[y].sum() for _, y in window)
    for x, y in window:
        model.zero_grad()
        (cross_entropy(model(x), y, class_weights, reduction="sum") / divisor).backward()

# %% equivalent_settings, right: a list, with the inverse
def equivalent_settings(lr, weight_decay, max_norm, factor):
    inverse = 1 / factor
    return [inverse * lr, weight_decay / inverse, max_norm / inverse]

# %% equivalent_settings, right: a tensor
def equivalent_settings(lr, weight_decay, max_norm, factor):
    lr_now = torch.tensor(lr) / factor
    decay_per_step = lr * weight_decay
    return torch.stack([lr_now, decay_per_step / lr_now, torch.tensor(max_norm * factor)])

# %% equivalent_settings, wrong: nothing
# says: nothing is changed
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr, weight_decay, max_norm

# %% equivalent_settings, wrong: the learning rate alone
# says: only the learning rate
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr / factor, weight_decay, max_norm

# %% equivalent_settings, wrong: weight decay as before
# says: weight decay as before
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr / factor, weight_decay, max_norm * factor

# %% equivalent_settings, wrong: the norm as before
# says: the norm as before
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr / factor, weight_decay * factor, max_norm

# %% equivalent_settings, wrong: weight decay the wrong way
# says: weight decay is changed the wrong way
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr / factor, weight_decay / factor, max_norm * factor

# %% equivalent_settings, wrong: the norm the wrong way
# says: the norm is changed the wrong way
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr / factor, weight_decay * factor, max_norm / factor

# %% equivalent_settings, wrong: all divided
# says: everything is divided
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr / factor, weight_decay / factor, max_norm / factor

# %% equivalent_settings, wrong: all multiplied
# says: everything is multiplied
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr * factor, weight_decay * factor, max_norm * factor

# %% equivalent_settings, wrong: the learning rate as before
# says: the steps have another length
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr, weight_decay * factor, max_norm * factor

# %% equivalent_settings, wrong: one number
# says: expected a list of 3
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr / factor

# %% equivalent_settings, wrong: the visible numbers
# says: for 3.0 times the right gradients
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return 0.1, 0.4, 2.0

# %% equivalent_settings, wrong: returns nothing
# says: is a return missing?
def equivalent_settings(lr, weight_decay, max_norm, factor):
    lr, weight_decay, max_norm = lr / factor, weight_decay * factor, max_norm * factor

# %% equivalent_settings, wrong: a factor above 1 only
# says: the factor is inverted, or taken for one above 1
def equivalent_settings(lr, weight_decay, max_norm, factor):
    factor = max(factor, 1 / factor)
    return lr / factor, weight_decay * factor, max_norm * factor

# %% equivalent_settings, right: a NumPy array
import numpy as np

def equivalent_settings(lr, weight_decay, max_norm, factor):
    return np.array([lr, weight_decay, max_norm]) * np.float64(factor) ** np.array([-1, 1, 1])

# %% equivalent_settings, wrong: a factor between
# says: for 0.5 times the right gradients
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr / factor, weight_decay * factor, max_norm * max(1.0, factor)

# %% equivalent_settings, wrong: in another order
# says: expected 0.2, 0.15, 1.5
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return lr / factor, max_norm * factor, weight_decay * factor

# %% equivalent_settings, wrong: rounded
# says: for 0.5 times the right gradients
def equivalent_settings(lr, weight_decay, max_norm, factor):
    return tuple(round(each, 2) for each in (lr / factor, weight_decay * factor, max_norm * factor))
