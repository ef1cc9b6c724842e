"""Compressed images: JPEG and PNG pictures, and the compressedDepth wire format."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

from depth_perception.core.camera import MAX_SIDE_PX
from depth_perception.core.frame import Picture
from depth_perception.core.rvl import codes_from_rvl
from depth_perception.core.types import AnyArray, DepthMap
from depth_perception.errors import BackendUnavailableError, FrameError
from depth_perception.messages.images import check_image_size
import numpy as np
from numpy.typing import NDArray

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PNG_FIRST_CHUNK = b'\x00\x00\x00\x0dIHDR'
_JPEG_START = b'\xff\xd8'
_JPEG_END = b'\xff\xd9'
_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA
_TAIL_BYTES = 64
_MAX_PARTS = 1 << 16  # chunks or segments; a hostile file must not keep us walking
DEPTH_HEADER = struct.Struct('<iff')
"""What precedes the codes of compressedDepth: the format, and the coefficients A and B."""
DEPTH_SIZE = struct.Struct('<II')
"""What precedes codes in RVL, after the header: width and height."""
# Publishers before 2021 write 'compressedDepth' alone, which meant PNG.
_CODINGS = {'compressedDepth png': 'png', 'compressedDepth': 'png', 'compressedDepth rvl': 'rvl'}


def picture_from_compressed(msg: Any, max_side_px: int = MAX_SIDE_PX) -> Picture:
    """Return the picture of a JPEG or PNG message.

    The size is read from the header of the file before anything is decoded, so that a small file
    cannot make a huge image. 16-bit PNG is scaled to 8 bits.

    Args:
        msg: A sensor_msgs/CompressedImage from anywhere; nothing in it is trusted.
        max_side_px: Larger images are refused.

    Returns:
        A grey picture for files with one channel, else bgr.

    Raises:
        FrameError: If the data is neither JPEG nor PNG, is cut off, or too large.
        BackendUnavailableError: If OpenCV is not installed.
    """
    if 'compressedDepth' in msg.format:
        raise FrameError(
            'encoding',
            f'compressed image has format {msg.format!r}, which is depth; wanted a camera image '
            'in jpeg or png',
        )
    data = _buffer(msg)
    width, height, channels = _checked_size(data, max_side_px)
    cv2 = opencv()
    flags = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    pixels = _decoded(cv2, data, flags | cv2.IMREAD_IGNORE_ORIENTATION, (height, width))
    return Picture(np.asarray(pixels, np.uint8), 'grey' if channels == 1 else 'bgr')


def depth_from_compressed_depth(msg: Any, max_side_px: int = MAX_SIDE_PX) -> DepthMap:
    """Return the depth of a compressedDepth message, 32FC1 or 16UC1.

    Args:
        msg: A sensor_msgs/CompressedImage from anywhere; nothing in it is trusted.
        max_side_px: Larger images are refused.

    Returns:
        (H, W) float32 [m], NaN unknown.

    Raises:
        FrameError: If the format or its header is not compressedDepth in PNG or RVL, or the data
            is cut off or too large.
        BackendUnavailableError: If OpenCV is not installed.
    """
    encoding, _, transport = msg.format.partition(';')
    coding = _CODINGS.get(' '.join(transport.split()))
    if encoding not in {'32FC1', '16UC1'} or coding is None:
        raise FrameError(
            'encoding',
            f'compressed depth has format {msg.format!r}, wanted '
            "'32FC1; compressedDepth png' or '16UC1; compressedDepth png' (or rvl)",
        )
    data = _buffer(msg)
    if data.size <= DEPTH_HEADER.size:
        raise _truncated(data)
    _, a, b = DEPTH_HEADER.unpack(data[: DEPTH_HEADER.size].tobytes())
    read = _codes_from_png if coding == 'png' else _codes_from_rvl
    return _depth_from_codes(read(data[DEPTH_HEADER.size :], max_side_px), encoding, a, b)


def _codes_from_png(file: NDArray[np.uint8], max_side_px: int) -> AnyArray:
    width, height, _ = _checked_size(file, max_side_px)
    cv2 = opencv()
    codes = _decoded(cv2, file, cv2.IMREAD_UNCHANGED, (height, width))
    if codes.dtype != np.uint16 or codes.ndim != 2:
        raise FrameError(
            'encoding',
            f'compressed depth holds {codes.dtype} {codes.shape}, wanted 16-bit grey PNG',
        )
    return codes


def _codes_from_rvl(data: NDArray[np.uint8], max_side_px: int) -> AnyArray:
    if data.size < DEPTH_SIZE.size:
        raise _truncated(data)
    width, height = DEPTH_SIZE.unpack(data[: DEPTH_SIZE.size].tobytes())
    check_image_size(width, height, max_side_px)
    return codes_from_rvl(data[DEPTH_SIZE.size :].data, width * height).reshape(height, width)


def _depth_from_codes(codes: AnyArray, encoding: str, a: float, b: float) -> DepthMap:
    depth = codes.astype(np.float32)
    if encoding == '16UC1':
        depth *= np.float32(1e-3)
    else:
        if not (np.isfinite((a, b)).all() and a > 0.0):
            raise FrameError(
                'encoding',
                f'compressed depth has the coefficients A={a}, B={b}; both must be finite and '
                'A positive',
            )
        depth -= np.float32(b)
        with np.errstate(divide='ignore', over='ignore'):
            np.divide(np.float32(a), depth, out=depth)
    depth[(codes == 0) | ~np.isfinite(depth) | (depth <= 0.0)] = np.nan
    return depth


def opencv() -> ModuleType:
    """Return the cv2 module.

    Raises:
        BackendUnavailableError: If it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise BackendUnavailableError(
            'compressed images need OpenCV: pip install opencv-python-headless, or apt install '
            'python3-opencv; or use image_transport:=raw'
        ) from error
    return cv2


