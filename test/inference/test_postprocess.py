"""REP 117 and 118: which depth is published, and which is unknown, far or too near."""

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Disparity, Rung, Scale
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame, Surroundings
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.postprocess import Postprocessor, RawEstimate
from depth_perception.parameters import EstimatorSettings, StereoEstimatorSettings
from depth_perception.settings import declarations_of
import numpy as np
import pytest

CAMERA = PinholeCamera(8, 6, 50.0, 50.0, 3.5, 2.5)
PICTURE = Picture(np.zeros((6, 8, 3), np.uint8), 'rgb')
FRAME = MonoFrame(PICTURE, CAMERA, stamp_ns=17, frame_id='eye')
SETTINGS = EstimatorSettings(
    min_depth_m=0.5, max_depth_m=10.0, max_relative_sigma=0.2, filters__flying_pixels=False
)
SCALE = Scale(Rung.NETWORK)


def finished(rho, sigma_rho, settings=SETTINGS, **more):
    raw = RawEstimate(
        np.full((6, 8), rho, np.float32), np.full((6, 8), sigma_rho, np.float32), SCALE, **more
    )
    return Postprocessor().finish(raw, FRAME, settings)


@pytest.mark.parametrize(
    ('rho', 'sigma_rho', 'depth'),
    [
        (0.25, 0.01, 4.0),
        (0.25, 0.051, np.nan),  # relative sigma 0.204 is above 0.2
        (np.nan, np.nan, np.nan),
        (0.25, np.nan, np.nan),
        (0.25, 0.0, np.nan),  # nobody knows anything without error
        (0.25, -0.01, np.nan),
        (0.05, 0.01, np.inf),  # 20 m: beyond the range, and sure of it
        (0.05, 0.03, np.nan),  # 20 m, or 12 m, or none: not sure
        (0.0, 0.01, np.inf),  # at infinity
        (1e-42, 0.01, np.inf),  # so near to it that 1 / rho overflows
        (-0.3, 0.01, np.inf),  # behind infinity, by noise of the disparity
        (2.5, 0.01, -np.inf),  # 0.4 m: too near
    ],
)
def test_value_of_depth(rho, sigma_rho, depth):
    estimate = finished(rho, sigma_rho)
    np.testing.assert_allclose(estimate.depth, depth, rtol=1e-6)
    assert estimate.valid.all() == np.isfinite(depth)


def test_sigma_is_that_of_depth_in_metres():
    # sigma_Z = Z k / (1 - k^2) with k = 4 * 0.01.
    np.testing.assert_allclose(finished(0.25, 0.01).sigma, 0.16 / (1.0 - 0.04**2), rtol=1e-5)
    assert np.isnan(finished(0.05, 0.01).sigma).all()


def test_sky_is_far_whatever_the_network_says_there():
    far = np.zeros((6, 8), bool)
    far[2, 3] = True
    estimate = finished(np.nan, np.nan, far=far)
    assert np.isposinf(estimate.depth[2, 3])
    assert estimate.far.sum() == 1


def test_stamp_frame_camera_and_scale_are_those_of_the_frame():
    estimate = finished(0.25, 0.01)
    assert (estimate.stamp_ns, estimate.frame_id) == (17, 'eye')
    assert estimate.camera is CAMERA
    assert estimate.scale is SCALE
    assert 'filter' in estimate.timings_ms


def test_disparity_is_unknown_where_the_depth_is():
    rig = StereoRig(CAMERA, CAMERA, 0.1)
    values = np.full((6, 8), 1.25, np.float32)
    rho = values / np.float32(rig.focal_baseline)
    sigma = np.full_like(rho, 0.001)
    sigma[4, 5] = 9.0
    raw = RawEstimate(rho, sigma, SCALE, disparity=Disparity(values, rig, 0.0, 5.0))
    estimate = Postprocessor().finish(raw, StereoFrame(PICTURE, PICTURE, rig), SETTINGS)
    assert np.isnan(estimate.disparity.values[4, 5])
    assert np.isfinite(estimate.disparity.values).sum() == 47
    assert np.isfinite(values).all()  # the input is not touched


