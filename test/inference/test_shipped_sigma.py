"""The calibrations that ship with the stereo models, and what they reach on scenes held out."""

from __future__ import annotations

from pathlib import Path
import sys

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.calibration_file import read_calibration
from depth_perception.inference.cards import load_card
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.sigma import SigmaModel
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np
from numpy.testing import assert_allclose
import pytest

pytest.importorskip('cv2')
ROOT = Path(__file__).resolve().parents[2]
MATCHERS = 'sgbm', 'window-stereo'
NETWORK = 'depth-perception-stereo-small'
FUSED = 'depth-perception-stereo'


@pytest.mark.parametrize('model', [*MATCHERS, NETWORK, FUSED])
def test_the_default_sigma_is_calibrated_and_fits_the_settings(model):
    found = SigmaModel.of(load_card(model), StereoEstimatorSettings(model=model))
    assert found.name == f'{model}.sigma.yaml'
    assert found.warning == ''
    assert found.calibration.domain == 'disparity_px'


@pytest.mark.parametrize('model', MATCHERS)
def test_shipped_calibrations_say_what_they_were_made_of(model):
    found = read_calibration(ROOT / 'models' / f'{model}.sigma.yaml')
    bags = found.provenance.bags
    assert len(bags) == len({bag.sha256 for bag in bags}) == 24
    assert {bag.name.split()[0] for bag in bags} == {'2014', '2006', 'kitti', 'rendered'}
    assert found.figures.within_1_sigma == pytest.approx(0.683, abs=0.05)
    assert found.figures.within_2_sigma == pytest.approx(0.954, abs=0.03)
    assert found.figures.ence_robust < 0.2


@pytest.mark.parametrize('model', [NETWORK, FUSED])
def test_sigma_of_the_network_answers_for_every_pixel_and_ranks_them(model):
    found = read_calibration(ROOT / 'models' / f'{model}.sigma.yaml')
    assert len({bag.sha256 for bag in found.provenance.bags}) == 24
    assert found.figures.within_1_sigma == pytest.approx(0.683, abs=0.08)
    assert found.figures.within_2_sigma > 0.9  # no pixel is left out: tails of bare surfaces
    assert found.figures.spearman >= 0.5


def test_sigma_of_depth_is_the_curve_of_the_score():
    grey = np.random.default_rng(8).integers(0, 256, (120, 260)).astype(np.uint8)
    left = PinholeCamera(240, 120, 200.0, 200.0, 119.5, 59.5)
    frame = StereoFrame(
        Picture(grey[:, :240].copy(), 'grey'),
        Picture(grey[:, 15:255].copy(), 'grey'),
        StereoRig(left, left, 0.1),
    )
    with open_estimator(StereoEstimatorSettings(model='sgbm', threads=1)) as estimator:
        estimate = estimator.estimate(frame)
    curve = read_calibration(ROOT / 'models' / 'sgbm.sigma.yaml').curve
    inner = np.s_[20:100, 60:220]
    score = estimate.score.values[inner]
    assert np.isfinite(score).mean() > 0.9
    expected = curve.exact(score.astype(np.float64)) * estimate.depth[inner] ** 2 / 20.0
    assert_allclose(estimate.sigma[inner], expected, rtol=0.02)


def study_of_halves(model, shared_dir, monkeypatch):
    """Return the rows of two splits: calibrated on one half of the scenes, judged on the other."""
    monkeypatch.syspath_prepend(str(ROOT / 'benchmark'))
    import honesty_scenes
    import sigma_honesty

    data = shared_dir / 'data'
    scenes = [*honesty_scenes.real_scenes(data), *honesty_scenes.rendered_scenes(2)]
    rows = sigma_honesty.study(model, scenes, splits=2)
    for name in ('honesty_scenes', 'sigma_honesty', 'stereo_accuracy'):
        sys.modules.pop(name, None)
    return rows


@pytest.mark.shared
def test_sigma_of_the_network_is_honest_on_photographs_held_out(shared_dir, monkeypatch):
    rows = study_of_halves(NETWORK, shared_dir, monkeypatch)
    real = [rows[f'{split} real'] for split in (0, 1)]
    for row in real:
        assert row['pooled within_1_sigma'] == pytest.approx(0.683, abs=0.12), rows  # nine scenes
        assert row['pooled spearman'] >= 0.5, rows
        assert row['image aurg_abs_rel'] > 0.0, rows
        assert row['image aurg_rmse_m'] > 0.0, rows
    mean = np.mean([row['pooled within_1_sigma'] for row in real])
    assert mean == pytest.approx(0.683, abs=0.08), rows


@pytest.mark.shared
@pytest.mark.parametrize('model', MATCHERS)
def test_sigma_is_honest_on_scenes_that_were_not_calibrated_on(model, shared_dir, monkeypatch):
    rows = study_of_halves(model, shared_dir, monkeypatch)
    mean = {key: np.mean([rows[f'{s} all'][key] for s in (0, 1)]) for key in rows['0 all']}
    assert mean['pooled within_1_sigma'] == pytest.approx(0.683, abs=0.05), rows
    assert mean['pooled within_2_sigma'] == pytest.approx(0.954, abs=0.045), rows
    assert mean['pooled ence_robust'] < 0.25, rows
    assert mean['pooled spearman'] > 0.5, rows
    assert mean['image spearman_px'] > 0.25, rows
    assert min(row['image aurg_abs_rel'] for row in rows.values()) > 0.0, rows
    assert min(row['image aurg_rmse_m'] for row in rows.values()) > 0.0, rows
