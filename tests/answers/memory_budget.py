"""Answers to the exercises of memory_budget, right ones and wrong ones that people give."""
# ruff: noqa

# %% bytes_per_sample, right: backward as well, on a copy
def bytes_per_sample(model, images):
    import copy
    model = copy.deepcopy(model)
    with SavedForBackward(model) as saved:
        model(images).sum().backward()
    return saved.peak // len(images)

# %% bytes_per_sample, right: two hooks of its own
def bytes_per_sample(model, images):
    there = {t.data_ptr() for t in (*model.parameters(), *model.buffers())}
    buffers = [buffer.clone() for buffer in model.buffers()]
    kept = {}

    def note(tensor):
        if tensor.data_ptr() not in there:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = model(images)
    for buffer, old in zip(model.buffers(), buffers):
        buffer.copy_(old)
    return sum(kept.values()) / images.shape[0]

# %% bytes_per_sample, right: the buffers are put back
def bytes_per_sample(model, images):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with SavedForBackward(model) as saved:
        output = model(images)
    model.load_state_dict(state)
    return saved.bytes / images.size(0)

# %% bytes_per_sample, wrong: the whole batch
# says: divide by their number
def bytes_per_sample(model, images):
    with SavedForBackward(model) as saved:
        model(images)
    return saved.peak

# %% bytes_per_sample, wrong: adds up everything the hooks see
# says: too, and what two layers save is counted twice
def bytes_per_sample(model, images):
    sizes = []

    def note(tensor):
        sizes.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(images)
    return sum(sizes) / len(images)

# %% bytes_per_sample, wrong: parameters, too
# says: the parameters are counted, too
def bytes_per_sample(model, images):
    kept = {}

    def note(tensor):
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(images)
    return sum(kept.values()) / len(images)

# %% bytes_per_sample, wrong: adds up what two layers keep
# says: counted twice
def bytes_per_sample(model, images):
    sizes = []
    parameters = {p.data_ptr() for p in model.parameters()}

    def note(tensor):
        if tensor.data_ptr() not in parameters:
            sizes.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(images)
    return sum(sizes) / len(images)

# %% bytes_per_sample, wrong: reads after backward
# says: has given it back
def bytes_per_sample(model, images):
    model = copy.deepcopy(model)
    with SavedForBackward(model) as saved:
        model(images).sum().backward()
    return saved.bytes / len(images)

# %% bytes_per_sample, wrong: under no_grad
# says: under no_grad
def bytes_per_sample(model, images):
    with torch.no_grad(), SavedForBackward(model) as saved:
        model(images)
    return saved.peak / len(images)

# %% bytes_per_sample, wrong: leaves gradients behind
# says: the gradient of parameter
def bytes_per_sample(model, images):
    with SavedForBackward(model) as saved:
        model(images).sum().backward()
    return saved.peak / len(images)

# %% bytes_per_sample, wrong: everything alive
# says: LiveTensors counts this
def bytes_per_sample(model, images):
    with LiveTensors() as live:
        output = model(images)
    return live.peak / len(images)

# %% bytes_per_sample, wrong: the parameters
# says: the parameters only
def bytes_per_sample(model, images):
    return sum(p.nbytes for p in model.parameters())

# %% bytes_per_sample, wrong: the images
# says: the images only
def bytes_per_sample(model, images):
    return images.nbytes / len(images)

# %% bytes_per_sample, wrong: returns nothing
# says: is a return missing?
def bytes_per_sample(model, images):
    with SavedForBackward(model) as saved:
        model(images)
    print(saved.peak / len(images))

# %% bytes_per_sample, wrong: the visible number
# says: bytes per sample of cnn()
def bytes_per_sample(model, images):
    return 3776

