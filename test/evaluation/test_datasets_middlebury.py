"""Middlebury and ETH3D: codings, calibration, signs on real photographs."""

from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.playback import find_streams, read_given
from depth_perception.messages.images import picture_from_image
import numpy as np
import pytest

CALIB = """cam0=[ 100.5 0 2.25 ; 0 100.5 1.5 ; 0 0 1 ]
cam1=[ 100.5 0 5.5 ; 0 100.5 1.5 ; 0 0 1 ]
doffs= 3.25
baseline= 176.252
width= 5
height= 3
"""


def disparity_map():
    values = np.arange(15, dtype=np.float32).reshape(3, 5) + np.float32(0.75)
    values[1, 2] = np.inf
    return values


@pytest.fixture
def scene(data):
    data.put('Chair/calib.txt', CALIB)
    data.put('Chair/im0.png', data.picture(3, 5, 1))
    data.put('Chair/im1.png', data.picture(3, 5, 2))
    data.put('Chair/disp0GT.pfm', data.pfm(disparity_map()))
    mask = np.full((3, 5), 255, np.uint8)
    mask[0, 1], mask[2, 4] = 128, 0
    data.put('Chair/mask0nocc.png', mask)
    return data


def test_calibrated_scene(scene):
    bag = scene.converted('middlebury')
    topics = bag.topics
    left, right = topics['/left/image_rect'][0], topics['/right/image_rect'][0]
    assert np.array_equal(picture_from_image(left.content).pixels, scene.picture(3, 5, 1))
    assert np.array_equal(picture_from_image(right.content).pixels, scene.picture(3, 5, 2))
    p_left = topics['/left/camera_info'][0].content.p.reshape(3, 4)
    p_right = topics['/right/camera_info'][0].content.p.reshape(3, 4)
    assert p_left[0].tolist() == [100.5, 0.0, 2.25, 0.0]
    assert p_right[0].tolist() == pytest.approx([100.5, 0.0, 5.5, -100.5 * 0.176252], abs=1e-9)
    depth = scene.floats(topics['/ground_truth/depth/image_rect'][0].content)
    assert depth[2, 4] == pytest.approx(100.5 * 0.176252 / (14.75 + 3.25), abs=1e-6)
    assert depth[0, 0] == pytest.approx(100.5 * 0.176252 / (0.75 + 3.25), abs=1e-6)
    assert np.isnan(depth[1, 2])
    assert np.isfinite(depth).sum() == 14


def test_disparity_message_holds_the_offset(scene):
    message = scene.converted('middlebury').topics['/ground_truth/disparity'][0].content
    values = scene.floats(message.image)
    assert values[2, 4] == pytest.approx(18.0, abs=1e-6)
    assert values[1, 2] == -1.0
    assert message.min_disparity == pytest.approx(3.25)
    assert message.max_disparity == pytest.approx(18.0)
    assert (message.f, message.t) == pytest.approx((100.5, 0.176252))
    assert message.valid_window.width == 5


def test_one_stamp_a_frame_and_frames_of_the_two_cameras(scene):
    topics = scene.converted('middlebury').topics
    stamps = {m.stamp_ns for messages in topics.values() for m in messages if m.topic[1] != 't'}
    assert len(stamps) == 1
    assert min(stamps) > 0
    frames = {
        topic: m[0].content.header.frame_id for topic, m in topics.items() if 'tf' not in topic
    }
    assert {topic for topic, frame in frames.items() if frame == 'camera_right_optical'} == {
        '/right/image_rect', '/right/camera_info'
    }  # fmt: skip
    assert set(frames.values()) == {'camera_left_optical', 'camera_right_optical'}
    transform = topics['/tf_static'][0].content.transforms[0]
    assert transform.child_frame_id == 'camera_right_optical'
    assert scene.matrix_of(transform)[:3, 3].tolist() == pytest.approx([0.176252, 0.0, 0.0])


def test_streams_are_found_as_in_any_recording(scene):
    with Recording(scene.converted('middlebury').path) as recording:
        streams = find_streams(recording)
        given = read_given(recording, streams)
    assert (streams.left, streams.right) == ('/left/image_rect', '/right/image_rect')
    assert streams.truth == '/ground_truth/depth/image_rect'
    assert given.rig.doffs_px == pytest.approx(3.25)
    assert given.rig.baseline_m == pytest.approx(0.176252)


def test_mask_is_what_both_cameras_see(scene):
    message = scene.converted('middlebury').topics['/ground_truth/visible_in_both'][0]
    mask = picture_from_image(message.content).pixels
    assert np.argwhere(mask == 0).tolist() == [[0, 1], [2, 4]]
    assert (mask == 255).sum() == 13


