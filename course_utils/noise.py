"""How noisy gradients are: the gradient noise scale, from gradients of two batch sizes."""

from dataclasses import dataclass, field

from torch import Tensor

from course_utils.arguments import instance_of, positive_integer


@dataclass
class NoiseScale:
    """Estimates |G|², the squared norm of the true gradient, and tr Σ, the variance of one sample's gradient.

    tr Σ is the sum of the variances of all entries. McCandlish et al. 2018, "An Empirical Model of Large-Batch
    Training" (arXiv 1812.06162), appendix A.1: the squared norm of a gradient from B samples has the expectation
    |G|² + tr Σ / B, so two batch sizes give both unknowns. Each `add` gives one unbiased estimate of each. The
    estimates are averaged separately and divided only in `scale`; the mean of single ratios can be far off.
    """

    small_batch: int
    large_batch: int
    squared_gradients: list[float] = field(default_factory=list, init=False)
    variances: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.small_batch = positive_integer("small_batch", self.small_batch)
        self.large_batch = positive_integer("large_batch", self.large_batch)
        if self.small_batch >= self.large_batch:
            raise ValueError(f"small_batch={self.small_batch} must be below large_batch={self.large_batch}")

    def add(self, small: Tensor, large: Tensor) -> None:
        """Takes a mean gradient over `small_batch` samples and one over `large_batch`, each of any shape.

        Both may come from the same step: a micro-batch's gradient and that of its window. Raises ValueError if they
        have different numbers of elements or a value that is not finite.
        """
        instance_of(Tensor, small=small, large=large)
        if small.numel() != large.numel() or not small.numel():
            sizes = f"small has {small.numel()} elements and large {large.numel()}"
            raise ValueError(f"{sizes}: the numbers must be equal, and not zero")
        of_small, of_large = small.double().square().sum().item(), large.double().square().sum().item()
        if not of_small + of_large < float("inf"):
            raise ValueError("small and large must be finite")
        b, B = self.small_batch, self.large_batch
        self.squared_gradients.append((B * of_large - b * of_small) / (B - b))
        self.variances.append((of_small - of_large) / (1 / b - 1 / B))

    @property
    def squared_gradient(self) -> float:
        """The estimate of |G|². Raises ValueError before the first `add`."""
        return _mean(self.squared_gradients)

    @property
    def variance(self) -> float:
        """The estimate of tr Σ. Raises ValueError before the first `add`."""
        return _mean(self.variances)

    @property
    def scale(self) -> float:
        """tr Σ / |G|², in samples: the batch size at which the expected squared noise is as large as |G|².

        Infinite while the estimate of |G|² is not positive: then more gradients are needed to tell it from zero.
        """
        return self.variance / self.squared_gradient if self.squared_gradient > 0 else float("inf")


def _mean(values: list[float]) -> float:
    if not values:
        raise ValueError("no gradients were added yet")
    return sum(values) / len(values)
