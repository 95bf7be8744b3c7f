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

# %% bytes_per_sample, wrong: one image
# says: for one image: what BatchNorm saves
def bytes_per_sample(model, images):
    model = copy.deepcopy(model)
    with SavedForBackward(model) as saved:
        model(images[:1])
    return saved.peak

# %% bytes_per_sample, wrong: a tensor
# says: is a tensor: a float is asked for
def bytes_per_sample(model, images):
    copied = copy.deepcopy(model)
    with SavedForBackward(copied) as saved:
        copied(images)
    return torch.tensor(saved.peak / len(images))

# %% bytes_per_sample, wrong: running statistics move
# says: buffer '1.running_mean' of model was changed
def bytes_per_sample(model, images):
    with SavedForBackward(model) as saved:
        model(images)
    return saved.peak / len(images)

# %% bytes_per_sample, wrong: evaluation mode
# says: in evaluation mode: the mode must stay
def bytes_per_sample(model, images):
    mode = model.training
    model.eval()
    with SavedForBackward(model) as saved:
        model(images)
    model.train(mode)
    return saved.peak / len(images)

# %% bytes_per_sample, wrong: hooks stay behind
# says: the number of hooks on model was changed
def bytes_per_sample(model, images):
    sizes = []
    for m in model.modules():
        m.register_forward_hook(lambda m, i, o: sizes.append(o.nbytes))
    with SavedForBackward(model) as saved, torch.random.fork_rng():
        state = copy.deepcopy(model.state_dict())
        model(images)
        model.load_state_dict(state)
    return saved.peak / len(images)

# %% bytes_per_sample, wrong: clears the gradients there were
# says: the gradient of parameter '0.weight' of model was changed
def bytes_per_sample(model, images):
    copied = copy.deepcopy(model)
    with SavedForBackward(copied) as saved:
        copied(images).sum().backward()
    model.zero_grad()
    return saved.peak / len(images)

# %% bytes_per_sample, wrong: the notebook's images
# says: uses 'training' of the notebook
def bytes_per_sample(model, images):
    copied = copy.deepcopy(model)
    with SavedForBackward(copied) as saved:
        copied(training.images[:len(images)])
    return saved.peak / len(images)

# %% bytes_per_sample, wrong: in float32
# says: but float64 takes 8
def bytes_per_sample(model, images):
    copied = copy.deepcopy(model).float()
    with SavedForBackward(copied) as saved:
        copied(images.float())
    return saved.peak / len(images)

# %% bytes_per_sample, wrong: thaws frozen layers
# says: the frozen layer was thawed
def bytes_per_sample(model, images):
    copied = copy.deepcopy(model).requires_grad_(True)
    with SavedForBackward(copied) as saved:
        copied(images)
    return saved.peak / len(images)

# %% bytes_per_sample, right: hooks that look at storages
def bytes_per_sample(model, images):
    m = copy.deepcopy(model)
    known = {id(t.untyped_storage()._cdata) for t in m.parameters()}
    skip = {t.untyped_storage().data_ptr() for t in list(m.parameters()) + list(m.buffers())}
    held = {}
    def pack(t):
        ptr = t.untyped_storage().data_ptr()
        if ptr not in skip:
            held[ptr] = max(held.get(ptr, 0), t.numel() * t.element_size())
        return t
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = m(images)
        out.sum()
    return sum(held.values()) / len(images)

# %% bytes_per_sample, right: numpy's numbers
def bytes_per_sample(model, images):
    import numpy as np
    copied = copy.deepcopy(model)
    with torch.enable_grad(), SavedForBackward(copied) as saved:
        loss = copied(images)
    return np.float64(saved.bytes) / np.int64(len(images))

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

# %% fit, wrong: a float
# says: accumulation_steps is 5.0, of type float: an int is asked for
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    for m in range(effective_batch_size, 0, -1):
        if effective_batch_size % m == 0 and m * bytes_per_sample <= bytes_allowed:
            return m, effective_batch_size / m
    raise ValueError

# %% fit, wrong: an assert
# says: raise a ValueError, but there was AssertionError()
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    most = bytes_allowed // bytes_per_sample
    assert most >= 1
    for m in range(min(most, effective_batch_size), 0, -1):
        if effective_batch_size % m == 0:
            return m, effective_batch_size // m

# %% fit, wrong: returns the error
# says: raise a ValueError, but there was ValueError('too small')
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    for m in range(effective_batch_size, 0, -1):
        if effective_batch_size % m == 0 and m * bytes_per_sample <= bytes_allowed:
            return m, effective_batch_size // m
    return ValueError("too small")

