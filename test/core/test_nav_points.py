"""Which points are offered to a costmap."""

from dataclasses import replace
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.core.frame import GroundPose
from depth_perception.core.ground import ground_inverse_depth
from depth_perception.core.nav_clear import clearing_ends
from depth_perception.core.nav_points import NAV_FIELDS, NavPoints, one_per_voxel
from depth_perception.core.nav_rules import NavRules
from depth_perception.core.nav_view import DROP, GROUND, OBSTACLE, OVERHEAD, SKY, view_of
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

CAMERA = PinholeCamera(320, 240, 260.0, 255.0, 150.5, 118.5)
GROUND_POSE = GroundPose(0.6, math.radians(12.0), 0.0, 1e-3, 1e-4)
ONCE = NavRules(seen_frames=1, of_frames=1)
PERIOD_NS = 100_000_000


def floor():
    rho = ground_inverse_depth(CAMERA, 0.6, math.radians(12.0))
    with np.errstate(divide='ignore'):
        return np.where(rho > 0.02, 1.0 / rho, np.inf).astype(np.float32)


def estimate(depth, sigma=0.01, stamp_ns=0):
    valid = np.isfinite(depth)
    sigma = np.where(valid, np.float32(sigma), np.float32(np.nan)).astype(np.float32)
    return DepthEstimate(depth, sigma, valid, CAMERA, Scale(Rung.STEREO), stamp_ns)


def with_box(z=2.0, rows=slice(100, 140), columns=slice(100, 160)):
    depth = floor()
    depth[rows, columns] = np.minimum(depth[rows, columns], z)
    return depth


def points_of(depth, rules=ONCE, sigma=0.01, ground=GROUND_POSE):
    return NavPoints().points(view_of(estimate(depth, sigma), rules, ground), rules)


def test_points_are_those_of_the_box_one_per_voxel():
    cloud = points_of(with_box())
    assert len(cloud.points) > 30
    assert np.isfinite(cloud.values()).all()
    np.testing.assert_allclose(cloud.points[:, 2], 2.0)
    rays = cloud.points[:, :2] / cloud.points[:, 2:]
    pixels = rays * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    assert pixels[:, 0].min() >= 99.5
    assert pixels[:, 0].max() <= 160.5
    down = np.array([0.0, math.cos(math.radians(12.0)), math.sin(math.radians(12.0))])
    np.testing.assert_allclose(cloud.height, 0.6 - cloud.points @ down, atol=2e-3)
    voxels = np.unique(np.floor(cloud.points / 0.05), axis=0)
    assert len(voxels) == len(cloud.points)
    assert cloud.values().shape[1] == len(NAV_FIELDS)


def test_labels_tell_floor_sky_obstacles_and_what_hangs_above():
    depth = with_box()
    depth[:20, :40] = 3.0  # 3 m away, 1.2 to 2 m high
    view = view_of(estimate(depth), replace(ONCE, max_height_m=0.8), GROUND_POSE)
    assert view.labels[-1, 5] == GROUND
    assert view.labels[60, 60] == OBSTACLE
    assert view.labels[5, 10] == OVERHEAD
    assert view.labels[2, 150] == SKY


@pytest.mark.parametrize(
    'change',
    [
        {'max_range_m': 1.9},
        {'min_range_m': 2.6, 'max_range_m': 5.0},
        {'min_height_m': 0.7},
        {'max_height_m': 0.11, 'min_height_m': 0.1},
        {'max_sigma_m': 0.009},
        {'max_sigma_relative': 0.004},
        {'height_sigmas': 1000.0},
    ],
)
def test_each_bound_takes_the_box_away(change):
    assert len(points_of(with_box()).points) > 30
    assert len(points_of(with_box(), replace(ONCE, **change)).points) == 0


def test_a_lonely_sample_has_no_support():
    speck = with_box(rows=slice(120, 122), columns=slice(120, 122))
    assert len(points_of(speck).points) == 0
    assert len(points_of(speck, replace(ONCE, support=1)).points) == 1


def test_support_counts_the_sample_itself():
    four = with_box(rows=slice(120, 124), columns=slice(120, 124))  # two by two samples
    assert len(points_of(four, replace(ONCE, support=4)).points) > 0
    assert len(points_of(four, replace(ONCE, support=5)).points) == 0


def serve(maker, depth, number, rules, pose=None):
    seen = estimate(depth, stamp_ns=number * PERIOD_NS)
    return len(maker.points(view_of(seen, rules, GROUND_POSE, pose), rules).points)


def test_k_of_n_frames_for_a_camera_that_stands():
    rules, maker = NavRules(seen_frames=2, of_frames=3), NavPoints()
    counts = [
        serve(maker, with_box() if seen else floor(), number, rules)
        for number, seen in enumerate([1, 0, 1, 1, 0, 0, 1])
    ]
    assert [count > 0 for count in counts] == [False, False, True, True, False, False, False]


