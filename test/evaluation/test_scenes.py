"""Scenes: geometry that agrees with itself, and recordings that repeat."""

from depth_perception.core.camera import PinholeCamera, points_from_depth
from depth_perception.core.stereo import disparity_from_depth
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.calibration_files import rig_from_numbers
from depth_perception.evaluation.rendered import CAMERA_HEIGHT_M, rendered_scene, WALL_Z_M
from depth_perception.evaluation.scenes import LEFT, Scene, TRUTH, write_recording
from depth_perception.messages.images import depth_from_image, picture_from_image
import numpy as np
import pytest


@pytest.fixture(scope='module')
def scene():
    return rendered_scene()


def test_rendered_depth_is_that_of_floor_and_wall(scene):
    assert scene.truth[0, 0] == WALL_Z_M
    y = points_from_depth(scene.truth, scene.rig.left)[..., 1]
    assert y.max() == pytest.approx(CAMERA_HEIGHT_M, abs=1e-5)
    assert (np.abs(y - CAMERA_HEIGHT_M) < 1e-4).mean() > 0.15
    assert scene.ground.height_m == CAMERA_HEIGHT_M


def test_rendered_pair_shows_the_same_surface(scene):
    """The left pixel at u and the right pixel at u - d have the colour of one point."""
    disparity = disparity_from_depth(scene.truth, scene.rig)
    rows, columns = np.mgrid[20:460:7, 150:620:7]
    target = columns - disparity[rows, columns]
    low = np.floor(target).astype(int)
    part = (target - low)[..., None]
    right = scene.right.astype(float)
    seen = right[rows, low] * (1 - part) + right[rows, low + 1] * part
    error = np.abs(seen - scene.left[rows, columns]).mean(axis=-1)
    assert np.median(error) < 5.0
    assert np.median(np.abs(scene.left[rows, columns] - right[rows, columns])) > 10.0


def small_scene():
    pixels = np.full((6, 8, 3), 100, np.uint8)
    rig = rig_from_numbers(PinholeCamera(8, 6, 10.0, 10.0, 3.5, 2.5), 0.1, 2.0)
    return Scene('s', 'o', pixels, pixels, rig, np.full((6, 8), 2.0, np.float32))


def test_recording_has_noise_of_its_own_and_repeats(tmp_path):
    pytest.importorskip('rosbags')
    frames = []
    for name in ('a', 'b'):
        write_recording(tmp_path / name, small_scene(), frames=3, rate_hz=4.0)
        with Recording(tmp_path / name) as recording:
            messages = list(recording.messages([LEFT]))
            frames.append([picture_from_image(message.content).pixels for message in messages])
            assert len(list(recording.messages([TRUTH]))) == 3
            assert depth_from_image(recording.first(TRUTH))[5, 7] == 2.0
    assert messages[1].stamp_ns - messages[0].stamp_ns == 250_000_000
    assert np.array_equal(frames[0][1], frames[1][1])
    assert not np.array_equal(frames[0][0], frames[0][1])
    assert np.abs(frames[0][0].astype(int) - 100).max() < 20
