"""Pairs out of single photographs: a plausible disparity is invented, the right view follows.

After Watson et al., 'Learning stereo from single images', ECCV 2020. The inverse depth of a
mono network says only roughly what lies where; what matters is that jumps of disparity lie on
edges of the picture, that bare surfaces are smooth, and that the truth is exact because the right
view is made from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from training.stereo.cut_outs import cut_outs, laid_over
from training.stereo.layers import Field, Image, LayeredPair
from training.stereo.patches import joined, Labels, merged, planes, segments

STEEPEST = 0.9  # change of disparity a pixel that is still one surface


def photographic_pair(
    random: np.random.Generator,
    photo: Image,
    inverse_depth: Field,
    width: int,
    most_px: float,
    others: Sequence[Image] = (),
) -> LayeredPair:
    """Return a random pair made from one photograph.

    Args:
        random: Decides everything.
        photo: (H, W + spare, 3) uint8 RGB; the left view is its left part, what lies beyond is
            for the right view alone. Best with spare >= most_px.
        inverse_depth: (H, W + spare) float32, any unit, right up to scale and shift at best.
        width: Of the views [px].
        most_px: Greatest disparity [px].
        others: (H, W + spare, 3) uint8 photographs to cut pieces from that stand in front; none:
            nothing stands in front.
    """
    inverse = (inverse_depth - inverse_depth.min()) / max(float(np.ptp(inverse_depth)), 1e-6)
    labels = segments(photo, random.uniform(3.0, 7.0))
    least = int(np.exp(random.uniform(np.log(150.0), np.log(4000.0))))
    labels = merged(labels, photo, inverse, least)
    disparity = _in_pixels(random, inverse, labels, most_px)
    source, right_disparity = seen_from_right(disparity, width)
    right = coloured(photo, source)
    right, right_disparity = filled(right, right_disparity)
    pair = LayeredPair(photo[:, :width].copy(), right, disparity[:, :width].copy())
    if others:
        pieces = cut_outs(random, pair.disparity, photo.shape[1], most_px, others)
        pair = laid_over(pair, right_disparity, pieces)
    return pair


def _in_pixels(
    random: np.random.Generator, inverse: Field, labels: Labels, most_px: float
) -> Field:
    """Return the disparity [px] for an inverse depth from 0 to 1: sharp, tilted, with offsets."""
    far = 0.16 * random.random() ** 1.5 if random.random() < 0.75 else random.uniform(0.08, 0.4)
    far *= most_px
    near = random.uniform(max(0.16 * most_px, far + 0.05 * most_px), most_px)
    steep = float(np.percentile(np.abs(np.diff(inverse, axis=1)), 97))
    near = min(near, far + random.uniform(0.25, 0.7) / max(steep, 1e-6))  # else surfaces are torn
    y, x = np.mgrid[0 : inverse.shape[0], 0 : inverse.shape[1]].astype(np.float32)
    rough = far + (near - far) * inverse
    if random.random() < 0.4:
        slope = random.normal(0.0, (0.02, 0.05))
        rough += slope[0] * (x - x.mean()) + slope[1] * (y - y.mean())
    flat = planes(rough, labels)
    if random.random() < 0.4:  # not all is made of planes
        rest = np.clip(rough - flat, -8.0, 8.0)
        flat += random.uniform(0.1, 0.5) * rest
    found = joined(flat, labels, random.uniform(0.5, 2.5))
    sizes = np.bincount(labels.ravel()) / labels.size
    choice = np.nonzero((sizes > 0.002) & (sizes < 0.15))[0]
    if len(choice):
        picks = random.choice(choice, min(len(choice), int(random.integers(0, 9))), replace=False)
        offsets = np.zeros(len(sizes), np.float32)
        offsets[picks] = random.normal(4.0, 8.0, len(picks))
        found = found + offsets[labels]
    least, greatest = float(found.min()), float(found.max())
    if least < 0.0:
        found -= least
        greatest -= least
    if greatest > most_px:
        found *= most_px / greatest
    return np.clip(found, 1.0 / 128.0, most_px).astype(np.float32)


def seen_from_right(disparity: Field, width: int) -> tuple[Field, Field]:
    """Return which column of the left image the right one sees, and at what disparity.

    Between pixels of one surface the surface is stretched straight; at a jump each side ends half
    a pixel beyond its last pixel, with the colour of that pixel. The nearest wins.

    Args:
        disparity: (H, W + spare) float32 [px] of the left image.
        width: Of the right image [px].

    Returns:
        (H, width) float32 column of the left image, and (H, width) float32 disparity [px]; both
        -1 where the left image shows nothing.
    """
    height, wide = disparity.shape
    place = np.arange(wide, dtype=np.float32) - disparity
    step = np.diff(disparity, axis=1)
    one = np.abs(step) < STEEPEST
    start, length = place[:, :-1], 1.0 - step
    hits: list[tuple[NDArray[np.intp], Field, Field]] = []

    def hit(row: NDArray[np.intp], target: Field, source: Field, d: Field) -> None:
        inside = (target >= 0) & (target < width)
        index = row[inside] * width + target[inside].astype(np.intp)
        hits.append((index, source[inside], d[inside]))

    for k in (0, 1):
        target = np.ceil(start) + np.float32(k)
        row, column = np.nonzero(one & (target - start <= length))
        t = target[row, column]
        source = column + (t - start[row, column]) / length[row, column]
        hit(row, t, source.astype(np.float32), source.astype(np.float32) - t)
    for side in (0, 1):
        row, column = np.nonzero(~one)
        column += side  # the pixel left of the jump reaches to its right, and the other way
        p = place[row, column]
        t = np.floor(p) if side else np.ceil(p)
        near = np.abs(t - p) <= 0.5
        row, column, t = row[near], column[near], t[near]
        hit(row, t, column.astype(np.float32), disparity[row, column])
    index, source, d = (np.concatenate(a) for a in zip(*hits, strict=True))
    order = np.argsort(np.rint(d * 128.0).astype(np.uint16), kind='stable')
    seen = np.full((2, height * width), -1.0, np.float32)
    seen[0, index[order]] = source[order]
    seen[1, index[order]] = d[order]
    return seen[0].reshape(height, width), seen[1].reshape(height, width)


def coloured(photo: Image, source: Field) -> Image:
    """Return (H, W, 3) uint8, the photograph at the columns of `seen_from_right`."""
    rows = np.arange(len(source), dtype=np.float32)[:, None]
    y = np.ascontiguousarray(np.broadcast_to(rows, source.shape))
    mode = cv2.BORDER_REPLICATE
    found: Image = cv2.remap(photo, source, y, cv2.INTER_CUBIC, borderMode=mode)
    return found


def filled(right: Image, disparity: Field) -> tuple[Image, Field]:
    """Return both with the holes painted by the mirrored surface beside them that is farther.

    Args:
        right: (H, W, 3) uint8.
        disparity: (H, W) float32 [px], -1 in holes.
    """
    from_right, mirror_right = _beside(disparity)
    flipped, mirror = _beside(disparity[:, ::-1])
    from_left, mirror_left = flipped[:, ::-1], disparity.shape[1] - 1 - mirror[:, ::-1]
    take_left = (from_right < 0) | ((from_left >= 0) & (from_left < from_right))
    column = np.where(take_left, mirror_left, mirror_right)
    hole = disparity < 0
    painted = np.take_along_axis(right, column[..., None], 1)
    far = np.where(take_left, from_left, from_right)
    return (
        np.where(hole[..., None], painted, right),
        np.where(hole, np.maximum(far, 0.0), disparity).astype(np.float32),
    )


def _beside(disparity: Field) -> tuple[Field, NDArray[np.intp]]:
    """Return the disparity right of every hole (-1: none), and the column that mirrors it."""
    height, width = disparity.shape
    column = np.broadcast_to(np.arange(width), (height, width))
    known = disparity >= 0
    edge = _next(np.where(known, column, width))
    breaks = np.ones((height, width), bool)
    breaks[:, 1:] = ~known[:, 1:] | (np.abs(np.diff(disparity, axis=1)) > 2.0)
    after = np.full((height, width + 1), width)
    after[:, :-1] = _next(np.where(breaks, column, width))
    first = np.minimum(edge, width - 1)
    end = np.take_along_axis(after, np.minimum(edge + 1, width), 1)
    length = np.maximum(end - first, 1)
    away = np.abs(edge - column) % np.maximum(2 * (length - 1), 1)
    away = np.where(away >= length, 2 * (length - 1) - away, away)
    beside = np.where(edge < width, np.take_along_axis(disparity, first, 1), -1.0)
    return beside.astype(np.float32), np.clip(first + away, 0, width - 1)


def _next(columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the least of the columns here and further right."""
    return np.minimum.accumulate(columns[:, ::-1], axis=1)[:, ::-1]
