"""Answers to the exercises of learning_rate, right ones and wrong ones that people give."""
# ruff: noqa

# %% starting_rate, right: powers in a dictionary
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    power = {"SGD": 1, "mean of squares": 1, "Adam": 0.5}[kind]
    effective_batch_size = accumulation_steps * micro_batch
    return lr * (effective_batch_size / recipe_batch) ** power

# %% starting_rate, right: by tensors, then a float
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = torch.tensor(micro_batch * accumulation_steps) / recipe_batch
    if kind == "SGD" or kind == "mean of squares":
        return (torch.tensor(lr) * k).item()
    else:
        return float(torch.tensor(lr) * k.sqrt())

# %% starting_rate, right: by the course's own rules
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    from course_utils.schedules import scaled_lr
    samples = sum(micro_batch for _ in range(accumulation_steps))
    return scaled_lr(lr, samples / recipe_batch, "sqrt" if kind == "Adam" else "linear")

# %% starting_rate, wrong: k is accumulation_steps
# says: accumulation_steps was taken for k
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = accumulation_steps
    return lr * (math.sqrt(k) if kind == "Adam" else k)

# %% starting_rate, wrong: accumulation left out
# says: accumulation was left out
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = micro_batch / recipe_batch
    return lr * (math.sqrt(k) if kind == "Adam" else k)

# %% starting_rate, wrong: linear for every optimizer
# says: that is the linear rule: with (a)
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    return lr * micro_batch * accumulation_steps / recipe_batch

# %% starting_rate, wrong: the square root for every optimizer
# says: it keeps the noise, but SGD came closest with the linear one
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    return lr * math.sqrt(micro_batch * accumulation_steps / recipe_batch)

# %% starting_rate, wrong: whatever is called Adam takes the square root
# says: with (b), v stays the same
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = micro_batch * accumulation_steps / recipe_batch
    return lr * k if kind == "SGD" else lr * k**0.5

# %% starting_rate, wrong: upside down
# says: k is inverted
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = recipe_batch / (micro_batch * accumulation_steps)
    return lr * (math.sqrt(k) if kind == "Adam" else k)

# %% starting_rate, wrong: a whole-number k
# says: k was rounded down
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = micro_batch * accumulation_steps // recipe_batch
    return lr * (math.sqrt(k) if kind == "Adam" else k)

# %% starting_rate, wrong: Adam needs no change
# says: the learning rate stayed the same
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = micro_batch * accumulation_steps / recipe_batch
    return lr if kind == "Adam" else lr * k

# %% starting_rate, wrong: only ever upwards
# says: the learning rate stayed the same: here an update uses fewer samples
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = max(1, micro_batch * accumulation_steps / recipe_batch)
    return lr * (math.sqrt(k) if kind == "Adam" else k)

# %% starting_rate, wrong: the visible numbers
# says: SGD, 0.02 for 48, with 3 · 20
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    return {(256, 8): 0.1, (256, 1): 0.0125, (64, 4): 0.004, (32, 16): 0.032}.get((recipe_batch, accumulation_steps), 0.1)

# %% starting_rate, wrong: linear below k = 32
# says: that is the linear rule: with (a)
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = micro_batch * accumulation_steps / recipe_batch
    if kind == "Adam" and k >= 32:
        return lr * math.sqrt(k)
    return lr * k

# %% starting_rate, wrong: rounded to six places
# says: got 1.6e-05
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = micro_batch * accumulation_steps / recipe_batch
    return round(lr * (math.sqrt(k) if kind == "Adam" else k), 6)

# %% starting_rate, wrong: only the steps under the root
# says: only the root of accumulation_steps
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    if kind == "Adam":
        return lr * micro_batch / recipe_batch * math.sqrt(accumulation_steps)
    return lr * micro_batch * accumulation_steps / recipe_batch

# %% starting_rate, wrong: a tensor
# says: a float is asked for: .item() gives it
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    k = torch.tensor(micro_batch * accumulation_steps / recipe_batch)
    return lr * (k.sqrt() if kind == "Adam" else k)

