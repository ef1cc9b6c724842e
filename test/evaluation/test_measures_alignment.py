"""Alignments against those of other people's programs, and what each must leave unchanged."""

from depth_perception.errors import SettingsError, ShapeError
from depth_perception.evaluation.datasets.files import read_depth_mm
from depth_perception.evaluation.measures.alignment import (
    Alignment,
    fit,
    frame_sums,
    LABELS,
    VideoFit,
)
from depth_perception.evaluation.measures.depth import depth_measures
from depth_perception.evaluation.measures.masks import PROTOCOLS, truth_mask
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

NAN, INF = np.nan, np.inf

# lsq_depth: Marigold b1dffaa, src/util/alignment.py, align_depth_least_square. lsq_disp:
# FocusOnDepth 17feb70, FOD/Loss.py, compute_scale_and_shift, which is MiDaS's; MoGe 0744441,
# moge/utils/alignment.py, align_affine_lstsq without weights, gives the same. scale_l1: MoGe,
# align_depth_scale with weights 1 / g.
FITS = {
    'random': {
        'lsq_depth': (1.181056094338463, 1.3691736596842485),
        'lsq_disp': (0.8602372854113577, -0.04487901896930091),
        'scale_l1': (1.3283344248439817, 0.0),
    },
    'kinect': {
        'lsq_depth': (0.9006966140237014, -0.06402554728725554),
        'lsq_disp': (1.2374739868272802, -0.03786546657989364),
        'scale_l1': (0.8677667692021577, 0.0),
    },
}


def random_depths(seed=7, shape=(60, 83)):
    noise = np.random.default_rng(seed)
    truth = noise.uniform(0.4, 14.0, shape)
    depth = 0.6 * truth * np.exp(noise.uniform(-0.4, 0.5, shape)) + 0.2
    truth[noise.random(shape) < 0.1] = NAN
    depth[noise.random(shape) < 0.1] = NAN
    return depth.astype(np.float32), truth.astype(np.float32)


def kinect(shared_dir, number):
    pytest.importorskip('cv2')
    folder = shared_dir / 'data' / 'kinect_sequence'
    truth = read_depth_mm(folder / f'frame-{number:06d}.depth.png')
    depth = np.full_like(truth, NAN)
    depth[:, 5:] = 1.1 * truth[:, :-5] + 0.1
    return depth, truth


def fitted(label, depth, truth, **limits):
    return fit(label, depth, truth, truth_mask(truth), **limits)


def measured(alignment, depth, truth):
    return depth_measures(alignment.apply(depth), truth, truth_mask(truth))


def row(*values):
    return np.array([values], np.float64)


@pytest.mark.parametrize('label', ['lsq_depth', 'lsq_disp', 'scale_l1'])
def test_fits_equal_the_references(label):
    found = fitted(label, *random_depths())
    assert (found.s, found.t) == pytest.approx(FITS['random'][label], rel=1e-9)
    assert found.domain == ('inverse_depth' if label == 'lsq_disp' else 'depth')
    assert found.label == label


@pytest.mark.parametrize('label', ['lsq_depth', 'lsq_disp', 'scale_l1'])
def test_fits_of_a_real_image_equal_the_references(label, shared_dir):
    found = fitted(label, *kinect(shared_dir, 0))
    assert (found.s, found.t) == pytest.approx(FITS['kinect'][label], rel=1e-9)


