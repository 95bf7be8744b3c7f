"""course_utils.training: each piece against PyTorch by hand, and clear errors before anything is trained."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from course_utils.checks import compare_parameters
from course_utils.data import Split
from course_utils.training import batches, evaluate, train, train_step


def toy(samples=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Split(
        torch.rand(samples, 1, 2, 2, generator=generator), torch.randint(0, 3, (samples,), generator=generator)
    )


def network(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), *layers)


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def test_one_step_follows_the_formula():
    model, split = network(), toy()
    expected = copy.deepcopy(model)
    loss = cross_entropy(expected(split.images), split.labels)
    gradients = torch.autograd.grad(loss, list(expected.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(expected.parameters(), gradients, strict=True):
            parameter -= 0.1 * gradient
    returned = train_step(model, split.images, split.labels, sgd(model))
    assert returned == loss and not returned.requires_grad
    assert compare_parameters(model, expected).largest < 1e-7


def test_gradients_left_from_elsewhere_do_not_count():
    clean, dirty, split = network(), network(), toy()
    dirty(split.images).sum().backward()
    for model in (clean, dirty):
        train_step(model, *split, sgd(model))
    assert compare_parameters(clean, dirty).largest == 0


@given(samples=st.integers(1, 40), batch_size=st.integers(1, 50))
def test_an_epoch_has_every_sample_once(samples, batch_size):
    split = Split(torch.arange(samples).reshape(samples, 1, 1, 1).float(), torch.arange(samples))
    seen = list(batches(split, batch_size))
    assert len(seen) == -(-samples // batch_size)
    assert all(len(batch.labels) == batch_size for batch in seen[:-1])
    assert sorted(torch.cat([batch.labels for batch in seen]).tolist()) == list(range(samples))
    assert all(torch.equal(batch.images.flatten().long(), batch.labels) for batch in seen)


def test_each_epoch_has_another_order():
    torch.manual_seed(0)
    split = toy(100)
    assert not torch.equal(next(batches(split, 100)).images, next(batches(split, 100)).images)


@settings(max_examples=20)
@given(samples=st.integers(1, 30), batch_size=st.integers(1, 40))
def test_evaluation_does_not_depend_on_its_batch_size(samples, batch_size):
    model, split = network(), toy(samples)
    whole, parts = evaluate(model, split), evaluate(model, split, batch_size=batch_size)
    assert whole.accuracy == parts.accuracy and whole.loss == pytest.approx(parts.loss, rel=1e-6)


@pytest.mark.parametrize("training_mode", [True, False])
def test_evaluation_gives_the_mode_back_and_records_nothing(training_mode):
    model, split = network(nn.Dropout(0.5)).train(training_mode), toy(50)
    assert evaluate(model, split) == evaluate(model, split)
    assert model.training is training_mode
    assert all(p.grad is None for p in model.parameters())


def test_evaluation_gives_the_mode_back_when_the_model_fails():
    model = network()
    with pytest.raises(RuntimeError):
        evaluate(model, Split(torch.rand(2, 1, 5, 5), torch.tensor([0, 1])))
    assert model.training


def test_training_evaluates_every_n_updates_over_the_epochs():
    model, split = network(), toy(10)
    history = train(model, split, sgd(model), batch_size=4, epochs=3, test=split, evaluate_every=2)
    assert len(history.losses) == 9
    assert [evaluation.update for evaluation in history.evaluations] == [2, 4, 6, 8]


def test_training_learns():
    torch.manual_seed(0)
    model = network()
    images = torch.rand(200, 1, 2, 2)
    split = Split(images, images.flatten(1)[:, :3].argmax(1))
    before = evaluate(model, split)
    history = train(model, split, torch.optim.SGD(model.parameters(), lr=1.0), batch_size=20, epochs=30)
    after = evaluate(model, split)
    assert after.loss < before.loss / 2 and after.accuracy > 0.9 and history.losses[0] > history.losses[-1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.0}, "batch_size=2.0"),
        ({"epochs": -1}, "epochs=-1"),
        ({"epochs": True}, "epochs=True"),
        ({"evaluate_every": 0, "test": toy()}, "evaluate_every=0"),
        ({"evaluate_every": 2}, "test and evaluate_every"),
        ({"test": toy()}, "test and evaluate_every"),
        ({"split": toy(0)}, r"len\(split.labels\)=0"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_trained(wrong, message):
    model = network()
    before = copy.deepcopy(model)
    arguments = {"split": toy(), "batch_size": 2, "epochs": 1} | wrong
    with pytest.raises(ValueError, match=message):
        train(model, optimizer=sgd(model), **arguments)
    assert compare_parameters(model, before).largest == 0


def test_evaluating_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"len\(split.labels\)=0"):
        evaluate(network(), toy(0))
