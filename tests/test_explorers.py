"""course_utils.explorers: what is computed, what is said, and that controls, picture and sentence go together."""

import math
import re

import ipywidgets as widgets
import pytest
import torch
from matplotlib.figure import Figure

from course_utils import explorers
from course_utils.data import Split
from course_utils.explorers import clearing, cloud, digits, weights
from course_utils.models import mlp


@pytest.fixture
def digit_images():
    torch.manual_seed(0)
    return Split(torch.rand(400, 1, 28, 28), torch.arange(400) % 10)


def test_an_explorer_redraws_picture_and_sentence():
    def draw(level):
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([0, level])
        return figure, f"The line ends at {level} < 9."

    explorer = explorers.Explorer(draw, level=widgets.IntSlider(1, 0, 8))
    picture, sentence = bytes(explorer.picture.value), explorer.sentence.value
    assert picture.startswith(b"\x89PNG") and sentence == "The line ends at 1 &lt; 9."
    explorer.controls["level"].value = 2
    assert bytes(explorer.picture.value) != picture and "ends at 2" in explorer.sentence.value


def test_an_explorer_stands_in_for_itself_where_nothing_runs():
    explorer = explorers.zero_grad()
    data, metadata = explorer._repr_mimebundle_()
    assert data["image/png"] == explorer.picture.value
    assert (
        data["text/plain"] == metadata["image/png"]["alt"] == clearing.draw_zero_grad("backward step backward", 0.3)[1]
    )
    assert "application/vnd.jupyter.widget-view+json" in data


def test_lines_are_run_as_pytorch_runs_them():
    weights, gradients = clearing.run_lines(["backward", "step", "backward", "zero_grad", "step"], 0.5)
    assert weights == [1, 1, 0.5, 0.5, 0.5, 0.5]
    assert gradients[1:4] == [1, 1, 1.5] and all(map(math.isnan, [gradients[0], *gradients[4:]]))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("", "After 0 lines the weight is +1.000 and .grad is None, so step() would not move it."),
        ("step", "After 1 line the weight is +1.000 and .grad is None, so step() would not move it."),
        (
            "backward(), step()",
            "the sum of 1 backward() call, where the slope here is +0.700; step() would move the weight to +0.400.",
        ),
        ("backward zero_grad backward backward", ".grad is +2.000, the sum of 2 backward() calls"),
        ("backward jump", "Nothing was run: 'jump' is none of backward, step, zero_grad."),
    ],
)
def test_the_sentence_says_what_happened(program, said):
    assert said in clearing.draw_zero_grad(program, 0.3)[1]


def test_buttons_write_the_program():
    explorer = explorers.zero_grad()
    buttons = {button.description: button for button in explorer.children[0].children}
    buttons["start again"].click()
    assert explorer.controls["program"].value == "" and "After 0 lines" in explorer.sentence.value
    buttons["backward()"].click()
    buttons["zero_grad()"].click()
    assert explorer.controls["program"].value == "backward zero_grad"


def test_averaging_digits(digit_images):
    parts = [digits.Digit(digit_images.images[digit_images.labels == digit, 0]) for digit in range(10)]
    assert parts[3].spread == pytest.approx((28 * 28 / 12) ** 0.5, rel=0.05)  # of uniform noise
    assert "of the digit 3 is 0.00 times" in digits.draw_average_digit(parts, 3, 12)[1]  # more than there are
    assert explorers.average_digit(digit_images).sentence.value.startswith("The average of 16 images of the digit 3")


def test_gradient_cloud_is_made_of_pytorchs_gradients(digit_images):
    model = mlp(hidden=4)
    torch.nn.functional.cross_entropy(model(digit_images.images), digit_images.labels).backward()
    gradients = cloud.last_layer_gradients(digit_images, model)
    assert torch.allclose(gradients.mean(0), model[-1].weight.grad.flatten(), atol=1e-6)
    directions = cloud.plane(gradients)
    assert torch.allclose(directions.T @ directions, torch.eye(2), atol=1e-5)


def test_larger_batches_scatter_less(digit_images):
    explorer = explorers.gradient_cloud(digit_images, mlp(hidden=4))
    distances = []
    for doublings in (0, 4, 8):
        explorer.controls["doublings"].value = doublings
        distances.append(float(re.search(r"gradient is ([\d.]+) times", explorer.sentence.value)[1]))
    assert distances[0] == pytest.approx(4 * distances[1], rel=0.2)
    assert distances[0] == pytest.approx(16 * distances[2], rel=0.4)


def test_the_weights_of_the_modulo_loop_and_of_the_right_one():
    said = explorers.modulo_loop().sentence.value
    assert said == "22 samples, due: 2 updates. modulo: 1 update, 6 wrong weights."
    said = explorers.four_loops().sentence.value
    assert said.startswith("44 samples, due: 4 updates. modulo: 2 updates, 12 wrong weights; ")
    assert said.endswith("window-first: 4 updates, 0 wrong weights.")


@pytest.mark.parametrize(("samples", "micro_batch", "steps"), [(1, 16, 8), (48, 1, 1), (48, 16, 8), (7, 3, 2)])
def test_weights_are_drawn_for_any_sizes(samples, micro_batch, steps):
    figure, sentence = weights.draw_weights(weights.FOUR_LOOPS, 2, samples, micro_batch, steps)
    assert "window-first" in sentence and "window-first" in [text.get_text() for text in figure.axes[0].texts]
