from __future__ import annotations

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.filters import (
    flying_pixel_mask,
    range_masks,
    speckle_mask,
    TemporalFilter,
)
from depth_perception.parameters import EstimatorSettings
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

NAN = np.float32(np.nan)
CAMERA = PinholeCamera(640, 480, 500.0, 500.0, 319.5, 239.5)
DEFAULTS = EstimatorSettings()


def flying(depth, camera):
    return flying_pixel_mask(
        depth, camera, DEFAULTS.filters__flying_jump, DEFAULTS.filters__flying_angle_deg
    )


def brute_speckles(rho, jump, area):
    height, width = rho.shape
    mask, seen = np.zeros(rho.shape, bool), ~np.isfinite(rho)
    for start in zip(*np.nonzero(~seen), strict=True):
        if seen[start]:
            continue
        seen[start], patch, waiting = True, [], [start]
        while waiting:
            v, u = waiting.pop()
            patch.append((v, u))
            for other in ((v - 1, u), (v + 1, u), (v, u - 1), (v, u + 1)):
                if not (0 <= other[0] < height and 0 <= other[1] < width) or seen[other]:
                    continue
                a, b = rho[v, u], rho[other]
                if abs(a - b) <= np.float32(jump) * max(abs(a), abs(b)):
                    seen[other] = True
                    waiting.append(other)
        for pixel in patch:
            mask[pixel] = len(patch) < area
    return mask


def test_range_masks_leave_nan_alone():
    rho = np.array([[9.9, 5.0, 0.3, 0.125, 0.12, 0.0, -0.2, np.inf, np.nan]], np.float32)
    near, far = range_masks(rho, 0.2, 8.0)
    assert_array_equal(near[0], [1, 0, 0, 0, 0, 0, 0, 1, 0])
    assert_array_equal(far[0], [0, 0, 0, 0, 1, 1, 1, 0, 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 14), st.integers(1, 17), st.integers(1, 12))
def test_speckles_equal_flood_fill(seed, height, width, area):
    rng = np.random.default_rng(seed)
    rho = rng.choice(np.array([1.0, 1.04, 1.2, NAN], np.float32), size=(height, width))
    assert_array_equal(speckle_mask(rho, 0.05, area), brute_speckles(rho, 0.05, area))


def test_speckles_of_a_spiral_and_a_comb_are_one_patch():
    comb = np.full((40, 41), NAN)
    comb[:, ::2], comb[-1] = 1.0, 1.0  # 21 teeth that meet only in the last row
    size = int(np.isfinite(comb).sum())
    assert not speckle_mask(comb, 0.05, size).any()
    assert_array_equal(speckle_mask(comb, 0.05, size + 1), np.isfinite(comb))


def test_speckles_agree_with_opencv():
    cv2 = pytest.importorskip('cv2')
    rng = np.random.default_rng(5)
    # All values near 1600, so that OpenCV's absolute jump of 80 is a relative one of 5 %.
    steps = (1600 + 100 * rng.integers(0, 3, (60, 80))).astype(np.int16)
    expected = steps.copy()
    cv2.filterSpeckles(expected, 0, 6, 80)  # removes patches of up to 6 pixels
    mask = speckle_mask(steps.astype(np.float32), 0.05, 7)
    assert 0.05 < mask.mean() < 0.95
    assert_array_equal(mask, expected == 0)


@pytest.mark.parametrize('pixels_between', [1, 2, 4])
def test_flying_pixels_between_a_near_and_a_far_surface_go(pixels_between):
    row = np.full(640, 5.0)
    row[:300] = 1.0
    row[300 : 300 + pixels_between] = np.linspace(1.0, 5.0, pixels_between + 2)[1:-1]
    depth = np.repeat(row[None].astype(np.float32), 480, axis=0)
    expected = np.zeros(depth.shape, bool)
    expected[:, 300 : 300 + pixels_between] = True
    assert_array_equal(flying(depth, CAMERA), expected)
    assert_array_equal(flying(depth[:, ::-1].copy(), CAMERA), expected[:, ::-1])
    upright = PinholeCamera(480, 640, 500.0, 500.0, 239.5, 319.5)
    assert_array_equal(flying(np.ascontiguousarray(depth.T), upright), expected.T)


