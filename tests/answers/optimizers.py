"""Answers to the exercises of optimizers, right ones and wrong ones that people give."""
# ruff: noqa

# %% momentum_update, right: new tensors put into the list, .data
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    for i in range(len(parameters)):
        w = parameters[i]
        g = w.grad + weight_decay * w.data
        velocities[i] = g + momentum * velocities[i]
        w.data = w.data - velocities[i] * lr

# %% momentum_update, right: a copy of the gradient, methods in place
@torch.no_grad()
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    for p, v in zip(parameters, velocities):
        d_p = p.grad.clone()
        if weight_decay != 0:
            d_p.add_(p, alpha=weight_decay)
        v *= momentum
        v += d_p
        p.add_(v, alpha=-lr)

# %% momentum_update, right: PyTorch does it, with the given state
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    optimizer = torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
    for p, v in zip(parameters, velocities):
        optimizer.state[p]["momentum_buffer"] = v
    optimizer.step()

# %% momentum_update, wrong: the textbook's rule
# says: inside the velocity, as in the textbook
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.mul_(momentum).add_(lr * (p.grad + weight_decay * p))
            p -= v

# %% momentum_update, wrong: an average, as in Adam
# says: times (1 - momentum)
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.mul_(momentum).add_((1 - momentum) * (p.grad + weight_decay * p))
            p -= lr * v

# %% momentum_update, wrong: the new gradient decays, too
# says: multiplied by the momentum, too
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.add_(p.grad + weight_decay * p).mul_(momentum)
            p -= lr * v

# %% momentum_update, wrong: Nesterov
# says: which is Nesterov's
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            g = p.grad + weight_decay * p
            v.mul_(momentum).add_(g)
            p -= lr * (g + momentum * v)

# %% momentum_update, wrong: the velocity is a new tensor under an old name
# says: is the new one written back to the list?
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v = momentum * v + p.grad + weight_decay * p
            p -= lr * v

# %% momentum_update, wrong: a new list of velocities
# says: is the new one written back to the list?
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        velocities = [momentum * v + p.grad + weight_decay * p for p, v in zip(parameters, velocities)]
        for p, v in zip(parameters, velocities):
            p -= lr * v

# %% momentum_update, wrong: the parameter is a new tensor under an old name
# says: was a new tensor made
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    for p, v in zip(parameters, velocities):
        v.mul_(momentum).add_(p.grad + weight_decay * p.detach())
        p = p - lr * v

# %% momentum_update, wrong: weight decay beside the velocity
# says: not through the gradient
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.mul_(momentum).add_(p.grad)
            p -= lr * (v + weight_decay * p)

# %% momentum_update, wrong: weight decay after the step
# says: after the step, on the changed weight
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.mul_(momentum).add_(p.grad)
            p -= lr * v
            p *= 1 - lr * weight_decay

# %% momentum_update, wrong: no weight decay
# says: there is no weight decay
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.mul_(momentum).add_(p.grad)
            p -= lr * v

# %% momentum_update, wrong: weight decay is added to .grad itself
# says: the gradient of parameters[0] was changed. It must stay as it is
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            p.grad += weight_decay * p
            v.mul_(momentum).add_(p.grad)
            p -= lr * v

# %% momentum_update, wrong: moves first
# says: the old velocity, from before this gradient
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            g = p.grad + weight_decay * p
            p -= lr * v
            v.mul_(momentum).add_(g)

# %% momentum_update, wrong: weight decay times the learning rate, in the gradient
# says: weight decay is multiplied by the learning rate before it enters the velocity
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.mul_(momentum).add_(p.grad + lr * weight_decay * p)
            p -= lr * v

# %% momentum_update, wrong: in place without no_grad
# says: torch.no_grad() is missing
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    for i, p in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + p.grad + weight_decay * p
        p -= lr * velocities[i]

# %% momentum_update, wrong: only the first parameter
# says: it was not changed in this step
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.mul_(momentum).add_(p.grad + weight_decay * p)
            p -= lr * v
            return

# %% momentum_update, right: all parameters at once
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        g = torch._foreach_add([p.grad for p in parameters], parameters, alpha=weight_decay)
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, g)
        torch._foreach_add_(parameters, velocities, alpha=-lr)

# %% momentum_update, right: vectors, and a slice of the list
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    w = torch.nn.utils.parameters_to_vector(parameters).detach()
    g = torch.nn.utils.parameters_to_vector([p.grad for p in parameters])
    v = torch.nn.utils.parameters_to_vector(velocities)
    v = momentum * v + g + weight_decay * w
    torch.nn.utils.vector_to_parameters(w - lr * v, parameters)
    sizes = [p.numel() for p in parameters]
    velocities[:] = [part.view_as(p).clone() for part, p in zip(v.split(sizes), parameters)]

# %% momentum_update, wrong: the velocities keep a graph
# says: a tensor without a graph is asked for
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    for i, p in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + p.grad + weight_decay * p
        p.data.sub_(lr * velocities[i].detach())

# %% momentum_update, wrong: clears the gradient
# says: the gradient of parameters[0] was changed
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.mul_(momentum).add_(p.grad + weight_decay * p)
            p -= lr * v
            p.grad = None

# %% momentum_update, wrong: appends to the list
# says: entries in the list of their state: 2
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for i, p in enumerate(parameters):
            velocities.append(momentum * velocities[i] + p.grad + weight_decay * p)
            p -= lr * velocities[-1]

# %% momentum_update, wrong: dampening
# says: except at the first step
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            g = p.grad + weight_decay * p
            if v.abs().sum() == 0:
                v.copy_(g)
            else:
                v.mul_(momentum).add_((1 - momentum) * g)
            p -= lr * v

# %% momentum_update, wrong: no decay for biases
# says: parameter 2 of 3, of shape (3,)
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            wd = weight_decay if p.dim() != 1 or p.numel() == 1 else 0
            v.mul_(momentum).add_(p.grad + wd * p)
            p -= lr * v

