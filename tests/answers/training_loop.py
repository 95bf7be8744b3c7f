"""Answers to the exercises of training_loop, right ones and wrong ones that people give."""
# ruff: noqa

# %% train_one_epoch, right: clears after the step, keeps the losses in a list
def train_one_epoch(model, optimizer, loader):
    model.train()
    losses, sizes = [], []
    for inputs, targets in loader:
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        sizes.append(len(inputs))
    return sum(l * n for l, n in zip(losses, sizes)) / sum(sizes)

# %% train_one_epoch, right: a loss of its own for the report
def train_one_epoch(model, optimizer, loader):
    model.train(True)
    criterion = nn.CrossEntropyLoss()
    total = torch.tensor(0.0)
    count = 0
    for batch in loader:
        x, y = batch
        model.zero_grad(set_to_none=False)
        logits = model(x)
        criterion(logits, y).backward()
        with torch.no_grad():
            total += cross_entropy(logits, y, reduction="sum")
        count += y.shape[0]
        optimizer.step()
    return float(total / count)

# %% train_one_epoch, wrong: never clears
# says: gradients are never cleared
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: steps before backward
# says: does step() come after backward()?
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        optimizer.step()
        loss.backward()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: the mean of means
# says: the mean of the batches' means
def train_one_epoch(model, optimizer, loader):
    model.train()
    losses = []
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)

# %% train_one_epoch, wrong: the last loss
# says: the last batch's loss
def train_one_epoch(model, optimizer, loader):
    model.train()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
    return loss.item()

# %% train_one_epoch, wrong: returns nothing
# says: is a return missing?
def train_one_epoch(model, optimizer, loader):
    model.train()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()

# %% train_one_epoch, wrong: sums tensors with their graphs
# says: perhaps with its graph
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: stays in evaluation mode
# says: evaluation mode
def train_one_epoch(model, optimizer, loader):
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: needs the loader's length
# says: has no len()
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for i in range(len(loader)):
        inputs, targets = loader[i]
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% accuracy, right: a decorator, and a count
@torch.inference_mode()
def accuracy(model, inputs, targets):
    mode = model.training
    model.eval()
    predictions = model(inputs).max(1)[1]
    model.train(mode)
    return int((predictions == targets).sum()) / len(targets)

# %% accuracy, right: restores in a finally
def accuracy(model, inputs, targets):
    training = model.training
    try:
        model.eval()
        with torch.no_grad():
            return torch.eq(model(inputs).argmax(-1), targets).double().mean().item()
    finally:
        if training:
            model.train()

# %% accuracy, wrong: forgets evaluation mode
# says: training mode while it was evaluated
def accuracy(model, inputs, targets):
    with torch.no_grad():
        return (model(inputs).argmax(1) == targets).float().mean().item()

# %% accuracy, wrong: never goes back
# says: is not any more
def accuracy(model, inputs, targets):
    model.eval()
    with torch.no_grad():
        return (model(inputs).argmax(1) == targets).float().mean().item()

# %% accuracy, wrong: always goes to training mode
# says: is in training mode now
def accuracy(model, inputs, targets):
    model.eval()
    with torch.no_grad():
        right = (model(inputs).argmax(1) == targets).float().mean().item()
    model.train()
    return right

# %% accuracy, wrong: builds a graph
# says: a graph was built
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval()
    right = (model(inputs).argmax(1) == targets).float().mean().item()
    model.train(was_training)
    return right

# %% accuracy, wrong: switches gradients off for good
# says: gradients are switched off from here on
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval()
    torch.set_grad_enabled(False)
    right = (model(inputs).argmax(1) == targets).float().mean().item()
    model.train(was_training)
    return right

# %% accuracy, wrong: per cent
# says: per cent
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        right = (model(inputs).argmax(1) == targets).float().mean().item()
    model.train(was_training)
    return 100 * right

# %% accuracy, wrong: a count
# says: a count, not a share
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        right = (model(inputs).argmax(1) == targets).sum().item()
    model.train(was_training)
    return right

# %% sgd_update, right: .data
def sgd_update(parameters, lr):
    for p in parameters:
        if p.grad is None:
            continue
        p.data = p.data - lr * p.grad

# %% sgd_update, right: add_ under a decorator
@torch.no_grad()
def sgd_update(parameters, lr):
    for p in (p for p in parameters if p.grad is not None):
        p.add_(p.grad, alpha=-lr)

# %% sgd_update, wrong: a new tensor under an old name
# says: was a new tensor made
def sgd_update(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p = p - lr * p.grad

# %% sgd_update, wrong: the wrong sign
# says: up the slope
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None:
                p += lr * p.grad

# %% sgd_update, wrong: no learning rate
# says: the learning rate was left out
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None:
                p -= p.grad

# %% sgd_update, wrong: clears the gradient
# says: it was cleared
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None:
                p -= lr * p.grad
                p.grad.zero_()

# %% sgd_update, wrong: in place without no_grad
# says: leaf Variable that requires grad
def sgd_update(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p -= lr * p.grad

# %% sgd_update, wrong: no gradient, no answer
# says: NoneType
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            p -= lr * p.grad

# %% cleared_but_the_same, right: sums of its own
def cleared_but_the_same(model, loader, lr):
    sums = [torch.zeros_like(p) for p in model.parameters()]
    for inputs, targets in loader:
        model.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        with torch.no_grad():
            for p, s in zip(model.parameters(), sums):
                s += p.grad
                p -= lr * s

# %% cleared_but_the_same, right: clears after the step
def cleared_but_the_same(model, loader, lr):
    opt = torch.optim.SGD(model.parameters(), lr, 1)
    for inputs, targets in loader:
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        opt.step()
        model.zero_grad()

# %% cleared_but_the_same, wrong: momentum 0.9
# says: is anything of the earlier gradients lost?
def cleared_but_the_same(model, loader, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for inputs, targets in loader:
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, wrong: no momentum
# says: is anything of the earlier gradients lost?
def cleared_but_the_same(model, loader, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for inputs, targets in loader:
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, wrong: does not clear
# says: they are never cleared
def cleared_but_the_same(model, loader, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for inputs, targets in loader:
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, wrong: Nesterov's momentum
# says: is anything of the earlier gradients lost?
def cleared_but_the_same(model, loader, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=1.0, nesterov=True)
    for inputs, targets in loader:
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, wrong: a new optimizer for each batch
# says: is anything of the earlier gradients lost?
def cleared_but_the_same(model, loader, lr):
    for inputs, targets in loader:
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=1.0)
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()
