"""Optimizers that are given every micro-batch: right and wrong ways to accumulate with momentum and Adam.

    optimizer.zero_grad()
    for inputs, targets in window:
        cross_entropy(model(inputs), targets).backward()  # the mean over the micro-batch
        optimizer.absorb(len(targets) / samples)  # samples: of the whole window
    optimizer.step()

In the formulas g_k is micro-batch k's mean gradient, share_k its part of the window's samples, Σ runs over the K
micro-batches of a window, and t counts updates.
"""

import inspect
import math
from collections.abc import Callable, Iterator
from numbers import Real

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from course_utils.arguments import instance_of

# Left out: SparseAdam needs sparse gradients, LBFGS calls for the loss itself. Muon is in, and takes matrices only.
DENSE_OPTIMIZERS: dict[str, type[Optimizer]] = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, Optimizer) and name not in ("Optimizer", "SparseAdam", "LBFGS")
}

_BELOW = {"lr": math.inf, "momentum": 1, "betas": 1, "eps": math.inf, "weight_decay": math.inf}


class AccumulatingOptimizer(Optimizer):
    """An optimizer that is given each micro-batch with absorb() and makes the window's one update with step().

    Without absorb(), step() uses .grad as the whole window's gradient and does not clear it, as in torch.optim.
    Parameters without a gradient in the window are skipped. zero_grad() also discards what was absorbed since the last
    step(), except for what a class has already added to its velocity or moments. state_dict() may be saved within a
    window. Raises ValueError for a hyperparameter that is out of range, also in a parameter group.
    """

    def absorb_gradient(self, state: dict, gradient: Tensor, share: float, group: dict) -> None:
        """Adds share_k and g_k of one parameter to its `state`, which has "in_window" after the window's first one."""
        raise NotImplementedError

    def move(self, parameter: Tensor, state: dict, group: dict) -> None:
        """Makes one parameter's update, in place."""
        raise NotImplementedError

    def add_param_group(self, param_group: dict) -> None:
        """As in torch.optim; the constructor adds its groups here, too."""
        instance_of(dict, param_group=param_group)
        for name, value in {**self.defaults, **param_group}.items():
            below, pair = _BELOW.get(name), name == "betas"
            numbers = value if pair and isinstance(value, (tuple, list)) else [value]
            if below and (len(numbers) != 1 + pair or not all(isinstance(n, Real) and 0 <= n < below for n in numbers)):
                what = "two numbers, each" if pair else "a number"
                raise ValueError(f"{name}={value!r} must be {what} at least 0 and below {below}")
        super().add_param_group(param_group)

    @torch.no_grad()
    def absorb(self, share: float) -> None:
        """Adds the gradients of a micro-batch that has `share` of the window's samples, and sets .grad to None.

        Raises ValueError unless 0 < share <= 1.
        """
        number = share.item() if isinstance(share, Tensor) and share.numel() == 1 else share
        if not isinstance(number, Real) or not 0 < number <= 1:
            raise ValueError(
                f"share={share!r} must be above 0 and at most 1: the micro-batch's share of the window's samples"
            )
        self._absorb(float(number))
        super().zero_grad()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Makes the update. Returns what `closure`, called first and with gradients enabled, returns.

        Raises RuntimeError if .grad holds gradients beside those absorbed, and ValueError if the shares do not add up
        to 1 within 1e-6. In both cases no parameter changes, and what was absorbed is kept.
        """
        instance_of(Callable | None, closure=closure)
        with torch.enable_grad():
            loss = None if closure is None else closure()
        if "window" not in self.state:
            self._absorb(1.0)
        elif any(self._with_gradient()):
            raise RuntimeError(".grad holds gradients beside those absorbed: call absorb() after each backward()")
        total = math.fsum(self.state["window"]["shares"])
        if abs(total - 1) > 1e-6:
            hint = "a micro-batch left out or absorbed twice, or zero_grad() called within the window?"
            raise ValueError(f"the shares absorbed add up to {total:.7g}, not to 1: {hint}")
        for group in self.param_groups:
            for parameter in group["params"]:
                if "in_window" in self.state.get(parameter, {}):
                    self.move(parameter, self.state[parameter], group)
        self._drop_window()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As in torch.optim; gradients absorbed since the last step() are discarded as well."""
        super().zero_grad(set_to_none)
        self._drop_window()

    def _absorb(self, share: float) -> None:
        for group, parameter in self._with_gradient():
            self.absorb_gradient(self.state[parameter], parameter.grad, share, group)
            self.state[parameter]["in_window"] = True
        # Not changed in place: load_state_dict() copies no state but that of parameters.
        self.state["window"] = {"shares": (*self.state["window"].get("shares", ()), share)}

    def _with_gradient(self) -> Iterator[tuple[dict, Tensor]]:
        return ((group, p) for group in self.param_groups for p in group["params"] if p.grad is not None)

    def _drop_window(self) -> None:
        self.state.pop("window", None)
        for state in self.state.values():
            for name in ("in_window", "gradient", "squares"):
                state.pop(name, None)


