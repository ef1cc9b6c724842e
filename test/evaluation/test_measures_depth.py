"""Figures of depth against those of other people's programs, and numbers worked out by hand."""

from depth_perception.errors import SettingsError, ShapeError
from depth_perception.evaluation.datasets.files import read_depth_mm
from depth_perception.evaluation.measures import masks
from depth_perception.evaluation.measures.depth import depth_measures, RANGE_EDGES_M, range_sums
from depth_perception.evaluation.measures.masks import truth_mask
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

NAN, INF = np.nan, np.inf

# abs_rel to delta3: ZoeDepth d87f17b, zoedepth/utils/misc.py, compute_errors; AdaBins 0952d91,
# evaluate.py, compute_errors (the same to 1e-13); monodepth2 b676244, evaluate_depth.py,
# compute_errors (the seven it has, the same to 1e-14). irmse, and silog again: Marigold b1dffaa,
# src/util/metric.py, i_rmse and silog_rmse. All in double precision.
RANDOM = {
    'abs_rel': 0.2999625390658101,
    'sq_rel_m': 0.9208718678849217,
    'rmse_m': 2.9713947107357606,
    'rmse_log': 0.45706532470095435,
    'log10': 0.1673719792016017,
    'silog': 25.694621677804296,
    'delta1': 0.31469217561932794,
    'delta2': 0.5889134167279862,
    'delta3': 0.8295315182732401,
    'irmse_1_per_km': 151.50793913993585,
}
KINECT = {
    'abs_rel': 0.1593733004230207,
    'sq_rel_m': 0.048069362341187395,
    'rmse_m': 0.30795436537765375,
    'rmse_log': 0.1522797988534435,
    'log10': 0.06418252346736848,
    'silog': 5.2029538560815,
    'delta1': 0.9867734154710273,
    'delta2': 0.9975690866333737,
    'delta3': 0.9994715405724726,
    'irmse_1_per_km': 96.46934554397041,
}


def random_depths(seed=7, shape=(60, 83)):
    noise = np.random.default_rng(seed)
    truth = noise.uniform(0.4, 14.0, shape)
    depth = 0.6 * truth * np.exp(noise.uniform(-0.4, 0.5, shape)) + 0.2
    truth[noise.random(shape) < 0.1] = NAN
    depth[noise.random(shape) < 0.1] = NAN
    return depth.astype(np.float32), truth.astype(np.float32)


def measured(depth, truth):
    return depth_measures(depth, truth, truth_mask(truth))


def row(*values):
    return np.array([values], np.float64)


def test_random_images_equal_the_references():
    found = measured(*random_depths())
    assert {name: found[name] for name in RANDOM} == pytest.approx(RANDOM, rel=1e-9)
    # By their definitions, in NumPy, over whole arrays.
    assert found['mae_m'] == pytest.approx(2.268368248074611, rel=1e-9)
    assert found['median_rel'] == pytest.approx(0.30946674392226714, rel=1e-9)
    assert found['delta1_03'] == pytest.approx(0.05935737061564876, rel=1e-9)
    assert found['coverage'] == pytest.approx(0.8998013683513573, rel=1e-9)
    # MoGe 0744441, moge/test/metrics.py, rel_depth adds 1e-6 to the truth.
    assert found['abs_rel'] == pytest.approx(0.29996247274450716, rel=1e-6)


def test_a_real_kinect_image_equals_the_references(shared_dir):
    pytest.importorskip('cv2')
    folder = shared_dir / 'data' / 'kinect_sequence'
    truth = read_depth_mm(folder / 'frame-000000.depth.png')
    depth = np.full_like(truth, NAN)
    depth[:, 5:] = 1.1 * truth[:, :-5] + 0.1
    found = measured(depth, truth)
    assert {name: found[name] for name in KINECT} == pytest.approx(KINECT, rel=1e-9)
    assert found['median_rel'] == pytest.approx(0.15211583790479294, rel=1e-9)
    assert found['coverage'] == pytest.approx(0.9670661414965888, rel=1e-9)


def test_by_hand():
    found = measured(row(1.5, 2.0, NAN, 2.0), row(1.0, 4.0, 3.0, 2.5))
    # Differences 0.5, -2, -0.5; relative 0.5, 0.5, 0.2; ratios 1.5, 2, 1.25.
    assert found['abs_rel'] == pytest.approx(1.2 / 3)
    assert found['sq_rel_m'] == pytest.approx((0.25 + 1.0 + 0.1) / 3)
    assert found['rmse_m'] == pytest.approx(np.sqrt(4.5 / 3))
    assert found['mae_m'] == pytest.approx(1.0)
    assert found['irmse_1_per_km'] == pytest.approx(
        1000 * np.sqrt(((1 / 3) ** 2 + 0.25**2 + 0.1**2) / 3)
    )
    assert (found['delta1'], found['delta2']) == (0.0, pytest.approx(2 / 3))
    assert found['median_rel'] == 0.5
    assert found['coverage'] == 0.75


@pytest.mark.parametrize(
    ('name', 'limit'),
    [('delta1', 1.25), ('delta2', 1.25**2), ('delta3', 1.25**3), ('delta1_03', 1.03)],
)
def test_a_ratio_at_the_limit_is_outside(name, limit):
    assert measured(row(limit), row(1.0))[name] == 0.0
    assert measured(row(1.0), row(limit))[name] == 0.0
    assert measured(row(np.nextafter(limit, 1.0)), row(1.0))[name] == 1.0
    assert measured(row(1.0), row(np.nextafter(limit, 1.0)))[name] == 1.0


