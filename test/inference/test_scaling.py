"""Relative networks made metric through the whole estimator, on rendered scenes with known truth.

The network of these tests reads its answer from the picture: the red and the green channel are
the two bytes of a number, so that any output can be given to it with 16 bits.
"""

from dataclasses import replace
import math

from depth_perception.core.estimate import Rung
from depth_perception.core.frame import (
    GroundPose,
    MonoFrame,
    Picture,
    StereoFrame,
    Surroundings,
)
from depth_perception.core.scale_types import References, ScaleFit
from depth_perception.errors import ModelError, NotMetricError, SettingsError
from depth_perception.evaluation.rendered import rendered_scene
from depth_perception.inference import scale_plugin
from depth_perception.inference.estimator import open_estimator
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
import numpy as np
import pytest

FRAME_NS = 100_000_000
CODES = 65535.0


@pytest.fixture(scope='module')
def scene():
    pytest.importorskip('cv2')
    return rendered_scene()


@pytest.fixture
def card(tmp_path, coded_network):
    """Return what writes a network that decodes such pictures, and its card."""
    return lambda *kind, **keys: coded_network.write_network(tmp_path, *kind, **keys)


def coded(output):
    """Return a picture whose two bytes hold `output`, 0 to 1; unknown is 0."""
    code = np.rint(np.nan_to_num(output) * CODES).astype(np.int64)
    planes = [code >> 8, code & 255, np.zeros_like(code)]
    return Picture(np.stack(planes, axis=-1).astype(np.uint8), 'rgb')


def measured(truth, count=200, seed=3, sigma=0.01, outliers=0.0):
    """Return references at random pixels, with noise and gross errors."""
    generator = np.random.default_rng(seed)
    v, u = (
        generator.integers(0, truth.shape[0], count),
        generator.integers(0, truth.shape[1], count),
    )
    rho = 1.0 / truth[v, u] * generator.normal(1.0, sigma, count)
    wrong = generator.random(count) < outliers
    rho[wrong] *= generator.uniform(1.3, 3.0, int(wrong.sum()))
    return References(u, v, rho, sigma * rho)


def frame_of(scene, output, stamp=1, **known):
    return MonoFrame(coded(output), scene.rig.left, stamp * FRAME_NS, 'cam', Surroundings(**known))


def inverse_output(truth, s=0.8, t=-0.05):
    """Return the output of an affine network: o = (rho - t) / s."""
    return ((1.0 / truth - t) / s).astype(np.float64)


def ratio(estimate, truth):
    """Return the median of depth over truth."""
    return float(np.median((estimate.depth / truth)[estimate.valid]))


def abs_rel(estimate, truth):
    return float(np.mean(np.abs(estimate.depth / truth - 1.0)[estimate.valid]))


def test_affine_network_becomes_metric_by_references(scene, card):
    frame = frame_of(scene, inverse_output(scene.truth), references=measured(scene.truth))
    with open_estimator(MonoEstimatorSettings(model=card())) as estimator:
        estimate = estimator.estimate(frame)
    assert abs_rel(estimate, scene.truth) < 0.004
    assert estimate.valid.mean() > 0.95
    assert estimate.scale.rung is Rung.REFERENCES
    assert (estimate.scale.s, estimate.scale.t) == pytest.approx((0.8, -0.05), abs=0.01)
    assert estimate.scale.references == 160  # the others watch sigma
    assert estimate.report.inliers >= 144
    # 2 % of the card and the small doubt about the scale.
    assert np.nanmedian(estimate.sigma / estimate.depth) == pytest.approx(0.02, rel=0.1)


def test_network_affine_in_depth_is_fitted_in_depth(scene, card):
    output = (scene.truth + 0.7) / 11.0
    frame = frame_of(scene, output, references=measured(scene.truth))
    with open_estimator(MonoEstimatorSettings(model=card('depth_affine'))) as estimator:
        estimate = estimator.estimate(frame)
    assert abs_rel(estimate, scene.truth) < 0.005
    assert (estimate.scale.s, estimate.scale.t) == pytest.approx((11.0, -0.7), rel=0.03)
    assert np.nanmedian(estimate.sigma / estimate.depth) == pytest.approx(0.02, rel=0.15)


