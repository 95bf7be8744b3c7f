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
