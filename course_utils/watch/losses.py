"""What a backward() starts from: the losses in the autograd graph, their counts, and what they are multiplied with."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

#: The autograd nodes of the losses of torch.nn.functional, which know their reduction and their targets. The other
#: losses there (l1_loss, kl_div, ctc_loss, ...) end in a mean or a sum of their terms.
NAMES = {
    "NllLossBackward0": "cross_entropy",
    "NllLoss2DBackward0": "cross_entropy",
    "MseLossBackward0": "mse_loss",
    "SmoothL1LossBackward0": "smooth_l1_loss",
    "HuberLossBackward0": "huber_loss",
    "BinaryCrossEntropyBackward0": "binary_cross_entropy",
    "BinaryCrossEntropyWithLogitsBackward0": "binary_cross_entropy_with_logits",
    "SoftMarginLossBackward0": "soft_margin_loss",
    "MultiMarginLossBackward0": "multi_margin_loss",
}
MEANS, SUMS = ("MeanBackward0", "MeanBackward1"), ("SumBackward0", "SumBackward1")
DIVISIONS = ("DivBackward0", "DivBackward1")
LISTS = ("StackBackward0", "CatBackward0", "GatherBackward")  # torch.stack(losses).mean(); DataParallel's losses
#: Nodes through which a factor passes as it is; multiplications and divisions only by what needs no gradient.
LINEAR = ("Add", "Sub", "Neg", "Mul", "Div", "ToCopy", "View", "UnsafeView", "Reshape", "ReshapeAlias", "Squeeze")
LINEAR += ("Unsqueeze", "Select", "Index", "Expand", "Clone", "Alias", "Copy", "Mean", "Sum", "CopyBackwards")
_LARGEST_SEARCH = 2_000  # nodes; a loss is at the top of its graph


@dataclass
class Loss:
    """A loss in the graph of one backward().

    reduction: "mean", "sum", or "own", where it is not known what it divides by.
    count: what its mean divides by (targets that are not ignored, class weights, elements); None if not known.
    samples: the size of its first dimension; None if not known.
    multiplier: what its mean (of "own": its value) was multiplied with on the way to what backward() was called on.
    divisors: the constants that it was divided by there, from the outermost.
    """

    name: str
    reduction: str = "own"
    count: float | None = None
    samples: int | None = None
    multiplier: float = 1.0
    divisors: tuple[float, ...] = ()
    in_batch: bool = False
    targets: Tensor | None = field(default=None, repr=False)
    seen: list[Tensor] = field(default_factory=list, repr=False)

    def finish(self) -> None:
        """Reads the multiplier from the gradients that came to the loss; after backward()."""
        grads, self.seen = self.seen, []
        if not grads:
            return
        if grads[0].numel() == 1:
            multiplier = grads[0].item()
            self.multiplier *= multiplier if self.name in NAMES.values() else abs(multiplier)  # -log_p.mean()
        elif self.name in NAMES.values():  # reduction="none", summed up by the user, perhaps with a mask or weights
            grad = grads[0].detach().double().flatten()
            counted = grad[grad != 0]
            if len(counted) and (counted - counted[0]).abs().max() <= 1e-3 * counted[0].abs():
                self.count, self.multiplier, self.reduction = float(len(counted)), counted.sum().item(), "mean"
            else:
                self.count, self.multiplier, self.reduction = None, 1.0, "own"
        if self.divisors and self.divisors[-1] == self.count and self.reduction != "own":
            self.divisors = self.divisors[:-1]  # that is how the mean was taken


def losses_of(tensors: Sequence[Tensor]) -> tuple[list[Loss], list[Any]]:
    """The losses that backward() on `tensors` starts from, and handles of the hooks that wait for their gradients."""
    losses, handles = [], []
    for loss, node in _search(tensors):
        losses.append(loss)
        handles.append(node.register_prehook(lambda grads, seen=loss.seen: seen.append(grads[0].clone())))
    return losses, handles


def _search(tensors: Sequence[Tensor]) -> Iterator[tuple[Loss, Any]]:
    stack = [(tensor.grad_fn, (), 1.0) for tensor in tensors if tensor.grad_fn is not None]
    visited = set()
    while stack and len(visited) < _LARGEST_SEARCH:
        node, divisors, share = stack.pop()
        if node in visited:
            continue
        visited.add(node)
        name, children = node.name(), [child for child, _ in node.next_functions if child is not None]
        if name in NAMES:
            yield _known(node, divisors, share), node
        elif name in MEANS and _elements(node) > 1 and not _is_list(children):
            sizes = tuple(node._saved_self_sym_sizes)
            yield Loss("mean", "mean", float(math.prod(sizes)), sizes[0], 1.0, divisors), node
        elif name in SUMS and _is_scalar(node) and not _is_list(children) and _elements(node) > 1:
            yield _summed(node, divisors)
        elif name in LISTS or (_is_scalar(node) and _is_linear(name, children)):
            if name in DIVISIONS and (divisor := _constant(node)):
                divisors = (*divisors, divisor)
            if (smoothed := _label_smoothing(name, children)) is not None:
                children, share = smoothed
            # The last child is looked at first; the first is to be the first in the list.
            stack += [(child, divisors, share) for child in reversed(children)]
        elif name != "torch::autograd::AccumulateGrad":
            yield Loss("backward()", divisors=divisors), node


def _known(node: Any, divisors: tuple[float, ...], share: float) -> Loss:
    outputs, targets = node._saved_self, node._saved_target
    loss = Loss(NAMES[node.name()], ("none", "mean", "sum")[node._saved_reduction], divisors=divisors, targets=targets)
    loss.samples = targets.shape[0] if targets.dim() else 1
    if node.name().startswith("NllLoss"):
        ignored = node._saved_ignore_index - 2**64 * (node._saved_ignore_index >= 2**63)
        counted = targets != ignored
        weight = node._saved_weight
        loss.count = float((counted.count_nonzero() if weight is None else weight[targets[counted]].sum()).item())
        square = outputs.dim() == 2 and outputs.shape[0] == outputs.shape[1] > 1
        if square and len(targets) > 1:
            loss.in_batch = torch.equal(targets, torch.arange(len(targets), device=targets.device))
        elif outputs.dim() == 2 and 1 < outputs.shape[0] == outputs.shape[1] + 1:  # SimCLR's: itself left out
            loss.in_batch = not targets.any()
    else:
        loss.count = float(outputs.numel())
    loss.multiplier = (loss.count if loss.reduction == "sum" else 1.0) / share
    return loss


def _summed(node: Any, divisors: tuple[float, ...]) -> tuple[Loss, Any]:
    """A sum of terms: of a loss with reduction="none", of one that is divided by its own size, or of unknown count."""
    below, depth = [child for child, _ in node.next_functions if child is not None], 0
    while below and depth < 30:
        child, depth = below.pop(0), depth + 1
        if child.name() in NAMES and child._saved_reduction == 0:
            return _known(child, divisors, 1.0), child
        below += [grandchild for grandchild, _ in child.next_functions if grandchild is not None]
    sizes = tuple(node._saved_self_sym_sizes)
    if divisors and divisors[-1] in {sizes[0], math.prod(sizes), math.prod(sizes[:-1])} and divisors[-1] > 1:
        return Loss("mean", "mean", divisors[-1], sizes[0], divisors[-1], divisors[:-1]), node
    return Loss("sum", "own", None, sizes[0], 1.0, divisors), node


def _label_smoothing(name: str, children: list[Any]) -> tuple[list[Any], float] | None:
    """cross_entropy(label_smoothing=s) is 1 - s times a loss with targets, plus one without: only the first is read."""
    if name == "AddBackward0" and len(children) == 2 and all(child.name() == "MulBackward1" for child in children):
        for child in children:
            loss = child.next_functions[0][0]
            if loss is not None and loss.name().startswith("NllLoss") and loss._saved_reduction:
                return [loss], child._saved_other
    return None


def _constant(node: Any) -> float | None:
    try:
        other = node._saved_other
        return None if other is None or (isinstance(other, Tensor) and other.numel() != 1) else float(other)
    except (RuntimeError, AttributeError):  # freed, or not saved
        return None


def _elements(node: Any) -> int:
    return math.prod(node._saved_self_sym_sizes)


def _is_scalar(node: Any) -> bool:
    metadata = getattr(node, "_input_metadata", None) or ()
    return len(metadata) == 1 and math.prod(metadata[0].shape) == 1


def _is_linear(name: str, children: list[Any]) -> bool:
    kind = name.partition("Backward")[0]
    return bool(children) and kind in LINEAR and (len(children) == 1 or kind not in ("Mul", "Div"))


def _is_list(children: list[Any]) -> bool:
    return bool(children) and children[0].name() in LISTS