def test_depth_up_to_a_factor_needs_no_shift(scene, card):
    frame = frame_of(scene, scene.truth / 13.0, references=measured(scene.truth, count=60))
    with open_estimator(MonoEstimatorSettings(model=card('depth_scale'))) as estimator:
        estimate = estimator.estimate(frame)
    assert abs_rel(estimate, scene.truth) < 0.004
    assert estimate.scale.t == 0.0


def test_metric_network_is_corrected_by_references_and_is_itself_without(scene, card):
    output = {'kind': 'depth_metric', 'tensor': 'depth', 'gain': 20.0}
    model = card(output=output)
    wrong = 1.17 * scene.truth / 20.0
    with open_estimator(MonoEstimatorSettings(model=model)) as estimator:
        alone = estimator.estimate(frame_of(scene, wrong))
        assert alone.scale.rung is Rung.NETWORK
        assert ratio(alone, scene.truth) == pytest.approx(1.17, rel=0.001)
        assert (alone.report.jump, alone.report.failures) == ('', ())
        given = measured(scene.truth)
        held = [estimator.estimate(frame_of(scene, wrong, n, references=given)) for n in (2, 3)]
        assert [frame.scale.rung for frame in held] == [Rung.NETWORK] * 2
        assert all('held back' in frame.report.jump for frame in held)
        assert ratio(held[1], scene.truth) == pytest.approx(1.17, rel=0.001)
        refined = estimator.estimate(frame_of(scene, wrong, 4, references=given))
        assert refined.scale.rung is Rung.REFERENCES
        assert 'for good' in refined.report.jump
        assert ratio(refined, scene.truth) == pytest.approx(1.0, abs=0.003)
        carried = estimator.estimate(frame_of(scene, wrong, 5))
        assert carried.scale.rung is Rung.FILTERED
        assert ratio(carried, scene.truth) == pytest.approx(1.0, abs=0.003)
    untouched = MonoEstimatorSettings(model=model, scale__method='network')
    with open_estimator(untouched) as estimator:
        frame = frame_of(scene, wrong, references=measured(scene.truth))
        assert ratio(estimator.estimate(frame), scene.truth) == pytest.approx(1.17, rel=0.001)


def test_third_of_the_references_may_be_wrong(scene, card):
    references = measured(scene.truth, outliers=0.3)
    frame = frame_of(scene, inverse_output(scene.truth), references=references)
    with open_estimator(MonoEstimatorSettings(model=card())) as estimator:
        assert abs_rel(estimator.estimate(frame), scene.truth) < 0.01


@pytest.mark.parametrize('kind', ['inv_depth_affine', 'depth_affine', 'depth_scale'])
def test_floor_gives_the_scale(scene, card, kind):
    truth = scene.truth
    output = {
        'inv_depth_affine': inverse_output(truth),
        'depth_affine': (truth + 0.7) / 11.0,
        'depth_scale': truth / 13.0,
    }[kind]
    settings = MonoEstimatorSettings(model=card(kind), ground__camera_height_m=1.0)
    with open_estimator(settings) as estimator:
        estimate = estimator.estimate(frame_of(scene, output))
    assert estimate.scale.rung is Rung.GROUND_PLANE
    assert estimate.report.failures[0] == (Rung.REFERENCES, 'there are no references')
    assert ratio(estimate, truth) == pytest.approx(1.0, abs=0.02)
    assert estimate.scale.sigma_relative >= 0.01  # that of the height


def test_height_of_tf_wins_over_the_parameter(scene, card):
    settings = MonoEstimatorSettings(model=card(), ground__camera_height_m=1.0)
    frame = frame_of(scene, inverse_output(scene.truth), ground=GroundPose(2.0, 0.0))
    with open_estimator(settings) as estimator:
        assert ratio(estimator.estimate(frame), scene.truth) == pytest.approx(2.0, abs=0.04)


