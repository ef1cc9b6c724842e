from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Disparity
from depth_perception.core.stereo import depth_from_disparity, StereoRig
from depth_perception.ros.disparity_codec import DisparityWriter, invalid_value
import numpy as np
import pytest
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


def disparity(doffs=12.5, *, min_px=-4.0, margin_px=2, seed=0):
    left = PinholeCamera(6, 3, 400.0, 402.0, 3.0, 1.0)
    right = PinholeCamera(6, 3, 400.0, 402.0, 3.0 + doffs, 1.0)
    values = np.random.default_rng(seed).uniform(1.0, 60.0, (3, 6)).astype(np.float32)
    values[1, 4] = np.nan
    rig = StereoRig(left, right, 0.12)
    return Disparity(values, rig, min_px, 64.0, step_px=0.0625, margin_px=margin_px)


def values_of(msg):
    return np.frombuffer(msg.image.data, '<f4').reshape(msg.image.height, msg.image.width)


def test_every_field_is_filled():
    header = Header(frame_id='left_optical')
    msg = DisparityWriter().write(disparity(), header)
    assert (msg.header, msg.image.header) == (header, header)
    assert (msg.image.encoding, msg.image.step, msg.image.is_bigendian) == ('32FC1', 24, 0)
    assert (msg.f, msg.min_disparity, msg.max_disparity, msg.delta_d) == (400, 8.5, 76.5, 0.0625)
    assert msg.t == pytest.approx(0.12)
    window = msg.valid_window
    assert (window.x_offset, window.y_offset, window.width, window.height) == (2, 0, 4, 3)


def test_a_reader_of_the_message_alone_gets_our_depth():
    made = disparity()
    msg = DisparityWriter().write(made, Header())
    depth = msg.f * msg.t / values_of(msg)
    valid = np.isfinite(made.values)
    wanted = depth_from_disparity(made.values, made.rig)
    np.testing.assert_allclose(depth[valid], wanted[valid], rtol=1e-6)


@pytest.mark.parametrize(
    ('doffs', 'min_px', 'wanted'), [(12.5, -4.0, -1.0), (0.0, 0.0, -1.0), (-30.0, -4.0, -35.0)]
)
def test_no_match_is_finite_negative_and_below_the_minimum(doffs, min_px, wanted):
    msg = DisparityWriter().write(disparity(doffs, min_px=min_px), Header())
    value = values_of(msg)[1, 4]
    assert value == wanted == invalid_value(msg.min_disparity)
    assert value < min(0.0, msg.min_disparity)


def test_stream_reuses_the_message_and_forgets_the_frame_before():
    writer = DisparityWriter()
    first = writer.write(disparity(seed=1), Header()).image.data
    made = disparity(seed=2)
    made.values[1, 4] = 20.0
    made.values[0, 0] = np.nan
    msg = writer.write(made, Header())
    assert msg.image.data is first
    assert (values_of(msg)[1, 4], values_of(msg)[0, 0]) == (32.5, -1.0)


def test_margin_wider_than_the_image():
    window = DisparityWriter().write(disparity(margin_px=99), Header()).valid_window
    assert (window.x_offset, window.width) == (6, 0)
