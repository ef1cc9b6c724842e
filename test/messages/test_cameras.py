from array import array
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import CalibrationError, SettingsError
from depth_perception.messages.cameras import (
    camera_from_info,
    info_key,
    lens_from_info,
    rectification_needed,
    rectifying_rotation,
    rig_from_infos,
)
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


def info(*, tx=0.0, cx=310.0, d=(), roi=(0, 0, 0, 0), binning=(0, 0)):
    """Return the camera_info of a 640x480 camera; roi is x, y, width, height."""
    msg = CameraInfo(width=640, height=480, distortion_model='plumb_bob')
    msg.d = array('d', d)
    msg.k = [501.0, 0.0, 311.0, 0.0, 502.0, 242.0, 0.0, 0.0, 1.0]
    msg.r = np.eye(3).ravel()
    msg.p = [400.0, 0.0, cx, tx, 0.0, 402.0, 236.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    msg.roi = RegionOfInterest(x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3])
    msg.binning_x, msg.binning_y = binning
    return msg


def test_camera_is_that_of_the_projection_matrix():
    assert camera_from_info(info()) == PinholeCamera(640, 480, 400.0, 402.0, 310.0, 236.0)


@pytest.mark.parametrize('do_rectify', [False, True])
def test_roi_moves_the_principal_point(do_rectify):
    msg = info(roi=(100, 50, 320, 200))
    msg.roi.do_rectify = do_rectify
    assert camera_from_info(msg) == PinholeCamera(320, 200, 400.0, 402.0, 210.0, 186.0)


def test_binning_comes_after_the_roi_and_at_pixel_centres():
    camera = camera_from_info(info(roi=(100, 50, 321, 200), binning=(2, 4)))
    assert (camera.width, camera.height, camera.fx, camera.fy) == (160, 50, 200.0, 100.5)
    assert camera.cx == (210.0 + 0.5) / 2.0 - 0.5
    assert camera.cy == (186.0 + 0.5) / 4.0 - 0.5


def test_binning_of_one_axis():
    camera = camera_from_info(info(binning=(1, 2)))
    assert (camera.width, camera.height, camera.fx, camera.cy) == (640, 240, 400.0, 117.75)


@pytest.mark.parametrize(
    'roi', [(400, 0, 241, 480), (0, 470, 640, 11), (700, 0, 10, 10), (5, 5, 0, 0), (0, 0, 640, 0)]
)
def test_roi_outside_the_sensor_is_refused(roi):
    with pytest.raises(CalibrationError, match='right camera_info: roi is'):
        camera_from_info(info(roi=roi), 'right')


@pytest.mark.parametrize(
    ('index', 'value', 'seen'),
    [
        (0, math.nan, 'not finite'),
        (2, math.inf, 'not finite'),
        (0, 0.0, 'positive'),
        (5, -1.0, '-1'),
    ],
)
def test_unusable_intrinsics_are_refused(index, value, seen):
    msg = info()
    msg.p[index] = value
    with pytest.raises(CalibrationError, match=seen):
        camera_from_info(msg)


def test_uncalibrated_camera_is_refused():
    with pytest.raises(CalibrationError, match=r'left camera_info has P all zeros.*calibrate'):
        camera_from_info(CameraInfo(width=640, height=480), 'left')
    msg = info()
    msg.width = 0
    with pytest.raises(CalibrationError, match='0x480'):
        camera_from_info(msg)


def test_absurd_binning_is_refused():
    with pytest.raises(CalibrationError, match='0x0'):
        camera_from_info(info(binning=(2**32 - 1, 2**31)))


def test_rig_has_baseline_and_doffs():
    rig = rig_from_infos(info(), info(tx=-48.0, cx=322.5))
    assert rig.baseline_m == pytest.approx(0.12)
    assert rig.doffs_px == 12.5


def test_binned_rig_keeps_its_baseline():
    rig = rig_from_infos(info(binning=(2, 2)), info(tx=-48.0, cx=322.5, binning=(2, 2)))
    assert rig.baseline_m == pytest.approx(0.12)
    assert rig.doffs_px == 6.25


def test_rig_whose_projections_refer_to_a_third_camera():
    assert rig_from_infos(info(tx=24.0), info(tx=-200.0)).baseline_m == pytest.approx(0.56)


