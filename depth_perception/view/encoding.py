"""A frame as the bytes that the page understands.

Layout: 'DPV1', the length of the header as little-endian uint32, the header (JSON, padded to a
multiple of four), then the parts that it names by offset (from the end of the header) and length:
`depth` and `sigma` as little-endian float16 rows, `image` as JPEG or PNG. float16 holds NaN and
both infinities, and every depth to within 0.05 %.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import struct
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.colours import (
    ColourScale,
    steady_depth_scale,
    steady_sigma_scale,
    SteadyScale,
)
from depth_perception.core.types import AnyArray, DepthMap, SigmaMap
from depth_perception.view.frames import Decoded, decoded, FrameSet
import numpy as np

MAGIC = b'DPV1'


class FrameEncoder:
    """Makes the bytes of the frames of one camera.

    Args:
        most_side_px: Depth with a longer side is thinned out to no more; values stay as they are.
    """

    def __init__(self, most_side_px: int) -> None:
        self._most_side_px = most_side_px
        self._scales: Mapping[str, SteadyScale] = {
            'depth': steady_depth_scale(),
            'sigma': steady_sigma_scale(),
            'relative': steady_sigma_scale(),
        }

    def encode(self, number: int, frame: FrameSet | Decoded, facts: Mapping[str, Any]) -> bytes:
        """Return the bytes of a frame; its number and `facts` join its header.

        Raises:
            FrameError: If the depth image cannot be used.
        """
        content = frame if isinstance(frame, Decoded) else decoded(frame)
        height, width = content.depth.shape
        step = -(-max(height, width) // self._most_side_px)
        depth = content.depth[::step, ::step]
        sigma = None if content.sigma is None else content.sigma[::step, ::step]
        parts = {'depth': _half(depth)}
        if sigma is not None:
            parts['sigma'] = _half(sigma)
        if content.image:
            parts['image'] = content.image
        header = {
            'number': number,
            'stamp_ns': str(content.stamp_ns),
            'frame_id': content.frame_id,
            'size': [width, height],
            'step': step,
            'grid': [depth.shape[1], depth.shape[0]],
            'camera': _camera(content.camera, step),
            'scales': self._ranges(depth, sigma),
            'figures': _figures(depth, sigma),
            'remarks': list(content.remarks),
            **facts,
        }
        return packed(header, parts)

    def _ranges(self, depth: DepthMap, sigma: SigmaMap | None) -> dict[str, list[float]]:
        values: dict[str, AnyArray] = {'depth': depth}
        if sigma is not None:
            values['sigma'] = sigma
            with np.errstate(invalid='ignore', divide='ignore'):
                values['relative'] = sigma / depth
        scales: dict[str, ColourScale] = {
            name: self._scales[name].scale_for(array) for name, array in values.items()
        }
        return {name: [scale.low, scale.high] for name, scale in scales.items()}


def packed(header: Mapping[str, Any], parts: Mapping[str, bytes]) -> bytes:
    """Return header and parts as one block of bytes, parts at multiples of four."""
    places: dict[str, list[int]] = {}
    offset = 0
    for name, data in parts.items():
        places[name] = [offset, len(data)]
        offset += -(-len(data) // 4) * 4
    text = json.dumps({**header, 'parts': places}, allow_nan=False).encode()
    text += b' ' * (-len(text) % 4)
    padded = [data + b'\0' * (-len(data) % 4) for data in parts.values()]
    return b''.join([MAGIC, struct.pack('<I', len(text)), text, *padded])


def _half(values: AnyArray) -> bytes:
    with np.errstate(over='ignore'):
        return values.astype('<f2').tobytes()


def _camera(camera: PinholeCamera | None, step: int) -> dict[str, float] | None:
    """Return the intrinsics of the thinned grid, whose pixel (i, j) is (step i, step j)."""
    if camera is None:
        return None
    names = ('fx', 'fy', 'cx', 'cy')
    return {name: getattr(camera, name) / step for name in names}


def _figures(depth: DepthMap, sigma: SigmaMap | None) -> dict[str, float]:
    """Return what is to be said of a frame in numbers; what is not known is left out."""
    known = np.isfinite(depth)
    figures = {'known_percent': 100.0 * float(known.mean())}
    if known.any():
        figures['median_depth_m'] = float(np.median(depth[known]))
        if sigma is not None:
            relative = float(np.nanmedian(sigma[known] / depth[known]))
            if np.isfinite(relative):
                figures['median_relative_sigma_percent'] = 100.0 * relative
    return figures
