"""Figures of disparity against KITTI's devkit and OpenStereo, and numbers worked out by hand."""

from depth_perception.errors import ShapeError
from depth_perception.evaluation.datasets.files import read_image, read_pfm, read_scaled
from depth_perception.evaluation.measures.masks import truth_mask
from depth_perception.evaluation.measures.stereo import (
    background_interpolated,
    d1_sums,
    disparity_measures,
)
import numpy as np
import pytest

NAN, INF = np.nan, np.inf


def random_disparities(seed=5, shape=(41, 67)):
    """Return multiples of 1/256 px, as KITTI's files hold them."""
    noise = np.random.default_rng(seed)
    truth = noise.integers(256, 256 * 90, shape) / 256.0
    error = noise.integers(-6 * 256, 6 * 256, shape) / 256.0
    disparity = np.maximum(truth + error, 0.25)
    disparity[noise.random(shape) < 0.2] = NAN
    disparity[[0, 1, 20, -1]] = NAN
    truth[noise.random(shape) < 0.3] = NAN
    visible = noise.random(shape) < 0.8
    return disparity.astype(np.float32), truth.astype(np.float32), visible


def shifted(values, rows, columns):
    moved = np.full_like(values, NAN)
    moved[rows:, columns:] = values[: values.shape[0] - rows, : values.shape[1] - columns]
    return moved


def row(*values):
    return np.array([values], np.float32)


def measured(disparity, truth, visible=None):
    return disparity_measures(disparity, truth, truth_mask(truth, min_m=0.0), visible)


# Errors and bad shares: OpenStereo 23d71c9, stereo/evaluation/metric_per_image.py (shares in
# single precision). Counts: KITTI devkit_scene_flow (atinfinity/devkit_scene_flow fbde50f),
# io_disp.h interpolateBackground and evaluate_scene_flow.cpp disparityErrorsOutlier, compiled.
@pytest.mark.parametrize(
    ('part', 'errors', 'predicted', 'every'),
    [
        (
            '',
            (3.0077985590649536, 91.43468475, 83.86866760, 67.38043976, 33.33333588),
            [635, 1401],
            [1162, 1957],
        ),
        (
            '_noc',
            (2.999238817537644, 91.23117828, 83.96811676, 67.75907898, 32.94951248),
            [504, 1129],
            [934, 1581],
        ),
        (
            '_occ',
            (3.0433277803308822, 92.27941132, 83.45588684, 65.80882263, 34.92647171),
            [131, 272],
            [228, 376],
        ),
    ],
)
def test_random_images_equal_the_references(part, errors, predicted, every):
    disparity, truth, visible = random_disparities()
    found = measured(disparity, truth, visible)
    names = ('epe_px', 'bad_0_5_pct', 'bad_1_pct', 'bad_2_pct', 'bad_4_pct')
    assert [found[name + part] for name in names] == pytest.approx(errors, rel=1e-6)
    assert found['d1_pct' + part] == pytest.approx(100 * predicted[0] / predicted[1])
    assert found['d1_all_pct' + part] == pytest.approx(100 * every[0] / every[1])
    assert found['density_pct' + part] == pytest.approx(100 * predicted[1] / every[1])
    sums = d1_sums(disparity, truth, truth_mask(truth), visible)
    assert (sums['d1' + part], sums['d1_all' + part]) == (predicted, every)


def test_kitti_46_equals_the_references(shared_dir):
    pytest.importorskip('cv2')
    path = shared_dir / 'data' / 'kitti_2015' / 'disp_occ_0' / '000046_10.png'
    truth = read_scaled(path, 1 / 256)
    disparity = shifted(truth, 2, 6) + 1.0
    found = measured(disparity, truth)
    assert found['epe_px'] == pytest.approx(1.1731274193834789, rel=1e-9)
    assert found['bad_1_pct'] == pytest.approx(10.2351017, rel=1e-6)
    assert found['bad_2_pct'] == pytest.approx(2.514383316, rel=1e-6)
    assert found['bad_4_pct'] == pytest.approx(2.017188549, rel=1e-6)
    sums = d1_sums(disparity, truth, truth_mask(truth))
    assert sums == {'d1': [321.0, 14079.0], 'd1_all': [6736.0, 55068.0]}


def test_middlebury_adirondack_equals_the_references(shared_dir):
    pytest.importorskip('cv2')
    folder = shared_dir / 'data' / 'middlebury_2014_q' / 'Adirondack'
    truth = read_pfm(folder / 'disp0GT.pfm')
    visible = read_image(folder / 'mask0nocc.png') == 255
    disparity = shifted(truth, 0, 3) + 0.75
    found = measured(disparity, truth, visible)
    assert found['epe_px'] == pytest.approx(1.1325146260505086, rel=1e-9)
    assert found['epe_px_noc'] == pytest.approx(1.1014789985541376, rel=1e-9)
    assert found['epe_px_occ'] == pytest.approx(1.490699136151564, rel=1e-9)
    assert found['bad_2_pct'] == pytest.approx(3.055104733, rel=1e-6)
    assert found['bad_2_pct_noc'] == pytest.approx(2.863880873, rel=1e-6)
    assert d1_sums(disparity, truth, truth_mask(truth), visible) == {
        'd1': [9359.0, 352492.0],
        'd1_all': [9519.0, 354918.0],
        'd1_noc': [8011.0, 324385.0],
        'd1_all_noc': [8153.0, 325114.0],
        'd1_occ': [1348.0, 28107.0],
        'd1_all_occ': [1366.0, 29804.0],
    }


