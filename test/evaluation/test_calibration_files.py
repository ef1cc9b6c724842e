"""Calibration files of Middlebury, KITTI and ROS: numbers, and what is refused."""

from depth_perception.errors import CalibrationError
from depth_perception.evaluation.calibration_files import camera_from_file, rig_from_files
import pytest

MIDDLEBURY = """cam0=[ 1038.018 0 322.037 ; 0 1038.018 243.393 ; 0 0 1 ]
cam1=[ 1038.018 0 375.308 ; 0 1038.018 243.393 ; 0 0 1 ]
 doffs= 53.271
baseline= 176.252
 width= 718
height= 496
"""
KITTI = """P0: 7.2e+02 0 6.1e+02 0 0 7.2e+02 1.7e+02 0 0 0 1 0
P1: 7.2e+02 0 6.1e+02 -3.9e+02 0 7.2e+02 1.7e+02 0 0 0 1 0
P2: 721.5 0 609.5 44.8 0 721.5 172.8 0.2 0 0 1 0.003
P3: 721.5 0 609.5 -339.5 0 721.5 172.8 2.2 0 0 1 0.003
R0_rect: 1 0 0 0 1 0 0 0 1
"""
CAMERA_INFO = """image_width: 640
image_height: 480
camera_name: {name}
distortion_model: plumb_bob
projection_matrix:
  rows: 3
  cols: 4
  data: [500.0, 0.0, {cx}, {shift}, 0.0, 510.0, 238.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""


def write(path, text):
    path.write_text(text, encoding='utf-8')
    return path


def test_middlebury(tmp_path):
    rig = rig_from_files(write(tmp_path / 'calib.txt', MIDDLEBURY), 718, 496)
    assert (rig.left.fx, rig.left.cx, rig.left.cy) == (1038.018, 322.037, 243.393)
    assert rig.doffs_px == pytest.approx(53.271)
    assert rig.baseline_m == pytest.approx(0.176252)


def test_kitti_takes_the_colour_cameras(tmp_path):
    rig = rig_from_files(write(tmp_path / '000046.txt', KITTI), 1242, 375)
    assert rig.left.fx == 721.5
    assert rig.left.cy == 172.8
    assert rig.baseline_m == pytest.approx((44.8 + 339.5) / 721.5)
    assert rig.doffs_px == 0.0


def test_kitti_raw_names(tmp_path):
    text = KITTI.replace('P2:', 'P_rect_02:').replace('P3:', 'P_rect_03:').split('\n', 2)[2]
    rig = rig_from_files(write(tmp_path / 'calib_cam_to_cam.txt', text), 1242, 375)
    assert rig.baseline_m == pytest.approx((44.8 + 339.5) / 721.5)


def test_camera_info_pair(tmp_path):
    left = CAMERA_INFO.format(name='left', cx=310.0, shift=0.0)
    right = CAMERA_INFO.format(name='right', cx=318.0, shift=-60.0)
    left_path, right_path = write(tmp_path / 'l.yaml', left), write(tmp_path / 'r.yaml', right)
    rig = rig_from_files(left_path, 640, 480, right_path)
    assert rig.baseline_m == pytest.approx(0.12)
    assert rig.doffs_px == pytest.approx(8.0)
    assert rig.left.fy == 510.0
    assert camera_from_file(left_path, 640, 480).cx == 310.0
    with pytest.raises(CalibrationError, match='--calib-right'):
        rig_from_files(left_path, 640, 480)
    with pytest.raises(CalibrationError, match='swapped'):
        rig_from_files(right_path, 640, 480, left_path)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('hello', 'not a calibration known here'),
        (MIDDLEBURY.replace('baseline', 'b'), 'lacks baseline'),
        (MIDDLEBURY.replace('; 0 0 1', ''), 'numbers, wanted 9'),
        (MIDDLEBURY.replace('176.252', 'far'), 'not a list of numbers'),
        (MIDDLEBURY.replace('718', '2964'), 'images of width 2964'),
        (KITTI.replace('P3: 721.5', 'P3: '), '11 numbers, wanted 12'),
        ('projection_matrix: [1', 'not YAML'),
        ('projection_matrix: {data: [1, 2]}', 'lacks image_width'),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path, text, said):
    path = write(tmp_path / 'calib.txt', text)
    with pytest.raises(CalibrationError, match=said):
        rig_from_files(path, 718, 496, path)


def test_size_of_the_images_must_fit(tmp_path):
    path = write(tmp_path / 'l.yaml', CAMERA_INFO.format(name='left', cx=310.0, shift=0.0))
    with pytest.raises(CalibrationError, match='640x480, these are 320x240'):
        camera_from_file(path, 320, 240)


def test_missing_file(tmp_path):
    with pytest.raises(CalibrationError, match='cannot read'):
        rig_from_files(tmp_path / 'none.txt', 10, 10)


def test_real_middlebury_files(shared_dir):
    folder = shared_dir / 'data' / 'middlebury_2014_q' / 'Adirondack'
    rig = rig_from_files(folder / 'calib.txt', 718, 496)
    assert rig.baseline_m == pytest.approx(0.176252)