@pytest.mark.parametrize(
    ('of_card', 'of_settings', 'known'),
    [(0.0, 0.0, 8), (1.0, 0.0, 3), (1.0, 2.5, 6), (0.0, 2.5, 6), (4.0, 0.4, 1)],
)
def test_disparities_less_certain_than_the_limit_are_unknown(of_card, of_settings, known):
    rig = StereoRig(CAMERA, CAMERA, 0.2)  # f B = 10 px m
    sigma_px = np.array([0.3, 0.6, 0.9, 1.2, 1.5, 2.4, 2.7, 3.0], np.float32)
    raw = RawEstimate(
        np.full((6, 8), 2.0, np.float32),
        np.tile(sigma_px / 10.0, (6, 1)),
        SCALE,
        disparity=Disparity(np.full((6, 8), 20.0, np.float32), rig, 0.0, 64.0),
    )
    settings = StereoEstimatorSettings(
        min_depth_m=0.1,
        max_relative_sigma=1.0,
        filters__flying_pixels=False,
        filters__max_sigma_px=of_settings,
    )
    estimate = Postprocessor(disparity_limit_px=of_card).finish(raw, FRAME, settings)
    assert estimate.valid[3].tolist() == [True] * known + [False] * (8 - known)
    assert np.isnan(estimate.depth[:, known:]).all()
    assert np.isnan(estimate.sigma[:, known:]).all()
    assert np.isnan(estimate.disparity.values[:, known:]).all()


def test_speckle_is_removed_and_the_wall_stays():
    rho = np.full((6, 8), 0.25, np.float32)
    rho[2:4, 2:4] = 0.8
    raw = RawEstimate(rho, np.full_like(rho, 0.01), SCALE)
    settings = EstimatorSettings(filters__speckle_area_px=5, filters__flying_pixels=False)
    estimate = Postprocessor().finish(raw, FRAME, settings)
    assert np.isnan(estimate.depth[2:4, 2:4]).all()
    assert estimate.valid.sum() == 44


def test_temporal_filter_averages_a_still_scene_until_it_is_reset():
    settings = EstimatorSettings(filters__temporal_weight=0.5, filters__flying_pixels=False)
    post = Postprocessor()
    for rho in (0.25, 0.26):
        raw = RawEstimate(
            np.full((6, 8), rho, np.float32), np.full((6, 8), 0.01, np.float32), SCALE
        )
        last = post.finish(raw, FRAME, settings)
    np.testing.assert_allclose(1.0 / last.depth, 0.255, rtol=1e-4)
    post.reset()
    np.testing.assert_allclose(1.0 / post.finish(raw, FRAME, settings).depth, 0.26, rtol=1e-5)


@pytest.mark.parametrize('pose', [None, np.eye(4)])
def test_fusion_along_the_way_needs_a_pose_and_says_so(pose):
    settings = EstimatorSettings(filters__temporal='motion', filters__flying_pixels=False)
    post = Postprocessor()
    for index, rho in enumerate((0.25, 0.26)):
        shape = np.ones((6, 8), np.float32)
        raw = RawEstimate(rho * shape, 0.01 * shape, SCALE)
        around = Surroundings(fixed_from_camera=pose)
        last = post.finish(raw, MonoFrame(PICTURE, CAMERA, index, '', around), settings)
    np.testing.assert_allclose(1.0 / last.depth, 0.26 if pose is None else 0.255, rtol=1e-4)
    assert ('TF' in post.temporal_problem) == (pose is None)
    post.finish(raw, FRAME, EstimatorSettings())
    assert post.temporal_problem == ''


def test_share_of_variance_that_frames_have_in_common_is_that_of_the_model_or_the_setting():
    sigmas = []
    for given, chosen in ((0.6, 0.0), (0.9, 0.0), (0.9, 0.6)):
        settings = EstimatorSettings(
            filters__temporal='motion',
            filters__flying_pixels=False,
            filters__temporal_correlation=chosen,
        )
        post = Postprocessor(given)
        raw = RawEstimate(*np.float32([[[0.25]], [[0.01]]]) * np.ones((6, 8), np.float32), SCALE)
        around = Surroundings(fixed_from_camera=np.eye(4))
        for _ in range(3):
            last = post.finish(raw, MonoFrame(PICTURE, CAMERA, 0, '', around), settings)
        sigmas.append(last.sigma[0, 0] / 0.16)
    # Three frames: share + (1 - share) / 3 of the variance.
    np.testing.assert_allclose(
        np.square(sigmas), [0.6 + 0.4 / 3, 0.9 + 0.1 / 3, 0.6 + 0.4 / 3], 4e-3
    )


