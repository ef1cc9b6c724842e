"""Patches of one colour in a photograph, and maps that are planes on them with jumps between."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.stereo.layers import Field, Image

Labels = NDArray[np.int32]


def segments(photo: Image, calm: float) -> Labels:
    """Return (H, W) labels from 0 of patches of one colour whose borders lie on edges.

    Args:
        photo: (H, W, 3) uint8.
        calm: Grey levels between neighbours above which a patch cannot start.
    """
    smooth = cv2.GaussianBlur(photo, (0, 0), 1.2)
    swing = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(2)
    seeds = cv2.erode((swing < calm).astype(np.uint8), np.ones((3, 3), np.uint8))
    least = (cv2.erode(swing, np.ones((15, 15), np.uint8)) == swing).astype(np.uint8)
    _, labels = cv2.connectedComponents(seeds | least, connectivity=4, ltype=cv2.CV_32S)
    cv2.watershed(smooth, labels)
    whole = labels.astype(np.float32)
    for _ in range(2):  # the lines between the patches, and the frame of the picture
        whole = np.where(whole > 0, whole, cv2.dilate(whole, np.ones((3, 3), np.uint8)))
    return _counted(np.maximum(whole, 0.0).astype(np.int32))


def merged(labels: Labels, photo: Image, inverse: Field, least: int) -> Labels:
    """Return the labels after every patch that is too small has joined its likest neighbour.

    Args:
        labels: (H, W) from 0.
        photo: (H, W, 3) uint8.
        inverse: (H, W) float32 inverse depth, 0 to 1: patches far from each other are unlike.
        least: Size that is large enough [px].
    """
    count = int(labels.max()) + 1
    pairs = []
    for a, b in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        border = a != b
        one, two = a[border].astype(np.int64), b[border]
        pairs += [one * count + two, two * np.int64(count) + one]
    links = np.stack(np.divmod(np.unique(np.concatenate(pairs)), count), 1)
    flat = labels.ravel()
    size = _totals(flat, np.ones(flat.size), count)
    traits = [photo[..., i].ravel() for i in range(3)] + [200.0 * inverse.ravel()]
    sums = np.stack([_totals(flat, a, count) for a in traits], 1)
    now = np.arange(count)
    for _ in range(12):
        small = (size > 0) & (size < least)
        ends = now[links]
        ends = ends[(ends[:, 0] != ends[:, 1]) & small[ends[:, 0]]]
        if not len(ends):
            break
        mean = sums / np.maximum(size, 1.0)[:, None]
        unlike = np.abs(mean[ends[:, 0]] - mean[ends[:, 1]]).sum(1)
        order = np.lexsort((ends.max(1), ends.min(1), unlike))[::-1]
        to = np.arange(count)
        to[ends[order, 0]] = ends[order, 1]
        to = np.where((to[to] == np.arange(count)) & (to > np.arange(count)), np.arange(count), to)
        for _ in range(12):
            to = to[to]
        now = to[now]
        size = _totals(to, size, count)
        sums = np.stack([_totals(to, a, count) for a in sums.T], 1)
    return _counted(now[labels])


def _counted(labels: NDArray[np.signedinteger]) -> Labels:
    """Return the same patches numbered from 0 without gaps."""
    used = np.zeros(int(labels.max()) + 1, np.int32)
    used[labels] = 1
    found: Labels = (np.cumsum(used, dtype=np.int32) - 1)[labels]
    return found


def _totals(
    index: NDArray[np.signedinteger], weights: NDArray[np.generic], count: int
) -> NDArray[np.float64]:
    """Return the sum of the weights of every index below the count."""
    return np.asarray(np.bincount(index, weights, count), np.float64)


def planes(values: Field, labels: Labels, calm: float = 20.0) -> Field:
    """Return (H, W) float32: in every patch the plane nearest to the values, robustly.

    Args:
        values: (H, W) float32; every second row and column counts.
        labels: (H, W) from 0.
        calm: Pixels of a patch below which its plane is pulled towards a level one.
    """
    height, width = values.shape
    count = int(labels.max()) + 1
    flat = labels[::2, ::2].ravel()
    y, x = (a.ravel().astype(np.float64) for a in np.mgrid[0:height:2, 0:width:2])
    v = values[::2, ::2].ravel().astype(np.float64)

    def total(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return _totals(flat, weights, count)

    size = np.maximum(total(np.ones_like(v)), 1e-9)
    centre = total(x) / size, total(y) / size
    basis = [np.ones_like(x), x - centre[0][flat], y - centre[1][flat]]
    weight = basis[0]
    for _ in range(3):
        matrix = np.empty((count, 3, 3))
        target = np.empty((count, 3, 1))
        for i in range(3):
            weighted = weight * basis[i]
            target[:, i, 0] = total(weighted * v)
            for j in range(i, 3):
                matrix[:, i, j] = matrix[:, j, i] = total(weighted * basis[j])
        k = np.linalg.solve(matrix + np.diag([1e-9, calm**2, calm**2]), target)[:, :, 0]
        k[:, 1] = np.clip(k[:, 1], -0.4, 0.4)  # no surface may turn its back on a camera
        rest = np.abs(v - k[flat, 0] - k[flat, 1] * basis[1] - k[flat, 2] * basis[2])
        scale = total(rest) / size + 1e-9
        weight = 1.0 / (1.0 + (rest / (1.5 * scale[flat])) ** 2)
    offset = k[:, 0] - k[:, 1] * centre[0] - k[:, 2] * centre[1]
    missed = size < 1.0  # patches between the rows and columns
    if missed.any():
        every = labels.ravel()
        mean = _totals(every, values.ravel(), count) / np.bincount(every, minlength=count)
        offset[missed], k[missed] = mean[missed], 0.0
    whole_x = np.arange(width, dtype=np.float32)
    whole_y = np.arange(height, dtype=np.float32)[:, None]
    level, across, down = (a.astype(np.float32)[labels] for a in (offset, k[:, 1], k[:, 2]))
    fit: Field = level + across * whole_x + down * whole_y
    return fit


def joined(values: Field, labels: Labels, step: float, reach: int = 9) -> Field:
    """Return the values with the steps between patches smoothed where they are small.

    Args:
        values: (H, W) float32.
        labels: (H, W): where values may jump.
        step: Greatest step that is taken for one surface.
        reach: Of the smoothing on both sides of such a border [px].
    """
    weak = np.zeros(values.shape, np.uint8)
    bonds = []
    for axis in (0, 1):
        jump = np.abs(np.diff(values, axis=axis))
        border = np.diff(labels, axis=axis) != 0
        bonds.append(np.where(border & (jump > step), 1e-4, 1.0).astype(np.float32))
        inner = np.s_[:-1, :] if axis == 0 else np.s_[:, :-1]
        weak[inner] |= (border & (jump <= step)).astype(np.uint8)
    near = cv2.dilate(weak, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    trust = np.where(near > 0, np.float32(0.02), np.float32(1.0))
    out = values
    for _ in range(2):
        out = _solved(out, trust, bonds[0])
        out = _solved(out.T, trust.T, bonds[1].T).T
    return np.ascontiguousarray(out)


def _solved(values: Field, trust: Field, bond: Field) -> Field:
    """Return u along axis 0 that is least in trust (u - values)^2 + bond (difference of u)^2."""
    values, trust, bond = (np.ascontiguousarray(a) for a in (values, trust, bond))
    total = trust.copy()
    total[:-1] += bond
    total[1:] += bond
    ratio = np.empty_like(bond)
    out = trust * values
    ratio[0] = bond[0] / total[0]
    out[0] /= total[0]
    for i in range(1, len(values)):
        pivot = total[i] - bond[i - 1] * ratio[i - 1]
        if i < len(bond):
            ratio[i] = bond[i] / pivot
        out[i] += bond[i - 1] * out[i - 1]
        out[i] /= pivot
    for i in range(len(values) - 2, -1, -1):
        out[i] += ratio[i] * out[i + 1]
    return out
