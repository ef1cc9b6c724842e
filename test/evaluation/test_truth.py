from types import SimpleNamespace

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import CalibrationError, FrameError
from depth_perception.evaluation.bag_writer import BagWriter, Transform
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.streams import TruthStreams
from depth_perception.evaluation.transforms import tree_from_recording
from depth_perception.evaluation.truth import project, TruthSource, without_occluded
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('rosbags')
MS = 1_000_000
NOW = 1_700_000_000 * 10**9
CAMERA = PinholeCamera(8, 6, 10.0, 20.0, 3.0, 2.0)
RIG = StereoRig(CAMERA, PinholeCamera(8, 6, 10.0, 20.0, 5.0, 2.0), 0.3)


def pose(x=0.0, y=0.0, z=0.0):
    """Return a translation."""
    matrix = np.eye(4)
    matrix[:3, 3] = [x, y, z]
    return matrix


@pytest.fixture
def source(tmp_path):
    """Return a function: write messages, and make a TruthSource of them."""

    def make(write, streams, tolerance_ms=20.0, **given):
        with BagWriter(tmp_path / 'bag') as bag:
            write(bag)
        with Recording(tmp_path / 'bag') as recording:
            made = TruthSource(
                streams,
                tree_from_recording(recording),
                tolerance_ns=round(tolerance_ms * MS),
                **given,
            )
            for message in recording.messages(streams.topics):
                made.offer(message.topic, message.content)
        return made

    return make


def depth_image(seed=0):
    depth = np.random.default_rng(seed).uniform(1.0, 9.0, (6, 8)).astype(np.float32)
    depth[0, :3] = np.nan, np.inf, 0.0
    return depth


def test_depth_of_the_same_camera_is_taken_bit_by_bit(source):
    depth = depth_image()
    made = source(
        lambda bag: bag.write_image('/d', NOW, 'eye', depth, '32FC1'), TruthStreams(depth='/d')
    )
    truth = made.truth_at(NOW, CAMERA, 'eye')
    np.testing.assert_array_equal(truth.depth[1:], depth[1:])
    assert np.isnan(truth.depth[0, :3]).all()  # sky is no measurement
    assert not truth.sparse
    assert (truth.disparity, truth.visible) == (None, None)


@pytest.mark.parametrize(('off_ms', 'found'), [(0, 1), (20, 1), (21, 0), (-20, 1), (-21, 0)])
def test_the_nearest_stamp_within_the_tolerance(source, off_ms, found):
    def write(bag):
        for number in range(3):
            stamp_ns = NOW + (number - 1) * 100 * MS
            values = np.full((6, 8), 1.0 + number, np.float32)
            bag.write_image('/d', stamp_ns, 'eye', values, '32FC1')

    truth = source(write, TruthStreams(depth='/d')).truth_at(NOW + off_ms * MS, CAMERA, 'eye')
    assert (truth is not None) == bool(found)
    assert truth is None or truth.depth[3, 3] == 2.0


def test_depth_of_another_camera_is_seen_from_ours(source):
    """The depth camera stands 0.2 m left of ours, 0.3 m above it and 0.5 m behind it."""
    other = PinholeCamera(4, 3, 5.0, 5.0, 1.0, 1.0)
    values = np.full((3, 4), np.nan, np.float32)
    values[2, 3] = 2.5  # (1.0, 0.5, 2.5) there, (0.8, 0.2, 2.0) here

    def write(bag):
        transform = Transform('eye', 'depth_eye', pose(x=-0.2, y=-0.3, z=-0.5))
        bag.write_transforms(NOW, [transform], static=True)
        bag.write_camera_info('/d_info', NOW, 'depth_eye', other)
        bag.write_image('/d', NOW, 'depth_eye', values, '32FC1')

    made = source(write, TruthStreams(depth='/d', depth_info='/d_info'))
    truth = made.truth_at(NOW, CAMERA, 'eye')
    # u = 10 * 0.8 / 2 + 3 = 7, v = 20 * 0.2 / 2 + 2 = 4
    assert np.argwhere(np.isfinite(truth.depth)).tolist() == [[4, 7]]
    assert truth.depth[4, 7] == pytest.approx(2.0)
    assert truth.sparse


def test_sizes_that_differ_without_a_camera_info_are_refused(source):
    values = np.ones((3, 4), np.float32)
    made = source(
        lambda bag: bag.write_image('/d', NOW, 'eye', values, '32FC1'), TruthStreams(depth='/d')
    )
    with pytest.raises(CalibrationError, match=r'4x3.*8x6.*camera_info'):
        made.truth_at(NOW, CAMERA, 'eye')


