"""The fast twin of `core.cloud.pack_cloud`: the same bytes, interleaved by OpenCV.

numpy writes one field at a time and so walks over the message five times; `cv2.merge` walks over
it once. The two are held to the same bytes by a test, and `benchmark/bench.py` compares both with
a memcpy.
"""

from __future__ import annotations

from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.cloud import cloud_bytes, OPEN_GATE, POINT_STEP, SigmaGate
from depth_perception.core.frame import Picture
from depth_perception.core.types import DepthMap, SigmaMap
import numpy as np
from numpy.typing import NDArray

_CODES = {'rgb': 'COLOR_RGB2BGRA', 'bgr': 'COLOR_BGR2BGRA', 'grey': 'COLOR_GRAY2BGRA'}
_BLOCK_BYTES = 1 << 21  # of the message; its planes then stay in the second-level cache


def pack_cloud_fast(
    depth: DepthMap,
    sigma: SigmaMap,
    camera: PinholeCamera,
    picture: Picture | None,
    out: Any,
    gate: SigmaGate = OPEN_GATE,
) -> None:
    """Write the organised cloud of a depth image into `out`; see `core.cloud.pack_cloud`.

    Args:
        depth: (H, W) float32 [m]; not finite where unknown, too near or too far.
        sigma: (H, W) float32 [m]; NaN where `depth` is not finite.
        camera: Camera of the depth image.
        picture: Colours on the same grid; None leaves the points black.
        out: Writable buffer of `cloud_size(camera)` bytes.
        gate: Which points become NaN for their sigma.

    Raises:
        ShapeError: If sizes do not agree, or the buffer has another size.
    """
    import cv2

    height, width = depth.shape
    target = cloud_bytes(depth, sigma, camera, picture, out)
    points = target.view(np.float32).reshape(height, width, POINT_STEP // 4)
    rows = max(1, _BLOCK_BYTES // (width * POINT_STEP))
    ray_y = camera.ray_y[:, None]
    for top in range(0, height, rows):
        part = slice(top, min(top + rows, height))
        with np.errstate(invalid='ignore'):
            z = np.subtract(depth[part], depth[part])  # 0, or NaN where the depth is infinite
            z += depth[part]
        error = sigma[part]
        if not gate.is_open:
            holes = gate.holes(depth[part], error)
            z += holes
            error = error + holes
        colours = _colour_words(picture, part, z.shape)
        planes = [z * camera.ray_x, z * ray_y[part], z, colours, error]
        cv2.merge(planes, points[part])


def _colour_words(
    picture: Picture | None, part: slice, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the bits 0x00RRGGBB of some rows, as float32."""
    if picture is None:
        return np.zeros(shape, np.float32)
    import cv2

    code = getattr(cv2, _CODES[picture.order])
    words: NDArray[np.uint32] = cv2.cvtColor(picture.pixels[part], code).view(np.uint32)[..., 0]
    words &= np.uint32(0x00FFFFFF)
    return words.view(np.float32)
