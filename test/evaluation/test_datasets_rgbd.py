"""TUM, NYU, 7-Scenes and ScanNet: depth units, intrinsics, poses and their stamps."""

from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.playback import find_streams
from depth_perception.messages.images import picture_from_image
import numpy as np
import pytest

SIZE = 480, 640
POSE = np.array(
    [[0.0, -1.0, 0.0, 0.25], [0.6, 0.0, -0.8, -1.5], [0.8, 0.0, 0.6, 3.0], [0.0, 0.0, 0.0, 1.0]]
)


def depth_units(value, shape=SIZE):
    raw = np.zeros(shape, np.uint16)
    raw[1, 2], raw[0, 1] = value, 65535
    return raw


def text(matrix):
    return '\n'.join(' '.join(repr(float(value)) for value in row) for row in matrix)


def put_tum(data):
    for stamp in ('1305031102.175304', '1305031102.211214'):
        data.put(f'rgb/{stamp}.png', data.picture(*SIZE))
    data.put('depth/1305031102.160407.png', depth_units(7003))
    data.put('depth/1305031102.240000.png', depth_units(8001))
    data.put('depth.txt', '# stamp file\n1305031102.160407 depth/1305031102.160407.png\n'
             '1305031102.240000 depth/1305031102.240000.png\n')  # fmt: skip
    # at a quarter between two poses, the second one with the opposite sign of its quaternion
    s = np.sqrt(0.5)
    data.put('groundtruth.txt', '# stamp tx ty tz qx qy qz qw\n'
             '1305031102.170304 1.0 2.0 3.0 0 0 0 1\n'
             f'1305031102.190304 3.0 2.0 -1.0 0 0 {-s} {-s}\n')  # fmt: skip


def test_tum_pairs_by_stamp_and_has_5000_units_a_metre(data):
    put_tum(data)
    bag = data.converted('tum-rgbd')
    images, depths = bag.topics['/image'], bag.topics['/ground_truth/depth/image_rect']
    assert [m.stamp_ns for m in images] == [1_305_031_102_175_304_000, 1_305_031_102_211_214_000]
    assert [m.stamp_ns for m in depths] == [images[0].stamp_ns]
    depth = data.floats(depths[0].content)
    assert depth[1, 2] == pytest.approx(7003 / 5000, abs=1e-6)
    assert depth[0, 1] == pytest.approx(65535 / 5000, abs=1e-5)
    assert np.isnan(depth[0, 0])
    p = bag.topics['/camera_info'][0].content.p.reshape(3, 4)
    assert (p[0, 0], p[1, 1], p[0, 2], p[1, 2], p[0, 3]) == (525.0, 525.0, 319.5, 239.5, 0.0)
    assert '1 colour images have no depth within 20 ms' in bag.options.remarks


def test_tum_pose_is_that_of_the_image_stamp(data):
    put_tum(data)
    bag = data.converted('tum-rgbd')
    (message,) = bag.topics['/tf']
    transform = message.content.transforms[0]
    assert transform.header.stamp.nanosec == 175_304_000
    assert (transform.header.frame_id, transform.child_frame_id) == ('map', 'camera_optical')
    pose = data.matrix_of(transform)
    assert pose[:3, 3].tolist() == pytest.approx([1.5, 2.0, 2.0], abs=1e-9)
    angle = 2 * np.arctan2(0.25 * np.sqrt(0.5), 0.75 + 0.25 * np.sqrt(0.5))
    c, s = np.cos(angle), np.sin(angle)
    assert np.allclose(pose[:3, :3], [[c, -s, 0], [s, c, 0], [0, 0, 1]], atol=1e-9)


def test_streams_are_found_as_in_any_recording(data):
    put_tum(data)
    with Recording(data.converted('tum-rgbd').path) as recording:
        streams = find_streams(recording)
    assert (streams.left, streams.left_info, streams.right) == ('/image', '/camera_info', '')
    assert streams.truth == '/ground_truth/depth/image_rect'


def test_rate_replaces_the_stamps(data):
    put_tum(data)
    bag = data.converted('tum-rgbd', rate_hz=4.0)
    stamps = [m.stamp_ns for m in bag.topics['/image']]
    assert stamps[1] - stamps[0] == 250_000_000


def test_real_flat_tum(data, shared_dir):
    """Between the second and third frame the camera moved by most of a metre."""
    bag = data.converted('tum-rgbd', shared_dir / 'data' / 'tum_rgbd')
    assert bag.summary.written == 5
    p = bag.topics['/camera_info'][0].content.p.reshape(3, 4)
    assert (p[0, 0], p[1, 1], p[0, 2], p[1, 2]) == (518.0, 519.0, 325.5, 253.5)
    assert_views_agree(data, bag, 1, 2, 0.06)


def test_real_kinect_sequence(data, shared_dir):
    bag = data.converted('seven-scenes', shared_dir / 'data' / 'kinect_sequence', limit=40)
    p = bag.topics['/camera_info'][0].content.p.reshape(3, 4)
    assert (p[0, 0], p[1, 1], p[0, 2], p[1, 2]) == (585.0, 585.0, 320.0, 240.0)
    assert len(bag.topics['/tf']) == 40
    assert_views_agree(data, bag, 0, 39, 0.05)