def test_another_frame_without_tf_is_refused(source):
    points = np.array([[0.0, 0.0, 2.0, 1.0]], np.float32)
    made = source(
        lambda bag: bag.write_points('/p', NOW, 'laser', points), TruthStreams(points='/p')
    )
    with pytest.raises(FrameError, match=r"'laser'.*'eye'.*no /tf") as caught:
        made.truth_at(NOW, CAMERA, 'eye')
    assert caught.value.cause == 'no_transform'


def test_a_scan_is_moved_by_tf_and_by_the_motion_of_the_robot(source):
    """The camera drives along its z by 1 m/s; the scan was taken 50 ms before the image."""
    points = np.array([[0.4, 0.3, 2.05, 1.0], [0.0, 0.0, -3.0, 1.0]], np.float32)

    def write(bag):
        bag.write_transforms(NOW, [Transform('eye', 'laser', pose(x=-0.2, y=-0.1))], static=True)
        for step in (-1, 0, 1):
            transform = Transform('map', 'eye', pose(z=0.1 * step))
            bag.write_transforms(NOW + step * 100 * MS, [transform], static=False)
        bag.write_points('/p', NOW - 50 * MS, 'laser', points)

    made = source(write, TruthStreams(points='/p'), tolerance_ms=60.0)
    truth = made.truth_at(NOW, CAMERA, 'eye')
    # In the eye at the time of the scan: (0.2, 0.2, 2.05); 0.05 m nearer when the image is taken.
    # u = 10 * 0.2 / 2.0 + 3 = 4, v = 20 * 0.2 / 2.0 + 2 = 4.
    assert np.argwhere(np.isfinite(truth.depth)).tolist() == [[4, 4]]
    assert truth.depth[4, 4] == pytest.approx(2.0, abs=1e-6)
    assert truth.sparse


def test_disparity_gives_depth_with_its_offset_and_disparity_without(source):
    disparity = np.full((6, 8), np.nan, np.float32)
    disparity[2, 5] = 4.0

    def write(bag):
        bag.write_disparity(NOW, 'eye', disparity, RIG, topic='/disp')

    truth = source(write, TruthStreams(disparity='/disp')).truth_at(NOW, CAMERA, 'eye', RIG)
    assert truth.disparity[2, 5] == 4.0
    assert truth.depth[2, 5] == pytest.approx(10.0 * 0.3 / (4.0 + 2.0))
    assert np.isfinite(truth.depth).sum() == np.isfinite(truth.disparity).sum() == 1


def test_disparity_beside_depth_serves_disparity_alone(source):
    depth = depth_image()

    def write(bag):
        bag.write_image('/d', NOW, 'eye', depth, '32FC1')
        bag.write_disparity(NOW, 'eye', np.full((6, 8), 7.0, np.float32), RIG, topic='/disp')
        bag.write_image('/seen', NOW, 'eye', np.eye(6, 8, dtype=np.uint8) * 255, 'mono8')

    streams = TruthStreams(depth='/d', disparity='/disp', visible='/seen')
    truth = source(write, streams).truth_at(NOW, CAMERA, 'eye', RIG)
    np.testing.assert_array_equal(truth.depth[1:], depth[1:])
    assert np.all(truth.disparity == 7.0)
    np.testing.assert_array_equal(truth.visible, np.eye(6, 8, dtype=bool))
    assert streams.kind == 'depth_image'


def test_only_the_newest_messages_are_kept():
    made = TruthSource(TruthStreams(depth='/d'), None, tolerance_ns=0)
    for number in range(1000):
        stamp = SimpleNamespace(sec=number, nanosec=0)
        made.offer('/d', SimpleNamespace(header=SimpleNamespace(stamp=stamp)))
    assert made.truth_at(900 * 10**9, CAMERA, 'eye') is None
    assert len(made._kept['/d']) == 64


def test_points_belong_to_the_nearest_pixel_centre():
    at = [(2.4, 1.4), (2.6, 1.6), (-0.4, 0.0), (-0.6, 0.0), (7.4, 5.4), (7.6, 5.0), (0.0, 5.6)]
    z = 2.0
    points = np.array([[(u - 3.0) * z / 10.0, (v - 2.0) * z / 20.0, z] for u, v in at])
    found = np.argwhere(np.isfinite(project(points, CAMERA))).tolist()
    assert found == [[0, 0], [1, 2], [2, 3], [5, 7]]


def test_the_nearest_point_wins_and_what_is_behind_is_not_seen():
    points = np.array([[0, 0, 5.0], [0, 0, 2.5], [0, 0, 4.0], [0.0, 0.0, -1.0], [0, 0, 0.05]])
    depth = project(points, CAMERA)
    assert depth[2, 3] == 2.5
    assert np.isfinite(depth).sum() == 1


