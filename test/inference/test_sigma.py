"""Tests of inference.sigma."""

from dataclasses import replace
from pathlib import Path
import time

from depth_perception.core.calibration_curve import PowerCurve
from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import RawScore, Rung, Scale
from depth_perception.core.frame import Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import ModelError
from depth_perception.inference.calibration_file import (
    BagSpec,
    CalibrationFile,
    curve_sections,
    FiguresSpec,
    ProvenanceSpec,
    write_calibration,
)
from depth_perception.inference.cards import available_cards, load_card
from depth_perception.inference.honesty import HonestSigma
from depth_perception.inference.postprocess import Postprocessor, RawEstimate
from depth_perception.inference.sigma import (
    camera_relative_sigma,
    score_settings,
    sigma_rho_from_domain,
    SigmaModel,
    with_camera_error,
)
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
from depth_perception.settings import settings_from_mapping
import numpy as np
import pytest

DIGEST = '0123456789abcdef' * 4
CAMERA = PinholeCamera(64, 48, 500.0, 500.0, 31.5, 23.5)
RIG = StereoRig(CAMERA, replace(CAMERA, cx=35.5), 0.12)
ONE_SIGMA = 0.6827


def written(path, curve=PowerCurve(0.5, 1.5, 0.1), **changes):  # noqa: B008 - frozen
    made = CalibrationFile(
        model='sgbm',
        domain='disparity_px',
        score='sigma',
        provenance=ProvenanceSpec((BagSpec('yard', DIGEST, 1, 4000),), '0.1.0', '2026-01-02'),
        figures=FiguresSpec(68000, 0.7, 0.93, 0.02, 5.1, 0.13),
        settings={'sgbm.block_size': 3},
        **curve_sections(curve),
    )
    write_calibration(replace(made, **changes), path)
    return path


def stereo(path='', **values):
    return StereoEstimatorSettings(uncertainty__calibration_file=str(path), **values)


def score(values, name='sigma', domain='disparity_px'):
    return RawScore(np.asarray(values, np.float32), name, domain)


def test_the_curve_of_the_file_makes_sigma(tmp_path):
    model = SigmaModel.of(load_card('sgbm'), stereo(written(tmp_path / 'a.sigma.yaml')))
    found = model.sigma_rho(score([[0.25, 1.0, np.nan]]), np.ones((1, 3), np.float32), RIG)
    wanted = np.hypot(0.5 * np.array([0.25, 1.0]) ** 1.5, 0.1) / RIG.focal_baseline
    np.testing.assert_allclose(found[0, :2], wanted, rtol=0.01)
    assert np.isnan(found[0, 2])
    assert (model.gross_share, model.warning) == (0.02, '')


def test_without_a_file_there_is_no_calibration(tmp_path):
    card = load_card('sgbm')
    bare = replace(card, uncertainty=replace(card.uncertainty, calibration=''))
    assert SigmaModel.of(bare, stereo()) == SigmaModel()
    named = replace(card, uncertainty=replace(card.uncertainty, calibration='gone.sigma.yaml'))
    assert SigmaModel.of(named, stereo('none')) == SigmaModel()
    with pytest.raises(ModelError, match=r'gone.sigma.yaml.*calibrate'):
        SigmaModel.of(named, stereo())
    values = np.array([[0.5]], np.float32)
    assert SigmaModel().sigma_domain(values) is values
    assert SigmaModel().gross_share == 0.0
    assert tmp_path.is_dir()


def test_a_card_names_a_file_beside_it(tmp_path):
    card = load_card('sgbm')
    card = replace(
        card,
        path=tmp_path / 'sgbm.yaml',
        uncertainty=replace(card.uncertainty, calibration='mine.sigma.yaml'),
    )
    written(tmp_path / 'mine.sigma.yaml')
    found = SigmaModel.of(card, stereo()).calibration
    assert found.path == tmp_path / 'mine.sigma.yaml'


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'model': 'window-stereo'}, 'calibrates window-stereo, not sgbm'),
        ({'model_sha256': DIGEST}, 'calibrate it again'),
        ({'domain': 'output'}, 'output, which sgbm has not'),
    ],
)
def test_what_does_not_fit_the_model_is_refused(tmp_path, changes, told):
    path = written(tmp_path / 'a.sigma.yaml', **changes)
    with pytest.raises(ModelError, match=told):
        SigmaModel.of(load_card('sgbm'), stereo(path))


