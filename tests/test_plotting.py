"""course_utils.plotting: every picture has an alternative text that is a sentence."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgb

from course_utils import plotting


@pytest.fixture
def shown(monkeypatch):
    """What was displayed."""
    calls = []
    monkeypatch.setattr(plotting, "display", lambda data, raw, metadata: calls.append((data, metadata)))
    return calls


def test_a_picture_is_shown_with_its_text_and_closed(shown):
    figure, axes = plt.subplots(figsize=(4, 2))
    axes.plot([1, 2])
    plotting.show(figure, alt="A line rises from left to right.")
    [(data, metadata)] = shown
    assert data["image/png"].startswith(b"\x89PNG") and data["text/plain"] == "A line rises from left to right."
    assert metadata == {"image/png": {"alt": "A line rises from left to right.", "width": 400}}
    assert not plt.fignum_exists(figure.number)


def test_the_same_figure_gives_the_same_bytes():
    pictures = []
    for _ in range(2):
        figure, axes = plt.subplots()
        axes.plot([1, 3, 2])
        pictures.append(plotting.png(figure))
        plt.close(figure)
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("alt", ["", "figure", "A line that rises", None, 3])
def test_an_alternative_text_that_is_no_sentence_is_refused(shown, alt):
    figure, _ = plt.subplots()
    with pytest.raises(ValueError, match="alt="):
        plotting.show(figure, alt=alt)
    plt.close(figure)
    assert not shown


def test_the_colours_differ_and_are_seen_on_white():
    def luminance(color):
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    assert len(set(plotting.COLORS.values())) == len(plotting.COLORS)
    for name, color in plotting.COLORS.items():
        assert 1.05 / (luminance(color) + 0.05) > 2, name
