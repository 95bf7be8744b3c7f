"""The few small networks of the course."""

from torch import nn

from course_utils.arguments import positive_integer


def mlp(hidden: int = 128) -> nn.Sequential:
    """A multilayer perceptron for MNIST with one hidden layer of `hidden` units.

    Takes images of shape (samples, 1, 28, 28) and gives logits of shape (samples, 10).
    Raises ValueError if `hidden` is not a positive integer.
    """
    hidden = positive_integer("hidden", hidden)
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def cnn() -> nn.Sequential:
    """A small convolutional network for MNIST: 5×5 convolutions of stride 2 to 8 and 16 channels, then 64 units.

    Takes images of shape (samples, 1, 28, 28) and gives logits of shape (samples, 10).
    """
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU()),  # 12 × 12
        *(nn.Conv2d(8, 16, 5, stride=2), nn.ReLU()),  # 4 × 4
        *(nn.Flatten(), nn.Linear(16 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10)),
    )
