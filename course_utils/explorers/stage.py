"""A figure that is quick to draw again, so that an explorer's picture follows its sliders."""

from typing import Any

from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.spines import Spine


class Stage(Figure):
    """A figure with a scene, which is drawn once, and actors in front of it, which are drawn for every picture.

    The scene is what the axes hold when `empty` is first called. What is added afterwards are actors; the next call of
    `empty` removes them. Two kinds of actors stay: spines, and each axis whose limits or ticks change, for which
    `animate` has to be called.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(layout="none", **options)
        self.scene, self.backdrops = set(), {}  # the backdrops are pictures of the scene, by their resolution

    def animate(self, axis: Axis, label: str = "") -> None:
        """Makes `axis` an actor that stays. The `label` below an x-axis belongs to the scene."""
        axis.set_animated(True)
        axis.set_label_coords(0, 0)  # else matplotlib computes a place for the axis' own, empty label
        below = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "top"}
        axis.axes.annotate(label, (0.5, 0), (0, -21), **below)

    def empty(self) -> "Stage":
        """Removes the actors of the previous picture, and returns the stage."""
        self.scene = self.scene or set(self._artists())
        for artist in self._artists():
            if artist not in self.scene:
                artist.remove()
        for axes in self.axes:
            axes.relim()
            axes.set_prop_cycle(None)
        return self

    def draw(self, renderer: RendererBase) -> None:
        """Copies the backdrop and draws the actors."""
        shown = [artist for artist in self._artists() if artist.get_visible()]
        actors = [
            artist for artist in shown if artist not in self.scene or artist.get_animated() or isinstance(artist, Spine)
        ]
        if renderer.dpi not in self.backdrops:
            for artist in actors:
                artist.set_visible(False)
            super().draw(renderer)
            for artist in actors:
                artist.set_visible(True)
            self.backdrops[renderer.dpi] = renderer.copy_from_bbox(self.bbox)
        renderer.restore_region(self.backdrops[renderer.dpi])
        for artist in sorted(actors, key=Artist.get_zorder):
            artist.draw(renderer)

    def _artists(self) -> list[Artist]:
        return [artist for axes in self.axes for artist in axes.get_children()]