def test_no_prediction_lowers_the_coverage_and_nothing_else():
    found = measured(row(INF, -INF, NAN, 0.0, -3.0, 4.0), row(1.0, 1.0, 1.0, 1.0, 1.0, 4.0))
    assert found['coverage'] == pytest.approx(1 / 6)
    assert (found['abs_rel'], found['rmse_m'], found['delta1']) == (0.0, 0.0, 1.0)


def test_impossible_truth_never_counts_even_in_the_mask():
    truth = row(0.0, -1.0, NAN, INF, 2.0)
    found = depth_measures(np.full((1, 5), 2.5), truth, np.ones((1, 5), bool))
    assert found['coverage'] == 1.0
    assert found['abs_rel'] == 0.25


def test_nothing_in_common_is_nan():
    one = np.ones((3, 4), np.float32)
    without_prediction = measured(one * NAN, one)
    assert without_prediction.pop('coverage') == 0.0
    assert len(without_prediction) == 13
    assert np.isnan(list(without_prediction.values())).all()
    assert np.isnan(list(measured(one, one * NAN).values())).all()
    assert np.isnan(list(measured(one[:0], one[:0]).values())).all()


def test_one_pixel_and_the_median_of_an_even_number():
    assert measured(row(2.2), row(2.0))['median_rel'] == pytest.approx(0.1)
    assert measured(row(2.2), row(2.0))['silog'] == pytest.approx(0.0, abs=1e-6)
    assert measured(row(1.1, 1.4, 1.2, 1.9), np.ones((1, 4)))['median_rel'] == pytest.approx(0.3)


def test_different_sizes_are_refused():
    with pytest.raises(ShapeError):
        depth_measures(np.ones((2, 3)), np.ones((3, 2)), np.ones((3, 2), bool))


@given(st.floats(0.01, 100.0), st.integers(0, 999))
def test_silog_does_not_see_a_scale(scale, seed):
    depth, truth = (values.astype(np.float64) for values in random_depths(seed, (7, 9)))
    found = measured(depth * scale, truth)
    assert found['silog'] == pytest.approx(measured(depth, truth)['silog'], rel=1e-9)


@pytest.mark.parametrize('scale', [0.3, 0.7, 1.1, 1.3, 1.7, 3.0, 7.0, 1e3])
def test_silog_of_a_mere_scale_is_zero(scale):
    truth = random_depths()[1].astype(np.float64)
    assert measured(scale * truth, truth)['silog'] == pytest.approx(0.0, abs=1e-9)


def test_figures_do_not_depend_on_the_blocks(monkeypatch):
    depth, truth = random_depths(1, (40, 30))
    wanted, sums = measured(depth, truth), range_sums(depth, truth, truth_mask(truth))
    monkeypatch.setattr(masks, 'BLOCK_PIXELS', 50)
    assert measured(depth, truth) == pytest.approx(wanted, rel=1e-12)
    assert range_sums(depth, truth, truth_mask(truth)) == {
        name: pytest.approx(values, rel=1e-12) for name, values in sums.items()
    }


def test_ranges_by_hand():
    # Bins 0-5, 5-10 and from 10 on; a truth on an edge belongs to the farther bin.
    truth = row(1.0, 4.0, 5.0, 8.0, 10.0, 400.0, NAN)
    depth = row(1.5, NAN, 5.5, 8.0, 12.0, 500.0, 3.0)  # ratio 1.25: not near
    sums = range_sums(depth, truth, truth_mask(truth), (0, 5, 10))
    assert sums == {
        'range_truth': [2.0, 2.0, 2.0],
        'range_pixels': [1.0, 2.0, 2.0],
        'range_abs_rel_sum': [0.5, 0.1, pytest.approx(0.2 + 0.25)],
        'range_abs_sum_m': [0.5, 0.5, 102.0],
        'range_square_sum_m2': [0.25, 0.25, 10004.0],
        'range_delta1': [0.0, 2.0, 1.0],
    }
    assert all(type(value) is float for values in sums.values() for value in values)


def test_ranges_equal_the_figures_of_their_part_of_the_truth():
    depth, truth = random_depths()
    sums = range_sums(depth, truth, truth_mask(truth))
    assert [len(values) for values in sums.values()] == [len(RANGE_EDGES_M)] * 6
    for number, (low, high) in enumerate([(0, 5), (5, 10), (10, 20)]):
        part = depth_measures(depth, truth, (truth >= low) & (truth < high))
        count = sums['range_pixels'][number]
        assert count / sums['range_truth'][number] == pytest.approx(part['coverage'])
        assert sums['range_abs_rel_sum'][number] / count == pytest.approx(part['abs_rel'])
        assert sums['range_abs_sum_m'][number] / count == pytest.approx(part['mae_m'])
        assert sums['range_square_sum_m2'][number] / count == pytest.approx(part['rmse_m'] ** 2)
        assert sums['range_delta1'][number] / count == pytest.approx(part['delta1'])
    assert sums['range_truth'][3:] == [0.0, 0.0, 0.0]


def test_truth_before_the_first_edge_is_in_no_range():
    one = np.ones((1, 1))
    assert range_sums(one, one, one > 0, (2.0, 4.0))['range_truth'] == [0.0, 0.0]


@pytest.mark.parametrize('edges', [(), (0, 5, 5), (5, 0), (0, NAN)])
def test_ranges_must_ascend(edges):
    with pytest.raises(SettingsError, match='must ascend'):
        range_sums(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1), bool), edges)
