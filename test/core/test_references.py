"""References from points and depth images: where they are, which are seen, how they are spread."""

from depth_perception.core import references as module
from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.core.references import (
    known_pixels,
    MAX_REFERENCES,
    moved_points,
    points_of_pixels,
    ReferenceNoise,
    references_from_depth,
    references_from_points,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

CAMERA = PinholeCamera(640, 480, 525.0, 510.0, 300.5, 250.25)
EXACT = ReferenceNoise(0.0, 0.0)
BOXES = [(2.0, -0.8, -0.3, -0.2, 1.2), (3.0, 0.2, 0.9, -0.5, 1.2)]  # z, x from to, y from to
WALL_M, FLOOR_M = 12.0, 1.2


def cast(origin, directions):
    """Return the distance along each ray to the first thing it meets."""
    reach = np.full(len(directions), np.inf)
    for z, x0, x1, y0, y1 in [*BOXES, (WALL_M, -50, 50, -50, 50)]:
        with np.errstate(all='ignore'):
            hit = (z - origin[2]) / directions[:, 2]
            x, y = (origin[i] + hit * directions[:, i] for i in (0, 1))
        inside = (hit > 0) & (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        reach = np.where(inside & (hit < reach), hit, reach)
    with np.errstate(all='ignore'):
        floor = (FLOOR_M - origin[1]) / directions[:, 1]
    return np.where((floor > 0) & (floor < reach), floor, reach)


def scan(lines, step_deg, fov_deg, origin):
    """Return the points that a laser measures, in the frame of the camera."""
    azimuth = np.radians(np.arange(-60.0, 60.0, step_deg))
    elevation = np.radians(np.linspace(-fov_deg, fov_deg, lines))
    a, e = np.meshgrid(azimuth, elevation)
    rays = np.stack([np.cos(e) * np.sin(a), -np.sin(e), np.cos(e) * np.cos(a)], -1).reshape(-1, 3)
    return origin + cast(origin, rays)[:, None] * rays


def verdict(points):
    """Return (share of references that the camera does not see, share of visible points kept)."""
    numbers = np.arange(len(points)) + 1.0  # as sigma, they come out with the points
    found = references_from_points(points, CAMERA, EXACT, measured_m=numbers, limit=len(points))
    kept = np.zeros(len(points), bool)
    kept[np.rint(found.sigma_rho / found.rho**2).astype(int) - 1] = True
    seen = cast(np.zeros(3), points) > 0.995
    u = CAMERA.fx * points[:, 0] / points[:, 2] + CAMERA.cx
    v = CAMERA.fy * points[:, 1] / points[:, 2] + CAMERA.cy
    inside = (u > 0) & (u < 639) & (v > 0) & (v < 479)
    assert (inside & ~seen).sum() > 0.07 * inside.sum()  # so many there would be
    return (kept & ~seen).sum() / kept.sum(), (kept & seen).sum() / (inside & seen).sum()


def test_points_fall_where_the_camera_sees_them():
    points = np.array([[0.5, -0.25, 2.0], [-0.4, 0.3, 4.0]], np.float32)
    found = references_from_points(points, CAMERA, ReferenceNoise(0.06, 0.04))
    np.testing.assert_allclose(found.u, [300.5 + 525 * 0.25, 300.5 - 52.5], rtol=1e-6)
    np.testing.assert_allclose(found.v, [250.25 - 510 * 0.125, 250.25 + 510 * 0.075], rtol=1e-6)
    np.testing.assert_allclose(found.rho, [0.5, 0.25])
    np.testing.assert_allclose(
        found.sigma_rho, [np.hypot(0.06, 0.08) / 4, np.hypot(0.06, 0.16) / 16], rtol=1e-6
    )


def test_sigma_of_the_sensor_wins_where_it_is_one_and_motion_adds_to_both():
    points = np.array([[0, 0, 2.0], [0.5, 0, 4.0], [-0.5, 0, 5.0]], np.float32)
    measured = np.array([0.3, np.nan, -1.0], np.float32)
    found = references_from_points(
        points, CAMERA, ReferenceNoise(0.1, 0.0, 0.4), measured_m=measured
    )
    wanted = np.array([np.hypot(0.3, 0.4), np.hypot(0.1, 0.4), np.hypot(0.1, 0.4)])
    np.testing.assert_allclose(found.sigma_rho, wanted / np.array([4, 16, 25]), rtol=1e-6)


@pytest.mark.parametrize(
    'point',
    [
        (0.0, 0.0, -2.0),
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.05),
        (np.nan, 0.0, 2.0),
        (0.0, np.inf, 2.0),
        (0.0, 0.0, np.inf),
        (1.3, 0.0, 2.0),  # u = 641.75
        (0.0, -1.0, 2.0),  # v = -4.75
        (3e38, 3e38, 1.0),
    ],
)
def test_what_is_not_in_view_is_left_out(point):
    points = np.array([point, (0.0, 0.0, 3.0)], np.float32)
    assert references_from_points(points, CAMERA, EXACT).rho == pytest.approx([1 / 3])
    assert len(references_from_points(points[:1], CAMERA, EXACT)) == 0


def test_the_nearest_point_of_a_pixel_counts():
    ray = np.array([0.1, 0.05, 1.0])
    points = np.array([ray * z for z in (5.0, 2.0, 7.0, 3.0, 2.5, 6.0, 4.0)], np.float32)
    assert references_from_points(points, CAMERA, EXACT).rho == pytest.approx([0.5])


@pytest.mark.parametrize(
    ('lines', 'step_deg', 'fov_deg'),
    [(16, 0.2, 15.0), (16, 0.4, 15.0), (16, 1.0, 15.0), (32, 0.2, 20.0), (64, 0.17, 22.0)],
)
@pytest.mark.parametrize('origin', [(0.3, -0.4, 0.1), (0.5, -0.1, 0.0), (0.0, -0.4, -0.2)])
def test_a_laser_that_looks_past_an_edge_gives_no_reference_behind_it(
    lines, step_deg, fov_deg, origin
):
    hidden, kept = verdict(scan(lines, step_deg, fov_deg, np.array(origin)))
    assert hidden < 0.07  # what is left lies above the last scan line on the near board
    assert kept > 0.98


def test_two_walls_seen_from_beside():
    """A depth camera 10 cm to the right sees wall that the near board hides from ours."""
    source = PinholeCamera(320, 240, 262.0, 262.0, 160.0, 120.0)
    depth = np.full((240, 320), 4.0, np.float32)
    depth[:, 100:200] = 1.0  # the board, from -0.129 m to 0.253 m in our frame
    moved = points_of_pixels(depth, known_pixels(depth), source) + np.float32([0.1, 0.0, 0.0])
    found = references_from_points(moved, CAMERA, EXACT, limit=10**6)
    near = found.rho == 1.0
    left, right = found.u[near].min(), found.u[near].max()
    assert left == pytest.approx(300.5 + 525 * (0.1 - 60 / 262), abs=0.1)
    assert right == pytest.approx(300.5 + 525 * (0.1 + 39 / 262), abs=0.1)
    behind = ~near & (found.u > left + 4) & (found.u < right - 4)
    assert not behind.any()
    assert (~near & (found.u > right)).sum() > 5000


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-60, 60), st.floats(-40, 40), st.floats(0.3, 3.0), st.sampled_from([8, 16, 64]),
    st.floats(-0.5, 0.5), st.floats(-0.5, 0.5),
)  # fmt: skip
def test_a_plane_hides_nothing_of_itself(yaw_deg, pitch_deg, gap_m, lines, x, y):
    """However it is tilted, and wherever it is measured from."""
    yaw, pitch = np.radians((yaw_deg, pitch_deg))
    normal = np.array([np.sin(yaw), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    azimuth, elevation = np.meshgrid(
        np.radians(np.arange(-30, 30, 0.4)), np.radians(np.linspace(-18, 18, lines))
    )
    rays = np.stack(
        [np.cos(elevation) * np.sin(azimuth), -np.sin(elevation),
         np.cos(elevation) * np.cos(azimuth)], -1,
    ).reshape(-1, 3)  # fmt: skip
    origin = np.array([x, y, 0.0])
    with np.errstate(all='ignore'):
        reach = (gap_m + 2.0 - origin @ normal) / (rays @ normal)
    points = (origin + reach[:, None] * rays)[(reach > 0.2) & (reach < 60.0)]
    found = references_from_points(points, CAMERA, EXACT, limit=10**6)
    with np.errstate(all='ignore'):
        u = np.rint(CAMERA.fx * points[:, 0] / points[:, 2] + CAMERA.cx)
        v = np.rint(CAMERA.fy * points[:, 1] / points[:, 2] + CAMERA.cy)
    ahead = (points[:, 2] > 0.11) & (u >= 0) & (u < 640) & (v >= 0) & (v < 480)
    pixels = len(np.unique(u[ahead] + 1000 * v[ahead]))
    assert len(found) >= 0.99 * pixels


@pytest.mark.parametrize('roll_deg', [0.0, 20.0, 45.0])
@pytest.mark.parametrize(
    ('camera', 'height_m', 'laser_m', 'scan', 'pitch_deg'),
    [
        (PinholeCamera(1242, 375, 721.0, 721.0, 609.0, 173.0), 1.65, 1.73, (64, 0.17, -24, 2), 0),
        (PinholeCamera(1242, 375, 721.0, 721.0, 609.0, 173.0), 1.65, 1.73, (16, 0.2, -15, 15), 0),
        (PinholeCamera(640, 480, 525.0, 525.0, 320.0, 240.0), 0.4, 0.7, (64, 0.35, -22, 22), 15),
        (PinholeCamera(640, 480, 525.0, 525.0, 320.0, 240.0), 0.4, 0.7, (16, 1.0, -15, 15), 15),
        (PinholeCamera(1280, 720, 650.0, 650.0, 640.0, 360.0), 0.6, 0.7, (32, 0.2, -25, 15), 0),
    ],
)
def test_a_floor_is_not_hidden_by_its_nearer_parts(
    camera, height_m, laser_m, scan, pitch_deg, roll_deg
):
    """Up to where it is seen at a grazing angle, 60 m ahead, and with noise."""
    lines, step_deg, low_deg, high_deg = scan
    a, e = np.meshgrid(
        np.radians(np.arange(-60.0, 60.0, step_deg)),
        np.radians(np.linspace(low_deg, high_deg, lines)),
    )
    rays = np.stack([np.cos(e) * np.sin(a), -np.sin(e), np.cos(e) * np.cos(a)], -1).reshape(-1, 3)
    with np.errstate(all='ignore'):
        reach = np.where(rays[:, 1] > 0, laser_m / rays[:, 1], np.inf)
    rays, reach = rays[reach < 60.0], reach[reach < 60.0]
    reach += np.random.default_rng(0).normal(0.0, 0.02, reach.size)
    points = reach[:, None] * rays + [0.0, height_m - laser_m, -0.27]
    pitch, roll = np.radians((pitch_deg, roll_deg))
    down = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    turn = [[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    points = points @ np.transpose(down) @ np.transpose(turn)
    found = references_from_points(points, camera, EXACT, limit=10**6)
    with np.errstate(all='ignore'):
        u = np.rint(camera.fx * points[:, 0] / points[:, 2] + camera.cx)
        v = np.rint(camera.fy * points[:, 1] / points[:, 2] + camera.cy)
    ahead = (points[:, 2] > 0.11) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    pixels = len(np.unique(u[ahead] + 10_000 * v[ahead]))
    assert len(found) >= 0.98 * pixels


def test_landmarks_hide_nothing():
    rng = np.random.default_rng(5)
    z = rng.choice([1.0, 8.0], 200)
    u, v = rng.uniform(0, 639, 200), rng.uniform(0, 479, 200)
    points = np.stack([(u - CAMERA.cx) / CAMERA.fx * z, (v - CAMERA.cy) / CAMERA.fy * z, z], 1)
    assert len(references_from_points(points, CAMERA, EXACT)) >= 199


@pytest.mark.parametrize('count', [2001, 5000, 130_000])
def test_references_are_thinned_to_the_limit_and_spread_over_the_image(count):
    """Though nine tenths of the points lie in one corner."""
    rng = np.random.default_rng(7)
    u, v = rng.uniform(0, 639, count), rng.uniform(0, 479, count)
    crowd = count * 9 // 10
    u[:crowd], v[:crowd] = u[:crowd] / 4, v[:crowd] / 4
    points = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, u * 0 + 1], 1)
    found = references_from_points(3.0 * points, CAMERA, EXACT)
    assert MAX_REFERENCES * 0.95 <= len(found) <= MAX_REFERENCES
    quadrant = 2 * (found.v > 239.5) + (found.u > 319.5)
    alone = (u[crowd:] > 319.5) & (v[crowd:] > 239.5)
    assert (quadrant == 3).sum() >= min(400, 0.95 * alone.sum())
    assert (quadrant == 0).sum() < 1900


def test_a_depth_image_is_read_where_it_is_known():
    depth = np.full((480, 640), np.nan, np.float32)
    depth[10, 600], depth[470, 5], depth[240, 320] = 2.0, 4.0, np.inf
    found = references_from_depth(depth, CAMERA, ReferenceNoise(0.0, 0.02))
    assert found.u.tolist() == [600, 5]
    assert found.v.tolist() == [10, 470]
    np.testing.assert_allclose(found.rho, [0.5, 0.25])
    np.testing.assert_allclose(found.sigma_rho, [0.01, 0.005])


def test_a_full_depth_image_gives_references_everywhere_but_on_edges():
    columns = np.arange(640) + np.zeros((480, 1))
    depth = (4.0 + 0.002 * columns).astype(np.float32)
    depth[100:300, 200:300] = 1.5
    found = references_from_depth(depth, CAMERA, EXACT)
    assert 1900 <= len(found) <= MAX_REFERENCES
    counts = np.histogram2d(found.v, found.u, bins=(4, 4), range=((0, 480), (0, 640)))[0]
    assert counts.min() > 80
    u, v = found.u.astype(int), found.v.astype(int)
    np.testing.assert_allclose(found.rho, 1.0 / depth[v, u].astype(float))
    for at in (200, 300):
        assert not ((np.abs(u - at + 0.5) < 2) & (v >= 100) & (v < 300)).any()


def test_points_of_a_depth_image_are_those_of_its_camera():
    rng = np.random.default_rng(2)
    depth = rng.uniform(0.5, 9.0, (480, 640)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.9] = np.nan
    index = known_pixels(depth)
    np.testing.assert_allclose(
        points_of_pixels(depth, index, CAMERA),
        points_from_depth(depth, CAMERA).reshape(-1, 3)[index],
        rtol=1e-6,
    )
    assert known_pixels(depth, 1000).size == pytest.approx(1000, rel=0.1)


def test_a_pose_moves_points():
    pose = np.eye(4)
    pose[:3] = [[0, -1, 0, 0.1], [0, 0, -1, 0.2], [1, 0, 0, 0.3]]  # a body frame in an optical one
    np.testing.assert_allclose(
        moved_points(np.array([[4.0, 0.5, 0.25]]), pose), [[-0.4, -0.05, 4.3]]
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3000), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_never_more_than_asked_for_and_as_many_as_there_are(count, limit, seed):
    rng = np.random.default_rng(seed)
    tiny = PinholeCamera(97, 41, 60.0, 60.0, 48.0, 20.0)
    points = np.stack(
        [rng.normal(0, 1, count), rng.normal(0, 1, count), rng.uniform(1, 1.05, count)]
    )
    every = references_from_points(points.T, tiny, EXACT, limit=10**6)
    found = references_from_points(points.T, tiny, EXACT, limit=limit)
    assert len(found) == min(limit, len(every))
    assert len(set(zip(found.u, found.v, strict=True))) == len(found)


def test_the_image_ends_half_a_pixel_beyond_its_last_centres():
    camera = PinholeCamera(64, 100, 50.0, 50.0, 31.5, 49.5)
    inside = [(-0.45, 20.0), (63.45, 20.0), (20.0, -0.45), (20.0, 99.45)]
    outside = [(-0.55, 20.0), (63.55, 20.0), (20.0, -0.55), (20.0, 99.55)]
    for pixels, count in ((inside, 4), (outside, 0)):
        u, v = np.array(pixels).T
        z = np.array([2.0, 3.0, 4.0, 5.0])
        rays = np.stack([(u - 31.5) / 50.0, (v - 49.5) / 50.0, np.ones(4)], axis=1)
        assert len(references_from_points(rays * z[:, None], camera, EXACT)) == count


def test_cells_of_a_tall_image():
    camera = PinholeCamera(5, 9, 50.0, 50.0, 2.0, 4.0)
    u, v = np.array([-0.4, 0.4, 0.6, 4.4, 1.6]), np.array([-0.4, 0.6, 8.4, 3.4, 5.6])
    place, shape = module._places(u, v, camera, 1)
    assert shape == (9, 5)
    assert place.tolist() == [0, 5 * 1, 5 * 8 + 1, 5 * 3 + 4, 5 * 6 + 2]
    place, shape = module._places(u, v, camera, 2)
    assert shape == (5, 3)
    assert place.tolist() == [0, 0, 3 * 4, 3 + 2, 3 * 3 + 1]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 7), st.integers(1, 9), st.integers(0, 999))
