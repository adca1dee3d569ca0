"""Drawing into Matplotlib axes, for figures that are laid out there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .attribution import Attribution
from .errors import ArgumentError

if TYPE_CHECKING:
    import matplotlib.axes

    from .result import Result


def draw(a: Attribution, kind: str, ax: matplotlib.axes.Axes, options: Mapping[str, Any]) -> matplotlib.axes.Axes:
    """Draws "bars", "heatmap" or "map" of an attribution; options as for `Attribution.view`. Hidden columns are left
    out."""
    kinds = {"bars": _bars, "heatmap": _heatmap, "map": _map}
    if kind not in kinds:
        raise ArgumentError(f'kind "{kind}": {", ".join(kinds)} can be drawn into axes')
    view = a.view(**options)
    shown = [i for i, hidden in enumerate(view.hidden) if not hidden]
    labels = [f"{i}: {label.strip()}" for i, label in enumerate(a.columns)]
    kinds[kind](a, view, shown, ax)
    ticks: Any = ax  # Matplotlib's own types are partly unknown
    ticks.set_xticks(range(len(shown)), [labels[i] for i in shown], rotation=90)
    return ax


def _bars(a: Attribution, view: Any, shown: list[int], ax: Any) -> None:
    ax.bar(range(len(shown)), view.scores[shown])
    ax.set_ylabel(a.method)


def _heatmap(a: Attribution, view: Any, shown: list[int], ax: Any) -> None:
    _image(ax, view.profile[shown].T)
    ax.set_ylabel("layer")


def _map(a: Attribution, view: Any, shown: list[int], ax: Any) -> None:
    _image(ax, a.mean[:, shown])
    ax.set_yticks(range(a.shape[0]), [token.text for token in a.tokens])


def _image(ax: Any, values: Any) -> None:
    signed = bool((values < 0).any())
    scale = float(abs(values).max()) if values.size else 1.0
    low = -scale if signed else 0.0
    ax.imshow(values, aspect="auto", origin="lower", cmap="RdBu_r" if signed else "viridis", vmin=low, vmax=scale)


def overlay(
    result: Result, image: Any, ax: matplotlib.axes.Axes, token: str | int = 0, **options: Any
) -> matplotlib.axes.Axes:
    """Draws an image model's result over its image: what `token` (0: the class token) took from each patch."""
    import numpy

    scores = result.scores(token, **options)
    side = int((len(scores) - 1) ** 0.5)
    if side * side == 0:
        raise ArgumentError(f"{len(scores)} columns are no patches of an image")
    patches = scores[len(scores) - side * side :].reshape(side, side)
    pixels = numpy.asarray(image)
    height, width = pixels.shape[:2]
    canvas: Any = ax
    canvas.imshow(pixels)
    canvas.imshow(patches, extent=(0, width, height, 0), alpha=0.55, cmap="viridis", interpolation="bilinear")
    canvas.set_axis_off()
    return ax
