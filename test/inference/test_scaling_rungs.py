"""Which rungs card and settings allow, what is stored, and what a reset forgets."""

from dataclasses import replace
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.estimate import Rung
from depth_perception.core.frame import GroundPose, MonoFrame, Picture, Surroundings
from depth_perception.core.scale_types import References
from depth_perception.inference import scaling
from depth_perception.inference.cards import load_card
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.scaling import ground_pose, MetricScaler
from depth_perception.parameters import MonoEstimatorSettings
import numpy as np
import pytest

pytest.importorskip('onnxruntime')
CAMERA = PinholeCamera(96, 64, 120.0, 120.0, 47.5, 31.5)
RHO = np.add.outer(np.linspace(0.2, 0.8, 64), np.linspace(0.0, 0.4, 96))
FRAME_NS = 100_000_000


@pytest.fixture
def card(tmp_path, coded_network):
    return lambda *kind, **keys: coded_network.write_network(tmp_path, *kind, **keys)


@pytest.fixture
def frame(coded_network):
    def made(output, stamp=1, references=None):
        picture = Picture(coded_network.picture_of(output), 'rgb')
        around = Surroundings(references=references)
        return MonoFrame(picture, CAMERA, stamp * FRAME_NS, 'cam', around)

    return made


def measured(count=300):
    v, u = np.random.default_rng(0).integers(0, (64, 96), (count, 2)).T
    return References(u, v, RHO[v, u], 0.01 * RHO[v, u])


def ratio(estimate):
    """Return the median of depth over truth."""
    return float(np.median((estimate.depth * RHO)[estimate.valid]))


def scaler_of(path, **settings):
    return MetricScaler(load_card(str(path))), MonoEstimatorSettings(model=str(path), **settings)


@pytest.mark.parametrize(
    ('modes', 'settings', 'wanted'),
    [
        (['none'], {}, 'references ground_plane prior'),
        (['sparse'], {}, 'references'),
        (['stereo'], {}, 'references'),
        (['ground', 'prior'], {}, 'ground_plane prior'),
        (['sparse'], {'scale__plugin': 'guess'}, 'references plugin'),
        (['sparse'], {'scale__method': 'network'}, ''),
        (['sparse'], {'scale__method': 'ground'}, 'ground_plane'),
        (['ground'], {'scale__method': 'references'}, 'references'),
        (['sparse'], {'scale__method': 'plugin'}, 'plugin'),
    ],
)
def test_rungs_of_card_and_settings(card, modes, settings, wanted):
    scaler, made = scaler_of(card(scale={'modes': modes}), **settings)
    assert {rung.value for rung in scaler.rungs(made)} == {*wanted.split()}
    assert bool(scaler.missing(made)) is (settings.get('scale__method') == 'network')


def test_a_metric_network_takes_references_only(card):
    scaler, made = scaler_of(card(output={'kind': 'depth_metric', 'tensor': 'depth'}))
    assert scaler.rungs(made) == {Rung.REFERENCES}
    assert scaler.missing(replace(made, scale__method='network')) == ''


def test_where_the_floor_is_by_the_parameters(frame):
    settings = MonoEstimatorSettings(
        ground__camera_height_m=1.2,
        ground__pitch_deg=10.0,
        ground__roll_deg=-3.0,
        ground__height_sigma_m=0.05,
        ground__tilt_sigma_deg=0.7,
    )
    seen = frame(0.5 * RHO)
    angles = [math.radians(degrees) for degrees in (10.0, -3.0, 0.7)]
    assert ground_pose(seen, settings) == GroundPose(1.2, *angles[:2], 0.05, angles[2])
    assert ground_pose(seen, replace(settings, ground__camera_height_m=0.0)) is None


def test_a_plug_in_is_opened_once_and_anew_under_another_name(card, monkeypatch):
    opened = []
    made = lambda name: opened.append(name) or name  # noqa: E731
    monkeypatch.setattr(scaling, 'open_plugin', made)
    scaler, settings = scaler_of(card())
    for name in ('', 'one', 'one', '', 'two'):
        scaler.open(replace(settings, scale__plugin=name))
    assert opened == ['one', 'two']


def test_stored_scale_of_the_card_and_of_a_network_in_depth(frame, card):
    stored = {'modes': ['prior'], 'prior': {'s': 1.6, 't': -0.05, 'sigma': [0.8, 0.0]}}
    output = (RHO + 0.05) / 0.8 / 2.0
    with open_estimator(MonoEstimatorSettings(model=card(scale=stored))) as estimator:
        estimate = estimator.estimate(frame(output))
    assert estimate.scale.covariance == ((pytest.approx(0.64), 0.0), (0.0, 0.0))
    model = card('depth_affine', uncertainty={'relative_floor': 0.0})
    settings = MonoEstimatorSettings(
        model=model, scale__prior_s=11.0, scale__prior_t=-0.7, max_relative_sigma=1.0
    )
    with open_estimator(settings) as estimator:
        estimate = estimator.estimate(frame((1.0 / RHO + 0.7) / 11.0))
    assert ratio(estimate) == pytest.approx(1.0, abs=0.002)
    wide = 0.3 / (1.0 - 0.3**2)  # of a common factor: the same for all pixels
    np.testing.assert_allclose((estimate.sigma / estimate.depth)[estimate.valid], wide, rtol=0.02)


def test_a_reset_lets_a_metric_network_be_itself_again(frame, card):
    model = card(output={'kind': 'depth_metric', 'tensor': 'depth', 'gain': 20.0})
    output = 1.1 / RHO / 20.0
    with open_estimator(MonoEstimatorSettings(model=model)) as estimator:
        first = estimator.estimate(frame(output, references=measured()))
        assert first.scale.rung is Rung.REFERENCES
        estimator.reset()
        after = estimator.estimate(frame(output, 2))
    assert (after.scale.rung, after.report.failures) == (Rung.NETWORK, ())
    assert ratio(after) == pytest.approx(1.1, rel=0.001)
