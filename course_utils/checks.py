"""Do two ways of training lead to the same parameters? Runs both, and says how they differ."""

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader

from course_utils.accumulation import MeanLoss, cross_entropy_mean
from course_utils.arguments import instance_of, integer, iterator, pairs, positive_integer, real_number
from course_utils.watch import Fault, Watched
from course_utils.watch.recorder import Recorder


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference between the parameters of two models, and the parameter it is in."""

    largest: float
    parameter: str

    def __str__(self) -> str:
        if self.largest == 0:
            return "the same to the last bit"
        return f"different by up to {self.largest:.1e}, in {self.parameter}"


def compare_parameters(first: nn.Module, second: nn.Module) -> Difference:
    """The largest absolute difference between parameters of the same name.

    Raises ValueError if the models do not have the same parameters in the same shapes, or have none.
    """
    instance_of(nn.Module, first=first, second=second)
    ones, others = dict(first.named_parameters()), dict(second.named_parameters())
    shapes, other_shapes = ({name: tuple(p.shape) for name, p in ps.items()} for ps in (ones, others))
    if shapes != other_shapes:
        raise ValueError(f"the models have different parameters: {shapes} and {other_shapes}")
    if not ones:
        raise ValueError("the models have no parameters to compare")
    with torch.no_grad():
        largest = {name: _largest(ones[name] - others[name]) for name in ones}
    parameter = max(largest, key=largest.get)
    return Difference(largest[parameter], parameter)


def _largest(difference: torch.Tensor) -> float:
    """A NaN is an infinite difference: a training that broke is never the same as one that did not."""
    return difference.abs().nan_to_num(nan=torch.inf, posinf=torch.inf).max().item() if difference.numel() else 0.0


def compare_training(
    model: nn.Module, first: Callable[[nn.Module], object], second: Callable[[nn.Module], object], seed: int = 0
) -> Difference:
    """Trains one copy of `model` with `first` and one with `second`, and compares the parameters they end with.

    `first` and `second` take a model and train it in place; what they return is not used. Both start from the same
    parameters and the same state of PyTorch's random number generator (`seed`). `model` and the generator's state
    stay as they are. Raises ValueError if neither of the two changes any parameter: nothing would be compared.
    """
    instance_of(nn.Module, model=model)
    instance_of(Callable, first=first, second=second)
    seed = integer("seed", seed)
    copies = []
    with torch.random.fork_rng():
        for train in (first, second):
            copies.append(copy.deepcopy(model))
            torch.manual_seed(seed)
            train(copies[-1])
    if all(compare_parameters(model, trained).largest == 0 for trained in copies):
        raise ValueError("neither of the two ways changed a parameter: do they train the model that they are given?")
    return compare_parameters(*copies)


SAME = 1e-8  # relative error; float64's rounding stays far below
ROUNDING = {
    torch.float64: 1e-5,
    torch.float32: 1e-3,
}  # relative error that rounding may cause where float32 is used in a part, or in all, of a training


@dataclass(frozen=True)
class LoopReport:
    """What `check_loop` found.

    Let d be the change of the parameters in the loop's whole training, and D their change by the large batches. Then
    difference is the relative error ‖d − D‖ / ‖D‖, and length is the ratio of the norms ‖d‖ / ‖D‖.

    faults: those that `watch` names. reason: why the two differ although no fault is named, if that is known.
    notes, unseen: as in `watch`. seen: all that `watch` has seen, with its table.
    """

    difference: float
    length: float
    faults: tuple[Fault, ...]
    reason: str | None
    notes: tuple[str, ...]
    unseen: tuple[str, ...]
    seen: Watched = field(repr=False, compare=False)
    rounding: float = ROUNDING[torch.float64]

    @property
    def is_right(self) -> bool:
        return self.difference <= self.rounding and not self.faults and self.reason is None

    def __str__(self) -> str:
        if self.is_right and self.difference <= SAME:
            lines = [f"right: the same as one large batch per window (relative error below {SAME:.0e})"]
        elif self.is_right:
            lines = [
                f"right: the same as one large batch per window, up to rounding (relative error {self.difference:.0e})"
            ]
        elif self.difference <= self.rounding:
            lines = ["wrong, although the parameters are the same up to rounding:"]
        else:
            of_large = f"its norm is {self.length:.2f} of the large batches'"
            lines = [f"wrong: the parameter change has relative error {self.difference:.2g}, and {of_large}"]
        lines += [f"  - {fault}{self.seen.where(fault)}" for fault in self.faults]
        lines += [f"  - {self.reason}"] * (self.reason is not None)
        if not self.is_right and not self.faults and self.reason is None:
            lines.append("  - no fault was found in the weights of the micro-batches: the cause is something else")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines + [f"  not tested by these micro-batches: {what}" for what in self.unseen])


def check_loop(
    loop: Callable[..., object],
    model: nn.Module,
    loader: Iterable[Any],
    accumulation_steps: int,
    *,
    loss: MeanLoss | Callable[[nn.Module, Any], tuple[Tensor, float]] | None = None,
    join: Callable[[Sequence[Any]], Any] | None = None,
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] | None = None,
    scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    clip: float | None = None,
    epochs: int = 2,
    seed: int = 0,
) -> LoopReport:
    """Does `loop` train like the large batch? If not, what is wrong with the weights of its micro-batches?

    `loop(model, optimizer, loader)` is yours: one epoch, with `accumulation_steps` micro-batches for an update. It
    trains a copy of `model` for `epochs` epochs, under `watch`, in float64 (in float32, if float64 is not possible).
    The same samples train another copy in large batches, one for each window, and the parameters are compared.
    A `loader` that is a DataLoader is given to the loop as it is, any other iterable as a list.

    Batches are pairs (inputs, targets) of tensors, and the loss is cross_entropy_mean(), unless `loss` says otherwise:
    a MeanLoss, or for batches of any kind a function of the model and a batch that returns the sum of the terms and
    their count. `join` makes one batch of a list of them; tensors in tuples, lists and dicts are joined without it.

    The optimizer is SGD with learning rate 0.001 (its updates are proportional to the gradient, so every error of a
    gradient shows in the parameters), or what `optimizer(parameters)` returns. `scheduler(optimizer)`, if given, makes
    the loop's fourth argument. `clip` is the max_norm of gradient clipping. What is not given, the large batches
    take over from the loop as it runs: its own optimizer, the learning rate of each update, the max_norm that it uses.
    If the model draws random numbers, as dropout does, no large batch is run: the gradients of each window's
    micro-batches are added up instead, each with the random numbers that the loop had for it.

    `model` and the state of the random number generator stay as they are. An error that the loop raises is reported;
    NotImplementedError is passed on. Raises TypeError for batches that are not pairs of tensors if there is no `loss`
    for them, and ValueError if a number is out of its range, the loader is empty, or the large batches change no
    parameter, or make one NaN or infinite: nothing would be compared.
    """
    instance_of(Callable, loop=loop)
    instance_of(nn.Module, model=model)
    instance_of(Callable | None, join=join, optimizer=optimizer, scheduler=scheduler)
    if not isinstance(loss, MeanLoss):
        instance_of(Callable | None, loss=loss)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("model has no parameter that requires a gradient")
    steps, epochs = positive_integer("accumulation_steps", accumulation_steps), positive_integer("epochs", epochs)
    seed, clip = integer("seed", seed), None if clip is None else real_number("clip", clip)
    terms = loss if callable(loss) else _terms(loss or cross_entropy_mean())
    given = loader if isinstance(loader, DataLoader) else list(iterator("loader", loader))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        batches = list(given)
    if not batches:
        raise ValueError("loader gave no micro-batches: is it empty, or an iterator that was used up before?")
    if not callable(loss):
        try:
            pairs("loader", batches, Tensor)
        except TypeError as error:
            raise TypeError(f"{error}. For other batches pass loss=lambda model, batch: (sum, count)") from None
        for place, (_, targets) in enumerate(batches):
            real_number(f"loss.count of loader[{place}]", terms.loss.count(targets), zero=True)
    trial = _Trial(model, given, steps, terms, join or _joined, optimizer, scheduler, clip, epochs, seed)
    try:
        return trial.report(loop, torch.float64)
    except RuntimeError as error:
        if not _is_about_dtype(str(error)):
            raise
        return trial.report(loop, torch.float32)


def _is_about_dtype(message: str) -> bool:
    """Is it what PyTorch says where float64 meets float32?"""
    return any(word in message for word in ("dtype", "Double", "double"))


class _Trial:
    """The training by the loop, and the same by large batches."""

    def __init__(self, model, given, steps, terms, join, optimizer, scheduler, clip, epochs, seed) -> None:
        self.model, self.given, self.steps, self.terms, self.join = model, given, steps, terms, join
        self.optimizer, self.scheduler, self.clip = optimizer, scheduler, clip
        self.epochs, self.seed = epochs, seed
        self.random, self.cannot_join = False, None  # why the large batch could not be put together

    def report(self, loop: Callable, dtype: torch.dtype) -> LoopReport:
        start, self.cannot_join = self._copy(dtype), None
        batches = self._batches(dtype)
        self.random = self._is_random(start, batches[0][0])
        parts = self._parts_differ(start, batches[0][: self.steps]) if self.steps > 1 else 0.0
        large = copy.deepcopy(start)
        trained, seen, noted, error = self._by_loop(loop, start, large, batches)
        if dtype == torch.float64 and _is_about_dtype(error):
            raise RuntimeError(error)
        self._by_large_batches(large, batches, noted, seen)
        ways = [_vector(each) - _vector(start) for each in (trained, large)]
        if not 0 < ways[1].norm() < torch.inf:
            how = (
                "change no parameter of this model"
                if ways[1].norm() == 0
                else "make a parameter of this model NaN or infinite"
            )
            raise ValueError(f"large batches of the loader's samples {how}")
        difference = _largest((ways[0] - ways[1]).norm() / ways[1].norm())
        length = _largest(ways[0].norm() / ways[1].norm())
        faults, notes = list(seen.faults), [note for note in seen.notes if not note.startswith("the code stopped with")]
        reason, additive = None, parts is None or parts <= ROUNDING[dtype]
        if error:
            reason = f"the loop stopped with {seen.recording.error}"
        elif compare_parameters(start, trained).largest == 0:
            reason = "the loop does not change the model that it is given"
            faults = [fault for fault in faults if fault.kind == "another model"]
        elif not additive and (difference > ROUNDING[dtype] or self.random):
            reason = self._why_not_additive(seen)
        elif seen.recording.value_clips and difference > ROUNDING[dtype]:
            reason = "the loop clips by value, and the large batches are trained without this"
        if self.cannot_join:
            notes.append(
                f"micro-batches could not be joined, so their gradients were added up instead: {self.cannot_join}"
            )
        elif self.random:
            notes.append(
                "the model draws random numbers, so micro-batches were added up with the loop's random numbers instead"
            )
        # Whether the loss of a sample depends on the others is measured here.
        notes = [each for each in notes if "statistics of a micro-batch" not in each and "contrastive" not in each]
        return LoopReport(
            difference, length, tuple(faults), reason, tuple(notes), tuple(seen.unseen), seen, ROUNDING[dtype]
        )

    def _copy(self, dtype: torch.dtype) -> nn.Module:
        model = copy.deepcopy(self.model)
        model = model.double() if dtype == torch.float64 else model.float()

        def cast(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
            return _mapped(args, dtype), _mapped(kwargs, dtype)

        model.register_forward_pre_hook(cast, with_kwargs=True)
        return model

    def _batches(self, dtype: torch.dtype) -> list[list[Any]]:
        """The micro-batches of each epoch."""
        found = []
        for epoch in range(self.epochs):
            torch_state = torch.random.get_rng_state()
            torch.manual_seed(self.seed + epoch)
            found.append([_mapped(batch, dtype) for batch in self.given])
            torch.random.set_rng_state(torch_state)
        return found

    # The loop's training

    def _by_loop(self, loop: Callable, start: nn.Module, large: nn.Module, batches: list[list[Any]]):
        trained = copy.deepcopy(start)
        counts = [[float(self._count(start, batch)) for batch in epoch] for epoch in batches]
        error, noted = "", _Noted(trained, large)
        hook = register_optimizer_step_pre_hook(noted)
        seen = Watched(Recorder(trained), self.steps, counts)
        try:
            with torch.random.fork_rng(), seen:
                optimizer = (
                    self.optimizer(trained.parameters()) if self.optimizer else SGD(trained.parameters(), lr=1e-3)
                )
                more = [self.scheduler(optimizer)] if self.scheduler else []
                draws = self._drawing(trained)
                for epoch in range(self.epochs):
                    if epoch:
                        seen.new_epoch()
                    torch.manual_seed(self.seed + epoch)
                    draws.begin(epoch)
                    loop(trained, optimizer, self._to_loop(batches[epoch]), *more)
        except NotImplementedError:
            raise
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        finally:
            hook.remove()
        return trained, seen, noted, error

    def _to_loop(self, batches: list[Any]) -> Any:
        return self.given if isinstance(self.given, DataLoader) else list(batches)

    def _drawing(self, model: nn.Module) -> "_Draws":
        return _Draws(model, self.seed, self.random)

    # The large batch's

    def _by_large_batches(self, model: nn.Module, batches: list[list[Any]], noted: "_Noted", seen: Watched) -> None:
        optimizers = self._optimizers(model, noted)
        schedulers = [self.scheduler(optimizer) for optimizer, _ in optimizers(0)] if self.scheduler else []
        norms = [clip[0] for table in seen.tables for row in table.rows for clip in row.update.clips]
        clip = self.clip if self.clip is not None else max(set(norms), key=norms.count, default=None)
        update = 0
        with torch.random.fork_rng():
            draws = self._drawing(model)
            for epoch, micro_batches in enumerate(batches):
                draws.begin(epoch)
                for first in range(0, len(micro_batches), self.steps):
                    window = micro_batches[first : first + self.steps]
                    model.zero_grad()
                    if not self._backward(model, window):
                        continue
                    if clip is not None:
                        nn.utils.clip_grad_norm_(model.parameters(), clip)
                    for optimizer, options in optimizers(update):
                        for group, new in zip(optimizer.param_groups, options, strict=False):
                            group.update(new)
                        optimizer.step()
                    for each in schedulers:
                        each.step()
                    update += 1

    def _optimizers(self, large: nn.Module, noted: "_Noted") -> Callable[[int], list[tuple[Optimizer, list[dict]]]]:
        """The optimizers of an update, each with the options of its groups: as the loop had them in that update."""
        if self.optimizer or not noted.steps:
            made = self.optimizer(large.parameters()) if self.optimizer else SGD(large.parameters(), lr=1e-3)
            return lambda update: [(made, [])]
        updates: list[list] = []
        stepped: set[int] = set()
        for key, own, options in noted.steps:
            if not updates or own & stepped:  # a parameter's second step begins another update
                updates.append([])
                stepped = set()
            updates[-1].append((noted.copies[key], [] if self.scheduler else options))
            stepped |= own
        return lambda update: updates[min(update, len(updates) - 1)]

    def _backward(self, model: nn.Module, window: list[Any]) -> bool:
        """Adds the gradient of the window's mean loss to .grad; False if there is nothing to take the mean of."""
        if not self.random and not self.cannot_join:
            try:
                batch = self.join(window)
                total, count = self.terms(model, batch)
            except Exception as error:
                self.cannot_join = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            else:
                if float(count) > 0:
                    (total / float(count)).backward()
                return float(count) > 0
        count = sum(float(self._count(model, batch)) for batch in window)
        if count > 0:
            for batch in window:
                (self.terms(model, batch)[0] / count).backward()
        return count > 0

    def _count(self, model: nn.Module, batch: Any) -> float:
        if isinstance(self.terms, _Terms):
            return self.terms.loss.count(batch[1])
        with torch.random.fork_rng(), torch.no_grad(), _as_it_was(model):
            return float(self.terms(model, batch)[1])

    # What the model is like

    def _is_random(self, start: nn.Module, batch: Any) -> bool:
        """Do two passes over the same batch, from two seeds, differ?"""
        found = []
        for seed in (0, 1):
            with torch.random.fork_rng(), torch.no_grad(), _as_it_was(start):
                torch.manual_seed(seed)
                found.append(self.terms(start, batch)[0])
        return not torch.equal(found[0].nan_to_num(), found[1].nan_to_num())

    def _parts_differ(self, start: nn.Module, window: list[Any]) -> float | None:
        """The relative error of the sum of the parts' gradients; right is the window as one batch. Without dropout."""
        if len(window) < 2:
            return 0.0
        model, random = copy.deepcopy(start), self.random
        for module in model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.p = 0.0
        self.random = self._is_random(model, window[0])
        if self.random:
            self.random = random
            return None
        found = []
        for parts in (False, True):
            model.zero_grad()
            with _as_it_was(model):
                self.random = parts  # adds the parts up
                self._backward(model, window)
            found.append(
                torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None] or [torch.zeros(1)])
            )
        self.random = random
        if self.cannot_join or found[0].shape != found[1].shape or not found[0].norm() > 0:
            return None
        return _largest((found[1] - found[0]).norm() / found[0].norm())

    def _why_not_additive(self, seen: Watched) -> str:
        if seen.recording.mixing:
            kind, name = seen.recording.mixing[0]
            where = f"layer {name}" if name else "the model"
            return (
                f"this model's loss is not additive over micro-batches: {kind} in {where} mixes the samples of a batch"
            )
        return "this loss is not a mean over samples: the large batch's gradient is not the sum of its micro-batches'"