def test_tail_and_gross_share_travel_with_the_estimate():
    estimate = finished(0.25, 0.01, tail='student4', gross_share=0.07)
    assert (estimate.tail, estimate.gross_share) == ('student4', 0.07)
    assert (finished(0.25, 0.01).tail, finished(0.25, 0.01).gross_share) == ('gauss', 0.0)


def test_flying_filter_of_the_estimate_looks_at_sigma():
    depth = np.tile(np.float32([2.0, 2.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0]), (6, 1))
    kept = {}
    for sigma_m in (0.1, 0.9):
        raw = RawEstimate(1.0 / depth, np.float32(sigma_m) / depth**2, SCALE)
        kept[sigma_m] = Postprocessor().finish(raw, FRAME, EstimatorSettings(
            max_relative_sigma=0.5)).valid[:, 3]  # fmt: skip
    assert not kept[0.1].any()
    assert kept[0.9].all()


# Names of the settings all estimators share, each with a value that changes the scene below.
SHARED = {
    'min_depth_m': 1.8,
    'max_depth_m': 3.5,
    'max_relative_sigma': 0.015,
    'filters.speckle_area_px': 30,
    'filters.speckle_jump': 0.2,
    'filters.flying_pixels': False,
    'filters.flying_jump': 1.0,
    'filters.flying_angle_deg': 20.0,
    'filters.flying_sigmas': 30.0,
    'filters.temporal': 'motion',
    'filters.temporal_weight': 0.5,
    'filters.temporal_correlation': 0.2,
}


def cluttered(gain, stamp_ns):
    """Return a slope behind a board with a flying column beside it, and a speckle of 25 px."""
    camera = PinholeCamera(60, 40, 50.0, 50.0, 29.5, 19.5)
    depth = np.tile(np.linspace(3.0, 6.0, 60), (40, 1))
    depth[:, :20], depth[:, 20] = 1.5, 2.2
    depth[30:35, 40:45] *= 0.9
    rho = (gain / depth).astype(np.float32)
    still = Surroundings(fixed_from_camera=np.eye(4))
    picture = Picture(np.zeros((40, 60), np.uint8), 'grey')
    frame = MonoFrame(picture, camera, stamp_ns=stamp_ns, surroundings=still)
    return RawEstimate(rho, np.float32(0.05) * rho, SCALE), frame


def judged(settings):
    post = Postprocessor()
    post.finish(*cluttered(1.01, 0), settings)
    return post.finish(*cluttered(1.0, 10**8), settings).depth


@pytest.mark.parametrize('name', SHARED)
def test_setting_changes_the_estimate(name):
    base = {}
    if name == 'filters.speckle_jump':
        base = {'filters__speckle_area_px': 30}
    if name == 'filters.flying_angle_deg':
        base = {'filters__flying_jump': 1.0}
    if name == 'filters.temporal_correlation':
        base = {'filters__temporal': 'motion'}
    changed = base | {declarations_of(EstimatorSettings)[name].field: SHARED[name]}
    usual = judged(EstimatorSettings(**base))
    assert np.isfinite(usual).mean() > 0.9
    assert not np.array_equal(usual, judged(EstimatorSettings(**changed)), equal_nan=True)


def test_every_shared_setting_is_tried():
    apart = {'model', 'backend', 'threads'}  # of the backends
    declared = declarations_of(EstimatorSettings).keys()
    topics = ('ground', 'scale', 'uncertainty', 'camera', 'tensorrt')
    elsewhere = {name for name in declared if name.partition('.')[0] in topics}
    assert declared - elsewhere == SHARED.keys() | apart
