"""course_utils.checks: tells same from different, says where, and never calls a broken comparison a success."""

import pytest
import torch
from torch import nn

from course_utils.checks import Difference, compare_parameters, compare_training


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def add(number, parameter="weight"):
    def train(model):
        with torch.no_grad():
            getattr(model, parameter).add_(number)

    return train


def test_the_same_is_said_to_be_the_same():
    same = compare_parameters(linear(), linear())
    assert same.largest == 0 and str(same) == "the same to the last bit"


def test_the_largest_difference_and_its_place():
    model = linear()
    with torch.no_grad():
        model.weight[0, 0] += 0.25
        model.bias[1] -= 0.5
    difference = compare_parameters(model, linear())
    assert difference.largest == pytest.approx(0.5) and difference.parameter == "bias"
    assert str(Difference(0.5, "bias")) == "different by up to 5.0e-01, in bias"


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_training_that_broke_is_never_the_same(broken):
    assert compare_training(linear(), add(broken), add(broken)).largest == torch.inf


def test_different_models_cannot_be_compared():
    with pytest.raises(ValueError, match="different parameters"):
        compare_parameters(nn.Linear(3, 2), nn.Linear(2, 3))
    with pytest.raises(ValueError, match="no parameters"):
        compare_parameters(nn.ReLU(), nn.ReLU())


def test_both_ways_start_from_the_same_model_and_the_same_random_numbers():
    def noisy(model):
        add(torch.rand(1))(model)

    assert compare_training(linear(), noisy, noisy).largest == 0
    assert compare_training(linear(), add(1.0), add(1.5)).largest == pytest.approx(0.5)


def test_the_callers_model_and_random_numbers_stay_as_they_are():
    model, unchanged = linear(), linear()
    state = torch.get_rng_state()
    compare_training(model, add(1.0), add(1.0))
    assert torch.equal(state, torch.get_rng_state())
    assert compare_parameters(model, unchanged).largest == 0


def test_two_ways_that_train_nothing_are_an_error():
    with pytest.raises(ValueError, match="neither of the two ways changed a parameter"):
        compare_training(linear(), lambda model: None, lambda model: None)
    assert compare_training(linear(), lambda model: None, add(1.0)).largest == 1
