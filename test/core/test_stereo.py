"""The rig: signs of disparity, doffs and baseline, pinned by asymmetric numbers."""

import dataclasses

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import (
    depth_from_disparity,
    disparity_from_depth,
    inverse_depth_from_disparity,
    stereo_references,
    StereoRig,
)
from depth_perception.errors import CalibrationError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

LEFT = PinholeCamera(64, 48, 100.0, 100.0, 30.0, 24.0)
RIGHT = PinholeCamera(64, 48, 100.0, 100.0, 37.0, 24.0)
RIG = StereoRig(LEFT, RIGHT, 0.2)


def test_convention_doffs_is_right_minus_left():
    # A point X=0.5, Z=4: u_L = 100*0.5/4 + 30 = 42.5, u_R = 100*(0.5-0.2)/4 + 37 = 44.5,
    # so d = -2 and Z = f b / (d + 7) = 20 / 5 = 4. With the opposite sign, 20 / (-9) < 0.
    disparity = np.array([[42.5 - 44.5]], np.float32)
    assert RIG.doffs_px == 7.0
    assert depth_from_disparity(disparity, RIG)[0, 0] == pytest.approx(4.0)
    assert inverse_depth_from_disparity(disparity, RIG)[0, 0] == pytest.approx(0.25)


def test_no_match_stays_unknown_and_infinity_is_infinite():
    depth = depth_from_disparity(np.array([[np.nan, -7.0, -9.0]], np.float32), RIG)
    assert np.isnan(depth[0, 0])
    assert np.isposinf(depth[0, 1:]).all()
    assert depth.dtype == np.float32


@given(arrays(np.float32, (3, 5), elements=st.floats(np.float32(0.2), 50.0, width=32)))
def test_roundtrip_depth_disparity(depth):
    back = depth_from_disparity(disparity_from_depth(depth, RIG), RIG)
    np.testing.assert_allclose(back, depth, rtol=2e-4)


def test_resized_rig_scales_disparity_with_the_width():
    half = RIG.resized(32, 24)
    assert half.focal_baseline == pytest.approx(10.0)
    assert half.doffs_px == pytest.approx(3.5)


@pytest.mark.parametrize(
    ('right', 'baseline_m', 'words'),
    [
        (RIGHT, -0.2, 'swapped'),
        (RIGHT, 0.0, r'P\[3\]'),
        (RIGHT, float('nan'), r'P\[3\]'),
        (PinholeCamera(32, 48, 100.0, 100.0, 30.0, 24.0), 0.2, 'one size'),
        (PinholeCamera(64, 48, 101.0, 100.0, 30.0, 24.0), 0.2, 'fx is 100.000 px'),
        (PinholeCamera(64, 48, 100.0, 100.0, 30.0, 26.0), 0.2, 'rows do not correspond'),
    ],
)
def test_rig_that_is_not_rectified_is_refused(right, baseline_m, words):
    with pytest.raises(CalibrationError, match=words):
        StereoRig(LEFT, right, baseline_m)


def test_matches_become_references_spread_over_the_image():
    left = PinholeCamera(40, 30, 50.0, 50.0, 19.0, 14.0)
    rig = StereoRig(left, dataclasses.replace(left, cx=21.0), 0.2)  # f b = 10, doffs = 2
    disparity = np.full((30, 40), np.nan, np.float32)
    disparity[4:28, 7:33] = np.add.outer(np.arange(24.0), 0.5 * np.arange(26.0))
    made = stereo_references(disparity, np.full((30, 40), 0.25, np.float32), rig, 100)
    assert len(made) == 100
    np.testing.assert_allclose(made.rho, ((made.v - 4.0) + 0.5 * (made.u - 7.0) + 2.0) / 10.0)
    np.testing.assert_allclose(made.sigma_rho, 0.025)
    assert np.ptp(made.u) == 25.0
    assert np.ptp(made.v) == 23.0
    assert len(stereo_references(disparity, np.full((30, 40), np.nan, np.float32), rig, 9)) == 0
