"""Measures of sigma against other people's code, closed forms and edge cases.

The golden numbers were computed with: AUSE and AURG by compute_aucs of evaluate.py in
mattpoggi/mono-uncertainty (commit 543772b); ENCE by the evaluator of chemprop/chemprop (commit
b6b4d93) with 20 bins; Kuleshov, ECE, Gaussian NLL and CRPS by uncertainty-toolbox 0.1.1 (21 levels
with 0 and 1, which add nothing); CRPS also by properscoring 0.1 and scoringrules 0.10.0; the other
NLL by scoringrules; Spearman by SciPy 1.17.1.
"""

from depth_perception.errors import BackendUnavailableError
from depth_perception.evaluation.datasets.files import read_depth_mm, read_pfm
from depth_perception.evaluation.measures import sigma as module
from depth_perception.evaluation.measures.sigma import (
    CALIBRATION_EDGES,
    LEVELS,
    sigma_figures,
    sigma_measures,
    sigma_sums,
)
import numpy as np
import pytest

pytest.importorskip('scipy')

NAMES = (
    *('ause_abs_rel', 'aurg_abs_rel', 'ause_rmse_m', 'aurg_rmse_m', 'ause_delta1', 'aurg_delta1'),
    *('ence', 'kuleshov', 'ece', 'nll_gauss_m', 'crps_m', 'nll_laplace_m', 'nll_gauss_log'),
    *('nll_laplace_log', 'spearman'),
)
RANDOM = (
    *(0.033814361297403964, 0.034784443238361204, 0.19175395284598062, 1.0564154597011264),
    *(0.0530393637561545, 0.07506442608531891, 0.16521189955949273, 0.3296611111111112),
    *(0.11835526315789476, 1.3351000158713187, 0.7917686077989468, 1.5075220545227448),
    *(-0.7832093672503423, -0.6230431710135296, 0.7297371849240172),
)
KINECT = (
    *(0.01844924139725908, 0.016761237922911676, 0.03373208032399174, 0.05903340823519011),
    *(0.0009955225081253792, 0.003501550570492359, 0.17656184847393372, 0.13313173979993334),
    *(0.0731978810878143, -0.7511827726427281, 0.07306950873170087, -0.6505698400517337),
    *(-1.286904963853722, -1.1879052726809456, 0.4730356856223639),
)
PIANO = (
    *(0.017557168351726563, 0.017692094280220318, 0.029777268849606214, 0.04708332353147919),
    *(0.0008247439459980691, 0.003715317017855107, 0.1769621928773316, 0.13311998743116188),
    *(0.07312468909570966, -0.900310356905244, 0.06207716574979031, -0.7999819929093207),
    *(-1.2864711320210214, -1.1877497850641905, 0.4543135874135958),
)


def random_frame():
    rng = np.random.default_rng(20)
    truth = (1 + 19 * rng.random((60, 80))).astype(np.float32)
    sigma = (truth * (0.01 + 0.2 * rng.random((60, 80)))).astype(np.float32)
    depth = (truth + sigma * (4 * rng.random((60, 80)) - 1.9)).astype(np.float32)
    return depth, sigma, truth


def claim_about(truth):
    """Return a depth and a sigma made from a real truth."""
    index = np.arange(truth.size, dtype=float).reshape(truth.shape)
    sigma = truth * (0.02 + 0.08 * (index * 0.6180339887498949 % 1.0))
    noise = np.sin(index * 12.9898) + 0.8 * np.cos(index * index * 0.0137)
    return (truth + sigma * 1.3 * noise).astype(np.float32), sigma.astype(np.float32), truth


def measures(depth, sigma, truth, **given):
    return sigma_measures(depth, sigma, truth, np.isfinite(truth), **given)


def check(frame, golden):
    got = measures(*frame)
    for name, wanted in zip(NAMES, golden, strict=True):
        assert got[name] == pytest.approx(wanted, abs=1e-6), name


def test_random_inputs_give_the_figures_of_the_references():
    check(random_frame(), RANDOM)


def test_a_kinect_depth_image_gives_the_figures_of_the_references(shared_dir):
    pytest.importorskip('cv2')
    path = shared_dir / 'data/kinect_sequence/frame-000060.depth.png'
    check(claim_about(read_depth_mm(path)), KINECT)


def test_a_middlebury_disparity_gives_the_figures_of_the_references(shared_dir):
    disparity = read_pfm(shared_dir / 'data/middlebury_2014_q/Piano/disp0GT.pfm')
    truth = np.where(np.isfinite(disparity), 50.0 / (disparity + 8.0), np.nan)
    check(claim_about(truth.astype(np.float32)), PIANO)


