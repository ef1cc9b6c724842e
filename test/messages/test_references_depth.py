"""References from depth images, from several sources, and the floor."""

import math
from types import SimpleNamespace as Message

from depth_perception.core.camera import PinholeCamera
from depth_perception.messages.locating import frames_wanted
from depth_perception.messages.references import ReferenceBuffer
from depth_perception.parameters import MonoSettings, StereoSettings
import numpy as np
import pytest
from reference_messages import (
    around,
    buffer_of,
    CAMERA,
    cloud,
    depth_image,
    driving,
    expected,
    EYE,
    found,
    IN_OPTICAL,
    info,
    NOW,
    POINTS,
    S,
    sparse_depth,
    transforms,
    UNIT,
)


@pytest.mark.parametrize('points', [np.zeros((0, 3)), np.full((4, 3), np.nan), -POINTS])
def test_a_cloud_that_the_camera_does_not_see_is_told(points):
    buffer = buffer_of()
    buffer.add('reference/points', cloud(points))
    assert around(buffer).references is None
    assert 'no point is seen' in around(buffer).problem


@pytest.mark.parametrize('encoding', ['32FC1', '16UC1'])
@pytest.mark.parametrize('frame', [EYE, '', 'a_name_that_tf_does_not_know'])
def test_depth_without_info_is_registered(encoding, frame):
    buffer = buffer_of()
    buffer.add(
        'reference/depth',
        depth_image(sparse_depth(encoding=encoding), frame=frame, encoding=encoding),
    )
    references = around(buffer).references
    np.testing.assert_allclose(found(references), [[7, 150], [100, 10], [0.25, 0.5]], rtol=1e-6)
    z = np.array([2.0, 4.0])
    np.testing.assert_allclose(references.sigma_rho, np.hypot(0.03, 0.01 * z) / z**2, rtol=1e-6)


def test_depth_of_another_camera_is_moved_to_ours():
    other = PinholeCamera(80, 60, 90.0, 95.0, 41.0, 28.5)
    buffer = buffer_of()
    buffer.locator.add(
        transforms((EYE, 'other', 0, (0.2, -0.1, 0.3), (0.0, 0.0, 0.6, 0.8))), static=True
    )
    values = np.zeros((60, 80))
    values[30, 50] = 2.5
    buffer.info_expected = True
    buffer.add('reference/depth', depth_image(values, frame='other'))
    assert around(buffer).references is None
    assert 'camera_info has not come' in around(buffer).problem
    buffer.add_depth_info(info(other, 'other'))
    x, y = (50 - 41.0) / 90 * 2.5, (30 - 28.5) / 95 * 2.5
    cos, sin = 0.28, 0.96  # of twice the angle whose half has cosine 0.8
    wanted = expected([[cos * x - sin * y + 0.2, sin * x + cos * y - 0.1, 2.8]])
    np.testing.assert_allclose(found(around(buffer).references), wanted, rtol=1e-5)