def test_a_disparity_curve_is_refused_for_one_camera(tmp_path):
    path = written(tmp_path / 'a.sigma.yaml', model='floor-stixels', model_sha256=DIGEST)
    card = load_card('floor-stixels')
    card = replace(card, artifact=replace(card.artifact, sha256=DIGEST))
    with pytest.raises(ModelError, match='disparity_px, which floor-stixels has not'):
        SigmaModel.of(card, MonoEstimatorSettings(uncertainty__calibration_file=str(path)))


@pytest.mark.parametrize('given', [score([[1.0]], 'flip'), score([[1.0]], domain='log_depth')])
def test_another_score_is_refused(tmp_path, given):
    model = SigmaModel.of(load_card('sgbm'), stereo(written(tmp_path / 'a.sigma.yaml')))
    with pytest.raises(ModelError, match='calibrate again'):
        model.sigma_rho(given, np.ones((1, 1), np.float32), RIG)


def test_other_settings_than_the_calibrated_ones_are_told(tmp_path):
    path = written(tmp_path / 'a.sigma.yaml')
    warning = SigmaModel.of(load_card('sgbm'), stereo(path, sgbm__block_size=7)).warning
    assert 'sgbm.block_size was 3, is 7' in warning


def test_settings_of_the_score_are_those_of_the_model():
    ours = score_settings(load_card('sgbm'), StereoEstimatorSettings())
    assert 'sgbm.block_size' in ours
    assert not {'threads', 'uncertainty.calibration_file', 'uncertainty.online'} & ours.keys()
    other = score_settings(load_card('window-stereo'), StereoEstimatorSettings())
    assert not any(name.startswith('sgbm.') for name in other)


def test_what_the_card_says_of_the_score_is_part_of_it():
    card = load_card('window-stereo')
    floor = replace(card, uncertainty=replace(card.uncertainty, relative_floor=0.123))
    calibrated = replace(card, uncertainty=replace(card.uncertainty, calibration='a.sigma.yaml'))
    limited = replace(card, uncertainty=replace(card.uncertainty, disparity_limit_px=2.0))
    usual, other, *same = (
        score_settings(one, StereoEstimatorSettings())['card']
        for one in (card, floor, calibrated, limited)
    )
    assert same == [usual, usual]
    assert usual != other


def test_calibration_files_are_no_cards(tmp_path, monkeypatch):
    from depth_perception.inference import cards

    written(tmp_path / 'sgbm.sigma.yaml')
    monkeypatch.setattr(cards, 'card_folders', lambda: [*real, tmp_path])
    assert 'sgbm.sigma' not in {card.id for card in available_cards()}
    with pytest.raises(ModelError) as refused:
        load_card('nothing')
    assert 'sgbm.sigma' not in str(refused.value)


real = [Path(__file__).resolve().parents[2] / 'models']


def half_width(samples, middle):
    """Return the half width of the central 68.27 % of samples."""
    return float(np.quantile(np.abs(samples - middle), ONE_SIGMA))


@pytest.mark.parametrize('domain', ['disparity_px', 'log_depth', 'inverse_depth_1_per_m'])
@pytest.mark.parametrize('rho', [0.1, 0.9])
def test_jacobians_agree_with_monte_carlo(domain, rho):
    rng = np.random.default_rng(5)
    drawn = rng.standard_normal(400_000)
    share = 0.05
    total = rho * RIG.focal_baseline
    sigma = {'disparity_px': share * total, 'log_depth': share, 'inverse_depth_1_per_m': 0.01}
    made = {
        'disparity_px': (total + sigma['disparity_px'] * drawn) / RIG.focal_baseline,
        'log_depth': np.exp(np.log(rho) + share * drawn),
        'inverse_depth_1_per_m': rho + 0.01 * drawn,
    }[domain]
    given = np.full((1, 1), sigma[domain], np.float32)
    at = np.full((1, 1), rho, np.float32)
    found = sigma_rho_from_domain(given, domain, at, RIG)
    assert float(found[0, 0]) == pytest.approx(half_width(made, rho), rel=0.03)