def test_spearman_averages_ties_as_scipy_does():
    from scipy.stats import spearmanr

    depth, sigma, truth = random_frame()
    sigma, depth = np.ceil(sigma * 2) / 2, np.round(depth)
    truth = np.round(truth)
    depth = np.maximum(depth, 1)
    wanted = spearmanr(sigma.ravel(), np.abs(depth - truth).ravel()).statistic
    assert measures(depth, sigma, truth)['spearman'] == pytest.approx(wanted, abs=1e-12)


def test_an_honest_gaussian_is_found_honest():
    rng = np.random.default_rng(4)
    truth = (5.0 + 5.0 * rng.random((300, 400))).astype(np.float32)
    sigma = (0.02 + 0.1 * rng.random((300, 400))).astype(np.float32)
    got = measures((truth + sigma * rng.standard_normal((300, 400))).astype('f4'), sigma, truth)
    assert got['within_1_sigma'] == pytest.approx(0.6827, abs=0.005)
    assert got['within_2_sigma'] == pytest.approx(0.9545, abs=0.003)
    assert got['within_3_sigma'] == pytest.approx(0.9973, abs=0.001)
    assert got['spread'] == pytest.approx(1.0, abs=0.01)
    assert got['ence'] < 0.02
    assert got['ece'] < 0.004
    assert got['kuleshov'] < 2e-4


def test_one_pixel_by_hand():
    got = measures(*(np.full((1, 1), v, np.float32) for v in (4.0, 0.5, 5.0)))
    assert got['nll_gauss_m'] == pytest.approx(0.5 * np.log(2 * np.pi * 0.25) + 2.0)
    assert got['nll_laplace_m'] == pytest.approx(np.log(np.sqrt(2) * 0.5) + np.sqrt(2) * 2.0)
    quotient = np.log(1.25) / 0.125
    assert got['nll_gauss_log'] == pytest.approx(
        0.5 * np.log(2 * np.pi * 0.125**2) + quotient**2 / 2
    )
    assert got['crps_m'] == pytest.approx(0.5 * (2 * 0.9544997361 + 2 * 0.0539909665 - 0.56418958))
    assert got['sharpness'] == got['median_relative_sigma'] == 0.125
    assert got['spread'] == pytest.approx(1.4826 * 2.0)
    assert (got['within_1_sigma'], got['within_2_sigma'], got['ence']) == (0.0, 1.0, 1.0)
    assert np.isnan(got['spearman'])


def test_fewer_pixels_than_bins_have_a_bin_each():
    truth = np.array([[2.0, 4.0, 8.0]], np.float32)
    depth, sigma = truth + np.float32(0.5), np.array([[1.0, 0.25, 0.5]], np.float32)
    assert measures(depth, sigma, truth)['ence'] == pytest.approx((0.5 + 1.0 + 0.0) / 3)


def test_a_perfect_prediction():
    truth = np.linspace(1.0, 9.0, 63, dtype=np.float32).reshape(7, 9)
    got = measures(truth, truth * np.float32(0.1), truth)
    assert got['ence'] == got['within_1_sigma'] == 1.0
    assert got['spread'] == got['ause_rmse_m'] == got['aurg_abs_rel'] == 0.0
    assert got['kuleshov'] == pytest.approx(sum((1 - level) ** 2 for level in LEVELS))
    assert np.isnan(got['spearman'])


def test_a_constant_sigma_has_figures_but_no_rank():
    depth, sigma, truth = random_frame()
    got = measures(depth, np.full_like(sigma, 0.5), truth)
    assert np.isnan(got.pop('spearman'))
    assert all(np.isfinite(value) for value in got.values())


def test_pixels_without_a_claim_are_left_out_and_counted():
    depth, sigma, truth = random_frame()
    silent = np.where(np.arange(80) % 4 == 1, np.nan, sigma).astype(np.float32)
    got = measures(depth, silent, truth)
    keep = np.arange(80) % 4 != 1
    part = measures(depth[:, keep], sigma[:, keep], truth[:, keep])
    assert (got['sigma_coverage'], part['sigma_coverage']) == (0.75, 1.0)
    assert got['crps_m'] == pytest.approx(part['crps_m'], rel=1e-12)
    assert got['ause_rmse_m'] == pytest.approx(part['ause_rmse_m'], rel=1e-12)


@pytest.mark.parametrize(('predicted', 'coverage'), [(True, 0.0), (False, np.nan)])
def test_without_any_claim_every_figure_is_nan_and_every_sum_zero(predicted, coverage):
    depth, sigma, truth = random_frame()
    depth = depth if predicted else np.full_like(depth, np.nan)
    got = sigma_figures(depth, np.full_like(sigma, np.nan), truth, np.isfinite(truth))
    np.testing.assert_equal(got.scalars.pop('sigma_coverage'), coverage)
    assert all(np.isnan(value) for value in got.scalars.values())
    assert not any(np.any(values) for values in got.sums.values())
    full = sigma_figures(*random_frame(), np.isfinite(truth))
    assert set(got.scalars) == set(full.scalars) - {'sigma_coverage'}
    lengths = {name: len(values) for name, values in full.sums.items()}
    assert {name: len(values) for name, values in got.sums.items()} == lengths


