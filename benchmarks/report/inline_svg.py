"""A matplotlib figure as SVG inside a page: it takes the page's colour and font, and has a name."""

import html
import io
import re

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

INK = "#010203"
"""Stands for the page's own text colour, light or dark; no data are drawn in it."""
DOTS_PER_INCH = 160
"""Of clouds of points, which are drawn as a picture inside the SVG: thousands would be heavy."""


def style_axes(axes: Axes) -> Axes:
    """Frame, ticks and text in the page's colour, on no ground of its own."""
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color(INK)
    # matplotlib gives the power of ten of an axis no colour of its own.
    axes.yaxis.get_offset_text().set_color(INK)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
        text.set_fontsize(9)
    axes.grid(alpha=0.18, color=INK, linewidth=0.6)
    return axes


def make_figure(width: float, height: float) -> Figure:
    """A figure of inches without a ground."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="none")


def to_inline_svg(figure: Figure, *, prefix: str, description: str) -> str:
    """The <svg> element; `prefix` keeps its ids apart from those of other figures of the page."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a data set may be called "a$b"
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", dpi=DOTS_PER_INCH, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace(INK, "currentColor")
    # The page sets the width; the height follows from the viewBox.
    svg = re.sub(r'<svg ([^>]*?)(?: (?:width|height)="[^"]*")', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)(?: (?:width|height)="[^"]*")', r"<svg \1", svg, count=1)
    label = html.escape(description, quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def as_picture(artist: Artist) -> None:
    """Draw an artist of many points as one picture."""
    artist.set_rasterized(True)
