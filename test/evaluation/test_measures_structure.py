"""Boundary F1 and SSIM against the programs of their authors, and images made by hand."""

from depth_perception.errors import ShapeError
from depth_perception.evaluation.datasets.files import read_depth_mm
from depth_perception.evaluation.measures.structure import boundary_f1, ssim_inverse_depth
from depth_perception.evaluation.pictures import opencv
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

NAN, INF = np.nan, np.inf

# ml-depth-pro 9efe5c1, src/depth_pro/eval/boundary_metrics.py, SI_boundary_F1, in double
# precision. Holes are NaN in both images, which that program takes as no edge.
F1_BOXES = 0.4329084886719265
F1_BOXES_HOLES = 0.4316634847499826
F1_KINECT = 0.3750212587779861
F1_SQUARE_SHIFTED = 0.48333333333333334
F1_SQUARE_BLURRED = 0.3496883257293273
# scikit-image 0.26.0, structural_similarity(win_size=7, full=True) of 1 / Z; the mean of its image
# where scipy.ndimage.binary_erosion of the known pixels by 7 x 7 holds.
SSIM_BOXES = 0.8998505445890873
SSIM_KINECT = 0.9783899134498754


def boxes(seed=0, height=96, width=128):
    """Return (prediction, truth): boxes before a slanted wall; noisy and 1 px to the right."""
    rng = np.random.default_rng(seed)
    truth = np.linspace(2.0, 6.0, height)[:, None] + np.linspace(0, 1.0, width)[None]
    for _ in range(12):
        y, x = rng.integers(0, height - 20), rng.integers(0, width - 20)
        a, b = rng.integers(8, 30, 2)
        truth[y : y + a, x : x + b] = rng.uniform(0.8, 5.0)
    depth = np.roll(truth * np.exp(rng.normal(0, 0.02, truth.shape)), 1, axis=1)
    depth[:, 0] = depth[:, 1]
    return depth.astype(np.float32), truth.astype(np.float32)


def square():
    """Return a square 2 m before a wall 4 m away."""
    depth = np.full((60, 80), 4.0, np.float32)
    depth[20:40, 25:55] = 2.0
    return depth


def kinect(shared_dir):
    """Return (third depth as prediction, first depth as truth, mask) of a moving camera."""
    folder = shared_dir / 'data' / 'kinect_sequence'
    truth, depth = (read_depth_mm(folder / f'frame-{i:06d}.depth.png') for i in (0, 2))
    depth[depth >= 10.0] = NAN
    return depth, truth, truth < 10.0


def everywhere(image):
    return np.ones(image.shape, np.bool_)


# Boundary F1


def test_f1_is_that_of_depth_pro():
    depth, truth = boxes()
    assert boundary_f1(depth, truth, everywhere(truth)) == pytest.approx(F1_BOXES, abs=1e-12)
    holes = np.random.default_rng(5).random(truth.shape) < 0.05
    assert boundary_f1(depth, truth, ~holes) == pytest.approx(F1_BOXES_HOLES, abs=1e-12)


def test_f1_of_a_real_pair(shared_dir):
    assert boundary_f1(*kinect(shared_dir)) == pytest.approx(F1_KINECT, abs=1e-9)


@pytest.mark.parametrize('scale', [1.0, 3.7, 0.01])
def test_f1_of_the_truth_at_any_scale_is_one(scale):
    truth = square()
    depth = np.float32(scale) * truth
    assert boundary_f1(depth, truth, everywhere(truth)) == pytest.approx(1.0, abs=1e-12)


def test_f1_of_an_edge_out_of_place():
    truth, mask = square(), everywhere(square())
    shifted = boundary_f1(np.roll(truth, 1, axis=1), truth, mask)
    assert shifted == pytest.approx(F1_SQUARE_SHIFTED, abs=1e-12)
    # The upper and lower edges keep 29 of 30 pixels, the others nothing.
    assert shifted == pytest.approx(0.25 * 2 * 29 / 30, abs=1e-12)


def test_f1_of_a_blurred_edge():
    truth = square().astype(np.float64)
    blurred = opencv().GaussianBlur(truth, (0, 0), 1.5)
    figure = boundary_f1(blurred, truth, everywhere(truth))
    assert figure == pytest.approx(F1_SQUARE_BLURRED, abs=1e-6)


def test_f1_takes_holes_in_the_truth_as_unknown():
    """Depth Pro says 0.349 for holes of 0, 0.961 for holes of NaN."""
    depth = square()
    holes = np.random.default_rng(1).random(depth.shape) < 0.02
    for unknown in (0.0, NAN, INF):
        truth = np.where(holes, np.float32(unknown), depth)
        assert boundary_f1(depth, truth, everywhere(truth)) == pytest.approx(1.0, abs=1e-12)
    assert boundary_f1(depth, np.where(holes, np.float32(9.0), depth), ~holes) == pytest.approx(1)


@pytest.mark.parametrize('missing', [NAN, INF, -INF, 0.0, -2.0])
def test_f1_leaves_out_what_is_not_predicted(missing):
    truth = square()
    depth = np.roll(truth, 1, axis=1)
    depth[:, 24:27] = missing
    depth[:, 54:57] = missing
    assert boundary_f1(depth, truth, everywhere(truth)) == pytest.approx(0.5, abs=1e-12)


