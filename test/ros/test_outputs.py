"""What goes into the messages: confidence by the tail of the calibration, clouds by sigma."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.colours import colourise, ColourScale
from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.ros.output_kinds import confidence_of
from depth_perception.ros.stereo_depth_node import StereoDepthNode
import numpy as np
import pytest
from sensor_msgs.msg import Image, PointCloud2

pytestmark = pytest.mark.ros


def test_confidence_is_that_of_the_tail_in_force():
    depth = np.float32([[2.0, 4.0, np.nan]])
    sigma = np.float32([[0.2, 0.1, np.nan]])  # 10 % is 1 sigma and 4 sigma
    camera = PinholeCamera(3, 1, 4.0, 5.0, 1.2, 0.1)
    parts = depth, sigma, np.isfinite(depth), camera, Scale(Rung.STEREO)
    plain = confidence_of(DepthEstimate(*parts))
    np.testing.assert_allclose(plain, [[0.6827, 0.9999, 0.0]], atol=2e-3)
    calibrated = confidence_of(DepthEstimate(*parts, tail='student4', gross_share=0.05))
    # Student-t(4): P(|t| < 1.1416) = 0.6827 and P(|t| < 4.5664) = 0.98971.
    np.testing.assert_allclose(calibrated, [[0.95 * 0.6827, 0.95 * 0.98971, 0.0]], atol=2e-4)


def test_cloud_is_gated_by_sigma_live_and_the_depth_image_is_not(system, scene, values_of):
    system.start(StereoDepthNode, sgbm__num_disparities=32, threads=1, max_input_age_s=50.0)
    heard = system.peer.listen('/depth/image_rect', Image)
    sigmas = system.peer.listen('/uncertainty/image', Image)
    clouds = system.peer.listen('/points', PointCloud2)
    everything = lambda: heard and sigmas and clouds  # noqa: E731
    send = lambda: system.send(scene.stereo())  # noqa: E731
    system.peer.until(everything, 'all outputs', each=send)
    relative = values_of(sigmas[-1]) / values_of(heard[-1])
    limit = float(np.nanmedian(relative))
    accepted, _ = system.peer.set_parameter('stereo_depth_node', 'cloud.max_sigma_relative', limit)
    assert accepted

    def z_of(cloud):
        rows = np.frombuffer(cloud.data, '<f4').reshape(scene.height, scene.width, -1)
        return rows[..., 2]

    gated = lambda: clouds and np.isfinite(z_of(clouds[-1])).mean() < 0.7  # noqa: E731
    system.peer.until(gated, 'a gated cloud', each=send)
    np.testing.assert_array_equal(np.isfinite(z_of(clouds[-1])), relative <= np.float32(limit))
    assert np.isfinite(values_of(heard[-1])).sum() == np.isfinite(relative).sum()


def test_depth_and_sigma_come_in_colours_with_a_legend_only_where_asked_for(
    system, scene, values_of
):
    system.start(
        StereoDepthNode,
        sgbm__num_disparities=32,
        threads=1,
        max_input_age_s=50.0,
        color__depth_near_m=1.0,
        color__depth_far_m=4.0,
        color__sigma_max_m=0.1,
        color__legend=False,
    )
    heard = {
        topic: system.peer.listen(f'/{topic}', Image)
        for topic in ('depth/image_rect', 'depth/color', 'uncertainty/image', 'uncertainty/color')
    }
    system.peer.until(lambda: all(heard.values()), 'all', each=lambda: system.send(scene.stereo()))
    stamps = [{m.header.stamp.nanosec for m in messages} for messages in heard.values()]
    stamp = min(set.intersection(*stamps))
    depth, coloured, sigma, coloured_sigma = (
        next(m for m in messages if m.header.stamp.nanosec == stamp) for messages in heard.values()
    )
    assert (coloured.encoding, coloured.step) == ('rgb8', 3 * scene.width)
    pixels = lambda m: np.frombuffer(m.data, np.uint8).reshape(m.height, m.width, 3)  # noqa: E731
    expected = colourise(values_of(depth), ColourScale(1.0, 4.0, inverse=True))
    np.testing.assert_array_equal(pixels(coloured), expected)
    expected = colourise(values_of(sigma), ColourScale(0.0, 0.1, palette='viridis'))
    np.testing.assert_array_equal(pixels(coloured_sigma), expected)


def test_fusion_along_the_way_without_a_pose_is_pointed_out(system, scene, capfd):
    system.start(
        StereoDepthNode,
        sgbm__num_disparities=32,
        threads=1,
        max_input_age_s=50.0,
        filters__temporal='motion',
    )
    heard = system.peer.listen('/depth/image_rect', Image)
    assert scene.error(system.depth_after(heard, scene.stereo())) < 0.01
    assert 'Frames are not fused' in capfd.readouterr().err