def test_without_any_source_nothing_is_metric_and_every_reason_is_told(scene, card):
    model = card(scale={'modes': ['sparse', 'ground', 'prior']})
    frame = frame_of(scene, inverse_output(scene.truth), problem='reference/points is 0.8 s old')
    with (
        open_estimator(MonoEstimatorSettings(model=model)) as estimator,
        pytest.raises(NotMetricError) as raised,
    ):
        estimator.estimate(frame)
    for words in (
        'relative depth (inv_depth_affine), which has no unit',
        'references: there are no references',
        'ground_plane: no ground plane is known',
        'prior: no scale is stored',
        'reference/points is 0.8 s old',
        'scale.prior_s',
    ):
        assert words in str(raised.value)


def test_stored_scale_is_the_last_resort_with_a_wide_sigma(scene, card):
    settings = MonoEstimatorSettings(
        model=card(), scale__prior_s=0.8, scale__prior_t=-0.05, scale__prior_sigma=0.1
    )
    with open_estimator(settings) as estimator:
        estimate = estimator.estimate(frame_of(scene, inverse_output(scene.truth)))
    assert estimate.scale.rung is Rung.PRIOR
    assert estimate.valid.mean() > 0.9
    assert ratio(estimate, scene.truth) == pytest.approx(1.0, abs=0.002)
    wide = 0.3 / (1.0 - 0.3**2)  # half the central 68.3 % of 1 / rho
    assert np.nanmedian(estimate.sigma / estimate.depth) == pytest.approx(wide, rel=0.01)


def test_card_and_parameter_choose_the_rungs(scene, card):
    output = inverse_output(scene.truth)
    known = {'references': measured(scene.truth)}
    only_floor = card(scale={'modes': ['ground']})
    with (
        open_estimator(MonoEstimatorSettings(model=only_floor)) as estimator,
        pytest.raises(
            NotMetricError, match=r'this card knows: ground.*Give it the floor \(.*\), or choose'
        ),
    ):
        estimator.estimate(frame_of(scene, output, **known))
    settings = MonoEstimatorSettings(
        model=card(), scale__method='ground', ground__camera_height_m=1.0
    )
    with open_estimator(settings) as estimator:
        estimate = estimator.estimate(frame_of(scene, output, **known))
        assert estimate.scale.rung is Rung.GROUND_PLANE


def test_jump_of_one_frame_is_held_back_and_told(scene, card):
    output = inverse_output(scene.truth)
    right, wrong = measured(scene.truth), measured(1.3 * scene.truth)
    with open_estimator(MonoEstimatorSettings(model=card())) as estimator:
        ratios, jumps = [], []
        for stamp in range(1, 12):
            given = wrong if stamp == 4 or stamp >= 8 else right
            estimate = estimator.estimate(frame_of(scene, output, stamp, references=given))
            ratios.append(ratio(estimate, scene.truth))
            jumps.append(estimate.report.jump)
    np.testing.assert_allclose(ratios[:9], 1.0, atol=0.01)  # frame 4 and the first of the change
    assert 'held back' in jumps[3]
    assert ratios[10] == pytest.approx(1.3, abs=0.01)
    assert any('followed' in jump for jump in jumps[7:11])
    assert jumps[4] == ''


def test_scale_of_a_rung_that_is_no_longer_wanted_is_not_carried_on(scene, card):
    output = inverse_output(scene.truth)
    settings = MonoEstimatorSettings(model=card(), scale__method='references')
    with open_estimator(settings) as estimator:
        given = measured(scene.truth)
        assert estimator.estimate(frame_of(scene, output, 1, references=given)).valid.any()
        estimator.settings = replace(settings, scale__method='ground')
        with pytest.raises(NotMetricError):
            estimator.estimate(frame_of(scene, output, 2))


def test_pair_scales_a_network_on_its_left_image(scene, card):
    """The matcher sees grey pictures, the network a code: so the code is put in its backend."""
    settings = StereoEstimatorSettings(model=card(), max_depth_m=20.0)
    frame = StereoFrame(
        Picture(scene.left, 'rgb'), Picture(scene.right, 'rgb'), scene.rig, FRAME_NS
    )
    output = inverse_output(scene.truth).astype(np.float32)
    with open_estimator(settings) as estimator:
        estimator.backend._infer = lambda _: {'depth': output[None, None]}
        estimate = estimator.estimate(frame)
    assert estimate.scale.rung is Rung.REFERENCES
    assert estimate.report.measured_by == 'checked matches of the pair'
    assert estimate.scale.references == 600  # of 2000 matches, what a fit looks at
    assert abs_rel(estimate, scene.truth) < 0.01
    assert estimate.valid.mean() > 0.95
    expected = scene.rig.focal_baseline / estimate.depth - scene.rig.doffs_px
    np.testing.assert_allclose(
        estimate.disparity.values[estimate.valid], expected[estimate.valid], rtol=1e-3
    )


