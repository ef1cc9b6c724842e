"""Resize policies: sizes by their rules, and pixel centres that survive the way there and back."""

import cv2
from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import ModelError
from depth_perception.inference.card_schema import PadSpec, ResizeSpec
from depth_perception.inference.resize import plan_resize, resized_pixels, restored_map
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest


@pytest.mark.parametrize(
    ('spec', 'source', 'scaled', 'target'),
    [
        # Depth Anything: 640x480 to at least 518 on both sides, 518 * 4 / 3 = 690.7 -> 686.
        (ResizeSpec('lower_bound', 518, 14), (640, 480), (686, 518), (686, 518)),
        # DA3: longest side 504, 504 * 9 / 16 = 283.5 -> 20.25 * 14 -> 280.
        (ResizeSpec('upper_bound', 504, 14), (1280, 720), (504, 280), (504, 280)),
        # MiDaS: the smaller change of scale decides; 384 / 480 is nearer to 1 than 384 / 640.
        (ResizeSpec('minimal', 384, 32), (640, 480), (512, 384), (512, 384)),
        (ResizeSpec('stretch', (192, 640)), (1242, 375), (640, 192), (640, 192)),
        # Metric3D: 1064 / 1242 < 616 / 375, so the width decides: 375 * 0.8567 = 321.3.
        (ResizeSpec('letterbox', (616, 1064)), (1242, 375), (1064, 321), (1064, 616)),
        (ResizeSpec('pad', multiple=32), (641, 480), (641, 480), (672, 480)),
        # Area 307200 stays inside; 640 and 480 go up to the next multiple of 14.
        (ResizeSpec('area_range', (200_000, 600_000), 14, 'ceil'), (640, 480), (644, 490),
         (644, 490)),
        (ResizeSpec('none'), (641, 479), (641, 479), (641, 479)),
    ],
)  # fmt: skip
def test_sizes_follow_the_policy(spec, source, scaled, target):
    plan = plan_resize(spec, *source)
    assert (plan.scaled, plan.target) == (scaled, target)


@pytest.mark.parametrize(
    ('place', 'left', 'top'), [('center', 11, 12), ('top_left', 0, 0), ('bottom_left', 0, 25)]
)
def test_padding_lies_where_the_card_says(place, left, top):
    spec = ResizeSpec('pad', multiple=32, pad=PadSpec('constant', (7.0, 8.0, 9.0), place))
    plan = plan_resize(spec, 41, 39)
    assert (plan.left, plan.top) == (left, top)
    pixels = np.full((39, 41, 3), 200, np.uint8)
    padded = resized_pixels(pixels, plan, spec)
    assert padded.shape == (64, 64, 3)
    assert (padded[top : top + 39, left : left + 41] == 200).all()
    assert padded[63 if top == 0 else 0, 63].tolist() == [7, 8, 9]


def test_convention_camera_of_the_network_counts_padding_and_pixel_centres():
    spec = ResizeSpec('letterbox', (100, 60), pad=PadSpec(place='center'))
    plan = plan_resize(spec, 120, 80)  # scale 0.5: 60x40 inside 60x100
    camera = plan.camera(PinholeCamera(120, 80, 90.0, 94.0, 50.0, 30.0))
    assert (camera.fx, camera.fy) == (45.0, 47.0)
    assert camera.cx == pytest.approx((50.0 + 0.5) * 0.5 - 0.5)
    assert camera.cy == pytest.approx((30.0 + 0.5) * 0.5 - 0.5 + 30)  # forgotten pad: 14.75


@given(
    width=st.integers(24, 90),
    height=st.integers(24, 90),
    size=st.sampled_from([48, 64, (40, 72)]),
    policy=st.sampled_from(['lower_bound', 'upper_bound', 'minimal', 'letterbox', 'pad']),
)
def test_roundtrip_a_ramp_returns_to_its_pixels(width, height, size, policy):
    spec = ResizeSpec(policy, size, 8, pad=PadSpec('replicate'))
    plan = plan_resize(spec, width, height)
    rows, columns = np.mgrid[0 : plan.target[1], 0 : plan.target[0]]
    u = (columns - plan.left + 0.5) / plan.sx - 0.5  # what input pixel each network pixel shows
    v = (rows - plan.top + 0.5) / plan.sy - 0.5
    back = restored_map((u + 2.0 * v).astype(np.float32), plan)
    expected = np.arange(width)[None, :] + 2.0 * np.arange(height)[:, None]
    edge = int(np.ceil(max(1.0 / plan.sx, 1.0 / plan.sy, 1.0)))  # linear needs a neighbour
    inner = (slice(edge, -edge), slice(edge, -edge))
    np.testing.assert_allclose(back[inner], expected[inner], atol=0.03)


def test_masks_are_taken_from_the_nearest_pixel():
    plan = plan_resize(ResizeSpec('stretch', (4, 4)), 8, 8)
    mask = np.eye(4, dtype=np.uint8)
    back = restored_map(mask, plan, nearest=True)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, np.kron(np.eye(4), np.ones((2, 2))))


def test_mask_of_a_finer_network_is_read_at_the_pixel_centres():
    plan = plan_resize(ResizeSpec('stretch', (12, 12)), 4, 4)
    mask = np.zeros((12, 12), np.uint8)
    mask[1::3, 1::3] = 1  # the centres of the input's pixels
    np.testing.assert_array_equal(restored_map(mask, plan, nearest=True), 1)


def test_sliver_that_a_lower_bound_would_blow_up_is_refused():
    with pytest.raises(ModelError, match='of an image of 4000x2; the greatest side is 16384'):
        plan_resize(ResizeSpec('lower_bound', 518, 14), 4000, 2)


@pytest.mark.parametrize(('size', 'interpolation'), [(8, cv2.INTER_AREA), (48, cv2.INTER_CUBIC)])
def test_auto_takes_areas_down_and_cubics_up(size, interpolation):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    spec = ResizeSpec('stretch', size, interp='auto')
    made = resized_pixels(pixels, plan_resize(spec, 24, 24), spec)
    np.testing.assert_array_equal(
        made, cv2.resize(pixels, (size, size), interpolation=interpolation)
    )