# %% momentum_update, wrong: the first velocity is the gradient itself
# says: the gradient of parameters[0] was changed
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for i, p in enumerate(parameters):
            g = p.grad
            if weight_decay:
                g = g.add(p, alpha=weight_decay)
            if not velocities[i].any():
                velocities[i] = g
            else:
                velocities[i].mul_(momentum).add_(g)
            p -= lr * velocities[i]

# %% momentum_update, wrong: velocities in a dictionary of its own
# says: uses 'MEM' of the notebook
MEM = {}
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for i, p in enumerate(parameters):
            MEM[i] = momentum * MEM.get(i, 0) + p.grad + weight_decay * p
            velocities[i] = MEM[i].clone()
            p -= lr * MEM[i]

# %% momentum_update, wrong: replaces the parameter in the list
# says: change each parameter in place
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for i, p in enumerate(parameters):
            velocities[i] = momentum * velocities[i] + p.grad + weight_decay * p
            g = p.grad
            parameters[i] = nn.Parameter(p - lr * velocities[i])
            parameters[i].grad = g

# %% momentum_update, wrong: gradients stay off
# says: torch.is_grad_enabled() was changed
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    torch.set_grad_enabled(False)
    for p, v in zip(parameters, velocities):
        v.mul_(momentum).add_(p.grad + weight_decay * p)
        p -= lr * v

# %% momentum_update, right: the grad mode is put back
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    previous = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        for i, (p, v) in enumerate(zip(parameters, velocities)):
            v = v * momentum
            v += p.grad
            v += weight_decay * p
            velocities[i] = v
            p.add_(v * -lr)
    finally:
        torch.set_grad_enabled(previous)

# %% momentum_update, wrong: skips gradients of 0
# says: it was not changed in this step
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            if not p.grad.any():
                continue
            v.mul_(momentum).add_(p.grad + weight_decay * p)
            p -= lr * v

# %% momentum_update, wrong: only the last parameter
# says: it was not changed in this step
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for i, p in enumerate(parameters):
            velocities[i] = momentum * velocities[i] + p.grad + weight_decay * p
        p -= lr * velocities[i]

# %% momentum_update, wrong: returns the new values
# says: the weight never changes
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    new_p, new_v = [], []
    for p, v in zip(parameters, velocities):
        v = momentum * v + p.grad + weight_decay * p.detach()
        new_v.append(v)
        new_p.append(p.detach() - lr * v)
    return new_p, new_v

# %% momentum_update, wrong: requires_grad off
# says: a parameter no longer requires gradients
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    for i, p in enumerate(parameters):
        p.requires_grad_(False)
        velocities[i] = momentum * velocities[i] + p.grad + weight_decay * p
        p -= lr * velocities[i]

# %% momentum_update, wrong: the mean of the gradient
# says: parameter 2 of 3, of shape (3,)
def momentum_update(parameters, velocities, lr, momentum, weight_decay):
    with torch.no_grad():
        for p, v in zip(parameters, velocities):
            v.mul_(momentum).add_((p.grad + weight_decay * p).mean())
            p -= lr * v

# %% updates_per_window, right: tries powers
def updates_per_window(moves, momentum):
    a, b, c = moves[-3:]
    share = (c - b) / (b - a)
    return min(range(1, 1000), key=lambda n: abs(momentum**n - share))

# %% updates_per_window, right: logarithms, a mean over the log
def updates_per_window(moves, momentum):
    steps = [later - earlier for earlier, later in zip(moves, moves[1:])]
    kept = [later / earlier for earlier, later in zip(steps, steps[1:])]
    return round(sum(math.log(share, momentum) for share in kept) / len(kept))

# %% updates_per_window, right: a line through the logarithms
def updates_per_window(moves, momentum):
    import numpy as np

    slope = np.polyfit(range(len(moves) - 1), np.log(np.diff(moves)), 1)[0]
    return torch.tensor(slope / np.log(momentum)).round().int()

# %% updates_per_window, wrong: how much is kept
# says: how much of the velocity is kept per window
def updates_per_window(moves, momentum):
    return (moves[2] - moves[1]) / (moves[1] - moves[0])

# %% updates_per_window, wrong: a ratio of moves
# says: a ratio of moves: they do not decay to 0
def updates_per_window(moves, momentum):
    return math.log(moves[1] / moves[0]) / math.log(momentum)

# %% updates_per_window, wrong: a ratio of moves, upside down, as n has to be positive
# says: an inverted ratio of moves
def updates_per_window(moves, momentum):
    return math.log(moves[0] / moves[1]) / math.log(momentum)

# %% updates_per_window, wrong: takes the velocity before the log for 0
# says: taken for the first of training
def updates_per_window(moves, momentum):
    return math.log(moves[1] / moves[0] - 1) / math.log(momentum)

# %% updates_per_window, wrong: takes the velocity before the log for 0, and rounds
# says: and the result rounded
def updates_per_window(moves, momentum):
    return round(math.log(moves[1] / moves[0] - 1) / math.log(momentum))

# %% updates_per_window, wrong: takes the last move for the final length
# says: the last move is taken for the final length
def updates_per_window(moves, momentum):
    return math.log((moves[-1] - moves[1]) / (moves[-1] - moves[0])) / math.log(momentum)

# %% updates_per_window, wrong: rounds down
# says: it is rounded down; a quotient of logarithms may be 0.9999999
def updates_per_window(moves, momentum):
    kept = (moves[2] - moves[1]) / (moves[1] - moves[0])
    return math.floor(math.log(kept) / math.log(momentum))

# %% updates_per_window, wrong: the first difference divided by the second
# says: the quotient of the differences is inverted
def updates_per_window(moves, momentum):
    kept = (moves[1] - moves[0]) / (moves[2] - moves[1])
    return round(math.log(kept) / math.log(momentum))

# %% updates_per_window, wrong: one logarithm divided by the other, upside down
# says: the quotient of the two logarithms is inverted
def updates_per_window(moves, momentum):
    kept = (moves[2] - moves[1]) / (moves[1] - moves[0])
    return math.log(momentum) / math.log(kept)

