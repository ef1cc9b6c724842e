"""Codings of images, disparity, depth and poses in the files of the data sets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
import re

from depth_perception.core.types import AnyArray, DepthMap, DisparityMap, Pixels
from depth_perception.errors import RecordingError
from depth_perception.evaluation.pictures import opencv
import numpy as np
from numpy.typing import NDArray

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.ppm', '.pgm', '.bmp', '.tif', '.tiff')
_PFM_HEADER = rb'Pf\s+(\d+)\s+(\d+)\s+([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s'
SINTEL_TAG = 202021.25  # first float of every .dpt and .cam file


def first_existing(paths: Iterable[Path]) -> Path | None:
    """Return the first of the paths that is there."""
    return next((path for path in paths if path.exists()), None)


def image_at(folder: Path, stem: str) -> Path | None:
    """Return the image file of a stem, whatever its format."""
    return first_existing(folder / f'{stem}{suffix}' for suffix in IMAGE_SUFFIXES)


def images_in(folder: Path) -> list[Path]:
    """Return the image files of a folder, in the order of the numbers in their names."""
    if not folder.is_dir():
        return []
    files = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(files, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts '2.png' before '10.png'."""
    parts = re.split(r'(\d+)', name)
    return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]


def missing(source: Path, what: str, looked_for: Iterable[str]) -> RecordingError:
    """Return the error for a folder that does not hold what was looked for."""
    reason = 'has no' if source.is_dir() else 'is not a folder with'
    return RecordingError(f'{source} {reason} {what}; looked for {", ".join(looked_for)}')


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        RecordingError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordingError(f'cannot read {path}: {error.strerror}') from error


def read_unchanged(path: Path) -> AnyArray:
    """Return an image as it is stored, colours as RGB.

    Raises:
        RecordingError: If it is missing or is no image.
    """
    cv2 = opencv()
    data = np.frombuffer(read_bytes(path), np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise RecordingError(f'{path} is not an image that OpenCV can read')
    array: AnyArray = pixels
    return array if array.ndim == 2 else np.ascontiguousarray(array[..., 2::-1])


def read_image(path: Path) -> Pixels:
    """Return (H, W) grey or (H, W, 3) RGB, uint8.

    Raises:
        RecordingError: If it is missing, is no image, or has more than 8 bits.
    """
    pixels = read_unchanged(path)
    if pixels.dtype != np.uint8:
        raise RecordingError(f'{path} holds {pixels.dtype}, wanted an image of 8 bits')
    return pixels


def read_scaled(path: Path, unit: float, invalid: Iterable[int] = (0,)) -> NDArray[np.float32]:
    """Return an image of integers times `unit`, NaN where it holds an invalid value.

    Raises:
        RecordingError: If it is missing or is no image of one channel of integers.
    """
    raw = read_unchanged(path)
    if raw.ndim != 2 or raw.dtype.kind != 'u':
        raise RecordingError(f'{path} holds {raw.dtype} {raw.shape}, wanted grey integers')
    values: NDArray[np.float32] = np.multiply(raw, unit, dtype=np.float64).astype(np.float32)
    values[np.isin(raw, list(invalid))] = np.nan
    return values


def read_depth_mm(path: Path) -> DepthMap:
    """Return (H, W) float32 [m] of an image in mm, 0 and 65535 invalid."""
    return read_scaled(path, 1e-3, (0, 65535))


def read_pfm(path: Path) -> DisparityMap:
    """Return (H, W) float32 of a grey PFM file, NaN where it holds inf.

    Coding:
        'Pf', width, height, scale (negative: little endian), then rows from the bottom up;
        unknown values are inf (Middlebury SDK, `ReadFilePFM`, and the data sets' own pages).

    Raises:
        RecordingError: If it is no such file, or is too short.
    """
    data = read_bytes(path)
    header = re.match(_PFM_HEADER, data)
    if header is None:
        raise RecordingError(f'{path} is not a grey PFM file')
    width, height = int(header.group(1)), int(header.group(2))
    kind = '<f4' if float(header.group(3)) < 0.0 else '>f4'
    body = data[header.end() :]
    if len(body) < 4 * width * height:
        raise RecordingError(f'{path} is cut off: {len(body)} bytes for {width}x{height} floats')
    values = np.frombuffer(body, kind, width * height).reshape(height, width)[::-1]
    found = values.astype(np.float32)
    found[~np.isfinite(found)] = np.nan
    return found


def read_dpt(path: Path) -> DepthMap:
    """Return (H, W) float32 [m] of a Sintel .dpt file, NaN where it is not positive.

    Coding:
        float32 tag 202021.25, int32 width, int32 height, float32 rows from the top, all little
        endian (MPI Sintel SDK, `sintel_io.depth_read`).

    Raises:
        RecordingError: If it is no such file, or is too short.
    """
    data = read_bytes(path)
    if len(data) < 12 or np.frombuffer(data, '<f4', 1)[0] != SINTEL_TAG:
        raise RecordingError(f'{path} is not a Sintel depth file: it lacks the tag {SINTEL_TAG}')
    width, height = (int(side) for side in np.frombuffer(data, '<i4', 2, 4))
    if min(width, height) < 1 or len(data) < 12 + 4 * width * height:
        raise RecordingError(f'{path} is cut off: {len(data)} bytes for {width}x{height} floats')
    depth = np.frombuffer(data, '<f4', width * height, 12).reshape(height, width)
    return np.where(depth > 0.0, depth, np.float32(np.nan)).astype(np.float32)


def read_numbers(path: Path) -> NDArray[np.float64]:
    """Return the numbers of a text file, one row a line, without comments (#).

    Raises:
        RecordingError: If it cannot be read, or lines differ in length.
    """
    try:
        lines = read_bytes(path).decode('utf-8').splitlines()
        kept = [line.strip() for line in lines if line.strip() and line.lstrip()[0] != '#']
        rows = [[float(word) for word in re.split(r'[\s,]+', line)] for line in kept]
        table = np.array(rows, np.float64)
    except ValueError as error:
        raise RecordingError(f'{path} is not a table of numbers: {error}') from error
    if table.ndim != 2:
        raise RecordingError(f'{path} holds no numbers')
    return table


def pose_from_quaternion(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (4, 4) pose of tx, ty, tz, qx, qy, qz, qw.

    Raises:
        RecordingError: If the quaternion is zero or not finite.
    """
    norm = float(np.linalg.norm(values[3:7]))
    if not np.isfinite(values).all() or norm == 0.0:
        raise RecordingError(f'not a pose (x y z qx qy qz qw): {values.tolist()}')
    x, y, z, w = values[3:7] / norm
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = values[:3]
    return pose
