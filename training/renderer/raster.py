"""Z-buffer rasteriser of triangles in homogeneous coordinates.

A triangle with corners v0, v1, v2 in the camera's frame has M = inv([v0 v1 v2]); for the ray
r = (x, y, 1) of a pixel, M r = barycentric coordinates / z and their sum is 1 / z (Olano and
Greer, Triangle Scan Conversion using 2D Homogeneous Coordinates, 1997). All are affine in x and y,
so nothing need be clipped: what lies behind the camera has 1 / z < 0.
"""

# ruff: noqa: ANN001, ANN201, ANN202, C901, PLR0912, PLR0913, PLR0917, SIM110
# Kernels: numba infers their types, and calls within a pixel's loop cost more than they clarify.

from __future__ import annotations

from numba import njit
import numpy as np

NEAR_M = 0.02
_SLACK = 1e-6  # [px], by which triangles overlap their neighbours: no cracks


@njit(nogil=True, cache=True)
def invert(corners, triangles, offset_x, out):
    """Fill out (M, 3, 3) with the inverse of each triangle's corners, moved by -offset_x.

    Triangles seen edge-on get zeros, and are never drawn.
    """
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = corners[i, 0] - offset_x, corners[i, 1], corners[i, 2]
        bx, by, bz = corners[j, 0] - offset_x, corners[j, 1], corners[j, 2]
        cx, cy, cz = corners[k, 0] - offset_x, corners[k, 1], corners[k, 2]
        nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        det = ax * nx + ay * ny + az * nz
        if abs(det) < 1e-14:
            out[t] = 0.0
            continue
        d = 1.0 / det
        out[t, 0, 0], out[t, 0, 1], out[t, 0, 2] = nx * d, ny * d, nz * d
        out[t, 1, 0] = (cy * az - cz * ay) * d
        out[t, 1, 1] = (cz * ax - cx * az) * d
        out[t, 1, 2] = (cx * ay - cy * ax) * d
        out[t, 2, 0] = (ay * bz - az * by) * d
        out[t, 2, 1] = (az * bx - ax * bz) * d
        out[t, 2, 2] = (ax * by - ay * bx) * d


@njit(nogil=True, cache=True)
def _rows(corners, triangle, focal, cy, scale, height):
    """First and last row that a triangle may touch, cut at the near plane."""
    low, high = 1e30, -1e30
    for e in range(3):
        i, j = triangle[e], triangle[(e + 1) % 3]
        zi, zj = corners[i, 2], corners[j, 2]
        if zi >= NEAR_M:
            v = corners[i, 1] / zi
            low, high = min(low, v), max(high, v)
        if (zi >= NEAR_M) != (zj >= NEAR_M):
            s = (NEAR_M - zi) / (zj - zi)
            v = (corners[i, 1] + s * (corners[j, 1] - corners[i, 1])) / NEAR_M
            low, high = min(low, v), max(high, v)
    if low > high:
        return 1, 0
    first = np.ceil(max((low * focal + cy) * scale - 1e-6, 0.0))
    last = np.floor(min((high * focal + cy) * scale + 1e-6, height - 1.0))
    return int(first), int(last)


@njit(nogil=True, cache=True)
def visible(corners, triangles, inverses, wanted, camera, inverse_z, index):
    """Draw the triangles with wanted[t] into inverse_z (h, w) float64 and index (h, w) int32.

    camera is (focal_px, cx, cy, offset_x_m, samples per pixel along a side): sample (i, j) lies at
    pixel (j / samples, i / samples). Both buffers keep what they hold where that is nearer.
    """
    focal, cx, cy, scale = camera[0], camera[1], camera[2], camera[4]
    height, width = index.shape
    near = 1.0 / NEAR_M
    step = 1.0 / (scale * focal)
    for t in range(triangles.shape[0]):
        if not wanted[t]:
            continue
        m = inverses[t]
        if m[0, 0] == 0.0 and m[0, 1] == 0.0 and m[0, 2] == 0.0 and m[1, 0] == 0.0:
            continue
        first, last = _rows(corners, triangles[t], focal, cy, scale, height)
        sx = (m[0, 0] + m[1, 0] + m[2, 0]) * step
        for row in range(first, last + 1):
            y = (row / scale - cy) / focal
            left, right = 0.0, width - 1.0
            s0 = 0.0
            for e in range(3):
                a = m[e, 0] * step
                b = m[e, 1] * y + m[e, 2] - m[e, 0] * (cx / focal)
                s0 += b
                if a > 0.0:
                    left = max(left, -b / a - _SLACK)
                elif a < 0.0:
                    right = min(right, -b / a + _SLACK)
                elif b < 0.0:
                    right = -1.0
            if right < left:
                continue
            for column in range(int(np.ceil(left)), int(np.floor(right)) + 1):
                s = s0 + sx * column
                if s > inverse_z[row, column] and s < near:
                    inverse_z[row, column] = s
                    index[row, column] = t


