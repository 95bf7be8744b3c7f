"""An interactive figure: a pure function from a few parameters to a figure and a sentence, with controls around it."""

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from course_utils import plotting
from course_utils.arguments import instance_of

Draw = Callable[..., tuple[Figure, str]]


class Explorer(widgets.VBox):
    """Controls, the picture that `draw` makes of their values, and below it the sentence that says what it shows.

    `draw` takes the value of each control by name, and may return the same figure again, changed (see Stage). Where no
    widget runs (GitHub, an HTML page), the picture and the sentence that were stored last are shown instead.
    """

    def __init__(self, draw: Draw, *, buttons: tuple[widgets.Button, ...] = (), **controls: Any) -> None:
        instance_of(Callable, draw=draw)
        instance_of(tuple, buttons=buttons)
        instance_of(widgets.ValueWidget, **controls)
        self.draw, self.controls = draw, controls
        self.picture = widgets.Image(format="png", layout={"max_width": "100%"})
        self.sentence = widgets.HTML()
        top = [widgets.HBox(buttons)] if buttons else []
        super().__init__([*top, *controls.values(), self.picture, self.sentence])
        self.add_class("course-explorer")
        for control in controls.values():
            control.observe(self.redraw, names="value")
        self.redraw()

    def redraw(self, change: object = None) -> None:
        """Draws the picture again, and writes the sentence, from the values of the controls."""
        figure, sentence = self.draw(**{name: control.value for name, control in self.controls.items()})
        self.standing = plotting.mimebundle(figure, sentence)
        self.picture.layout.width = f"{plotting.pixel_width(figure)}px"
        self.picture.value = self.standing[0]["image/png"]
        self.sentence.value = html.escape(sentence)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = self.standing
        return (super()._repr_mimebundle_(**kwargs) or {}) | data, metadata


def slider(kind: type, description: str, value: float, low: float, high: float, step: float) -> widgets.Widget:
    """A slider of the `kind` IntSlider or FloatSlider, wide enough for its description."""
    style, layout = {"description_width": "13em"}, {"width": "36em"}
    return kind(value=value, min=low, max=high, step=step, description=description, style=style, layout=layout)
