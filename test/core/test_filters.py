from __future__ import annotations

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.filters import flying_pixel_mask, range_masks, speckle_mask
from depth_perception.parameters import EstimatorSettings
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from numpy.testing import assert_array_equal
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


def sloped(far_m, middle_m=3.0):
    depth = np.full((6, 9), 2.0, np.float32)
    depth[:, 5:], depth[:, 4] = far_m, middle_m
    return depth


SMALL = PinholeCamera(9, 6, 50.0, 50.0, 4.0, 2.5)


@pytest.mark.parametrize(
    ('sigma_m', 'cut'), [(0.3, True), (0.58, True), (0.60, False), (2.0, False)]
)
def test_a_step_must_exceed_the_noise_of_the_surfaces_beside_it(sigma_m, cut):
    # The least relative sigma is that of the far surface, sigma / 5; of the pixel at 3 m that is
    # 0.6 sigma, of a difference of two sqrt(2) times as much, and 2 of these must be below 1 m.
    sigma = np.full((6, 9), sigma_m, np.float32)
    mask = flying_pixel_mask(sloped(5.0), SMALL, 0.1, 2.0, sigma)
    expected = np.zeros((6, 9), bool)
    expected[:, 4] = cut
    assert_array_equal(mask, expected)
    upright = PinholeCamera(6, 9, 50.0, 50.0, 2.5, 4.0)
    turned = np.ascontiguousarray(sloped(5.0).T)
    assert_array_equal(flying_pixel_mask(turned, upright, 0.1, 2.0, sigma.T.copy()), expected.T)
    assert flying_pixel_mask(sloped(5.0), SMALL, 0.1, 2.0, sigma, 0.2)[:, 4].all()
    assert not flying_pixel_mask(sloped(5.0), SMALL, 0.1, 2.0, sigma, 5.0).any()


def test_a_slope_is_not_excused_by_its_own_sigma_nor_judged_by_that_of_things_far_away():
    depth = np.repeat(np.linspace(4.0, 4.2, 64, dtype=np.float32)[None], 33, axis=0)
    depth[:, 20] = 6.0
    depth[:, 21:40] += 4.0
    sigma = np.full_like(depth, 1.3)
    camera = PinholeCamera(64, 33, 50.0, 50.0, 4.0, 2.5)
    assert not flying_pixel_mask(depth, camera, 0.1, 2.0, sigma).any()
    sigma[:, 12:28] = 2.8  # as of an edge score
    sigma[:, 50:] = 0.01
    assert not flying_pixel_mask(depth, camera, 0.1, 2.0, sigma).any()
    sigma[16, 16] = 0.05  # one sure pixel beside the slope, in the cells of rows 12 to 23
    mask = flying_pixel_mask(depth, camera, 0.1, 2.0, sigma)
    assert_array_equal(np.argwhere(mask), [[row, 20] for row in range(12, 24)])


def test_noise_on_a_far_wall_stays_and_a_slope_between_sure_surfaces_goes():
    rng = np.random.default_rng(4)
    depth = np.full((480, 640), 12.0, np.float32)
    depth += rng.normal(0.0, 1.5, depth.shape).astype(np.float32)
    sigma = np.full_like(depth, 1.5)
    depth[:, :100], depth[:, 100] = 1.0, 4.0
    sigma[:, :100], sigma[:, 100] = 0.02, 0.3
    plain, gated = flying(depth, CAMERA), flying_pixel_mask(depth, CAMERA, 0.1, 2.0, sigma)
    far = np.s_[:, 112:]
    assert plain[far].mean() > 0.15
    assert gated[far].mean() < 0.02
    assert flying_pixel_mask(depth, CAMERA, 0.1, 2.0, sigma, 1.0)[far].mean() > gated[far].mean()
    assert gated[:, 100].mean() > 0.97


@pytest.mark.parametrize('shape', [(1, 1), (1, 9), (9, 1), (3, 5), (35, 70), (64, 33)])
def test_certain_depth_is_judged_as_without_sigma_at_any_size(shape):
    rng = np.random.default_rng(6)
    depth = rng.choice(np.array([1.0, 1.4, 2.0, 3.0, NAN, np.inf], np.float32), shape)
    camera = PinholeCamera(shape[1], shape[0], 50.0, 50.0, 4.0, 2.5)
    sigma = np.where(np.isfinite(depth), np.float32(1e-6), NAN)
    assert_array_equal(flying_pixel_mask(depth, camera, 0.1, 2.0, sigma), flying(depth, camera))


def test_where_no_sigma_is_known_depth_is_judged_as_without():
    depth = np.repeat(sloped(5.0), 20, axis=0)
    camera = PinholeCamera(9, 120, 50.0, 50.0, 4.0, 2.5)
    sigma = np.full(depth.shape, NAN)
    sigma[:60] = 3.0
    mask = flying_pixel_mask(depth, camera, 0.1, 2.0, sigma)
    assert flying(depth, camera)[:, 4].all()
    assert not mask[:60].any()
    assert mask[64:, 4].all()