# monodepth2 b676244, evaluate_depth.py, evaluate() as a whole, on the split 'eigen' (crop of
# Garg, truth below 80 m) and on 'eigen_benchmark' (no crop, all truth); both clamp at 80 m.
@pytest.mark.parametrize(
    ('whole', 'scale', 'errors'),
    [
        (
            False,
            3.158190456281549,
            (0.33814513787825834, 8.898160890201716, 13.88791168630433, 0.37498614074426817,
             0.5391365391365391, 0.901017901017901, 0.9613899613899614),
        ),
        (
            True,
            3.221660685539246,
            (0.3121903987840936, 9.000127821657449, 21.706040180094814, 0.3626794996281626,
             0.43819287161759446, 0.8930742639170343, 0.974967218977232),
        ),
    ],
)  # fmt: skip
def test_median_protocol_equals_monodepth2(whole, scale, errors):
    depth, truth = (values.astype(np.float64) for values in random_depths(3, (75, 124)))
    depth, truth = 4 * np.where(np.isfinite(depth), depth, 5.0), 9 * truth
    protocol = PROTOCOLS['kitti-eigen-garg']
    mask = truth_mask(truth) if whole else protocol.truth_mask(truth)
    found = fit('median', depth, truth, mask, cap_m=protocol.max_m, floor_m=protocol.min_m)
    assert (found.s, found.t) == (pytest.approx(scale, rel=1e-12), 0.0)
    figures = depth_measures(found.apply(depth), truth, mask)
    names = ('abs_rel', 'sq_rel_m', 'rmse_m', 'rmse_log', 'delta1', 'delta2', 'delta3')
    assert [figures[name] for name in names] == pytest.approx(errors, rel=1e-9)


# The evaluation that goes with compute_scale_and_shift (BadPixelMetric, by MiDaS's authors),
# with depth_cap 6; MoGe 0744441, moge/test/metrics.py, limits by the greatest truth and adds
# 1e-6 to what it divides by.
def test_limits_of_lsq_disp_equal_the_references():
    depth, truth = random_depths()
    capped = measured(fitted('lsq_disp', depth, truth, cap_m=6.0), depth, truth)
    assert capped['abs_rel'] == pytest.approx(0.3085930386953744, rel=1e-6)
    assert 1.0 - capped['delta1'] == pytest.approx(0.6946284032376747, rel=1e-6)
    farthest = float(truth[np.isfinite(truth) & np.isfinite(depth)].max())
    limited = measured(fitted('lsq_disp', depth, truth, cap_m=farthest), depth, truth)
    assert limited['abs_rel'] == pytest.approx(0.23300191571443943, rel=1e-6)
    scaled = measured(fitted('scale_l1', depth, truth), depth, truth)
    assert scaled['abs_rel'] == pytest.approx(0.2111679148338607, rel=1e-6)


def video_figures(frames, max_m):
    sequence = VideoFit()
    for depth, truth in frames:
        sequence.add(depth, truth, truth_mask(truth, max_m=max_m))
    alignment = sequence.fit(cap_m=max_m, floor_m=1e-3)
    figures = [
        depth_measures(alignment.apply(depth), truth, truth_mask(truth, max_m=max_m))
        for depth, truth in frames
    ]
    means = [np.mean([f[name] for f in figures]) for name in ('abs_rel', 'rmse_m', 'delta1')]
    return [alignment.s, alignment.t, *means]


# Video-Depth-Anything 4f5ae23, benchmark/eval/eval.py, eval_depthcrafter.
def test_video_fit_equals_video_depth_anything():
    found = video_figures([random_depths(20 + i, (48, 31)) for i in range(3)], 12.0)
    assert found == pytest.approx(
        [0.8681440150104037, -0.05002396325049846, 0.22887957071377865, 1.753207199400382,
         0.5273635387420654], rel=1e-6,
    )  # fmt: skip


def test_video_fit_of_a_real_sequence_equals_video_depth_anything(shared_dir):
    found = video_figures([kinect(shared_dir, number) for number in (0, 40, 80)], 6.0)
    assert found == pytest.approx(
        [1.233643136332225, -0.036622435818946995, 0.014269340861638988, 0.09896171940656755,
         0.9887892603874207], rel=1e-6,
    )  # fmt: skip


def test_online_is_what_was_published():
    depth, truth = random_depths()
    alignment = fitted('online', depth, truth, cap_m=2.0)
    assert alignment.apply(depth) is depth
    assert alignment.apply_sigma(depth, depth) is depth


def test_median_of_an_even_number_is_the_mean_of_the_middle_two():
    alignment = fitted('median', row(1.0, 2.0, 4.0, 9.0), row(8.0, 2.0, 20.0, 4.0))
    assert alignment.s == 2.0  # 6 / 3
    assert fitted('median', row(5.0), row(2.0)).s == 0.4


