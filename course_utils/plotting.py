"""One look for every figure, and `show`, which gives a figure its alternative text.

Importing this module sets matplotlib's style (course.mplstyle beside it).
"""

import io

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from course_utils.arguments import instance_of

plt.style.use("course_utils.course")

#: The same colour for the same thing in the whole course (Okabe and Ito's palette, safe for colour-blind eyes).
COLORS = {
    "weight": "#0072B2",
    "gradient": "#E69F00",
    "loss": "#CC79A7",
    "right": "#009E73",
    "wrong": "#D55E00",
    "reference": "#555555",
    # series that are compared, of which none is right or wrong as such
    "first": "#999000",  # the palette's yellow, darker, to be seen on white
    "second": "#56B4E9",
    "third": "#000000",
}
SHARPNESS = 1.5  # picture pixels per CSS pixel


def png(figure: Figure) -> bytes:
    """The figure as a PNG picture with a palette: a third of the size of a full-colour one, and faster to make."""
    instance_of(Figure, figure=figure)
    canvas, dpi = FigureCanvasAgg(figure), figure.dpi
    try:
        figure.dpi = dpi * SHARPNESS
        pixels, size = canvas.print_to_buffer()
    finally:
        figure.dpi = dpi
    colors = Image.frombytes("RGB", size, pixels, "raw", "RGBX")
    picture = io.BytesIO()
    palette = colors.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette.save(picture, "png", compress_level=3)
    return picture.getvalue()


def mimebundle(figure: Figure, alt: str) -> tuple[dict, dict]:
    """Data and metadata that Jupyter needs to show `figure` with `alt` as its alternative text."""
    instance_of(str, alt=alt)
    return {"image/png": png(figure), "text/plain": alt}, {"image/png": {"alt": alt, "width": pixel_width(figure)}}


def pixel_width(figure: Figure) -> int:
    """The width of `figure` on the page, in CSS pixels."""
    instance_of(Figure, figure=figure)
    return round(figure.get_figwidth() * figure.dpi)


def show(figure: Figure, *, alt: str) -> None:
    """Shows `figure` below the cell and closes it. `alt` is a sentence that says what is to be seen in it.

    Raises ValueError if `alt` is no sentence: at least four words and a full stop.
    """
    if not isinstance(alt, str) or len(alt.split()) < 4 or not alt.endswith("."):
        raise ValueError(f"alt={alt!r} must be a sentence that says what the figure shows, with a full stop")
    data, metadata = mimebundle(figure, alt)
    plt.close(figure)
    display(data, raw=True, metadata=metadata)
