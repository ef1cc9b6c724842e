"""Pictures of one frame for the report: image, truth, and what every model made of it.

All models are shown on one scale of depth. Error and sigma are shown as shares of the depth, both
on `ERROR_SCALE`, so that an honest sigma looks on average as its error does: |Z - Z*| / Z* and
sigma / Z, 0 to 20 %, more than that as 20 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import math
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.shapes import check_shapes
from depth_perception.core.types import AnyArray, DepthMap, Pixels
from depth_perception.evaluation.pictures import (
    colourise,
    ColourScale,
    depth_scale,
    encoded,
    opencv,
    render_cloud,
)
from depth_perception.evaluation.truth import Truth
import numpy as np

ERROR_SCALE = ColourScale(0.0, 20.0, unit='%', palette='viridis')
MAX_SIDE_PX = 640
SPARSE_SHARE = 0.3


@dataclass(frozen=True)
class FramePictures:
    """The pictures of a frame, as JPEG files.

    Attributes:
        shared: 'image', and with truth 'truth' and 'truth_cloud'.
        of_model: Id of a model to its 'depth', 'sigma', 'cloud', and with truth 'error'.
        scales: What the colours mean: 'depth' (of 'truth' too), 'error' and 'sigma', each with
            the attributes of a ColourScale.
    """

    shared: dict[str, bytes]
    of_model: dict[str, dict[str, bytes]]
    scales: dict[str, dict[str, Any]]


def frame_pictures(
    image_rgb: Pixels, truth: Truth | None, estimates: Mapping[str, DepthEstimate]
) -> FramePictures:
    """Return the pictures of a frame.

    Args:
        image_rgb: (H, W, 3) uint8, the (left) image on the grid of the depth.
        truth: Truth on that grid; None if there is none. Truth of few pixels, as of a LiDAR, is
            drawn with dots that can be seen.
        estimates: Id of a model to what it published; one at least, all of the same camera.

    Raises:
        ShapeError: If the shapes differ.
        BackendUnavailableError: If OpenCV is not installed.
    """
    camera = next(iter(estimates.values())).camera
    size = f'{camera.height} {camera.width}'
    check_shapes(image_rgb=(image_rgb, f'{size} 3'))
    for estimate in estimates.values():
        check_shapes(depth=(estimate.depth, size))
    grid = _Grid(camera)
    image = grid.photograph(image_rgb)
    known = None if truth is None else np.where(truth.depth > 0.0, truth.depth, np.nan)
    shown = [one.depth for one in estimates.values()] if known is None else [known]
    scale = depth_scale(shown)
    shared = {'image': encoded(image, '.jpg')}
    if known is not None:
        check_shapes(truth=(known, size))
        seen = grid.values(known, known)
        shared['truth'] = _map(seen, scale)
        shared['truth_cloud'] = encoded(render_cloud(seen, image, grid.camera), '.jpg')
    return FramePictures(
        shared,
        {
            model: _of_model(grid, estimate, known, image, scale)
            for model, estimate in estimates.items()
        },
        {'depth': asdict(scale), 'error': asdict(ERROR_SCALE), 'sigma': asdict(ERROR_SCALE)},
    )


def _of_model(
    grid: _Grid, estimate: DepthEstimate, truth: DepthMap | None, image: Pixels, scale: ColourScale
) -> dict[str, bytes]:
    """Return the pictures of what one model published."""
    depth = estimate.depth
    valued = np.where(estimate.valid, depth, np.float32(np.nan))
    sigma_pct = 100.0 * estimate.sigma / valued
    found = {'depth': _map(grid.values(depth), scale)}
    if truth is not None:
        found['error'] = _map(
            grid.values(100.0 * np.abs(valued - truth) / truth, truth), ERROR_SCALE
        )
    found['sigma'] = _map(grid.values(sigma_pct), ERROR_SCALE)
    found['cloud'] = encoded(render_cloud(grid.values(depth), image, grid.camera), '.jpg')
    return found


def _map(values: AnyArray, scale: ColourScale) -> bytes:
    return encoded(colourise(values, scale), '.jpg')


class _Grid:
    """Makes pictures of at most MAX_SIDE_PX of arrays on the grid of a camera."""

    def __init__(self, camera: PinholeCamera) -> None:
        ratio = min(1.0, MAX_SIDE_PX / max(camera.width, camera.height))
        self._from = (camera.height, camera.width)
        self._to = (max(1, round(camera.height * ratio)), max(1, round(camera.width * ratio)))
        v, u = (b / a for a, b in zip(self._from, self._to, strict=True))
        height, width = self._to
        # Places are those of pixel centres: 0.5 of a pixel before its scale, and after it.
        self.camera = PinholeCamera(
            width,
            height,
            camera.fx * u,
            camera.fy * v,
            (camera.cx + 0.5) * u - 0.5,
            (camera.cy + 0.5) * v - 0.5,
        )

    def photograph(self, rgb: Pixels) -> Pixels:
        """Return (h, w, 3) uint8."""
        if self._from == self._to:
            return rgb
        cv2 = opencv()
        height, width = self._to
        return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA))

    def values(self, values: AnyArray, truth: DepthMap | None = None) -> AnyArray:
        """Return (h, w) values: of the nearest pixel, or as dots where the truth is sparse."""
        if truth is not None:
            there = np.isfinite(truth) & (truth > 0.0)
            if 0 < np.count_nonzero(there) < SPARSE_SHARE * truth.size:
                return self._dots(values, truth, there)
        rows, columns = (
            np.minimum((np.arange(b) + 0.5) * a / b, a - 1).astype(np.intp)
            for a, b in zip(self._from, self._to, strict=True)
        )
        return values[rows[:, None], columns[None, :]]

    def _dots(self, values: AnyArray, truth: DepthMap, there: AnyArray) -> AnyArray:
        """Return values drawn as squares of about 1/200 of the width, near ones on top."""
        height, width = self._to
        rows, columns = np.nonzero(there)
        order = np.argsort(-truth[rows, columns], kind='stable')
        rows, columns = rows[order], columns[order]
        drawn = values[rows, columns]
        v, u = rows * height // self._from[0], columns * width // self._from[1]
        picture = np.full(self._to, np.nan, np.float32)
        radius = max(1, round(width / 400))
        for dv in range(-radius, radius + 1):
            for du in range(-radius, radius + 1):
                y, x = v + dv, u + du
                inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                picture[y[inside], x[inside]] = drawn[inside]
        return picture


def scale_from(entry: object) -> ColourScale | None:
    """Return the scale that an entry of report.json holds; None if it is none."""
    if not isinstance(entry, Mapping):
        return None
    low, high = entry.get('low'), entry.get('high')
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in (low, high)):
        return None
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    inverse = bool(entry.get('inverse'))
    if not low < high or (inverse and low <= 0.0):
        return None
    palette = 'turbo' if entry.get('palette') == 'turbo' else 'viridis'
    return ColourScale(float(low), float(high), str(entry.get('unit', '')), palette, inverse)