@pytest.mark.parametrize(
    ('focal', 'baseline', 'doffs_px'), [(0.03, 0.0, 0.0), (0.0, 0.04, 0.0), (0.02, 0.03, 1.5)]
)
def test_errors_of_the_camera_agree_with_monte_carlo(focal, baseline, doffs_px):
    rng = np.random.default_rng(6)
    count, disparity, sigma_px = 400_000, 36.0, 0.5
    settings = stereo(
        camera__focal_sigma_relative=focal,
        camera__baseline_sigma_relative=baseline,
        camera__doffs_sigma_px=doffs_px,
    )
    total = disparity + RIG.doffs_px
    drawn = rng.standard_normal((4, count))
    depth = (
        RIG.focal_baseline * (1.0 + focal * drawn[0]) * (1.0 + baseline * drawn[1])
        / (total + sigma_px * drawn[2] + doffs_px * drawn[3])
    )  # fmt: skip
    rho = np.full((1, 1), total / RIG.focal_baseline, np.float32)
    pixel = np.full((1, 1), sigma_px / RIG.focal_baseline, np.float32)
    found = with_camera_error(pixel, rho, settings, Rung.STEREO, RIG)
    depth_m = RIG.focal_baseline / total
    sigma_m = float(found[0, 0]) * depth_m**2
    assert sigma_m == pytest.approx(half_width(depth, depth_m), rel=0.03)


def test_errors_of_the_camera_count_where_metres_come_from_it():
    settings = settings_from_mapping(
        StereoEstimatorSettings,
        {'camera.focal_sigma_relative': 0.03, 'camera.baseline_sigma_relative': 0.04},
    )
    assert camera_relative_sigma(settings, Rung.STEREO) == pytest.approx(0.05)
    assert camera_relative_sigma(settings, Rung.INTRINSICS) == 0.03
    assert camera_relative_sigma(settings, Rung.REFERENCES) == 0.0
    pixel = np.full((1, 1), 0.01, np.float32)
    assert with_camera_error(pixel, pixel, stereo(), Rung.STEREO, RIG) is pixel


def test_there_are_no_metres_without_a_rig():
    one = np.ones((1, 1), np.float32)
    for domain in ('disparity_px', 'output'):
        with pytest.raises(ModelError, match='no metres'):
            sigma_rho_from_domain(one, domain, one, None)


@pytest.mark.parametrize('calibrated', [True, False])
def test_the_tail_of_the_errors_reaches_the_estimate(tmp_path, calibrated):
    settings = stereo(written(tmp_path / 'a.sigma.yaml') if calibrated else 'none')
    grey = Picture(np.zeros((48, 64), np.uint8), 'grey')
    frame = StereoFrame(grey, grey, RIG)
    even = np.full((48, 64), 0.5, np.float32)
    raw = RawEstimate(even, even / 100.0, Scale(Rung.STEREO), score=score(even))
    raw = HonestSigma(load_card('sgbm'), settings).applied(raw, frame, settings)
    made = Postprocessor().finish(raw, frame, settings)
    assert (made.tail, made.gross_share) == (('student4', 0.02) if calibrated else ('gauss', 0.0))


def test_the_curve_is_fast(tmp_path):
    model = SigmaModel.of(load_card('sgbm'), stereo(written(tmp_path / 'a.sigma.yaml')))
    values = np.random.default_rng(1).uniform(0.0, 3.0, (480, 640)).astype(np.float32)
    model.sigma_domain(values)
    durations = []
    for _ in range(20):
        start = time.perf_counter()
        model.sigma_domain(values)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 3e-3  # 0.5 ms on a free core


def test_calibration_of_other_sources_counts_not_or_is_refused(tmp_path):
    card, path = load_card('sgbm'), tmp_path / 'other.sigma.yaml'
    shipped = SigmaModel.of(card, StereoEstimatorSettings(), 'sigma')
    assert (shipped.name, shipped.warning) == ('sgbm.sigma.yaml', '')
    dropped = SigmaModel.of(card, StereoEstimatorSettings(), 'edge')
    assert dropped.calibration is None
    assert "sources give 'edge': sigma is not calibrated" in dropped.warning
    path.write_bytes(shipped.calibration.path.read_bytes())
    named = StereoEstimatorSettings(uncertainty__calibration_file=str(path))
    assert SigmaModel.of(card, named, 'sigma').calibration is not None
    with pytest.raises(ModelError, match='calibrate again with these sources'):
        SigmaModel.of(card, named, 'edge')
