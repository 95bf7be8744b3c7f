"""How an assignment's tests call an answer: as another program would, with arguments that are compared afterwards.

`called` runs an answer, compares its arguments before and after, and hides the notebook's own data from it.
`networks` and `optimizers` are families of small cases: a shortcut that works on a plain network fails on one of them.
`Steps` records what each step() used, `Note` each forward pass, and `of_kind` checks the type of a value.
"""

import copy
import inspect
import operator
from collections.abc import Callable, Collection, Mapping
from numbers import Real
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from course_utils.arguments import instance_of, integer, one_of

#: What an answer can be allowed to change: parameters, gradients, buffers, mode, layers or hooks of a module; the
#: parameter groups and the state of an optimizer; the state of a scheduler; tensors and lists.
ASPECTS = (
    *("parameters", "gradients", "buffers", "mode", "requires_grad", "modules", "hooks"),
    *("optimizer", "scheduler", "values"),
)


def called(
    answer: Callable,
    *arguments: object,
    may_change: Collection[str] = (),
    keeps_random_state: bool = False,
    **named: object,
) -> object:
    """Calls answer(*arguments, **named), and returns what it returns.

    While it runs, the tensors, modules, optimizers and lists of tensors that are global in the notebook are hidden.
    Afterwards the arguments must be as they were, except for `may_change`, a collection of `ASPECTS`.

    Raises AssertionError, with a message for a student, if an argument was changed, if the answer used a hidden global,
    if it does not take these arguments, if it changed a parameter in place without torch.no_grad(), if it left the grad
    mode, the default dtype or the hooks on all modules changed, or, with `keeps_random_state`, the state of the random
    number generator. Raises ValueError if
    `may_change` has anything else than `ASPECTS`.
    """
    instance_of(Callable, answer=answer)
    for aspect in may_change:
        one_of("may_change", aspect, ASPECTS)
    try:
        names = inspect.signature(answer).bind(*arguments, **named).arguments
    except TypeError as error:
        raise AssertionError(f"{answer.__name__} cannot be called as its docstring says: {error}") from None
    before = {name: _facts(name, value) for name, value in names.items()}
    surroundings = _surroundings(keeps_random_state)
    namespace = answer.__globals__
    hidden = {name: value for name, value in namespace.items() if not name.startswith("_") and _is_data(value)}
    for name in hidden:
        del namespace[name]
    try:
        result = answer(*arguments, **named)
    except NameError as error:
        if error.name in hidden:
            raise AssertionError(
                f"{answer.__name__} uses {error.name!r} of the notebook, which is not among its arguments"
            ) from None
        raise
    except RuntimeError as error:
        if "a leaf Variable that requires grad" in str(error):
            raise AssertionError(
                f"{answer.__name__} changes a parameter in place with gradients enabled: torch.no_grad() is missing"
            ) from None
        raise
    finally:
        namespace.update({name: value for name, value in hidden.items() if name not in namespace})
    for name, value in names.items():
        _compare(before[name], _facts(name, value), may_change)
    _compare(surroundings, _surroundings(keeps_random_state), ())
    return result


def of_kind(what: str, value: object, kind: type) -> None:
    """Raises AssertionError, in words for a student, unless `value` is of type `kind`: int, float, list, Tensor, ...

    An int is a whole number (numpy's, too), not a bool and not a float such as 3.0; a float is a real number that is
    no tensor; a Tensor has no graph.
    """
    instance_of(type, kind=kind)
    got = f"{what} is {value!r}, of type {type(value).__name__}"
    if kind is int:
        try:
            right = not isinstance(value, (bool, Tensor)) and operator.index(value) is not None
        except TypeError:
            right = False
        advice = "an int is asked for"
    elif kind is float:
        right, advice = isinstance(value, Real) and not isinstance(value, bool), "a float is asked for"
        if isinstance(value, Tensor):
            got, advice = f"{what} is a tensor", "a float is asked for: .item() gives it, and lets the graph go"
    elif kind is Tensor:
        right, advice = isinstance(value, Tensor) and not value.requires_grad, "a tensor without a graph is asked for"
    else:
        right, advice = isinstance(value, kind), f"a {kind.__name__} is asked for"
    if value is None:
        advice += " (is a return missing?)"
    assert right, f"{got}: {advice}"