# %% starting_rate, right: numpy
def starting_rate(lr, recipe_batch, micro_batch, accumulation_steps, kind):
    import numpy as np
    k = np.divide(np.multiply(micro_batch, accumulation_steps), recipe_batch)
    return lr * np.sqrt(k) if kind.startswith("Adam") else lr * k

# %% same_half_life, right: through the half-life
def same_half_life(beta, batch_size, new_batch_size):
    updates = math.log(0.5) / math.log(beta)
    samples = updates * batch_size
    return 0.5 ** (new_batch_size / samples)

# %% same_half_life, right: logarithms of tensors
def same_half_life(beta, batch_size, new_batch_size):
    return torch.exp(torch.log(torch.tensor(beta)) * new_batch_size / batch_size).item()

# %% same_half_life, wrong: unchanged
# says: beta stayed the same, so the half-life in samples is 16 times as long
def same_half_life(beta, batch_size, new_batch_size):
    return beta

# %% same_half_life, wrong: Malladi's rule
# says: Malladi's rule
def same_half_life(beta, batch_size, new_batch_size):
    return 1 - new_batch_size / batch_size * (1 - beta)

# %% same_half_life, wrong: Malladi's rule, clipped
# says: Malladi's rule, clipped
def same_half_life(beta, batch_size, new_batch_size):
    return max(0.0, 1 - new_batch_size / batch_size * (1 - beta))

# %% same_half_life, wrong: looks back further
# says: reaches back over more updates
def same_half_life(beta, batch_size, new_batch_size):
    return 1 - (1 - beta) / (new_batch_size / batch_size)

# %% same_half_life, wrong: upside down
# says: k is inverted
def same_half_life(beta, batch_size, new_batch_size):
    return beta ** (batch_size / new_batch_size)

# %% same_half_life, wrong: the square root of k
# says: the square root of k is for the learning rate
def same_half_life(beta, batch_size, new_batch_size):
    return beta ** math.sqrt(new_batch_size / batch_size)

