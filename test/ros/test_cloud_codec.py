import importlib.util

from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.core.frame import Picture
from depth_perception.errors import ShapeError
from depth_perception.messages.clouds import xyz_from_cloud
from depth_perception.ros.cloud_codec import CloudWriter
import numpy as np
import pytest
from sensor_msgs.msg import PointField
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


def estimate(height=3, width=5, seed=0):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1.0, 9.0, (height, width)).astype(np.float32)
    depth[0, 1], depth[1, 2], depth[2, 0] = np.nan, np.inf, -np.inf
    valid = np.isfinite(depth)
    sigma = np.where(valid, depth * 0.01, np.nan).astype(np.float32)
    camera = PinholeCamera(width, height, 4.0, 5.0, 2.2, 1.1)
    return DepthEstimate(depth, sigma, valid, camera, Scale(Rung.STEREO))


def test_written_cloud_is_organised_and_complete():
    made, header = estimate(), Header(frame_id='left_optical')
    pixels = np.random.default_rng(1).integers(0, 255, (3, 5, 3), np.uint8)
    msg = CloudWriter().write(made, Picture(pixels, 'rgb'), header)
    assert (msg.height, msg.width, msg.point_step, msg.row_step) == (3, 5, 20, 100)
    assert (msg.is_dense, msg.is_bigendian, msg.header) == (False, False, header)
    assert [(f.name, f.offset, f.datatype, f.count) for f in msg.fields] == [
        (name, 4 * i, PointField.FLOAT32, 1)
        for i, name in enumerate(['x', 'y', 'z', 'rgb', 'uncertainty'])
    ]
    values = np.frombuffer(msg.data, '<f4').reshape(3, 5, 5)
    wanted = points_from_depth(made.depth, made.camera)
    np.testing.assert_allclose(values[..., :3], wanted, rtol=1e-6)
    np.testing.assert_array_equal(values[..., 4], made.sigma)
    rgb = np.frombuffer(msg.data, '<u4').reshape(3, 5, 5)[..., 3]
    np.testing.assert_array_equal(rgb >> 16 & 255, pixels[..., 0])
    np.testing.assert_array_equal(rgb & 255, pixels[..., 2])


def test_numpy_packs_the_same_bytes_where_opencv_is_missing(monkeypatch):
    picture = Picture(np.random.default_rng(1).integers(0, 255, (3, 5, 3), np.uint8), 'bgr')
    fast = bytes(CloudWriter().write(estimate(), picture, Header()).data)
    monkeypatch.setattr(importlib.util, 'find_spec', lambda _: None)
    assert bytes(CloudWriter().write(estimate(), picture, Header()).data) == fast


def test_cloud_never_holds_infinity():
    values = np.frombuffer(CloudWriter().write(estimate(), None, Header()).data, '<f4')
    assert not np.isinf(values).any()
    assert np.isnan(values.reshape(3, 5, 5)[1, 2, :3]).all()


def test_cloud_buffer_is_reused_until_the_size_changes():
    writer = CloudWriter()
    first = writer.write(estimate(seed=1), None, Header()).data
    msg = writer.write(estimate(seed=2), None, Header())
    assert msg.data is first
    z = np.frombuffer(msg.data, '<f4').reshape(3, 5, 5)[..., 2]
    np.testing.assert_array_equal(z[0, 2:], estimate(seed=2).depth[0, 2:])
    msg = writer.write(estimate(height=4, width=3), None, Header())
    assert (msg.height, msg.width, msg.row_step, len(msg.data)) == (4, 3, 60, 240)


def test_picture_of_another_size_is_refused():
    with pytest.raises(ShapeError, match='picture'):
        CloudWriter().write(estimate(), Picture(np.zeros((5, 3), np.uint8), 'grey'), Header())


def test_own_cloud_is_read_back():
    made = estimate()
    xyz = xyz_from_cloud(CloudWriter().write(made, None, Header()))
    wanted = points_from_depth(made.depth, made.camera).reshape(-1, 3)
    np.testing.assert_allclose(xyz, wanted[made.valid.ravel()], rtol=1e-6)
