"""How much memory autograd keeps for the backward pass."""

import weakref
from collections import Counter
from typing import Self

import torch
from torch import Tensor, nn


class SavedForBackward:
    """Within `with SavedForBackward(model) as saved:`, what autograd keeps between forward and backward, in bytes.

    `saved.bytes` is what is kept at the moment, `saved.peak` the most that was kept at once. Counted is the memory that
    the kept tensors cover, on all devices together and once where they overlap; parameters and buffers of `model` are
    left out, since they are there anyway. What `torch.utils.checkpoint` computes a second time is not seen.
    """

    def __init__(self, model: nn.Module) -> None:
        self.peak = 0
        self._there_anyway = {_extent(tensor) for tensor in (*model.parameters(), *model.buffers())}
        self._kept: Counter[tuple[int, int]] = Counter()
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda kept: kept.tensor)

    def __enter__(self) -> Self:
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)

    @property
    def bytes(self) -> int:
        total = reached = 0
        for start, end in sorted(+self._kept):
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
        return total

    def _keep(self, tensor: Tensor) -> "_Kept":
        kept, extent = _Kept(tensor), _extent(tensor)
        if extent not in self._there_anyway:
            self._kept[extent] += 1
            weakref.finalize(kept, self._kept.subtract, [extent])
            self.peak = max(self.peak, self.bytes)
        return kept


class _Kept:
    """What stands in for a tensor in autograd's graph, and goes when the graph lets go of it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()  # with its graph it would keep itself alive


def _extent(tensor: Tensor) -> tuple[int, int]:
    """First address of the memory that `tensor` covers, and the one after its last."""
    if not tensor.numel():
        return 0, 0
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()