@pytest.mark.parametrize(
    ('name', 'limit'),
    [('bad_0_5_pct', 0.5), ('bad_1_pct', 1.0), ('bad_2_pct', 2.0), ('bad_4_pct', 4.0)],
)
def test_an_error_at_the_limit_is_good(name, limit):
    truth = row(16.0, 16.0)
    assert measured(truth + row(limit, -limit), truth)[name] == 0.0
    assert measured(truth + row(limit, limit + 0.0625), truth)[name] == 50.0


def test_d1_needs_more_than_3_px_and_more_than_5_percent():
    truth = row(32.0, 32.0, 80.0, 80.0, 160.0, 20.0)
    # 3 px: not more. 3.25: bad. 4 of 80: exactly 5 %. 4.25: bad. 7 of 160: below 5 %. 2 of 20.
    disparity = truth + row(3.0, -3.25, 4.0, 4.25, -7.0, 2.0)
    found = measured(disparity, truth)
    assert found['d1_pct'] == found['d1_all_pct'] == pytest.approx(100 * 2 / 6)
    assert d1_sums(disparity, truth, truth > 0)['d1'] == [2.0, 6.0]


def test_holes_take_the_lesser_end():
    holes = np.array(
        [
            [NAN, NAN, NAN, NAN, NAN],
            [NAN, 5.0, NAN, NAN, 3.0],
            [NAN, NAN, NAN, INF, -INF],
            [7.0, NAN, 9.0, NAN, NAN],
            [NAN, NAN, NAN, NAN, NAN],
        ],
        np.float32,
    )
    filled = [
        [5.0, 5.0, 3.0, 3.0, 3.0],
        [5.0, 5.0, 3.0, 3.0, 3.0],
        [-1.0] * 5,  # an empty row between others stays empty
        [7.0, 7.0, 9.0, 9.0, 9.0],
        [7.0, 7.0, 9.0, 9.0, 9.0],
    ]
    assert background_interpolated(holes).tolist() == filled
    assert background_interpolated(holes).dtype == np.float32
    assert background_interpolated(np.array([[NAN], [2.0]])).tolist() == [[2.0], [2.0]]
    assert background_interpolated(np.full((2, 3), NAN)).tolist() == [[-1.0] * 3] * 2
    assert background_interpolated(np.ones((0, 3))).shape == (0, 3)


def test_a_full_image_is_not_touched():
    disparity = np.arange(1.0, 13.0).reshape(3, 4)
    filled = background_interpolated(disparity)
    assert np.array_equal(filled, disparity)
    assert filled is not disparity


def test_an_image_without_predictions_loses_all_of_d1():
    truth = row(10.0, 20.0, NAN)
    found = measured(truth * NAN, truth)
    assert (found['d1_all_pct'], found['density_pct']) == (100.0, 0.0)
    assert np.isnan([found['epe_px'], found['d1_pct'], found['bad_1_pct']]).all()
    assert d1_sums(truth * NAN, truth, truth > 0) == {'d1': [0.0, 0.0], 'd1_all': [2.0, 2.0]}


def test_without_truth_every_figure_is_nan():
    disparity = row(10.0, 20.0)
    for truth in (disparity * NAN, disparity * 0.0, -disparity, disparity * INF):
        found = disparity_measures(disparity, truth, np.ones((1, 2), bool))
        assert np.isnan(list(found.values())).all()
    nothing = disparity[:, :0]
    assert np.isnan(measured(nothing, nothing)['d1_all_pct'])


def test_infinite_is_no_prediction_but_negative_is():
    found = measured(row(INF, -INF, NAN, -2.0, 8.0), row(8.0, 8.0, 8.0, 8.0, 8.0))
    assert found['density_pct'] == 40.0
    assert found['epe_px'] == 5.0


def test_seen_and_hidden_pixels_add_up():
    disparity, truth, visible = random_disparities(6)
    sums = d1_sums(disparity, truth, truth_mask(truth), visible)
    for name in ('d1', 'd1_all'):
        assert sums[name] == np.add(sums[name + '_noc'], sums[name + '_occ']).tolist()
    assert sums['d1_all'] == d1_sums(disparity, truth, truth_mask(truth))['d1_all']


def test_different_sizes_are_refused():
    one = np.ones((2, 3))
    with pytest.raises(ShapeError):
        disparity_measures(one, one, one > 0, np.ones((3, 2), bool))
    with pytest.raises(ShapeError):
        d1_sums(one, one.T, one > 0)