@given(st.integers(0, 2**32 - 1))
def test_projection_agrees_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform([-3, -2, -1], [3, 2, 6], (60, 3))
    expected = np.full((6, 8), np.inf)
    for x, y, z in points:
        if z >= 0.1:
            u, v = round(10.0 * x / z + 3.0), round(20.0 * y / z + 2.0)
            if 0 <= u < 8 and 0 <= v < 6:
                expected[v, u] = min(expected[v, u], z)
    expected[np.isinf(expected)] = np.nan
    np.testing.assert_allclose(project(points, CAMERA), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ('far_m', 'off', 'kept'),
    [(9.0, (0, 4), False), (9.0, (0, 5), True), (9.0, (4, -4), False), (9.0, (5, 0), True),
     (2.31, (1, 0), True), (2.33, (1, 0), False)],
)  # fmt: skip
def test_what_shows_through_a_nearer_surface_is_left_out(far_m, off, kept):
    depth = np.full((20, 20), np.nan, np.float32)
    depth[10, 10] = 2.0
    depth[10 + off[0], 10 + off[1]] = far_m  # hidden if 0.95 Z - 0.2 > 2, that is above 2.316
    cleaned = without_occluded(depth)
    assert cleaned[10, 10] == 2.0
    assert np.isfinite(cleaned[10 + off[0], 10 + off[1]]) == kept
    np.testing.assert_array_equal(without_occluded(depth, radius_px=0), depth)


def test_a_slanted_floor_is_not_taken_for_occluded():
    rows = np.arange(2, 60)
    depth = np.full((60, 30), np.nan, np.float32)
    depth[2:] = (40.0 / rows)[:, None]  # 1 m below the camera, from 20 m to 0.7 m
    sparse = np.full_like(depth, np.nan)
    sparse[20::5] = depth[20::5]
    np.testing.assert_array_equal(without_occluded(sparse, radius_px=4), sparse)


def test_kitti_scan_falls_where_the_devkit_puts_it(shared_dir, tmp_path):
    from depth_perception.cli.main import main

    folder = shared_dir / 'data' / 'kitti_object'
    assert main(['convert', 'kitti-object', str(folder), '--out', str(tmp_path / 'bag')]) == 0
    streams = TruthStreams(points='/ground_truth/points')
    with Recording(tmp_path / 'bag') as recording:
        info = recording.first('/camera_info')
        stamp_ns = next(iter(recording.messages(['/image']))).stamp_ns
        made = TruthSource(
            streams, tree_from_recording(recording), tolerance_ns=0, check_occlusion=False
        )
        made.offer('/ground_truth/points', recording.first('/ground_truth/points'))
    p2 = np.array(info.p).reshape(3, 4)
    camera = PinholeCamera(info.width, info.height, p2[0, 0], p2[1, 1], p2[0, 2], p2[1, 2])
    truth = made.truth_at(stamp_ns, camera, info.header.frame_id)

    name = sorted(path.stem for path in (folder / 'velodyne').glob('*.bin'))[0]
    lines = (folder / 'calib' / f'{name}.txt').read_text().splitlines()
    table = {k: np.array(v.split(), float) for k, _, v in (ln.partition(':') for ln in lines) if v}
    scan = np.fromfile(folder / 'velodyne' / f'{name}.bin', '<f4').reshape(-1, 4)[:, :3]
    rect, velo = np.eye(4), np.eye(4)
    rect[:3, :3] = table['R0_rect'].reshape(3, 3)
    velo[:3] = table['Tr_velo_to_cam'].reshape(3, 4)
    homogeneous = np.hstack([scan, np.ones((len(scan), 1))]).astype(float)
    u, v, w = table['P2'].reshape(3, 4) @ rect @ velo @ homogeneous.T
    ahead = w > 0.1
    columns, rows = np.rint(u[ahead] / w[ahead]), np.rint(v[ahead] / w[ahead])
    inside = (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    expected = np.full((camera.height, camera.width), np.inf)
    np.minimum.at(
        expected, (rows[inside].astype(int), columns[inside].astype(int)), w[ahead][inside]
    )
    both = np.isfinite(expected) & np.isfinite(truth.depth)
    assert both.sum() > 0.99 * np.isfinite(expected).sum() > 10_000
    # P2[2, 3] is 3 mm: the devkit's w is that much more than Z.
    off = truth.depth[both] - expected[both]
    assert np.median(np.abs(off)) < 5e-3