def test_infinite_stays_and_what_is_no_depth_becomes_unknown():
    depth = np.array([[INF, -INF, NAN, 0.0, -1.0, 2.0]], np.float32)
    for domain in ('depth', 'inverse_depth'):
        aligned = Alignment('median', 1.0, 0.5, domain, 0.1, 50.0).apply(depth)
        np.testing.assert_array_equal(aligned[0, :5], [INF, -INF, NAN, NAN, NAN])
        assert aligned[0, 5] == (2.5 if domain == 'depth' else 1.0)
        assert aligned.dtype == np.float32


def test_aligned_depth_that_is_not_positive_is_unknown_unless_limited():
    depth = row(1.0, 2.0, 4.0)  # 1 / Z' = 0.5, 0, -0.25
    np.testing.assert_array_equal(
        Alignment('lsq_disp', 1.0, -0.5, 'inverse_depth').apply(depth), row(2.0, NAN, NAN)
    )
    capped = Alignment('lsq_disp', 1.0, -0.5, 'inverse_depth', ceiling_m=80.0)
    np.testing.assert_array_equal(capped.apply(depth), row(2.0, 80.0, 80.0))
    np.testing.assert_array_equal(
        Alignment('lsq_depth', 1.0, -2.0).apply(depth), row(NAN, NAN, 2.0)
    )
    both = Alignment('lsq_depth', 1.0, -2.0, floor_m=0.01, ceiling_m=1.5)
    np.testing.assert_array_equal(both.apply(depth), row(0.01, 0.01, 1.5))


@pytest.mark.parametrize('label', ['lsq_depth', 'lsq_disp'])
def test_near_and_far_exchanged_gives_a_negative_scale(label):
    truth = row(1.0, 1.2, 1.5, 2.0)
    alignment = fitted(label, row(2.0, 1.6, 1.2, 1.0), truth)
    assert alignment.s < 0.0
    aligned = alignment.apply(row(2.0, 1.0, 0.1, 50.0))
    assert aligned[0, 0] < aligned[0, 1]
    # Outside the fitted range the line leaves what is positive.
    assert np.isnan(aligned[0]).tolist() == [False, False, *(
        [False, True] if label == 'lsq_depth' else [True, False]
    )]  # fmt: skip


def test_an_aligned_depth_too_great_for_its_type_is_infinite():
    depth = np.array([[2.0]], np.float32)
    assert Alignment('lsq_disp', 0.0, 1e-300, 'inverse_depth').apply(depth)[0, 0] == INF


@pytest.mark.parametrize('domain', ['depth', 'inverse_depth'])
@pytest.mark.parametrize('s', [1.7, -0.4])
def test_sigma_follows_the_slope(domain, s):
    depth, sigma = row(0.8, 2.0, 5.0), row(0.01, 0.2, 0.3)
    alignment = Alignment('lsq_disp', s, 3.0, domain)
    step = 1e-6
    slope = (alignment.apply(depth + step) - alignment.apply(depth - step)) / (2 * step)
    np.testing.assert_allclose(
        alignment.apply_sigma(depth, sigma), np.abs(slope) * sigma, rtol=1e-7
    )


def test_sigma_where_a_limit_holds_or_no_depth_is_left():
    depth = np.array([[2.0, 8.0, NAN, INF, 0.0]], np.float32)
    sigma = np.full((1, 5), 0.5, np.float32)
    capped = Alignment('lsq_disp', 1.0, -0.25, 'inverse_depth', ceiling_m=16.0)
    found = capped.apply_sigma(depth, sigma)
    np.testing.assert_allclose(found, [[0.5 * 2.0**2, 0.5 * 2.0**2, NAN, NAN, NAN]])
    assert found.dtype == np.float32
    line = Alignment('lsq_depth', 2.0, -5.0)
    np.testing.assert_array_equal(line.apply_sigma(depth, sigma), [[NAN, 1.0, NAN, NAN, NAN]])
    with pytest.raises(ShapeError):
        capped.apply_sigma(depth, sigma.T)


