"""course_utils.noise: against a problem whose noise scale is known, and clear errors."""

import pytest
import torch

from course_utils.noise import NoiseScale


def gradients(batch, count, mean, deviation, generator):
    """`count` mean gradients over `batch` samples, each sample's gradient normal with this mean and deviation."""
    noise = torch.randn(count, len(mean), generator=generator, dtype=torch.float64)
    return mean + noise * deviation / batch**0.5


def test_the_answer_is_known_for_normal_gradients():
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([1.0, -0.5, 0.3, 0.0], dtype=torch.float64)
    deviation = torch.tensor([2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
    noise = NoiseScale(4, 32)
    small, large = (gradients(batch, 20_000, mean, deviation, generator) for batch in (4, 32))
    for pair in zip(small, large, strict=True):
        noise.add(*pair)
    assert noise.squared_gradient == pytest.approx(mean.square().sum().item(), rel=0.05)
    assert noise.variance == pytest.approx(deviation.square().sum().item(), rel=0.02)
    assert noise.scale == pytest.approx((deviation.square().sum() / mean.square().sum()).item(), rel=0.06)


def test_worked_out_by_hand():
    noise = NoiseScale(1, 2)
    noise.add(torch.tensor([3.0]), torch.tensor([[2.0]]))  # 9 and 4
    assert noise.squared_gradient == 2 * 4 - 9 and noise.variance == (9 - 4) / (1 - 1 / 2)
    assert noise.scale == float("inf")
    noise.add(torch.tensor([2.0]), torch.tensor([2.0]))  # 4 and 4
    assert noise.squared_gradient == (-1 + 4) / 2 and noise.variance == (10 + 0) / 2
    assert noise.scale == 5 / 1.5


@pytest.mark.parametrize(
    ("small", "large", "message"),
    [(0, 2, "small_batch=0"), (1, 2.5, "large_batch=2.5"), (4, 4, "small_batch=4 must be below"), (8, 4, "below")],
)
def test_bad_batch_sizes_are_named(small, large, message):
    with pytest.raises(ValueError, match=message):
        NoiseScale(small, large)


def test_bad_gradients_are_refused_and_not_counted():
    noise = NoiseScale(1, 2)
    with pytest.raises(ValueError, match="no gradients were added"):
        _ = noise.scale
    with pytest.raises(ValueError, match="1 elements and large 2"):
        noise.add(torch.ones(1), torch.ones(2))
    for broken in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            noise.add(torch.tensor([broken]), torch.ones(1))
    assert noise.variances == noise.squared_gradients == []
