"""Clouds, planes and obstacles against brute force and scenes made by hand."""

from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.errors import ShapeError
from depth_perception.evaluation.datasets.files import read_depth_mm
from depth_perception.evaluation.measures.clouds import (
    cloud_measures,
    evenly,
    obstacle_range_error_m,
)
from depth_perception.evaluation.measures.depth import depth_measures
from depth_perception.evaluation.measures.planes import (
    dominant_plane,
    plane_measures,
    plane_normal,
    plane_rms_m,
    wall_angle_deg,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

NAN, INF = np.nan, np.inf
CAMERA = PinholeCamera(64, 48, 60.0, 62.0, 30.5, 25.0)
KINECT = PinholeCamera(640, 480, 585.0, 585.0, 320.0, 240.0)

# MoGe 0744441, moge/test/metrics.py, rel_point with eps 0 on numpy arrays; with its eps of 1e-6 it
# is 0.004312832596779364.
REL_POINT_KINECT = 0.004312834802322882


def wall(normal=(0.0, 0.0, 1.0), offset_m=3.0, camera=CAMERA):
    """Return (H, W) depth of the plane n . p = offset."""
    normal = np.asarray(normal, np.float64) / np.linalg.norm(normal)
    x = (np.arange(camera.width) - camera.cx) / camera.fx
    y = (np.arange(camera.height) - camera.cy) / camera.fy
    return offset_m / (normal[0] * x[None] + normal[1] * y[:, None] + normal[2])


def everywhere(image):
    return np.ones(image.shape, np.bool_)


def noisy(depth, spread, seed=0):
    return depth * np.exp(np.random.default_rng(seed).normal(0.0, spread, depth.shape))


# Clouds


def test_cloud_figures_are_those_of_brute_force():
    truth = noisy(wall((0.3, -0.2, 1.0)), 0.02, seed=1)
    depth = 1.03 * noisy(wall((0.3, -0.2, 1.0)), 0.03, seed=2)
    mask = np.random.default_rng(3).random(truth.shape) < 0.4
    p, g = (points_from_depth(image.astype(np.float32), CAMERA)[mask] for image in (depth, truth))
    apart = np.linalg.norm(p[:, None].astype(np.float64) - g[None], axis=2)
    there, back = apart.min(axis=1), apart.min(axis=0)
    figures = cloud_measures(depth, truth, mask, CAMERA)
    assert figures['chamfer_m'] == pytest.approx((there.mean() + back.mean()) / 2, rel=1e-6)
    for name, tau in (('5', 0.05), ('10', 0.1), ('25', 0.25)):
        a, b = (there < tau).mean(), (back < tau).mean()
        assert figures[f'f_score_{name}cm'] == pytest.approx(2 * a * b / (a + b), abs=1e-12)
    assert 0.2 < figures['f_score_5cm'] < 0.9


def test_one_point():
    """A point on the optical axis, 8 cm too near."""
    truth = np.full((48, 64), NAN)
    truth[25, 30] = 2.08
    camera = PinholeCamera(64, 48, 60.0, 62.0, 30.0, 25.0)
    figures = cloud_measures(np.full((48, 64), 2.0), truth, truth > 0, camera)
    assert figures == pytest.approx(
        {
            'chamfer_m': 0.08,
            'f_score_5cm': 0.0,
            'f_score_10cm': 1.0,
            'f_score_25cm': 1.0,
            'rel_point': 0.08 / 2.08,
        }
    )


def test_an_f_score_asks_for_both_ways():
    """Within 2.5 m every predicted point has a true one, but a true one has none: 1 and 2/3."""
    camera = PinholeCamera(3, 1, 1.0, 1.0, 0.0, 0.0)
    truth, depth = np.array([[1.0, 2.0, 4.0]]), np.array([[1.0, 2.0, 2.0]])
    # points (0, 1), (2, 2), (8, 4) against (0, 1), (2, 2), (4, 2)
    figures = cloud_measures(depth, truth, everywhere(truth), camera, taus_m=(0.5, 2.5))
    assert figures['f_score_50cm'] == pytest.approx(2 / 3)
    assert figures['f_score_250cm'] == pytest.approx(2 * 1.0 * (2 / 3) / (1.0 + 2 / 3))
    wanted = ((0 + 0 + 2.0) / 3 + (0 + 0 + np.sqrt(20.0)) / 3) / 2
    assert figures['chamfer_m'] == pytest.approx(wanted)


def test_real_points_have_the_error_of_moge(shared_dir):
    folder = shared_dir / 'data' / 'kinect_sequence'
    truth, depth = (read_depth_mm(folder / f'frame-{i:06d}.depth.png') for i in (0, 2))
    depth[depth >= 10.0] = NAN
    figures = cloud_measures(depth, truth, truth < 10.0, KINECT)
    assert figures['rel_point'] == pytest.approx(REL_POINT_KINECT, abs=1e-12)
    abs_rel = depth_measures(depth, truth, truth < 10.0)['abs_rel']
    assert figures['rel_point'] == pytest.approx(abs_rel, abs=1e-12)  # on the same rays


def test_a_subset_is_close_to_the_whole(shared_dir):
    folder = shared_dir / 'data' / 'kinect_sequence'
    truth, depth = (read_depth_mm(folder / f'frame-{i:06d}.depth.png') for i in (0, 20))
    depth[depth >= 10.0] = NAN
    mask = truth < 10.0
    whole, few = (cloud_measures(depth, truth, mask, KINECT, max_points=n) for n in (0, 4000))
    assert few['chamfer_m'] == pytest.approx(whole['chamfer_m'], rel=0.05)
    for name in ('f_score_5cm', 'f_score_10cm'):
        assert few[name] == pytest.approx(whole[name], abs=0.01)


@pytest.mark.parametrize('missing', [NAN, INF, -INF, 0.0, -1.0])
def test_unpredicted_pixels_do_not_count(missing):
    truth = wall()
    depth = 1.02 * truth
    depth[:, 40:] = missing
    shorter = PinholeCamera(40, 48, 60.0, 62.0, 30.5, 25.0)
    wanted = cloud_measures(
        1.02 * truth[:, :40], truth[:, :40], everywhere(truth[:, :40]), shorter
    )
    assert cloud_measures(depth, truth, everywhere(truth), CAMERA) == pytest.approx(wanted)
    nothing = cloud_measures(np.full_like(truth, missing), truth, everywhere(truth), CAMERA)
    assert list(nothing) == list(wanted)
    assert np.isnan(list(nothing.values())).all()


@settings(deadline=None)
@given(st.integers(0, 5000), st.integers(1, 3000))
def test_a_choice_is_bounded_and_even(count, most):
    chosen = evenly(count, most)
    assert len(chosen) == min(count, most)
    if count > most:
        part = chosen * most // count
        assert (np.abs(part - np.arange(most)) <= 1).all()
        assert (np.diff(chosen) >= 0).all()
        assert chosen[-1] < count
    else:
        assert (chosen == np.arange(count)).all()
    assert len(evenly(count, 0)) == count


def test_a_choice_does_not_follow_the_columns():
    columns = evenly(640 * 480, 640 * 480 // 160) % 640
    assert len(np.unique(columns)) > 500


# Planes


def test_the_plane_of_a_slanted_wall_among_clutter():
    normal = np.array([0.4, -0.25, 0.85]) / np.linalg.norm([0.4, -0.25, 0.85])
    depth = wall(normal, 2.5)
    clutter = np.zeros(depth.shape, np.bool_)
    clutter[10:40, 8:30] = True
    depth[clutter] *= np.random.default_rng(0).uniform(0.3, 0.9, clutter.sum())
    plane = dominant_plane(depth, CAMERA, everywhere(depth))
    assert plane.normal == pytest.approx(normal, abs=1e-9)
    assert plane.offset_m == pytest.approx(2.5, abs=1e-9)
    assert (plane.inliers == ~clutter).all()
    assert plane_normal(depth, CAMERA, ~clutter) == pytest.approx(normal, abs=1e-9)


@pytest.mark.parametrize(
    'normal', [(0.0, 0.0, 1.0), (0.5, 0.0, 0.5), (-0.7, 0.2, 0.3), (0.1, 0.9, 0.5), (0, -0.5, 0.6)]
)
def test_normals_point_away_from_the_camera(normal):
    depth = wall(normal)
    plane = dominant_plane(depth, CAMERA, depth > 0)
    assert plane.normal == pytest.approx(normal / np.linalg.norm(normal), abs=1e-6)
    assert plane.offset_m == pytest.approx(3.0, abs=1e-6)


def test_the_rms_of_a_plane_is_the_noise_across_it():
    flat = wall(offset_m=3.0)
    ripple = np.where(np.indices(flat.shape).sum(axis=0) % 2, 0.012, -0.012)
    assert plane_rms_m(flat + ripple, CAMERA, everywhere(flat)) == pytest.approx(0.012, rel=1e-3)
    assert plane_rms_m(flat, CAMERA, everywhere(flat)) == pytest.approx(0.0, abs=1e-9)


def test_the_rms_counts_what_is_off_the_plane():
    depth = wall(offset_m=3.0)
    depth[5, 7] = 2.0
    figure = plane_rms_m(depth, CAMERA, everywhere(depth))
    assert figure == pytest.approx(1.0 / np.sqrt(depth.size), rel=1e-6)


@pytest.mark.parametrize('angle', [0.0, 0.5, 7.0])
def test_the_angle_of_a_wall(angle):
    lean = np.radians(20.0), np.radians(20.0 + angle)
    truth, depth = (wall((np.sin(a), 0.0, np.cos(a))) for a in lean)
    mask = everywhere(truth)
    assert wall_angle_deg(depth, truth, mask, CAMERA) == pytest.approx(angle, abs=1e-6)
    figures = plane_measures(1.1 * depth, truth, mask, CAMERA)
    assert figures == pytest.approx({'plane_rms_m': 0.0, 'wall_angle_deg': angle}, abs=1e-6)


def test_the_prediction_is_judged_where_the_wall_is():
    truth = wall()
    truth[:, :20] = 1.0 + 0.9 * np.random.default_rng(0).random((48, 20))
    depth = wall((0.1, 0.0, 1.0))
    depth[:, :20] = 0.4
    depth[:, 40:] = wall((0.3, 0.0, 1.0), 6.0)[:, 40:]  # not where the truth has its wall
    truth[:, 40:] = 1.0 + 0.9 * np.random.default_rng(1).random((48, 24))
    figures = plane_measures(depth, truth, everywhere(truth), CAMERA)
    wanted = {'plane_rms_m': 0.0, 'wall_angle_deg': np.degrees(np.arctan(0.1))}
    assert figures == pytest.approx(wanted, abs=1e-6)


def test_no_plane():
    rng = np.random.default_rng(0)
    fog = rng.uniform(1.0, 20.0, (48, 64))
    figures = plane_measures(fog, fog, everywhere(fog), CAMERA, least_share=0.5)
    assert np.isnan(list(figures.values())).all()
    two = np.zeros(fog.shape, np.bool_)
    two[3, 4:6] = True
    assert dominant_plane(fog, CAMERA, two) is None
    assert plane_normal(fog, CAMERA, two) is None
    assert np.isnan(plane_rms_m(fog, CAMERA, two))
    assert np.isnan(wall_angle_deg(np.full_like(fog, NAN), wall(), everywhere(fog), CAMERA))
    in_line = np.zeros(fog.shape, np.bool_)
    in_line[3, :] = True
    assert dominant_plane(wall(), CAMERA, in_line) is None


def test_the_same_image_has_the_same_plane():
    depth = noisy(wall((0.2, 0.1, 1.0)), 0.02)
    first, second = (dominant_plane(depth, CAMERA, everywhere(depth)) for _ in range(2))
    assert (first.normal == second.normal).all()
    assert first.offset_m == second.offset_m


def test_a_real_wall_is_flat(shared_dir):
    folder = shared_dir / 'data' / 'kinect_sequence'
    truth = read_depth_mm(folder / 'frame-000000.depth.png')
    plane = dominant_plane(truth, KINECT, truth < 10.0)
    assert np.count_nonzero(plane.inliers) > 0.2 * np.count_nonzero(truth < 10.0)
    assert plane_rms_m(truth, KINECT, plane.inliers) < 0.02 * float(np.nanmax(truth[truth < 10.0]))


# Obstacles


def box_at(z, half_px=6, behind=5.0):
    """Return a wall with a box in the middle of the image."""
    depth = np.full((48, 64), behind)
    depth[25 - half_px : 26 + half_px, 31 - half_px : 31 + half_px] = z
    return depth


def test_the_error_of_an_obstacle_ahead():
    truth = box_at(1.5)
    mask = everywhere(truth)
    assert obstacle_range_error_m(box_at(1.7), truth, mask, CAMERA) == pytest.approx(0.2)
    assert obstacle_range_error_m(box_at(1.2), truth, mask, CAMERA) == pytest.approx(0.3)
    assert obstacle_range_error_m(box_at(5.0), truth, mask, CAMERA) == pytest.approx(3.5)


def test_what_is_beside_the_corridor_is_no_obstacle():
    truth = np.full((48, 64), 5.0)
    depth = truth.copy()
    depth[:, :10] = 1.0  # |X| > 0.34 m
    mask = everywhere(truth)
    assert obstacle_range_error_m(depth, truth, mask, CAMERA) == 0.0
    wide = obstacle_range_error_m(depth, truth, mask, CAMERA, corridor_m=(0.6, 0.3))
    assert wide == pytest.approx(4.0)
    depth = truth.copy()
    depth[46:] = 1.0  # Y > 0.33 m
    assert obstacle_range_error_m(depth, truth, mask, CAMERA, corridor_m=(0.6, 0.3)) == 0.0
    high = obstacle_range_error_m(depth, truth, mask, CAMERA, corridor_m=(0.3, 0.6))
    assert high == pytest.approx(4.0)


def test_an_outlier_is_no_obstacle():
    truth = np.full((48, 64), 1.0)
    depth = truth.copy()
    depth[25, 30] = 0.2
    assert obstacle_range_error_m(depth, truth, everywhere(truth), CAMERA) == 0.0
    nearest = obstacle_range_error_m(depth, truth, everywhere(truth), CAMERA, share=0.0)
    assert nearest == pytest.approx(0.8)


def test_an_obstacle_needs_ten_points():
    far = np.full((48, 64), 60.0)
    assert np.isnan(obstacle_range_error_m(far, far, everywhere(far), CAMERA))
    near = np.full((48, 64), 1.0)
    assert np.isnan(obstacle_range_error_m(far, near, everywhere(far), CAMERA))
    assert np.isnan(obstacle_range_error_m(near, near, ~everywhere(far), CAMERA))


def test_images_must_be_those_of_the_camera():
    depth = np.full((40, 64), 2.0)
    with pytest.raises(ShapeError, match='depth'):
        cloud_measures(depth, depth, everywhere(depth), CAMERA)
    with pytest.raises(ShapeError, match='depth'):
        plane_rms_m(depth, CAMERA, everywhere(depth))