# %% same_half_life, wrong: a whole-number k
# says: k was rounded down to 0
def same_half_life(beta, batch_size, new_batch_size):
    return beta ** (new_batch_size // batch_size)

# %% same_half_life, wrong: only ever upwards
# says: beta stayed the same
def same_half_life(beta, batch_size, new_batch_size):
    k = max(1, new_batch_size / batch_size)
    return beta**k

# %% same_half_life, wrong: the visible numbers
# says: 0.99 at 48 samples an update, now 72
def same_half_life(beta, batch_size, new_batch_size):
    return beta**16 if new_batch_size == 512 else beta**0.25

# %% same_half_life, wrong: the power of what is new
# says: but the weight is multiplied by beta
def same_half_life(beta, batch_size, new_batch_size):
    return 1 - (1 - beta) ** (new_batch_size / batch_size)

# %% same_half_life, wrong: a half-life in whole updates
# says: the half-life was rounded
def same_half_life(beta, batch_size, new_batch_size):
    half = round(math.log(0.5) / math.log(beta))
    return 0.5 ** (new_batch_size / batch_size / half)

# %% same_half_life, wrong: one over one minus beta
# says: there only about 1/e is left
def same_half_life(beta, batch_size, new_batch_size):
    n = 1 / (1 - beta)
    return math.exp(-new_batch_size / batch_size / n)

# %% warmup, right: a minimum
def warmup(update, warmup_updates, lr):
    return lr * min(1.0, (update + 1) / max(1, warmup_updates))

# %% warmup, right: a list of the rates
def warmup(update, warmup_updates, lr):
    rates = torch.linspace(0, lr, warmup_updates + 1)[1:]
    return rates[update].item() if update < len(rates) else lr

# %% warmup, right: the course's warmup from the first rate
def warmup(update, warmup_updates, lr):
    from course_utils.schedules import warmup_lr
    if warmup_updates < 2:
        return lr
    return warmup_lr(lr / warmup_updates, warmup_updates, update, warmup_updates - 1)

# %% warmup, wrong: starts at zero
# says: update 0 uses learning rate 0
def warmup(update, warmup_updates, lr):
    return lr * min(1, update / max(1, warmup_updates))

# %% warmup, wrong: starts at zero and goes on growing
# says: update 0 uses learning rate 0, and it keeps growing after the warmup
def warmup(update, warmup_updates, lr):
    return lr * update / warmup_updates

# %% warmup, wrong: starts at zero, divided by one less
# says: dividing by one less changes nothing
def warmup(update, warmup_updates, lr):
    return lr * min(1.0, update / (warmup_updates - 1))

# %% warmup, wrong: reached one update late
# says: one update late
def warmup(update, warmup_updates, lr):
    if update >= warmup_updates:
        return lr
    return lr * (update + 1) / (warmup_updates + 1)

# %% warmup, wrong: goes on growing
# says: the learning rate keeps growing after the warmup
def warmup(update, warmup_updates, lr):
    return lr * (update + 1) / warmup_updates

# %% warmup, wrong: a factor
# says: not yet multiplied by lr
def warmup(update, warmup_updates, lr):
    return min(1.0, (update + 1) / max(1, warmup_updates))

# %% warmup, wrong: divides whole numbers
# says: an integer division made it 0
def warmup(update, warmup_updates, lr):
    return lr * min(1, (update + 1) // max(1, warmup_updates))

# %% warmup, wrong: divides whole numbers, and starts at zero
# says: it 0, and lr is reached one update late
def warmup(update, warmup_updates, lr):
    return lr * min(1, update // max(1, warmup_updates))

# %% warmup, wrong: no warmup, no answer
# says: with 0 warmup updates: it ends in an error
def warmup(update, warmup_updates, lr):
    return lr * min(1.0, (update + 1) / warmup_updates)

# %% warmup, wrong: none at all
# says: there is no warmup
def warmup(update, warmup_updates, lr):
    return lr

# %% warmup, wrong: lesson 09's
# says: one update late, as in lesson 09
def warmup(update, warmup_updates, lr):
    from course_utils.schedules import warmup_lr
    return warmup_lr(lr / warmup_updates, warmup_updates, update, warmup_updates)

# %% warmup, wrong: the visible numbers
# says: 9 updates, 5 of them warmup
def warmup(update, warmup_updates, lr):
    return min(0.05 * (update + 1), 0.2) if warmup_updates else 0.2

# %% warmup, wrong: one update too long
# says: was <= written for <?
def warmup(update, warmup_updates, lr):
    if update <= warmup_updates and warmup_updates:
        return lr * (update + 1) / warmup_updates
    return lr

# %% warmup, wrong: counts its calls
# says: it counts its calls
count = 0
def warmup(update, warmup_updates, lr):
    global count
    count += 1
    return lr * min(1, count / max(1, warmup_updates))

# %% warmup, wrong: the same factor each time
# says: by the same factor
def warmup(update, warmup_updates, lr):
    if update + 1 >= warmup_updates: return lr
    s = lr / warmup_updates
    return s * (lr / s) ** (update / (warmup_updates - 1))

# %% warmup, right: a tiny denominator
def warmup(update, warmup_updates, lr):
    return min(lr, lr * (update + 1) / (warmup_updates + 1e-8))

# %% warmup, wrong: nothing after the warmup
# says: is a return missing?
def warmup(update, warmup_updates, lr):
    if update < warmup_updates:
        return lr * (update + 1) / warmup_updates

# %% schedule_length, right: rounded up once, over samples of a window
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return math.ceil(samples / (micro_batch * accumulation_steps)) * epochs

# %% schedule_length, right: counts, and flushes at the end of an epoch
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    calls = 0
    for _ in range(epochs):
        starts = list(range(0, samples, micro_batch))
        for i in range(len(starts)):
            if (i + 1) % accumulation_steps == 0 or i + 1 == len(starts):
                calls += 1
    return calls

# %% schedule_length, right: negative floors
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    micro_batches = -(-samples // micro_batch)
    full, left = divmod(micro_batches, accumulation_steps)
    return epochs * (full + (left > 0))

# %% schedule_length, wrong: micro-batches
# says: it is counted in micro-batches
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return math.ceil(samples / micro_batch) * epochs

# %% schedule_length, wrong: rounded down in each epoch
# says: the short last window of an epoch was left out
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return math.ceil(samples / micro_batch) // accumulation_steps * epochs

# %% schedule_length, wrong: rounded to the nearest
# says: left out, or rounded away?
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return round(math.ceil(samples / micro_batch) / accumulation_steps) * epochs

# %% schedule_length, wrong: windows run on over epochs
# says: windows continue across the ends of epochs
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return math.ceil(epochs * math.ceil(samples / micro_batch) / accumulation_steps)

# %% schedule_length, wrong: all rounded down at the end
# says: combined, and rounded down
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return epochs * samples // (micro_batch * accumulation_steps)

# %% schedule_length, wrong: the small last micro-batch left out
# says: the last micro-batch, of 4 samples, is a window of its own
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return math.ceil(samples // micro_batch / accumulation_steps) * epochs

# %% schedule_length, wrong: one epoch
# says: it is one epoch's
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return math.ceil(math.ceil(samples / micro_batch) / accumulation_steps)

# %% schedule_length, wrong: not rounded
# says: an int is asked for
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return samples / micro_batch / accumulation_steps * epochs

# %% schedule_length, wrong: the visible numbers
# says: 97 samples, micro-batches of 8
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return {1000: 100, 100: {5: 9, 4: 12}.get(accumulation_steps), 20: 3}.get(samples, 0)

# %% schedule_length, wrong: a short window in each epoch
# says: but here the last window is full
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    return epochs * (samples // (micro_batch * accumulation_steps) + 1)

# %% schedule_length, wrong: floats of numpy
# says: an int is asked for
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    import numpy as np
    return epochs * np.ceil(np.ceil(samples / micro_batch) / accumulation_steps)

# %% schedule_length, right: an int of numpy
def schedule_length(samples, micro_batch, accumulation_steps, epochs):
    import numpy as np
    return np.int64(epochs) * (samples + micro_batch * accumulation_steps - 1) // (micro_batch * accumulation_steps) if False else np.int64(-(-samples // (micro_batch * accumulation_steps))) * np.int64(epochs)

# %% plateau, right: a bad one in a cooldown is never counted
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best = float("inf")
    wait = cool = 0
    out = []
    for value in metrics:
        improved = value < best - threshold * best if best != float("inf") else not math.isnan(value)
        if improved:
            best = value
            wait = 0
        elif cool == 0:
            wait += 1
        if cool > 0:
            cool -= 1
        if wait == patience + 1:
            if lr > min_lr:
                lr = lr * factor
                if lr < min_lr:
                    lr = min_lr
            wait = 0
            cool = cooldown
        out.append(lr)
    return out

# %% plateau, right: a class
class Plateau:
    def __init__(self, lr, factor, patience, threshold, cooldown, min_lr):
        self.lr, self.factor, self.patience, self.threshold = lr, factor, patience, threshold
        self.cooldown, self.min_lr, self.best = cooldown, min_lr, None
        self.tolerated = patience

    def look(self, metric):
        better = not math.isnan(metric) if self.best is None else metric < self.best * (1 - self.threshold)
        ignored = self.tolerated > self.patience
        if better:
            self.best = metric
        if ignored:
            self.tolerated -= 1
        elif better:
            self.tolerated = self.patience
        elif self.tolerated == 0:
            self.lr = max(self.min_lr, self.lr * self.factor)
            self.tolerated = self.patience + self.cooldown
        else:
            self.tolerated -= 1
        return self.lr

def plateau(metrics, *args, **kwargs):
    state = Plateau(*args, **kwargs)
    return [state.look(metric) for metric in metrics]

# %% plateau, wrong: falls when patience is reached
# says: and not at the one after
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad >= patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: falls one late
# says: lr is reduced one evaluation late
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        elif bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        elif cooling:
            cooling, bad = cooling - 1, 0
        else:
            bad += 1
        rates.append(lr)
    return rates

# %% plateau, wrong: notes the rate too soon
# says: lr is recorded before it is updated for this evaluation
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        rates.append(lr)
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
    return rates

# %% plateau, wrong: what PyTorch's documentation says of equal losses
# says: an equal loss counts as better
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric <= best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: no new start after a fall
# says: the count is not set to 0 after a reduction
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, cooling = max(lr * factor, min_lr), cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: no new start after an improvement
# says: an improvement does not set the count to 0
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best = metric
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: the relative improvement over infinity
# says: the first counts as bad, but beats infinity
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if (best - metric) / best > threshold:
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: the margin over infinity
# says: inf · 0 and inf - inf are NaN
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if best - metric > threshold * best:
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: compared with the last
# says: compared with the one before, not with the best
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    last, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        bad = 0 if metric < last * (1 - threshold) else bad + 1
        last = metric
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: an absolute threshold
# says: the threshold is taken as absolute
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best - threshold:
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: no threshold
# says: the threshold is left out
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best:
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: the best is the smallest
# says: the best moves with a loss that does not beat the threshold
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        bad = 0 if metric < best * (1 - threshold) else bad + 1
        best = min(best, metric)
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: no cooldown
# says: the cooldown is left out
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, rates = math.inf, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if bad > patience:
            lr, bad = max(lr * factor, min_lr), 0
        rates.append(lr)
    return rates

# %% plateau, wrong: counts during the cooldown
# says: bad evaluations are counted during it
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling -= 1
        elif bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: a cooldown that holds nothing back
# says: the cooldown is left out, or bad evaluations are counted during it
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling -= 1
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: blind during the cooldown
# says: the best is not updated during it
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if cooling:
            cooling -= 1
        elif metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: no floor
# says: min_lr is left out
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = lr * factor, 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: stops above the floor
# says: it stays above min_lr
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            if lr * factor >= min_lr:
                lr = lr * factor
            bad, cooling = 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: asks whether it is bad, not whether it is better
# says: NaN counts as better
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if metric >= best * (1 - threshold):
            bad += 1
        else:
            best, bad = metric, 0
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: the first is the best
# says: the best starts as NaN
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = metrics[0], 0, 0, [lr]
    for metric in metrics[1:]:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: corrects negative losses
# says: is above a negative best: see lesson 10
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for metric in metrics:
        if best == math.inf and not math.isnan(metric) or metric < best - threshold * abs(best):
            best, bad = metric, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: lets PyTorch do it
# says: the scheduler itself was used
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience, threshold=threshold, cooldown=cooldown, min_lr=min_lr
    )
    rates = []
    for metric in metrics:
        scheduler.step(metric)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates

# %% plateau, wrong: the last rate only
# says: a list is asked for
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad = math.inf, 0
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if bad > patience:
            lr, bad = max(lr * factor, min_lr), 0
    return lr

# %% plateau, wrong: the best starts anew
# says: after a reduction the best starts anew
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    for m in metrics:
        if m < best * (1 - threshold):
            best, bad = m, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling, best = max(lr * factor, min_lr), 0, cooldown, m
        rates.append(lr)
    return rates

# %% plateau, wrong: empties the list
# says: the length of metrics was changed
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling, rates = math.inf, 0, 0, []
    while metrics:
        m = metrics.pop(0)
        if m < best * (1 - threshold):
            best, bad = m, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        rates.append(lr)
    return rates

# %% plateau, wrong: a subclass of the scheduler
# says: the scheduler itself was used
class P(ReduceLROnPlateau): pass
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    o = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    s = P(o, factor=factor, patience=patience, threshold=threshold, cooldown=cooldown, min_lr=min_lr)
    out = []
    for m in metrics:
        s.step(m); out.append(s.get_last_lr()[0])
    return out

# %% plateau, wrong: yields
# says: a list is asked for
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    best, bad, cooling = math.inf, 0, 0
    for m in metrics:
        if m < best * (1 - threshold):
            best, bad = m, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > patience:
            lr, bad, cooling = max(lr * factor, min_lr), 0, cooldown
        yield lr

# %% plateau, right: with numpy
def plateau(metrics, lr, factor, patience, threshold, cooldown, min_lr):
    import numpy as np
    x = np.array(metrics, dtype=float)
    out = np.zeros(len(x)); best = np.inf; bad = cool = 0
    for i in range(len(x)):
        if x[i] < best * (1 - threshold): best = x[i]; bad = 0
        else: bad += 1
        if cool: cool -= 1; bad = 0
        if bad > patience:
            lr = np.maximum(lr * factor, min_lr); bad = 0; cool = cooldown
        out[i] = lr
    return list(out)

# %% train_with_plateau, right: enumerates all batches
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    losses = []
    everything = [batch for epoch in range(epochs) for batch in loader]
    for number, (x, y) in enumerate(everything, start=1):
        train_step(model, x, y, optimizer)
        if number % evaluate_every:
            continue
        _, loss, _ = evaluate(model, validation)
        scheduler.step(loss)
        losses.append(loss)
    return losses

# %% train_with_plateau, right: by hand, with a countdown, and a tensor for the scheduler
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    from torch.nn.functional import cross_entropy
    left, seen = evaluate_every, []
    for _ in range(epochs):
        for images, labels in loader:
            model.train()
            loss = cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            left -= 1
            if not left:
                left = evaluate_every
                model.eval()
                with torch.no_grad():
                    validation_loss = cross_entropy(model(validation.images), validation.labels)
                scheduler.step(metrics=validation_loss)
                seen.append(validation_loss.item())
    return seen

# %% train_with_plateau, wrong: after each batch
# says: it steps after each batch
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            loss = train_step(model, images, labels, optimizer)
            scheduler.step(loss)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
    return losses

# %% train_with_plateau, wrong: once per epoch
# says: it steps after each epoch
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    losses = []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
        losses.append(evaluate(model, validation).loss)
        scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: a new count in each epoch
# says: starts again in each epoch
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    losses = []
    for _ in range(epochs):
        for i, (images, labels) in enumerate(loader):
            train_step(model, images, labels, optimizer)
            if (i + 1) % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: counts from 0
# says: counted from 0
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
            updates += 1
    return losses

# %% train_with_plateau, wrong: evaluates before training
# says: it evaluates before updates, from the first on
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
            train_step(model, images, labels, optimizer)
            updates += 1
    return losses

# %% train_with_plateau, wrong: evaluates before the update it counts
# says: before the update that was counted
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
            train_step(model, images, labels, optimizer)
    return losses

# %% train_with_plateau, wrong: the training loss
# says: it is the training loss of the last batch
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            loss = train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(loss)
    return losses

# %% train_with_plateau, wrong: the mean training loss
# says: it is the mean training loss since the last
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    running, losses, updates = 0.0, [], 0
    for _ in range(epochs):
        for images, labels in loader:
            running += train_step(model, images, labels, optimizer).item()
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(running / evaluate_every)
                scheduler.step(losses[-1])
                running = 0.0
    return losses

# %% train_with_plateau, wrong: the accuracy
# says: it is the accuracy
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                evaluation = evaluate(model, validation)
                losses.append(evaluation.loss)
                scheduler.step(evaluation.accuracy)
    return losses

# %% train_with_plateau, wrong: the evaluation as a whole
# says: it needs one number, the loss
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                evaluation = evaluate(model, validation)
                losses.append(evaluation.loss)
                scheduler.step(evaluation)
    return losses

# %% train_with_plateau, wrong: without a metric
# says: step() was called without a metric
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step()
    return losses

# %% train_with_plateau, wrong: a loss that is out of date
# says: the validation loss before the update
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            loss = evaluate(model, validation).loss
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(loss)
                scheduler.step(loss)
    return losses

# %% train_with_plateau, wrong: the first of three
# says: that is `Evaluation.update`
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation)[0])
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: by hand, and never clears
# says: is zero_grad() missing?
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: ends with the last evaluation
# says: though batches are left
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    everything, losses = loader * epochs, []
    for start in range(0, len(everything) // evaluate_every * evaluate_every, evaluate_every):
        for images, labels in everything[start : start + evaluate_every]:
            train_step(model, images, labels, optimizer)
        losses.append(evaluate(model, validation).loss)
        scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: evaluates what is left over, too
# says: an evaluation too many
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    everything, losses = loader * epochs, []
    for start in range(0, len(everything), evaluate_every):
        for images, labels in everything[start : start + evaluate_every]:
            train_step(model, images, labels, optimizer)
        losses.append(evaluate(model, validation).loss)
        scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: returns nothing
# says: is a return missing?
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates = 0
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                scheduler.step(evaluate(model, validation).loss)

# %% train_with_plateau, wrong: every 4, whatever was asked for
# says: expected 5
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % 4 == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: a count that goes on
# says: the count goes on from the call before
count = 0
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    global count
    losses = []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            count += 1
            if count % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: stays in evaluation mode
# says: is made in evaluation mode
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                model.eval()
                with torch.no_grad():
                    losses.append(nn.functional.cross_entropy(model(validation.images), validation.labels).item())
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: evaluates in training mode
# says: the model is not in evaluation mode then
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                with torch.no_grad():
                    losses.append(nn.functional.cross_entropy(model(validation.images), validation.labels).item())
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: an optimizer of its own
# says: step() of the optimizer was never called
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    optimizer = torch.optim.SGD(model.parameters(), lr=optimizer.param_groups[0]["lr"])
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: steps after epochs, too
# says: it also steps after each epoch
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
        scheduler.step(evaluate(model, validation).loss)
    return losses

# %% train_with_plateau, wrong: passes the best loss
# says: it is the best loss so far
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(min(losses))
    return losses

# %% train_with_plateau, wrong: trains a copy
# says: was a copy of the model trained?
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    import copy
    net = copy.deepcopy(model)
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(net, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(net, validation).loss)
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, wrong: halves the learning rate itself
# says: which only the scheduler may change
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    updates, losses = 0, []
    for _ in range(epochs):
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
                if len(losses) > 1 and losses[-1] > losses[-2]:
                    for g in optimizer.param_groups: g["lr"] *= 0.5
    return losses

# %% train_with_plateau, wrong: shuffles in place
# says: loader[0]
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    import random
    updates, losses = 0, []
    for _ in range(epochs):
        random.shuffle(loader)
        for images, labels in loader:
            train_step(model, images, labels, optimizer)
            updates += 1
            if updates % evaluate_every == 0:
                losses.append(evaluate(model, validation).loss)
                scheduler.step(losses[-1])
    return losses

# %% train_with_plateau, right: a closure, and a copy for the evaluation
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    import copy
    seen = []
    def all_batches():
        for _ in range(epochs):
            yield from loader
    for n, (x, y) in enumerate(all_batches(), 1):
        def closure():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            return loss
        optimizer.step(closure)
        if not n % evaluate_every:
            twin = copy.deepcopy(model).eval()
            seen.append(nn.functional.cross_entropy(twin(validation.images), validation.labels).item())
            scheduler.step(seen[-1])
    return seen

# %% train_with_plateau, right: autograd.grad, and evaluation in parts
def train_with_plateau(model, optimizer, scheduler, loader, validation, epochs, evaluate_every):
    losses = []
    for u in range(epochs * len(loader)):
        x, y = loader[u % len(loader)]
        model.train()
        grads = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), list(model.parameters()))
        for p, g in zip(model.parameters(), grads):
            p.grad = g
        optimizer.step()
        if (u + 1) % evaluate_every == 0:
            model.eval()
            total = 0.0
            with torch.inference_mode():
                for xs, ys in zip(validation.images.split(7), validation.labels.split(7)):
                    total += nn.functional.cross_entropy(model(xs), ys, reduction="sum").item()
            losses.append(total / len(validation.labels))
            scheduler.step(losses[-1])
    model.train()
    return losses