def test_f1_without_edges():
    flat, truth = np.full((60, 80), 3.0, np.float32), square()
    mask = everywhere(truth)
    assert np.isnan(boundary_f1(flat, flat, mask))
    assert boundary_f1(flat, truth, mask) == 0.0
    assert boundary_f1(truth, flat, mask) == 0.0
    assert np.isnan(boundary_f1(truth, truth, ~mask))


def test_f1_weighs_by_the_threshold():
    """An edge of ratio 1.11 is one at 1.05, 1.0722.. and 1.0944.., and at no higher ratio."""
    truth = np.where(square() < 3.0, np.float32(2.0), np.float32(2.22))
    ratios = np.linspace(1.05, 1.25, 10)
    wanted = ratios[ratios < 1.11].sum() / ratios.sum()
    assert boundary_f1(truth, truth, everywhere(truth)) == pytest.approx(wanted, abs=1e-12)


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(0.1, 10.0))
def test_f1_is_symmetric_and_blind_to_scale(seed, scale):
    a, b = boxes(seed, 24, 32)
    mask = everywhere(a)
    figure = boundary_f1(a.astype(np.float64), b, mask)
    assert 0.0 <= figure <= 1.0
    assert boundary_f1(b, a, mask) == pytest.approx(figure, abs=1e-12)
    assert boundary_f1(scale * a.astype(np.float64), b, mask) == pytest.approx(figure, abs=1e-3)


# SSIM


def test_ssim_is_that_of_scikit_image():
    depth, truth = boxes()
    figure = ssim_inverse_depth(depth, truth, everywhere(truth))
    assert figure == pytest.approx(SSIM_BOXES, abs=1e-9)


def test_ssim_of_a_real_pair_with_holes(shared_dir):
    assert ssim_inverse_depth(*kinect(shared_dir)) == pytest.approx(SSIM_KINECT, abs=1e-9)


def test_ssim_by_hand():
    """One window: the sums of its definition, with sample variances."""
    rng = np.random.default_rng(3)
    rho_y, rho_g = rng.uniform(0.2, 1.0, (2, 7, 7))
    low, high = np.percentile(rho_g, (2, 98))
    c1, c2 = (0.01 * (high - low)) ** 2, (0.03 * (high - low)) ** 2
    covariance = np.cov(rho_y.ravel(), rho_g.ravel())
    means = rho_y.mean(), rho_g.mean()
    wanted = (2 * means[0] * means[1] + c1) * (2 * covariance[0, 1] + c2)
    wanted /= (means[0] ** 2 + means[1] ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2)
    figure = ssim_inverse_depth(1 / rho_y, 1 / rho_g, np.ones((7, 7), np.bool_))
    assert figure == pytest.approx(wanted, abs=1e-12)


def test_ssim_is_one_for_the_truth_and_falls_with_scale():
    truth = boxes()[1]
    mask = everywhere(truth)
    assert ssim_inverse_depth(truth, truth, mask) == pytest.approx(1.0, abs=1e-12)
    near, far = (ssim_inverse_depth(np.float32(s) * truth, truth, mask) for s in (1.1, 1.5))
    assert far < near < 0.999


def test_ssim_leaves_out_windows_with_a_hole():
    depth, truth = boxes()
    holes = np.zeros(truth.shape, np.bool_)
    holes[:, 70] = True
    wanted = ssim_inverse_depth(depth, truth, ~holes)
    absurd = np.where(holes, np.float32(1e-30), depth)
    assert ssim_inverse_depth(absurd, truth, ~holes) == wanted
    unknown = np.where(holes, np.float32(NAN), depth)
    assert ssim_inverse_depth(unknown, truth, everywhere(truth)) == pytest.approx(wanted, rel=2e-3)
    left = ssim_inverse_depth(depth[:, :70], truth[:, :70], everywhere(truth[:, :70]))
    assert wanted != pytest.approx(left, rel=1e-4)  # the right part counts too


def test_ssim_of_an_absurd_value_stays_local():
    depth, truth = boxes()
    wanted = ssim_inverse_depth(depth, truth, everywhere(truth))
    depth[40, 60] = 1e-20
    figure = ssim_inverse_depth(depth, truth, everywhere(truth))
    windows = 90 * 122
    assert wanted - 1.3 * 49 / windows < figure < wanted


def test_ssim_is_not_defined_without_windows_or_range():
    depth, truth = boxes()
    flat = np.full_like(truth, 3.0)
    assert np.isnan(ssim_inverse_depth(depth, truth, ~everywhere(truth)))
    assert np.isnan(ssim_inverse_depth(flat, flat, everywhere(truth)))
    assert np.isnan(ssim_inverse_depth(depth[:6], truth[:6], everywhere(truth[:6])))
    checkered = np.indices(truth.shape).sum(axis=0) % 6 > 0
    assert np.isnan(ssim_inverse_depth(depth, truth, checkered))


@pytest.mark.parametrize('figure', [boundary_f1, ssim_inverse_depth])
def test_sizes_must_agree(figure):
    truth = square()
    with pytest.raises(ShapeError, match='truth'):
        figure(truth[:, 1:], truth, everywhere(truth))
