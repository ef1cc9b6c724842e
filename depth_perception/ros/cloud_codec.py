"""Clouds straight into the bytes of a message."""

from __future__ import annotations

from array import array
import importlib.util
from typing import Any

from depth_perception.core.cloud import (
    CLOUD_FIELDS,
    cloud_size,
    OPEN_GATE,
    pack_cloud,
    POINT_STEP,
    SigmaGate,
)
from depth_perception.core.cloud_layout import CloudLayout, laid_out, PLAIN_LAYOUT
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import Picture
from depth_perception.errors import ShapeError
from depth_perception.inference.cloud_packer import pack_cloud_fast
import numpy as np
from sensor_msgs.msg import PointCloud2, PointField


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

    def write(
        self,
        estimate: DepthEstimate,
        picture: Picture | None,
        header: Any,
        gate: SigmaGate = OPEN_GATE,
        layout: CloudLayout = PLAIN_LAYOUT,
    ) -> PointCloud2:
        """Return the message with the points of `estimate`.

        Args:
            estimate: Depth, sigma and camera.
            picture: Colours on the same grid; None leaves the points black. Where the estimate
                comes with its cloud, that of its frame.
            header: std_msgs/Header of the image.
            gate: Which points become NaN for their sigma.
            layout: Axes and rows.

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
        if estimate.cloud is not None and gate.is_open and picture is not None:
            np.frombuffer(message.data, np.uint32)[:] = estimate.cloud.reshape(-1)
        else:
            self._pack(estimate.depth, estimate.sigma, camera, picture, message.data, gate)
        message.header = header
        return message if layout.is_plain else _other(message, layout)


def _other(message: PointCloud2, layout: CloudLayout) -> PointCloud2:
    """Return an organised message in another layout; its buffer may be used for that."""
    points = laid_out(message.data, message.width, layout)
    if layout.organised:
        return message
    other = PointCloud2(
        header=message.header,
        height=1,
        width=points.shape[0],
        is_dense=True,
        point_step=POINT_STEP,
        row_step=points.nbytes,
        fields=message.fields,
    )
    other.data = array('B', points.tobytes())
    return other


def _fields() -> list[PointField]:
    return [
        PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1)
        for name, offset in CLOUD_FIELDS
    ]