# %% fit, right: every divisor that fits
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    sizes = [m for m in range(1, effective_batch_size + 1)
             if effective_batch_size % m == 0 and m * bytes_per_sample <= bytes_allowed]
    if not sizes:
        raise ValueError("does not fit")
    return [max(sizes), effective_batch_size // max(sizes)]

# %% fit, right: the fewest steps
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    K = 1
    while effective_batch_size % K or effective_batch_size // K * bytes_per_sample > bytes_allowed:
        K += 1
        if K > effective_batch_size:
            raise ValueError(f"not even one sample fits into {bytes_allowed}")
    return effective_batch_size // K, K

# %% fit, wrong: does not divide
# says: they do not divide 60
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    micro_batch = min(bytes_allowed // bytes_per_sample, effective_batch_size)
    if not micro_batch:
        raise ValueError
    return micro_batch, -(-effective_batch_size // micro_batch)

# %% fit, wrong: does not divide, rounded down
# says: 13 · 4 are not 60
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    micro_batch = min(bytes_allowed // bytes_per_sample, effective_batch_size)
    if not micro_batch:
        raise ValueError
    return micro_batch, effective_batch_size // micro_batch

# %% fit, wrong: swapped
# says: the micro-batch comes first
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    for m in range(min(bytes_allowed // bytes_per_sample, effective_batch_size), 0, -1):
        if effective_batch_size % m == 0:
            return effective_batch_size // m, m
    raise ValueError

# %% fit, wrong: smaller, not equal
# says: so they fit
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    for m in range(effective_batch_size, 0, -1):
        if effective_batch_size % m == 0 and m * bytes_per_sample < bytes_allowed:
            return m, effective_batch_size // m
    raise ValueError

# %% fit, wrong: halves until it fits
# says: 7 · 8 are only 56
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    m, K = effective_batch_size, 1
    while m * bytes_per_sample > bytes_allowed:
        m //= 2
        K *= 2
        if m == 0:
            raise ValueError
    return m, K

# %% fit, wrong: powers of two
# says: only powers of 2
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    m = 1
    if bytes_per_sample > bytes_allowed:
        raise ValueError
    while 2 * m * bytes_per_sample <= bytes_allowed and effective_batch_size % (2 * m) == 0:
        m *= 2
    return m, effective_batch_size // m

# %% fit, wrong: larger than the effective batch
# says: larger than the effective batch
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    m = bytes_allowed // bytes_per_sample
    if not m:
        raise ValueError
    while effective_batch_size % m and m < effective_batch_size:
        m -= 1
    return m, max(1, effective_batch_size // m)

# %% fit, wrong: a micro-batch of 1 that does not fit
# says: raise a ValueError, but there was (1, 60)
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    m = max(1, min(bytes_allowed // bytes_per_sample, effective_batch_size))
    while effective_batch_size % m:
        m -= 1
    return m, effective_batch_size // m

# %% fit, wrong: falls out of the loop
# says: but there was None
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    for m in range(effective_batch_size, 0, -1):
        if effective_batch_size % m == 0 and m * bytes_per_sample <= bytes_allowed:
            return m, effective_batch_size // m

# %% fit, wrong: divides by zero
# says: ZeroDivisionError
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    m = min(bytes_allowed // bytes_per_sample, effective_batch_size)
    while effective_batch_size % m:
        m -= 1
    return m, effective_batch_size // m

# %% fit, wrong: the visible numbers
# says: 64 samples of 300 bytes
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    if bytes_allowed < bytes_per_sample:
        raise ValueError
    return (60, 1) if bytes_allowed > 60_000 else (12, 5)

# %% swap_batchnorm, right: recursion
def swap_batchnorm(model, groups):
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            model._modules[name] = nn.GroupNorm(num_groups=groups, num_channels=child.num_features)
        else:
            swap_batchnorm(child, groups)

# %% swap_batchnorm, right: by dotted name
def swap_batchnorm(model, groups):
    names = [name for name, module in model.named_modules() if type(module) is nn.BatchNorm2d]
    for name in names:
        parent, _, last = name.rpartition(".")
        old = model.get_submodule(name)
        setattr(model.get_submodule(parent), last, nn.GroupNorm(groups, old.num_features, eps=old.eps))
    return model

# %% swap_batchnorm, right: weights carried over
def swap_batchnorm(model, groups):
    def swap(module):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                new = nn.GroupNorm(groups, child.weight.shape[0])
                new.load_state_dict({"weight": child.weight, "bias": child.bias})
                module.add_module(name, new)

    model.apply(swap)

# %% swap_batchnorm, wrong: a variable of the loop
# says: is a variable assigned
def swap_batchnorm(model, groups):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module = nn.GroupNorm(groups, module.num_features)

# %% swap_batchnorm, wrong: a copy
# says: a copy changed
def swap_batchnorm(model, groups):
    import copy
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(groups, child.num_features))
    return model

# %% swap_batchnorm, wrong: the first level only
# says: no BatchNorm2d of the model was replaced
def swap_batchnorm(model, groups):
    for name, child in list(model.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(model, name, nn.GroupNorm(groups, child.num_features))

# %% swap_batchnorm, wrong: Sequentials only
# says: all depths and all classes of modules
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential):
            for i in range(len(module)):
                if isinstance(module[i], nn.BatchNorm2d):
                    module[i] = nn.GroupNorm(groups, module[i].num_features)

# %% swap_batchnorm, wrong: a name with dots
# says: setattr wants the module right above the layer
def swap_batchnorm(model, groups):
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            setattr(model, name, nn.GroupNorm(groups, module.num_features))

# %% swap_batchnorm, wrong: one group for each channel
# says: as InstanceNorm has it
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(child.num_features, child.num_features))

# %% swap_batchnorm, wrong: groups and channels swapped
# says: num_channels
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(child.num_features, groups))

# %% swap_batchnorm, wrong: evaluation mode
# says: no BatchNorm2d of the model was replaced
def swap_batchnorm(model, groups):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()

# %% swap_batchnorm, wrong: synchronized
# says: SyncBatchNorm, no GroupNorm
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.SyncBatchNorm(child.num_features))

# %% swap_batchnorm, wrong: always eight channels
# says: channels
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(groups, 8))

# %% swap_batchnorm, wrong: always four groups
# says: always 4, and `groups` is not used
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(4 if child.num_features % 4 == 0 else 3, child.num_features))

# %% train_within, right: momentum, the modulo loop, a generator of its own
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    def swap(module):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(8, child.num_features))
            else:
                swap(child)

    swap(model)
    with SavedForBackward(model) as saved:
        model(images[:1])
    M = bytes_allowed // saved.peak
    K = 64 // M
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    updates = i = 0
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(5))
    for chosen in order.split(M):
        (cross_entropy(model(images[chosen]), labels[chosen]) / K).backward()
        i += 1
        if i % K == 0:
            opt.step()
            opt.zero_grad()
            updates += 1
            if updates == updates_allowed:
                break

# %% train_within, right: checkpointing, with three images at a time
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    from torch.utils.checkpoint import checkpoint
    for i in range(4):
        model[i][1] = nn.GroupNorm(1, model[i][1].num_features)
    M = 3 if bytes_allowed >= 60_000 else 1
    opt = torch.optim.Adam(model.parameters(), lr=0.005)
    for u in range(updates_allowed):
        opt.zero_grad()
        which = torch.randint(len(images), (48,))
        for part in which.split(M):
            states = images[part]
            for i in range(3):
                states = checkpoint(model[i], states, use_reentrant=False)
            (cross_entropy(model[3:](states), labels[part], reduction="sum") / 48).backward()
        opt.step()

# %% train_within, right: the sum is not divided, which Adam does not see
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for m in list(model.modules()):
        for name, child in list(m.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(m, name, nn.GroupNorm(2, child.num_features))
    M = 2 if bytes_allowed > 50_000 else 1
    opt = torch.optim.AdamW(model.parameters(), lr=0.004)
    order = torch.randperm(len(images))[: updates_allowed * 48].view(updates_allowed, 48)
    for row in order:
        for part in row.split(M):
            cross_entropy(model(images[part]), labels[part]).backward()
        opt.step()
        opt.zero_grad()

# %% train_within, wrong: the whole batch at once
# says: kB were alive at once, 64.0 kB are allowed: fewer images at a time
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for x, y in itertools.islice(batches(Split(images, labels), 64), updates_allowed):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()

# %% train_within, wrong: an update for each micro-batch
# says: 200 updates were made, 25 are allowed: accumulate before each
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for x, y in batches(Split(images[:400], labels[:400]), 2):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()

# %% train_within, wrong: small batches until the updates are used up
# says: each update saw about 2 images
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for x, y in itertools.islice(batches(Split(images, labels), 2), updates_allowed):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()

# %% train_within, wrong: accumulates, with the rate of the small batch
# says: still that of a small batch
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 24), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

# %% train_within, wrong: BatchNorm stays
# says: BatchNorm is still in the network
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 24), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

# %% train_within, wrong: one image at a time, and BatchNorm
# says: BatchNorm has a single number per channel
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for window in itertools.islice(windows(batches(Split(images, labels), 1), 48), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

# %% train_within, wrong: the means are not divided
# says: micro-batches' means is not divided
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 24), updates_allowed):
        optimizer.zero_grad()
        for x, y in window:
            cross_entropy(model(x), y).backward()
        optimizer.step()

