"""Colour conversion of pictures, done by OpenCV and only where it is needed."""

from __future__ import annotations

from depth_perception.core.frame import ColourOrder, Picture
from depth_perception.core.types import Pixels

_CODES = {
    ('rgb', 'bgr'): 'COLOR_RGB2BGR',
    ('rgb', 'grey'): 'COLOR_RGB2GRAY',
    ('bgr', 'rgb'): 'COLOR_BGR2RGB',
    ('bgr', 'grey'): 'COLOR_BGR2GRAY',
    ('grey', 'rgb'): 'COLOR_GRAY2RGB',
    ('grey', 'bgr'): 'COLOR_GRAY2BGR',
}


def pixels_in(order: ColourOrder, picture: Picture) -> Pixels:
    """Return the pixels of `picture` in channel order `order`; no copy when they are already.

    Returns:
        (H, W) uint8 for 'grey', else (H, W, 3) uint8.
    """
    if picture.order == order:
        return picture.pixels
    import cv2

    converted: Pixels = cv2.cvtColor(picture.pixels, getattr(cv2, _CODES[picture.order, order]))
    return converted