# %% updates_per_window, wrong: rounds up
# says: it is rounded up; a quotient of logarithms may be 12.0000001
def updates_per_window(moves, momentum):
    kept = (moves[2] - moves[1]) / (moves[1] - moves[0])
    return math.ceil(math.log(kept) / math.log(momentum))

# %% updates_per_window, wrong: raises the power while it is above
# says: it is rounded up; a quotient of logarithms may be 12.0000001
def updates_per_window(moves, momentum):
    r = (moves[2] - moves[1]) / (moves[1] - moves[0])
    n = 1
    while momentum**n > r:
        n += 1
    return n

# %% updates_per_window, wrong: multiplies while the product is above
# says: it is rounded up; a quotient of logarithms may be 12.0000001
def updates_per_window(moves, momentum):
    r = (moves[2] - moves[1]) / (moves[1] - moves[0])
    n, product = 1, momentum
    while product > r:
        product *= momentum
        n += 1
    return n

# %% updates_per_window, wrong: tries too few powers
# says: the wrong rule with K = 12, momentum 0.9
def updates_per_window(moves, momentum):
    kept = (moves[2] - moves[1]) / (moves[1] - moves[0])
    return min(range(1, 10), key=lambda n: abs(momentum**n - kept))

# %% updates_per_window, wrong: knows the momentum to be 0.9
# says: the momentum is 0.9, whatever the argument is
def updates_per_window(moves, momentum):
    kept = (moves[2] - moves[1]) / (moves[1] - moves[0])
    return min(range(1, 100), key=lambda n: abs(0.9**n - kept))

# %% updates_per_window, wrong: always K of the text
# says: the wrong rule with K = 6, momentum 0.8
def updates_per_window(moves, momentum):
    return 1 if abs(moves[0] - 0.1) < 1e-6 else 5

# %% updates_per_window, right: numpy's round
def updates_per_window(moves, momentum):
    import numpy as np
    d = np.diff(np.asarray(moves))
    return np.round(np.log(d[1:] / d[:-1]).mean() / np.log(momentum))

# %% updates_per_window, right: half a power as tolerance
def updates_per_window(moves, momentum):
    r = (moves[2] - moves[1]) / (moves[1] - moves[0])
    n = 1
    while momentum ** (n + 0.5) > r:
        n += 1
    return n

# %% updates_per_window, wrong: not rounded
# says: which is not a whole number: round it
def updates_per_window(moves, momentum):
    return math.log((moves[2] - moves[1]) / (moves[1] - moves[0]), momentum)

# %% updates_per_window, wrong: a ratio of moves, rounded
# says: a ratio of moves, rounded
def updates_per_window(moves, momentum):
    return round(math.log(moves[1] / moves[0]) / math.log(momentum))

# %% updates_per_window, wrong: an absolute tolerance
# says: the wrong rule with K = 95
def updates_per_window(moves, momentum):
    for n in range(1, 200):
        if math.isclose(moves[2] - moves[1], momentum**n * (moves[1] - moves[0]), abs_tol=1e-6):
            return n

# %% updates_per_window, wrong: asks for a fourth move
# says: this log has 3 moves, and the answer asks for more
def updates_per_window(moves, momentum):
    return round(math.log((moves[3] - moves[2]) / (moves[2] - moves[1])) / math.log(momentum))

# %% updates_per_window, wrong: empties the log
# says: the length of moves was changed
def updates_per_window(moves, momentum):
    a = moves.pop(0); b = moves.pop(0); c = moves.pop(0)
    return round(math.log((c - b) / (b - a)) / math.log(momentum))

# %% updates_per_window, wrong: powers of two
# says: the wrong rule with K = 5
def updates_per_window(moves, momentum):
    r = (moves[2] - moves[1]) / (moves[1] - moves[0])
    return min([1, 2, 4, 8, 16, 32, 64], key=lambda n: abs(momentum**n - r))

# %% updates_per_window, wrong: up to 64
# says: the wrong rule with K = 95
def updates_per_window(moves, momentum):
    r = (moves[2] - moves[1]) / (moves[1] - moves[0])
    return min(range(1, 65), key=lambda n: abs(momentum**n - r))

# %% updates_per_window, wrong: one difference with the wrong sign
# says: math domain error
def updates_per_window(moves, momentum):
    return round(math.log((moves[1] - moves[2]) / (moves[1] - moves[0])) / math.log(momentum))

# %% updates_per_window, right: a tensor, from the first and the last difference
def updates_per_window(moves, momentum):
    n = len(moves)
    ratio = ((moves[-1] - moves[-2]) / (moves[1] - moves[0])) ** (1 / (n - 2))
    return torch.tensor(round(math.log(ratio, momentum)))

# %% updates_per_window, wrong: logarithms with two digits
# says: the wrong rule with K = 12
def updates_per_window(moves, momentum):
    return round(round(math.log((moves[2] - moves[1]) / (moves[1] - moves[0])), 2) / round(math.log(momentum), 2))

# %% updates_per_window, wrong: one number for each pair
# says: got a list of 2: 1, 1; expected one number
def updates_per_window(moves, momentum):
    d = [b - a for a, b in zip(moves, moves[1:])]
    return [round(math.log(b / a, momentum)) for a, b in zip(d, d[1:])]

# %% updates_per_window, wrong: no return
# says: is a return missing?
def updates_per_window(moves, momentum):
    n = round(math.log((moves[2] - moves[1]) / (moves[1] - moves[0]), momentum))

# %% adam_update, right: in place, methods
@torch.no_grad()
def adam_update(parameters, states, lr, betas, eps):
    for p, state in zip(parameters, states):
        t = state["t"] = state["t"] + 1
        state["m"].mul_(betas[0]).add_(p.grad, alpha=1 - betas[0])
        state["v"].mul_(betas[1]).addcmul_(p.grad, p.grad, value=1 - betas[1])
        step_size = lr / (1 - betas[0] ** t)
        denominator = state["v"].sqrt() / (1 - betas[1] ** t) ** 0.5 + eps
        p.addcdiv_(state["m"], denominator, value=-step_size)

