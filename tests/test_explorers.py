"""course_utils.explorers: what is computed, what is said, and that controls, picture and sentence go together."""

import inspect
import math
import re

import ipywidgets as widgets
import pytest
import torch
from matplotlib.figure import Figure

from course_utils import explorers, loops, plotting
from course_utils.data import Split
from course_utils.explorers import (
    adam,
    clearing,
    cloud,
    digits,
    momentum,
    planner,
    scaling,
    scheduling,
    weights,
)
from course_utils.explorers.stage import Stage
from course_utils.memory import SavedForBackward
from course_utils.models import deep_mlp, mlp
from course_utils.optimizers import MomentumPerMicroBatch
from course_utils.schedules import plateau_trace


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


def plot_on(figure):
    figure.subplots_adjust(bottom=0.3)
    axes = figure.subplots()
    axes.set(title="a scene", ylim=(0, 4))
    axes.text(0.2, 0.8, "still", transform=axes.transAxes)
    return axes


def play(axes, end):
    axes.plot([0.1 * end, 0.9 * end], [1, 2])
    axes.set_xlim(0, end)


def test_a_stage_looks_like_any_figure_and_forgets():
    stage = Stage(figsize=(3, 2))
    stage.animate(plot_on(stage).xaxis, "an axis")
    for end in (3, 700, 3):
        play(stage.empty().axes[0], end)
        figure = Figure(figsize=(3, 2), layout="none")
        play(plot_on(figure), end)
        figure.axes[0].set_xlabel("an axis")
        assert plotting.png(stage) == plotting.png(figure)
    assert len(stage.axes[0].lines) == 1 and stage.dpi == figure.dpi


