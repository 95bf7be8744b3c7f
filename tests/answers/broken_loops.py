"""Answers to the exercises of broken_loops, right ones and wrong ones that people give."""
# ruff: noqa

# %% loop_1, right: clears after the step
def loop_1(model, optimizer, micro_batches, K):
    optimizer.zero_grad()
    for window in windows(micro_batches, K):
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

fault_1 = "cleared too often"

# %% loop_1, right: sums over samples, a counter, no helper
def loop_1(model, optimizer, micro_batches, K):
    n = len(micro_batches)
    for start in range(0, n, K):
        part = micro_batches[start:start + K]
        model.zero_grad()
        samples = sum(y.shape[0] for _, y in part)
        for x, y in part:
            (cross_entropy(model(x), y, reduction="sum") / samples).backward()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, right: gradients added up by hand
def loop_1(model, optimizer, micro_batches, K):
    params = list(model.parameters())
    for window in windows(micro_batches, K):
        sums = [torch.zeros_like(p) for p in params]
        for x, y in window:
            grads = torch.autograd.grad(cross_entropy(model(x), y), params)
            sums = [s + g / len(window) for s, g in zip(sums, grads)]
        for p, s in zip(params, sums):
            p.grad = s
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, right: step(closure)
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        def closure():
            optimizer.zero_grad()
            total = 0.0
            for x, y in window:
                loss = cross_entropy(model(x), y) / len(window)
                loss.backward()
                total += loss.item()
            return total
        optimizer.step(closure)

fault_1 = "cleared too often"

# %% loop_1, right: torch.func
def loop_1(model, optimizer, micro_batches, K):
    def f(ps, x, y):
        return cross_entropy(torch.func.functional_call(model, ps, (x,)), y)
    for window in windows(micro_batches, K):
        grads = [torch.func.grad(f)({n: p.detach() for n, p in model.named_parameters()}, x, y) for x, y in window]
        for n, p in model.named_parameters():
            p.grad = sum(g[n] for g in grads) / len(window)
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: handed back as it was
# says: just as broken_1 does
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        for inputs, targets in window:
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: the line is gone
# says: gradients are never cleared
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: one line too far up
# says: clears once in an epoch, not for each window
def loop_1(model, optimizer, micro_batches, K):
    optimizer.zero_grad()
    for window in windows(micro_batches, K):
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: clears between backward and step
# says: no parameter moves
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.zero_grad()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: steps for each micro-batch instead
# says: each micro-batch has its own update
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        for inputs, targets in window:
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
            optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: the division is taken out, too
# says: the losses are not divided
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets)
            loss.backward()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: the window as one large batch
# says: do not fit into memory
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        inputs = torch.cat([x for x, _ in window])
        targets = torch.cat([y for _, y in window])
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: fixed, and named for the learning rate
# says: which is divided as it should be
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()

fault_1 = "always divided by K"

# %% loop_1, wrong: fixed, and named in words of one's own
# says: which is no key of FAULTS
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()

fault_1 = "zero_grad is in the wrong place"

# %% loop_1, wrong: fixed, and not named
# says: fault_1 is None
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()


raise NotImplementedError

# %% loop_1, wrong: keeps SGD of its own
# says: Is it the optimizer that was handed over?
def loop_1(model, optimizer, micro_batches, K):
    opt = torch.optim.SGD(model.parameters(), lr=optimizer.param_groups[0]["lr"])
    for window in windows(micro_batches, K):
        opt.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        opt.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: steps by hand
# says: 0 calls of step()
def loop_1(model, optimizer, micro_batches, K):
    lr = optimizer.param_groups[0]["lr"]
    for window in windows(micro_batches, K):
        model.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= lr * p.grad

fault_1 = "cleared too often"

# %% loop_1, wrong: pops the micro-batches
# says: the length of micro_batches was changed
def loop_1(model, optimizer, micro_batches, K):
    while micro_batches:
        window = [micro_batches.pop(0) for _ in range(min(K, len(micro_batches)))]
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: one more step at the end
# says: 8 calls of step() in two epochs, expected 6
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: the notebook's batches
# says: uses 'batches' of the notebook
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_1, wrong: divides the learning rate
# says: it is 3 times what it should be
def loop_1(model, optimizer, micro_batches, K):
    lrs = [g["lr"] for g in optimizer.param_groups]
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            cross_entropy(model(inputs), targets).backward()
        for g, lr in zip(optimizer.param_groups, lrs):
            g["lr"] = lr / len(window)
        optimizer.step()
        for g, lr in zip(optimizer.param_groups, lrs):
            g["lr"] = lr

fault_1 = "cleared too often"

# %% loop_1, wrong: trains in evaluation mode
# says: trained on in evaluation mode
def loop_1(model, optimizer, micro_batches, K):
    model.eval()
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
    model.train()

fault_1 = "cleared too often"