class Guess:
    """A plug-in that guesses from the brightness, as one with captions would."""

    def scale(self, image, output, camera):
        assert output.shape == (camera.height, camera.width) == image.pixels.shape[:2]
        return ScaleFit(0.8, -0.05, np.zeros((2, 2)))


class Point:
    name = 'guess'

    def __init__(self, made):
        self.load = lambda: made


def test_plugin_is_off_unless_named_and_never_believed_too_much(scene, card, monkeypatch):
    monkeypatch.setattr(scale_plugin, 'entry_points', lambda **_: [Point(Guess)])
    frame = frame_of(scene, inverse_output(scene.truth))
    with (
        open_estimator(MonoEstimatorSettings(model=card())) as estimator,
        pytest.raises(NotMetricError),
    ):
        estimator.estimate(frame)
    with open_estimator(MonoEstimatorSettings(model=card(), scale__plugin='guess')) as estimator:
        estimate = estimator.estimate(frame)
    assert estimate.scale.rung is Rung.PLUGIN
    assert ratio(estimate, scene.truth) == pytest.approx(1.0, abs=0.002)
    assert estimate.scale.sigma_relative == pytest.approx(0.15)
    with pytest.raises(SettingsError, match='there are guess'):
        open_estimator(MonoEstimatorSettings(model=card(), scale__plugin='other'))


def test_defect_of_a_plugin_costs_its_guess_only(scene, card, monkeypatch):
    class Broken:
        def scale(self, *_):
            raise RuntimeError('no caption')

    monkeypatch.setattr(scale_plugin, 'entry_points', lambda **_: [Point(Broken)])
    settings = MonoEstimatorSettings(model=card(), scale__plugin='guess', scale__prior_s=0.8)
    with open_estimator(settings) as estimator:
        estimate = estimator.estimate(frame_of(scene, inverse_output(scene.truth)))
    assert estimate.scale.rung is Rung.PRIOR
    reasons = dict(estimate.report.failures)
    assert 'no caption' in reasons[Rung.PLUGIN]


def test_affine_output_along_rays_is_refused(scene, card):
    model = card(output={'kind': 'inv_depth_affine', 'tensor': 'depth', 'geometry': 'ray'})
    frame = frame_of(scene, inverse_output(scene.truth), references=measured(scene.truth))
    with (
        open_estimator(MonoEstimatorSettings(model=model)) as estimator,
        pytest.raises(ModelError, match=r'output\.geometry must be z'),
    ):
        estimator.estimate(frame)


def test_tilted_floor_moves_the_scale_as_its_sigma_says(scene, card):
    tilt = math.radians(2.0)
    truth = np.full(scene.truth.shape, 6.0)  # a wall behind the floor
    with np.errstate(divide='ignore'):
        floor = 1.0 / scene.rig.left.ray_y[:, None]
    np.minimum(truth, floor, out=truth, where=floor > 0.0)
    pose = GroundPose(1.0, tilt, height_sigma_m=0.0, tilt_sigma_rad=tilt)
    with open_estimator(MonoEstimatorSettings(model=card())) as estimator:
        estimate = estimator.estimate(frame_of(scene, inverse_output(truth), ground=pose))
    share = (1.0 / estimate.depth - 1.0 / truth)[estimate.valid]
    # The floor is taken to rise by 2 degrees: every inverse depth grows by tan(2 deg) / h.
    assert np.median(share) == pytest.approx(math.tan(tilt), rel=0.25)
    sigma = (estimate.sigma / np.square(estimate.depth))[estimate.valid]
    assert np.mean(np.abs(share) <= 2.0 * sigma) > 0.9
