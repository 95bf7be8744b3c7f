"""Watches training while it runs: which backward() is in which update, and with what factor.

Nothing is computed with what is watched: every number here is read from a gradient and never written to one. Each
gradient is kept as a sketch of 64 numbers, sums of its elements with fixed random signs. A sketch is linear, so what
was done to a gradient (added to, scaled, cleared) is what was done to its sketch.
"""

import collections
import contextlib
import functools
import gc
import math
import sys
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import dataloader

from course_utils.watch.losses import Loss, losses_of

SKETCH = 64  # numbers kept of the gradient of one parameter from one backward()
ROWS = 1_024  # of 64 elements, which are read of a gradient at most
EARLY = 16  # updates that are examined in full: a loop that is wrong later is wrong in these, too
KEPT = 64  # backward() calls whose sketches are kept, to recognize gradients that were put aside and brought back
BEFORE = -1  # the place of "what was in .grad before the watch began" among the backward() calls
_EXACT, _ROUGH = 1e-5, 2e-2  # relative errors by rounding: in float32 and wider; in bfloat16 and float16


class Enough(BaseException):
    """Ends a script after the updates that were asked for. Not an Exception: no script's `except` is meant for it."""


@dataclass
class Backward:
    """One backward(): its losses, and when it came."""

    number: int
    losses: list[Loss] = field(default_factory=list)
    epoch: int = 0
    batch: int = 0  # how many batches the DataLoader had given
    batch_samples: int | None = None
    passes: int = 1  # how many graphs as large as its own were made since the one before; of the first 64
    same_targets: bool = False  # the very tensor of targets that the backward() before had
    stale: bool = False  # an update came between its forward and it
    repeated: bool = False  # a closure that was called again within a step, as LBFGS does
    kind: int = 0  # the same for the same losses of the same parameters
    captured: bool = False  # torch.autograd.grad: nothing was added to .grad
    reached: set[int] = field(default_factory=set)  # the optimizers whose parameters got a gradient
    optimizers: set[int] = field(default_factory=set)  # those that used it in a step


@dataclass
class Update:
    """One step of an optimizer.

    factors: what each backward()'s gradient was multiplied with in it, clip_grad_norm_ left out.
    clipped: what clip_grad_norm_ multiplied it with.
    """

    factors: dict[int, float]
    clipped: dict[int, float]
    lr: float
    norm: float
    clips: list[tuple[float, float, int]]  # (max_norm, norm before, last backward before it)
    value_clips: int
    residual: float  # the share of the gradient that no backward() explains
    odd: dict[str, float]  # parameters with another factor than the rest: their factor as a share of the others'
    scheduler_calls: list[int]  # the last backward before each
    lr_changes: int  # changes of the learning rate inside the window
    after: int  # the last backward before the step
    epoch: int
    rounded: bool  # every element is a bfloat16 number, though the gradients are kept in a wider format
    synchronized: int  # how often .grad came to hold other ranks' gradients as well, since the update before
    by_hand: bool  # put together from earlier windows as well
    alike: list[int]  # backward() calls in it whose gradients have the same direction: the same data
    dtype: torch.dtype | None
    target: np.ndarray | None = None  # of a distributed run: the gradient, in 512 numbers
    columns: dict[int, np.ndarray] = field(default_factory=dict)  # and what this rank's backward() calls gave for it
    clip_scaled: bool = False  # clipped between GradScaler's scale and unscale_


@dataclass
class Steps:
    """The updates of one optimizer, or of several that step inside backward()."""

    name: str
    parameters: list[int]
    updates: list[Update] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)  # steps that GradScaler skipped: the last backward before each
    foreign: int = 0  # how many of its parameters are not the watched model's


@dataclass
class Recording:
    """What was seen, as plain data: it can be kept, and sent to another process."""

    backwards: list[Backward] = field(default_factory=list)
    steps: dict[int, Steps] = field(default_factory=dict)
    error: str | None = None  # what the code that was watched has raised
    model: str | None = None  # the kind of the model that was given
    cut: bool = False  # ended after the updates that were asked for
    loader_lengths: set[int] = field(default_factory=set)
    mixing: list[tuple[str, str]] = field(default_factory=list)  # modules that mix the samples of a batch: kind, name
    world: int = 1
    rank: int = 0
    ranks: int = 1  # of how many it was joined: see ranks.join
    moved: bool = False  # the model's parameters have changed
    value_clips: bool = False  # clip_grad_value_ was called
    targets_return: bool = False  # the same tensor of targets comes again after an update
    schedules: dict[int, int] = field(default_factory=dict)  # the length of each optimizer's schedule, where it has one


class _Parameter:
    def __init__(self, tensor: Tensor, name: str) -> None:
        self.tensor, self.name, self.elements = tensor, name, tensor.numel()
        self.factors: dict[int, float] = {}  # what is in .grad: backward() by number, and its factor
        self.clips: list[tuple[float, int]] = []  # factors of clip_grad_norm_, and the last backward() before each
        self.owners: set[int] = set()  # optimizers
        self.active = False  # a backward() has reached it
        self.unexplained = False  # .grad is not a multiple of what was there
        self.handle: Any = None
        self._seen: tuple[int, int] | None = None  # where .grad was in memory, and how often it had been written to
        self.additions = 0  # to .grad since

    def remember(self) -> None:
        grad = self.tensor.grad
        known = grad is not None and grad.layout == torch.strided and not hasattr(grad, "to_local")
        self._seen = (grad.data_ptr(), grad._version) if known else None
        self.additions = 0

    def is_untouched(self) -> bool:
        """Has nobody but backward() written to .grad since, as far as PyTorch counts?"""
        grad = self.tensor.grad
        if grad is None or grad.layout != torch.strided or hasattr(grad, "to_local"):
            return False
        if self._seen is None:
            return grad._version == self.additions - 1
        return self._seen == (grad.data_ptr(), grad._version - self.additions)

    def clip(self, number: int) -> float:
        """What clip_grad_norm_ has multiplied the gradient of this backward() with."""
        return math.prod(factor for factor, after in self.clips if after >= number)


