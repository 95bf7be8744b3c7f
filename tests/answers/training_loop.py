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
# says: the mean loss is a tensor: a float is asked for
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
# says: here the loader has no length
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

# %% train_one_epoch, right: a closure
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        def closure():
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs), targets)
            loss.backward()
            return loss
        n = len(targets)
        summed += optimizer.step(closure).item() * n
        samples += n
    return summed / samples

# %% train_one_epoch, right: autograd.grad, and the mode as before at the end
import numpy as np
def train_one_epoch(model, optimizer, loader):
    mode = model.training
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        loss = cross_entropy(model(inputs), targets)
        parameters = list(model.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
            parameter.grad = gradient
        optimizer.step()
        summed += np.float64(loss.detach().numpy()) * len(targets)
        samples += len(targets)
    model.train(mode)
    return summed / samples

# %% train_one_epoch, right: torch.func
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        weights = dict(model.named_parameters())
        gradients, loss = torch.func.grad_and_value(
            lambda w: cross_entropy(torch.func.functional_call(model, w, (inputs,)), targets)
        )({name: weight.detach() for name, weight in weights.items()})
        for name, weight in weights.items():
            weight.grad = gradients[name]
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: clears once, before the loop
# says: gradients are never cleared, or only once
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    optimizer.zero_grad()
    for inputs, targets in loader:
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: clears between backward and step
# says: And zero_grad() before backward()?
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: steps by hand, with the learning rate of the optimizer
# says: step() of the optimizer that your function was given is never called
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        model.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        with torch.no_grad():
            for group in optimizer.param_groups:
                for p in group["params"]:
                    p -= group["lr"] * p.grad
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: an optimizer of its own
# says: step() of the optimizer that your function was given is never called
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    optimizer = torch.optim.SGD(model.parameters(), lr=optimizer.param_groups[0]["lr"])
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: a deep copy
# says: step() of the optimizer that your function was given is never called
import copy
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    original, model = model, copy.deepcopy(model)
    optimizer = type(optimizer)(model.parameters(), **{k: v for k, v in optimizer.defaults.items() if k in ("lr", "momentum")})
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    original.load_state_dict(model.state_dict())
    return summed / samples

# %% train_one_epoch, wrong: one more update at the end
# says: there are 3 batches, but step() is called 4 times
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    optimizer.zero_grad()
    optimizer.step()
    return summed / samples

# %% train_one_epoch, wrong: a step every second batch
# says: the gradient at step 1
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        if samples % 2:
            optimizer.step()
            optimizer.zero_grad()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: the optimizer's state is cleared at each batch
# says: the parameters at its end
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.state.clear()
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: only the outermost module in training mode
# says: a forward pass is in evaluation mode
def train_one_epoch(model, optimizer, loader):
    model.training = True
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: batches are popped
# says: the length of loader was changed: 3 before, 0 after
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    while loader:
        inputs, targets = loader.pop(0)
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: the sum of the losses for backward
# says: the sum of the losses, not their mean
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets, reduction="sum")
        loss.backward()
        optimizer.step()
        summed += loss.item()
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: returns in the loop
# says: there are 3 batches, but step() is called 1 times
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
        return summed / samples
    pass

# %% train_one_epoch, wrong: the losses after the updates
# says: the losses after the updates, not before
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += cross_entropy(model(inputs), targets).item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: float64 only
# says: Float
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs.double()), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: flat inputs only
# says: Expected 3D (unbatched) or 4D
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs.flatten(1)), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: more weight decay
# says: the gradient at step 2
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.01
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: learning rate halved after each epoch
# says: epoch 2 of
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    for group in optimizer.param_groups:
        group["lr"] /= 2
    return summed / samples

# %% train_one_epoch, wrong: softmax before cross_entropy
# says: the gradient at step 1
def train_one_epoch(model, optimizer, loader):
    model.train()
    summed, samples = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs).softmax(dim=1), targets)
        loss.backward()
        optimizer.step()
        summed += loss.item() * len(targets)
        samples += len(targets)
    return summed / samples

# %% train_one_epoch, wrong: sums that live on
# says: epoch 2 of
def train_one_epoch(model, optimizer, loader, log=[]):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        losses = cross_entropy(model(x), y, reduction="none")
        losses.mean().backward()
        optimizer.step()
        log += losses.tolist()
    return sum(log) / len(log)

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
# says: the accuracy in training mode
def accuracy(model, inputs, targets):
    with torch.no_grad():
        return (model(inputs).argmax(1) == targets).float().mean().item()

# %% accuracy, wrong: never goes back
# says: the mode of model was changed: training mode before, evaluation mode after
def accuracy(model, inputs, targets):
    model.eval()
    with torch.no_grad():
        return (model(inputs).argmax(1) == targets).float().mean().item()

# %% accuracy, wrong: always goes to training mode
# says: the mode of model was changed: evaluation mode before, training mode after
def accuracy(model, inputs, targets):
    model.eval()
    with torch.no_grad():
        right = (model(inputs).argmax(1) == targets).float().mean().item()
    model.train()
    return right

