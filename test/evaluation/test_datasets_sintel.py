"""MPI Sintel: disparity in three channels, .dpt, .cam; and plain folders."""

from depth_perception.errors import CalibrationError, RecordingError
from depth_perception.messages.images import picture_from_image
import numpy as np
import pytest

TAG = np.array([202021.25], '<f4').tobytes()
FRAME = 'alley_1/frame_0001'


def put_cam(data):
    m = np.array([[1120.5, 0.0, 3.5], [0.0, 1120.25, 1.75], [0.0, 0.0, 1.0]], '<f8')
    n = np.array([[0.0, -1.0, 0.0, 0.5], [1.0, 0.0, 0.0, -0.25], [0.0, 0.0, 1.0, 2.0]], '<f8')
    data.put(f'training/camdata_left/{FRAME}.cam', TAG + m.tobytes() + n.tobytes())
    return n


def put_stereo(data):
    data.put(f'training/final_left/{FRAME}.png', data.picture(4, 8, 1))
    data.put(f'training/final_right/{FRAME}.png', data.picture(4, 8, 2))
    coded = np.zeros((4, 8, 3), np.uint8)
    coded[2, 5], coded[3, 1] = (11, 37, 201), (0, 255, 3)
    data.put(f'training/disparities/{FRAME}.png', coded)
    for name, pixel in (('occlusions', (2, 5)), ('outofframe', (0, 0))):
        mask = np.zeros((4, 8), np.uint8)
        mask[pixel] = 255
        data.put(f'training/{name}/{FRAME}.png', mask)


def test_stereo(data):
    put_stereo(data)
    put_cam(data)
    bag = data.converted('sintel')
    message = bag.topics['/ground_truth/disparity'][0].content
    values = data.floats(message.image)
    assert values[2, 5] == pytest.approx(44 + 37 / 64 + 201 / 16384, abs=1e-5)
    assert values[3, 1] == pytest.approx(255 / 64 + 3 / 16384, abs=1e-6)
    assert (values < 0).sum() == 30
    depth = data.floats(bag.topics['/ground_truth/depth/image_rect'][0].content)
    assert depth[2, 5] == pytest.approx(1120.5 * 0.1 / values[2, 5], rel=1e-6)
    p = bag.topics['/right/camera_info'][0].content.p.reshape(3, 4)
    assert p[0].tolist() == pytest.approx([1120.5, 0.0, 3.5, -112.05])
    assert p[1, 1] == 1120.25
    mask = picture_from_image(bag.topics['/ground_truth/visible_in_both'][0].content).pixels
    assert np.argwhere(mask == 0).tolist() == [[0, 0], [2, 5]]


def test_depth_and_pose(data):
    data.put(f'training/clean/{FRAME}.png', data.picture(4, 8, 1))
    n = put_cam(data)
    depth = np.arange(32, dtype='<f4').reshape(4, 8) + 0.5
    depth[0, 3] = 0.0
    data.put(
        f'training/depth/{FRAME}.dpt', TAG + np.array([8, 4], '<i4').tobytes() + depth.tobytes()
    )
    bag = data.converted('sintel')
    found = data.floats(bag.topics['/ground_truth/depth/image_rect'][0].content)
    assert (found[3, 7], found[1, 2]) == (31.5, 10.5)
    assert np.isnan(found[0, 3])
    pose = data.matrix_of(bag.topics['/tf'][0].content.transforms[0])
    assert np.allclose(pose @ np.vstack([n, [0, 0, 0, 1]]), np.eye(4), atol=1e-9)
    assert pose[:3, 3].tolist() == pytest.approx([0.25, 0.5, -2.0])


def test_without_camera_data_it_says_what_to_unpack(data):
    put_stereo(data)
    with pytest.raises(RecordingError, match=r'camdata_left/alley_1/frame_0001\.cam'):
        data.converted('sintel')


def test_cut_off_depth_is_skipped(data):
    put_cam(data)
    data.put(f'training/clean/{FRAME}.png', data.picture(4, 8, 1))
    data.put(f'training/depth/{FRAME}.dpt', TAG + np.array([8, 4], '<i4').tobytes() + b'1234')
    with pytest.raises(RecordingError, match='is cut off: 16 bytes for 8x4'):
        data.converted('sintel')


def yaml(fx, shift):
    p = [fx, 0.0, 3.5, shift, 0.0, fx + 1, 1.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    return f'image_width: 8\nimage_height: 4\nprojection_matrix: {{rows: 3, cols: 4, data: {p}}}\n'


def test_folder_of_pairs(data):
    for i in (10, 2):
        data.put(f'left/{i}.png', data.picture(4, 8, i))
        data.put(f'right/{i}.jpg', data.picture(4, 8, i + 1))
    data.put('left.yaml', yaml(300.5, 0.0))
    data.put('right.yaml', yaml(300.5, -60.1))
    bag = data.converted('folder', rate_hz=5.0)
    images = bag.topics['/left/image_rect']
    assert np.array_equal(picture_from_image(images[0].content).pixels, data.picture(4, 8, 2))
    assert images[1].stamp_ns - images[0].stamp_ns == 200_000_000
    p = bag.topics['/right/camera_info'][1].content.p.reshape(3, 4)
    assert p[0, 3] == pytest.approx(-60.1)
    assert bag.summary.with_truth == 0


def test_folder_of_images_with_depth(data):
    data.put('a.png', data.picture(4, 8, 3)[..., 0].copy())
    data.put('depth/a.png', np.full((4, 8), 1501, np.uint16))
    data.put('camera_info.yaml', yaml(300.5, 0.0))
    bag = data.converted('folder')
    assert bag.topics['/image'][0].content.encoding == 'mono8'
    assert bag.topics['/camera_info'][0].content.p[5] == 301.5
    depth = data.floats(bag.topics['/ground_truth/depth/image_rect'][0].content)
    assert depth[3, 7] == pytest.approx(1.501, abs=1e-6)


def test_folder_without_calibration(data):
    data.put('a.png', data.picture(4, 8))
    with pytest.raises(CalibrationError, match=r'looked for calib\.txt, left\.yaml'):
        data.converted('folder')
