"""Pictures and depth to image messages, into buffers that are reused."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from depth_perception.core.depth_units import millimetres_from_depth
from depth_perception.core.types import AnyArray
from depth_perception.errors import ShapeError
import numpy as np
from sensor_msgs.msg import Image

_OUTPUT_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        '32FC1': np.dtype(np.float32),
        '16UC1': np.dtype(np.uint16),
        'mono8': np.dtype(np.uint8),
        'rgb8': np.dtype(np.uint8),
        'bgr8': np.dtype(np.uint8),
    }
)


class ImageWriter:
    """Writes a stream of images into one message, whose buffer is reused while the size stays.

    The message is valid until the next write: publish it (which serialises it) before.

    Args:
        encoding: 32FC1, 16UC1 (also takes float32 metres, saturated to millimetres), mono8,
            rgb8 or bgr8.

    Raises:
        ShapeError: If the encoding is another one.
    """

    def __init__(self, encoding: str) -> None:
        if encoding not in _OUTPUT_DTYPES:
            raise ShapeError(
                f'cannot write encoding {encoding!r}; wanted one of {", ".join(_OUTPUT_DTYPES)}'
            )
        self._dtype = _OUTPUT_DTYPES[encoding]
        self._message = Image(encoding=encoding, is_bigendian=0)
        self._target: AnyArray = np.empty(0, self._dtype)

    def write(self, values: AnyArray, header: Any) -> Image:
        """Return the message with `values` as its pixels.

        Args:
            values: (H, W) or, for rgb8 and bgr8, (H, W, 3) of the encoding's dtype.
            header: std_msgs/Header of the image that the values belong to.

        Raises:
            ShapeError: If shape or dtype are not those of the encoding.
        """
        message = self._message
        if message.encoding == '16UC1' and values.dtype == np.float32:
            values = millimetres_from_depth(values)
        colour = message.encoding in {'rgb8', 'bgr8'}
        if values.dtype != self._dtype or values.ndim != (3 if colour else 2):
            raise ShapeError(
                f'{message.encoding} wants {self._dtype} {"(H, W, 3)" if colour else "(H, W)"}, '
                f'got {values.dtype} {values.shape}'
            )
        if values.shape != self._target.shape:
            self._resize(values)
        np.copyto(self._target, values)
        message.header = header
        return message

    def _resize(self, values: AnyArray) -> None:
        message = self._message
        message.height, message.width = values.shape[:2]
        message.step = values.nbytes // values.shape[0]
        message.data = array('B', bytes(values.nbytes))
        little = self._dtype.newbyteorder('<')
        self._target = np.frombuffer(message.data, little).reshape(values.shape)


def image_from_array(values: AnyArray, header: Any, encoding: str) -> Image:
    """Return a new image message; see ImageWriter for the arguments.

    Raises:
        ShapeError: If shape or dtype are not those of the encoding.
    """
    return ImageWriter(encoding).write(values, header)
