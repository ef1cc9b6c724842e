"""Write a coloured point cloud that every viewer opens: binary little-endian PLY."""

from __future__ import annotations

from pathlib import Path

from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import DepthMap, Pixels, SigmaMap
import numpy as np
from numpy.typing import NDArray

_FIELDS = (
    *((name, '<f4') for name in ('x', 'y', 'z')),
    *((name, 'u1') for name in ('red', 'green', 'blue')),
    ('uncertainty', '<f4'),
)
_POINT = np.dtype(list(_FIELDS))
_NAMES = {'<f4': 'float', 'u1': 'uchar'}


def points_of(
    depth: DepthMap, sigma: SigmaMap, rgb: Pixels, camera: PinholeCamera
) -> NDArray[np.void]:
    """Return one record per pixel with a depth: x, y, z [m], red, green, blue, uncertainty [m].

    Args:
        depth: (H, W) float32 [m]; pixels that are not finite are left out.
        sigma: (H, W) float32 [m].
        rgb: (H, W, 3) uint8.
        camera: Camera of the depth image; points are in its optical frame.

    Raises:
        ShapeError: If the sizes differ.
    """
    check_shapes(depth=(depth, 'H W'), sigma=(sigma, 'H W'), rgb=(rgb, 'H W 3'))
    valid = np.isfinite(depth)
    points: NDArray[np.void] = np.empty(int(valid.sum()), _POINT)
    xyz = points_from_depth(depth, camera)[valid]
    for i, name in enumerate(('x', 'y', 'z')):
        points[name] = xyz[:, i]
    for i, name in enumerate(('red', 'green', 'blue')):
        points[name] = rgb[..., i][valid]
    points['uncertainty'] = sigma[valid]
    return points


def write_ply(path: Path, points: NDArray[np.void]) -> None:
    """Write the records of `points_of` as binary little-endian PLY."""
    properties = [f'property {_NAMES[kind]} {name}' for name, kind in _FIELDS]
    header = [
        'ply',
        'format binary_little_endian 1.0',
        'comment metres, optical frame: x right, y down, z forward; uncertainty: 1 sigma of z',
        f'element vertex {points.size}',
        *properties,
        'end_header',
    ]
    path.write_bytes('\n'.join([*header, '']).encode('ascii') + points.tobytes())
