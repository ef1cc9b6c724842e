"""Clouds: ours straight into the bytes of a message, and anybody's to points."""

from __future__ import annotations

from array import array
import importlib.util
from types import MappingProxyType
from typing import Any

from depth_perception.core.cloud import CLOUD_FIELDS, cloud_size, pack_cloud, POINT_STEP
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import Picture
from depth_perception.errors import FrameError, ShapeError
from depth_perception.inference.cloud_packer import pack_cloud_fast
from depth_perception.ros.standard import xyz_by_sensor_msgs_py
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

MAX_POINTS = 1 << 26

_NUMPY_FORMATS = MappingProxyType(
    {
        PointField.INT8: 'i1',
        PointField.UINT8: 'u1',
        PointField.INT16: 'i2',
        PointField.UINT16: 'u2',
        PointField.INT32: 'i4',
        PointField.UINT32: 'u4',
        PointField.FLOAT32: 'f4',
        PointField.FLOAT64: 'f8',
    }
)


class CloudWriter:
    """Writes a stream of organised clouds into one message, whose buffer is reused.

    OpenCV interleaves the fields where it is installed, numpy does it otherwise.
    The message is valid until the next write: publish it (which serialises it) before.
    """

    def __init__(self) -> None:
        self._message = PointCloud2(
            is_bigendian=False, is_dense=False, point_step=POINT_STEP, fields=_fields()
        )
        self._pack = pack_cloud_fast if importlib.util.find_spec('cv2') else pack_cloud

    def write(self, estimate: DepthEstimate, picture: Picture | None, header: Any) -> PointCloud2:
        """Return the message with the points of `estimate`.

        Args:
            estimate: Depth, sigma and camera.
            picture: Colours on the same grid; None leaves the points black.
            header: std_msgs/Header of the image.

        Raises:
            ShapeError: If picture and estimate differ in size.
        """
        message, camera = self._message, estimate.camera
        if picture and (picture.width, picture.height) != (camera.width, camera.height):
            raise ShapeError(
                f'picture is {picture.width}x{picture.height} but the estimate is '
                f'{camera.width}x{camera.height}'
            )
        if len(message.data) != cloud_size(camera):
            message.data = array('B', bytes(cloud_size(camera)))
        message.height, message.width = camera.height, camera.width
        message.row_step = camera.width * POINT_STEP
        self._pack(estimate.depth, estimate.sigma, camera, picture, message.data)
        message.header = header
        return message


def xyz_from_cloud(cloud: PointCloud2) -> NDArray[np.float32]:
    """Return the finite points of a cloud of any layout.

    Args:
        cloud: A sensor_msgs/PointCloud2 from anywhere; nothing in it is trusted.

    Returns:
        (N, 3) float32 [m] in the frame of the cloud, a new array; points that are not finite are
        left out.

    Raises:
        FrameError: If x, y or z are missing, or sizes, steps, offsets and data disagree.
    """
    offsets = _checked_offsets(cloud)
    if cloud.width * cloud.height == 0:
        return np.empty((0, 3), np.float32)
    points = xyz_by_sensor_msgs_py(cloud)
    if points is None:
        points = _structured_points(cloud, offsets)
    planes = np.empty((3, points.size), np.float32)
    with np.errstate(over='ignore', invalid='ignore'):  # a float64 beyond float32 becomes Inf
        for plane, name in zip(planes, 'xyz', strict=True):
            plane.reshape(points.shape)[...] = points[name]
    finite = np.isfinite(planes).all(axis=0)
    xyz = np.empty((np.count_nonzero(finite), 3), np.float32)
    for column, plane in enumerate(planes):
        xyz[:, column] = plane[finite]
    return xyz


def _fields() -> list[PointField]:
    return [
        PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1)
        for name, offset in CLOUD_FIELDS
    ]


def _checked_offsets(cloud: PointCloud2) -> dict[str, tuple[str, int]]:
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


def _checked_field(cloud: PointCloud2, name: str) -> tuple[str, int]:
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


def _structured_points(cloud: PointCloud2, offsets: dict[str, tuple[str, int]]) -> NDArray[Any]:
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
