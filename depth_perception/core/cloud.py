"""Pack an organised point cloud straight into the bytes of a message.

Convention:
    One point is 20 bytes, little-endian: float32 x, y, z [m] in the optical frame, float32 rgb
    whose bits are 0x00RRGGBB (what PCL and RViz read), float32 uncertainty, one standard
    deviation of z [m]. Row and column of a point are those of its pixel. Where the depth is not
    finite, or sigma too large for the gate, x, y, z and uncertainty are NaN; a cloud never holds
    Inf, because MoveIt's octomap updater skips NaN but not Inf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import ColourOrder, Picture
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import DepthMap, SigmaMap
from depth_perception.errors import ShapeError
import numpy as np
from numpy.typing import NDArray

CLOUD_FIELDS = (('x', 0), ('y', 4), ('z', 8), ('rgb', 12), ('uncertainty', 16))
POINT_STEP = 20

_FLOATS = POINT_STEP // 4


@dataclass(frozen=True)
class SigmaGate:
    """How sure of itself a point must be to be in a cloud.

    Attributes:
        max_m: Greatest sigma [m]; 0: any.
        max_relative: Greatest sigma / depth; 0: any.
    """

    max_m: float = 0.0
    max_relative: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether every point may pass."""
        return not (self.max_m > 0.0 or self.max_relative > 0.0)

    def holes(self, depth: DepthMap, sigma: SigmaMap) -> NDArray[np.float32]:
        """Return (H, W) float32: 0 where a point passes, else NaN; one without sigma never does.

        Args:
            depth: (H, W) float32 [m].
            sigma: (H, W) float32 [m].
        """
        with np.errstate(invalid='ignore'):
            passed = sigma <= np.float32(self.max_m or np.inf)
            if self.max_relative > 0.0:
                passed &= sigma <= depth * np.float32(self.max_relative)
            holes: NDArray[np.float32] = np.divide(np.float32(0.0), passed, dtype=np.float32)
        return holes


OPEN_GATE = SigmaGate()


def cloud_size(camera: PinholeCamera) -> int:
    """Return the number of bytes of the cloud of `camera`."""
    return camera.width * camera.height * POINT_STEP


def cloud_bytes(
    depth: DepthMap, sigma: SigmaMap, camera: PinholeCamera, picture: Picture | None, out: Any
) -> NDArray[np.uint8]:
    """Return `out` as an array, after checking the arguments of `pack_cloud`.

    Args:
        depth: As for `pack_cloud`, like all the others.
        sigma: Standard deviation of `depth`.
        camera: Camera of `depth`.
        picture: Colours, or None.
        out: Buffer for the cloud.

    Raises:
        ShapeError: If sizes do not agree, or the buffer has another size.
    """
    height, width = check_shapes(depth=(depth, 'H W'), sigma=(sigma, 'H W')).values()
    target = np.frombuffer(out, np.uint8)
    if (height, width) != (camera.height, camera.width) or target.size != cloud_size(camera):
        raise ShapeError(
            f'cloud wants depth of {camera.height}x{camera.width} and a buffer of '
            f'{cloud_size(camera)} bytes, got {height}x{width} and {target.size} bytes'
        )
    if picture is not None and picture.pixels.shape[:2] != depth.shape:
        raise ShapeError(f'picture is {picture.pixels.shape[:2]} but depth is {depth.shape}')
    return target


def pack_cloud(
    depth: DepthMap,
    sigma: SigmaMap,
    camera: PinholeCamera,
    picture: Picture | None,
    out: Any,
    gate: SigmaGate = OPEN_GATE,
) -> None:
    """Write the organised cloud of a depth image into `out`.

    Args:
        depth: (H, W) float32 [m]; not finite where unknown, too near or too far.
        sigma: (H, W) float32 [m]; NaN where `depth` is not finite.
        camera: Camera of the depth image.
        picture: Colours on the same grid; None leaves the points black.
        out: Writable buffer of `cloud_size(camera)` bytes, e.g. an array.array('B').
        gate: Which points become NaN for their sigma.

    Raises:
        ShapeError: If sizes do not agree, or the buffer has another size.
    """
    target = cloud_bytes(depth, sigma, camera, picture, out)
    height, width = depth.shape
    floats = target.view(np.float32).reshape(height, width, _FLOATS)
    colours = target.view(np.uint32).reshape(height * width, _FLOATS)[:, 3]
    with np.errstate(invalid='ignore'):
        z = np.subtract(depth, depth)  # 0, or NaN where the depth is infinite
        z += depth
    if not gate.is_open:
        holes = gate.holes(depth, sigma)
        z += holes
        sigma = sigma + holes
    np.multiply(z, camera.ray_x, out=floats[..., 0])
    np.multiply(z, camera.ray_y[:, None], out=floats[..., 1])
    floats[..., 2] = z
    floats[..., 4] = sigma
    if picture is None:
        colours[:] = 0
    else:
        _pack_colours(np.ascontiguousarray(picture.pixels).reshape(-1), picture.order, colours)


def _pack_colours(
    pixels: NDArray[np.uint8], order: ColourOrder, colours: NDArray[np.uint32]
) -> None:
    """Write 0x00RRGGBB of every pixel.

    Three bytes are read as one unaligned 32-bit word that also holds the first byte of the next
    pixel: big-endian R G B x is 0xRRGGBBxx, little-endian B G R x is 0xxxRRGGBB. The very last
    pixel has no next one and is packed by itself.
    """
    if order == 'grey':
        np.multiply(pixels, np.uint32(0x010101), out=colours, dtype=np.uint32)
        return
    kind = '>u4' if order == 'rgb' else '<u4'
    words = np.ndarray((colours.size - 1,), kind, buffer=pixels, strides=(3,))
    if order == 'rgb':
        np.right_shift(words, np.uint32(8), out=colours[:-1])
    else:
        np.bitwise_and(words, np.uint32(0x00FFFFFF), out=colours[:-1])
    red, green, blue = pixels[-3:] if order == 'rgb' else pixels[:-4:-1]
    colours[-1] = int(red) << 16 | int(green) << 8 | int(blue)