class Steps:
    """Records each step() of `optimizer`, also one with a closure: `gradients`, one tensor a step, and `rates`.

    `rates` has the learning rates of all parameter groups. `len(steps)` is the number of steps. The gradients are those
    of the optimizer's own parameters; None is recorded as zeros.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        instance_of(Optimizer, optimizer=optimizer)
        self.gradients: list[Tensor] = []
        self.rates: list[list[float]] = []
        optimizer.register_step_post_hook(self._note)

    def __len__(self) -> int:
        return len(self.rates)

    def _note(self, optimizer: Optimizer, *_: object) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        self.gradients.append(torch.cat([part.detach().clone().flatten() for part in parts]))
        self.rates.append([group["lr"] for group in optimizer.param_groups])


class Note(nn.Module):
    """Returns its inputs, and records in `seen` for each forward pass: (samples, training mode?, graph?)."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, bool, bool]] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append((len(inputs), self.training, torch.is_grad_enabled()))
        return inputs


class Case(NamedTuple):
    """A network of `networks`. `batches(sizes)` are inputs and class numbers for it."""

    name: str
    model: nn.Module
    shape: tuple[int, ...]
    classes: int

    @property
    def note(self) -> Note:
        return next(module for module in self.model.modules() if isinstance(module, Note))

    def batches(self, sizes: Collection[int], seed: int = 0) -> list[tuple[Tensor, Tensor]]:
        """(inputs, targets) of shapes (size, *shape) and (size), float64, for each of `sizes`."""
        draw = torch.Generator().manual_seed(seed)
        return [
            (
                torch.randn(size, *self.shape, generator=draw, dtype=torch.float64),
                torch.randint(self.classes, (size,), generator=draw),
            )
            for size in sizes
        ]


class _Network(nn.Module):
    """`layers`, with a layer `tied` that is used twice and one, `idle`, that is not used; `order` is that of all."""

    def __init__(self, order: str, layers: nn.Sequential, width: int) -> None:
        super().__init__()
        for name in order.split():
            module = {"layers": layers, "note": Note(), "idle": nn.Linear(2, 3), "tied": nn.Linear(width, width)}[name]
            self.add_module(name, module)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.layers[0](self.note(inputs))
        if hasattr(self, "tied"):
            hidden = self.tied(torch.tanh(self.tied(hidden)))
        for layer in self.layers[1:]:
            hidden = layer(hidden)
        return hidden


def networks(seed: int = 0) -> list[Case]:
    """Small networks in float64, new ones at each call, in training mode.

    With and without biases, for flat inputs and for images, with three and five classes; with an unused layer, a frozen
    one, and one that is used twice, at different places among the parameters. Each has a `Note`.
    """
    seed = integer("seed", seed, least=0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        plain = nn.Sequential(nn.Linear(6, 7, bias=False), nn.Tanh(), nn.Linear(7, 3, bias=False))
        images = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 5))
        unused = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
        shared = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 5))
        frozen = nn.Sequential(nn.Linear(6, 5).requires_grad_(False), nn.Tanh(), nn.Linear(5, 3))
        return [
            Case("a network without biases", _Network("layers note", plain, 7).double(), (6,), 3),
            Case("a convolution, five classes", _Network("note layers", images, 4).double(), (1, 6, 6), 5),
            Case("an unused layer before the others", _Network("idle note layers", unused, 5).double(), (6,), 3),
            Case("a layer that is used twice", _Network("layers tied note", shared, 4).double(), (6,), 5),
            Case("a frozen, a shared, an unused layer", _Network("note tied layers idle", frozen, 5).double(), (6,), 3),
        ]


def optimizers(model: nn.Module) -> dict[str, Optimizer]:
    """SGD, SGD with momentum and two parameter groups, and Adam, for the parameters of `model`."""
    instance_of(nn.Module, model=model)
    parameters = list(model.parameters())
    half = len(parameters) // 2
    groups = [{"params": parameters[:half]}, {"params": parameters[half:], "lr": 0.03, "momentum": 0.5}]
    return {
        "SGD": torch.optim.SGD(parameters, lr=0.1),
        "SGD with momentum and two groups": torch.optim.SGD(groups, lr=0.1, momentum=0.9),
        "Adam": torch.optim.Adam(parameters, lr=0.01),
    }


# What was handed over, before and after


