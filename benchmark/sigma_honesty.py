"""Is sigma of the stereo models honest on scenes that it was not calibrated on?

    python benchmark/sigma_honesty.py SHARED_DATA [--json FILE] [--write]
    python benchmark/sigma_honesty.py SHARED_DATA --gross [--model MODEL]

For each model: the raw scores of all scenes are taken through the whole estimator with default
parameters, but for the limit of sigma in pixels, so that the doubtful ones count, too; half of the
scenes calibrate, the other half is estimated again with that calibration, and depth and sigma are
judged in metres. Six such splits. `pooled` counts the pixels of all tested scenes as one, `image`
is the mean over images of the measures of `evaluation.measures.sigma`.
`--write` then makes `models/MODEL.sigma.yaml` from all scenes.

`--gross` does none of this: it takes the shipped calibration and says what the errors beyond 5
sigma do to ENCE. A share g of them, of m sigma each, beside others of mean square c makes
RMSE^2 / sigma^2 = (1 - g) c + g m^2; at most 1.44 of that goes with an ENCE of 0.20.

Scenes: Middlebury 2014 and 2006 (the offset of the principal points of the latter is assumed), one
frame of KITTI 2015, rendered boxes with noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
import json
from pathlib import Path
import tempfile

import depth_perception
from depth_perception.core.calibration_choice import (
    calibrated,
    Calibration,
    calibration_figures,
    rank_correlation,
)
from depth_perception.core.calibration_fit import joined, scored_errors, ScoredErrors
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.stereo import depth_from_disparity
from depth_perception.core.types import DepthMap
from depth_perception.evaluation.measures.sigma import sigma_measures
from depth_perception.inference.calibration_file import (
    BagSpec,
    CalibrationFile,
    curve_sections,
    FiguresSpec,
    ProvenanceSpec,
    write_calibration,
)
from depth_perception.inference.cards import load_card
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.sigma import network_sha256, score_settings
from depth_perception.parameters import StereoEstimatorSettings
from honesty_scenes import HonestyScene, real_scenes, rendered_scenes
import numpy as np

MODELS = 'sgbm', 'window-stereo', 'depth-perception-stereo-small', 'depth-perception-stereo'
SPLITS = 6
PER_SCENE = 20_000
GROSS_SIGMA, MOST_ENCE = 5.0, 0.20
NO_LIMIT_PX = 1000.0
NOTE = (
    'Scenes of benchmark/honesty_scenes.py. Figures: 5 folds by scene, in disparity; {score}. '
    'Gross errors rule ence.'
)
FITTED = 'the weights inside the score were fitted on all of these scenes'
SCORES = {'depth-perception-stereo-small': 'the score was learned from made pairs only'}
MODELS_FOLDER = Path(__file__).resolve().parents[1] / 'models'
POOLED = 'within_1_sigma', 'within_2_sigma', 'beyond_5_sigma', 'ence', 'ence_robust', 'spearman'
IMAGE = 'within_1_sigma', 'within_2_sigma', 'ence', 'aurg_abs_rel', 'aurg_rmse_m', 'spearman'


def estimates(
    model: str, scenes: Sequence[HonestyScene], calibration: str
) -> dict[str, DepthEstimate]:
    """Return scene -> estimate with default parameters but for calibration and limit."""
    settings = StereoEstimatorSettings(
        model=model, uncertainty__calibration_file=calibration, filters__max_sigma_px=NO_LIMIT_PX
    )
    found = {}
    with open_estimator(settings) as estimator:
        for scene in scenes:
            estimator.reset()
            found[scene.name] = estimator.estimate(scene.frame)
    return found


def raw_sample(scene: HonestyScene, estimate: DepthEstimate) -> ScoredErrors:
    """Return errors of disparity [px] with the raw scores of their pixels."""
    assert estimate.disparity is not None
    assert estimate.score is not None
    return scored_errors(
        scene.name,
        estimate.disparity.values,
        scene.truth,
        estimate.score.values,
    )


def calibration_file(
    model: str, found: Calibration, scenes: Sequence[HonestyScene], pixels: Mapping[str, int]
) -> CalibrationFile:
    """Return what is written for a calibration."""
    held = found.held_out
    return CalibrationFile(
        model=model,
        domain='disparity_px',
        score='sigma',
        model_sha256=network_sha256(load_card(model)),
        provenance=ProvenanceSpec(
            bags=tuple(BagSpec(s.name, s.sha256, 1, pixels[s.name]) for s in scenes),
            package_version=depth_perception.__version__,
            created_utc=datetime.now(timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ'),
            command=('python', 'benchmark/sigma_honesty.py', 'SHARED_DATA', '--write'),
            note=NOTE.format(score=SCORES.get(model, FITTED)),
        ),
        figures=FiguresSpec(
            pixels=held.pixels,
            within_1_sigma=round(held.within_1_sigma, 4),
            within_2_sigma=round(held.within_2_sigma, 4),
            beyond_5_sigma=round(held.beyond_5_sigma, 5),
            ence=round(held.ence, 4),
            ence_robust=round(held.ence_robust, 4),
            spearman=round(held.spearman, 4),
        ),
        settings=score_settings(load_card(model), StereoEstimatorSettings(model=model)),
        **curve_sections(found.curve),
    )


def in_metres(scene: HonestyScene, estimate: DepthEstimate) -> tuple[ScoredErrors, DepthMap]:
    """Return errors and sigmas in metres, and the true depth."""
    truth = depth_from_disparity(scene.truth, scene.frame.rig)
    truth[~(np.isfinite(truth) & (truth > 0.0))] = np.nan
    sample = scored_errors(scene.name, estimate.depth, truth, estimate.sigma, limit=PER_SCENE)
    return sample, truth


def judged(scene: HonestyScene, estimate: DepthEstimate) -> tuple[ScoredErrors, dict[str, float]]:
    """Return errors and sigmas in metres, and the figures of the image."""
    sample, truth = in_metres(scene, estimate)
    figures = sigma_measures(estimate.depth, estimate.sigma, truth, np.isfinite(truth))
    assert estimate.disparity is not None
    sigma_px = estimate.sigma / np.square(estimate.depth)
    pixels = scored_errors(scene.name, estimate.disparity.values, scene.truth, sigma_px)
    figures['spearman_px'] = rank_correlation(np.abs(pixels.error), pixels.score)
    return sample, figures


def study(
    model: str, scenes: Sequence[HonestyScene], splits: int = SPLITS
) -> dict[str, dict[str, float]]:
    """Return split -> figures, and print a line each."""
    raw = estimates(model, scenes, 'none')
    samples = {scene.name: raw_sample(scene, raw[scene.name]) for scene in scenes}
    pixels = {name: sample.error.size for name, sample in samples.items()}
    rows: dict[str, dict[str, float]] = {}
    for split in range(splits):
        order = np.random.default_rng(split // 2).permutation(len(scenes))
        fitted = [scenes[i] for i in order[split % 2 :: 2]]
        tested = [scenes[i] for i in order[1 - split % 2 :: 2]]
        found = calibrated([samples[s.name] for s in fitted])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'c.sigma.yaml'
            write_calibration(calibration_file(model, found, fitted, pixels), path)
            again = estimates(model, tested, str(path))
        for group in ('all', 'real', 'rendered'):
            chosen = [
                s for s in tested if group in ('all', 'rendered' if s.is_rendered else 'real')
            ]
            parts = [judged(s, again[s.name]) for s in chosen]
            rows[f'{split} {group}'] = _row(model, f'{split} {group}', parts)
    return rows


def _row(
    model: str, split: str, parts: Sequence[tuple[ScoredErrors, dict[str, float]]]
) -> dict[str, float]:
    pixels = joined([part[0] for part in parts])
    figures = calibration_figures(pixels, pixels.score)
    row = {f'pooled {name}': float(getattr(figures, name)) for name in POOLED}
    for name in (*IMAGE, 'spearman_px'):
        row[f'image {name}'] = float(np.nanmean([part[1][name] for part in parts]))
    print(
        f'{model:13s} split {split:10s} pooled: 1s {row["pooled within_1_sigma"]:.3f} '
        f'2s {row["pooled within_2_sigma"]:.3f} ENCE {row["pooled ence"]:.2f} '
        f'(robust {row["pooled ence_robust"]:.2f}) rank {row["pooled spearman"]:.2f} | image: '
        f'1s {row["image within_1_sigma"]:.3f} 2s {row["image within_2_sigma"]:.3f} '
        f'ENCE {row["image ence"]:.2f} AURG {row["image aurg_abs_rel"]:.4f} '
        f'{row["image aurg_rmse_m"]:.3f} m rank {row["image spearman"]:.2f} '
        f'(px {row["image spearman_px"]:.2f})',
        flush=True,
    )
    return row


def write_shipped(model: str, scenes: Sequence[HonestyScene]) -> None:
    """Calibrate on every scene, and store the file beside the card."""
    raw = estimates(model, scenes, 'none')
    samples = {scene.name: raw_sample(scene, raw[scene.name]) for scene in scenes}
    found = calibrated(list(samples.values()))
    pixels = {name: sample.error.size for name, sample in samples.items()}
    path = MODELS_FOLDER / f'{model}.sigma.yaml'
    write_calibration(calibration_file(model, found, scenes, pixels), path)
    print(f'{path.name}: {found.curve}')


def gross_errors(model: str, scenes: Sequence[HonestyScene]) -> dict[str, float]:
    """Return what the errors that sigma does not foresee do to ENCE, and print it."""
    made = estimates(model, scenes, '')
    sample = joined([in_metres(scene, made[scene.name])[0] for scene in scenes])
    square = np.square(sample.error / sample.score)
    gross = square > GROSS_SIGMA**2
    share, large = float(gross.mean()), float(square[gross].mean())
    core = float(square[~gross].mean())
    whole = (1.0 - share) * core + share * large
    rest = replace(
        sample,
        error=sample.error[~gross],
        score=sample.score[~gross],
        reference_sigma=sample.reference_sigma[~gross],
    )
    widened = np.sqrt(whole) / (1.0 + MOST_ENCE)
    row = {
        'within_1_sigma': float(np.mean(square <= 1.0)),
        'ence': calibration_figures(sample, sample.score).ence,
        'gross_share': share,
        'gross_rms_sigma': float(np.sqrt(large)),
        'rest_mean_square': core,
        'rms_over_sigma': float(np.sqrt(whole)),
        'allowed_share': ((1.0 + MOST_ENCE) ** 2 - core) / (large - core),
        'rest_within_1_sigma': float(np.mean(square[~gross] <= 1.0)),
        'rest_ence': calibration_figures(rest, rest.score).ence,
        'widened_by': float(widened),
        'widened_within_1_sigma': float(np.mean(square <= widened**2)),
    }
    print(
        f'{model}, {len(scenes)} photographed scenes: {100 * share:.2f} % of the pixels are off '
        f'by more than {GROSS_SIGMA:g} sigma, by m = {np.sqrt(large):.1f} in the root mean '
        f'square; c = {core:.2f} of the rest\n'
        f'  all: 1s {row["within_1_sigma"]:.3f} ENCE {row["ence"]:.2f}, RMSE / sigma '
        f'{np.sqrt(whole):.2f}; an ENCE of {MOST_ENCE:g} allows g = '
        f'{100 * row["allowed_share"]:.3f} %\n'
        f'  without them: 1s {row["rest_within_1_sigma"]:.3f} ENCE {row["rest_ence"]:.2f}\n'
        f'  sigma {widened:.1f} times as wide, for RMSE / sigma = {1 + MOST_ENCE:g}: 1s '
        f'{row["widened_within_1_sigma"]:.3f}',
        flush=True,
    )
    return row


def main() -> None:
    """Print the figures, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('--model', action='append', choices=MODELS)
    parser.add_argument('--splits', type=int, default=SPLITS)
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    parser.add_argument('--gross', action='store_true', help='what gross errors do to ENCE')
    parser.add_argument('--write', action='store_true', help='write models/MODEL.sigma.yaml')
    arguments = parser.parse_args()
    scenes = list(real_scenes(arguments.data))
    scenes += [] if arguments.gross else rendered_scenes()
    figures: dict[str, object] = {}
    for model in arguments.model or MODELS:
        if arguments.gross:
            figures[model] = gross_errors(model, scenes)
            continue
        figures[model] = study(model, scenes, arguments.splits)
        if arguments.write:
            write_shipped(model, scenes)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    main()
