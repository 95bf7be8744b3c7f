"""course_utils.models: shapes, and clear errors."""

import pytest
import torch

from course_utils.models import cnn, mlp


@pytest.mark.parametrize("samples", [1, 7])
@pytest.mark.parametrize("model", [mlp(hidden=5), cnn()], ids=["mlp", "cnn"])
def test_ten_logits_for_each_image(model, samples):
    assert model(torch.rand(samples, 1, 28, 28)).shape == (samples, 10)


def test_mlp_has_the_stated_size():
    assert [tuple(p.shape) for p in mlp(128).parameters()] == [(128, 784), (128,), (10, 128), (10,)]


@pytest.mark.parametrize("hidden", [0, -1, 2.5, "128", None, True, float("nan")])
def test_bad_size_is_named(hidden):
    with pytest.raises(ValueError, match="hidden="):
        mlp(hidden)
