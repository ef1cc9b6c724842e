"""PointCloud2 messages to points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
from types import MappingProxyType
from typing import Any

from depth_perception.core.types import AnyArray
from depth_perception.errors import FrameError
import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 1 << 26
_SIGMA_FIELDS = ('uncertainty', 'sigma')

CloudDecoder = Callable[[Any], 'AnyArray | None']
"""Returns the points of a cloud as a structured array with x, y and z; None if it cannot."""

# Of sensor_msgs/PointField: INT8 is 1, FLOAT64 is 8.
_NUMPY_FORMATS = MappingProxyType(
    {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
)


def xyz_from_cloud(cloud: Any, decoder: CloudDecoder | None = None) -> NDArray[np.float32]:
    """Return the finite points of a cloud of any layout.

    Args:
        cloud: A sensor_msgs/PointCloud2 from anywhere; nothing in it is trusted.
        decoder: Asked first once the cloud is checked, e.g. sensor_msgs_py.

    Returns:
        (N, 3) float32 [m] in the frame of the cloud, a new array; points that are not finite are
        left out.

    Raises:
        FrameError: If x, y or z are missing, or sizes, steps, offsets and data disagree.
    """
    offsets = _checked_offsets(cloud)
    if cloud.width * cloud.height == 0:
        return np.empty((0, 3), np.float32)
    points = decoder(cloud) if decoder is not None else None
    if points is None:
        points = _structured_points(cloud, offsets)
    return _finite_rows(points, 'xyz')


def measured_points_from_cloud(
    cloud: Any, most: int = MAX_POINTS
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the finite points of a cloud of any layout, and how certain each is.

    Args:
        cloud: A sensor_msgs/PointCloud2 from anywhere; nothing in it is trusted.
        most: Of more points than this, an even share is read.

    Returns:
        (N, 3) float32 [m] in the frame of the cloud, and (N,) float32 [m], the field
        `uncertainty` or `sigma`; None if there is neither as one number per point.

    Raises:
        FrameError: As of `xyz_from_cloud`.
    """
    offsets = _checked_offsets(cloud)
    names = ['x', 'y', 'z']
    for name in _SIGMA_FIELDS:
        if len(names) == 3 and any(field.name == name for field in cloud.fields):
            with contextlib.suppress(FrameError):
                offsets[name] = _checked_field(cloud, name)
                names.append(name)
    if cloud.width * cloud.height == 0:
        return np.empty((0, 3), np.float32), None
    points = _structured_points(cloud, offsets)
    step = -(-points.size // most)
    if step > 1 and cloud.height == 1:
        points = points[:, ::step]
    elif step > 1:
        step = int(np.ceil(np.sqrt(step)))
        points = points[::step, ::step]
    rows = _finite_rows(points, names)
    return rows[:, :3], rows[:, 3] if len(names) > 3 else None


def _finite_rows(points: AnyArray, names: Sequence[str]) -> NDArray[np.float32]:
    """Return (N, fields) float32 of the points whose x, y and z are finite."""
    planes = np.empty((len(names), points.size), np.float32)
    with np.errstate(over='ignore', invalid='ignore'):  # a float64 beyond float32 becomes Inf
        for plane, name in zip(planes, names, strict=True):
            plane.reshape(points.shape)[...] = points[name]
    finite = np.isfinite(planes[:3]).all(axis=0)
    rows = np.empty((np.count_nonzero(finite), len(names)), np.float32)
    for column, plane in enumerate(planes):
        rows[:, column] = plane[finite]
    return rows


def _checked_offsets(cloud: Any) -> dict[str, tuple[str, int]]:
    """Return numpy format and offset of x, y and z after checking all that the cloud claims."""
    points = cloud.width * cloud.height
    if points > MAX_POINTS:
        raise FrameError(
            'too_large', f'cloud has {points} points, the limit is {MAX_POINTS}; thin it out'
        )
    row = cloud.width * cloud.point_step
    if cloud.row_step < row and cloud.height > 1:
        raise FrameError(
            'step',
            f'cloud has row_step {cloud.row_step}, but {cloud.width} points of point_step '
            f'{cloud.point_step} are {row} bytes; the publisher must set row_step',
        )
    wanted = row if cloud.height == 1 else cloud.row_step * cloud.height
    if len(cloud.data) < wanted:
        raise FrameError(
            'truncated',
            f'cloud has {len(cloud.data)} bytes of data, but {cloud.width}x{cloud.height} points '
            f'of point_step {cloud.point_step} are {wanted}; the publisher must send whole clouds',
        )
    return {name: _checked_field(cloud, name) for name in 'xyz'}


def _checked_field(cloud: Any, name: str) -> tuple[str, int]:
    found = [field for field in cloud.fields if field.name == name]
    if len(found) != 1 or found[0].datatype not in _NUMPY_FORMATS or found[0].count > 1:
        known = ', '.join(f'{f.name}:{f.datatype}x{f.count}' for f in cloud.fields[:20])
        raise FrameError(
            'fields',
            f'cloud has the fields (name:datatype x count) {known or "none"}; wanted one number '
            'each for x, y and z; give a cloud of points',
        )
    field = found[0]
    kind = _NUMPY_FORMATS[field.datatype]
    if field.offset + np.dtype(kind).itemsize > cloud.point_step:
        raise FrameError(
            'step',
            f'cloud field {name} starts at byte {field.offset} and does not fit into point_step '
            f'{cloud.point_step}; the publisher must set point_step to the bytes of a point',
        )
    return kind, field.offset


def _structured_points(cloud: Any, offsets: dict[str, tuple[str, int]]) -> NDArray[Any]:
    """Return (H, W) with the fields x, y and z, a view of the cloud's data."""
    order = '>' if cloud.is_bigendian else '<'
    dtype = np.dtype(
        {
            'names': list(offsets),
            'formats': [order + kind for kind, _ in offsets.values()],
            'offsets': [offset for _, offset in offsets.values()],
            'itemsize': cloud.point_step,
        }
    )
    strides = (cloud.row_step, cloud.point_step)
    shape = (cloud.height, cloud.width)
    if cloud.height == 1:
        strides = (cloud.point_step * cloud.width, cloud.point_step)
    return np.ndarray(shape, dtype, np.frombuffer(cloud.data, np.uint8), 0, strides)