# %% adam_update, right: lerp, update, .data
def adam_update(parameters, states, lr, betas, eps):
    b1, b2 = betas
    for i, p in enumerate(parameters):
        g, s = p.grad, states[i]
        s.update(m=s["m"].lerp(g, 1 - b1), v=s["v"].lerp(g * g, 1 - b2), t=s["t"] + 1)
        m_hat, v_hat = s["m"] / (1 - b1 ** s["t"]), s["v"] / (1 - b2 ** s["t"])
        p.data -= lr * m_hat / (torch.sqrt(v_hat) + eps)

# %% adam_update, right: the list's dictionaries replaced
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for i, (p, s) in enumerate(zip(parameters, states)):
            m = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            v = betas[1] * s["v"] + (1 - betas[1]) * p.grad.square()
            t = s["t"] + 1
            p -= lr * (m / (1 - betas[0] ** t)) / ((v / (1 - betas[1] ** t)).sqrt() + eps)
            states[i] = {"m": m, "v": v, "t": t}

# %% adam_update, wrong: no bias correction
# says: no bias correction
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            p -= lr * s["m"] / (s["v"].sqrt() + eps)

# %% adam_update, wrong: t grows too late
# says: does t count the step that is being made
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[0] ** s["t"]), s["v"] / (1 - betas[1] ** s["t"])
            p -= lr * m / (v.sqrt() + eps)
            s["t"] += 1

# %% adam_update, wrong: t grows, and 1 is added to it
# says: t is one too large
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[0] ** (s["t"] + 1)), s["v"] / (1 - betas[1] ** (s["t"] + 1))
            p -= lr * m / (v.sqrt() + eps)

# %% adam_update, wrong: eps inside the root
# says: eps is added inside the root
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[0] ** s["t"]), s["v"] / (1 - betas[1] ** s["t"])
            p -= lr * m / (v + eps).sqrt()

# %% adam_update, wrong: eps before the correction, as in TensorFlow
# says: before v is corrected
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            rate = lr * (1 - betas[1] ** s["t"]) ** 0.5 / (1 - betas[0] ** s["t"])
            p -= rate * s["m"] / (s["v"].sqrt() + eps)

# %% adam_update, wrong: only m is corrected
# says: only m is corrected
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / (s["v"].sqrt() + eps)

# %% adam_update, wrong: the betas' powers swapped
# says: the powers of the two betas are swapped
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[1] ** s["t"]), s["v"] / (1 - betas[0] ** s["t"])
            p -= lr * m / (v.sqrt() + eps)

# %% adam_update, wrong: the betas swapped
# says: the two betas are swapped throughout
def adam_update(parameters, states, lr, betas, eps):
    b2, b1 = betas
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = b1 * s["m"] + (1 - b1) * p.grad
            s["v"] = b2 * s["v"] + (1 - b2) * p.grad**2
            p -= lr * s["m"] / (1 - b1 ** s["t"]) / ((s["v"] / (1 - b2 ** s["t"])).sqrt() + eps)

# %% adam_update, wrong: beta and 1 - beta swapped
# says: a beta and 1 - beta are swapped
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"].lerp_(p.grad, betas[0])
            s["v"].lerp_(p.grad**2, betas[1])
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / ((s["v"] / (1 - betas[1] ** s["t"])).sqrt() + eps)

# %% adam_update, wrong: the state is never written back
# says: are m, v and t written back to the dictionary?
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            m, v, t = s["m"], s["v"], s["t"]
            t += 1
            m = betas[0] * m + (1 - betas[0]) * p.grad
            v = betas[1] * v + (1 - betas[1]) * p.grad**2
            p -= lr * (m / (1 - betas[0] ** t)) / ((v / (1 - betas[1] ** t)).sqrt() + eps)

# %% adam_update, wrong: the correction of the first step at every step
# says: t does not grow, or the corrections do not use it
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[0]), s["v"] / (1 - betas[1])
            p -= lr * m / (v.sqrt() + eps)

# %% adam_update, wrong: keeps the corrected moments
# says: corrected again at the next step
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = (betas[0] * s["m"] + (1 - betas[0]) * p.grad) / (1 - betas[0] ** s["t"])
            s["v"] = (betas[1] * s["v"] + (1 - betas[1]) * p.grad**2) / (1 - betas[1] ** s["t"])
            p -= lr * s["m"] / (s["v"].sqrt() + eps)

# %% adam_update, wrong: no root
# says: v is divided by without its root
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / (s["v"] / (1 - betas[1] ** s["t"]) + eps)

# %% adam_update, wrong: the sign
# says: it moves up the slope, not down
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[0] ** s["t"]), s["v"] / (1 - betas[1] ** s["t"])
            p += lr * m / (v.sqrt() + eps)

# %% adam_update, wrong: not squared
# says: the gradient is not squared in v
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad
            m, v = s["m"] / (1 - betas[0] ** s["t"]), s["v"] / (1 - betas[1] ** s["t"])
            p -= lr * m / (v.sqrt() + eps)

# %% adam_update, wrong: absolute values
# says: the gradient's absolute value is in v
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad.abs()
            m, v = s["m"] / (1 - betas[0] ** s["t"]), s["v"] / (1 - betas[1] ** s["t"])
            p -= lr * m / (v.sqrt() + eps)

# %% adam_update, wrong: beta times t
# says: is beta raised to the power of t?
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[0] * s["t"]), s["v"] / (1 - betas[1] * s["t"])
            p -= lr * m / (v.sqrt() + eps)

# %% adam_update, wrong: only the first t grows
# says: only the first dictionary's t is counted
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        states[0]["t"] += 1
        for p, s in zip(parameters, states):
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[0] ** states[0]["t"]), s["v"] / (1 - betas[1] ** states[0]["t"])
            p -= lr * m / (v.sqrt() + eps)