@pytest.mark.parametrize('label', LABELS[1:5])
def test_without_pixels_nothing_is_known(label):
    depth = np.full((2, 3), 2.0, np.float32)
    alignment = fitted(label, depth, depth * NAN, cap_m=80.0, floor_m=0.1)
    assert np.isnan([alignment.s, alignment.t]).all()
    assert np.isnan(alignment.apply(depth)).all()
    assert np.isnan(alignment.apply_sigma(depth, depth)).all()
    assert np.isnan(VideoFit().fit().s)


@pytest.mark.parametrize('label', ['lsq_depth', 'lsq_disp'])
def test_equal_predictions_are_fitted_as_numpy_does(label):
    depth, truth = row(4.0, 4.0, 4.0), row(1.0, 2.0, 8.0)
    x, w = (depth, truth) if label == 'lsq_depth' else (1 / depth, 1 / truth)
    columns = np.stack([x[0], np.ones(3)], axis=1)
    wanted = np.linalg.lstsq(columns, w[0], rcond=None)[0]
    found = fitted(label, depth, truth)
    assert (found.s, found.t) == pytest.approx(tuple(wanted), rel=1e-9)
    one = fitted(label, row(4.0), row(2.0))
    assert one.apply(row(4.0))[0, 0] == pytest.approx(2.0)


def test_settings_are_checked():
    one = np.ones((1, 1))
    with pytest.raises(SettingsError, match="no alignment 'mean'; there are online, median"):
        fitted('mean', one, one)
    with pytest.raises(SettingsError, match='use VideoFit'):
        fitted('lsq_disp_video', one, one)
    with pytest.raises(SettingsError, match='must ascend'):
        fitted('median', one, one, cap_m=1.0, floor_m=2.0)
    with pytest.raises(SettingsError, match='wanted depth or inverse_depth'):
        Alignment('median', domain='disparity')
    with pytest.raises(ShapeError):
        fit('median', one, one, np.ones((1, 2), bool))


scales = st.floats(0.05, 20.0)


@settings(deadline=None)
@given(scales, st.floats(-0.9, 20.0), st.integers(0, 999))
def test_lines_are_recovered_exactly(s, shift, seed):
    depth = random_depths(seed, (6, 9))[0].astype(np.float64)
    t = shift * s / np.nanmax(depth)
    truth = 1.0 / (s / depth + t)
    found = fit('lsq_disp', depth, truth, np.isfinite(truth))
    assert (found.s, found.t) == pytest.approx((s, t), rel=1e-9, abs=1e-9)
    found = fit('lsq_depth', depth, s * depth + abs(t), np.isfinite(depth))
    assert (found.s, found.t) == pytest.approx((s, abs(t)), rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(scales, st.sampled_from(['median', 'scale_l1', 'lsq_depth', 'lsq_disp']))
def test_the_scale_of_the_prediction_does_not_matter(scale, label):
    depth, truth = (values.astype(np.float64) for values in random_depths(4, (9, 11)))
    wanted = fitted(label, depth, truth, cap_m=30.0).apply(depth)
    found = fitted(label, scale * depth, truth, cap_m=30.0).apply(scale * depth)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


@settings(deadline=None)
@given(st.integers(1, 11), st.integers(0, 99))
def test_a_video_may_be_split_anywhere(rows, seed):
    depth, truth = random_depths(seed, (12, 7))
    whole, first, second = VideoFit(), VideoFit(), VideoFit()
    whole.add(depth, truth, truth_mask(truth))
    first.add(depth[:rows], truth[:rows], truth_mask(truth[:rows]))
    second.add(depth[rows:], truth[rows:], truth_mask(truth[rows:]))
    first.merge(second)
    assert first.sums == pytest.approx(whole.sums, rel=1e-12)
    assert first.fit().s == pytest.approx(whole.fit().s, rel=1e-9)
    assert whole.fit().t == pytest.approx(fitted('lsq_disp', depth, truth).t, rel=1e-12)
    assert whole.sums == frame_sums(depth, truth, truth_mask(truth))
