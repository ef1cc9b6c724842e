"""Mirrored frames: intrinsics, swapped pairs, and readings of the right image."""

import dataclasses

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import GroundPose, MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.score_mirror import (
    checked_left_right,
    mirrored_camera,
    mirrored_frame,
    mirrored_rig,
    read_at_match,
)
from depth_perception.core.stereo import StereoRig
import numpy as np

CAMERA = PinholeCamera(60, 44, 90.0, 70.0, 25.0, 30.0)
RIG = StereoRig(CAMERA, dataclasses.replace(CAMERA, cx=28.5), 0.25)


def test_mirrored_camera_sees_the_mirrored_point():
    camera = mirrored_camera(CAMERA)
    assert (camera.cx, camera.cy, camera.fx, camera.fy) == (34.0, 30.0, 90.0, 70.0)
    # A point at (0.3, 0.2, 2) is in column 38.5; its mirror image (-0.3, 0.2, 2) in 59 - 38.5.
    assert -0.3 / 2.0 * camera.fx + camera.cx == 59.0 - (0.3 / 2.0 * CAMERA.fx + CAMERA.cx)
    assert mirrored_camera(camera) == CAMERA


def test_mirrored_rig_keeps_doffs_and_baseline():
    rig = mirrored_rig(RIG)
    assert rig.doffs_px == RIG.doffs_px == 3.5
    assert rig.left.cx == 59.0 - 28.5
    assert rig.baseline_m == 0.25
    assert mirrored_rig(rig) == RIG


def test_mirrored_pair_is_swapped():
    left = np.arange(44 * 60, dtype=np.uint32).reshape(44, 60).astype(np.uint8)
    right = (left // 2).astype(np.uint8)
    ground = Surroundings(ground=GroundPose(1.0, 0.1, 0.2), fixed_from_camera=np.eye(4))
    frame = StereoFrame(Picture(left, 'grey'), Picture(right, 'grey'), RIG, 7, 'cam', ground)
    turned = mirrored_frame(frame)
    np.testing.assert_array_equal(turned.left.pixels, right[:, ::-1])
    np.testing.assert_array_equal(turned.right.pixels, left[:, ::-1])
    assert turned.left.pixels.flags['C_CONTIGUOUS']
    assert (turned.stamp_ns, turned.frame_id) == (7, 'cam')
    assert turned.surroundings == Surroundings()


def test_mirrored_image_keeps_its_colours():
    pixels = np.random.default_rng(0).integers(0, 256, (44, 60, 3)).astype(np.uint8)
    turned = mirrored_frame(MonoFrame(Picture(pixels, 'bgr'), CAMERA))
    np.testing.assert_array_equal(turned.image.pixels, pixels[:, ::-1])
    assert turned.image.order == 'bgr'
    assert turned.camera.cx == 34.0


def test_disparity_of_the_mirrored_swapped_pair_is_that_of_the_right_image():
    # A point seen in columns 40 and 33.5 has d = 6.5 before and after.
    u_left, u_right = 40.0, 33.5
    assert (59.0 - u_right) - (59.0 - u_left) == u_left - u_right
    # Constant depth: the right image's disparity read at the match is the left one's.
    left = np.full((5, 60), 6.5, np.float32)
    found = read_at_match(left, np.full((5, 60), 6.5, np.float32))
    assert np.isnan(found[:, :7]).all()
    np.testing.assert_array_equal(found[:, 7:], 6.5)


def test_reading_at_the_match_is_linear_between_columns():
    right = np.broadcast_to(10.0 + 2.0 * np.arange(60, dtype=np.float32), (3, 60))
    disparity = np.full((3, 60), 4.25, np.float32)
    disparity[1, 20] = np.nan
    found = read_at_match(disparity, right)
    assert found[0, 30] == 10.0 + 2.0 * 25.75
    assert np.isnan(found[1, 20])
    last = read_at_match(np.zeros((3, 60), np.float32), right)
    np.testing.assert_array_equal(last, right)


def test_matches_that_the_right_image_does_not_confirm_are_unknown():
    left, right = np.full((1, 40), 5.0, np.float32), np.full((1, 40), 5.75, np.float32)
    right[0, 20:25] = 6.25  # seen from columns 25..29
    found = checked_left_right(left, right, 1.0)
    assert np.isnan(found[0, 25:30]).all()
    np.testing.assert_array_equal(found[0, 5:25], 0.75)