# %% adam_update, wrong: the first t grows for each parameter
# says: t grows once for each parameter
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            states[0]["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[0] ** states[0]["t"]), s["v"] / (1 - betas[1] ** states[0]["t"])
            p -= lr * m / (v.sqrt() + eps)

# %% adam_update, wrong: only the first parameter
# says: only the first is changed
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters[:1], states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            m, v = s["m"] / (1 - betas[0] ** s["t"]), s["v"] / (1 - betas[1] ** s["t"])
            p -= lr * m / (v.sqrt() + eps)
        for s in states[1:]:
            s["t"] += 1

# %% adam_update, wrong: the visible betas
# says: the betas are 0.8 and 0.9, whatever the argument is
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = 0.8 * s["m"] + 0.2 * p.grad
            s["v"] = 0.9 * s["v"] + 0.1 * p.grad**2
            p -= lr * s["m"] / (1 - 0.8 ** s["t"]) / ((s["v"] / (1 - 0.9 ** s["t"])).sqrt() + eps)

# %% adam_update, right: PyTorch does it, with the given state
def adam_update(parameters, states, lr, betas, eps):
    optimizer = torch.optim.Adam(parameters, lr=lr, betas=betas, eps=eps)
    for p, s in zip(parameters, states):
        optimizer.state[p] = {"step": torch.tensor(float(s["t"])), "exp_avg": s["m"], "exp_avg_sq": s["v"]}
    optimizer.step()
    for s in states:
        s["t"] += 1

# %% adam_update, right: numpy
def adam_update(parameters, states, lr, betas, eps):
    import numpy as np
    with torch.no_grad():
        for p, s in zip(parameters, states):
            g = p.grad.numpy()
            s["t"] += 1
            m = betas[0] * s["m"].numpy() + (1 - betas[0]) * g
            v = betas[1] * s["v"].numpy() + (1 - betas[1]) * g * g
            s["m"], s["v"] = torch.as_tensor(m), torch.as_tensor(v)
            p.copy_(p - torch.as_tensor(lr * m / (1 - betas[0] ** s["t"]) / (np.sqrt(v / (1 - betas[1] ** s["t"])) + eps)))

# %% adam_update, wrong: the first t for all
# says: of shape (2, 4) and t 3, after step 1
def adam_update(parameters, states, lr, betas, eps):
    t = states[0]["t"] + 1
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] = t
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            p -= lr * s["m"] / (1 - betas[0] ** t) / ((s["v"] / (1 - betas[1] ** t)).sqrt() + eps)

# %% adam_update, wrong: squares in place
# says: the gradient of parameters[0] was changed
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad.pow_(2)
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / ((s["v"] / (1 - betas[1] ** s["t"])).sqrt() + eps)

# %% adam_update, wrong: one v for the whole tensor
# says: parameter 2 of 3, of shape (3,)
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad.square().mean()
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / ((s["v"] / (1 - betas[1] ** s["t"])).sqrt() + eps)

# %% adam_update, wrong: t a tensor
# says: t is tensor(1.), of type Tensor: an int is asked for
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] = torch.tensor(s["t"] + 1.0)
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / ((s["v"] / (1 - betas[1] ** s["t"])).sqrt() + eps)

# %% adam_update, wrong: t is not counted
# says: t does not grow
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            t = s["t"] + 1
            p -= lr * s["m"] / (1 - betas[0] ** t) / ((s["v"] / (1 - betas[1] ** t)).sqrt() + eps)

# %% adam_update, wrong: v by m squared
# says: the square of m is in v
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * s["m"]**2
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / ((s["v"] / (1 - betas[1] ** s["t"])).sqrt() + eps)

# %% adam_update, wrong: the largest v so far
# says: and t 2, after step 2
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            s["max"] = torch.maximum(s.get("max", s["v"]), s["v"])
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / ((s["max"] / (1 - betas[1] ** s["t"])).sqrt() + eps)

# %% adam_update, wrong: parentheses
# says: eps is added to the quotient
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / (s["v"] / (1 - betas[1] ** s["t"])).sqrt() + eps

# %% adam_update, right: more in the dictionary
def adam_update(parameters, states, lr, betas, eps):
    for p, s in zip(parameters, states):
        s["t"] += 1
        s["corrections"] = 1 - betas[0] ** s["t"], 1 - betas[1] ** s["t"]
        s["m"] += (1 - betas[0]) * (p.grad - s["m"])
        s["v"] += (1 - betas[1]) * (p.grad * p.grad - s["v"])
        c1, c2 = s["corrections"]
        p.data.addcdiv_(s["m"] / c1, (s["v"] / c2).sqrt_().add_(eps), value=-lr)

# %% adam_update, wrong: skips gradients of 0
# says: it was not changed in this step
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for p, s in zip(parameters, states):
            if not p.grad.any():
                continue
            s["t"] += 1
            s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / ((s["v"] / (1 - betas[1] ** s["t"])).sqrt() + eps)

# %% adam_update, wrong: another key for t
# says: lacks 't'
def adam_update(parameters, states, lr, betas, eps):
    with torch.no_grad():
        for i, (p, s) in enumerate(zip(parameters, states)):
            t = s["t"] + 1
            m = betas[0] * s["m"] + (1 - betas[0]) * p.grad
            v = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
            p -= lr * m / (1 - betas[0] ** t) / ((v / (1 - betas[1] ** t)).sqrt() + eps)
            states[i] = {"m": m, "v": v, "step": t}

# %% adam_update, wrong: m keeps a graph
# says: a tensor without a graph is asked for
def adam_update(parameters, states, lr, betas, eps):
    for p, s in zip(parameters, states):
        s["t"] += 1
        s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad + 0 * p
        s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
        p.data -= (lr * s["m"] / (1 - betas[0] ** s["t"]) / ((s["v"] / (1 - betas[1] ** s["t"])).sqrt() + eps)).detach()

# %% adam_update, wrong: in place without no_grad
# says: torch.no_grad() is missing
def adam_update(parameters, states, lr, betas, eps):
    for p, s in zip(parameters, states):
        s["t"] += 1
        s["m"] = betas[0] * s["m"] + (1 - betas[0]) * p.grad
        s["v"] = betas[1] * s["v"] + (1 - betas[1]) * p.grad**2
        p -= lr * s["m"] / (1 - betas[0] ** s["t"]) / ((s["v"] / (1 - betas[1] ** s["t"])).sqrt() + eps)

