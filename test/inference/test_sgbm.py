from __future__ import annotations

from dataclasses import replace

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import FrameError, InferenceError, ModelError
from depth_perception.inference.sgbm import (
    derived_search_range,
    narrowed,
    SearchRange,
    SgbmBackend,
)
from depth_perception.parameters import StereoEstimatorSettings
import numpy as np
from numpy.testing import assert_array_equal
import pytest

cv2 = pytest.importorskip('cv2')
SETTINGS = StereoEstimatorSettings(sgbm__num_disparities=32, threads=1)


def texture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.uniform(0, 255, (height, width)).astype(np.float32), (0, 0), 1.2)


def shifted_pair(disparity, height=80, width=160):
    """Both images see one texture; left pixel u is right pixel u - disparity."""
    wide = texture(height, width + 128)
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    wanted = ((u + 64, v), (u + 64 + np.float32(disparity), v))
    left, right = (cv2.remap(wide, *at, cv2.INTER_CUBIC) for at in wanted)
    stretched = [np.clip((image - 128) * 2.5 + 128, 0, 255) for image in (left, right)]
    return [np.rint(image).astype(np.uint8) for image in stretched]


def match(left, right, settings=SETTINGS):
    with SgbmBackend(settings) as backend:
        found = backend.infer({'left': left, 'right': right})
    return found['disparity'], found['sigma']


def rig(doffs=0.0, width=640, fx=500.0, baseline_m=0.12):
    left = PinholeCamera(width, 480, fx, fx, 319.5, 239.5)
    right = PinholeCamera(width, 480, fx, fx, 319.5 + doffs, 239.5)
    return StereoRig(left, right, baseline_m)


@pytest.mark.parametrize('mode', ['3way', 'sgbm', 'hh'])
@pytest.mark.parametrize('disparity', [5.0, 11.5, 7.25])
def test_known_disparity_is_found_with_an_honest_sigma(mode, disparity):
    found, sigma = match(*shifted_pair(disparity), replace(SETTINGS, sgbm__mode=mode))
    inner = np.s_[8:-8, 20:-8]
    assert np.isfinite(found[inner]).mean() > 0.98
    error = np.abs(found - disparity)[inner]
    assert np.nanmedian(error) < 0.16  # what is left of the peak locking of OpenCV's cost
    assert np.nanmax(error) < 1.0
    assert np.nanmean(error < 2 * sigma[inner]) > 0.9
    assert_array_equal(np.isnan(found), np.isnan(sigma))


def test_swapped_images_are_not_matched():
    left, right = shifted_pair(11.0)
    assert np.isfinite(match(left, right)[0]).mean() > 0.85
    assert np.isfinite(match(right, left)[0]).mean() < 0.02


def test_the_left_border_is_matched_where_the_right_image_shows_it():
    found, _ = match(*shifted_pair(9.0))
    assert np.isfinite(found[10:-10, 12:32]).mean() > 0.95  # OpenCV alone starts at column 32
    assert np.isnan(found[:, :8]).all()  # outside the right image


def test_negative_disparity_is_found_up_to_the_right_border():
    settings = replace(SETTINGS, sgbm__min_disparity=-16)
    found, _ = match(*shifted_pair(-6.0), settings)
    assert np.nanmedian(found) == pytest.approx(-6.0, abs=0.1)
    assert np.isfinite(found[10:-10, 110:150]).mean() > 0.95
    assert np.isnan(found[:, 155:]).all()


def test_the_left_right_check_removes_the_occlusion():
    near, far = shifted_pair(20.0), shifted_pair(4.0)
    left, right = far[0].copy(), far[1].copy()
    left[:, 80:120], right[:, 60:100] = near[0][:, 80:120], near[1][:, 60:100]
    found, _ = match(left, right)  # left columns 64..79 are hidden in the right image
    assert np.isfinite(found[10:-10, 64:80]).mean() < 0.03
    assert np.nanmedian(found[:, 85:115]) == pytest.approx(20.0, abs=0.1)
    assert np.nanmedian(found[:, 30:60]) == pytest.approx(4.0, abs=0.1)
    unchecked = replace(SETTINGS, sgbm__left_right_px=0.0, sgbm__support=0.0)
    assert np.isfinite(match(left, right, unchecked)[0][10:-10, 64:80]).mean() > 0.1


@pytest.mark.parametrize('checked', [True, False])
def test_a_constant_image_has_no_disparity(checked):
    grey = np.full((60, 90), 117, np.uint8)
    settings = replace(SETTINGS, sgbm__left_right_px=1.0 if checked else 0.0)
    found, sigma = match(grey, grey, settings)
    assert np.isnan(found).all()
    assert np.isnan(sigma).all()


def test_results_do_not_depend_on_threads_or_on_what_came_before():
    pair, other = shifted_pair(7.25), shifted_pair(3.0)
    alone = match(*pair)
    with SgbmBackend(replace(SETTINGS, threads=4)) as backend:
        backend.infer({'left': other[0], 'right': other[1]})
        again = backend.infer({'left': pair[0], 'right': pair[1]})
    assert_array_equal(again['disparity'], alone[0])
    assert_array_equal(again['sigma'], alone[1])


def test_settings_may_change_between_frames():
    left, right = shifted_pair(7.0)
    with SgbmBackend(SETTINGS) as backend:
        assert np.isfinite(backend.infer({'left': left, 'right': right})['disparity']).any()
        backend.settings = replace(SETTINGS, sgbm__min_disparity=40)
        assert np.isnan(backend.infer({'left': left, 'right': right})['disparity']).all()
        assert backend.search_range == SearchRange(40, 32)


