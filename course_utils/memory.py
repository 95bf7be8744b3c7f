"""How much memory training takes: tensors saved for backward, all tensors that are alive, and a step's total."""

import copy
import weakref
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_utils.arguments import instance_of, integer


class SavedForBackward:
    """Within `with SavedForBackward(model) as saved:`, the bytes that autograd has saved for backward.

    `saved.bytes` is the present number, `saved.peak` the largest so far. Counted is the memory that the saved tensors
    cover, on all devices together, and once where they overlap. Parameters and buffers of `model` are not counted:
    they take memory anyway. What `torch.utils.checkpoint` recomputes is not counted either; `LiveTensors` counts it.
    """

    def __init__(self, model: nn.Module) -> None:
        instance_of(nn.Module, model=model)
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
        for start, end in sorted(self._kept):
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
        return total

    def _keep(self, tensor: Tensor) -> "_Kept":
        kept, extent = _Kept(tensor), _extent(tensor)
        if extent not in self._there_anyway:
            self._kept[extent] += 1
            weakref.finalize(kept, self._let_go, extent)
            self.peak = max(self.peak, self.bytes)
        return kept

    def _let_go(self, extent: tuple[int, int]) -> None:
        self._kept[extent] -= 1
        if not self._kept[extent]:
            del self._kept[extent]


class _Kept:
    """Takes a tensor's place in autograd's graph, and is deleted when the graph frees it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()  # with its graph it would keep itself alive


def _extent(tensor: Tensor) -> tuple[int, int]:
    """The first address of the memory that `tensor` covers, and the address after the last."""
    if not tensor.numel():
        return 0, 0
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()


class LiveTensors(TorchDispatchMode):
    """Within `with LiveTensors() as live:`, the bytes of the tensors that were made there and are still alive.

    `live.bytes` is the present number, `live.peak` the largest so far, on all devices together: activations (also
    recomputed ones), gradients, an optimizer's state, and temporary results. Not counted are tensors from before, such
    as parameters, and the memory that one operation allocates internally. It slows down every operation: do not
    measure time with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.peak = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(self, operation: Callable, types: object, args: tuple = (), kwargs: dict | None = None):
        there_before = set(_storages((args, kwargs)))
        results = operation(*args, **(kwargs or {}))
        for address, storage in _storages(results).items():
            if address not in there_before and address not in self._alive:
                self._alive[address] = storage.nbytes()
                self.bytes += storage.nbytes()
                weakref.finalize(storage, self._gone, address)
        self.peak = max(self.peak, self.bytes)
        return results

    def _gone(self, address: int) -> None:
        self.bytes -= self._alive.pop(address)


def _storages(tree: object) -> dict[int, torch.UntypedStorage]:
    tensors = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
    return {storage._cdata: storage for storage in (tensor.untyped_storage() for tensor in tensors)}


class StepMemory(NamedTuple):
    """Bytes of a training step. Only the activations depend on the batch."""

    parameters: int
    gradients: int
    optimizer_state: int
    activations: int

    @property
    def total(self) -> int:
        return sum(self)


def step_memory(model: nn.Module, optimizer: Optimizer, activations: int) -> StepMemory:
    """The memory of one training step. The bytes of `activations` come from `SavedForBackward`, or from a formula.

    The optimizer's state is measured: a copy of model and optimizer makes one step. Raises ValueError if `optimizer`
    holds no parameter of `model`, or `activations` is not an integer from 0 up.
    """
    instance_of(nn.Module, model=model)
    instance_of(Optimizer, optimizer=optimizer)
    activations = integer("activations", activations, least=0)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    trained = [parameter for parameter in model.parameters() if id(parameter) in held]
    if not trained:
        raise ValueError("optimizer holds no parameter of model")
    _, optimizer = copy.deepcopy((model, optimizer))
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    state = (value for of_parameter in optimizer.state.values() for value in of_parameter.values())
    return StepMemory(
        parameters=sum(p.nbytes for p in model.parameters()),
        gradients=sum(p.nbytes for p in trained),
        optimizer_state=sum(value.nbytes for value in state if isinstance(value, Tensor)),
        activations=activations,
    )