# %% adamw_step, right: subtracts, .data
def adamw_step(optimizer, weight_decay):
    for g in optimizer.param_groups:
        for p in [p for p in g["params"] if p.grad is not None]:
            p.data = p.data - g["lr"] * weight_decay * p.data
    optimizer.step()

# %% adamw_step, right: after the step, with the old weights
@torch.no_grad()
def adamw_step(optimizer, weight_decay):
    old = [[p.clone() for p in group["params"]] for group in optimizer.param_groups]
    optimizer.step()
    for group, weights in zip(optimizer.param_groups, old):
        for p, w in zip(group["params"], weights):
            if p.grad is None:
                continue
            p.sub_(w, alpha=group["lr"] * weight_decay)

# %% adamw_step, wrong: L2 in the gradient
# says: goes through the gradient (L2)
def adamw_step(optimizer, weight_decay):
    for group in optimizer.param_groups:
        group["weight_decay"] = weight_decay
    optimizer.step()

# %% adamw_step, wrong: L2 added to .grad
# says: was weight decay added to .grad
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad += weight_decay * p
    optimizer.step()

# %% adamw_step, wrong: without the learning rate
# says: not multiplied by the learning rate
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p *= 1 - weight_decay
    optimizer.step()

# %% adamw_step, wrong: after the step
# says: the weight that Adam has moved already
def adamw_step(optimizer, weight_decay):
    optimizer.step()
    with torch.no_grad():
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p *= 1 - group["lr"] * weight_decay

# %% adamw_step, wrong: the sign
# says: makes the weight grow
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p += group["lr"] * weight_decay * p
    optimizer.step()

# %% adamw_step, wrong: the rate that the optimizer was made with
# says: weight decay uses the learning rate that the optimizer was made with
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p *= 1 - optimizer.defaults["lr"] * weight_decay
    optimizer.step()

# %% adamw_step, wrong: the first group's rate for all
# says: the first group's learning rate is used for the weight decay of all
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        lr = optimizer.param_groups[0]["lr"]
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p *= 1 - lr * weight_decay
    optimizer.step()

# %% adamw_step, wrong: shrinks weights without a gradient
# says: a weight without a gradient should stay at 5
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for group in optimizer.param_groups:
            for p in group["params"]:
                p *= 1 - group["lr"] * weight_decay
    optimizer.step()

# %% adamw_step, wrong: forgets Adam's step
# says: step() of the optimizer ran 0 times in one call
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p *= 1 - group["lr"] * weight_decay

# %% adamw_step, wrong: only the first group decays
# says: only the first group has weight decay
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        group = optimizer.param_groups[0]
        for p in group["params"]:
            if p.grad is not None:
                p *= 1 - group["lr"] * weight_decay
    optimizer.step()

# %% adamw_step, wrong: a step for each group
# says: step() of the optimizer ran 2 times in one call
def adamw_step(optimizer, weight_decay):
    for group in optimizer.param_groups:
        with torch.no_grad():
            for p in group["params"]:
                if p.grad is not None:
                    p *= 1 - group["lr"] * weight_decay
        optimizer.step()

# %% adamw_step, wrong: PyTorch's own option
# says: the optimizer's options ['decoupled_weight_decay', 'weight_decay'] were changed: leave them
def adamw_step(optimizer, weight_decay):
    for group in optimizer.param_groups:
        group["weight_decay"] = weight_decay
        group["decoupled_weight_decay"] = True
    optimizer.step()

# %% adamw_step, wrong: a new tensor under an old name
# says: there is no weight decay
def adamw_step(optimizer, weight_decay):
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is not None:
                p = p * (1 - group["lr"] * weight_decay)
    optimizer.step()

# %% adamw_step, wrong: a new AdamW for each step
# says: step() of the optimizer ran 0 times in one call
def adamw_step(optimizer, weight_decay):
    group = optimizer.param_groups[0]
    torch.optim.AdamW(group["params"], lr=group["lr"], betas=group["betas"], weight_decay=weight_decay).step()

# %% adamw_step, right: PyTorch's own option, put back
def adamw_step(optimizer, weight_decay):
    for g in optimizer.param_groups:
        g["weight_decay"], g["decoupled_weight_decay"] = weight_decay, True
    optimizer.step()
    for g in optimizer.param_groups:
        g["weight_decay"], g["decoupled_weight_decay"] = 0, False

# %% adamw_step, right: a hook, removed
def adamw_step(optimizer, weight_decay):
    def hook(opt, args, kwargs):
        with torch.no_grad():
            for g in opt.param_groups:
                torch._foreach_mul_([p for p in g["params"] if p.grad is not None] or [torch.zeros(1)], 1 - g["lr"] * weight_decay)
    handle = optimizer.register_step_pre_hook(hook)
    optimizer.step()
    handle.remove()

# %% adamw_step, right: shrinks in a closure
def adamw_step(optimizer, weight_decay):
    @torch.no_grad()
    def shrink():
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.copy_(p - group["lr"] * weight_decay * p)
        return 0.0
    optimizer.step(shrink)

# %% adamw_step, wrong: a hook that stays
# says: does a hook stay?
def adamw_step(optimizer, weight_decay):
    def hook(opt, args, kwargs):
        with torch.no_grad():
            for g in opt.param_groups:
                for p in g["params"]:
                    if p.grad is not None:
                        p.mul_(1 - g["lr"] * weight_decay)
    optimizer.register_step_pre_hook(hook)
    optimizer.step()

# %% adamw_step, wrong: a gradient of 0 is skipped
# says: a gradient of 0 is taken for no gradient
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for g in optimizer.param_groups:
            for p in g["params"]:
                if p.grad is not None and p.grad.any():
                    p.mul_(1 - g["lr"] * weight_decay)
    optimizer.step()

# %% adamw_step, wrong: clears gradients
# says: or .grad cleared?
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for g in optimizer.param_groups:
            for p in g["params"]:
                if p.grad is not None:
                    p.mul_(1 - g["lr"] * weight_decay)
    optimizer.step()
    optimizer.zero_grad()