def test_eth3d_finds_the_truth_unpacked_beside(data):
    data.put('two_view_training/hall/calib.txt', CALIB)
    for name in ('im0.png', 'im1.png'):
        data.put(f'two_view_training/hall/{name}', data.picture(3, 5))
    data.put('two_view_training_gt/hall/disp0GT.pfm', data.pfm(disparity_map()))
    bag = data.converted('eth3d', data.source / 'two_view_training')
    values = data.floats(bag.topics['/ground_truth/disparity'][0].content.image)
    assert values[0, 3] == pytest.approx(7.0, abs=1e-6)


@pytest.mark.parametrize(
    ('names', 'scene', 'width', 'scale'),
    [
        (('view1', 'view5', 'disp1'), 'Aloe', 427, 3),
        (('view1', 'view5', 'disp1'), 'Aloe', 641, 2),
        (('view1', 'view5', 'disp1'), 'Aloe', 1282, 1),
        (('im2', 'im6', 'disp2'), 'venus', 434, 8),
        (('im2', 'im6', 'disp2'), 'cones', 450, 4),
        (('im2', 'im6', 'disp2'), 'teddy', 900, 2),
    ],
)
def test_integer_disparities(data, names, scene, width, scale):
    raw = np.zeros((2, width), np.uint8)
    raw[1, 5] = 201
    for name, pixels in zip(
        names, (data.picture(2, width), data.picture(2, width), raw), strict=True
    ):
        data.put(f'{scene}/{name}.png', pixels)
    bag = data.converted('middlebury')
    message = bag.topics['/ground_truth/disparity'][0].content
    values = data.floats(message.image)
    assert values[1, 5] == pytest.approx(201 / scale, abs=1e-5)
    assert (values == -1.0).sum() == values.size - 1
    assert message.delta_d == pytest.approx(1 / scale)
    assert '/ground_truth/depth/image_rect' not in bag.topics
    assert any('disparity ground truth only' in text or 'is not metric' in text
               for text in bag.options.remarks)  # fmt: skip


def test_dmin_makes_2006_metric(data):
    raw = np.full((2, 427), 90, np.uint8)
    for name, pixels in (
        ('view1', data.picture(2, 427)),
        ('view5', data.picture(2, 427)),
        ('disp1', raw),
    ):
        data.put(f'Aloe/{name}.png', pixels)
    data.put('Aloe/dmin.txt', '270\n')
    bag = data.converted('middlebury')
    depth = data.floats(bag.topics['/ground_truth/depth/image_rect'][0].content)
    assert depth[1, 7] == pytest.approx(3740 / 3 * 0.160 / (30 + 90), abs=1e-6)
    p = bag.topics['/right/camera_info'][0].content.p.reshape(3, 4)
    assert p[0, 2] == pytest.approx(213 + 90)


def test_damaged_scene_is_skipped_with_the_reason(scene):
    scene.put('Empty/im0.png', scene.picture(3, 5))
    scene.put('Empty/calib.txt', CALIB)
    bag = scene.converted('middlebury')
    assert bag.summary.written == 1
    assert 'no im1.png' in bag.summary.skipped['Empty']


@pytest.mark.parametrize('scene', ['Adirondack', 'Pipes'])
def test_real_disparities_warp_right_onto_left(data, shared_dir, scene):
    bag = data.converted('middlebury', shared_dir / 'data' / 'middlebury_2014_q', scenes=[scene])
    left, right = (
        picture_from_image(bag.topics[f'/{side}/image_rect'][0].content).pixels
        for side in ('left', 'right')
    )
    p = [bag.topics[f'/{s}/camera_info'][0].content.p.reshape(3, 4) for s in ('left', 'right')]
    message = bag.topics['/ground_truth/disparity'][0].content
    adjusted = data.floats(message.image)
    disparity = np.where(adjusted > message.min_disparity, adjusted, np.nan) - (p[1] - p[0])[0, 2]
    seen = picture_from_image(bag.topics['/ground_truth/visible_in_both'][0].content).pixels > 0
    disparity[~seen] = np.nan
    here, *others = data.warp_errors(left, right, disparity, (0, -3, 3, 20))
    assert here < 0.75 * min(others)
    depth = data.floats(bag.topics['/ground_truth/depth/image_rect'][0].content)
    known = np.isfinite(depth)
    assert np.allclose(depth[known], message.f * message.t / adjusted[known], rtol=1e-5)


def test_real_scenes_of_2006_have_no_depth(data, shared_dir):
    bag = data.converted('middlebury', shared_dir / 'data' / 'middlebury_2006', scenes=['Aloe'])
    assert '/ground_truth/depth/image_rect' not in bag.topics
    assert [s for text, s in bag.options.remarks.items() if 'dmin' in text] == [['Aloe']]
    left, right = (
        picture_from_image(bag.topics[f'/{side}/image_rect'][0].content).pixels
        for side in ('left', 'right')
    )
    values = data.floats(bag.topics['/ground_truth/disparity'][0].content.image)
    disparity = np.where(values >= 0, values, np.nan)
    here, *others = data.warp_errors(left, right, disparity, (0, -3, 3))
    assert here < 0.8 * min(others)