def test_the_nearest_to_each_side_as_a_loop_finds_it(rows, cells, reach, seed):
    grid = np.random.default_rng(seed).random((rows, cells)).astype(np.float32)
    left, right = module._sides(grid, reach)
    raised = module._raised(grid, reach)
    for row, cell in np.ndindex(grid.shape):
        before, after = grid[row, max(0, cell - reach) : cell], grid[row, cell + 1 :][:reach]
        assert left[row, cell] == (before.max() if before.size else 0.0)
        assert right[row, cell] == (after.max() if after.size else 0.0)
        assert raised[row, cell] == grid[max(0, row - reach) : row + 1, cell].max()


def test_what_lies_between_two_points_of_other_rows():
    for near in ([(1, 0), (3, 4)], [(3, 0), (1, 4)], [(2, 0), (2, 4)]):
        grid = np.zeros((5, 5), np.float32)
        for row, column in near:
            grid[row, column] = 0.5 + 0.1 * row
        least = min(grid[grid > 0.0])
        assert module._between(grid, 3, 1)[2, 2] == pytest.approx(least)
        assert bool(module._between(grid, 3, 0)[2, 2] > 0.0) is (near[0][0] == 2)
    for above, below, slope in ((0.9, 0.0, 0.0), (0.0, 0.9, 0.0), (0.9, 0.6, 0.15)):
        grid[1, 2], grid[3, 2] = above, below  # a slope needs a point above and one below
        assert module._between(grid, 3, 0)[2, 2] == pytest.approx(0.7 - slope)


