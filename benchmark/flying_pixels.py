"""What the flying-pixel filter cuts, by the significance that it asks of a step.

    python benchmark/flying_pixels.py SHARED_DATA [--model ID]... [--json FILE]

Scenes of Middlebury 2014 and a frame of KITTI 2015; of the pixels with ground truth that are cut:
how many, the share that is wrong by more than 10 %, and the share off by more than 3 sigma.
The last is what hurts: where sigma admits the error, the gate of the cloud can act on it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from depth_perception.core.filters import flying_pixel_mask
from depth_perception.errors import ModelError
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np
from stereo_scenes import stereo_scenes

SIGMAS = (0.0, 1.0, 1.5, 2.0, 3.0)


def study(data: Path, model: str) -> dict[str, dict[str, tuple[int, float, float]]]:
    """Return scene -> significance -> number cut, share wrong and share beyond 3 sigma."""
    settings = StereoEstimatorSettings(
        model=model, max_depth_m=100.0, filters__flying_pixels=False
    )
    found: dict[str, dict[str, tuple[int, float, float]]] = {}
    with open_estimator(settings) as estimator:
        for scene in stereo_scenes(data):
            made = estimator.estimate(scene.frame)
            error = np.abs(made.depth - scene.truth)
            known = np.isfinite(error)
            rows = found.setdefault(scene.name, {})
            for sigmas in SIGMAS:
                cut = known & flying_pixel_mask(
                    made.depth,
                    made.camera,
                    settings.filters__flying_jump,
                    settings.filters__flying_angle_deg,
                    made.sigma if sigmas else None,
                    sigmas,
                )
                count = int(cut.sum())
                wrong = float(np.mean((error > 0.1 * scene.truth)[cut])) if count else 0.0
                unforeseen = float(np.mean((error > 3.0 * made.sigma)[cut])) if count else 0.0
                rows[f'{sigmas:g}'] = count, wrong, unforeseen
    return found


def main() -> None:
    """Print the table and store the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, help='folder with middlebury_2014_q and kitti_2015')
    parser.add_argument('--model', action='append', help='a stereo model; default: sgbm')
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    arguments = parser.parse_args()
    found = {}
    for model in arguments.model or ['sgbm']:
        try:
            found[model] = study(arguments.data, model)
        except ModelError as error:
            print(f'{model}: {error}')
            continue
        for scene, rows in found[model].items():
            for sigmas, (count, wrong, unforeseen) in rows.items():
                print(
                    f'{model:16s} {scene:12s} {sigmas:>4s} sigma: {count:6d} cut, '
                    f'{wrong:.2f} wrong by 10 %, {unforeseen:.2f} beyond 3 sigma'
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
    main()
