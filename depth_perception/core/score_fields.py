"""Scores that need no second run of the network: edges, range, and the residuals at references."""

from __future__ import annotations

from functools import lru_cache

from depth_perception.core.scale_robust import middle, quantiles
from depth_perception.core.scale_types import References
from depth_perception.core.score_variants import MAD_SIGMA
from depth_perception.core.types import AnyArray, InverseDepthMap
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

STRIDE_PX = 8  # step of the residual field
_ROWS_PER_BLOCK = 64  # stay in the cache
_COLUMNS, _ROWS, _LEVELS = 12, 9, 6  # cells across, down, and in ln rho
_NEAR = 0.5  # cells; references nearer than this count alike
_LEVEL_WEIGHT = 2.0  # one level apart counts as two cells apart
_MEAN_SIGMA = 1.2533  # sigma of a normal distribution over the mean of |x|
_GROSS = 5.0  # robust sigmas; larger residuals count as this large,
_BELIEVED = 0.3  # or as this, if that is more: so wrong can a part of the image be
_PARTS = 4  # products so small that no BLAS wakes its threads for them, which takes far longer
_FEWEST = 8  # references that make a field


def edge_sigma(rho: InverseDepthMap, gain: float, out: Map | None = None) -> Map:
    """Return gain |grad rho| / rho, a relative sigma: an edge that is off by `gain` pixels.

    The gradient is half the difference of the neighbours on either side, so both sides of an edge
    are unsure. At the border of the image and beside unknown pixels that part of it is 0.

    Args:
        rho: (H, W) float32 [1/m]; NaN unknown.
        gain: Misplacement of edges [px].
        out: (H, W) float32 memory for the result; None: new.

    Returns:
        (H, W) float32; NaN where rho is NaN, 0 or negative.
    """
    height = rho.shape[0]
    sigma: Map = np.empty(rho.shape, np.float32) if out is None else out
    half = np.float32(0.5 * gain)
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        for top in range(0, height, _ROWS_PER_BLOCK):
            bottom = min(top + _ROWS_PER_BLOCK, height)
            block, square = rho[top:bottom], sigma[top:bottom]
            around = rho[max(top - 1, 0) : bottom + 1]
            square[:, :1] = square[:, -1:] = 0.0
            least = around.min()
            if rho.shape[1] > 2:
                inner = np.subtract(block[:, 2:], block[:, :-2], out=square[:, 1:-1])
                np.square(inner, out=inner)
            first, last = max(top, 1), min(bottom, height - 1)
            if first < last:
                steps = rho[first + 1 : last + 1] - rho[first - 1 : last - 1]
                np.square(steps, out=steps)
                if np.isnan(least):
                    np.fmax(square, np.float32(0.0), out=square)  # NaN becomes 0
                    np.fmax(steps, np.float32(0.0), out=steps)
                square[first - top : last - top] += steps
            np.sqrt(square, out=square)
            square *= half
            square /= block
            if not least > 0.0:
                square[~(block > 0.0)] = np.nan
    return sigma


def range_sigma(
    rho: InverseDepthMap, base: float, per_metre: float, out: Map | None = None
) -> Map:
    """Return base + per_metre Z, a relative sigma that grows with the depth.

    Args:
        rho: (H, W) float32 [1/m]; NaN unknown.
        base: Relative sigma at the camera.
        per_metre: What every metre of depth adds [1/m].
        out: (H, W) float32 memory for the result; None: new.

    Returns:
        (H, W) float32; NaN where rho is NaN, 0 or negative.
    """
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        sigma: Map = np.divide(np.float32(per_metre), rho, out=out, dtype=np.float32)
        sigma += np.float32(base)
        if not rho.min() > 0.0:
            sigma[~(rho > 0.0)] = np.nan
    return sigma


def reference_residuals(rho: InverseDepthMap, references: References) -> tuple[AnyArray, ...]:
    """Return what the estimate misses the references by.

    Args:
        rho: (H, W) float32 [1/m] estimate; NaN unknown.
        references: Measured points of the same image.

    Returns:
        (N,) row and column (int), |rho - rho_ref| / rho without the share that the noise of the
        reference explains, at most five robust sigmas or 0.3, of the references that can be used.
    """
    height, width = rho.shape
    with np.errstate(invalid='ignore'):
        inside = (np.abs(references.u - 0.5 * (width - 1)) < 0.5 * width) & (references.rho > 0.0)
        inside &= np.abs(references.v - 0.5 * (height - 1)) < 0.5 * height
        inside &= np.isfinite(references.rho) & (references.sigma_rho >= 0.0)
    column = np.rint(references.u[inside]).astype(np.intp)
    row = np.rint(references.v[inside]).astype(np.intp)
    here = rho[row, column].astype(np.float64)
    with np.errstate(invalid='ignore', divide='ignore'):
        square = np.square(here - references.rho[inside])
        square -= np.square(references.sigma_rho[inside])
        residual = np.sqrt(np.maximum(square, 0.0)) / here
    known = np.isfinite(residual) & (here > 0.0)
    residual = residual[known]
    if residual.size:
        limit = max(_GROSS * MAD_SIGMA * middle(residual), _BELIEVED)
        residual = np.minimum(residual, limit)
    return row[known], column[known], residual