@pytest.mark.parametrize(
    ("module", "make"),
    [
        (adam, explorers.second_moment),
        (clearing, explorers.zero_grad),
        (cloud, lambda images: explorers.gradient_cloud(images, mlp(hidden=4))),
        (digits, explorers.average_digit),
        (momentum, explorers.valley),
        (planner, explorers.memory_planner),
        (scaling, explorers.noisy_quadratic),
        (scheduling, explorers.plateau),
        (weights, explorers.modulo_loop),
        (weights, explorers.four_loops),
    ],
)
def test_a_picture_depends_on_nothing_but_the_values(module, make, digit_images):
    def change(control):
        if isinstance(control, widgets.Dropdown):
            control.index = 1
        elif isinstance(control, widgets.Text):
            control.value += " step zero_grad" + 5 * " backward step"
        else:
            control.value = 0.1 if control.value == control.max else control.max

    module._stage.cache_clear()
    explorer = make(digit_images) if inspect.signature(make).parameters else make()
    at_first = {name: control.value for name, control in explorer.controls.items()}
    picture = bytes(explorer.picture.value)
    for control in explorer.controls.values():
        change(control)
    changed = bytes(explorer.picture.value)
    for name, value in at_first.items():
        explorer.controls[name].value = value
    assert bytes(explorer.picture.value) == picture != changed


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
        ("", "After 0 lines the weight is +1.000 and .grad is None, so step() would not move the weight."),
        ("step", "After 1 line the weight is +1.000 and .grad is None, so step() would not move the weight."),
        (
            "backward(), step()",
            "1 backward() call, while the slope at this weight is +0.700; step() would move the weight to +0.400.",
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
    samples = min(len(digit_images.labels), cloud.SAMPLES)
    assert cloud._stage(samples).axes[0].get_title("left").endswith(f"arrow: {samples:,} samples")
    distances = []
    for doublings in (0, 4, 8):
        explorer.controls["doublings"].value = doublings
        distances.append(float(re.search(r"tip is ([\d.]+) times", explorer.sentence.value)[1]))
    assert distances[0] == pytest.approx(4 * distances[1], rel=0.2)
    assert distances[0] == pytest.approx(16 * distances[2], rel=0.4)


def test_the_weights_of_the_modulo_loop_and_of_the_right_one():
    said = explorers.modulo_loop().sentence.value
    assert said == "17 samples, 2 updates due. modulo: 1 update, 5 samples have weight 0."
    said = explorers.four_loops().sentence.value
    assert said.startswith(
        "34 samples in 2 epochs, 4 updates due. modulo: 2 updates, in 1 of them the weights do not add up to 1, "
        "5 samples have a wrong weight, 5 samples have weight 0. with_last_step: "
    )
    assert said.endswith("window_first: 4 updates, all weights are right.")


def test_what_has_weight_0_is_marked_and_the_scale_is_that_of_the_weights():
    figure, _ = weights.draw_weights({"modulo": loops.MODULO}, 1, 17, 3, 4)
    of_samples, of_updates = figure.axes
    assert of_samples.lines[-1].get_xdata() == [13, 14, 15, 16, 17] and of_updates.lines[-1].get_xdata() == [2]
    (height,), (label,) = of_samples.get_yticks(), of_samples.get_yticklabels()
    outlines = of_samples.collections[-1].get_segments()  # the weights that are right: 1/12 and, in the tail, 1/5
    assert float(label.get_text()) == pytest.approx(0.2) and height == pytest.approx(outlines[-1][0, 1])
    assert outlines[0][0, 1] == pytest.approx(height * 5 / 12)


@pytest.mark.parametrize(("samples", "micro_batch", "steps"), [(1, 16, 8), (48, 1, 1), (48, 16, 8), (7, 3, 2)])
def test_weights_are_drawn_for_any_sizes(samples, micro_batch, steps):
    figure, sentence = weights.draw_weights(weights.FOUR_LOOPS, 2, samples, micro_batch, steps)
    assert "window_first" in sentence and "window_first" in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("per_micro_batch", [False, True])
def test_the_valleys_paths_are_those_of_the_optimizers(per_micro_batch):
    place = momentum.START.clone().requires_grad_()
    kind = MomentumPerMicroBatch if per_micro_batch else torch.optim.SGD
    optimizer = kind([place], lr=0.02, momentum=0.8)
    places = [place.detach().clone()]
    for _ in range(momentum.UPDATES):
        optimizer.zero_grad()
        for _ in range(4):
            (momentum.height(place) / (1 if per_micro_batch else 4)).backward()
            if per_micro_batch:
                optimizer.absorb(1 / 4)
        optimizer.step()
        places.append(place.detach().clone())
    assert torch.allclose(torch.stack(places), momentum.path(0.8, 4, 0.02, per_micro_batch), atol=1e-9)


def test_the_valley_says_where_both_end():
    explorer = explorers.valley()
    explorer.controls["steps"].value = 1
    ends = re.findall(r"\d\.\de[+-]\d\d", explorer.sentence.value)
    assert ends[0] == ends[1]  # with one micro-batch there is no difference


@pytest.mark.parametrize("signal", [0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("steps", [1, 16, 64])
def test_simulated_steps_agree_with_the_formula(signal, steps):
    theory, simulated = (lengths(signal, steps) for lengths in (adam.step_lengths, adam.simulated_step_lengths))
    assert simulated == pytest.approx(theory, rel=0.1, abs=0.05)
    assert theory[0] >= theory[1] and (steps > 1 or theory[0] == theory[1])


def test_the_second_moments_ratio_is_said():
    assert explorers.second_moment().sentence.value.endswith("the second moment of (b) is 13.9 times that of (a).")


def test_the_expected_losses_are_the_mean_of_many_runs():
    generator = torch.Generator().manual_seed(0)
    w = torch.ones(20_000)
    for _ in range(30):
        w = w - 0.1 * (w + 2.0 / 4**0.5 * torch.randn(len(w), generator=generator))
    expected = scaling.expected_losses(0.1, 2.0, 4, 30)
    assert len(expected) == 31 and (w**2 / 2).mean().item() == pytest.approx(expected[-1], rel=0.05)


def test_without_doubling_all_rules_are_the_small_batch():
    explorer = explorers.noisy_quadratic()
    explorer.controls["doublings"].value = 0
    losses = re.findall(r"(?:is|none|sqrt|linear) (\d[\d.e-]*\d)", explorer.sentence.value)
    assert len(losses) == 4 and len(set(losses)) == 1


@pytest.mark.parametrize(("values", "arrows"), [((4, 0.02, 1.0), ""), ((3, 0.3, 1.0), "^"), ((4, 0.02, 0.0), "vv")])
def test_an_arrow_shows_where_a_curve_leaves_the_picture(values, arrows):
    [axes] = scaling.draw_noisy_quadratic(*values)[0].axes
    found = [line for line in axes.lines if line.get_marker() in ("^", "v")]
    assert "".join(line.get_marker() for line in found) == arrows
    assert all(0 < line.get_xdata()[0] <= scaling.SMALL_UPDATES for line in found)


@pytest.mark.parametrize("options", [{}, {"patience": 0, "cooldown": 3}, {"mode": "max"}, {"threshold_mode": "abs"}])
def test_the_plateau_simulator_is_pytorchs_scheduler(options):
    losses, learning_rates = scheduling.simulate(0.3, **options)
    after = [step.lr for step in plateau_trace(losses, lr=0.5, **options)]
    assert learning_rates == [0.5, *after[:-1]]


def test_a_smaller_learning_rate_has_a_lower_floor():
    floors = {lr: scheduling.simulate(0.0, lr=lr, patience=scheduling.EPOCHS)[0][-1] for lr in (0.5, 0.1)}
    assert floors[0.1] < 0.2 * floors[0.5]
    explorer = explorers.plateau()
    assert "the learning rate is reduced after epoch" in explorer.sentence.value
    explorer.controls["eps"].value = 0.1
    assert explorer.sentence.value.count(",") > 8 and "eps 0.1" in explorer.sentence.value


@pytest.mark.parametrize(("layers", "width", "samples"), [(16, 64, 512), (64, 16, 100), (3, 200, 7)])
def test_activations_by_formula_are_those_that_are_kept(layers, width, samples):
    model = deep_mlp(layers, width)
    with SavedForBackward(model) as saved:
        torch.nn.functional.cross_entropy(
            model(torch.rand(samples, 1, 28, 28)), torch.zeros(samples, dtype=torch.int64)
        )
    assert planner.activation_bytes(layers, width, samples) == pytest.approx(saved.peak, rel=0.03)


def test_segments_keep_less_and_too_many_are_refused():
    found = [planner.activation_bytes(16, 64, 1, segments) for segments in (1, 2, 4, 16)]
    assert found[0] > found[1] > found[2] < found[3]
    with pytest.raises(ValueError, match="segments=17 must be at most layers=16"):
        planner.activation_bytes(16, 64, 1, 17)


def test_the_planner_says_what_fits():
    explorer = explorers.memory_planner()
    assert "does not fit into 8 MB" in explorer.sentence.value
    explorer.controls["steps_doublings"].value = 5
    assert "which fits into 8 MB" in explorer.sentence.value
    explorer.controls["optimizer"].value = "Adam"
    parts = dict(re.findall(r"(parameters|optimizer state) ([\d.]+)", explorer.sentence.value))
    assert float(parts["optimizer state"]) == pytest.approx(2 * float(parts["parameters"]), abs=0.02)