def _buffer(msg: Any) -> NDArray[np.uint8]:
    return np.frombuffer(msg.data, np.uint8) if len(msg.data) else np.empty(0, np.uint8)


def _decoded(
    cv2: ModuleType, data: NDArray[np.uint8], flags: int, shape: tuple[int, int]
) -> AnyArray:
    try:
        pixels: AnyArray | None = cv2.imdecode(data, flags)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != shape:
        raise FrameError(
            'corrupt',
            f'compressed image of {data.size} bytes cannot be decoded; the publisher must send '
            'whole JPEG or PNG files',
        )
    return pixels


def _truncated(data: NDArray[np.uint8]) -> FrameError:
    return FrameError(
        'truncated',
        f'compressed image ends after {data.size} bytes, before the end of its file; '
        'the publisher must send whole files',
    )


def _checked_size(data: NDArray[np.uint8], max_side_px: int) -> tuple[int, int, int]:
    """Return width, height and channels of a complete JPEG or PNG file, from its header."""
    head = data[:32].tobytes()
    if head.startswith(_PNG_SIGNATURE):
        width, height, channels = _png_frame(data, head)
    elif head.startswith(_JPEG_START):
        if not _whole_jpeg(data):
            raise _truncated(data)
        width, height, channels = _jpeg_frame(data)
    else:
        raise FrameError(
            'encoding',
            f'compressed image starts with {head[:8]!r}, which is neither JPEG nor PNG; '
            'publish one of these',
        )
    check_image_size(width, height, max_side_px)
    return width, height, channels


def _png_frame(data: NDArray[np.uint8], head: bytes) -> tuple[int, int, int]:
    """Return width, height and channels of a PNG, after walking its chunks up to the end.

    A chunk that claims more bytes than there are would make the decoder reserve them.
    """
    if head[8:16] != _PNG_FIRST_CHUNK:
        raise _corrupt('PNG', data)
    position = len(_PNG_SIGNATURE)
    for _ in range(_MAX_PARTS):
        if position + 12 > data.size:
            raise _truncated(data)
        length, kind = struct.unpack('>I4s', data[position : position + 8].tobytes())
        position += 12 + length
        if kind == b'IEND' and position <= data.size:
            width, height, _, colour_type = struct.unpack_from('>IIBB', head, 16)
            return width, height, 1 if colour_type in {0, 4} else 3
    raise _corrupt('PNG', data)


def _whole_jpeg(data: NDArray[np.uint8]) -> bool:
    """Return whether a JPEG has its end; cameras may append zeros to fill their buffer."""
    if _JPEG_END in data[-_TAIL_BYTES:].tobytes():
        return True
    return _JPEG_END in data.tobytes().rstrip(b'\0')[-_TAIL_BYTES:]


def _corrupt(kind: str, data: NDArray[np.uint8]) -> FrameError:
    return FrameError(
        'corrupt',
        f'{kind} of {data.size} bytes is not built as it should be; '
        'the publisher must send whole files',
    )


def _jpeg_frame(data: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Return width, height and channels of a JPEG, walking its segments up to the frame."""
    position = 2
    for _ in range(_MAX_PARTS):
        if position + 4 > data.size or data[position] != 0xFF:
            break
        marker = int(data[position + 1])
        if marker == 0xFF or marker in _JPEG_STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_FRAMES and position + 10 <= data.size:
            height, width, channels = struct.unpack(
                '>HHB', data[position + 5 : position + 10].tobytes()
            )
            return width, height, channels
        length = int(data[position + 2]) << 8 | int(data[position + 3])
        if marker in {0x00, _JPEG_SCAN} or length < 2:
            break
        position += 2 + length
    raise _corrupt('JPEG', data)