def test_search_range_from_the_calibration():
    # f b = 60 px m: 60 px at 1 m, 0 at infinity
    assert derived_search_range(rig(), 1.0) == SearchRange(0, 64)
    assert SearchRange(3, 32).last == 34
    assert derived_search_range(rig(), 0.5).last >= 120
    # The range moves with doffs and does not grow.
    assert derived_search_range(rig(doffs=30.25), 1.0) == SearchRange(-31, 64)
    assert derived_search_range(rig(doffs=-30.25), 1.0) == SearchRange(30, 64)
    assert derived_search_range(rig(), 0.01) == SearchRange(0, 256)
    assert derived_search_range(rig(width=100), 0.01) == SearchRange(0, 96)
    assert derived_search_range(rig(width=7), 0.01) == SearchRange(0, 16)


def test_a_range_must_be_known():
    left, right = shifted_pair(7.0)
    with SgbmBackend(replace(SETTINGS, sgbm__num_disparities=0)) as backend:
        with pytest.raises(InferenceError, match='set_rig'):
            backend.infer({'left': left, 'right': right})
        backend.set_rig(rig(doffs=-3.5), 2.0)
        assert backend.search_range == SearchRange(3, 32)
        assert np.isfinite(backend.infer({'left': left, 'right': right})['disparity']).any()


@pytest.mark.parametrize('shape', [(1, 1), (15, 200), (200, 15), (3, 700)])
def test_tiny_images_are_refused(shape):
    grey = np.zeros(shape, np.uint8)
    with pytest.raises(FrameError, match='at least 16 px') as caught:
        match(grey, grey)
    assert caught.value.cause == 'too_small'


@pytest.mark.parametrize('shape', [(16, 16), (16, 40), (50, 16), (17, 33)])
@pytest.mark.parametrize('mode', ['3way', 'sgbm', 'hh'])
def test_images_smaller_than_the_search_range_do_no_harm(shape, mode):
    grey = texture(*shape).astype(np.uint8)
    settings = replace(SETTINGS, sgbm__mode=mode, sgbm__num_disparities=256, sgbm__block_size=15)
    assert match(grey, grey, settings)[0].shape == shape


def test_wrong_pairs_are_refused():
    grey = np.zeros((40, 50), np.uint8)
    with pytest.raises(FrameError, match='50x40 but right is 40x40'):
        match(grey, grey[:, :40])
    with pytest.raises(ModelError, match='uint8'):
        match(grey, grey.astype(np.float32))


@pytest.mark.parametrize(('area', 'kept'), [(36, True), (37, False)])
def test_patches_smaller_than_the_area_go(area, kept):
    disparity = np.full((30, 40), np.nan, np.float32)
    disparity[4:10, 5:11] = 7.0
    disparity[20:, 20:] = 9.0
    with SgbmBackend(replace(SETTINGS, sgbm__speckle_area_px=area)) as backend:
        backend._remove_speckles(disparity)
    assert np.isfinite(disparity[4:10, 5:11]).all() == kept
    assert np.isfinite(disparity[20:, 20:]).all()


@pytest.mark.parametrize(('threads', 'left_right_px'), [(1, 1.0), (2, 1.0), (2, 0.0)])
def test_threads_are_those_of_the_settings(threads, left_right_px):
    settings = replace(SETTINGS, threads=threads, sgbm__left_right_px=left_right_px)
    cv2.setNumThreads(3)
    match(*shifted_pair(5.0), settings)
    assert cv2.getNumThreads() == threads


def test_all_threads_are_those_this_process_may_use(monkeypatch):
    monkeypatch.setattr('os.sched_getaffinity', lambda _: {3})
    match(*shifted_pair(5.0), replace(SETTINGS, threads=0))
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize(
    ('low_px', 'high_px', 'first', 'count'),
    [
        (30.2, 49.5, 30, 32),  # 30 to 50 are 21
        (30.0, 45.0, 30, 16),
        (-500.0, 500.0, -20, 128),
        (100.4, 300.0, 92, 16),  # from 100 to the end at 107
        (400.0, 500.0, 92, 16),
        (-90.0, -60.0, -20, 16),
    ],
)
def test_a_narrowed_range_lies_in_the_whole_one(low_px, high_px, first, count):
    whole = SearchRange(-20, 128)
    found = narrowed(whole, low_px, high_px)
    assert found == SearchRange(first, count)
    assert whole.first <= found.first
    assert found.last <= whole.last


def test_what_lies_outside_of_the_range_of_interest_is_not_matched():
    left, right = shifted_pair(21.0)
    with SgbmBackend(SETTINGS) as backend:
        feeds = {'left': left, 'right': right}
        whole = backend.infer(feeds)['disparity']
        backend.within = 18.0, 24.0
        assert backend.search_range == SearchRange(16, 16)
        near = backend.infer(feeds)['disparity']
        backend.within = 0.0, 9.0
        far = backend.infer(feeds)['disparity']
        assert backend.whole_range == SearchRange(0, 32)
    assert np.nanmedian(whole[:, 30:]) == pytest.approx(21.0, abs=0.1)
    assert np.nanmedian(near[:, 30:]) == pytest.approx(21.0, abs=0.1)
    assert np.isfinite(far).mean() < 0.1