def test_the_sums_hold_the_curves_and_the_counts():
    depth, sigma, truth = random_frame()
    sums = sigma_sums(depth, sigma, truth, np.isfinite(truth))
    got = measures(depth, sigma, truth)
    sparse = np.array(sums['sparsification_abs_rel_sparse'])
    oracle = np.array(sums['sparsification_abs_rel_oracle'])
    gap = sparse - oracle
    assert ((gap[1:] + gap[:-1]) / 100).sum() == pytest.approx(got['ause_abs_rel'], rel=1e-9)
    assert (sums['sparsification_frames'], sums['reliability_pixels']) == ([1.0], [4800.0])
    miss = np.array(LEVELS) - np.array(sums['reliability_within']) / 4800
    assert np.abs(miss).mean() == pytest.approx(got['ece'])
    assert len(sums['sparsification_delta1_oracle']) == 51


def test_the_calibration_bins_are_those_of_a_histogram():
    depth, sigma, truth = random_frame()
    sigma[0, :3] = (1e-6, 30.0, 50.0)
    sums = sigma_sums(depth, sigma, truth, np.isfinite(truth))
    y, u, g = (values.ravel().astype(np.float64) for values in (depth, sigma, truth))
    inside = np.clip(u / y, 1.0001e-4, 0.9999)
    count, _ = np.histogram(inside, CALIBRATION_EDGES)
    variance, _ = np.histogram(inside, CALIBRATION_EDGES, weights=(u / y) ** 2)
    square, _ = np.histogram(inside, CALIBRATION_EDGES, weights=((y - g) / y) ** 2)
    np.testing.assert_array_equal(sums['calibration_count'], count)
    np.testing.assert_allclose(sums['calibration_variance_sum'], variance, rtol=1e-9)
    np.testing.assert_allclose(sums['calibration_square_sum'], square, rtol=1e-9)


def test_a_part_of_the_pixels_is_judged_on_request_only():
    depth, sigma, truth = random_frame()
    sigma[0, 0] = np.nan
    part = measures(depth, sigma, truth, max_pixels=1200)
    whole = measures(depth, sigma, truth)
    assert part['sigma_coverage'] == whole['sigma_coverage'] == 4799 / 4800
    assert part['crps_m'] != whole['crps_m']
    assert part['crps_m'] == pytest.approx(whole['crps_m'], rel=0.1)


def test_without_scipy_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise BackendUnavailableError(f'no scipy.{name}')

    monkeypatch.setattr(module, 'scipy_module', missing)
    with pytest.raises(BackendUnavailableError, match='special'):
        measures(*random_frame())


def test_an_error_at_the_limit_of_an_interval_is_within():
    z = module._LEVEL_Z[7]
    sums = sigma_sums(*(np.array([[v]]) for v in (2 * z, 1.0, z)), np.ones((1, 1), bool))
    assert sums['reliability_within'] == [0.0] * 7 + [1.0] * 12
    whole = measures(*(np.array([[v]]) for v in (5.0, 1.0, 4.0)))
    assert (whole['within_1_sigma'], whole['within_2_sigma']) == (1.0, 1.0)


def test_sharpness_is_a_mean_and_the_median_is_a_median():
    depth, sigma = np.full((1, 3), 4.0, np.float32), np.array([[0.5, 1.0, 3.0]], np.float32)
    got = measures(depth, sigma, np.full((1, 3), 5.0, np.float32))
    assert (got['sharpness'], got['median_relative_sigma']) == (0.375, 0.25)


def test_counts_of_frames_add_up_to_those_of_all_their_pixels():
    frame = random_frame()
    whole = sigma_sums(*frame, np.ones((60, 80), bool))
    parts = [
        sigma_sums(*(values[rows] for values in frame), np.ones(frame[0][rows].shape, bool))
        for rows in (slice(0, 17), slice(17, 60))
    ]
    added = {name: np.sum([part[name] for part in parts], axis=0) for name in whole}
    pooled = [name for name in whole if name.startswith(('reliability', 'calibration'))]
    assert len(pooled) == 5
    for name in pooled:
        np.testing.assert_allclose(added[name], whole[name], rtol=1e-12)
    assert added['sparsification_frames'] == [2.0]


def test_measures_and_sums_are_those_of_the_figures():
    frame, mask = random_frame(), np.ones((60, 80), bool)
    mask[:, 70:] = False
    figures = sigma_figures(*frame, mask)
    assert sigma_measures(*frame, mask) == figures.scalars
    assert sigma_sums(*frame, mask) == figures.sums
    assert figures.sums['reliability_pixels'] == [4200.0]