# %% accuracy, wrong: builds a graph
# says: a graph is built
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval()
    right = (model(inputs).argmax(1) == targets).float().mean().item()
    model.train(was_training)
    return right

# %% accuracy, wrong: switches gradients off for good
# says: torch.is_grad_enabled() was changed: True before, False after
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

# %% accuracy, right: a copy in evaluation mode
import copy

def accuracy(model, inputs, targets):
    twin = copy.deepcopy(model).eval()
    for p in twin.parameters():
        p.requires_grad_(False)
    return (twin(inputs).argmax(1) == targets).double().mean().item()

# %% accuracy, right: sample by sample, by gather
def accuracy(model, inputs, targets):
    was_training, right = model.training, 0
    model.train(False)
    with torch.no_grad():
        for i in range(len(inputs)):
            logits = model(inputs[i : i + 1])
            right += (logits.gather(1, targets[i : i + 1, None]) == logits.amax(1, keepdim=True)).sum().item()
    model.train(was_training)
    return right / len(targets)

# %% accuracy, right: bincount
def accuracy(model, inputs, targets):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        confusion = torch.bincount((model(inputs).argmax(1) == targets).long(), minlength=2)
    for module, mode in modes.items():
        module.training = mode
    return (confusion[1] / confusion.sum()).item()

# %% accuracy, wrong: only the outermost module in evaluation mode
# says: the accuracy in training mode: are all layers
def accuracy(model, inputs, targets):
    was_training = model.training
    model.training = False
    with torch.no_grad():
        right = (model(inputs).argmax(1) == targets).float().mean().item()
    model.training = was_training
    return right

# %% accuracy, wrong: switches gradients on at the end
# says: torch.is_grad_enabled() was changed: False before, True after
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval()
    torch.set_grad_enabled(False)
    right = (model(inputs).argmax(1) == targets).float().mean().item()
    torch.set_grad_enabled(True)
    model.train(was_training)
    return right

# %% accuracy, wrong: clears gradients
# says: the gradient of parameter '1.weight' of model was changed
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval()
    model.zero_grad()
    with torch.no_grad():
        right = (model(inputs).argmax(1) == targets).float().mean().item()
    model.train(was_training)
    return right

# %% accuracy, wrong: thaws frozen parameters
# says: requires_grad of parameter '1.bias' of model was changed: False before, True after
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval().requires_grad_(False)
    right = (model(inputs).argmax(1) == targets).float().mean().item()
    model.train(was_training).requires_grad_(True)
    return right

# %% accuracy, wrong: a tensor
# says: the accuracy is a tensor
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        right = (model(inputs).argmax(1) == targets).float().mean()
    model.train(was_training)
    return right

# %% accuracy, wrong: only the visible numbers
# says: with 1 of 9 right
def accuracy(model, inputs, targets):
    return {7: 4 / 7, 11: 6 / 11, 3: 2 / 3}.get(len(targets), 0.5)

# %% accuracy, wrong: three classes only
# says: with 6 of 11 right
def accuracy(model, inputs, targets):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        right = (model(inputs)[:, :3].argmax(1) == targets).float().mean().item()
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
# says: the gradient of parameters[1] was changed
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None:
                p -= lr * p.grad
                p.grad.zero_()