def test_a_steep_plane_has_no_edges_and_a_step_has():
    rows, columns = np.indices((40, 50))
    for rho in (0.1 + 0.01 * rows, 0.1 + 0.01 * columns, 0.6 - 0.01 * rows):
        depth = (1.0 / rho).astype(np.float32)
        assert not module._on_edge(depth, *np.indices((36, 46)).reshape(2, -1) + 2).any()
    for axis in (rows, columns):
        depth = np.where(axis < 20, 2.0, 3.0).astype(np.float32)
        found = module._on_edge(depth, rows.ravel(), columns.ravel()).reshape(40, 50)
        np.testing.assert_array_equal(found, (axis >= 18) & (axis < 22))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 200))
def test_tiles_give_as_much_as_fits(counts, limit):
    counts = np.array(counts)
    share = module._share_of_each(counts, limit)
    given_by = lambda each: np.minimum(counts, each).sum()  # noqa: E731
    assert given_by(share) <= limit or share == 0
    assert given_by(share) == counts.sum() or given_by(share + 1) > limit


def test_of_many_points_about_so_many_are_looked_at():
    for count in (module._CANDIDATES, module._CANDIDATES + 1, 10 * module._CANDIDATES):
        seen = (np.arange(count),) * 4
        kept = module._thinned_at_random(seen)[3]
        assert kept.size == pytest.approx(module._CANDIDATES, rel=0.01)
        assert np.diff(kept).max() <= 2 * -(-count // module._CANDIDATES)
