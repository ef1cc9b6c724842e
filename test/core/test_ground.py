"""The floor seen by a camera above it; signs of pitch and roll."""

import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.ground import ground_inverse_depth, ground_sigma
import numpy as np
import pytest

CAMERA = PinholeCamera(64, 48, 60.0, 50.0, 30.0, 20.0)
PITCH = math.radians(12.0)


def test_convention_positive_pitch_looks_down():
    # Row 45: y = (45 - 20) / 50 = 0.5; Z = 1.3 / (0.5 cos 12 deg + sin 12 deg) = 1.8655 m.
    # With the opposite sign of pitch Z would be 4.62 m.
    rho = ground_inverse_depth(CAMERA, 1.3, PITCH)
    assert 1.0 / rho[45, 3] == pytest.approx(1.3 / (0.5 * math.cos(PITCH) + math.sin(PITCH)))
    assert 1.0 / rho[45, 3] == pytest.approx(1.8655, abs=1e-3)


def test_horizon_lies_above_the_centre_when_looking_down():
    rho = ground_inverse_depth(CAMERA, 1.3, PITCH)
    horizon = 20.0 - 50.0 * math.tan(PITCH)  # 9.37
    assert (rho[: math.floor(horizon) + 1] < 0.0).all()
    assert (rho[math.ceil(horizon) :] > 0.0).all()


def test_convention_clockwise_roll_brings_the_right_side_down():
    rho = ground_inverse_depth(CAMERA, 1.0, 0.0, math.radians(90.0))
    # Lying on its right side: the floor is where x is positive, 1 / Z = x / h.
    assert rho[10, 60] == pytest.approx((60 - 30) / 60.0, abs=1e-6)
    assert (rho[:, :30] < 0.0).all()


@pytest.mark.parametrize(
    ('index', 'step'), [(0, (0.01, 0.0, 0.0)), (1, (0.0, 0.004, 0.0)), (2, (0.0, 0.0, 0.004))]
)
def test_sigma_agrees_with_finite_differences(index, step):
    height, pitch, roll = 1.2, math.radians(3.0), 0.0
    rho = ground_inverse_depth(CAMERA, height, pitch, roll)
    moved = ground_inverse_depth(CAMERA, height + step[0], pitch + step[1], roll + step[2])
    sigma = ground_sigma(rho, CAMERA, height, step[0], max(step[1:]))
    if index == 2:  # roll moves the sides only
        pure = ground_sigma(rho, CAMERA, height, 0.0, step[2])
        expected = np.sqrt(np.square(pure) - np.square(step[2] / height))
        np.testing.assert_allclose(np.abs(moved - rho), expected, atol=4e-5)
    elif index == 1:  # pitch: cos p - y sin p is within 5 % of 1 here
        centre = np.s_[:, 30]
        np.testing.assert_allclose(np.abs(moved - rho)[centre], sigma[centre], rtol=0.05)
    else:
        np.testing.assert_allclose(np.abs(moved - rho), sigma, rtol=0.02, atol=1e-7)
