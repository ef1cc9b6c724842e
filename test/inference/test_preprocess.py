"""Input tensors: normalisation, layouts, colours, and those made from the calibration."""

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import GroundPose, MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import NotMetricError
from depth_perception.inference.card_schema import InputSpec, ResizeSpec
from depth_perception.inference.preprocess import normalised_tensor, Preparation, tensors_from
from depth_perception.inference.resize import plan_resize
import numpy as np
import pytest

CAMERA = PinholeCamera(6, 4, 8.0, 10.0, 2.0, 1.0)
PIXELS = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
DOUBLE = ResizeSpec('stretch', (8, 12))
NORM = {'divide': 255.0, 'mean': (0.5, 0.4, 0.3), 'std': (0.1, 0.2, 0.4)}
EXPECTED = (PIXELS / 255.0 - np.array(NORM['mean'])) / np.array(NORM['std'])


def prepared(frame=None, resize=None, ground=None):
    frame = frame or MonoFrame(Picture(PIXELS, 'rgb'), CAMERA)
    resize = resize or ResizeSpec('none')
    return Preparation(frame, plan_resize(resize, 6, 4), resize, ground)


def tensor(spec, preparation):
    return tensors_from((spec,), preparation)[spec.tensor]


def test_normalisation_and_planar_layout():
    made = tensor(InputSpec(tensor='x', source='left', **NORM), prepared())
    assert (made.shape, made.dtype) == ((1, 3, 4, 6), np.float32)
    np.testing.assert_allclose(made[0], EXPECTED.transpose(2, 0, 1), rtol=1e-5, atol=1e-6)


def test_interleaved_layout_and_half_precision():
    spec = InputSpec(tensor='x', source='left', layout='NHWC', dtype='float16', **NORM)
    made = tensor(spec, prepared())
    assert (made.shape, made.dtype) == ((1, 4, 6, 3), np.float16)
    np.testing.assert_allclose(made[0], EXPECTED, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(('order', 'color', 'flip'), [
    ('rgb', 'rgb', False), ('bgr', 'rgb', True), ('rgb', 'bgr', True), ('bgr', 'bgr', False),
])  # fmt: skip
def test_channel_order_is_that_of_the_card(order, color, flip):
    frame = MonoFrame(Picture(PIXELS, order), CAMERA)
    made = tensor(InputSpec(tensor='x', source='left', color=color, divide=1.0), prepared(frame))
    wanted = PIXELS[..., ::-1] if flip else PIXELS
    np.testing.assert_array_equal(made[0], wanted.transpose(2, 0, 1))


def test_pair_is_packed_left_first():
    left, right = Picture(PIXELS, 'rgb'), Picture(255 - PIXELS, 'rgb')
    frame = StereoFrame(left, right, StereoRig(CAMERA, CAMERA, 0.1))
    spec = InputSpec(tensor='x', source='pair_concat', divide=1.0)
    made = tensor(spec, prepared(frame))
    assert made.shape == (1, 6, 4, 6)
    np.testing.assert_array_equal(made[0, :3] + made[0, 3:], 255.0)
    np.testing.assert_array_equal(made[0, 0], PIXELS[..., 0])


def test_grey_bytes_pass_without_a_copy():
    grey = np.ascontiguousarray(PIXELS[..., 0])
    spec = InputSpec(tensor='x', source='left', layout='HW', dtype='uint8', color='gray')
    made = normalised_tensor(grey, spec)
    assert np.shares_memory(made, grey)


def test_rays_are_unit_vectors_at_the_resolution_of_the_network():
    rays = tensor(InputSpec(tensor='x', source='rays'), prepared(resize=DOUBLE))
    np.testing.assert_allclose(np.linalg.norm(rays[0], axis=0), 1.0, rtol=1e-6)
    # Pixel (u=9, v=1): x = (9 - 4.5) / 16, y = (1 - 2.5) / 20.
    np.testing.assert_allclose(rays[0, :2, 1, 9] / rays[0, 2, 1, 9], [4.5 / 16, -1.5 / 20.0])


def test_intrinsics_are_those_of_the_network_input():
    made = tensor(InputSpec(tensor='x', source='intrinsics'), prepared(resize=DOUBLE))
    np.testing.assert_allclose(made, [[[16.0, 0.0, 4.5], [0.0, 20.0, 2.5], [0.0, 0.0, 1.0]]])


def test_constant_has_the_type_of_the_card():
    made = tensor(InputSpec(tensor='n', source='const', value=1800, dtype='int64'), prepared())
    assert (made.dtype, int(made)) == (np.int64, 1800)


def test_floor_needs_the_height_of_the_camera():
    spec = InputSpec(tensor='x', source='ground_inverse_depth')
    with pytest.raises(NotMetricError, match=r'set ground.camera_height_m \[m\]'):
        tensor(spec, prepared())


def test_grey_weighs_the_channels_in_their_order():
    spec = InputSpec(tensor='x', source='left', layout='HW', dtype='uint8', color='gray')
    for order, weights in (('rgb', (0.299, 0.587, 0.114)), ('bgr', (0.114, 0.587, 0.299))):
        made = tensor(spec, prepared(MonoFrame(Picture(PIXELS, order), CAMERA)))
        np.testing.assert_allclose(made, PIXELS @ np.array(weights), atol=0.6)


def test_floor_is_seen_from_the_configured_pose():
    pose = GroundPose(1.3, math.radians(12.0), math.radians(-7.0))
    made = tensor(InputSpec(tensor='x', source='ground_inverse_depth'), prepared(ground=pose))
    pitch, roll = math.radians(12.0), math.radians(-7.0)
    x, y = (0 - 2.0) / 8.0, (3 - 1.0) / 10.0
    level = y * math.cos(roll) + x * math.sin(roll)
    expected = (level * math.cos(pitch) + math.sin(pitch)) / 1.3
    assert made.shape == (1, 1, 4, 6)
    assert made[0, 0, 3, 0] == pytest.approx(expected, rel=1e-5)