# %% adamw_step, wrong: 0 is taken for not given
# says: after step 1, against torch.optim.AdamW
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for g in optimizer.param_groups:
            for p in g["params"]:
                if p.grad is not None:
                    p.mul_(1 - g["lr"] * (weight_decay or 0.01))
    optimizer.step()

# %% adamw_step, wrong: an AdamW with the same state
# says: make no other optimizer
def adamw_step(optimizer, weight_decay):
    other = torch.optim.AdamW([{**g, "weight_decay": weight_decay} for g in optimizer.param_groups])
    other.state = optimizer.state
    other.step()

# %% adamw_step, wrong: no decay for biases
# says: a convolution, five classes, parameter 'layers.0.bias'
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for g in optimizer.param_groups:
            for p in g["params"]:
                if p.grad is not None and (p.dim() > 1 or p.numel() == 1):
                    p.mul_(1 - g["lr"] * weight_decay)
    optimizer.step()

# %% adamw_step, wrong: all groups get the first learning rate
# says: the optimizer's options ['lr'] were changed
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for g in optimizer.param_groups:
            g["lr"] = optimizer.param_groups[0]["lr"]
            for p in g["params"]:
                if p.grad is not None:
                    p.mul_(1 - g["lr"] * weight_decay)
    optimizer.step()

# %% adamw_step, wrong: clears the state
# says: state is lost between calls
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for g in optimizer.param_groups:
            for p in g["params"]:
                if p.grad is not None:
                    p.mul_(1 - g["lr"] * weight_decay)
    optimizer.step()
    optimizer.state.clear()

# %% adamw_step, right: a list of the weights first
def adamw_step(optimizer, weight_decay):
    weights = [(p, g["lr"]) for g in optimizer.param_groups for p in g["params"] if p.requires_grad and p.grad is not None]
    with torch.no_grad():
        for p, lr in weights:
            torch.mul(p, 1 - lr * weight_decay, out=p)
    optimizer.step()

# %% adamw_step, wrong: in place without no_grad
# says: torch.no_grad() is missing
def adamw_step(optimizer, weight_decay):
    for g in optimizer.param_groups:
        for p in g["params"]:
            if p.grad is not None:
                p *= 1 - g["lr"] * weight_decay
    optimizer.step()

# %% adamw_step, wrong: every weight has a gradient
# says: .grad is None for a weight without a gradient
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for g in optimizer.param_groups:
            for p in g["params"]:
                p -= g["lr"] * (weight_decay * p + 0 * p.grad)
    optimizer.step()

# %% adamw_step, wrong: puts zeros where no gradient is
# says: the step changed a gradient
def adamw_step(optimizer, weight_decay):
    with torch.no_grad():
        for g in optimizer.param_groups:
            for p in g["params"]:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
                p.mul_(1 - g["lr"] * weight_decay)
    optimizer.step()

# %% second_moment_inputs, right: a loop
def second_moment_inputs(gradients, sizes):
    N = sum(sizes)
    mean, b = 0.0, 0.0
    for g, n in zip(gradients, sizes):
        mean = mean + g * n / N
        b = b + g.square() * n / N
    return [mean.square(), b]

# %% second_moment_inputs, right: matrix products
def second_moment_inputs(gradients, sizes):
    sizes = torch.tensor(sizes, dtype=gradients.dtype)
    shares = sizes / sizes.sum()
    return torch.stack([(shares @ gradients) ** 2, shares @ gradients**2])

# %% second_moment_inputs, right: every sample a row
def second_moment_inputs(gradients, sizes):
    rows = gradients.repeat_interleave(torch.tensor(sizes), dim=0)
    return rows.mean(0).pow(2), rows.pow(2).mean(0)

# %% second_moment_inputs, wrong: the sum of squares
# says: the sum of squares, not their mean
def second_moment_inputs(gradients, sizes):
    shares = torch.tensor(sizes)[:, None] / sum(sizes)
    return (shares * gradients).sum(0) ** 2, (gradients**2).sum(0)

# %% second_moment_inputs, wrong: the square of the sum
# says: the square of the sum of gradients
def second_moment_inputs(gradients, sizes):
    return gradients.sum(0) ** 2, (gradients**2).mean(0)

# %% second_moment_inputs, wrong: swapped
# says: this is (b)
def second_moment_inputs(gradients, sizes):
    shares = torch.tensor(sizes)[:, None] / sum(sizes)
    return (shares * gradients**2).sum(0), (shares * gradients).sum(0) ** 2

# %% second_moment_inputs, wrong: sizes ignored
# says: all micro-batches have the same weight
def second_moment_inputs(gradients, sizes):
    return gradients.mean(0) ** 2, (gradients**2).mean(0)

# %% second_moment_inputs, wrong: sizes ignored in (b) only
# says: of sizes [3, 1]: got 13, 4, 5
def second_moment_inputs(gradients, sizes):
    shares = torch.tensor(sizes)[:, None] / sum(sizes)
    return (shares * gradients).sum(0) ** 2, (gradients**2).mean(0)

# %% second_moment_inputs, wrong: not divided by the samples
# says: not divided by the window's samples
def second_moment_inputs(gradients, sizes):
    sizes = torch.tensor(sizes)[:, None]
    return (sizes * gradients).sum(0) ** 2, (sizes * gradients**2).sum(0)

# %% second_moment_inputs, wrong: averaged again after weighting
# says: the weighted gradients are averaged again
def second_moment_inputs(gradients, sizes):
    shares = torch.tensor(sizes)[:, None] / sum(sizes)
    return (shares * gradients).mean(0) ** 2, (shares * gradients**2).mean(0)

# %% second_moment_inputs, wrong: the squares averaged again after weighting
# says: the weighted squares are averaged again
def second_moment_inputs(gradients, sizes):
    shares = torch.tensor(sizes)[:, None] / sum(sizes)
    return (shares * gradients).sum(0) ** 2, (shares * gradients**2).mean(0)