class MomentumPerMicroBatch(AccumulatingOptimizer):
    """A wrong rule, to study: velocity <- momentum * velocity + share_k g_k at every micro-batch.

    Then, once per window, parameter <- parameter - lr * velocity. PyTorch calls the velocity momentum_buffer. From one
    window to the next it decays by momentum^K, and a window of equal gradients g adds only
    (1 - momentum^K) / (K (1 - momentum)) g to it. For K = 1 this is torch.optim.SGD. The right rule for K > 1 is
    torch.optim.SGD with the gradient Σ share_k g_k.
    """

    def __init__(self, params: ParamsT, lr: float = 1e-3, momentum: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def absorb_gradient(self, state: dict, gradient: Tensor, share: float, group: dict) -> None:
        state["velocity"] = group["momentum"] * state.get("velocity", 0) + share * gradient

    def move(self, parameter: Tensor, state: dict, group: dict) -> None:
        parameter.sub_(group["lr"] * state["velocity"])


class AdamSquaredMean(AccumulatingOptimizer):
    """(a), the square of the mean gradient: v <- beta2 v + (1 - beta2) (Σ share_k g_k)².

    This is Adam on the large batch, up to rounding. Common to the variants of Adam here, unless they say otherwise:
    m <- beta1 m + (1 - beta1) Σ share_k g_k, and with m̂ = m / (1 - beta1^t) and v̂ = v / (1 - beta2^t),
    parameter <- (1 - lr weight_decay) parameter - lr m̂ / (√v̂ + eps). Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1.
    The weight decay is that of torch.optim.AdamW, after Loshchilov & Hutter 2019 (arXiv 1711.05101); in their algorithm
    2 it is multiplied by a schedule's factor, but not by the learning rate (pytorch/pytorch issue 38853).
    """

    def __init__(
        self, params: ParamsT, lr: float = 1e-3, betas: tuple = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def absorb_gradient(self, state: dict, gradient: Tensor, share: float, group: dict) -> None:
        state["gradient"] = state.get("gradient", 0) + share * gradient

    def second_moment(self, state: dict, v: Tensor, beta2: float) -> Tensor:
        return beta2 * v + (1 - beta2) * state["gradient"].square()

    def move(self, parameter: Tensor, state: dict, group: dict) -> None:
        beta1, beta2 = group["betas"]
        if "gradient" in state:  # absent where absorb_gradient() has already added it to the moments
            state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * state["gradient"]
            state["v"] = self.second_moment(state, state.get("v", 0), beta2)
        t = state["updates"] = state.get("updates", 0) + 1
        m, v = state["m"] / (1 - beta1**t), state["v"] / state.get("weight", 1 - beta2**t)
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * m / (v.sqrt() + group["eps"]))


class AdamMeanOfSquares(AdamSquaredMean):
    """(b), the mean of the squared micro-batch gradients: v <- beta2 v + (1 - beta2) Σ share_k g_k².

    Wang & Aitchison 2024, "Batch size invariant Adam" (arXiv 2402.18824): square first, then average. If the gradients
    of K equal micro-batches are independent, with a mean of mu standard deviations, the expected v is
    (mu² + 1) / (mu² + 1/K) times that of AdamSquaredMean.
    """

    def absorb_gradient(self, state: dict, gradient: Tensor, share: float, group: dict) -> None:
        super().absorb_gradient(state, gradient, share, group)
        state["squares"] = state.get("squares", 0) + share * gradient.square()

    def second_moment(self, state: dict, v: Tensor, beta2: float) -> Tensor:
        return beta2 * v + (1 - beta2) * state["squares"]


class AdamSumOfSquares(AdamSquaredMean):
    """The sum of the squares, claim C14: v <- beta2^K v + (1 - beta2) Σ g_k², whatever the micro-batches' sizes.

    This is v after K updates of Adam with a micro-batch each, except that the K squares do not decay among themselves.
    The claim names no bias correction. Here v is divided by what it would be if every g_k were 1, which is
    weight <- beta2^K weight + (1 - beta2) K. Dividing by Adam's usual 1 - beta2^t would leave v K times too large at
    t = 1, and K (1 - beta2) / (1 - beta2^K) times for large t.
    """

    def absorb_gradient(self, state: dict, gradient: Tensor, share: float, group: dict) -> None:
        super().absorb_gradient(state, gradient, share, group)
        state["squares"] = state.get("squares", 0) + gradient.square()

    def second_moment(self, state: dict, v: Tensor, beta2: float) -> Tensor:
        K = len(self.state["window"]["shares"])
        state["weight"] = beta2**K * state.get("weight", 0) + (1 - beta2) * K
        return beta2**K * v + (1 - beta2) * state["squares"]


class AdamA(AdamSquaredMean):
    """v <- beta2 v + (1 - beta2) Σ (share_k g_k)²; each gradient is added to m and v at once.

    Zhang et al. 2023, "Adam Accumulation" (arXiv 2305.19982), as in a public implementation: m and v decay only at the
    window's first micro-batch. No gradient is kept between micro-batches; the peak of memory is lower only if each is
    released during the backward pass (a hook on each parameter, lesson 08). With mu as in AdamMeanOfSquares, the
    expected v is (mu² + 1) / (K mu² + 1) times that of AdamSquaredMean: the same for pure noise, and 1/K of it without
    noise.
    """

    def absorb_gradient(self, state: dict, gradient: Tensor, share: float, group: dict) -> None:
        beta1, beta2 = group["betas"]
        decay1, decay2 = (1, 1) if "in_window" in state else (beta1, beta2)
        state["m"] = decay1 * state.get("m", 0) + (1 - beta1) * share * gradient
        state["v"] = decay2 * state.get("v", 0) + (1 - beta2) * (share * gradient).square()


class AdamPerMicroBatch(AdamA):
    """A wrong rule, to study: m <- beta1 m + (1 - beta1) g_k, v <- beta2 v + (1 - beta2) g_k² at every micro-batch.

    m and v decay K times per window, and late micro-batches weigh more than early ones, whatever their sizes. Because
    t counts windows, the first m̂ of equal gradients is (1 - beta1^K) / (1 - beta1) times too large.
    """

    def absorb_gradient(self, state: dict, gradient: Tensor, share: float, group: dict) -> None:
        beta1, beta2 = group["betas"]
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * gradient
        state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * gradient.square()