class _Noted:
    """Copies, for another model, of the optimizers that train one, made before their first step; and each step."""

    def __init__(self, trained: nn.Module, large: nn.Module) -> None:
        self.pairs = {id(one): other for one, other in zip(trained.parameters(), large.parameters(), strict=True)}
        self.copies: dict[int, Optimizer] = {}
        self.kept: list[Optimizer] = []  # so that no id comes twice
        self.steps: list[tuple[int, set[int], list[dict]]] = []

    def __call__(self, optimizer: Optimizer, *_: Any) -> None:
        own = {id(p) for group in optimizer.param_groups for p in group["params"]} & set(self.pairs)
        if not own:
            return
        if id(optimizer) not in self.copies:
            self.kept.append(optimizer)
            self.copies[id(optimizer)] = copy.deepcopy(optimizer, dict(self.pairs))
        options = [{n: copy.copy(v) for n, v in group.items() if n != "params"} for group in optimizer.param_groups]
        self.steps.append((id(optimizer), own, options))


class _Draws:
    """Random numbers that depend on the epoch and the number of the forward pass only, if the model draws any."""

    def __init__(self, model: nn.Module, seed: int, random: bool) -> None:
        self.seed, self.epoch, self.passes = seed, 0, 0
        if random:
            model.register_forward_pre_hook(self._before)

    def begin(self, epoch: int) -> None:
        self.epoch, self.passes = epoch, 0

    def _before(self, module: nn.Module, _: Any) -> None:
        if module.training and torch.is_grad_enabled():
            torch.manual_seed((self.seed * 1_000 + self.epoch) * 1_000_003 + self.passes)
            self.passes += 1