# %% fit, wrong: MemoryError
# says: raise a ValueError, but there was MemoryError(
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    if bytes_per_sample > bytes_allowed:
        raise MemoryError("not one sample fits")
    m = max(m for m in range(1, effective_batch_size + 1) if effective_batch_size % m == 0 and m * bytes_per_sample <= bytes_allowed)
    return m, effective_batch_size // m

# %% fit, wrong: as few steps as the bytes allow
# says: 50 samples of 700 bytes in 14,000: got 16, 3, expected 10, 5
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    if bytes_per_sample > bytes_allowed:
        raise ValueError
    import math
    K = math.ceil(effective_batch_size * bytes_per_sample / bytes_allowed)
    return effective_batch_size // K, K

# %% fit, wrong: refuses what does not divide
# says: 12 fit, but there was ValueError()
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    most = min(bytes_allowed // bytes_per_sample, effective_batch_size)
    if most == 0 or effective_batch_size % most:
        raise ValueError
    return most, effective_batch_size // most

# %% fit, wrong: never one at a time
# says: 1 fit, but there was ValueError()
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    for m in range(effective_batch_size, 1, -1):
        if effective_batch_size % m == 0 and m * bytes_per_sample <= bytes_allowed:
            return m, effective_batch_size // m
    raise ValueError

# %% fit, right: numpy
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    import numpy as np
    sizes = np.arange(1, effective_batch_size + 1)
    ok = sizes[(effective_batch_size % sizes == 0) & (sizes * bytes_per_sample <= bytes_allowed)]
    if ok.size == 0:
        raise ValueError("none")
    return ok[-1], effective_batch_size // ok[-1]

# %% fit, right: pairs of divisors, an exception of its own
def fit(bytes_per_sample, bytes_allowed, effective_batch_size):
    best = 0
    k = 1
    while k * k <= effective_batch_size:
        q, r = divmod(effective_batch_size, k)
        if r == 0:
            for c in (k, q):
                if best < c and c * bytes_per_sample <= bytes_allowed:
                    best = c
        k += 1
    if best == 0:
        class TooBig(ValueError):
            pass
        raise TooBig()
    return best, effective_batch_size // best

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

# %% swap_batchnorm, wrong: every kind of BatchNorm
# says: others.0: replaced, too, though no BatchNorm2d
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, nn.GroupNorm(groups, child.num_features))

# %% swap_batchnorm, wrong: GroupNorm is renewed, too
# says: others.1: replaced, too
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (nn.BatchNorm2d, nn.GroupNorm)):
                c = child.num_features if isinstance(child, nn.BatchNorm2d) else child.num_channels
                setattr(module, name, nn.GroupNorm(groups, c))

# %% swap_batchnorm, wrong: one layer for all
# says: the same GroupNorm stands at two places
def swap_batchnorm(model, groups):
    made = {}
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                C = child.num_features
                made.setdefault(C, nn.GroupNorm(groups, C))
                setattr(module, name, made[C])

# %% swap_batchnorm, wrong: stops at other classes
# says: all depths and all classes of modules
def swap_batchnorm(model, groups):
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(model, name, nn.GroupNorm(groups, child.num_features))
        elif isinstance(child, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
            swap_batchnorm(child, groups)

# %% swap_batchnorm, wrong: channels in each group
# says: the number of channels in each group
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(child.num_features // groups, child.num_features))

# %% swap_batchnorm, wrong: other names
# says: setattr wants the module right above the layer
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                delattr(module, name)
                module.add_module(name + "_gn", nn.GroupNorm(groups, child.num_features))

# %% swap_batchnorm, wrong: training mode
# says: its mode was changed
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(groups, child.num_features))
    model.train()

# %% swap_batchnorm, wrong: resets all weights
# says: its values were changed, though it is no BatchNorm2d
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(groups, child.num_features))
            elif hasattr(child, "reset_parameters"):
                child.reset_parameters()

# %% swap_batchnorm, wrong: without weights
# says: has no weights: affine must be True
def swap_batchnorm(model, groups):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(groups, child.num_features, affine=False))

# %% swap_batchnorm, right: a stack
def swap_batchnorm(model, groups):
    stack = [model]
    while stack:
        parent = stack.pop()
        for key in list(parent._modules):
            child = parent._modules[key]
            if type(child).__name__ == "BatchNorm2d":
                parent._modules[key] = nn.GroupNorm(groups, child.num_features, device="cpu")
            elif child is not None:
                stack.append(child)

# %% swap_batchnorm, right: set_submodule
def swap_batchnorm(model, groups):
    for path, layer in [(p, l) for p, l in model.named_modules() if isinstance(l, nn.BatchNorm2d)]:
        model.set_submodule(path, nn.GroupNorm(groups, layer.num_features).to(layer.weight.device))

