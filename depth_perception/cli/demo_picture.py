"""One picture of the demo: what the camera saw, depth, standard deviation and cloud."""

from __future__ import annotations

from depth_perception.core.types import Pixels
from depth_perception.evaluation.pictures import (
    colourise,
    depth_scale,
    opencv,
    render_cloud,
    sigma_scale,
    with_colour_bar,
)
from depth_perception.evaluation.playback import Given, Published
import numpy as np

_GAP_PX = 8


def overview_of(given: Given, published: Published) -> Pixels:
    """Return the (H, W, 3) uint8 RGB picture: image and depth above, sigma and cloud below."""
    depth, sigma = published.depth, published.sigma
    metres = depth_scale([depth] if given.truth is None else [given.truth])
    unsure = sigma_scale(sigma)
    tiles = [
        _titled(given.picture, 'Left image'),
        with_colour_bar(colourise(depth, metres), metres, 'Depth'),
        with_colour_bar(colourise(sigma, unsure), unsure, 'Standard deviation of the depth'),
        _titled(render_cloud(depth, given.picture, given.camera), 'Cloud, from beside the camera'),
    ]
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    sheet = np.full((2 * height + _GAP_PX, 2 * width + _GAP_PX, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // 2 * (height + _GAP_PX), index % 2 * (width + _GAP_PX)
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def _titled(rgb: Pixels, title: str) -> Pixels:
    """Return the picture with a line of text below it."""
    band = np.full((24, rgb.shape[1], 3), 255, np.uint8)
    cv2 = opencv()
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(band, title, (max(8, rgb.shape[1] // 40), 17), font, 0.45, (40, 40, 40), 1, 16)
    return np.vstack([rgb, band])
