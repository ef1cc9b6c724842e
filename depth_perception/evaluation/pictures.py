"""Make pictures of depth, sigma and clouds for people to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.core.colours import (
    colourise,
    ColourScale,
    depth_scale,
    FAR_RGB,
    NEAR_RGB,
    sigma_scale,
    UNKNOWN_RGB,
)
from depth_perception.core.types import AnyArray, DepthMap, Pixels
from depth_perception.errors import BackendUnavailableError, RecordingError
import numpy as np
from numpy.typing import NDArray

__all__ = [
    'FAR_RGB',
    'NEAR_RGB',
    'UNKNOWN_RGB',
    'ColourScale',
    'colourise',
    'depth_mm_from_depth',
    'depth_scale',
    'encoded',
    'opencv',
    'read_picture',
    'render_cloud',
    'sigma_scale',
    'with_colour_bar',
    'write_image',
]


def opencv() -> Any:
    """Return the cv2 module.

    Raises:
        BackendUnavailableError: If it is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise BackendUnavailableError(
            'pictures need OpenCV: pip install opencv-python-headless, or apt-get install '
            'python3-opencv'
        ) from None
    return cv2


def with_colour_bar(rgb: Pixels, scale: ColourScale, title: str) -> Pixels:
    """Return the picture with a labelled colour bar below it."""
    cv2 = opencv()
    width = rgb.shape[1]
    margin, bar_px, text_px = max(8, width // 40), 14, 22
    band = np.full((bar_px + 2 * text_px + 10, width, 3), 255, np.uint8)
    inner = width - 2 * margin
    top = text_px + 2
    band[top : top + bar_px, margin : margin + inner] = scale.colours(np.linspace(0.0, 1.0, inner))

    def write(text: str, x: int, y: int) -> None:
        cv2.putText(
            band, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA
        )

    write(f'{title} [{scale.unit}]', margin, text_px - 6)
    for fraction in (0.0, 0.25, 0.5, 0.75, 1.0):
        label = f'{scale.value(fraction):.3g}'
        (label_px, _), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
        x = margin + int(fraction * (inner - label_px))
        write(label, x, top + bar_px + text_px - 5)
    return np.vstack([rgb, band])


def render_cloud(
    depth: DepthMap,
    rgb: Pixels,
    camera: PinholeCamera,
    yaw_deg: float = -14.0,
    pitch_deg: float = 8.0,
) -> Pixels:
    """Return a picture of the cloud of a depth image, seen from beside the camera.

    The viewpoint turns about the middle of the scene; each point is a small square, the nearest
    one wins.

    Args:
        depth: (H, W) float32 [m]; not finite where unknown.
        rgb: (H, W, 3) uint8, the colours of the points.
        camera: Camera of the depth image.
        yaw_deg: Turn to the left [deg].
        pitch_deg: Turn upwards, to look down on the scene [deg].
    """
    valid = np.isfinite(depth)
    picture = np.full((camera.height, camera.width, 3), UNKNOWN_RGB, np.uint8)
    if not bool(valid.any()):
        return picture
    points = points_from_depth(depth, camera)[valid].astype(np.float64)
    pivot = np.array([0.0, 0.0, float(np.median(points[:, 2]))])
    view = (points - pivot) @ _turn(yaw_deg, pitch_deg).T + pivot + [0.0, 0.0, 0.12 * pivot[2]]
    z = view[:, 2]
    seen = z > 0.05
    u = camera.fx * view[seen, 0] / z[seen] + camera.cx
    v = camera.fy * view[seen, 1] / z[seen] + camera.cy
    _splat(picture, u, v, z[seen], rgb[valid][seen])
    return picture


def _turn(yaw_deg: float, pitch_deg: float) -> NDArray[np.float64]:
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    return np.asarray(about_x @ about_y)


def _splat(picture: Pixels, u: AnyArray, v: AnyArray, z: AnyArray, colours: Pixels) -> None:
    """Draw points as 2x2 squares, far ones first so that near ones cover them."""
    height, width = picture.shape[:2]
    order = np.argsort(-z)
    column, row = np.floor(u[order]).astype(int), np.floor(v[order]).astype(int)
    colours = colours[order]
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        x, y = column + dx, row + dy
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        picture[y[inside], x[inside]] = colours[inside]


def depth_mm_from_depth(depth: DepthMap) -> NDArray[np.uint16]:
    """Return 16-bit depth [mm]: 0 unknown, saturated at 65535."""
    with np.errstate(invalid='ignore'):
        mm = np.clip(np.rint(depth * 1000.0), 1.0, 65535.0)
    return np.where(np.isfinite(depth), np.nan_to_num(mm), 0.0).astype(np.uint16)


def write_image(path: Path, pixels: AnyArray) -> None:
    """Write RGB, grey or 16-bit pixels; the suffix tells the format.

    Raises:
        RecordingError: If the file cannot be written.
    """
    path.write_bytes(encoded(pixels, path.suffix))


def encoded(pixels: AnyArray, suffix: str = '.png', quality: int = 88) -> bytes:
    """Return the bytes of an image file of RGB, grey or 16-bit pixels.

    Raises:
        RecordingError: If the format does not take such pixels.
    """
    cv2 = opencv()
    swapped = np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix in ('.jpg', '.jpeg') else []
    done, data = cv2.imencode(suffix, swapped, options)
    if not done:
        raise RecordingError(f'cannot write {pixels.dtype} {pixels.shape} as {suffix}')
    return bytes(data)


def read_picture(path: Path) -> Pixels:
    """Return (H, W, 3) uint8 RGB of an image file.

    Raises:
        RecordingError: If the file is missing or is no image.
    """
    cv2 = opencv()
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise RecordingError(f'cannot read {path}: {error.strerror}') from error
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise RecordingError(f'{path} is not an image that OpenCV can read')
    return np.ascontiguousarray(bgr[..., ::-1])
