"""Draw the pictures of docs/uncertainty.md, and print the figures that stand beside them.

    python benchmark/uncertainty_pictures.py [SHARED_DATA] [--out docs/uncertainty]

The photographs are the Motorcycle pair that `./run demo` fetches; the chart `reliability.png`
needs the folder with middlebury_2014_q and kitti_2015, and is left alone without it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from confidence_honesty import judged_scenes, kept_promises, reliability
import cv2
from depth_perception.cli.demo_data import motorcycle_folder
from depth_perception.core.cloud import SigmaGate
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.types import AnyArray, Pixels
from depth_perception.evaluation.pictures import (
    colourise,
    ColourScale,
    depth_scale,
    encoded,
    render_cloud,
    sigma_scale,
    UNKNOWN_RGB,
    with_colour_bar,
)
from depth_perception.evaluation.scenes import motorcycle_scene, Scene
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np

WIDTH_PX = 592  # of a tile
CROP_PX = 394
GATE = SigmaGate(max_relative=0.015)
GROSS_SIGMAS = 5.0
MARK_RGB = (0, 255, 255)
INK, GRID = (40, 40, 40), (220, 220, 220)
CROPS = {  # left, top, right, bottom [px] of the Motorcycle image
    'Slats: one looks like the next': (40, 90, 250, 270),
    'Spokes and tyre: near edges fatten': (500, 250, 710, 430),
    'Paint, chrome, glass: reflections move': (420, 80, 630, 260),
}
SHIFTS = {  # what a camera does to its picture -> the same done to the right image
    'as photographed': lambda image, _: image,
    'under-exposed 4 times': lambda image, _: image // 4,
    'noise of 10 grey levels': lambda image, rng: np.clip(
        image + rng.normal(0.0, 10.0, image.shape), 0, 255
    ).astype(np.uint8),
    'out of focus, 2 px': lambda image, _: cv2.GaussianBlur(image, (0, 0), 2.0),
    'right camera 0.5 px too low': lambda image, _: image,
}


def estimated(scene: Scene, left: Pixels, right: Pixels, model: str = 'sgbm') -> DepthEstimate:
    """Return the depth of the builtin matcher, or of another model."""
    with open_estimator(StereoEstimatorSettings(model=model)) as estimator:
        pair = Picture(left, 'rgb'), Picture(right, 'rgb')
        return estimator.estimate(StereoFrame(*pair, scene.rig))


def titled(rgb: Pixels, title: str, width: int = WIDTH_PX) -> Pixels:
    """Return a tile: the picture at the width [px] with a line of text below it."""
    height = round(rgb.shape[0] * width / rgb.shape[1])
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    band = np.full((26, width, 3), 255, np.uint8)
    cv2.putText(band, title, (12, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.47, INK, 1, cv2.LINE_AA)
    return np.vstack([small, band])


def sheet(tiles: list[Pixels], columns: int, gap_px: int = 8) -> Pixels:
    """Return tiles side by side on white."""
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    rows = -(-len(tiles) // columns)
    shape = rows * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px, 3
    page = np.full(shape, 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = (place * size for place, size in zip(
            divmod(index, columns), (height + gap_px, width + gap_px), strict=True))  # fmt: skip
        page[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return page


def barred(values: AnyArray, scale: ColourScale, title: str) -> Pixels:
    """Return a tile of values in colours, with their scale."""
    rgb = colourise(values, scale)
    height = round(rgb.shape[0] * WIDTH_PX / rgb.shape[1])
    small = cv2.resize(rgb, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    return with_colour_bar(small, scale, title)


def overview(scene: Scene, made: DepthEstimate) -> Pixels:
    """Return image and depth above, what sigma promised and what the error was below."""
    metres, unsure = depth_scale([scene.truth]), sigma_scale(made.sigma)
    error = np.abs(made.depth - scene.truth)
    error[~np.isfinite(error)] = np.nan
    return sheet(
        [
            titled(scene.left, 'Left image'),
            barred(made.depth, metres, 'Depth'),
            barred(made.sigma, unsure, 'Sigma: one standard deviation, as published'),
            barred(error, unsure, 'What the error really was, |depth - truth|'),
        ],
        2,
    )


def gated(scene: Scene, made: DepthEstimate) -> Pixels:
    """Return the cloud as it is, and with only the points that are sure of themselves."""
    kept = made.depth + GATE.holes(made.depth, made.sigma)
    share = 100.0 * np.isfinite(kept).sum() / made.valid.sum()
    titles = (
        'All points of window-stereo, seen from beside the camera',
        f'cloud.max_sigma_relative: {GATE.max_relative:g} leaves {share:.0f} % of them',
    )
    tiles = []
    for depth, title in zip((made.depth, kept), titles, strict=True):
        view = render_cloud(depth, scene.left, made.camera, -50.0, 14.0)
        tiles.append(titled(view, title))
    return sheet(tiles, 2)


def failures(scene: Scene, made: DepthEstimate) -> Pixels:
    """Return cut-outs: the image above, and below it what is wrong without sigma knowing."""
    error = np.abs(made.depth - scene.truth)
    marked = scene.left // 2 + 60
    marked[~made.valid] = UNKNOWN_RGB
    with np.errstate(invalid='ignore'):
        marked[error > GROSS_SIGMAS * made.sigma] = MARK_RGB
    above, below = [], []
    for title, (left, top, right, bottom) in CROPS.items():
        for target, image, text in (
            (above, scene.left, title),
            (below, marked, f'Cyan: off by more than {GROSS_SIGMAS:g} sigma; dark: unknown'),
        ):
            crop = cv2.resize(image[top:bottom, left:right], None, fx=2, fy=2, interpolation=2)
            target.append(titled(crop, text, CROP_PX))
    return sheet(above + below, len(CROPS))


def shift_rows(scene: Scene) -> list[str]:
    """Return a row of the table for each thing that happens to cameras."""
    rng, rows = np.random.default_rng(2), []
    for name, spoil in SHIFTS.items():
        left, right = (spoil(image, rng) for image in (scene.left, scene.right))
        if 'too low' in name:
            turn = np.float32([[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]])
            right = cv2.warpAffine(right, turn, right.shape[1::-1], borderMode=1)
        made = estimated(scene, left, right)
        known = made.valid & np.isfinite(scene.truth)
        error = np.abs(made.depth - scene.truth)[known]
        quotient = error / made.sigma[known]
        figures = [100.0 * made.valid.mean(), 100.0 * np.median(error / made.depth[known])]
        figures += [100.0 * np.median(made.sigma[known] / made.depth[known])]
        figures += [100.0 * np.mean(quotient <= k) for k in (1.0, 2.0)]
        figures += [100.0 * np.mean(quotient > GROSS_SIGMAS)]
        rows.append('| ' + ' | '.join([name] + [f'{value:.2g}' for value in figures]) + ' |')
    return rows


def plot(curves: dict[str, tuple[AnyArray, ...]], up: str, along: str) -> Pixels:
    """Return a chart with the diagonal of honesty.

    Args:
        curves: Name -> x and y, 0..1, and if wanted the share of the pixels, for the dots.
        up: What y is.
        along: What x is.
    """
    side, left, top = 400, 60, 34
    page = np.full((side + 90, side + 90, 3), 255, np.uint8)

    def point(x: float, y: float) -> tuple[int, int]:
        return left + round(x * side), top + round((1.0 - y) * side)

    def write(text: str, x: int, y: int, ink: tuple[int, int, int] = INK) -> None:
        cv2.putText(page, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)

    for tick in np.linspace(0.0, 1.0, 6):
        cv2.line(page, point(tick, 0.0), point(tick, 1.0), GRID, 1)
        cv2.line(page, point(0.0, tick), point(1.0, tick), GRID, 1)
        write(f'{tick:.1f}', point(tick, 0.0)[0] - 10, top + side + 20)
        write(f'{tick:.1f}', left - 32, point(0.0, tick)[1] + 5)
    cv2.line(page, point(0.0, 0.0), point(1.0, 1.0), (150, 150, 150), 1, cv2.LINE_AA)
    inks = ((30, 90, 180), (200, 80, 30), (40, 140, 60), (150, 60, 160))
    for index, ((name, (x, y, *shares)), ink) in enumerate(
        zip(curves.items(), inks, strict=False)
    ):
        places = [point(*pair) for pair in zip(x, y, strict=True)]
        cv2.polylines(page, [np.array(places)], False, ink, 2, cv2.LINE_AA)
        for place, share in zip(
            places, shares[0] if shares else [0.05] * len(places), strict=True
        ):
            cv2.circle(page, place, round(2 + 10 * share**0.5), ink, -1, cv2.LINE_AA)
        write(name, left + 10, top + 20 + 20 * index, ink)
    write(f'Up: {up}', left, top - 14)
    write(f'Along: {along}', left, top + side + 44)
    return page


def reliability_chart(data: Path) -> Pixels:
    """Return coverage of k sigma per scene, and promised against actual confidence."""
    scenes = judged_scenes(data, 'sgbm')
    levels = np.array([0.1, 0.2, 0.3, 0.383, 0.5, 0.683, 0.8, 0.9, 0.954, 0.99])
    deviations = np.interp(levels, [_normal(k) for k in _KS], _KS)
    groups = {'Middlebury, 5 scenes': [], 'KITTI, 1 frame': []}
    for scene in scenes:
        quotient = np.abs(scene.errors.error) / scene.errors.score
        shares = np.array([np.mean(quotient <= k) for k in deviations])
        where = 'KITTI, 1 frame' if '0000' in scene.name else 'Middlebury, 5 scenes'
        groups[where].append(shares)
    coverage = {name: (levels, np.mean(rows, 0)) for name, rows in groups.items() if rows}
    promises = {}
    for bound in (0.1, 0.03, 0.01):
        kept = [kept_promises(s, s.estimate, bound, s.estimate.tail, s.estimate.gross_share)
                for s in scenes]  # fmt: skip
        table = np.array([row for row in reliability(kept) if row[2] > 1e-3])
        promises[f'right to within {100 * bound:g} %'] = table[:, 0], table[:, 1], table[:, 2]
    return sheet(
        [
            plot(coverage, 'share of the errors within k sigma', 'that of a Gaussian'),
            plot(promises, 'share of the pixels that are right', 'confidence'),
        ],
        2,
    )


_KS = np.linspace(0.0, 4.0, 401)


def _normal(deviations: float) -> float:
    from math import erf, sqrt

    return erf(deviations / sqrt(2.0))


def write(path: Path, picture: Pixels) -> None:
    """Write a small image file."""
    path.write_bytes(encoded(picture, path.suffix, quality=78))


def main() -> None:
    """Write the pictures and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, nargs='?', help='folder with the data sets')
    parser.add_argument('--out', type=Path, default=Path('docs/uncertainty'))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    scene = motorcycle_scene(motorcycle_folder())
    made = estimated(scene, scene.left, scene.right)
    write(arguments.out / 'overview.jpg', overview(scene, made))
    network = estimated(scene, scene.left, scene.right, 'window-stereo')
    write(arguments.out / 'gate.jpg', gated(scene, network))
    write(arguments.out / 'failures.jpg', failures(scene, made))
    if arguments.data is not None:
        write(arguments.out / 'reliability.png', reliability_chart(arguments.data))
    print('| what happens | known [%] | median error [%] | median sigma [%] '
          '| within 1 sigma [%] | within 2 sigma [%] | beyond 5 sigma [%] |')  # fmt: skip
    print('|---|---|---|---|---|---|---|')
    print('\n'.join(shift_rows(scene)))


if __name__ == '__main__':
    main()