@pytest.mark.parametrize(
    ('left_tx', 'right_tx', 'seen'),
    [
        (0.0, 48.0, 'swapped'),
        (-48.0, 0.0, 'P\\[3\\] is -48 on the left and 0 on the right.*swapped'),
        (0.0, 0.0, 'no baseline'),
        (-48.0, -48.0, 'no baseline'),
        (0.0, math.nan, 'right camera_info.*not finite'),
    ],
)
def test_unusable_pair_is_refused(left_tx, right_tx, seen):
    with pytest.raises(CalibrationError, match=seen):
        rig_from_infos(info(tx=left_tx), info(tx=right_tx))


def test_vertical_pair_and_different_sizes_are_refused():
    above = info()
    above.p[7] = -48.0
    with pytest.raises(CalibrationError, match='above the other'):
        rig_from_infos(info(), above)
    with pytest.raises(CalibrationError, match='640x480 but right is 320x240'):
        rig_from_infos(info(), info(tx=-48.0, binning=(2, 2)))


def test_key_changes_with_every_part_of_the_calibration():
    def changed(field, value):
        msg = info(d=[0.1, 0.0, 0.0, 0.0, 0.0])
        target = getattr(msg, field)
        if isinstance(value, tuple):
            target[value[0]] = value[1]
        else:
            setattr(msg, field, value)
        return msg

    same = changed('header', Header(frame_id='other'))
    changes = [
        *[changed(field, (1, 0.5)) for field in 'dkrp'],
        *[changed(field, 7) for field in ('width', 'height', 'binning_x', 'binning_y')],
        changed('roi', RegionOfInterest(x_offset=1)),
        changed('roi', RegionOfInterest(do_rectify=True)),
        changed('distortion_model', 'equidistant'),
    ]
    keys = {info_key(msg) for msg in [same, *changes]}
    assert len(keys) == len(changes) + 1
    assert info_key(same) == info_key(info(d=[0.1, 0.0, 0.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ('d', 'topic', 'setting', 'needed'),
    [
        ((), '/cam/image_raw', 'auto', False),
        ((0.0,) * 5, '/cam/image_raw', 'auto', False),
        ((0.1, 0.0, 0.0, 0.0, 0.0), '/cam/image_raw', 'auto', True),
        ((0.1, 0.0, 0.0, 0.0, 0.0), '/rectified/image_raw/compressed', 'auto', True),
        ((0.1, 0.0, 0.0, 0.0, 0.0), '/cam/image_rect', 'yes', False),
        ((0.0,) * 5, '/cam/image_rect', 'no', True),
    ],
)
def test_who_rectifies(d, topic, setting, needed):
    assert rectification_needed(info(d=d), topic, setting) == needed


@pytest.mark.parametrize(
    'topic', ['/cam/image_rect', '/l/image_rect_color/compressed', 'image_rect']
)
def test_distortion_on_a_rectified_topic_is_refused(topic):
    with pytest.raises(CalibrationError, match=f'{topic} .*input_rectified:=yes'):
        rectification_needed(info(d=(0.1, 0.0, 0.0, 0.0, 0.0)), topic, 'auto')


def test_unknown_setting_is_refused():
    with pytest.raises(SettingsError, match='maybe'):
        rectification_needed(info(), 'image', 'maybe')


def test_lens_is_that_of_the_raw_image_within_the_roi():
    lens = lens_from_info(info(d=(0.1, 0.2, 0.0, 0.0, 0.3), roi=(100, 50, 320, 200)))
    assert lens.camera == PinholeCamera(320, 200, 501.0, 502.0, 211.0, 192.0)
    assert (lens.distortion, lens.model) == ((0.1, 0.2, 0.0, 0.0, 0.3), 'plumb_bob')


def test_unusable_lens_is_refused():
    msg = info()
    msg.k = np.zeros(9)
    with pytest.raises(CalibrationError, match='K all zeros'):
        lens_from_info(msg)
    msg.k[:] = np.nan
    with pytest.raises(CalibrationError, match='not finite'):
        lens_from_info(msg)


@pytest.mark.parametrize('value', [math.nan, 1e200, 0.9, -1.0])
def test_what_is_not_a_rotation_is_refused(value):
    msg = info()
    msg.r[4] = value
    with pytest.raises(CalibrationError, match='not a rotation'):
        rectifying_rotation(msg)


def test_missing_rotation_is_the_identity():
    msg = info()
    msg.r = np.zeros(9)
    np.testing.assert_array_equal(rectifying_rotation(msg), np.eye(3))
