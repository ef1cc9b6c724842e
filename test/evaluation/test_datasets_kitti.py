"""KITTI: projections, disparity and depth of 16 bits, the way from the laser to the image."""

from depth_perception.messages.images import picture_from_image
import numpy as np
import pytest

P2 = '700.5 0 3.25 44.5 0 700.5 1.75 0.25 0 0 1 0.003'
P3 = '700.5 0 3.25 -330.5 0 700.5 1.75 2.25 0 0 1 0.003'
BASELINE_M = (44.5 + 330.5) / 700.5
R0 = '0.8 -0.6 0 0.6 0.8 0 0 0 1'
VELO = '0 -1 0 0.25 0 0 -1 -0.5 1 0 0 -0.125'


def put_stereo(data, truth='disp_occ_0'):
    data.put('image_2/000007_10.png', data.picture(4, 8, 1))
    data.put('image_2/000007_11.png', data.picture(4, 8, 3))
    data.put('image_3/000007_10.png', data.picture(4, 8, 2))
    raw = np.zeros((4, 8), np.uint16)
    raw[2, 6], raw[3, 1] = 9821, 517
    data.put(f'{truth}/000007_10.png', raw)
    noc = raw.copy()
    noc[3, 1] = 0
    data.put(f'{truth.replace("occ", "noc")}/000007_10.png', noc)


@pytest.mark.parametrize(
    ('calib', 'keys', 'truth'),
    [
        ('calib_cam_to_cam', ('P_rect_02', 'P_rect_03'), 'disp_occ_0'),
        ('calib', ('P2', 'P3'), 'disp_occ'),
    ],
)
def test_stereo(data, calib, keys, truth):
    put_stereo(data, truth)
    text = f'calib_time: 09-Jan-2012 13:57:47\nP0: 1\n{keys[0]}: {P2}\n{keys[1]}: {P3}\n'
    data.put(f'{calib}/000007.txt', text)
    bag = data.converted('kitti-stereo')
    assert (bag.summary.written, bag.summary.skipped) == (1, {})
    p = bag.topics['/right/camera_info'][0].content.p.reshape(3, 4)
    assert p[0].tolist() == pytest.approx([700.5, 0.0, 3.25, -700.5 * BASELINE_M], abs=1e-9)
    values = data.floats(bag.topics['/ground_truth/disparity'][0].content.image)
    assert values[2, 6] == pytest.approx(9821 / 256, abs=1e-6)
    assert values[3, 1] == pytest.approx(517 / 256, abs=1e-6)
    assert (values < 0).sum() == 30
    depth = data.floats(bag.topics['/ground_truth/depth/image_rect'][0].content)
    assert depth[3, 1] == pytest.approx(700.5 * BASELINE_M * 256 / 517, rel=1e-6)
    mask = picture_from_image(bag.topics['/ground_truth/visible_in_both'][0].content).pixels
    assert np.argwhere(mask).tolist() == [[2, 6]]


def test_stereo_without_calibration_says_where_it_looked(data):
    put_stereo(data)
    with pytest.raises(Exception, match=r'calib/000007\.txt and calib_cam_to_cam/000007\.txt'):
        data.converted('kitti-stereo')


def put_object(data):
    data.put('image_2/000003.png', data.picture(4, 8, 1))
    text = f'P2: {P2}\nP3: {P3}\nR0_rect: {R0}\nTr_velo_to_cam: {VELO}\n\n'
    data.put('calib/000003.txt', text)
    points = np.array([[10.5, 1.25, -0.75, 0.5], [20.0, -3.0, 1.0, 0.25]], '<f4')
    data.put('velodyne/000003.bin', points.tobytes())
    return points


def test_object_points_project_as_in_the_devkit(data):
    """P_info camera_from_lidar x = P2 R0_rect Tr_velo_to_cam x, and P_info[3] = 0."""
    points = put_object(data)
    bag = data.converted('kitti-object')
    cloud = bag.topics['/ground_truth/points'][0].content
    read = np.frombuffer(cloud.data.tobytes(), '<f4').reshape(-1, 4)
    assert np.array_equal(read, points)
    assert [f.name for f in cloud.fields] == ['x', 'y', 'z', 'intensity']
    transform = bag.topics['/tf_static'][0].content.transforms[0]
    assert transform.header.frame_id == 'camera_optical'
    assert transform.child_frame_id == cloud.header.frame_id == 'lidar'
    homogeneous = np.c_[points[:, :3], np.ones(2)].astype(float)
    p = bag.topics['/camera_info'][0].content.p.reshape(3, 4)
    assert p[0, 3] == 0.0
    ours = homogeneous @ (p @ data.matrix_of(transform)).T
    r0, velo = np.eye(4), np.eye(4)
    r0[:3, :3] = np.array(R0.split(), float).reshape(3, 3)
    velo[:3] = np.array(VELO.split(), float).reshape(3, 4)
    theirs = homogeneous @ (np.array(P2.split(), float).reshape(3, 4) @ r0 @ velo).T
    assert np.allclose(ours, theirs, atol=1e-6)


def test_another_calibration_has_another_lidar_frame(data):
    put_object(data)
    data.put('image_2/000004.png', data.picture(4, 8))
    data.put('calib/000004.txt', f'P2: {P2}\nR0_rect: {R0}\nTr_velo_to_cam: {VELO[:-1]}6\n')
    data.put('velodyne/000004.bin', np.ones(4, '<f4').tobytes())
    bag = data.converted('kitti-object')
    frames = [m.content.header.frame_id for m in bag.topics['/ground_truth/points']]
    assert frames == ['lidar', 'lidar_2']
    last = bag.topics['/tf_static'][-1].content.transforms
    assert [t.child_frame_id for t in last] == ['lidar', 'lidar_2']


