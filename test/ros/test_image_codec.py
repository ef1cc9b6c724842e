from depth_perception.core.depth_units import millimetres_from_depth
from depth_perception.errors import ShapeError
from depth_perception.messages.images import depth_from_image, picture_from_image
from depth_perception.ros.image_codec import image_from_array, ImageWriter
import numpy as np
import pytest
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


HEIGHT, WIDTH = 4, 6


def noise(*shape, seed=1, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype)


def test_millimetres_are_saturated_by_us():
    depth = np.array([0.0004, 0.0006, 1.2345, 65.535, 65.5356, 1e30], np.float32)
    depth = np.append(depth, np.array([np.nan, np.inf, -np.inf, -2.0], np.float32))
    wanted = [0, 1, 1234, 65535, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(millimetres_from_depth(depth[None]), [wanted])


def test_written_image_is_read_back():
    header = Header(frame_id='left_optical')
    header.stamp.sec = 7
    depth = np.array([[1.5, np.nan, np.inf], [-np.inf, 0.25, 9.0]], np.float32)
    msg = image_from_array(depth, header, '32FC1')
    assert (msg.height, msg.width, msg.step, msg.encoding) == (2, 3, 12, '32FC1')
    assert (msg.header.stamp.sec, msg.header.frame_id) == (7, 'left_optical')
    assert msg.is_bigendian == 0
    np.testing.assert_array_equal(depth_from_image(msg), depth)
    assert list(np.frombuffer(image_from_array(depth, header, '16UC1').data, '<u2')) == [
        1500, 0, 0, 0, 250, 9000,
    ]  # fmt: skip


def test_writer_reuses_its_buffer_until_the_size_changes():
    writer, header = ImageWriter('mono8'), Header()
    first = writer.write(noise(4, 6, seed=1), header).data
    msg = writer.write(noise(4, 6, seed=2), header)
    assert msg.data is first
    np.testing.assert_array_equal(np.frombuffer(msg.data, np.uint8), noise(4, 6, seed=2).ravel())
    msg = writer.write(noise(3, 5, seed=3), header)
    assert (msg.height, msg.width, msg.step, len(msg.data)) == (3, 5, 5, 15)
    np.testing.assert_array_equal(np.frombuffer(msg.data, np.uint8), noise(3, 5, seed=3).ravel())


def test_writer_takes_strided_arrays():
    pixels = noise(6, 8, 3)
    msg = image_from_array(pixels[::2, 1:6], Header(), 'bgr8')
    np.testing.assert_array_equal(picture_from_image(msg).pixels, pixels[::2, 1:6])


@pytest.mark.parametrize(
    ('values', 'encoding'),
    [
        (np.zeros((2, 3)), '32FC1'),
        (np.zeros((2, 3, 3), np.uint8), 'mono8'),
        (np.zeros((2, 3), np.uint8), 'rgb8'),
        (np.zeros((2, 3), np.uint8), 'jpeg'),
    ],
)
def test_writer_refuses_what_does_not_fit(values, encoding):
    with pytest.raises(ShapeError, match=encoding):
        image_from_array(values, Header(), encoding)
