"""Inputs for the exercises of broken_loops."""

import torch
from torch.optim.lr_scheduler import ExponentialLR, LinearLR, MultiStepLR, StepLR

from course_utils.answers import networks, optimizers
from course_utils.memory import SavedForBackward
from tests.samples import after


def _drawn(draw, divides=False, flat=False):
    """A network all of whose parameters are trained, and micro-batches and K for it."""
    cases = [case for case in networks(draw.randint(0, 9)) if "unused" not in case.name]
    case = draw.choice([case for case in cases if len(case.shape) == 1 or not flat])
    K = draw.randint(1, 7)
    number = K * draw.randint(1, 4) if divides else draw.randint(1, 12)
    return case, case.batches([draw.randint(1, 6)] * number, draw.randint(0, 99)), K


def _optimizer(draw, model, kinds=("SGD", "SGD with momentum and two groups", "Adam")):
    return optimizers(model)[draw.choice(kinds)]


def _epochs(answer, *arguments):
    return [after(answer, *arguments) for _ in range(3)]


def loop_1(answer, draw):
    case, batches, K = _drawn(draw)
    return _epochs(answer, case.model, _optimizer(draw, case.model), batches, K)


loop_2 = loop_3 = loop_8 = loop_1


def loop_4(answer, draw):
    case, batches, K = _drawn(draw, flat=True)
    size = len(batches[0][0])
    lengths = [draw.randint(1, size) for _ in batches]
    padded = [
        (x, torch.where(torch.arange(size) < length, y, -100)) for (x, y), length in zip(batches, lengths, strict=True)
    ]
    return _epochs(answer, case.model, _optimizer(draw, case.model), padded, K)


def loop_5(answer, draw):
    case, batches, K = _drawn(draw)
    return _epochs(
        answer, case.model, _optimizer(draw, case.model), batches, K, draw.choice([0.01, 0.4, 0.7, 1.2, 50.0])
    )


def loop_6(answer, draw):
    case, batches, K = _drawn(draw, divides=True)
    optimizer = _optimizer(draw, case.model, ("SGD", "Adam"))
    schedulers = [
        lambda: StepLR(optimizer, draw.randint(1, 3), gamma=0.5),
        lambda: MultiStepLR(optimizer, [draw.randint(1, 5)]),
        lambda: ExponentialLR(optimizer, 0.9),
        lambda: LinearLR(optimizer, 0.1, 1.0, 6),
    ]
    return _epochs(answer, case.model, optimizer, draw.choice(schedulers)(), batches, K)


def loop_7(answer, draw):
    case, batches, K = _drawn(draw)
    seen = []
    case.note.register_forward_hook(lambda layer, *_: seen.append((layer.training, torch.is_grad_enabled())))
    validation = case.batches([draw.randint(1, len(batches[0][0]))], 7)[0]
    case.model.train(draw.random() < 0.5)
    found = _epochs(_without_mode(answer), case.model, _optimizer(draw, case.model), batches, K, validation)
    return [*found, seen]


def _without_mode(answer):
    """The mode at the end does not matter."""

    def then_train(model, *arguments):
        result = answer(model, *arguments)
        model.train()
        return result

    return then_train


def loop_9(answer, draw):
    case, batches, K = _drawn(draw)
    with SavedForBackward(case.model) as saved:
        found = _epochs(answer, case.model, _optimizer(draw, case.model), batches, K)
    return [*found, saved.peak]


def loop_10(answer, draw):
    case, batches, K = _drawn(draw, divides=True)
    return [after(answer, case.model, batches, K, draw.randint(1, 4), draw.uniform(0.001, 0.2)) for _ in range(2)]
