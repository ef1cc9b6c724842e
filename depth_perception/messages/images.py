"""Image messages to pictures and depth, without a copy wherever the layout allows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from depth_perception.core.camera import MAX_SIDE_PX
from depth_perception.core.frame import ColourOrder, Picture
from depth_perception.core.types import AnyArray, DepthMap, Pixels
from depth_perception.errors import BackendUnavailableError, FrameError
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class _Layout:
    """How one encoding lies in memory, and the cv2.cvtColor code that makes it a picture."""

    channels: int
    order: ColourOrder
    conversion: str = ''  # name of a cv2 constant; empty: a picture as it is
    itemsize: int = 1
    even_width: bool = False


# OpenCV names a Bayer pattern by its second row, ROS by its first: rggb is OpenCV's BG.
_LAYOUTS = MappingProxyType(
    {
        'rgb8': _Layout(3, 'rgb'),
        'bgr8': _Layout(3, 'bgr'),
        '8UC3': _Layout(3, 'bgr'),
        'mono8': _Layout(1, 'grey'),
        '8UC1': _Layout(1, 'grey'),
        'mono16': _Layout(1, 'grey', itemsize=2),
        'rgba8': _Layout(4, 'rgb', 'COLOR_RGBA2RGB'),
        'bgra8': _Layout(4, 'bgr', 'COLOR_BGRA2BGR'),
        'bayer_rggb8': _Layout(1, 'rgb', 'COLOR_BayerBG2RGB'),
        'bayer_bggr8': _Layout(1, 'rgb', 'COLOR_BayerRG2RGB'),
        'bayer_gbrg8': _Layout(1, 'rgb', 'COLOR_BayerGR2RGB'),
        'bayer_grbg8': _Layout(1, 'rgb', 'COLOR_BayerGB2RGB'),
        'uyvy': _Layout(2, 'rgb', 'COLOR_YUV2RGB_UYVY', even_width=True),
        'yuv422': _Layout(2, 'rgb', 'COLOR_YUV2RGB_UYVY', even_width=True),
        'yuyv': _Layout(2, 'rgb', 'COLOR_YUV2RGB_YUY2', even_width=True),
        'yuv422_yuy2': _Layout(2, 'rgb', 'COLOR_YUV2RGB_YUY2', even_width=True),
    }
)
ForeignDecoder = Callable[[Any], 'Pixels | None']
"""Returns (H, W, 3) uint8 BGR of an image in an encoding unknown here; None if it cannot."""

_DEPTH_ENCODINGS = ('16UC1', '32FC1')


def picture_from_image(
    msg: Any, max_side_px: int = MAX_SIDE_PX, foreign: ForeignDecoder | None = None
) -> Picture:
    """Return the 8-bit picture of an image message.

    rgb8, bgr8 and mono8 without padding share the memory of `msg`; everything else is copied.
    mono16 is scaled from its full range. 8UC3 is taken for bgr, as OpenCV does.

    Args:
        msg: A sensor_msgs/Image from anywhere; nothing in it is trusted.
        max_side_px: Larger images are refused.
        foreign: Asked for encodings that are not known here, e.g. cv_bridge.

    Raises:
        FrameError: If sizes, step and data disagree, or the encoding is not that of a camera
            image.
        BackendUnavailableError: If the encoding needs OpenCV and it is not installed.
    """
    check_image_size(msg.width, msg.height, max_side_px)
    layout = _LAYOUTS.get(msg.encoding)
    if layout is None:
        return _foreign_picture(msg, foreign)
    rows = _rows(msg, msg.width * layout.channels, _item_dtype(msg, layout.itemsize))
    if layout.itemsize == 2:
        return Picture(_eight_bits(rows), 'grey')
    if layout.channels > 1:
        rows = rows.reshape(msg.height, msg.width, layout.channels)
    if layout.conversion:
        return Picture(_converted(rows, layout, msg), layout.order)
    return Picture(np.ascontiguousarray(rows), layout.order)


def depth_from_image(msg: Any, max_side_px: int = MAX_SIDE_PX) -> DepthMap:
    """Return the depth [m] of a 16UC1 (millimetres) or 32FC1 (metres) image message.

    Args:
        msg: A sensor_msgs/Image from anywhere; nothing in it is trusted.
        max_side_px: Larger images are refused.

    Returns:
        (H, W) float32 [m], a new array; NaN unknown (also for 0 and negative values, which many
        drivers write), +Inf and -Inf as they came.

    Raises:
        FrameError: If sizes, step and data disagree, or the encoding is not that of depth.
    """
    check_image_size(msg.width, msg.height, max_side_px)
    if msg.encoding not in _DEPTH_ENCODINGS:
        raise FrameError(
            'encoding',
            f'depth image has encoding {msg.encoding!r}, wanted 32FC1 [m] or 16UC1 [mm]; '
            'give a depth topic',
        )
    kind = 'u2' if msg.encoding == '16UC1' else 'f4'
    rows = _rows(msg, msg.width, np.dtype(('>' if msg.is_bigendian else '<') + kind))
    depth = rows.astype(np.float32)
    if kind == 'u2':
        depth *= np.float32(1e-3)
    depth[(depth <= 0.0) & np.isfinite(depth)] = np.nan
    return depth


def float_rows(msg: Any, max_side_px: int = MAX_SIDE_PX) -> NDArray[np.float32]:
    """Return (H, W) float32 of a 32FC1 message as it is; may share the memory of `msg`.

    Raises:
        FrameError: If sizes, step and data disagree, or the encoding is another one.
    """
    check_image_size(msg.width, msg.height, max_side_px)
    if msg.encoding != '32FC1':
        raise FrameError('encoding', f'image has encoding {msg.encoding!r}, wanted 32FC1')
    rows = _rows(msg, msg.width, np.dtype(('>' if msg.is_bigendian else '<') + 'f4'))
    return rows.astype(np.float32, copy=False)


def check_image_size(width: int, height: int, max_side_px: int) -> None:
    """Check that an image is neither empty nor absurd, before anything is made of its bytes.

    Raises:
        FrameError: If a side is 0, or longer than `max_side_px`.
    """
    if width == 0 or height == 0:
        raise FrameError(
            'zero_size', f'image is {width}x{height}, it has no pixels; check the camera driver'
        )
    if max(width, height) > max_side_px:
        raise FrameError(
            'too_large',
            f'image is {width}x{height}, the limit is {max_side_px} px a side; publish smaller '
            'images, or raise max_image_side_px',
        )


def _item_dtype(msg: Any, itemsize: int) -> np.dtype[Any]:
    return np.dtype(f'{">" if msg.is_bigendian else "<"}u{itemsize}')


def _rows(msg: Any, items_per_row: int, dtype: np.dtype[Any]) -> AnyArray:
    """Return (H, items_per_row) of the message, a view, after checking step and data length."""
    row_bytes = items_per_row * dtype.itemsize
    if msg.step < row_bytes:
        raise FrameError(
            'step',
            f'step is {msg.step} bytes, but a row of {msg.width} px {msg.encoding} has '
            f'{row_bytes}; the publisher must set step to the bytes of a row',
        )
    wanted, given = msg.step * msg.height, len(msg.data)
    if given != wanted:
        raise FrameError(
            'truncated' if given < wanted else 'data_size',
            f'data has {given} bytes, but step {msg.step} x height {msg.height} is {wanted}; '
            'the publisher must send whole images',
        )
    flat = np.frombuffer(msg.data, np.uint8)
    rows = flat.reshape(msg.height, msg.step)[:, :row_bytes]
    return np.ascontiguousarray(rows).view(dtype)


def _eight_bits(values: AnyArray) -> NDArray[np.uint8]:
    """Return 16-bit grey scaled to 8 bits and rounded."""
    native = values.astype(np.uint32)
    return np.asarray((native + 128) // 257, np.uint8)


def _converted(pixels: AnyArray, layout: _Layout, msg: Any) -> NDArray[np.uint8]:
    if layout.even_width and msg.width % 2:
        raise FrameError(
            'odd_size',
            f'image is {msg.width} px wide, but {msg.encoding} packs pixels in pairs; '
            'the publisher must send an even width',
        )
    if layout.conversion.startswith('COLOR_Bayer') and min(msg.width, msg.height) < 4:
        raise FrameError(
            'too_small',
            f'image is {msg.width}x{msg.height}; {msg.encoding} needs 4 px a side at least',
        )
    try:
        import cv2
    except ImportError as error:
        raise BackendUnavailableError(
            f'encoding {msg.encoding} needs OpenCV: pip install opencv-python-headless, or apt '
            'install python3-opencv; or publish rgb8, bgr8 or mono8'
        ) from error
    return np.asarray(cv2.cvtColor(pixels, getattr(cv2, layout.conversion)), np.uint8)


def _foreign_picture(msg: Any, foreign: ForeignDecoder | None) -> Picture:
    whole = msg.step * msg.height == len(msg.data)
    if foreign is not None and whole and msg.encoding not in _DEPTH_ENCODINGS:
        pixels = foreign(msg)
        if pixels is not None:
            return Picture(pixels, 'bgr')
    raise FrameError(
        'encoding',
        f'image has encoding {msg.encoding!r}, wanted one of {", ".join(_LAYOUTS)}; '
        'give a camera image in one of these',
    )