def put_raw(data, drive='2011_09_26/2011_09_26_drive_0009_sync'):
    r_eye = '1 0 0 0 1 0 0 0 1'
    data.put(f'{drive}/../calib_cam_to_cam.txt',
             f'R_rect_00: {R0}\nP_rect_02: {P2}\nP_rect_03: {P3}\n')  # fmt: skip
    data.put(f'{drive}/../calib_velo_to_cam.txt', f'R: {r_eye}\nT: 0.5 0.25 -0.125\n')
    for i in range(2):
        for camera in ('image_02', 'image_03'):
            data.put(f'{drive}/{camera}/data/000000000{i}.png', data.picture(4, 8, i))
        data.put(f'{drive}/velodyne_points/data/000000000{i}.bin', np.ones(8, '<f4').tobytes())
    data.put(f'{drive}/image_02/timestamps.txt',
             '2011-09-26 13:02:25.964389445\n2011-09-26 13:02:26.064389\n')  # fmt: skip
    raw = np.zeros((4, 8), np.uint16)
    raw[1, 5] = 5003
    data.put(f'{drive}/proj_depth/groundtruth/image_02/0000000001.png', raw)


def test_raw_drive(data):
    (data.source / '2011_09_26/2011_09_26_drive_0009_sync').mkdir(parents=True)
    put_raw(data)
    bag = data.converted('kitti-raw')
    stamps = [m.stamp_ns for m in bag.topics['/left/image_rect']]
    assert stamps == [1_317_042_145_964_389_445, 1_317_042_146_064_389_000]
    depths = bag.topics['/ground_truth/depth/image_rect']
    assert [m.stamp_ns for m in depths] == stamps[1:]
    assert data.floats(depths[0].content)[1, 5] == pytest.approx(5003 / 256, abs=1e-6)
    pose = {
        t.child_frame_id: data.matrix_of(t) for t in bag.topics['/tf_static'][0].content.transforms
    }
    k_inverse_p = np.linalg.solve(
        [[700.5, 0, 3.25], [0, 700.5, 1.75], [0, 0, 1]], [44.5, 0.25, 0.003]
    )
    rotated = np.array([0.8 * 0.5 - 0.6 * 0.25, 0.6 * 0.5 + 0.8 * 0.25, -0.125])
    assert np.allclose(pose['lidar'][:3, 3], rotated + k_inverse_p, atol=1e-9)


def test_depth_takes_only_frames_with_a_map(data):
    (data.source / '2011_09_26/2011_09_26_drive_0009_sync').mkdir(parents=True)
    put_raw(data)
    bag = data.converted('kitti-depth')
    assert bag.summary.written == bag.summary.with_truth == 1


def test_depth_selection(data):
    name = '2011_09_26_drive_0002_sync_{}_0000000005_image_02.png'
    image = name.format('image')
    data.put(f'image/{image}', data.picture(4, 8))
    data.put(f'intrinsics/{image[:-4]}.txt', '721.5 0 3.5 0 722.5 1.5 0 0 1 \n')
    raw = np.full((4, 8), 641, np.uint16)
    data.put(f'groundtruth_depth/{name.format("groundtruth_depth")}', raw)
    bag = data.converted('kitti-depth')
    p = bag.topics['/camera_info'][0].content.p.reshape(3, 4)
    assert (p[0, 0], p[1, 1], p[0, 2], p[1, 2]) == (721.5, 722.5, 3.5, 1.5)
    depth = data.floats(bag.topics['/ground_truth/depth/image_rect'][0].content)
    assert depth[3, 7] == pytest.approx(641 / 256, abs=1e-6)


def test_real_pair_warps(data, shared_dir):
    """The calibration is that of an object frame of the same rig, see the data's readme."""
    calib = shared_dir / 'data' / 'kitti_object' / 'calib' / '000001.txt'
    bag = data.converted('kitti-stereo', shared_dir / 'data' / 'kitti_2015', calib=calib)
    left, right = (
        picture_from_image(bag.topics[f'/{side}/image_rect'][0].content).pixels
        for side in ('left', 'right')
    )
    p = bag.topics['/right/camera_info'][0].content.p.reshape(3, 4)
    assert -p[0, 3] / p[0, 0] == pytest.approx(0.5327, abs=1e-4)
    values = data.floats(bag.topics['/ground_truth/disparity'][0].content.image)
    here, *others = data.warp_errors(
        left, right, np.where(values > 0, values, np.nan), (0, -3, 3, 15)
    )
    assert here < 0.75 * min(others)


def test_real_laser_points_land_in_the_image(data, shared_dir):
    bag = data.converted('kitti-object', shared_dir / 'data' / 'kitti_object')
    latest = bag.topics['/tf_static'][-1].content.transforms
    camera_from = {t.child_frame_id: data.matrix_of(t) for t in latest}
    for i, message in enumerate(bag.topics['/ground_truth/points']):
        cloud = message.content
        points = np.frombuffer(cloud.data.tobytes(), '<f4').reshape(-1, 4).astype(float)
        points[:, 3] = 1.0
        seen = points @ camera_from[cloud.header.frame_id].T
        info = bag.topics['/camera_info'][i].content
        ahead = seen[seen[:, 2] > 1.0]
        pixels = ahead @ info.p.reshape(3, 4).T
        u, v = pixels[:, 0] / pixels[:, 2], pixels[:, 1] / pixels[:, 2]
        inside = (u > 0) & (u < info.width) & (v > 0) & (v < info.height)
        assert inside.sum() > 10_000
        assert 4.0 < np.median(ahead[inside, 2]) < 30.0
        assert ahead[inside, 2].max() < 90.0
        ground = ahead[inside & (v > 0.9 * info.height)]
        assert np.median(ground[:, 1]) == pytest.approx(1.65, abs=0.25)