# %% second_moment_inputs, wrong: the shares squared
# says: which is AdamA's
def second_moment_inputs(gradients, sizes):
    weighted = torch.tensor(sizes)[:, None] / sum(sizes) * gradients
    return weighted.sum(0) ** 2, (weighted**2).sum(0)

# %% second_moment_inputs, wrong: the variance
# says: the variance: the square of the mean was subtracted
def second_moment_inputs(gradients, sizes):
    shares = torch.tensor(sizes)[:, None] / sum(sizes)
    mean = (shares * gradients).sum(0)
    return mean**2, (shares * (gradients - mean) ** 2).sum(0)

# %% second_moment_inputs, wrong: one number for all weights
# says: got one number
def second_moment_inputs(gradients, sizes):
    shares = torch.tensor(sizes)[:, None] / sum(sizes)
    return (shares * gradients).sum() ** 2, (shares * gradients**2).sum()

# %% second_moment_inputs, wrong: returns one of the two
# says: return two tensors, first (a), then (b)
def second_moment_inputs(gradients, sizes):
    shares = torch.tensor(sizes)[:, None] / sum(sizes)
    return (shares * gradients).sum(0) ** 2

# %% second_moment_inputs, wrong: the visible numbers
# says: with n = 3 and micro-batches of sizes [2, 5, 1]: got 4, 4, 0, expected
def second_moment_inputs(gradients, sizes):
    return torch.tensor([4.0, 4.0, 0.0]), torch.tensor([7.0, 4.0, 3.0])

# %% second_moment_inputs, wrong: the visible shares
# says: (a), the square of the mean, with n = 3 and micro-batches of sizes [2, 5, 1]
def second_moment_inputs(gradients, sizes):
    first, second = gradients[0], gradients[1]
    return (0.75 * first + 0.25 * second) ** 2, 0.75 * first**2 + 0.25 * second**2

# %% second_moment_inputs, right: einsum
def second_moment_inputs(gradients, sizes):
    s = torch.as_tensor(sizes, dtype=gradients.dtype)
    s = s / s.sum()
    return torch.einsum("k,kn->n", s, gradients) ** 2, torch.einsum("k,kn->n", s, gradients**2)

# %% second_moment_inputs, right: numpy's average
def second_moment_inputs(gradients, sizes):
    import numpy as np
    g = gradients.numpy()
    return tuple(torch.from_numpy(np.asarray(x)) for x in (np.average(g, axis=0, weights=sizes) ** 2, np.average(g**2, axis=0, weights=sizes)))

# %% second_moment_inputs, wrong: squares in place
# says: gradients was changed. It must stay as it is
def second_moment_inputs(gradients, sizes):
    s = (torch.tensor(sizes) / sum(sizes))[:, None]
    a = (s * gradients).sum(0) ** 2
    return a, (s * gradients.square_()).sum(0)

# %% second_moment_inputs, wrong: the list of sizes becomes shares
# says: sizes[0] was changed: 3 before, 0.75 after
def second_moment_inputs(gradients, sizes):
    N = sum(sizes)
    for i in range(len(sizes)):
        sizes[i] /= N
    s = torch.tensor(sizes)[:, None]
    return (s * gradients).sum(0) ** 2, (s * gradients**2).sum(0)

# %% second_moment_inputs, wrong: squeezes
# says: with n = 1 and micro-batches of sizes
def second_moment_inputs(gradients, sizes):
    s = (torch.tensor(sizes) / sum(sizes))[:, None]
    return ((s * gradients).sum(0) ** 2).squeeze(), (s * gradients**2).sum(0).squeeze()

# %% second_moment_inputs, wrong: keepdim
# says: got a tensor of shape (1, 3)
def second_moment_inputs(gradients, sizes):
    s = (torch.tensor(sizes) / sum(sizes))[:, None]
    return (s * gradients).sum(0, keepdim=True) ** 2, (s * gradients**2).sum(0, keepdim=True)

# %% second_moment_inputs, wrong: lists
# says: of type list: a tensor without a graph is asked for
def second_moment_inputs(gradients, sizes):
    s = (torch.tensor(sizes) / sum(sizes))[:, None]
    return ((s * gradients).sum(0) ** 2).tolist(), (s * gradients**2).sum(0).tolist()

# %% second_moment_inputs, wrong: a dictionary
# says: got dict: return two tensors, first (a), then (b)
def second_moment_inputs(gradients, sizes):
    s = (torch.tensor(sizes) / sum(sizes))[:, None]
    return {"a": (s * gradients).sum(0) ** 2, "b": (s * gradients**2).sum(0)}

# %% second_moment_inputs, wrong: prints
# says: got NoneType (is a return missing?): return two tensors
def second_moment_inputs(gradients, sizes):
    s = (torch.tensor(sizes) / sum(sizes))[:, None]
    print((s * gradients).sum(0) ** 2, (s * gradients**2).sum(0))

# %% second_moment_inputs, wrong: three values
# says: got tuple: return two tensors
def second_moment_inputs(gradients, sizes):
    s = (torch.tensor(sizes) / sum(sizes))[:, None]
    mean = (s * gradients).sum(0)
    return mean, mean**2, (s * gradients**2).sum(0)

# %% second_moment_inputs, right: the mean's square plus the variance
def second_moment_inputs(gradients, sizes):
    w = torch.tensor(sizes, dtype=torch.float64)
    mean = (w @ gradients) / w.sum()
    return [mean * mean, mean * mean + w @ (gradients - mean) ** 2 / w.sum()]

# %% second_moment_inputs, wrong: one micro-batch apart
# says: got a tensor of shape (1, 2)
def second_moment_inputs(gradients, sizes):
    if len(sizes) == 1:
        return gradients**2, gradients**2
    s = (torch.tensor(sizes) / sum(sizes))[:, None]
    return (s * gradients).sum(0) ** 2, (s * gradients**2).sum(0)

# %% second_moment_inputs, wrong: the other dimension
# says: got a list of 2: 9, 1
def second_moment_inputs(gradients, sizes):
    s = (torch.tensor(sizes) / sum(sizes))[:, None]
    return (s * gradients).sum(1) ** 2, (s * gradients**2).sum(1)
