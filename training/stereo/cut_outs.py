"""Pieces of photographs and bare shapes, slanted, to stand in front of a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from training.stereo.layers import Field, Image, LayeredPair
from training.stereo.patches import segments

_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))


@dataclass(frozen=True)
class CutOut:
    """A flat thing before the cameras, over the left image and what lies right of it.

    Attributes:
        plane: Disparity at (0, 0) [px], its change per column and per row.
        cover: (H, W + spare) float32 0..1, how much of a pixel it covers.
        colours: (H, W + spare, 3) uint8 RGB.
    """

    plane: tuple[float, float, float]
    cover: Field
    colours: Image


def laid_over(pair: LayeredPair, right_disparity: Field, pieces: Sequence[CutOut]) -> LayeredPair:
    """Return the pair with the pieces in it, each where it is nearer than what was there.

    Args:
        pair: What lies behind.
        right_disparity: (H, W) float32 [px], disparity of what the right view of it shows.
        pieces: In any order.
    """
    left, right, disparity = pair.left, pair.right, pair.disparity
    y, x = np.mgrid[0 : left.shape[0], 0 : left.shape[1]].astype(np.float32)
    for piece in pieces:
        a, b, c = (np.float32(k) for k in piece.plane)
        width = left.shape[1]
        d = a + b * x + c * y
        left, disparity = _over(
            left, disparity, d, piece.cover[:, :width], piece.colours[:, :width]
        )
        source = (x + a + c * y) / (1.0 - b)  # where source - d(source) = x
        cover = cv2.remap(piece.cover, source, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        colours = cv2.remap(
            piece.colours, source, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        right, right_disparity = _over(right, right_disparity, source - x, cover, colours)
    return LayeredPair(left, right, disparity)


def _over(
    image: Image, disparity: Field, nearer: Field, cover: Field, colours: Image
) -> tuple[Image, Field]:
    share = (cover * (nearer > disparity))[..., None]
    mixed = image + share * (colours.astype(np.float32) - image)
    return (
        np.rint(mixed).astype(np.uint8),
        np.where(share[..., 0] > 0.5, nearer, disparity).astype(np.float32),
    )


def cut_outs(
    random: np.random.Generator,
    disparity: Field,
    wide: int,
    most_px: float,
    photos: Sequence[Image],
) -> list[CutOut]:
    """Return 1 to 10 random pieces, mostly nearer than what they hide.

    Args:
        random: Decides everything.
        disparity: (H, W) float32 [px] of the left view that they will stand in.
        wide: Width of the left view with what lies right of it [px].
        most_px: Greatest disparity [px].
        photos: (H, wide, 3) uint8 photographs to cut from.
    """
    height, width = disparity.shape
    found = []
    for _ in range(int(np.exp(random.uniform(0.0, np.log(10.99))))):
        kind = random.random()
        photo = photos[int(random.integers(len(photos)))]
        centre = random.uniform(0, wide), random.uniform(0, height)
        if kind < 0.35:
            mask, bare = _bars(random, (height, wide), centre), random.random() < 0.6
        elif kind < 0.65:
            mask, bare = _shape(random, (height, wide), centre), random.random() < 0.5
        else:
            mask, photo = _lifted(random, photo)
            bare = False
        hidden = disparity[mask[:, :width] > 0]
        if hidden.size < 30:
            continue
        colours = _bare(random, mask) if bare else photo
        cover = cv2.GaussianBlur(mask, (0, 0), random.uniform(0.45, 0.8)).astype(np.float32) / 255
        plane = _plane(random, mask, float(np.percentile(hidden, 97)), most_px)
        found.append(CutOut(plane, cover, colours))
    return found


def _plane(
    random: np.random.Generator, mask: Image, behind: float, most_px: float
) -> tuple[float, float, float]:
    y, x = np.nonzero(mask)
    b, c = random.normal(0.0, 0.05, 2) * (random.random() < 0.6)
    rise = b * (x - x.mean()) + c * (y - y.mean())
    share = random.random() ** 1.5
    level = behind + 1.5 + share * max(most_px - behind - 1.5, 0.0)
    level = min(level, most_px - float(rise.max()))
    level = max(level, 0.5 - float(rise.min()))
    return float(level - b * x.mean() - c * y.mean()), float(b), float(c)


def _bars(
    random: np.random.Generator, shape: tuple[int, int], centre: tuple[float, float]
) -> Image:
    """Return poles, slats or bars, alone or side by side."""
    mask = np.zeros(shape, np.uint8)
    angle = random.choice([0.0, np.pi / 2]) + random.normal(0.0, 0.08)
    if random.random() < 0.3:
        angle = random.uniform(0.0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    thick = random.uniform(2.0, 14.0)
    long = shape[0] * random.uniform(0.15, 1.6)
    gap = thick * random.uniform(1.6, 6.0)
    for i in range(1 if random.random() < 0.5 else int(random.integers(2, 9))):
        middle = np.asarray(centre) + across * i * gap
        ends = middle - along * long / 2, middle + along * long / 2
        side = across * thick / 2
        corners = np.array([ends[0] - side, ends[0] + side, ends[1] + side, ends[1] - side])
        points = np.rint(corners * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
    return mask


def _shape(
    random: np.random.Generator, shape: tuple[int, int], centre: tuple[float, float]
) -> Image:
    """Return a box, an ellipse, a polygon or a frame."""
    mask = np.zeros(shape, np.uint8)
    size = shape[0] * float(np.exp(random.uniform(np.log(0.05), np.log(0.45))))
    kind = random.random()
    tall, flat = size * random.uniform(0.35, 1.0, 2)
    lean = 0.0 if random.random() < 0.5 else random.normal(0.0, 20.0)
    if kind < 0.3:
        axes = (int(16 * flat), int(16 * tall))
        middle = (int(16 * centre[0]), int(16 * centre[1]))
        cv2.ellipse(mask, middle, axes, lean, 0, 360, 255, -1, cv2.LINE_AA, 4)
        return mask
    if kind < 0.7:
        points = cv2.boxPoints((centre, (2 * flat, 2 * tall), lean))
    else:
        turns = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 9))))
        radii = size * random.uniform(0.4, 1.1, len(turns))
        points = np.asarray(centre) + np.stack((radii * np.cos(turns), radii * np.sin(turns)), 1)
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    if kind < 0.7 and random.random() < 0.3:  # a frame
        inner = np.asarray(centre) + 0.8 * (points - np.asarray(centre))
        cv2.fillPoly(mask, [np.rint(inner * 16).astype(np.int32)], 0, cv2.LINE_AA, 4)
    return mask


def _lifted(random: np.random.Generator, photo: Image) -> tuple[Image, Image]:
    """Return the mask of a patch of a photograph and the photograph, moved somewhere."""
    height, width = photo.shape[:2]
    blurred = cv2.GaussianBlur(photo, (0, 0), 2.0)
    labels = segments(blurred, random.uniform(4.0, 10.0))
    sizes = np.bincount(labels.ravel()) / labels.size
    choice = np.nonzero((sizes > 0.004) & (sizes < 0.25))[0]
    pick = int(random.choice(choice)) if len(choice) else int(sizes.argmax())
    mask = (labels == pick).astype(np.uint8) * 255
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _DISC)
    outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    mask = np.zeros_like(mask)
    if outlines:
        cv2.drawContours(mask, [max(outlines, key=cv2.contourArea)], -1, 255, -1)
    y, x = np.nonzero(mask) if outlines else (np.zeros(1), np.zeros(1))
    move = random.uniform(0, width) - x.mean(), random.uniform(0, height) - y.mean()
    matrix = np.array([[1.0, 0.0, move[0]], [0.0, 1.0, move[1]]])
    moved = cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return cv2.warpAffine(mask, matrix, (width, height)), moved


def _bare(random: np.random.Generator, mask: Image) -> Image:
    """Return one colour with soft light, a little rounded towards the edges at times."""
    vivid = random.uniform(15.0, 240.0, 3)
    grey = random.random() ** 0.5
    colour = (grey * vivid.mean() + (1.0 - grey) * vivid).astype(np.float32)
    shade = cv2.resize(
        random.normal(0.0, random.uniform(0.0, 0.12), (3, 4)).astype(np.float32),
        mask.shape[::-1],
        interpolation=cv2.INTER_CUBIC,
    )
    if random.random() < 0.5:
        inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
        round_ = 1.0 - np.minimum(inside / max(float(inside.max()), 1.0), 1.0)
        shade = shade - np.float32(random.uniform(0.0, 0.5)) * round_**2
    found: Image = np.clip(colour * np.exp(shade)[..., None], 0, 255).astype(np.uint8)
    return found
