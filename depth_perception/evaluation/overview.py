"""One picture of an evaluation: a frame, its truth, and what each model made of it."""

from __future__ import annotations

from depth_perception.core.types import Pixels
from depth_perception.evaluation.pictures import ColourScale, encoded, opencv, with_colour_bar
from depth_perception.evaluation.report_pictures import FramePictures
import numpy as np

MAX_MODELS = 4
_TILE_PX = 420
_GAP_PX = 10
_COLUMNS = (('depth', 'depth'), ('error', '|Z - Z*| / Z*'), ('sigma', 'sigma / Z'))


def overview_of(made: FramePictures) -> bytes:
    """Return a JPEG: image and truth in the first row, then depth, error and sigma by model.

    Args:
        made: The pictures of one frame; of more than MAX_MODELS models the first are shown.
    """
    first = [_tile(made.shared['image'], 'image', None)]
    if 'truth' in made.shared:
        scale = ColourScale(**made.scales['depth'])
        first.append(_tile(made.shared['truth'], 'ground truth', scale))
        first.append(_tile(made.shared['truth_cloud'], 'ground truth as a cloud', None))
    rows = [first]
    for model, files in list(made.of_model.items())[:MAX_MODELS]:
        rows.append(
            [
                _tile(files[name], f'{model}: {title}', ColourScale(**made.scales[name]))
                for name, title in _COLUMNS
                if name in files
            ]
        )
    return encoded(_sheet(rows), '.jpg')


def _tile(data: bytes, title: str, scale: ColourScale | None) -> Pixels:
    """Return a picture of one width with its title, and its colours where they mean something."""
    cv2 = opencv()
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    height = max(1, round(bgr.shape[0] * _TILE_PX / bgr.shape[1]))
    smooth = cv2.INTER_AREA if bgr.shape[1] > _TILE_PX else cv2.INTER_LINEAR
    rgb = np.ascontiguousarray(
        cv2.resize(bgr, (_TILE_PX, height), interpolation=smooth)[..., ::-1]
    )
    if scale is not None:
        return with_colour_bar(rgb, scale, title)
    band = np.full((24, _TILE_PX, 3), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(band, title, (10, 17), font, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return np.vstack([rgb, band])


def _sheet(rows: list[list[Pixels]]) -> Pixels:
    columns = max(len(row) for row in rows)
    width = columns * _TILE_PX + (columns - 1) * _GAP_PX
    heights = [max(tile.shape[0] for tile in row) for row in rows]
    height = sum(heights) + _GAP_PX * (len(rows) - 1)
    sheet = np.full((height, width, 3), 255, np.uint8)
    top = 0
    for row, tall in zip(rows, heights, strict=True):
        for index, tile in enumerate(row):
            left = index * (_TILE_PX + _GAP_PX)
            sheet[top : top + tile.shape[0], left : left + _TILE_PX] = tile
        top += tall + _GAP_PX
    return sheet
