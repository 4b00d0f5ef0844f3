"""The weights of the convolutions."""

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from numnist.arrays import Array
from numnist.nn import Conv2d, Model
from numnist.view.figures import SIGNED
from numnist.view.trace import flat_layers

MOST_OUT, MOST_IN = 32, 16
"""How many filters of a layer are shown, and of how many of its input channels."""


def draw_filters(model: Model) -> Figure:
    """The filters of every convolution: a column for each filter, a row for each channel that it looks at.

    One scale for each layer, white being 0. Of large layers the first `MOST_OUT` filters are shown, of the
    first `MOST_IN` channels.

    Raises: ValueError for a model without a convolution.
    """
    layers = [layer for layer in flat_layers(model.network) if isinstance(layer, Conv2d)]
    if not layers:
        raise ValueError("draw_filters: expected a model with a convolution")
    mosaics = [_mosaic(layer.parameters["weight"][:MOST_OUT, :MOST_IN]) for layer in layers]
    heights = [max(1.0, 11 * mosaic.shape[0] / mosaic.shape[1]) for mosaic in mosaics]
    figure = Figure(figsize=(12, sum(heights) + 0.8 * len(layers)), dpi=110, layout="constrained")
    grid = figure.subplots(len(layers), 1, squeeze=False, height_ratios=heights)
    for number, (axes, layer, mosaic) in enumerate(zip(grid[:, 0], layers, mosaics, strict=True), start=1):
        largest = float(np.nanmax(np.abs(mosaic))) or 1.0
        shown = axes.imshow(mosaic, cmap=SIGNED, norm=Normalize(-largest, largest), interpolation="nearest")
        pitch = layer.kernel_size + 1
        filters, channels = min(layer.out_channels, MOST_OUT), min(layer.in_channels, MOST_IN)
        axes.set_xticks(pitch * np.arange(filters) + (pitch - 2) / 2, range(filters))
        axes.set_yticks(pitch * np.arange(channels) + (pitch - 2) / 2, range(channels))
        axes.tick_params(length=0, labelsize=6)
        axes.set(xlabel="filter", ylabel="input channel")
        axes.spines[:].set_visible(False)
        axes.set_title(_title(number, layer, filters, channels), fontsize=9, loc="left")
        figure.colorbar(shown, ax=axes, label="weight", fraction=0.02, pad=0.01)
    return figure


def _title(number: int, layer: Conv2d, filters: int, channels: int) -> str:
    whole = f"convolution {number}: {layer.out_channels} filters of {layer.kernel_size}×{layer.kernel_size}"
    all_in = f" on {layer.in_channels} channel{'s' if layer.in_channels > 1 else ''}"
    if (filters, channels) == (layer.out_channels, layer.in_channels):
        return whole + all_in
    return f"{whole}{all_in} (the first {filters}, on the first {channels})"


def _mosaic(weight: Array) -> Array:
    """Filters (O, C, K, K) side by side, NaN between them."""
    O, C, K, _ = weight.shape  # noqa: E741 -- the formula's letter
    tiles = np.full((C, K + 1, O, K + 1), np.nan, weight.dtype)
    tiles[:, :K, :, :K] = weight.transpose(1, 2, 0, 3)
    return tiles.reshape(C * (K + 1), O * (K + 1))[:-1, :-1]