# %% swap_batchnorm, wrong: names without a dot are forgotten
# says: swap_batchnorm ended in ValueError('not enough values to unpack
def swap_batchnorm(model, groups):
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            parent, last = name.rsplit(".", 1)
            setattr(model.get_submodule(parent), last, nn.GroupNorm(groups, module.num_features))

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

# %% train_within, wrong: the notebook's training data
# says: uses 'training' of the notebook
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(training, 1), 48), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

# %% train_within, wrong: looks at the test images
# says: uses 'test' of the notebook
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 24), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()
        if evaluate(model, test, batch_size=1).accuracy > 0.6:
            break

# %% train_within, wrong: loads MNIST itself
# says: fewer than by chance
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    data, _ = load_mnist()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(data, 2), 24), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

# %% train_within, wrong: one step too many
# says: 26 updates were made, 25 are allowed
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for u, window in enumerate(windows(batches(Split(images, labels), 2), 24)):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()
        if u == updates_allowed:
            break

# %% train_within, wrong: standardizes the images in place
# says: images was changed. It must stay
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    images.sub_(0.13).div_(0.3)
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 24), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

# %% train_within, wrong: all graphs before one backward
# says: 1,015.7 kB were alive at once
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(Split(images, labels), 1), 48), updates_allowed):
        optimizer.zero_grad()
        loss = sum(cross_entropy(model(x), y) for x, y in window) / 48
        loss.backward()
        optimizer.step()

# %% train_within, wrong: functions instead of layers
# says: call the model, so that its layers are measured
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    import torch.nn.functional as F
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for x, y in itertools.islice(batches(Split(images, labels), 64), updates_allowed):
        h = x
        for b in list(model)[:4]:
            c, g = b[0], b[1]
            h = F.relu(F.group_norm(F.conv2d(h, c.weight, c.bias, c.stride, c.padding), 4, g.weight, g.bias))
        loss = cross_entropy(F.linear(h.flatten(1), model[-1].weight, model[-1].bias), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %% train_within, right: torch.func
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for m in list(model.modules()):
        for name, child in list(m.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(m, name, nn.GroupNorm(4, child.num_features))
    params = dict(model.named_parameters())
    opt = torch.optim.Adam(params.values(), lr=0.005)

    def loss(p, x, y):
        return cross_entropy(torch.func.functional_call(model, p, (x,)), y, reduction="sum")

    order = torch.randperm(len(images))[: updates_allowed * 48].view(updates_allowed, 48)
    for row in order:
        opt.zero_grad()
        for i in row.split(1):
            g = torch.func.grad(loss)({k: v.detach() for k, v in params.items()}, images[i], labels[i])
            for k, p in params.items():
                p.grad = g[k] / 48 if p.grad is None else p.grad + g[k] / 48
        opt.step()

# %% train_within, right: a closure with autograd.grad
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(2, model[i][1].num_features)
    with LiveTensors() as live:
        model(images[:1])
    M = 2 if bytes_allowed >= 50_000 else 1
    opt = torch.optim.NAdam(model.parameters(), lr=0.006)
    ps = list(model.parameters())
    for u in range(updates_allowed):
        which = torch.randperm(len(images))[:50]

        def closure():
            total = [torch.zeros_like(p) for p in ps]
            for part in which.split(M):
                loss = cross_entropy(model(images[part]), labels[part], reduction="sum") / 50
                for t, g in zip(total, torch.autograd.grad(loss, ps)):
                    t.add_(g)
            for p, t in zip(ps, total):
                p.grad = t
            return 0.0

        opt.step(closure)

# %% train_within, wrong: yields its losses
# says: train_within has a `yield`, so that nothing runs
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(Split(images, labels), 2), 24), updates_allowed):
        optimizer.zero_grad()
        yield backward(model, window)
        optimizer.step()

# %% train_within, wrong: images and labels in different orders
# says: Are images and labels in the same order?
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    for i in range(4):
        model[i][1] = nn.GroupNorm(4, model[i][1].num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    shuffled = Split(images[torch.randperm(len(images))], labels[torch.randperm(len(labels))])
    for window in itertools.islice(windows(batches(shuffled, 2), 24), updates_allowed):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()

# %% train_within, wrong: the model in float64
# says: the model does not take float32 images any more
def train_within(model, images, labels, bytes_allowed, updates_allowed):
    model.double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for window in itertools.islice(windows(batches(Split(images.double(), labels), 2), 24), 1):
        optimizer.zero_grad()
        backward(model, window)
        optimizer.step()