def _facts(name: str, value: object) -> dict[tuple[str, str], object]:
    """What can be changed of `value`: a copy of it, by what it is an aspect of, and what to call it."""
    if isinstance(value, nn.Module):
        return _facts_of_module(name, value)
    if isinstance(value, Optimizer):
        groups = [{**group, "params": [*map(id, group["params"])]} for group in value.param_groups]
        state = copy.deepcopy(value.state_dict()["state"])
        return {("optimizer", f"the parameter groups of {name}"): groups, ("optimizer", f"the state of {name}"): state}
    if isinstance(value, LRScheduler):
        return {("scheduler", f"the state of {name}"): copy.deepcopy(value.state_dict())}
    if isinstance(value, Tensor):
        return _facts_of_tensor(f"{name}", value, "values")
    if isinstance(value, Mapping):
        parts = [(f"{name}[{key!r}]", part) for key, part in value.items()]
        found: dict[tuple[str, str], object] = {("values", f"the keys of {name}"): list(value)}
    elif isinstance(value, (list, tuple)):
        parts = [(f"{name}[{place}]", part) for place, part in enumerate(value)]
        found = {("values", f"the length of {name}"): len(value)}
    else:
        return {("values", name): value} if isinstance(value, (Real, str)) else {}
    for part_name, part in parts:
        found |= _facts(part_name, part)
    return found


def _facts_of_tensor(name: str, tensor: Tensor, aspect: str) -> dict[tuple[str, str], object]:
    hooks = len(tensor._backward_hooks or {}) + len(getattr(tensor, "_post_accumulate_grad_hooks", None) or {})
    return {
        (aspect, name): tensor.detach().clone(),
        ("gradients", f"the gradient of {name}"): None if tensor.grad is None else tensor.grad.detach().clone(),
        ("requires_grad", f"requires_grad of {name}"): tensor.requires_grad,
        ("hooks", f"the number of hooks on {name}"): hooks,
    }


def _facts_of_module(name: str, model: nn.Module) -> dict[tuple[str, str], object]:
    modules = dict(model.named_modules(remove_duplicate=False))
    found: dict[tuple[str, str], object] = {
        ("modules", f"the layers of {name}"): {path: id(module) for path, module in modules.items()},
    }
    for path, parameter in model.named_parameters(remove_duplicate=False):
        found |= _facts_of_tensor(f"parameter {path!r} of {name}", parameter, "parameters")
    for path, buffer in model.named_buffers(remove_duplicate=False):
        found["buffers", f"buffer {path!r} of {name}"] = buffer.detach().clone()
    for path, module in modules.items():
        layer = f"layer {path!r} of {name}" if path else name
        found["mode", f"the mode of {layer}"] = "training mode" if module.training else "evaluation mode"
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        found["hooks", f"the number of hooks on {layer}"] = sum(map(len, hooks))
    return found


def _surroundings(random_state: bool) -> dict[tuple[str, str], object]:
    everywhere = nn.modules.module
    found: dict[tuple[str, str], object] = {
        ("grad mode", "torch.is_grad_enabled()"): torch.is_grad_enabled(),
        ("default dtype", "the default dtype"): torch.get_default_dtype(),
        ("hooks", "the number of hooks on all modules"): len(everywhere._global_forward_hooks)
        + len(everywhere._global_forward_pre_hooks),
    }
    if random_state:
        found["random state", "the state of the random numbers"] = torch.get_rng_state()
    return found


def _compare(before: Mapping, after: Mapping, may_change: Collection[str]) -> None:
    for (aspect, what), old in before.items():
        new = after.get((aspect, what), "gone")
        if aspect not in may_change and not _same(old, new):
            plain = not any(isinstance(value, (Tensor, Mapping, list)) for value in (old, new))
            shown = f": {old} before, {new} after" if plain else ""
            raise AssertionError(f"{what} was changed{shown}. It must stay as it is")


def _same(old: object, new: object) -> bool:
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        return old.shape == new.shape and old.dtype == new.dtype and torch.equal(old.nan_to_num(), new.nan_to_num())
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        return len(old) == len(new) and all(map(_same, old, new))
    return type(old) is type(new) and (old == new or (old != old and new != new))  # the second is for NaN


def _is_data(value: object) -> bool:
    """Tensors, modules, optimizers, schedulers, and lists, tuples and dictionaries with such."""
    if isinstance(value, (ModuleType, type)):
        return False
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(map(_is_data, value))
    return isinstance(value, (Tensor, nn.Module, Optimizer, LRScheduler))