@dataclass(frozen=True)
class _Terms:
    loss: MeanLoss

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, float]:
        inputs, targets = batch
        return self.loss.total(model(inputs), targets), self.loss.count(targets)


def _terms(loss: MeanLoss) -> _Terms:
    return _Terms(loss)


def _joined(parts: Sequence[Any]) -> Any:
    """One batch of several: tensors are joined along their first dimension, in tuples, lists and dicts as well."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in parts]) for name in first}
    if isinstance(first, tuple) and all(isinstance(each, (Tensor, tuple, list, dict)) for each in first):
        return tuple(_joined(each) for each in zip(*parts, strict=True))
    if isinstance(first, list) and first and len({len(part) for part in parts}) == 1 and isinstance(first[0], Tensor):
        return [_joined(each) for each in zip(*parts, strict=True)]
    raise TypeError(f"batches of {type(first).__name__}s are not joined without join=")


def _mapped(value: Any, dtype: torch.dtype) -> Any:
    """`value` with every floating-point tensor in it in `dtype`."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: _mapped(part, dtype) for name, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_mapped(part, dtype) for part in value)
    return value


@contextlib.contextmanager
def _as_it_was(model: nn.Module) -> Iterator[None]:
    """Puts the model's buffers back: running means."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _vector(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().double()