def test_a_clean_edge_a_pole_and_a_hole_stay():
    depth = np.full((480, 640), 5.0, np.float32)
    depth[:, :200] = 1.0
    depth[:, 400] = 2.0
    depth[100:110, 500:510] = NAN
    depth[300:, 500:] = np.inf
    depth[:20, 600:] = -np.inf
    assert not flying(depth, CAMERA).any()


@pytest.mark.parametrize('fx', [300.0, 500.0, 900.0])
def test_a_floor_survives_to_15_m_from_1_m_height(fx):
    camera = PinholeCamera(640, 480, fx, fx, 319.5, 239.5)
    with np.errstate(divide='ignore'):
        column = np.where(camera.ray_y > 0.0, 1.0 / camera.ray_y, np.nan)
    depth = np.repeat(column[:, None], 640, axis=1).astype(np.float32)
    near = depth <= 15.0
    assert near.any()
    assert not flying(depth, camera)[near].any()


def test_a_wall_seen_at_a_grazing_angle_goes_and_one_above_it_stays():
    def side_wall(angle_deg):  # the plane that crosses the optical axis at 2 m
        slope = np.tan(np.radians(angle_deg))
        return np.repeat((2.0 * slope / (slope - CAMERA.ray_x))[None], 480, axis=0)

    centre = np.s_[:, 317:323]
    for angle_deg, gone in ((1.3, True), (3.0, False)):
        depth = side_wall(angle_deg).astype(np.float32)
        mask = flying_pixel_mask(depth, CAMERA, 1.0, 2.0)
        assert mask[centre].all() == gone
        assert mask[centre].any() == gone


def test_the_grazing_angle_along_a_column_is_measured_with_fy():
    camera = PinholeCamera(480, 640, 250.0, 500.0, 239.5, 319.5)
    slope = np.tan(np.radians(1.3))
    column = (2.0 * slope / (slope - camera.ray_y)).astype(np.float32)
    mask = flying_pixel_mask(np.repeat(column[:, None], 480, axis=1), camera, 1.0, 2.0)
    assert mask[317:323].all()


def test_flying_pixels_of_tiny_images():
    for height, width in ((1, 1), (2, 2), (1, 5), (5, 1), (33, 3)):
        camera = PinholeCamera(width, height, 50.0, 50.0, 0.0, 0.0)
        assert not flying(np.ones((height, width), np.float32), camera).any()


def fused(values, sigma=0.1, weight=0.75):
    memory, out = TemporalFilter(), []
    for value in values:
        rho = np.array([[value]], np.float32)
        sigmas = np.where(np.isnan(rho), NAN, np.float32(sigma))
        out.append([float(x[0, 0]) for x in memory.fuse(rho, sigmas, weight)])
    return np.array(out)


def test_temporal_mean_follows_its_weight():
    assert_allclose(fused([1.0, 1.2, 1.2])[:, 0], [1.0, 1.05, 1.0875], rtol=1e-6)
    assert_allclose(fused([1.0, 1.2, 1.2])[:, 1], 0.1, rtol=1e-6)


def test_temporal_mean_starts_anew_after_a_jump():
    # 3 sigma of the difference is 3 * 0.1 * sqrt 2 = 0.424
    assert_allclose(fused([1.0, 1.42])[1, 0], 1.105, rtol=1e-6)
    assert_allclose(fused([1.0, 1.43])[1, 0], 1.43, rtol=1e-6)


def test_temporal_mean_never_shows_the_past_for_the_present():
    values = fused([1.0, np.nan, 1.2])
    assert np.isnan(values[1]).all()
    assert_allclose(values[2], [1.2, 0.1], rtol=1e-6)


def test_temporal_memory_is_its_own_and_forgets_on_reset_and_size_change():
    memory = TemporalFilter()
    rho, sigma = np.full((2, 3), 1.0, np.float32), np.full((2, 3), 0.1, np.float32)
    memory.fuse(rho, sigma, 0.5)
    rho += 0.2
    assert_allclose(memory.fuse(rho, sigma, 0.5)[0], 1.1, rtol=1e-6)
    memory.reset()
    assert_allclose(memory.fuse(rho, sigma, 0.5)[0], 1.2, rtol=1e-6)
    assert memory.fuse(rho[:1], sigma[:1], 0.5)[0].shape == (1, 3)
