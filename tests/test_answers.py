"""course_utils.answers: what an answer changes, uses or returns besides what was asked for is seen, and named."""

import textwrap

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_utils.answers import Steps, called, networks, of_kind, optimizers


def answer(source, **notebook):
    """The function `answer` of a notebook cell, in a notebook that has the names `notebook`."""
    namespace = {"torch": torch, "nn": nn, "cross_entropy": cross_entropy, "__builtins__": __builtins__} | notebook
    exec(textwrap.dedent(source), namespace)
    return namespace["answer"]


def model():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    network[3].requires_grad_(False)
    return network


def message(source, *arguments, notebook=None, **options):
    with pytest.raises(AssertionError) as caught:
        called(answer(source, **(notebook or {})), *arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("model.eval()", "the mode of model was changed: training mode before, evaluation mode after"),
        ("model[2].eval()", "the mode of layer '2' of model was changed"),
        ("model.training = False", "the mode of model was changed"),
        ("model(inputs)", "buffer '1.running_mean' of model was changed"),
        ("model[0].weight.data += 1", "parameter '0.weight' of model was changed"),
        ("model[0](inputs).sum().backward()", "the gradient of parameter '0.weight' of model was changed"),
        ("model.requires_grad_()", "requires_grad of parameter '3.weight' of model was changed: False before, True"),
        ("model.register_forward_hook(print)", "the number of hooks on model was changed: 0 before, 1 after"),
        ("model[0].weight.register_hook(print)", "the number of hooks on parameter '0.weight' of model was changed"),
        ("model[1] = nn.Identity()", "the layers of model was changed"),
        ("inputs.mul_(2)", "inputs was changed"),
        ("inputs.requires_grad_()", "requires_grad of inputs was changed"),
        ("sizes.pop()", "the length of sizes was changed: 2 before, 1 after"),
        ("sizes.reverse()", "sizes[0] was changed: 3 before, 4 after"),
        ("parts['a'][0].zero_()", "parts['a'][0] was changed"),
        ("torch.set_grad_enabled(False)", "torch.is_grad_enabled() was changed: True before, False after"),
        ("torch.set_default_dtype(torch.float64)", "the default dtype was changed"),
    ],
)
def test_a_change_of_what_is_handed_over_is_named(line, says):
    arguments = model(), torch.ones(5, 3), [3, 4], {"a": [torch.ones(2)]}
    try:
        assert message(f"def answer(model, inputs, sizes, parts):\n    {line}", *arguments).startswith(says)
    finally:
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)


def test_what_may_change_may():
    train = """
    def answer(model, optimizer, scheduler, inputs):
        model(inputs).sum().backward()
        optimizer.step()
        scheduler.step()
        return 3"""
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    may = ("parameters", "gradients", "buffers", "optimizer", "scheduler")
    arguments = network, optimizer, scheduler, torch.ones(5, 3)
    assert called(answer(train), *arguments, may_change=may) == 3
    for aspect in may:
        assert message(train, *arguments, may_change=[other for other in may if other != aspect])
    with pytest.raises(ValueError, match="may_change='weights' must be one of"):
        called(answer(train), *arguments, may_change=["weights"])


def test_the_random_numbers_may_be_kept():
    source = "def answer(inputs):\n    torch.rand(1)"
    assert called(answer(source), torch.ones(1)) is None
    assert "the state of the random numbers" in message(source, torch.ones(1), keeps_random_state=True)


@pytest.mark.parametrize("value", [torch.ones(2), nn.Linear(1, 1), [(torch.ones(1), torch.ones(1))]])
def test_the_notebooks_own_data_are_hidden_and_come_back(value):
    notebook = {"validation": value, "K": 4}
    found = answer("def answer(inputs):\n    return validation", **notebook)
    with pytest.raises(AssertionError, match="answer uses 'validation' of the notebook"):
        called(found, torch.ones(1))
    assert found.__globals__["validation"] is value
    assert called(answer("def answer(inputs):\n    return K", **notebook), torch.ones(1)) == 4


def test_errors_of_the_answer_itself_stay():
    with pytest.raises(NameError, match="undefined"):
        called(answer("def answer(inputs):\n    return undefined"), torch.ones(1))
    with pytest.raises(RuntimeError, match="shape"):
        called(answer("def answer(inputs):\n    return inputs @ inputs"), torch.ones(2, 3))
    assert "cannot be called as its docstring says" in message("def answer(inputs):\n    pass", 1, 2)


def test_a_forgotten_no_grad_is_named():
    found = message("def answer(model):\n    model[0].weight -= 1", model(), may_change=["parameters"])
    assert "answer changes a parameter in place with gradients enabled: torch.no_grad() is missing" in found


@pytest.mark.parametrize(
    ("value", "kind"), [(3, int), (np.int64(3), int), (3.0, float), (np.float64(3), float), (3, float), ([], list)]
)
def test_values_of_the_right_kind(value, kind):
    of_kind("the answer", value, kind)
    of_kind("the answer", torch.ones(1), torch.Tensor)


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        (3.0, int, "the answer is 3.0, of type float: an int is asked for"),
        (True, int, "an int is asked for"),
        (torch.tensor(3), int, "an int is asked for"),
        (torch.tensor(3.0), float, "the answer is a tensor: a float is asked for: .item() gives it"),
        ("3", float, "a float is asked for"),
        (None, float, "is a return missing?"),
        (torch.ones(1, requires_grad=True), torch.Tensor, "a tensor without a graph is asked for"),
        ((1,), list, "a list is asked for"),
    ],
)
def test_values_of_another_kind(value, kind, says):
    with pytest.raises(AssertionError) as caught:
        of_kind("the answer", value, kind)
    assert says in str(caught.value)


def test_networks_differ_where_shortcuts_fail():
    cases = networks()
    assert len({case.name for case in cases}) == len(cases) >= 5
    assert {case.classes for case in cases} == {3, 5} and {len(case.shape) for case in cases} == {1, 3}
    trainable = [[p.requires_grad for p in case.model.parameters()] for case in cases]
    assert any(not all(flags) for flags in trainable)
    idle = []
    for case in cases:
        [(inputs, targets)] = case.batches([4])
        outputs = case.model(inputs)
        assert outputs.shape == (4, case.classes) and outputs.dtype == torch.float64
        cross_entropy(outputs, targets).backward()
        idle.append([name for name, p in case.model.named_parameters() if p.requires_grad and p.grad is None])
        assert case.note.seen == [(4, True, True)]
    assert [bool(names) for names in idle].count(True) == 2


def test_steps_sees_every_step():
    case = networks()[0]
    for name, optimizer in optimizers(case.model).items():
        steps = Steps(optimizer)
        [(inputs, targets)] = case.batches([4])

        def closure(optimizer=optimizer, inputs=inputs, targets=targets):
            optimizer.zero_grad()
            loss = cross_entropy(case.model(inputs), targets)
            loss.backward()
            return loss

        optimizer.step(closure)
        assert len(steps) == 1 and steps.gradients[0].norm() > 0, name
        assert steps.rates == [[group["lr"] for group in optimizer.param_groups]]
        optimizer.zero_grad()
        optimizer.step()
        assert len(steps) == 2 and steps.gradients[1].norm() == 0


def test_nan_in_a_list_is_no_change():
    losses = [float("nan"), 1.0]
    assert called(answer("def answer(losses): return len(losses)"), losses) == 2
    assert message("def answer(losses): losses[0] = 0.0", losses).startswith("losses[0] was changed: nan before, 0.0")