def assert_views_agree(data, bag, first, second, limit_m):
    """Depth of one view, moved by the two poses, is the depth of the other view."""
    depths = [data.floats(bag.topics['/ground_truth/depth/image_rect'][i].content)
              for i in (first, second)]  # fmt: skip
    a, b = (data.matrix_of(bag.topics['/tf'][i].content.transforms[0]) for i in (first, second))
    k = bag.topics['/camera_info'][0].content.p.reshape(3, 4)[:, :3]
    right_way = depth_difference(depths, k, np.linalg.inv(b) @ a)
    inverted = depth_difference(depths, k, b @ np.linalg.inv(a))
    still = depth_difference(depths, k, np.eye(4))
    assert right_way < limit_m
    assert right_way < 0.6 * min(inverted, still)


def depth_difference(depths, k, b_from_a):
    rows, columns = np.mgrid[0:480:3, 0:640:3].reshape(2, -1)
    z = depths[0][rows, columns].astype(float)
    rays = np.linalg.solve(k, np.stack([columns, rows, np.ones(rows.size)]).astype(float))
    moved = b_from_a[:3, :3] @ (rays * z) + b_from_a[:3, 3:]
    moved = moved[:, moved[2] > 0.1]
    u, v = np.rint((k @ moved)[:2] / moved[2]).astype(int)
    inside = (u >= 0) & (u < 640) & (v >= 0) & (v < 480)
    return np.nanmedian(np.abs(depths[1][v[inside], u[inside]] - moved[2, inside]))


def test_seven_scenes(data):
    for i in range(3):
        stem = f'seq-01/frame-00000{i}'
        data.put(f'{stem}.color.png', data.picture(*SIZE))
        data.put(f'{stem}.depth.png', depth_units(1234))
    data.put('seq-01/frame-000000.pose.txt', text(POSE))
    data.put('seq-01/frame-000001.pose.txt', text(np.full((4, 4), -np.inf)))
    data.put('seq-01/frame-000002.pose.txt', text(POSE * 1.01))
    bag = data.converted('seven-scenes')
    depth = data.floats(bag.topics['/ground_truth/depth/image_rect'][0].content)
    assert depth[1, 2] == pytest.approx(1.234, abs=1e-6)
    assert np.isfinite(depth).sum() == 1
    (message,) = bag.topics['/tf']
    assert np.allclose(data.matrix_of(message.content.transforms[0]), POSE, atol=1e-9)
    assert bag.summary.written == 3
    assert 'frames whose pose was lost have no /tf' in bag.options.remarks


def test_scannet_depth_has_a_camera_of_its_own(data):
    data.put('scene0000_00/color/0.png', data.picture(6, 8))
    data.put('scene0000_00/depth/0.png', depth_units(2501, (3, 4)))
    data.put('scene0000_00/pose/0.txt', text(POSE))
    for name, focal in (('color', 1170.5), ('depth', 577.25)):
        k = np.diag([focal, focal + 1, 1.0, 1.0])
        k[:2, 2] = 3.5, 2.25
        data.put(f'scene0000_00/intrinsic/intrinsic_{name}.txt', text(k))
    bag = data.converted('scannet')
    colour = bag.topics['/camera_info'][0].content.p.reshape(3, 4)
    assert (colour[0, 0], colour[1, 1]) == (1170.5, 1171.5)
    info = bag.topics['/ground_truth/depth/camera_info'][0].content
    assert (info.width, info.height, info.p[0], info.p[2]) == (4, 3, 577.25, 3.5)
    depth = bag.topics['/ground_truth/depth/image_rect'][0].content
    assert data.floats(depth)[1, 2] == pytest.approx(2.501, abs=1e-6)
    assert depth.header.frame_id == info.header.frame_id == 'camera_depth_optical'
    static = bag.topics['/tf_static'][0].content.transforms[0]
    assert (static.header.frame_id, static.child_frame_id) == (
        'camera_optical', 'camera_depth_optical'
    )  # fmt: skip


@pytest.mark.parametrize(
    ('colour', 'depth'),
    [
        ('kitchen/rgb_00012.png', 'kitchen/sync_depth_00012.png'),
        ('12_colors.png', '12_depth.png'),
        ('rgb/12.png', 'depth/12.png'),
    ],
)
def test_nyu(data, colour, depth):
    pixels = data.picture(*SIZE)
    data.put(colour, pixels)
    data.put(depth, depth_units(3457))
    bag = data.converted('nyu')
    assert bag.summary.written == 1
    assert np.array_equal(picture_from_image(bag.topics['/image'][0].content).pixels, pixels)
    values = data.floats(bag.topics['/ground_truth/depth/image_rect'][0].content)
    assert values[1, 2] == pytest.approx(3.457, abs=1e-6)
    p = bag.topics['/camera_info'][0].content.p.reshape(3, 4)
    assert p[:2, 2].tolist() == pytest.approx([325.58244941119034, 253.73616633400465])
    assert (p[0, 0], p[1, 1]) == pytest.approx((518.85790117450188, 519.46961112127485))


def test_other_sizes_need_intrinsics(data):
    data.put('rgb/12.png', data.picture(4, 6))
    data.put('depth/12.png', depth_units(3457, (4, 6)))
    with pytest.raises(Exception, match='published intrinsics are for 640x480'):
        data.converted('nyu')
    bag = data.converted('nyu', intrinsics=(500.5, np.nan, 2.25, np.nan))
    p = bag.topics['/camera_info'][0].content.p.reshape(3, 4)
    assert (p[0, 0], p[1, 1], p[0, 2], p[1, 2]) == (500.5, 500.5, 2.25, 1.5)