def test_k_of_n_follows_the_camera_and_forgets_after_a_gap():
    rules, maker = NavRules(seen_frames=2, of_frames=2), NavPoints()
    ahead = np.eye(4)
    ahead[2, 3] = 0.4  # the optical frame went on; the box, at 2 m, is now at 1.6 m
    near = with_box(1.6, slice(94, 146), slice(88, 162))
    assert serve(maker, with_box(), 0, rules, np.eye(4)) == 0
    followed = serve(maker, near, 1, rules, ahead)
    assert followed > 30
    maker.reset()
    assert serve(maker, with_box(), 0, rules, np.eye(4)) == 0
    assert serve(maker, near, 1, rules, np.eye(4)) == 0  # the way is not told: it is elsewhere
    assert serve(maker, near, 2, rules, np.eye(4)) > 30
    assert serve(maker, near, 60, rules, np.eye(4)) == 0
    assert serve(maker, near, 59, rules, np.eye(4)) == 0  # time went back


def test_what_was_out_of_sight_was_not_seen():
    rules, maker = NavRules(seen_frames=2, of_frames=2), NavPoints()
    wall = np.full((240, 320), 2.0, np.float32)
    aside = np.eye(4)
    aside[0, 3] = 50.0
    assert serve(maker, wall, 0, rules, np.eye(4)) == 0
    assert serve(maker, wall, 1, rules, aside) == 0
    assert serve(maker, wall, 2, rules, aside) > 100


def test_nothing_is_said_where_nothing_is_known():
    blind = np.full((240, 320), np.nan, np.float32)
    assert points_of(blind) is None
    blind[:60] = np.inf
    assert len(points_of(blind).points) == 0


def test_without_floor_all_near_points_are_obstacles_and_have_no_height():
    cloud = points_of(with_box(), ground=None)
    assert cloud.height is None
    assert cloud.values().shape[1] == 4
    assert np.linalg.norm(cloud.points, axis=1).max() <= 5.0
    assert len(cloud.points) <= 0.05 * 320 * 240


def test_a_drop_is_marked_at_its_edge_on_demand():
    depth = floor()
    view_floor = 1.0 / np.maximum(ground_inverse_depth(CAMERA, 1.1, math.radians(12.0)), 0.05)
    hole = (depth > 2.0) & (depth < 3.0)
    depth[hole] = view_floor[hole]
    assert len(points_of(depth).points) == 0
    rules = replace(ONCE, drop_m=0.3)
    assert (view_of(estimate(depth), rules, GROUND_POSE).labels == DROP).sum() > 100
    cloud = points_of(depth, rules)
    np.testing.assert_allclose(cloud.height, 1.05)
    z_floor = cloud.points[:, 2] + 1.05 * math.sin(math.radians(12.0))
    assert z_floor.min() == pytest.approx(2.0, abs=0.1)
    # Its bottom is seen up to 5 m away, through the floor at 5 m 0.6 / 1.1.
    assert z_floor.max() == pytest.approx(2.73, abs=0.1)


def test_no_more_than_the_share_of_the_pixels():
    depth = np.full((240, 320), 3.0, np.float32)
    rules = replace(ONCE, voxel_m=0.005, most_share=0.02)
    assert 0.01 * 76800 < len(points_of(depth, rules, ground=None).points) <= 0.02 * 76800


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.floats(0.02, 0.4), st.integers(0, 2**31))
def test_voxels_keep_one_point_each(count, voxel_m, seed):
    points = np.random.default_rng(seed).uniform(-3.0, 3.0, (count, 3)).astype(np.float32)
    kept = one_per_voxel(points, voxel_m)
    cells = np.floor(points * np.float32(1.0 / voxel_m)).astype(int)
    wanted = {tuple(cell) for cell in cells}
    assert {tuple(cell) for cell in cells[kept]} == wanted
    assert len(wanted) <= len(kept) <= len(wanted) + 2


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 2**31),
    st.booleans(),
    st.floats(0.0, 20.0),
)
def test_any_estimate_gives_finite_clouds(size, seed, known, slope_deg):
    random = np.random.default_rng(seed)
    camera = PinholeCamera(
        size[1], size[0], *random.uniform(5.0, 60.0, 2), *random.normal(9, 9, 2)
    )
    kinds = [np.nan, np.inf, -np.inf, 1e-3, 1e4, *random.uniform(0.2, 6.0, 20)]
    depth = random.choice(kinds, size).astype(np.float32)
    valid = np.isfinite(depth)
    sigma = np.where(valid, random.choice([1e-6, 0.05, 1e5], size), np.nan).astype(np.float32)
    made = DepthEstimate(depth, sigma, valid, camera, Scale(Rung.STEREO))
    rules = NavRules(
        columns=8, support=1, max_slope_deg=slope_deg, drop_m=0.1, least_known=0.0, seen_frames=1
    )
    pose = GroundPose(*random.uniform(0.1, 1.5, 2), random.normal()) if known else None
    view = view_of(made, rules, pose, np.eye(4))
    maker = NavPoints()
    for cloud in (
        maker.points(view, rules),
        maker.points(view, rules),
        clearing_ends(view, rules),
    ):
        assert np.isfinite(cloud.values()).all()
        assert (cloud.height is not None) == known