def residual_field(rho: InverseDepthMap, references: References) -> Map | None:
    """Return the misfit at the references, smoothed over image and depth.

    The only score that sees the bias of this scene: what the network gets wrong here in every
    run, the references near here and at this depth show. Every reference counts by the inverse
    fourth power of its distance in cells of 1/12 by 1/9 of the image and 1/6 of the range of
    ln rho, where one step of depth counts as two cells.

    Args:
        rho: (H, W) float32 [1/m] estimate; NaN unknown.
        references: Measured points of the same image.

    Returns:
        (h, w) float32 relative sigma at every 8th pixel (the middle of each 8x8 square); NaN where
        `rho` is unknown. None with less than 8 usable references.
    """
    row, column, residual = reference_residuals(rho, references)
    if residual.size < _FEWEST:
        return None
    height, width = rho.shape
    part = rho[STRIDE_PX // 2 :: STRIDE_PX, STRIDE_PX // 2 :: STRIDE_PX]
    with np.errstate(invalid='ignore', divide='ignore'):
        level_here, level = np.log(part), np.log(rho[row, column])
    low, high = quantiles(level, 0.02, 0.98)
    step = max((high - low) / _LEVELS, 1e-3)
    cell = (row * _ROWS // height) * _COLUMNS + column * _COLUMNS // width
    slot = np.clip((level - low) / step, 0, _LEVELS - 1).astype(np.intp)
    index = cell * _LEVELS + slot
    weighted, counted = _spread_out(index, residual)
    nodes = weighted / counted * np.float32(_MEAN_SIGMA)
    down = _between(_ROWS, part.shape[0], height) @ nodes
    across = _between(_COLUMNS, part.shape[1], width)
    spread = np.matmul(across, down.reshape(-1, _COLUMNS, _LEVELS))
    return _sliced(spread, (level_here - np.float32(low)) / np.float32(step) - np.float32(0.5))


def _sliced(spread: Map, position: Map) -> Map:
    """Return the (h, w, levels) field at a level that may be fractional, or NaN."""
    unknown = ~np.isfinite(position)
    position = np.clip(position, 0.0, _LEVELS - 1.0)
    position[unknown] = 0.0
    first = np.minimum(position.astype(np.intp), _LEVELS - 2)
    start = np.arange(position.size, dtype=np.intp).reshape(position.shape) * _LEVELS + first
    flat = np.ascontiguousarray(spread).ravel()
    below = flat[start]
    field: Map = below + (position - first).astype(np.float32) * (flat[start + 1] - below)
    field[unknown] = np.nan
    return field


def _spread_out(index: NDArray[np.intp], residual: NDArray[np.float64]) -> Map:
    """Return what reaches every cell, (2, rows, columns x levels): residuals, references.

    A cell counts in another by how far apart they are. So the rows that are equally far above and
    below a row are added first, and share their weights.
    """
    rows, cells = np.arange(_ROWS), _COLUMNS * _LEVELS
    padded = np.zeros((2, 3 * _ROWS, cells), np.float32)
    for values, weight in zip(padded, (residual, None), strict=True):
        counts = np.bincount(index, weight, _ROWS * cells)
        values[_ROWS : 2 * _ROWS] = counts.reshape(_ROWS, cells)
    here = _ROWS + rows[:, None]
    alike = (padded[:, here - rows] + padded[:, here + rows]).reshape(2 * _ROWS, -1)
    sums: Map = np.concatenate([alike @ part for part in _weights()], axis=1)
    return sums.reshape(2, _ROWS, cells)


@lru_cache(maxsize=1)
def _weights() -> tuple[Map, ...]:
    """Return (rows apart x cells of one row, cells of another) float32, in parts.

    That is what a reference in one cell counts in another. Half of it for cells of the same row,
    which are added to themselves.
    """
    column, level = np.unravel_index(np.arange(_COLUMNS * _LEVELS), (_COLUMNS, _LEVELS))
    across = np.square(column[:, None] - column)
    distance = across + np.square(_LEVEL_WEIGHT * (level[:, None] - level))
    distance = np.square(np.arange(_ROWS))[:, None, None] + distance
    weights = 1.0 / np.square(distance + _NEAR**2)
    weights[0] *= 0.5
    whole = weights.reshape(-1, _COLUMNS * _LEVELS).astype(np.float32)
    return tuple(np.ascontiguousarray(part) for part in np.array_split(whole, _PARTS, axis=1))


@lru_cache(maxsize=8)
def _between(cells: int, count: int, length: int) -> Map:
    """Return (count, cells) float32: linear interpolation of cells at every 8th pixel."""
    place = np.arange(count) * STRIDE_PX + STRIDE_PX // 2
    position = np.clip((place + 0.5) * cells / length - 0.5, 0.0, cells - 1.0)
    apart = np.abs(position[:, None] - np.arange(cells))
    weights: Map = np.maximum(1.0 - apart, 0.0).astype(np.float32)
    return weights