# %% loop_1, wrong: clears the optimizer's state with each window
# says: Is the optimizer's state lost
def loop_1(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        optimizer.state.clear()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_1 = "cleared too often"

# %% loop_2, right: windows
def loop_2(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_2 = "always divided by K"

# %% loop_2, right: gradients scaled before the step
def loop_2(model, optimizer, micro_batches, K):
    in_window = 0
    for i, (inputs, targets) in enumerate(micro_batches):
        cross_entropy(model(inputs), targets).backward()
        in_window += 1
        if in_window == K or i == len(micro_batches) - 1:
            for p in model.parameters():
                p.grad /= in_window
            optimizer.step()
            optimizer.zero_grad()
            in_window = 0

fault_2 = "always divided by K"

# %% loop_2, right: where the last window begins
def loop_2(model, optimizer, micro_batches, K):
    n = len(micro_batches)
    rest = n % K
    for i, (inputs, targets) in enumerate(micro_batches):
        divisor = rest if i >= n - rest else K
        (cross_entropy(model(inputs), targets) / divisor).backward()
        if (i + 1) % K == 0 or i + 1 == n:
            optimizer.step()
            optimizer.zero_grad()

fault_2 = "always divided by K"

# %% loop_2, right: divided in a hook of the optimizer
def loop_2(model, optimizer, micro_batches, K):
    size = [0]
    def scale(opt, args, kwargs):
        for g in opt.param_groups:
            for p in g["params"]:
                p.grad.div_(size[0])
    handle = optimizer.register_step_pre_hook(scale)
    for w in windows(micro_batches, K):
        size[0] = len(w)
        for x, y in w: cross_entropy(model(x), y).backward()
        optimizer.step(); optimizer.zero_grad()
    handle.remove()

fault_2 = "always divided by K"

# %% loop_2, wrong: handed back as it was
# says: just as broken_2 does
def loop_2(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        loss = cross_entropy(model(inputs), targets) / K
        loss.backward()
        if (i + 1) % K == 0 or i + 1 == len(micro_batches):
            optimizer.step()
            optimizer.zero_grad()

fault_2 = "always divided by K"

# %% loop_2, wrong: no step at the end
# says: left in .grad
def loop_2(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        loss = cross_entropy(model(inputs), targets) / K
        loss.backward()
        if (i + 1) % K == 0:
            optimizer.step()
            optimizer.zero_grad()

fault_2 = "always divided by K"

# %% loop_2, wrong: the last window is left out
# says: a short last window is dropped
def loop_2(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        if len(window) < K:
            break
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / K).backward()
        optimizer.step()

fault_2 = "always divided by K"

# %% loop_2, wrong: not divided at all
# says: the losses are not divided
def loop_2(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        if (i + 1) % K == 0 or i + 1 == len(micro_batches):
            optimizer.step()
            optimizer.zero_grad()

fault_2 = "always divided by K"

# %% loop_2, wrong: divided by the number of this micro-batch
# says: is divided by k
def loop_2(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        loss = cross_entropy(model(inputs), targets) / (i % K + 1)
        loss.backward()
        if (i + 1) % K == 0 or i + 1 == len(micro_batches):
            optimizer.step()
            optimizer.zero_grad()

fault_2 = "always divided by K"

# %% loop_2, wrong: hard-codes the two that are left over
# says: loop_2, 7 micro-batches, K = 3
def loop_2(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        loss = cross_entropy(model(inputs), targets) / (4 if i < 4 else 2)
        loss.backward()
        if (i + 1) % K == 0 or i + 1 == len(micro_batches):
            optimizer.step()
            optimizer.zero_grad()

fault_2 = "always divided by K"

# %% loop_2, wrong: what is left over, even if nothing is
# says: not finite
def loop_2(model, optimizer, micro_batches, K):
    n = len(micro_batches)
    for i, (inputs, targets) in enumerate(micro_batches):
        in_last_window = i // K == (n - 1) // K
        loss = cross_entropy(model(inputs), targets) / (n % K if in_last_window else K)
        loss.backward()
        if (i + 1) % K == 0 or i + 1 == n:
            optimizer.step()
            optimizer.zero_grad()

fault_2 = "always divided by K"

# %% loop_2, wrong: what is left from this micro-batch on
# says: what is left from *this* micro-batch on
def loop_2(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        loss = cross_entropy(model(inputs), targets) / min(K, len(micro_batches) - i)
        loss.backward()
        if (i + 1) % K == 0 or i + 1 == len(micro_batches):
            optimizer.step()
            optimizer.zero_grad()

fault_2 = "always divided by K"

# %% loop_2, wrong: fixed, and named as dropped
# says: has its own update in time
def loop_2(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_2 = "tail dropped"

# %% loop_2, wrong: a larger learning rate for the last window
# says: it is 0.5 times what it should be
def loop_2(model, optimizer, micro_batches, K):
    n = len(micro_batches)
    rest = n % K
    for i, (inputs, targets) in enumerate(micro_batches):
        (cross_entropy(model(inputs), targets) / K).backward()
        if (i + 1) % K == 0:
            optimizer.step(); optimizer.zero_grad()
    if rest:
        for g in optimizer.param_groups: g["lr"] *= K / rest
        optimizer.step(); optimizer.zero_grad()
        for g in optimizer.param_groups: g["lr"] /= K / rest

fault_2 = "always divided by K"

# %% loop_2, wrong: adds the rest to the last full window
# says: an update has 6 micro-batches, not 4
def loop_2(model, optimizer, micro_batches, K):
    n = len(micro_batches)
    groups = list(windows(micro_batches, K))
    if len(groups) > 1 and len(groups[-1]) < K:
        groups[-2:] = [groups[-2] + groups[-1]]
    for window in groups:
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_2 = "always divided by K"

# %% loop_2, wrong: windows of one length
# says: the windows have 3 micro-batches, not 4
def loop_2(model, optimizer, micro_batches, K):
    n = len(micro_batches)
    number = math.ceil(n / K)
    size = math.ceil(n / number)
    for window in windows(micro_batches, size):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_2 = "always divided by K"

# %% loop_3, right: windows
def loop_3(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_3 = "tail carried over"

# %% loop_3, right: after the loop, if anything is left
def loop_3(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        in_window = min(K, len(micro_batches) - i // K * K)
        (cross_entropy(model(inputs), targets) / in_window).backward()
        if (i + 1) % K == 0:
            optimizer.step()
            optimizer.zero_grad()
    if len(micro_batches) % K != 0:
        optimizer.step()
        optimizer.zero_grad()

fault_3 = "tail carried over"

# %% loop_3, right: steps when the window is full, by its count
def loop_3(model, optimizer, micro_batches, K):
    left, n = len(micro_batches), 0
    for x, y in micro_batches:
        if n == 0:
            size = min(K, left)
        cross_entropy(model(x), y).div(size).backward()
        n, left = n + 1, left - 1
        if n == size:
            optimizer.step()
            model.zero_grad()
            n = 0

fault_3 = "tail carried over"

# %% loop_3, right: a call for the rest
def loop_3(model, optimizer, micro_batches, K):
    if not micro_batches:
        return
    now, later = micro_batches[:K], micro_batches[K:]
    for x, y in now:
        (cross_entropy(model(x), y) / len(now)).backward()
    optimizer.step()
    optimizer.zero_grad()
    loop_3(model, optimizer, later, K)

fault_3 = "tail carried over"

# %% loop_3, wrong: handed back as it was
# says: just as broken_3 does
def loop_3(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        in_window = min(K, len(micro_batches) - i // K * K)
        loss = cross_entropy(model(inputs), targets) / in_window
        loss.backward()
        if (i + 1) % K == 0:
            optimizer.step()
            optimizer.zero_grad()

fault_3 = "tail carried over"

# %% loop_3, wrong: clears at the start of the epoch, so drops the tail
# says: a short last window is dropped
def loop_3(model, optimizer, micro_batches, K):
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        in_window = min(K, len(micro_batches) - i // K * K)
        loss = cross_entropy(model(inputs), targets) / in_window
        loss.backward()
        if (i + 1) % K == 0:
            optimizer.step()
            optimizer.zero_grad()

fault_3 = "tail carried over"

# %% loop_3, wrong: steps at the end, and does not clear
# says: not cleared before the next epoch
def loop_3(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        in_window = min(K, len(micro_batches) - i // K * K)
        loss = cross_entropy(model(inputs), targets) / in_window
        loss.backward()
        if (i + 1) % K == 0:
            optimizer.step()
            optimizer.zero_grad()
    optimizer.step()

fault_3 = "tail carried over"

# %% loop_3, wrong: steps at the end, and divides by K
# says: it is under-weighted
def loop_3(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        loss = cross_entropy(model(inputs), targets) / K
        loss.backward()
        if (i + 1) % K == 0 or i + 1 == len(micro_batches):
            optimizer.step()
            optimizer.zero_grad()

fault_3 = "tail carried over"

# %% loop_3, wrong: steps at i % K
# says: the first update comes after one micro-batch
def loop_3(model, optimizer, micro_batches, K):
    n = len(micro_batches)
    for i, (inputs, targets) in enumerate(micro_batches):
        size = 1 if i == 0 else min(K, n - 1 - (i - 1) // K * K)
        (cross_entropy(model(inputs), targets) / size).backward()
        if i % K == 0 or i == n - 1:
            optimizer.step()
            optimizer.zero_grad()

fault_3 = "tail carried over"

# %% loop_3, wrong: steps where the window's own size divides
# says: loop_3, 7 micro-batches, K = 4
def loop_3(model, optimizer, micro_batches, K):
    for i, (inputs, targets) in enumerate(micro_batches):
        in_window = min(K, len(micro_batches) - i // K * K)
        (cross_entropy(model(inputs), targets) / in_window).backward()
        if (i + 1) % in_window == 0:
            optimizer.step()
            optimizer.zero_grad()

fault_3 = "tail carried over"

# %% loop_3, wrong: fixed, and named as dropped
# says: are in .grad, and stay there
def loop_3(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_3 = "tail dropped"

# %% loop_3, wrong: one more step at the end of each epoch
# says: 6 calls of step() in two epochs, expected 4
def loop_3(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        if len(window) == K:
            optimizer.step()
            optimizer.zero_grad()
    optimizer.step()
    optimizer.zero_grad()

fault_3 = "tail carried over"

# %% loop_3, wrong: no step for a single micro-batch
# says: just as broken_3 does, 7 micro-batches, K = 2
def loop_3(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        if len(window) == K or len(window) > 1:
            optimizer.step()
            optimizer.zero_grad()

fault_3 = "tail carried over"

# %% loop_3, wrong: divides twice
# says: divided twice
def loop_3(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        for p in model.parameters():
            p.grad /= len(window)
        optimizer.step()
        optimizer.zero_grad()

fault_3 = "tail carried over"

# %% loop_4, right: the course's backward
from course_utils.accumulation import backward

def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, right: means, weighted by their tokens
def loop_4(model, optimizer, micro_batches, K):
    for start in range(0, len(micro_batches), K):
        window = micro_batches[start : start + K]
        counts = [int((y >= 0).sum()) for _, y in window]
        optimizer.zero_grad()
        for (x, y), n in zip(window, counts):
            (cross_entropy(model(x), y) * n / sum(counts)).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, right: padding is cut off, gradients are divided at the end
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        tokens = 0
        for x, y in window:
            real = y != -100
            tokens += real.sum().item()
            cross_entropy(model(x[real]), y[real], reduction="none").sum().backward()
        with torch.no_grad():
            for p in model.parameters():
                p.grad /= tokens
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, right: autograd.grad
def loop_4(model, optimizer, micro_batches, K):
    ps = list(model.parameters())
    for part in windows(micro_batches, K):
        counts = [(y != -100).sum().item() for _, y in part]
        for p in ps: p.grad = torch.zeros_like(p)
        for (x, y), c in zip(part, counts):
            for p, g in zip(ps, torch.autograd.grad(cross_entropy(model(x), y), ps)):
                p.grad += g * c / sum(counts)
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: handed back as it was
# says: just as broken_4 does
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets, ignore_index=-100)
            (loss / len(window)).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: counts the padding
# says: the divisor counts padding
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        tokens = sum(len(targets) for _, targets in window)
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets, ignore_index=-100, reduction="sum")
            (loss / tokens).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: each one's own tokens
# says: the losses are not divided
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            tokens = (targets != -100).sum()
            loss = cross_entropy(model(inputs), targets, ignore_index=-100, reduction="sum")
            (loss / tokens).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: sums, not divided
# says: losses are summed over the samples and not divided
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            cross_entropy(model(inputs), targets, reduction="sum").backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: the tokens seen so far
# says: it divides by the tokens seen so far
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        tokens = 0
        for inputs, targets in window:
            tokens += (targets != -100).sum()
            (cross_entropy(model(inputs), targets, reduction="sum") / tokens).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: all tokens at once
# says: do not fit into memory
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        x, y = (torch.cat(parts) for parts in zip(*window))
        cross_entropy(model(x), y).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: divides by the tokens, and by the window
# says: by tokens and by micro-batches
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        tokens = sum((targets != -100).sum() for _, targets in window)
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets, reduction="sum") / tokens
            (loss / len(window)).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: the mean, divided by the tokens
# says: means are divided by tokens
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        tokens = sum((targets != -100).sum() for _, targets in window)
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / tokens).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: the tokens of the epoch
# says: by the tokens of the whole epoch
def loop_4(model, optimizer, micro_batches, K):
    tokens = sum((targets != -100).sum() for _, targets in micro_batches)
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets, reduction="sum") / tokens).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: fixed, and named after the padding
# says: leaves padding out, as it should
from course_utils.accumulation import backward

def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

fault_4 = "padding counted"

# %% loop_4, wrong: targets > 0
# says: tokens of class 0 are not counted
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        n = sum((y > 0).sum() for _, y in window)
        for x, y in window:
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: writes into the targets
# says: micro_batches[1][1] was changed
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        n = sum((y != -100).sum() for _, y in window)
        for x, y in window:
            y[y == -100] = 0
            (cross_entropy(model(x), y, reduction="sum") / n).backward()
        optimizer.step()

fault_4 = "mean of means"

# %% loop_4, wrong: the tokens of the last micro-batch
# says: the weights of an update add up to
def loop_4(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in window:
            n = (y != -100).sum()
            cross_entropy(model(x), y, reduction="sum").backward()
        for p in model.parameters(): p.grad /= n
        optimizer.step()

fault_4 = "mean of means"

# %% loop_5, right: samples, and clipping by hand
from course_utils.accumulation import backward

def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        backward(model, window)
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters()))
        if norm > max_norm:
            for p in model.parameters():
                p.grad *= max_norm / norm
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, right: the modulo loop, divided and clipped before the step
def loop_5(model, optimizer, micro_batches, K, max_norm):
    optimizer.zero_grad()
    for i, (x, y) in enumerate(micro_batches):
        size = min(K, len(micro_batches) - i // K * K)
        (cross_entropy(model(x), y) / size).backward()
        if (i + 1) % K == 0 or i + 1 == len(micro_batches):
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=max_norm)
            optimizer.step()
            optimizer.zero_grad()

fault_5 = "clipped too often"

# %% loop_5, right: autograd.grad, get_total_norm
def loop_5(model, optimizer, micro_batches, K, max_norm):
    ps = list(model.parameters())
    for window in windows(micro_batches, K):
        acc = [torch.zeros_like(p) for p in ps]
        for x, y in window:
            for a, g in zip(acc, torch.autograd.grad(cross_entropy(model(x), y), ps)):
                a.add_(g, alpha=1 / len(window))
        for p, a in zip(ps, acc): p.grad = a
        nn.utils.clip_grads_with_norm_(ps, max_norm, nn.utils.get_total_norm(acc))
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, right: clips in a closure
def loop_5(model, optimizer, micro_batches, K, max_norm):
    def closure(window):
        optimizer.zero_grad()
        for x, y in window:
            (cross_entropy(model(x), y) / len(window)).backward()
        torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], max_norm)
    for window in windows(micro_batches, K):
        optimizer.step(lambda: closure(window))

fault_5 = "clipped too often"

# %% loop_5, wrong: handed back as it was
# says: just as broken_5 does
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: clips after the step
# says: the step uses gradients that are not clipped
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)

fault_5 = "clipped too often"

# %% loop_5, wrong: does not clip at all
# says: the step uses gradients that are not clipped
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: clips values
# says: each value is clipped, not the norm
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), max_norm)
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: clips each micro-batch to a share of the norm
# says: each micro-batch is clipped by itself
def loop_5(model, optimizer, micro_batches, K, max_norm):
    params = list(model.parameters())
    for window in windows(micro_batches, K):
        sums = [torch.zeros_like(p) for p in params]
        for inputs, targets in window:
            optimizer.zero_grad()
            (cross_entropy(model(inputs), targets) / len(window)).backward()
            nn.utils.clip_grad_norm_(params, max_norm / len(window))
            for s, p in zip(sums, params):
                s += p.grad
        for s, p in zip(sums, params):
            p.grad = s
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: scales the norm with the window
# says: max_norm is multiplied by K
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm * K)
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: not divided
# says: the losses are not divided
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            cross_entropy(model(inputs), targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: always divided by K
# says: it is under-weighted
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / K).backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: fixed, and named after clearing
# says: points in another direction
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()

fault_5 = "clipped too late"

# %% loop_5, wrong: each parameter by itself
# says: each parameter is clipped by itself
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in window:
            (cross_entropy(model(x), y) / len(window)).backward()
        for p in model.parameters():
            nn.utils.clip_grad_norm_(p, max_norm)
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: the infinity norm
# says: the largest value is taken for the norm
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in window:
            (cross_entropy(model(x), y) / len(window)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm, norm_type=float("inf"))
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: always normalizes
# says: a norm below max_norm is made longer
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in window:
            (cross_entropy(model(x), y) / len(window)).backward()
        n = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
        for p in model.parameters(): p.grad *= max_norm / n
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_5, wrong: divides after clipping
# says: gradients are divided after they are clipped
def loop_5(model, optimizer, micro_batches, K, max_norm):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in window:
            cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        for p in model.parameters(): p.grad /= len(window)
        optimizer.step()

fault_5 = "clipped too often"

# %% loop_6, right: windows
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        rates.append(optimizer.param_groups[0]["lr"])
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
        scheduler.step()
    return rates

fault_6 = "schedule too fast"

# %% loop_6, right: notes the rate after the step, before the scheduler's
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    optimizer.zero_grad()
    n = 0
    for inputs, targets in micro_batches:
        (cross_entropy(model(inputs), targets) / K).backward()
        n += 1
        if n == K:
            optimizer.step()
            rates += scheduler.get_last_lr()
            scheduler.step()
            optimizer.zero_grad()
            n = 0
    return rates

fault_6 = "schedule too fast"

# %% loop_6, right: numpy's floats
def loop_6(model, optimizer, scheduler, micro_batches, K):
    import numpy as np
    out = np.empty(len(micro_batches) // K)
    for i, w in enumerate(windows(micro_batches, K)):
        optimizer.zero_grad()
        for x, y in w: (cross_entropy(model(x), y) / K).backward()
        out[i] = scheduler.get_last_lr()[0]
        optimizer.step(); scheduler.step()
    return list(out)

fault_6 = "schedule too fast"

# %% loop_6, wrong: handed back as it was
# says: just as broken_6 does
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        (cross_entropy(model(inputs), targets) / K).backward()
        if (i + 1) % K == 0:
            rates.append(scheduler.get_last_lr()[0])
            optimizer.step()
            optimizer.zero_grad()
        scheduler.step()
    return rates

fault_6 = "schedule too fast"

# %% loop_6, wrong: scheduler first
# says: the scheduler steps before the optimizer
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        (cross_entropy(model(inputs), targets) / K).backward()
        if (i + 1) % K == 0:
            scheduler.step()
            rates.append(scheduler.get_last_lr()[0])
            optimizer.step()
            optimizer.zero_grad()
    return rates

fault_6 = "schedule too fast"

# %% loop_6, wrong: once in an epoch
# says: the scheduler does not step
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        (cross_entropy(model(inputs), targets) / K).backward()
        if (i + 1) % K == 0:
            rates.append(scheduler.get_last_lr()[0])
            optimizer.step()
            optimizer.zero_grad()
    scheduler.step()
    return rates

fault_6 = "schedule too fast"

# %% loop_6, wrong: the optimizer follows the scheduler
# says: the optimizer steps for each micro-batch
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    for inputs, targets in micro_batches:
        optimizer.zero_grad()
        (cross_entropy(model(inputs), targets) / K).backward()
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates

fault_6 = "schedule too fast"

# %% loop_6, wrong: notes the next rate
# says: noted after the scheduler's step
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    optimizer.zero_grad()
    for i, (inputs, targets) in enumerate(micro_batches):
        (cross_entropy(model(inputs), targets) / K).backward()
        if (i + 1) % K == 0:
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
            rates.append(scheduler.get_last_lr()[0])
    return rates

fault_6 = "schedule too fast"

# %% loop_6, wrong: hard-codes the rates
# says: the scheduler that is handed over makes no step
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    for i, window in enumerate(windows(micro_batches, K)):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / K).backward()
        optimizer.param_groups[0]["lr"] = 0.5 ** (i // 2)
        rates.append(0.5 ** (i // 2))
        optimizer.step()
    return rates

fault_6 = "schedule too fast"

# %% loop_6, wrong: no return
# says: is a return missing?
def loop_6(model, optimizer, scheduler, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / K).backward()
        optimizer.step()
        scheduler.step()

fault_6 = "schedule too fast"

# %% loop_6, wrong: fixed, and named after evaluation's periods
# says: the learning rates are those of later updates
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        rates.append(optimizer.param_groups[0]["lr"])
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
        scheduler.step()
    return rates

fault_6 = "nested periods"

# %% loop_6, wrong: no step of the scheduler after the last update
# says: after the last update of an epoch
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    for j, window in enumerate(windows(micro_batches, K)):
        if j: scheduler.step()
        optimizer.zero_grad()
        for x, y in window: (cross_entropy(model(x), y) / K).backward()
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
    return rates

fault_6 = "schedule too fast"

# %% loop_6, wrong: a tensor
# says: a list is asked for
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in window: (cross_entropy(model(x), y) / K).backward()
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return torch.tensor(rates)

fault_6 = "schedule too fast"

# %% loop_6, wrong: list of lists
# says: of type list: a float is asked for
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in window: (cross_entropy(model(x), y) / K).backward()
        rates.append(scheduler.get_last_lr())
        optimizer.step()
        scheduler.step()
    return rates

fault_6 = "schedule too fast"

# %% loop_6, wrong: does not divide
# says: the losses are not divided
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in window: cross_entropy(model(x), y).backward()
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates

fault_6 = "schedule too fast"

# %% loop_6, wrong: does not clear
# says: gradients are not cleared
def loop_6(model, optimizer, scheduler, micro_batches, K):
    rates = []
    optimizer.zero_grad()
    for i, (x, y) in enumerate(micro_batches):
        (cross_entropy(model(x), y) / K).backward()
        if (i + 1) % K == 0:
            rates.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
    return rates

fault_6 = "schedule too fast"

# %% loop_7, right: restores after the evaluation
from course_utils.accumulation import backward

def loop_7(model, optimizer, micro_batches, K, validation):
    x_val, y_val = validation
    model.train()
    found = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()
        model.eval()
        with torch.inference_mode():
            found.append(float(cross_entropy(model(x_val), y_val)))
        model.train()
    return found

fault_7 = "mode not restored"

# %% loop_7, right: a function that evaluates, mode before each pass
def loop_7(model, optimizer, micro_batches, K, validation):
    @torch.no_grad()
    def evaluate():
        mode = model.training
        model.eval()
        loss = cross_entropy(model(validation[0]), validation[1]).item()
        model.train(mode)
        return loss

    losses = []
    for i, (x, y) in enumerate(micro_batches):
        model.train()
        size = min(K, len(micro_batches) - i // K * K)
        (cross_entropy(model(x), y) / size).backward()
        if (i + 1) % K == 0 or i + 1 == len(micro_batches):
            optimizer.step()
            optimizer.zero_grad()
            losses.append(evaluate())
    return losses

fault_7 = "mode not restored"

# %% loop_7, right: evaluates a copy
def loop_7(model, optimizer, micro_batches, K, validation):
    out = []
    model.train()
    for w in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
        optimizer.step()
        probe = copy.deepcopy(model).eval()
        with torch.no_grad():
            out.append(cross_entropy(probe(validation[0]), validation[1]).item())
    return out

fault_7 = "mode not restored"

# %% loop_7, right: one look before any update, in parts
def loop_7(model, optimizer, micro_batches, K, validation):
    @torch.no_grad()
    def look():
        model.eval()
        x, y = validation
        s = sum(cross_entropy(model(a), b, reduction="sum").item() for a, b in zip(x.split(2), y.split(2)))
        model.train()
        return s / len(y)
    out = [look()]
    for w in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
        optimizer.step()
        out.append(look())
    return out[1:]

fault_7 = "mode not restored"

# %% loop_7, right: state dicts evaluated at the end
def loop_7(model, optimizer, micro_batches, K, validation):
    states = []
    model.train()
    for w in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
        optimizer.step()
        states.append({k: v.clone() for k, v in model.state_dict().items()})
    model.eval()
    out = []
    with torch.no_grad():
        for s in states:
            out.append(float(cross_entropy(torch.func.functional_call(model, s, (validation[0],)), validation[1])))
    return out

fault_7 = "mode not restored"

# %% loop_7, wrong: handed back as it was
# says: in just the modes of broken_7
def loop_7(model, optimizer, micro_batches, K, validation):
    validation_losses = []
    model.train()
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            inputs, targets = validation
            validation_losses.append(cross_entropy(model(inputs), targets).item())
    return validation_losses

fault_7 = "mode not restored"

# %% loop_7, wrong: does without eval()
# says: evaluated in training mode
def loop_7(model, optimizer, micro_batches, K, validation):
    validation_losses = []
    model.train()
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
        with torch.no_grad():
            inputs, targets = validation
            validation_losses.append(cross_entropy(model(inputs), targets).item())
    return validation_losses

fault_7 = "mode not restored"

# %% loop_7, wrong: restores one line too early
# says: evaluated in training mode
def loop_7(model, optimizer, micro_batches, K, validation):
    validation_losses = []
    model.train()
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            inputs, targets = validation
            model.train()
            validation_losses.append(cross_entropy(model(inputs), targets).item())
    return validation_losses

fault_7 = "mode not restored"

# %% loop_7, wrong: restores after the epoch
# says: in just the modes of broken_7
def loop_7(model, optimizer, micro_batches, K, validation):
    validation_losses = []
    model.train()
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            inputs, targets = validation
            validation_losses.append(cross_entropy(model(inputs), targets).item())
    model.train()
    return validation_losses

fault_7 = "mode not restored"

# %% loop_7, wrong: takes no_grad for the switch
# says: evaluated with a graph
def loop_7(model, optimizer, micro_batches, K, validation):
    validation_losses = []
    for window in windows(micro_batches, K):
        model.train()
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
        model.eval()
        inputs, targets = validation
        validation_losses.append(cross_entropy(model(inputs), targets).item())
    return validation_losses

fault_7 = "mode not restored"

# %% loop_7, wrong: evaluates at the end only
# says: expected a list of 3
def loop_7(model, optimizer, micro_batches, K, validation):
    model.train()
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        inputs, targets = validation
        loss = cross_entropy(model(inputs), targets).item()
    model.train()
    return [loss]

fault_7 = "mode not restored"

# %% loop_7, wrong: training mode after the first micro-batch
# says: but in: training, training, training, evaluation, training
def loop_7(model, optimizer, micro_batches, K, validation):
    validation_losses = []
    model.train()
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
            model.train()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            inputs, targets = validation
            validation_losses.append(cross_entropy(model(inputs), targets).item())
    return validation_losses

fault_7 = "mode not restored"

# %% loop_7, wrong: tensors
# says: is a tensor: a float is asked for
def loop_7(model, optimizer, micro_batches, K, validation):
    losses = []
    for window in windows(micro_batches, K):
        model.train()
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            losses.append(cross_entropy(model(validation[0]), validation[1]))
    return losses

fault_7 = "mode not restored"

# %% loop_7, wrong: fixed, and named after the evaluation
# says: what do they leave behind?
def loop_7(model, optimizer, micro_batches, K, validation):
    validation_losses = []
    for window in windows(micro_batches, K):
        model.train()
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            inputs, targets = validation
            validation_losses.append(cross_entropy(model(inputs), targets).item())
    return validation_losses

fault_7 = "evaluated with dropout"

# %% loop_7, wrong: model.training = False
# says: evaluated in training mode
def loop_7(model, optimizer, micro_batches, K, validation):
    out = []
    for w in windows(micro_batches, K):
        model.train()
        optimizer.zero_grad()
        for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
        optimizer.step()
        model.training = False
        with torch.no_grad():
            out.append(cross_entropy(model(validation[0]), validation[1]).item())
    return out

fault_7 = "mode not restored"

# %% loop_7, wrong: evaluates before the update
# says: they are recorded before the updates
def loop_7(model, optimizer, micro_batches, K, validation):
    out = []
    for w in windows(micro_batches, K):
        model.eval()
        with torch.no_grad():
            out.append(cross_entropy(model(validation[0]), validation[1]).item())
        model.train()
        optimizer.zero_grad()
        for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
        optimizer.step()
    return out

fault_7 = "mode not restored"

# %% loop_7, wrong: adds up over the samples
# says: sums over the samples, not means
def loop_7(model, optimizer, micro_batches, K, validation):
    out = []
    for w in windows(micro_batches, K):
        model.train()
        optimizer.zero_grad()
        for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            out.append(cross_entropy(model(validation[0]), validation[1], reduction="sum").item())
    return out

fault_7 = "mode not restored"

# %% loop_7, wrong: does not divide
# says: the losses are not divided
def loop_7(model, optimizer, micro_batches, K, validation):
    out = []
    for w in windows(micro_batches, K):
        model.train()
        optimizer.zero_grad()
        for x, y in w: cross_entropy(model(x), y).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            out.append(cross_entropy(model(validation[0]), validation[1]).item())
    return out

fault_7 = "mode not restored"

# %% loop_7, wrong: does not return them
# says: is a return missing?
def loop_7(model, optimizer, micro_batches, K, validation):
    out = []
    for w in windows(micro_batches, K):
        model.train()
        optimizer.zero_grad()
        for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            out.append(cross_entropy(model(validation[0]), validation[1]).item())

fault_7 = "mode not restored"

# %% loop_8, right: adds up the shares
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        log.append(0.0)
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
            log[-1] += loss.item()
        optimizer.step()
    return log

fault_8 = "log divided twice"

# %% loop_8, right: the course's backward
from course_utils.accumulation import backward

def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        log += [backward(model, window).item()]
        optimizer.step()
    return log

fault_8 = "log divided twice"

# %% loop_8, right: multiplies again
def loop_8(model, optimizer, micro_batches, K):
    log, losses = [], []
    for i, (x, y) in enumerate(micro_batches):
        size = min(K, len(micro_batches) - i // K * K)
        loss = cross_entropy(model(x), y) / size
        loss.backward()
        losses.append(loss.detach() * size)
        if len(losses) == size:
            optimizer.step()
            optimizer.zero_grad()
            log.append(torch.stack(losses).mean().item())
            losses = []
    return log

fault_8 = "log divided twice"

# %% loop_8, right: what step(closure) returns
def loop_8(model, optimizer, micro_batches, K):
    def closure(w):
        optimizer.zero_grad()
        s = 0.0
        for x, y in w:
            l = cross_entropy(model(x), y) / len(w)
            l.backward()
            s += l.item()
        return s
    return [optimizer.step(lambda: closure(w)) for w in windows(micro_batches, K)]

fault_8 = "log divided twice"

# %% loop_8, wrong: handed back as it was
# says: logs what broken_8 logs
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        summed = 0.0
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
            summed += loss.item()
        optimizer.step()
        log.append(summed / len(window))
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: the last micro-batch, times K
# says: the last micro-batch's loss alone
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()
        log.append(loss.item() * len(window))
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: what backward was called on
# says: the last micro-batch's loss, divided by the window's length
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()
        log.append(loss.item())
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: takes both divisions out of the log
# says: the sum over the window, not divided
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        summed = 0.0
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets)
            (loss / len(window)).backward()
            summed += loss.item()
        optimizer.step()
        log.append(summed)
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: takes the division out of the gradient
# says: the losses are not divided
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        summed = 0.0
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets)
            loss.backward()
            summed += loss.item()
        optimizer.step()
        log.append(summed / len(window))
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: the sum is not begun anew
# says: goes on from window to window
def loop_8(model, optimizer, micro_batches, K):
    log, summed = [], 0.0
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
            summed += loss.item()
        optimizer.step()
        log.append(summed)
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: logs each micro-batch
# says: one entry for each micro-batch
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets)
            (loss / len(window)).backward()
            log.append(loss.item())
        optimizer.step()
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: hard-codes K
# says: the log of three updates
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        summed = 0.0
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
            summed += loss.item()
        optimizer.step()
        log.append(summed / len(window) * 4)
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: tensors
# says: is a tensor: a float is asked for
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        summed = 0.0
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
            summed += loss.detach()
        optimizer.step()
        log.append(summed)
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: fixed, and named after the last loss
# says: all micro-batches of a window are in the log
from course_utils.accumulation import backward

def loop_8(model, optimizer, micro_batches, K):
    log = []
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        log += [backward(model, window).item()]
        optimizer.step()
    return log

fault_8 = "last loss logged"

# %% loop_8, wrong: the loss after the update
# says: it is the loss after the update
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for w in windows(micro_batches, K):
        optimizer.zero_grad()
        for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
        optimizer.step()
        with torch.no_grad():
            log.append(sum(cross_entropy(model(x), y).item() for x, y in w) / len(w))
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: the notebook's batches
# says: uses 'batches' of the notebook
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for w in windows(batches, K):
        optimizer.zero_grad()
        s = 0.0
        for x, y in w:
            l = cross_entropy(model(x), y) / len(w)
            l.backward(); s += l.item()
        optimizer.step()
        log.append(s)
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: a list that lives on
# says: expected a list of 3
def loop_8(model, optimizer, micro_batches, K, log=[]):
    for w in windows(micro_batches, K):
        optimizer.zero_grad()
        s = 0.0
        for x, y in w:
            l = cross_entropy(model(x), y) / len(w)
            l.backward(); s += l.item()
        optimizer.step()
        log.append(s)
    return log

fault_8 = "log divided twice"

# %% loop_8, wrong: yields
# says: of type generator: a list is asked for
def loop_8(model, optimizer, micro_batches, K):
    for w in windows(micro_batches, K):
        optimizer.zero_grad()
        s = 0.0
        for x, y in w:
            l = cross_entropy(model(x), y) / len(w)
            l.backward(); s += l.item()
        optimizer.step()
        yield s

fault_8 = "log divided twice"

# %% loop_8, wrong: leaves evaluation mode on
# says: the mode of model was changed
def loop_8(model, optimizer, micro_batches, K):
    log = []
    for w in windows(micro_batches, K):
        model.eval()
        log.append(sum(cross_entropy(model(x), y).item() for x, y in w) / len(w))
        optimizer.zero_grad()
        for x, y in w:
            (cross_entropy(model(x), y) / len(w)).backward()
        optimizer.step()
    return log

fault_8 = "log divided twice"

# %% loop_9, right: the course's backward
from course_utils.accumulation import backward

def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, right: means, divided at the end, with a log nobody reads
def loop_9(model, optimizer, micro_batches, K):
    total = 0.0
    for start in range(0, len(micro_batches), K):
        window = micro_batches[start : start + K]
        model.zero_grad()
        for x, y in window:
            loss = cross_entropy(model(x), y)
            loss.backward()
            total += loss.detach()
        for p in model.parameters():
            p.grad.div_(len(window))
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, right: a divisor that is a tensor
def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        samples = torch.tensor(float(sum(len(y) for _, y in window)))
        for x, y in window:
            (cross_entropy(model(x), y, reduction="sum") / samples).backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, right: torch.func
def loop_9(model, optimizer, micro_batches, K):
    f = lambda q, x, y: cross_entropy(torch.func.functional_call(model, q, (x,)), y)
    for w in windows(micro_batches, K):
        ps = {n: p.detach() for n, p in model.named_parameters()}
        tot = {n: torch.zeros_like(p) for n, p in ps.items()}
        for x, y in w:
            for n, g in torch.func.grad(f)(ps, x, y).items(): tot[n] += g / len(w)
        for n, p in model.named_parameters(): p.grad = tot[n]
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, right: autograd.grad
def loop_9(model, optimizer, micro_batches, K):
    ps = [p for g in optimizer.param_groups for p in g["params"]]
    for w in windows(micro_batches, K):
        tot = None
        for x, y in w:
            g = torch.autograd.grad(cross_entropy(model(x), y) / len(w), ps)
            tot = g if tot is None else [a + b for a, b in zip(tot, g)]
        for p, t in zip(ps, tot): p.grad = t
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: handed back as it was
# says: just as much as broken_9
def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        loss = 0.0
        for inputs, targets in window:
            loss = loss + cross_entropy(model(inputs), targets) / len(window)
        loss.backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: a list of losses, added at the end
# says: just as much as broken_9
def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        losses = [cross_entropy(model(inputs), targets) for inputs, targets in window]
        torch.stack(losses).mean().backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: keeps each graph to be safe
# says: is a graph still in memory?
def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            loss = cross_entropy(model(inputs), targets) / len(window)
            loss.backward(retain_graph=True)
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: backward through the growing sum
# says: earlier micro-batches are added again and again
def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        loss = 0.0
        for inputs, targets in window:
            loss = loss + cross_entropy(model(inputs), targets) / len(window)
            loss.backward(retain_graph=True)
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: backward through the growing sum, whose graph is gone
# says: a second time
def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        loss = 0.0
        for inputs, targets in window:
            loss = loss + cross_entropy(model(inputs), targets) / len(window)
            loss.backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: detaches the sum
# says: only one micro-batch in
def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        loss = 0.0
        for inputs, targets in window:
            loss = (loss.detach() if loss else 0.0) + cross_entropy(model(inputs), targets) / len(window)
        loss.backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: a smaller window
# says: each micro-batch has its own update
def loop_9(model, optimizer, micro_batches, K):
    for inputs, targets in micro_batches:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets) / K
        loss.backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: the division is lost
# says: the losses are not divided
def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            cross_entropy(model(inputs), targets).backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: fixed, and named after clearing
# says: it is memory that grows with K
from course_utils.accumulation import backward

def loop_9(model, optimizer, micro_batches, K):
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

fault_9 = "never cleared"

# %% loop_9, wrong: pairs of micro-batches
# says: it saves 2.0 times
def loop_9(model, optimizer, micro_batches, K):
    for w in windows(micro_batches, K):
        optimizer.zero_grad()
        for pair in windows(w, 2):
            sum(cross_entropy(model(x), y) / len(w) for x, y in pair).backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: one forward ahead
# says: it saves 2.0 times
def loop_9(model, optimizer, micro_batches, K):
    for w in windows(micro_batches, K):
        optimizer.zero_grad()
        before = None
        for x, y in w:
            l = cross_entropy(model(x), y) / len(w)
            if before is not None: before.backward()
            before = l
        before.backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_9, wrong: outputs concatenated
# says: is a graph still in memory?
def loop_9(model, optimizer, micro_batches, K):
    for w in windows(micro_batches, K):
        optimizer.zero_grad()
        out = torch.cat([model(x) for x, _ in w])
        cross_entropy(out, torch.cat([y for _, y in w])).backward()
        optimizer.step()

fault_9 = "one backward"

# %% loop_10, right: carries the state over
from course_utils.accumulation import backward

def loop_10(model, micro_batches, K, epochs, lr):
    state = None
    for _ in range(epochs):
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        if state is not None:
            optimizer.load_state_dict(state)
        for window in windows(micro_batches, K):
            optimizer.zero_grad()
            backward(model, window)
            optimizer.step()
        state = optimizer.state_dict()

fault_10 = "optimizer recreated"

# %% loop_10, right: velocity by hand
def loop_10(model, micro_batches, K, epochs, lr):
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    for _ in range(epochs):
        for window in windows(micro_batches, K):
            model.zero_grad()
            for x, y in window:
                (cross_entropy(model(x), y) / K).backward()
            with torch.no_grad():
                for p, v in zip(model.parameters(), velocity):
                    v.mul_(0.9).add_(p.grad)
                    p -= lr * v

fault_10 = "optimizer recreated"

# %% loop_10, right: one long list
def loop_10(model, micro_batches, K, epochs, lr):
    opt = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
    for i, (x, y) in enumerate(list(micro_batches) * epochs):
        (cross_entropy(model(x), y) / K).backward()
        if (i + 1) % K == 0:
            opt.step()
            opt.zero_grad()

fault_10 = "optimizer recreated"

# %% loop_10, right: a closure for each window
def loop_10(model, micro_batches, K, epochs, lr):
    def epoch(opt):
        for w in windows(micro_batches, K):
            def closure():
                opt.zero_grad()
                for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
            opt.step(closure)
    opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(epochs): epoch(opt)

fault_10 = "optimizer recreated"

# %% loop_10, wrong: handed back as it was
# says: just as broken_10 does
def loop_10(model, micro_batches, K, epochs, lr):
    for _ in range(epochs):
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        for window in windows(micro_batches, K):
            optimizer.zero_grad()
            for inputs, targets in window:
                (cross_entropy(model(inputs), targets) / len(window)).backward()
            optimizer.step()

fault_10 = "optimizer recreated"

# %% loop_10, wrong: made for each update
# says: lost at each update
def loop_10(model, micro_batches, K, epochs, lr):
    for _ in range(epochs):
        for window in windows(micro_batches, K):
            optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
            optimizer.zero_grad()
            for inputs, targets in window:
                (cross_entropy(model(inputs), targets) / len(window)).backward()
            optimizer.step()

fault_10 = "optimizer recreated"

# %% loop_10, wrong: momentum is lost on the way
# says: no momentum
def loop_10(model, micro_batches, K, epochs, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(epochs):
        for window in windows(micro_batches, K):
            optimizer.zero_grad()
            for inputs, targets in window:
                (cross_entropy(model(inputs), targets) / len(window)).backward()
            optimizer.step()

fault_10 = "optimizer recreated"

# %% loop_10, wrong: stops zero_grad instead
# says: gradients are never cleared
def loop_10(model, micro_batches, K, epochs, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(epochs):
        for window in windows(micro_batches, K):
            for inputs, targets in window:
                (cross_entropy(model(inputs), targets) / len(window)).backward()
            optimizer.step()

fault_10 = "optimizer recreated"

# %% loop_10, wrong: loses the epochs
# says: one epoch only
def loop_10(model, micro_batches, K, epochs, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for window in windows(micro_batches, K):
        optimizer.zero_grad()
        for inputs, targets in window:
            (cross_entropy(model(inputs), targets) / len(window)).backward()
        optimizer.step()

fault_10 = "optimizer recreated"

# %% loop_10, wrong: hard-codes the learning rate
# says: lr is not used, but 0.01
def loop_10(model, micro_batches, K, epochs, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(epochs):
        for window in windows(micro_batches, K):
            optimizer.zero_grad()
            for inputs, targets in window:
                (cross_entropy(model(inputs), targets) / len(window)).backward()
            optimizer.step()

fault_10 = "optimizer recreated"

# %% loop_10, wrong: fixed, and named after stale parameters
# says: what is lost between two epochs?
def loop_10(model, micro_batches, K, epochs, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(epochs):
        for window in windows(micro_batches, K):
            optimizer.zero_grad()
            for inputs, targets in window:
                (cross_entropy(model(inputs), targets) / len(window)).backward()
            optimizer.step()

fault_10 = "stale optimizer"

# %% loop_10, wrong: the notebook's batches
# says: uses 'batches' of the notebook
def loop_10(model, micro_batches, K, epochs, lr):
    opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(epochs):
        for w in windows(batches, K):
            opt.zero_grad()
            for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
            opt.step()

fault_10 = "optimizer recreated"

# %% loop_10, wrong: an optimizer that lives on between calls
# says: after a second call, with a first one that is right
_made = {}
def loop_10(model, micro_batches, K, epochs, lr):
    if id(model) not in _made: _made[id(model)] = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    opt = _made[id(model)]
    for _ in range(epochs):
        for w in windows(micro_batches, K):
            opt.zero_grad()
            for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
            opt.step()

fault_10 = "optimizer recreated"

# %% loop_10, wrong: a velocity that is a mean
# says: the gradient is multiplied by 1 - 0.9
def loop_10(model, micro_batches, K, epochs, lr):
    v = [torch.zeros_like(p) for p in model.parameters()]
    for _ in range(epochs):
        for w in windows(micro_batches, K):
            model.zero_grad()
            for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
            with torch.no_grad():
                for p, u in zip(model.parameters(), v):
                    u.mul_(0.9).add_(p.grad, alpha=0.1)
                    p -= lr * u

fault_10 = "optimizer recreated"

# %% loop_10, wrong: one more step at the end of each epoch
# says: the parameters' movement in three epochs
def loop_10(model, micro_batches, K, epochs, lr):
    opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(epochs):
        for w in windows(micro_batches, K):
            opt.zero_grad()
            for x, y in w: (cross_entropy(model(x), y) / len(w)).backward()
            opt.step()
        opt.zero_grad(set_to_none=False)
        opt.step()

fault_10 = "optimizer recreated"