@njit(nogil=True, cache=True)
def shadow_map(points, triangles, casts, depth):
    """Draw the orthographic depth map of a light; points (N, 3) are (column, row, depth)."""
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        if not casts[t]:
            continue
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = points[i, 0], points[i, 1], points[i, 2]
        bx, by, bz = points[j, 0] - ax, points[j, 1] - ay, points[j, 2] - az
        cx, cy, cz = points[k, 0] - ax, points[k, 1] - ay, points[k, 2] - az
        det = bx * cy - by * cx
        if abs(det) < 1e-12:
            continue
        low, high = min(0.0, by, cy) + ay, max(0.0, by, cy) + ay
        if not (low > -1e8 and high < 1e8):
            continue
        for row in range(int(max(0.0, np.ceil(low))), int(min(height - 1.0, np.floor(high))) + 1):
            y = row - ay
            left, right = -1.0, width + 0.0
            # u = (x cy - y cx) / det, v = (bx y - by x) / det, 1 - u - v: all >= 0
            for e in range(3):
                if e == 0:
                    a, b = cy / det, -y * cx / det
                elif e == 1:
                    a, b = -by / det, bx * y / det
                else:
                    a, b = (by - cy) / det, 1.0 + y * (cx - bx) / det
                if a > 0.0:
                    left = max(left, -b / a + ax)
                elif a < 0.0:
                    right = min(right, -b / a + ax)
                elif b < 0.0:
                    right = -1.0
            slope_x = (bz * cy - cz * by) / det
            slope_y = (cz * bx - bz * cx) / det
            for column in range(int(max(0.0, np.ceil(left))), int(min(width - 1.0, right)) + 1):
                z = az + slope_x * (column - ax) + slope_y * y
                depth[row, column] = min(depth[row, column], z)


@njit(nogil=True, cache=True)
def _plane(inverses, t, x, y):
    m = inverses[t]
    return (
        (m[0, 0] + m[1, 0] + m[2, 0]) * x
        + (m[0, 1] + m[1, 1] + m[2, 1]) * y
        + m[0, 2]
        + m[1, 2]
        + m[2, 2]
    )


@njit(nogil=True, cache=True)
def _inside(inverses, t, x, y):
    m = inverses[t]
    for e in range(3):
        if m[e, 0] * x + m[e, 1] * y + m[e, 2] < 0.0:
            return False
    return True


@njit(nogil=True, cache=True)
def hidden(inverse_z, index, other_index, other_inverses, camera, shift):
    """Tell which pixels of one view are not seen by the other.

    The other view's surfaces at the two pixels about the place where a point falls are evaluated
    at that very place, so slopes are no occlusions.

    Args:
        inverse_z: (h, w) float64 of this view [1/m], 0 for sky.
        index: (h, w) int32 triangles of this view, -1 for sky.
        other_index: (h, w) int32 triangles of the other view.
        other_inverses: (M, 3, 3) matrices of the other view.
        camera: (focal_px, cx, cy, ...), the same for both.
        shift: focal_px times the other camera's x in this one's frame [px m].

    Returns:
        (h, w) bool: hidden by something nearer, or outside the other's frame.
    """
    height, width = index.shape
    focal, cx, cy = camera[0], camera[1], camera[2]
    out = np.zeros((height, width), dtype=np.bool_)
    for row in range(height):
        y = (row - cy) / focal
        for column in range(width):
            s = inverse_z[row, column]
            there = column - shift * s
            if there < -0.5 or there > width - 0.5:
                out[row, column] = True
                continue
            own = index[row, column]
            x = (there - cx) / focal
            limit = s * 1.002 + 0.02 / abs(shift)
            low = min(max(int(np.floor(there)), 0), width - 1)
            nearer, inside = 0, False
            for k in range(2):
                t = other_index[row, min(low + k, width - 1)]
                if t == own or t < 0:
                    continue
                if _plane(other_inverses, t, x, y) > limit:
                    nearer += 1
                    inside |= _inside(other_inverses, t, x, y)
            out[row, column] = inside or nearer == 2
    return out