# %% sgd_update, wrong: in place without no_grad
# says: autograd forbids it: write `with torch.no_grad():`
def sgd_update(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p -= lr * p.grad

# %% sgd_update, wrong: no gradient, no answer
# says: its .grad is None: skip it
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            p -= lr * p.grad

# %% sgd_update, right: indexed, sub_
def sgd_update(parameters, lr):
    with torch.no_grad():
        for i in range(len(parameters)):
            if parameters[i].grad is not None:
                parameters[i].sub_(lr * parameters[i].grad)

# %% sgd_update, right: copy_
def sgd_update(parameters, lr):
    with_gradient = [p for p in parameters if isinstance(p.grad, torch.Tensor)]
    with torch.no_grad():
        for p, new in zip(with_gradient, [p - lr * p.grad for p in with_gradient]):
            p.copy_(new)

# %% sgd_update, wrong: into the list
# says: the list has other tensors than before
def sgd_update(parameters, lr):
    for i, p in enumerate(parameters):
        if p.grad is not None:
            parameters[i] = nn.Parameter(p.detach() - lr * p.grad)

# %% sgd_update, wrong: scales the gradient in place
# says: the gradient of parameters[1] was changed
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None:
                p -= p.grad.mul_(lr)

# %% sgd_update, wrong: momentum
# says: it depends on earlier steps
def sgd_update(parameters, lr, velocity={}):
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None:
                velocity[id(p)] = 0.9 * velocity.get(id(p), 0) + p.grad
                p -= lr * velocity[id(p)]

# %% sgd_update, wrong: stops at the first without a gradient
# says: nothing changed
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            if p.grad is None:
                break
            p -= lr * p.grad

# %% sgd_update, wrong: clears afterwards
# says: the gradient of parameters[1] was changed
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None:
                p -= lr * p.grad
                p.grad = None

# %% sgd_update, wrong: requires_grad is lost
# says: requires_grad of parameters[0] was changed: True before, False after
def sgd_update(parameters, lr):
    for p in parameters:
        p.requires_grad_(False)
        if p.grad is not None:
            p -= lr * p.grad

# %% sgd_update, wrong: the sign of the gradient
# says: only the sign of the gradient is used
def sgd_update(parameters, lr):
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None:
                p -= lr * p.grad.sign()

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
# says: a tenth at each step
def cleared_but_the_same(model, loader, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for inputs, targets in loader:
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, wrong: no momentum
# says: no earlier gradient is used
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
# says: Nesterov's variant looks ahead
def cleared_but_the_same(model, loader, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=1.0, nesterov=True)
    for inputs, targets in loader:
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, wrong: a new optimizer for each batch
# says: is an optimizer made for each batch?
def cleared_but_the_same(model, loader, lr):
    for inputs, targets in loader:
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=1.0)
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, right: autograd.grad, a dictionary of sums
def cleared_but_the_same(model, loader, lr):
    sums = {}
    for inputs, targets in loader:
        for p in model.parameters():
            p.grad = None
        loss = cross_entropy(model(inputs), targets)
        for (name, p), g in zip(model.named_parameters(), torch.autograd.grad(loss, list(model.parameters()))):
            sums[name] = sums.get(name, 0) + g
            p.data.sub_(lr * sums[name])

# %% cleared_but_the_same, right: momentum 1 with dampening 0, and weights as tensors of a functional call
def cleared_but_the_same(model, loader, lr):
    model.train()
    params = [p for p in model.parameters()]
    opt = torch.optim.SGD([{"params": [p]} for p in params], lr=lr, momentum=1, dampening=0)
    for step, (x, y) in enumerate(loader):
        opt.zero_grad(set_to_none=step % 2 == 0)
        nn.CrossEntropyLoss()(model(x), y).backward()
        opt.step()

# %% cleared_but_the_same, wrong: never cleared after the first
# says: never cleared, or only once
def cleared_but_the_same(model, loader, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    optimizer.zero_grad()
    for inputs, targets in loader:
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, wrong: sums that live on
# says: second run
def cleared_but_the_same(model, loader, lr, sums={}):
    for inputs, targets in loader:
        model.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        with torch.no_grad():
            for name, p in model.named_parameters():
                sums[id(model), name] = sums.get((id(model), name), 0) + p.grad
                p -= lr * sums[id(model), name]

# %% cleared_but_the_same, wrong: trains a copy
# says: is this model trained, in place?
import copy

def cleared_but_the_same(model, loader, lr):
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=1.0)
    for inputs, targets in loader:
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return model

# %% cleared_but_the_same, wrong: dampening
# says: after 4 batches, first run
def cleared_but_the_same(model, loader, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=1.0, dampening=0.5)
    for inputs, targets in loader:
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, wrong: the learning rate grows
# says: after 4 batches, first run
def cleared_but_the_same(model, loader, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for i, (inputs, targets) in enumerate(loader):
        optimizer.param_groups[0]["lr"] = lr * (i + 1)
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        optimizer.step()

# %% cleared_but_the_same, wrong: the last gradient twice
# says: after 4 batches, first run
def cleared_but_the_same(model, loader, lr):
    last = [0] * len(list(model.parameters()))
    for inputs, targets in loader:
        model.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        with torch.no_grad():
            for i, p in enumerate(model.parameters()):
                p -= lr * (p.grad + last[i])
                last[i] = p.grad.clone()

# %% cleared_but_the_same, right: clears between forward and backward
def cleared_but_the_same(model, loader, lr):
    opt = torch.optim.SGD(model.parameters(), lr, 1)
    for inputs, targets in loader:
        loss = cross_entropy(model(inputs), targets)
        opt.zero_grad()
        loss.backward()
        opt.step()

# %% cleared_but_the_same, right: functional, and sample by sample
def cleared_but_the_same(model, loader, lr):
    total = {name: 0.0 for name, _ in model.named_parameters()}
    for inputs, targets in loader:
        weights = {name: p.detach() for name, p in model.named_parameters()}
        for x, y in zip(inputs, targets):
            loss = lambda w: cross_entropy(torch.func.functional_call(model, w, (x[None],)), y[None]) / len(targets)
            for name, g in torch.func.grad(loss)(weights).items():
                total[name] = total[name] + g
        for name, p in model.named_parameters():
            p.data -= lr * total[name]

# %% cleared_but_the_same, right: parts of a batch
def cleared_but_the_same(model, loader, lr):
    opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=1.0)
    for inputs, targets in loader:
        opt.zero_grad()
        for x, y in zip(inputs.split(2), targets.split(2)):
            (cross_entropy(model(x), y, reduction="sum") / len(targets)).backward()
        opt.step()

# %% cleared_but_the_same, wrong: momentum nearly 1
# says: after 4 batches, first run
def cleared_but_the_same(model, loader, lr):
    opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.999)
    for x, y in loader:
        opt.zero_grad()
        cross_entropy(model(x), y).backward()
        opt.step()
