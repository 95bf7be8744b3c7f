"""The small networks of the course."""

from collections.abc import Callable

from torch import nn

from course_utils.arguments import instance_of, positive_integer


def mlp(hidden: int = 128) -> nn.Sequential:
    """A multilayer perceptron for MNIST with one hidden layer of `hidden` units.

    Takes images of shape (samples, 1, 28, 28) and gives logits of shape (samples, 10).
    Raises ValueError if `hidden` is not a positive integer.
    """
    hidden = positive_integer("hidden", hidden)
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def cnn(normalization: Callable[[int], nn.Module] | None = None) -> nn.Sequential:
    """A small convolutional network for MNIST: 5×5 convolutions of stride 2 to 8 and 16 channels, then 64 units.

    Takes images of shape (samples, 1, 28, 28) and gives logits of shape (samples, 10). `normalization`, such as
    torch.nn.BatchNorm2d, takes a number of channels and returns the layer that follows a convolution.
    """
    instance_of(Callable | None, normalization=normalization)

    def convolution(channels_in: int, channels: int) -> list[nn.Module]:
        between = [normalization(channels)] if normalization else []
        return [nn.Conv2d(channels_in, channels, 5, stride=2), *between, nn.ReLU()]

    return nn.Sequential(
        *convolution(1, 8),  # 12 × 12
        *convolution(8, 16),  # 4 × 4
        *(nn.Flatten(), nn.Linear(16 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def deep_mlp(layers: int = 16, width: int = 64) -> nn.Sequential:
    """An MLP for MNIST of `layers` equal blocks of `width` units between its input and its output layer.

    Takes images of shape (samples, 1, 28, 28) and gives logits of shape (samples, 10). model[1:-1] are the blocks, each
    a Linear with a ReLU. Raises ValueError if a number is not a positive integer.
    """
    layers, width = positive_integer("layers", layers), positive_integer("width", width)
    blocks = [nn.Sequential(nn.Linear(width, width), nn.ReLU()) for _ in range(layers)]
    return nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, width)), *blocks, nn.Linear(width, 10))