# %% train_within, wrong: checkpointing hides the whole batch
# says: and what checkpointing computes again
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    from torch.utils.checkpoint import checkpoint
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for x, y in itertools.islice(batches(Split(images, labels), 64), updates_allowed):
        optimizer.zero_grad()
        cross_entropy(checkpoint(model, x, use_reentrant=False), y).backward()
        optimizer.step()

# %% train_within, wrong: a smaller model
# says: they were to stay
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    model[0] = nn.Sequential(nn.Conv2d(1, 2, 5, stride=2), nn.ReLU())
    model[1] = nn.Identity()
    model[2] = nn.Conv2d(2, 16, 5, stride=2)
    model[3] = nn.Conv2d(16, 64, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(Split(images, labels), 4), 12), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

# %% train_within, wrong: trains a copy
# says: is a copy trained
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    import copy
    model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 2), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()
    return model

# %% train_within, wrong: by hand, without an optimizer
# says: no update was seen
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 24), updates_allowed):
        model.zero_grad()
        backward(model, window)
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.3 * p.grad

# %% train_within, wrong: evaluates everything at once
# says: Evaluation counts, too
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 24), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()
    evaluate(model, Split(images, labels))

# %% train_within, wrong: the visible limits
# says: with 35 kB and 12 updates
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 24), 25):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

# %% train_within, wrong: too cautious, one update
# says: only 1 of 25 updates
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in windows(batches(Split(images[:1024], labels[:1024]), 2), 512):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()