class _Pass:
    """A DataLoader's pass over its batches."""

    def __init__(self, iterator: Any) -> None:
        self.loader, self.given, self.trains, self.length = iterator._index_sampler, 0, False, 0
        with contextlib.suppress(TypeError, NotImplementedError):
            self.length = len(self.loader)


class Recorder:
    """Records from `start()` to `stop()`. `model` names the parameters; all that an optimizer gets are watched."""

    def __init__(self, model: nn.Module | None, limit: int = 0) -> None:
        self.model, self.limit = model, limit
        self.recording = Recording(model=None if model is None else type(model).__name__)
        self.backwards, self.steps = self.recording.backwards, self.recording.steps
        self.is_running = False
        self.store: Any = None  # where the ranks of a distributed run leave what they have seen
        self._parameters: list[_Parameter] = []
        self._places: dict[int, int] = {}
        self._expected = np.zeros((0, SKETCH))
        self._sketches: collections.OrderedDict[int, dict[int, np.ndarray]] = collections.OrderedDict()
        self._pending: list[tuple[int, int, Tensor]] = []
        self._signs: dict[tuple, Tensor] = {}
        self._values: dict[int, Tensor] = {}  # sketches of the model's parameters when the watch began
        self._optimizers: dict[int, Optimizer] = {}  # kept alive until stop(), so that no id comes twice
        self._current: Backward | None = None
        self._mixed = False  # this update's gradient was put together from earlier windows as well
        self._captured = False  # gradients came by torch.autograd.grad since the last update
        self._closures = self._schedulers_deep = 0
        self._synchronized = 0  # with other ranks, since the last update
        self._clips: dict[int, list] = collections.defaultdict(list)
        self._value_clips = collections.Counter()
        self._clip_scaled: set[int] = set()
        self._scheduler_calls: dict[int, list[int]] = collections.defaultdict(list)
        self._lrs: dict[int, float] = {}
        self._lr_changes = collections.Counter()
        self._scaled: dict[int, bool] = {}
        self._scale_is_on = False
        self._epoch, self._told_epochs = 0, False
        self._batch, self._batch_samples = 0, None
        self._passes: weakref.WeakKeyDictionary[Any, _Pass] = weakref.WeakKeyDictionary()
        self._pass: _Pass | None = None  # that has given the last batch
        self._batch_before, self._since = 0, collections.Counter()  # batches of each loader since the last backward()
        self._epoch_ended = False
        self._nodes = _node_count()  # autograd nodes made until the last backward()
        self._nodes_at_update: dict[int, int] = {}  # and until each optimizer's last step
        self._last_targets: list[Tensor] = []
        self._undo = contextlib.ExitStack()

    # Beginning and end

    def start(self) -> None:
        if self.is_running or self.recording.backwards or self.recording.steps:
            raise RuntimeError("this watch has seen a training already: begin another with watch(...)")
        undo, self.is_running = self._undo, True
        try:
            self._track_model()
            for hook in (
                register_optimizer_step_pre_hook(self._before_step),
                register_optimizer_step_post_hook(self._after_step),
            ):
                undo.callback(hook.remove)
            self._replace(torch.autograd, "backward", self._on_backward)
            self._replace(torch.autograd, "grad", self._on_grad)
            self._replace(Optimizer, "add_param_group", self._on_add_param_group)
            self._replace(dataloader._BaseDataLoaderIter, "__next__", self._on_next_batch)
            for kind in _kinds_of(LRScheduler):
                if "step" in vars(kind):
                    self._replace(kind, "step", self._on_scheduler_step)
            for name in ("scale", "unscale_", "step"):
                self._replace(torch.amp.GradScaler, name, getattr(self, f"_on_scaler_{name.strip('_')}"))
            # clip_grad_norm_ calls it, however a script has imported clip_grad_norm_
            self._replace_everywhere(nn.utils.clip_grad._clip_grads_with_norm_, self._on_clip_norm)
            self._replace_everywhere(nn.utils.clip_grad_value_, self._on_clip_value)
            for optimizer in [each for each in gc.get_objects() if issubclass(type(each), Optimizer)]:
                if hasattr(optimizer, "param_groups"):
                    self._add_optimizer(optimizer)
        except BaseException:
            undo.close()
            raise

    def stop(self, error: BaseException | None = None) -> None:
        try:
            self.recording.cut = self.has_enough(error)
            if error is not None and not self.recording.cut:
                self.recording.error = _described(error)
            self._settle()
            self._look(range(len(self._parameters)))
            self.recording.moved = any(
                not torch.equal(self._sketch(self._parameters[i].tensor), before) for i, before in self._values.items()
            )
            if self.model is not None:
                self.recording.mixing = _that_mix_samples(self.model)
        finally:
            self._undo.close()
            self.model, self.is_running = None, False
            for kept in (
                self._parameters,
                self._places,
                self._optimizers,
                self._sketches,
                self._pending,
                self._signs,
                self._values,
            ):
                kept.clear()
            self._last_targets = []

    def has_enough(self, error: BaseException | None) -> bool:
        """Is this what this recorder ended the script with?"""
        return isinstance(error, Enough) and error.args == (self,)

    def new_epoch(self) -> None:
        """Says that an epoch begins, where no DataLoader does."""
        self._told_epochs = True
        self._epoch += 1

    def _replace(self, owner: Any, name: str, replacement: Callable) -> None:
        original = vars(owner)[name]

        @functools.wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            return replacement(original, *args, **kwargs)

        setattr(owner, name, watched)
        self._undo.callback(setattr, owner, name, original)

    def _replace_everywhere(self, original: Callable, replacement: Callable) -> None:
        """Also where a module has it under a name of its own, from `from … import …`."""

        @functools.wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            return replacement(original, *args, **kwargs)

        _replace_in_modules(original, watched)
        self._undo.callback(_replace_in_modules, watched, original)

    # Parameters

    def _track_model(self) -> None:
        if self.model is None:
            return
        for name, parameter in self.model.named_parameters():
            place = self._track(parameter, name)
            self._values[place] = self._sketch(parameter)

    def _track(self, tensor: Tensor, name: str = "") -> int:
        place = self._places.get(id(tensor))
        if place is None:
            place = self._places[id(tensor)] = len(self._parameters)
            name = name or f"parameter {place + 1} of shape {tuple(tensor.shape)}"
            self._parameters.append(_Parameter(tensor, name))
            if place >= len(self._expected):
                self._expected = np.concatenate([self._expected, np.zeros((place + 16, SKETCH))])
        self._listen(place)
        return place

    def _listen(self, place: int) -> None:
        """Hooks the parameter, once it requires a gradient."""
        parameter = self._parameters[place]
        if parameter.handle is None and parameter.tensor.requires_grad and parameter.tensor.is_leaf:

            def hook(grad: Tensor) -> None:
                self._on_gradient(place, grad)

            hook.__torch_unserializable__ = True  # torch.save of a watched parameter leaves it out, without a warning
            parameter.handle = parameter.tensor.register_hook(hook)
            self._undo.callback(parameter.handle.remove)

    def _add_optimizer(self, optimizer: Optimizer) -> None:
        self._optimizers[id(optimizer)] = optimizer
        for group in optimizer.param_groups:
            for tensor in group["params"]:
                self._parameters[self._track(tensor)].owners.add(id(optimizer))

    def _on_add_param_group(self, original: Callable, optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
        original(optimizer, *args, **kwargs)
        self._add_optimizer(optimizer)

    def _name_parameters(self, places: Iterable[int]) -> str:
        """Names parameters by the module that holds them; returns its kind, or what is known of it."""
        ids = {id(self._parameters[i].tensor): i for i in places}
        if self.model is not None and any(id(parameter) in ids for parameter in self.model.parameters()):
            return type(self.model).__name__
        modules = [each for each in gc.get_objects() if issubclass(type(each), nn.Module) and "_modules" in vars(each)]
        children = {id(child) for module in modules for child in vars(module)["_modules"].values()}
        for module in modules:
            named = [] if id(module) in children else list(module.named_parameters())
            if any(id(parameter) in ids for _, parameter in named):
                for name, parameter in named:
                    if id(parameter) in ids:
                        self._parameters[ids[id(parameter)]].name = name
                holding = [each for each in module.modules() if set(ids) <= {id(p) for p in each.parameters()}]
                module = holding[-1] if holding else module  # the innermost that holds them all
                self.recording.mixing = self.recording.mixing or _that_mix_samples(module)
                return type(module).__name__
        return ""

    # Sketches

    def _sketch(self, tensor: Tensor) -> Tensor:
        """The sums of `tensor`'s elements, with fixed random signs, in 64 numbers; its elements, if they are fewer.

        Of a large tensor 1,024 rows of 64 elements are read, from all over it.
        """
        tensor = _plain(tensor)
        elements, dtype = tensor.numel(), tensor.dtype
        signs = self._signs.get((elements, dtype, tensor.device))
        if signs is None:
            signs = self._signs[elements, dtype, tensor.device] = _random_signs(elements, dtype, tensor.device)
        if elements <= SKETCH:
            sums = torch.zeros(SKETCH, dtype=signs.dtype, device=tensor.device)
            sums[:elements] = tensor.reshape(-1)
            return sums
        rows = len(signs)
        read = tensor.as_strided((rows, SKETCH), (max(SKETCH, elements // rows) if rows == ROWS else SKETCH, 1))
        sums = torch.mv((read if dtype is signs.dtype else read.to(signs.dtype)).t(), signs)
        if rest := elements - rows * SKETCH if rows < ROWS else 0:
            sums[:rest] += tensor.reshape(-1)[-rest:]
        return sums

    def _settle(self) -> None:
        """Adds the sketches that have come since to what is expected in .grad."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        for (place, number, _), row in zip(pending, _rows([sketch for _, _, sketch in pending]), strict=True):
            kept = self._sketches.setdefault(number, {})
            kept[place] = kept[place] + row if place in kept else row
            if number == BEFORE:
                self._expected[place] = row
            elif not self.backwards[number].captured:
                self._expected[place] += row
        while len(self._sketches) > KEPT:
            self._sketches.popitem(last=False)

    def _look(self, places: Iterable[int], thoroughly: bool = True) -> None:
        """Compares .grad with what is expected there: was it cleared, scaled, or something else?

        Unless `thoroughly`, gradients that nobody has written to, as far as PyTorch counts that, are left out, as long
        as the smallest is what it was: PyTorch does not count what is written through .data.
        """
        places = [i for i in places if self._parameters[i].active]
        if thoroughly or not places:
            changed = self._compare(places)
        else:
            smallest = min(places, key=lambda i: self._parameters[i].elements)
            left_out = [i for i in places if i != smallest and self._parameters[i].is_untouched()]
            changed = self._compare([i for i in places if i not in set(left_out)])
            if changed:
                self._compare(left_out)
        if changed and self.recording.world > 1 and any(self._parameters[i].unexplained for i in places):
            self._synchronized += 1  # what is in .grad is not this rank's alone

    def _compare(self, places: list[int]) -> bool:
        """Brings what is expected in .grad up to date; returns whether something else was there."""
        there = [i for i in places if self._parameters[i].tensor.grad is not None]
        rows = _rows([self._sketch(self._parameters[i].tensor.grad) for i in there])
        found = dict(zip(there, rows, strict=True))
        nothing, changed = np.zeros(SKETCH), False
        for i in places:
            parameter, now, expected = self._parameters[i], found.get(i, nothing), self._expected[i]
            parameter.remember()
            if parameter.tensor.grad is None:
                parameter.factors, parameter.unexplained = {}, False
            if not (now - expected).any():
                continue
            if not now.any():
                parameter.factors, parameter.unexplained, changed = {}, False, True
            elif self._captured:  # .grad is put together by hand
                parameter.factors, parameter.unexplained, changed = {}, True, True
            elif np.isfinite(now).all() and np.isfinite(expected).all():
                sixteen = parameter.tensor.grad.dtype in (torch.bfloat16, torch.float16)
                tolerance = _ROUGH if sixteen else _EXACT
                length = expected @ expected
                factor = (now @ expected) / length if length else 0.0
                rest = now - factor * expected
                if not length or rest @ rest > tolerance**2 * (now @ now):
                    parameter.unexplained = changed = True
                elif abs(factor - 1) > tolerance:
                    parameter.factors = {number: factor * old for number, old in parameter.factors.items()}
                    changed = True
            self._expected[i] = now
        return changed

    # What comes in

    def _on_gradient(self, place: int, grad: Tensor) -> None:
        # Without a current one it is torch.autograd.grad, imported by name before the watch began.
        backward = self._current or self._begin(captured=True)
        if backward.captured:
            self._captured = True
        parameter = self._parameters[place]
        if not parameter.active:
            parameter.active = True
            if parameter.tensor.grad is not None and not backward.captured:
                before = self._sketch(parameter.tensor.grad)
                if before.any():
                    parameter.factors = {BEFORE: 1.0}
                    self._pending.append((place, BEFORE, before))
        self._pending.append((place, backward.number, self._sketch(grad)))
        if not backward.captured:
            parameter.factors.setdefault(backward.number, 1.0)
            parameter.additions += 1

    def _begin(self, captured: bool) -> Backward:
        for place in [i for i, parameter in enumerate(self._parameters) if parameter.handle is None]:
            self._listen(place)
        distributed = torch.distributed
        if self.store is None and distributed.is_available() and distributed.is_initialized():
            self.recording.world, self.recording.rank = distributed.get_world_size(), distributed.get_rank()
            self.store = distributed.distributed_c10d._get_default_store()
        self._settle()
        self._look(range(len(self._parameters)), thoroughly=False)
        for key, optimizer in self._optimizers.items():
            lr = _lr(optimizer)
            steps = self.steps.get(key)
            in_window = (
                bool(self.backwards) and steps and steps.updates and steps.updates[-1].after < len(self.backwards) - 1
            )
            in_window = in_window and self.backwards[-1].epoch == self._epoch
            if in_window and lr != self._lrs.get(key, lr):
                self._lr_changes[key] += 1
            self._lrs[key] = lr
        self._batch_before = self._batch
        self._since.clear()
        if self._pass is not None:
            self._pass.trains = True
        backward = Backward(len(self.backwards), [], self._epoch, self._batch, self._batch_samples, captured=captured)
        backward.repeated = self._closures > 1
        self.backwards.append(backward)
        return backward

    def _on_backward(self, original: Callable, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        return self._run(False, original, tensors, *args, **kwargs)

    def _on_grad(self, original: Callable, outputs: Any, *args: Any, **kwargs: Any) -> Any:
        return self._run(True, original, outputs, *args, **kwargs)

    def _run(self, captured: bool, original: Callable, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if self._current is not None:  # within a backward(): reentrant checkpoints
            return original(tensors, *args, **kwargs)
        roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        backward = self._current = self._begin(captured)
        handles: list = []
        try:
            backward.losses, handles = losses_of(roots)
            self._date(backward, roots)
            return original(tensors, *args, **kwargs)
        finally:
            self._end(backward, handles)

    def _date(self, backward: Backward, roots: list[Tensor]) -> None:
        """When was its graph made? PyTorch numbers the nodes of autograd's graphs as they come."""
        made = [number for root in roots if (number := _number_of(root.grad_fn)) is not None]
        if not made:
            return
        if backward.number < KEPT:
            first = min(_first_number(root.grad_fn) for root in roots)
            backward.passes = round((max(made) - self._nodes) / max(1, max(made) - first + 1))
        own = {owner for parameter in self._parameters if parameter.active for owner in parameter.owners}
        backward.stale = any(number > max(made) for key, number in self._nodes_at_update.items() if key in own)

    def _end(self, backward: Backward, handles: list) -> None:
        self._current = None
        for handle in handles:
            handle.remove()
        reached = any(number == backward.number for _, number, _ in self._pending) or backward.number in self._sketches
        self._settle()
        if not reached:  # only of inputs: an adversarial example, a penalty
            if backward.number == len(self.backwards) - 1 and not backward.stale:
                self.backwards.pop()
            return
        self._nodes = _node_count() if backward.number < KEPT else 0
        places = self._sketches.get(backward.number, {})
        backward.reached = set().union(*(self._parameters[place].owners for place in places))
        targets = [loss.targets for loss in backward.losses if loss.targets is not None]
        before = {(tensor.data_ptr(), tensor.shape) for tensor in self._last_targets}
        backward.same_targets = any((tensor.data_ptr(), tensor.shape) in before for tensor in targets)
        last = max((steps.updates[-1].after for steps in self.steps.values() if steps.updates), default=BEFORE)
        if backward.same_targets and last == backward.number - 1:
            self.recording.targets_return = True
        self._last_targets = targets  # kept, so that no other tensor gets their place in memory
        for loss in backward.losses:
            loss.finish()
            loss.targets = None
        backward.kind = hash((tuple(loss.name for loss in backward.losses), tuple(sorted(places))))

    def _on_next_batch(self, original: Callable, iterator: Any) -> Any:
        current = self._passes.setdefault(iterator, _Pass(iterator))
        try:
            batch = original(iterator)
        except StopIteration:
            self._epoch_ended = self._epoch_ended or current.trains
            del self._passes[iterator]
            raise
        if not torch.is_grad_enabled():  # an evaluation's
            return batch
        if current.given == 0:
            before = self._pass
            # An epoch that was broken off; taking the first batch of a loader again and again makes no epochs.
            again = before is not None and before.trains and before.loader is current.loader and before.given > 1
            complete = before is not None and before.trains and 0 < before.length <= before.given
            if (self._epoch_ended or again or complete) and not self._told_epochs:
                self._epoch += 1
            self._epoch_ended = False
            if current.length:
                self.recording.loader_lengths.add(current.length)
        current.given += 1
        # Several loaders, as of labelled and unlabelled samples, may give a batch each for one backward().
        self._since[id(current.loader)] += 1
        self._batch = self._batch_before + max(self._since.values())
        self._batch_samples, self._pass = _samples(batch), current
        return batch

    # Steps

    def _before_step(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        if id(optimizer) not in self._optimizers:
            self._add_optimizer(optimizer)
        found = getattr(optimizer, "found_inf", None)
        if found is not None and float(found):  # a fused step, which will change nothing: see _on_scaler_step
            return None
        closure = kwargs.get("closure") or (args[1] if len(args) > 1 and callable(args[1]) else None)
        if closure is None:
            self._note_update(optimizer)
            return None
        calls = 0

        def watched() -> Any:
            nonlocal calls
            self._closures = calls = calls + 1
            try:
                loss = closure()
            finally:
                self._closures = 0
            if calls == 1:
                self._note_update(optimizer)
            return loss

        if "closure" in kwargs:
            return args, {**kwargs, "closure": watched}
        return (args[0], watched, *args[2:]), kwargs

    def _after_step(self, optimizer: Optimizer, *_: Any) -> None:
        self._nodes_at_update[id(optimizer)] = _node_count()
        own = [steps for steps in self.steps.values() if steps.updates]
        if self.limit and own and self._current is None and min(len(steps.updates) for steps in own) >= self.limit:
            raise Enough(self)

    def _note_update(self, optimizer: Optimizer) -> None:
        self._settle()
        tensors = [tensor for group in optimizer.param_groups for tensor in group["params"]]
        places = [self._track(tensor) for tensor in tensors]
        in_backward = self._current is not None
        key = 0 if in_backward else id(optimizer)
        if key not in self.steps:
            whose = self._name_parameters(places)
            self.steps[key] = Steps(f"{type(optimizer).__name__}{whose and f' of {whose}'}", [])
        steps = self.steps[key]
        if len(steps.parameters) != len(places) or in_backward:
            steps.parameters = sorted({*steps.parameters, *places} if in_backward else set(places))
            steps.foreign = 0
            if self.model is not None:
                own = {id(tensor) for tensor in self.model.parameters()}
                steps.foreign = sum(id(self._parameters[i].tensor) not in own for i in steps.parameters)
        early = len(steps.updates) < EARLY
        self._look(places, thoroughly=early)
        given = [i for i in places if self._parameters[i].tensor.grad is not None]
        self._mixed = False
        factors, clipped, odd, residual = self._factors(given)
        last = len(self.backwards) - 1
        for number in factors:
            if number >= 0:
                self.backwards[number].optimizers.add(key)
        scale = getattr(optimizer, "grad_scale", None)
        if scale is not None:  # a fused step divides by it itself
            factors = {number: factor / float(scale) for number, factor in factors.items()}
        norm = (
            nn.utils.get_total_norm([_plain(self._parameters[i].tensor.grad) for i in given])
            if given
            else torch.tensor(0.0)
        )
        wide = [
            self._parameters[i].tensor.grad for i in given if self._parameters[i].tensor.grad.dtype != torch.bfloat16
        ]
        update = Update(
            factors=factors,
            clipped=clipped,
            lr=_lr(optimizer),
            norm=float(norm) / (float(scale) if scale is not None else 1.0),
            clips=self._clips.pop(id(optimizer), []),
            value_clips=self._value_clips.pop(id(optimizer), 0),
            residual=residual,
            odd=odd,
            scheduler_calls=self._scheduler_calls.pop(id(optimizer), []),
            lr_changes=self._lr_changes.pop(id(optimizer), 0),
            after=last,
            epoch=self._epoch,
            rounded=early and len(factors) > 1 and bool(wide) and all(_are_bfloat16(grad) for grad in wide),
            synchronized=self._synchronized,
            by_hand=self._mixed,
            alike=self._alike([number for number in factors if number >= 0], given) if early else [],
            dtype=self._parameters[given[0]].tensor.grad.dtype if given else None,
            clip_scaled=id(optimizer) in self._clip_scaled,
        )
        self._clip_scaled.discard(id(optimizer))
        self._scaled[id(optimizer)], self._synchronized, self._captured = False, 0, False
        if self.recording.world > 1 and len(steps.updates) < KEPT:
            update.target = self._in_512([self._expected[i] for i in given])
            rows = np.zeros(SKETCH)
            update.columns = {
                number: self._in_512([kept.get(i, rows) for i in given])
                for number, kept in self._sketches.items()
                if number in factors or not self.backwards[number].optimizers
            }
        if in_backward and steps.updates and steps.updates[-1].after == last:
            steps.updates[-1].factors |= factors  # another parameter's step in the same backward()
        else:
            steps.updates.append(update)
        for i in places:
            self._parameters[i].unexplained, self._parameters[i].clips = False, []
            if not self._expected[i].any():  # whether it is cleared cannot be seen
                self._parameters[i].factors = {}

    def _factors(self, places: list[int]) -> tuple[dict[int, float], dict[int, float], dict[str, float], float]:
        """What most parameters say of each backward()'s factor and its clipping, which parameters say otherwise, and
        the share of the gradient that none explains."""
        unknown = [i for i in places if self._parameters[i].unexplained]
        if not unknown and places:
            first = self._parameters[places[0]].factors
            if all(self._parameters[i].factors == first and not self._parameters[i].clips for i in places):
                return dict(first), dict.fromkeys(first, 1.0), {}, 0.0
        # Of several ranks, it is explained once the gradients of all are known.
        residual = self._explain(unknown) if unknown and self.recording.world == 1 else 0.0
        votes: dict[int, list[tuple[float, int]]] = collections.defaultdict(list)
        clips: dict[int, list[tuple[float, int]]] = collections.defaultdict(list)
        for i in places:
            parameter = self._parameters[i]
            for number, factor in parameter.factors.items():
                clip = parameter.clip(number)
                votes[number].append((factor / clip, parameter.elements))
                clips[number].append((clip, parameter.elements))
        # A small parameter's gradients may all be multiples of each other, as those of two classes' biases are: what
        # only a minority says is in it is not.
        elements = {
            number: sum(self._parameters[i].elements for i in places if i in rows and rows[i].any())
            for number in votes
            for rows in [self._sketches.get(number, {})]
        }
        votes = {n: said for n, said in votes.items() if 2 * sum(each for _, each in said) >= elements[n]}
        factors = {number: float(_majority(said)) for number, said in votes.items()}
        odd = {}
        for i in places:
            parameter = self._parameters[i]
            shares = [
                factor / parameter.clip(number) / factors[number]
                for number, factor in parameter.factors.items()
                if factors.get(number)
            ]
            tolerance = 10 * (_ROUGH if parameter.tensor.dtype in (torch.bfloat16, torch.float16) else 1e-3)
            # One number is a multiple of any other: it cannot be told from a penalty.
            sure = not parameter.unexplained and not (residual and parameter.elements <= 2)
            if shares and sure and min(abs(share - 1) for share in shares) > tolerance:
                odd[parameter.name] = shares[-1]
        return factors, {number: _majority(clips[number]) for number in factors}, odd, residual

    def _explain(self, places: list[int]) -> float:
        """Finds the backward() calls that gradients were put together from; returns the share that none explains."""
        target = np.concatenate([self._expected[i] for i in places])
        length = np.linalg.norm(target)
        if not np.isfinite(length) or not length:
            return 0.0
        nothing = np.zeros(SKETCH)
        known = np.concatenate(
            [
                sum(
                    (f * self._sketches.get(n, {}).get(i, nothing) for n, f in self._parameters[i].factors.items()),
                    nothing,
                )
                for i in places
            ]
        )
        scale, left = 1.0, 1.0
        if known.any():
            scale = (known @ target) / (known @ known)
            left = np.linalg.norm(target - scale * known) / length
            if not scale > 0 or abs(scale - 1) <= max(0.1, left):
                scale, left = 1.0, np.linalg.norm(target - known) / length
        last = max((steps.updates[-1].after for steps in self.steps.values() if steps.updates), default=BEFORE)
        equations = np.count_nonzero(target)
        for numbers in ([n for n in self._sketches if n > last], list(self._sketches)):
            if left > _ROUGH and 0 < 2 * len(numbers) <= equations:
                columns = [np.concatenate([self._sketches[n].get(i, nothing) for i in places]) for n in numbers]
                found, *_ = np.linalg.lstsq(np.stack(columns, 1), target, rcond=1e-6)
                better = np.linalg.norm(target - np.stack(columns, 1) @ found) / length
                earlier = len(numbers) == len(self._sketches) and numbers[0] <= last
                if better < min(_ROUGH, left / 10) and not (earlier and found.min() < -1e-3 * np.abs(found).max()):
                    largest = np.abs(found).max()
                    factors = {n: float(f) for n, f in zip(numbers, found, strict=True) if abs(f) > 1e-3 * largest}
                    for i in places:
                        self._parameters[i].factors, self._parameters[i].unexplained = dict(factors), False
                    self._mixed = any(n <= last and self.backwards[n].optimizers for n in factors if n >= 0)
                    return float(better)
        if scale != 1:
            for i in places:
                self._parameters[i].factors = {n: scale * old for n, old in self._parameters[i].factors.items()}
        return float(min(left, 1.0))

    def _alike(self, numbers: list[int], places: list[int]) -> list[int]:
        """The first two of these backward() calls whose gradients point the same way."""
        places = [i for i in places if self._parameters[i].tensor.numel() > 1]
        kept = [(n, self._sketches[n]) for n in numbers[-8:] if n in self._sketches]
        if len(kept) < 2 or sum(self._parameters[i].tensor.numel() for i in places) < 8:
            return []
        nothing = np.zeros(SKETCH)
        rows = np.stack([np.concatenate([found.get(i, nothing) for i in places]) for _, found in kept])
        lengths = np.linalg.norm(rows, axis=1)
        if not np.isfinite(lengths).all() or not lengths.all():
            return []
        rows /= lengths[:, None]
        for later in range(1, len(kept)):
            for earlier in range(later):
                if 1 - rows[earlier] @ rows[later] < 1e-10:
                    return [kept[earlier][0], kept[later][0]]
        return []

    def _in_512(self, rows: list[np.ndarray]) -> np.ndarray:
        """Sums of the sketches' elements with fixed random signs: what is sent to the other ranks."""
        flat = np.concatenate(rows) if rows else np.zeros(512)
        flat = np.pad(flat, (0, -len(flat) % 512))
        signs = np.random.default_rng(0).choice([-1.0, 1.0], len(flat))
        return (flat * signs).reshape(-1, 512).sum(0)

    # Clipping, schedulers, GradScaler

    def _optimizers_of(self, parameters: Any) -> list[int]:
        tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        ids = {id(tensor) for tensor in tensors}
        return [
            key
            for key, optimizer in self._optimizers.items()
            if any(id(tensor) in ids for group in optimizer.param_groups for tensor in group["params"])
        ]

    def _on_clip_norm(
        self, original: Callable, parameters: Any, max_norm: float, total_norm: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        for key in self._optimizers_of(parameters) if max_norm < math.inf else ():  # inf only asks for the norm
            self._clips[key].append((float(max_norm), float(total_norm), len(self.backwards) - 1))
            if self._scaled.get(key, self._scale_is_on) and self._scale_is_on:
                self._clip_scaled.add(key)
        factor = min(1.0, float(max_norm) / (float(total_norm) + 1e-6))
        if 0 < factor < 1:
            for tensor in parameters:
                if id(tensor) in self._places:
                    self._parameters[self._places[id(tensor)]].clips.append((factor, len(self.backwards) - 1))
        return original(parameters, max_norm, total_norm, *args, **kwargs)

    def _on_clip_value(self, original: Callable, parameters: Any, *args: Any, **kwargs: Any) -> Any:
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        for key in self._optimizers_of(parameters):
            self._value_clips[key] += 1
            self.recording.value_clips = True
        return original(parameters, *args, **kwargs)

    def _on_scheduler_step(self, original: Callable, scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        self._schedulers_deep += 1
        try:
            return original(scheduler, *args, **kwargs)
        finally:
            self._schedulers_deep -= 1
            optimizer = getattr(scheduler, "optimizer", None)
            if optimizer is not None and (length := _length(scheduler)):
                self.recording.schedules[id(optimizer)] = length
            if self._schedulers_deep == 0 and not getattr(scheduler, "_is_initial", False) and optimizer is not None:
                self._scheduler_calls[id(optimizer)].append(len(self.backwards) - 1)

    def _on_scaler_scale(self, original: Callable, scaler: Any, *args: Any, **kwargs: Any) -> Any:
        self._scale_is_on = scaler.is_enabled()
        for key in self._optimizers:
            self._scaled.setdefault(key, True)
            self._scaled[key] = self._scaled[key] or self._scale_is_on
        return original(scaler, *args, **kwargs)

    def _on_scaler_unscale(self, original: Callable, scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(scaler, optimizer, *args, **kwargs)
        self._scaled[id(getattr(optimizer, "optimizer", optimizer))] = False
        return result

    def _on_scaler_step(self, original: Callable, scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        inner = getattr(optimizer, "optimizer", optimizer)
        steps = self.steps.get(id(inner))
        before = len(steps.updates) if steps else 0
        result = original(scaler, optimizer, *args, **kwargs)
        steps = self.steps.get(id(inner))
        if scaler.is_enabled() and before == (len(steps.updates) if steps else 0):
            if steps is None:
                places = [self._track(tensor) for group in inner.param_groups for tensor in group["params"]]
                steps = self.steps[id(inner)] = Steps(type(inner).__name__, places)
            steps.skipped.append(len(self.backwards) - 1)
            for kept in (self._clips, self._value_clips):
                kept.pop(id(inner), None)
            for group in inner.param_groups:
                for tensor in group["params"]:
                    self._parameters[self._track(tensor)].clips = []
        return result


def _random_signs(elements: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 and -1, always the same ones; in float32 for narrower dtypes."""
    generator = torch.Generator().manual_seed(0)  # the caller's random numbers stay as they are
    signs = torch.randint(0, 2, (min(elements // SKETCH, ROWS),), generator=generator).mul_(2).sub_(1)
    return signs.to(device, dtype if dtype in (torch.float32, torch.float64) else torch.float32)


def _node_count() -> int:
    """How many nodes autograd has made in this thread."""
    with torch.enable_grad():
        return (torch.zeros((), requires_grad=True) + 1).grad_fn._sequence_nr()


def _number_of(node: Any) -> int | None:
    number = getattr(node, "_sequence_nr", lambda: None)()
    return number if number is not None and number < 2**63 else None  # those of parameters have none


def _first_number(node: Any) -> int:
    """The number of the oldest node, as far as always following the oldest leads."""
    first = _number_of(node) or 0
    for _ in range(10_000):
        older = [(number, child) for child, _ in node.next_functions if (number := _number_of(child)) is not None]
        if not older:
            break
        number, node = min(older, key=lambda pair: pair[0])
        first = min(first, number)
    return first


def _rows(sketches: list[Tensor]) -> np.ndarray:
    if len({(sketch.dtype, sketch.device) for sketch in sketches}) > 1:
        sketches = [sketch.to("cpu", torch.float64) for sketch in sketches]
    return torch.stack(sketches).to("cpu", torch.float64).numpy() if sketches else np.zeros((0, SKETCH))


def _majority(said: list[tuple[float, int]]) -> float:
    """The factor that most parameters share; of as many, those that have more elements."""
    if len(said) == 1:
        return said[0][0]
    groups: list[list[float]] = []
    for factor, elements in said:
        for group in groups:
            if abs(group[0] - factor) <= 1e-3 * max(abs(factor), abs(group[0])):
                group[1:] = group[1] + 1, group[2] + elements
                break
        else:
            groups.append([factor, 1, elements])
    return max(groups, key=lambda group: group[1:])[0]


def _are_bfloat16(grad: Tensor) -> bool:
    """Do all of up to 4,096 elements survive rounding to bfloat16?"""
    values = _plain(grad).detach().reshape(-1)[:4096]
    return bool(values.any()) and torch.equal(values.bfloat16().to(values.dtype), values)


def _plain(tensor: Tensor) -> Tensor:
    """Its elements, as far as this rank has them, in a dense real tensor without a graph, in one piece of memory."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    if type(tensor) is not Tensor and hasattr(tensor, "to_local"):
        tensor = tensor.to_local()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor if tensor.is_contiguous() else tensor.contiguous()


def _lr(optimizer: Optimizer) -> float:
    return float(optimizer.param_groups[0].get("lr", float("nan"))) if optimizer.param_groups else float("nan")


def _length(scheduler: Any) -> int | None:
    """In how many steps a schedule ends, if it says so."""
    length = getattr(scheduler, "total_steps", None) or getattr(scheduler, "T_max", None)
    length = length or getattr(scheduler, "total_iters", None)
    for function in getattr(scheduler, "lr_lambdas", []):  # of transformers
        length = getattr(function, "keywords", {}).get("num_training_steps", length)
    return int(length) if length else None


def _samples(batch: Any) -> int | None:
    """The size of the first dimension of the first tensor in a batch."""
    if isinstance(batch, Tensor):
        return batch.shape[0] if batch.dim() else None
    parts = batch.values() if isinstance(batch, collections.abc.Mapping) else batch
    if isinstance(parts, (str, bytes)) or not isinstance(parts, collections.abc.Iterable):
        return None
    return next((size for size in map(_samples, parts) if size is not None), None)


def _that_mix_samples(model: nn.Module) -> list[tuple[str, str]]:
    """Modules whose output for a sample depends on the others of its batch: the kind, and the name."""
    mixing = nn.modules.batchnorm._BatchNorm
    return [
        (type(module).__name__, name)
        for name, module in model.named_modules()
        if isinstance(module, mixing) and (module.training or not module.track_running_stats)
    ]


def _kinds_of(kind: type) -> Iterator[type]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds_of(child)


def _replace_in_modules(old: Any, new: Any) -> None:
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if isinstance(names, dict):
            for name in [name for name, value in list(names.items()) if value is old]:
                names[name] = new


def _described(error: BaseException) -> str:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/torch/" not in frame.filename.replace("\\", "/")
    ]
    frames = [frame for frame in frames if "course_utils" not in frame.filename] or frames
    where = f", in line {frames[-1].lineno} of {frames[-1].filename}: {frames[-1].line}" if frames else ""
    said = str(error).splitlines()[0].rstrip(".") if str(error) else ""
    return f"{type(error).__name__}: {said}{where}"