def test_registered_depth_from_a_moment_ago_is_moved_with_the_camera():
    buffer = buffer_of(reference__max_age_s=1.0)
    driving(buffer)
    buffer.add('reference/depth', depth_image(sparse_depth(), NOW - S // 2))
    x = (np.array([7, 150]) - CAMERA.cx) / CAMERA.fx * [4.0, 2.0]
    y = (np.array([100, 10]) - CAMERA.cy) / CAMERA.fy * [4.0, 2.0]
    inside = expected(np.stack([x, y, [3.0, 1.0]], 1))[:, :0]  # both leave the image
    assert inside.size == 0
    assert around(buffer).references is None
    buffer.add('reference/depth', depth_image(sparse_depth(), NOW - S // 50))
    z = np.array([3.96, 1.96])
    np.testing.assert_allclose(
        found(around(buffer).references), expected(np.stack([x, y, z], 1)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ('image', 'camera', 'part'),
    [
        (depth_image(np.ones((60, 80))), None, 'the image is 160x120'),
        (depth_image(np.ones((60, 80))), CAMERA, 'its camera_info describes 160x120'),
        (depth_image(np.ones((120, 160)), encoding='32FC1', data=b'123'), None, 'whole images'),
        (depth_image(np.ones((120, 160)), width=1 << 30), None, 'limit is 8192'),
        (Message(**{**vars(depth_image(np.ones((2, 2)))), 'encoding': 'rgb8'}), None, 'rgb8'),
    ],
)
def test_bad_depth_is_dropped_counted_and_explained(image, camera, part):
    buffer = ReferenceBuffer(MonoSettings(), max_side_px=8192)
    buffer.add('reference/depth', image)
    if camera is not None:
        buffer.add_depth_info(info(camera))
    surroundings = around(buffer)
    assert surroundings.references is None
    assert part in surroundings.problem
    assert sum(buffer.refused.values()) == 1


def test_depth_of_a_camera_without_calibration_is_refused():
    bad = info(CAMERA)
    bad.p = np.zeros(12)
    buffer = buffer_of()
    buffer.add_depth_info(bad)
    buffer.add('reference/depth', depth_image(np.ones((120, 160))))
    assert 'not calibrated' in around(buffer).problem
    assert buffer.refused == {'reference/depth calibration': 1}


def test_depth_in_a_frame_elsewhere_needs_a_camera_info():
    buffer = buffer_of()
    buffer.locator.add(transforms((EYE, 'other', 0, (0.2, 0.0, 0.0), UNIT)), static=True)
    buffer.add('reference/depth', depth_image(np.ones((120, 160)), frame='other'))
    assert 'publish its camera_info' in around(buffer).problem


def test_points_and_depth_are_used_together_within_the_limit():
    buffer = buffer_of()
    rng = np.random.default_rng(1)
    z = np.full(5000, 3.0)
    points = np.stack([rng.uniform(-1, 1, 5000), rng.uniform(-0.8, 0.8, 5000), z], 1)
    buffer.add('reference/points', cloud(points))
    buffer.add('reference/depth', depth_image(np.full((120, 160), 2.0)))
    references = around(buffer).references
    assert buffer.newest.used == {'reference/points': 1000, 'reference/depth': 1000}
    np.testing.assert_allclose(np.unique(references.rho.round(6)), [0.333333, 0.5])


@pytest.mark.parametrize(('source', 'rho'), [('points', 1 / 3), ('depth', 0.5), ('none', None)])
def test_the_source_can_be_chosen(source, rho):
    buffer = buffer_of(reference__source=source)
    buffer.add('reference/points', cloud([[0.0, 0.0, 3.0]]))
    values = np.zeros((120, 160))
    values[60, 80] = 2.0
    buffer.add('reference/depth', depth_image(values))
    references = around(buffer).references
    assert (references is None) == (rho is None)
    assert rho is None or references.rho == pytest.approx([rho])


def test_a_source_that_was_named_is_missed():
    assert around(buffer_of(reference__source='points')).problem == (
        'reference/points: nothing has come yet'
    )


def test_the_floor_comes_from_tf():
    """Camera 0.9 m up, looking 30 degrees down and rolled by 10 degrees."""
    pitch, roll = math.radians(30.0), math.radians(10.0)
    down = np.array(
        [math.cos(pitch) * math.sin(roll), math.cos(pitch) * math.cos(roll), math.sin(pitch)]
    )
    ahead = np.array([0.0, 0.0, 1.0]) - down[2] * down
    x_axis = ahead / np.linalg.norm(ahead)  # of the base, seen from the camera
    rotation = np.stack([x_axis, np.cross(-down, x_axis), -down])  # base from camera
    w = math.sqrt(1.0 + np.trace(rotation)) / 2.0
    q = [(rotation[c, b] - rotation[b, c]) / (4 * w) for b, c in ((1, 2), (2, 0), (0, 1))]
    buffer = buffer_of(
        ground__frame='base', ground__height_sigma_m=0.02, ground__tilt_sigma_deg=2.0
    )
    buffer.locator.add(transforms(('base', EYE, 0, (0.3, 0.1, 0.9), (*q, w))), static=True)
    ground = around(buffer).ground
    assert ground.height_m == pytest.approx(0.9)
    assert math.degrees(ground.pitch_rad) == pytest.approx(30.0)
    assert math.degrees(ground.roll_rad) == pytest.approx(10.0)
    assert ground.height_sigma_m == 0.02
    assert math.degrees(ground.tilt_sigma_rad) == pytest.approx(2.0)


@pytest.mark.parametrize('kind', [MonoSettings, StereoSettings])
def test_a_floor_that_is_not_below_the_camera_is_told(kind):
    buffer = ReferenceBuffer(kind(ground__frame='base'))
    assert "'base'" in around(buffer).problem
    buffer.locator.add(transforms(('base', EYE, 0, (0.0, 0.0, -0.4), IN_OPTICAL)), static=True)
    assert around(buffer).ground is None
    assert '-0.400 m above' in around(buffer).problem


def test_what_was_heard_before_time_jumped_is_forgotten():
    buffer = buffer_of()
    driving(buffer)
    buffer.add('reference/points', cloud(POINTS))
    buffer.forget()
    surroundings = around(buffer)
    assert surroundings.references is None
    assert surroundings.fixed_from_camera is None
    buffer.add('reference/points', cloud(POINTS))
    assert len(around(buffer).references) == 3


def test_a_frame_may_wait_but_not_for_ever():
    buffer = buffer_of(reference__wait_s=0.05)
    buffer.add('reference/points', cloud(POINTS, NOW - S // 10))
    assert len(around(buffer).references) == 3
    buffer.add('reference/points', cloud([[0.0, 0.0, 3.0]], NOW))
    assert len(around(buffer).references) == 1


@pytest.mark.parametrize(
    ('wanted', 'given'),
    [(False, {}), (True, {'ground__frame': 'base'}), (True, {'filters__temporal': 'motion'})],
)
def test_tf_is_of_use_without_references(wanted, given):
    assert frames_wanted(StereoSettings(**given)) == wanted


@pytest.mark.parametrize('text', ['1 2 3', '1 2 3 4 5 six', '1 2 3 4 5 nan'])
def test_extrinsics_are_six_numbers(text):
    with pytest.raises(ValueError, match=r'reference\.extrinsics'):
        MonoSettings(reference__extrinsics=text)
