"""One frame for the page: the messages it comes as, and the arrays that are in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture
from depth_perception.core.types import DepthMap, SigmaMap
from depth_perception.errors import DepthPerceptionError, FrameError
from depth_perception.messages.cameras import camera_from_info
from depth_perception.messages.compressed import opencv
from depth_perception.messages.images import depth_from_image, float_rows, picture_from_image
from depth_perception.messages.stamps import stamp_ns_of
import numpy as np

MOST_PICTURE_PX = 1280
_MOST_COMPRESSED = 4 << 20
_JPEG, _PNG = b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n'


@dataclass(frozen=True)
class FrameSet:
    """The messages of one frame, all of one stamp.

    Attributes:
        depth: sensor_msgs/Image, 32FC1 or 16UC1.
        sigma: sensor_msgs/Image 32FC1, or None.
        image: sensor_msgs/Image or CompressedImage, or None.
        info: sensor_msgs/CameraInfo of the depth, or None.
    """

    depth: Any
    sigma: Any = None
    image: Any = None
    info: Any = None


@dataclass(frozen=True)
class Decoded:
    """The arrays of one frame.

    Attributes:
        stamp_ns: Stamp of the image [ns].
        frame_id: Optical frame.
        depth: (H, W) float32 [m]; NaN unknown, +Inf beyond range, -Inf too near.
        sigma: (H, W) float32 [m]; None if there is none.
        camera: Camera of the depth; None if its camera_info cannot be used.
        image: Bytes of a JPEG or PNG; b'' if there is none.
        remarks: What could not be used, and why.
    """

    stamp_ns: int
    frame_id: str
    depth: DepthMap
    sigma: SigmaMap | None
    camera: PinholeCamera | None
    image: bytes
    remarks: tuple[str, ...] = ()


def decoded(frame: FrameSet) -> Decoded:
    """Return the arrays of a set of messages; nothing in them is trusted.

    Raises:
        FrameError: If the depth image cannot be used.
    """
    depth = depth_from_image(frame.depth)
    remarks: list[str] = []
    sigma, camera, image = None, None, b''
    if frame.sigma is not None:
        try:
            sigma = float_rows(frame.sigma)
            if sigma.shape != depth.shape:
                raise FrameError('size_mismatch', f'sigma is {sigma.shape}, depth {depth.shape}')
        except DepthPerceptionError as error:
            sigma = None
            remarks.append(f'sigma: {error}')
    if frame.info is not None:
        try:
            camera = camera_from_info(frame.info)
            if (camera.height, camera.width) != depth.shape:
                raise FrameError(
                    'size_mismatch',
                    f'it is of {camera.width}x{camera.height} px, the depth image has '
                    f'{depth.shape[1]}x{depth.shape[0]}',
                )
        except DepthPerceptionError as error:
            camera = None
            remarks.append(f'camera_info: {error}')
    if frame.image is not None:
        try:
            image = picture_bytes(frame.image)
        except DepthPerceptionError as error:
            remarks.append(f'image: {error}')
    stamp_ns, frame_id = stamp_ns_of(frame.depth), frame.depth.header.frame_id
    return Decoded(stamp_ns, frame_id, depth, sigma, camera, image, tuple(remarks))


def picture_bytes(message: Any) -> bytes:
    """Return a JPEG, or the PNG that came, of an Image or CompressedImage message.

    Raises:
        FrameError: If it cannot be used.
        BackendUnavailableError: If OpenCV is missing.
    """
    if hasattr(message, 'format'):
        data = bytes(memoryview(message.data)[:_MOST_COMPRESSED])
        if len(message.data) <= _MOST_COMPRESSED and data.startswith((_JPEG, _PNG)):
            return data
        raise FrameError('corrupt', 'the compressed image is neither JPEG nor PNG up to 4 MiB')
    return jpeg_of(picture_from_image(message))


def jpeg_of(picture: Picture) -> bytes:
    """Return a picture as JPEG, not larger than the page needs it.

    Raises:
        FrameError: If OpenCV cannot write it.
        BackendUnavailableError: If OpenCV is missing.
    """
    cv2 = opencv()
    pixels = picture.pixels
    side = max(pixels.shape[:2])
    if side > MOST_PICTURE_PX:
        factor = MOST_PICTURE_PX / side
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    if picture.order == 'rgb':
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    done, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not done:
        raise FrameError('encoding', 'OpenCV cannot write the image as JPEG')
    return bytes(data)
