"""The gate lets rounding pass, and nothing else."""

from depth_perception.inference.engine_inputs import (
    fixed_size,
    inputs_at,
    size_for_image,
    size_of,
)
from depth_perception.inference.onnx_network import Rung
from depth_perception.inference.parity_gate import (
    check_parity,
    compare,
    LIMITS,
    Limits,
    used_outputs,
)
import numpy as np
import pytest

TIGHT = Limits(0.01, 0.05)
DEPTH = np.add.outer(np.linspace(0.5, 4.0, 40), np.linspace(0.0, 2.0, 50)).astype(np.float32)


def judged(found, wanted=DEPTH, limits=TIGHT):
    return compare({'depth': wanted}, {'depth': found}, ['depth'], limits)


def test_the_same_numbers_pass():
    verdict = judged(DEPTH.copy())
    assert (verdict.problem, verdict.mean, verdict.p99) == ('', 0.0, 0.0)


def test_rounding_to_half_passes_and_fp32_is_held_to_more():
    half = DEPTH.astype(np.float16).astype(np.float32)
    verdict = judged(half, limits=LIMITS[Rung.HALF])
    assert verdict.problem == ''
    assert 0.0 < verdict.mean < 0.001
    assert judged(DEPTH + 0.01, limits=LIMITS[Rung.FULL]).problem
    assert not judged(DEPTH + 0.01, limits=LIMITS[Rung.HALF]).problem


@pytest.mark.parametrize(
    'found',
    [
        1.1 * DEPTH,
        DEPTH + 0.1,
        DEPTH[::-1],
        DEPTH[:, ::-1],
        np.roll(DEPTH, 3, axis=1),
        np.full_like(DEPTH, DEPTH.mean()),
        np.zeros_like(DEPTH),
        np.where(np.indices(DEPTH.shape)[0] < 2, 50.0, DEPTH),
    ],
)
def test_other_numbers_do_not(found):
    assert 'allowed' in judged(found).problem


def test_mean_and_percentile_are_shares_of_the_range():
    found = DEPTH.copy()
    found[:4] += 0.3  # a tenth of the pixels
    low, high = np.percentile(DEPTH, (5, 95))
    verdict = judged(found, limits=Limits(1.0, 1.0))
    assert verdict.mean == pytest.approx(0.03 / (high - low), rel=1e-5)
    assert verdict.p99 == pytest.approx(0.3 / (high - low), rel=1e-5)


def test_a_few_pixels_that_are_far_off_are_enough():
    found = DEPTH.copy()
    found.flat[::60] += 1.0
    verdict = judged(found)
    assert verdict.mean < 0.01
    assert 'allowed' in verdict.problem


class Echo:
    """A network that gives the picture back, perhaps not all pictures."""

    def __init__(self, wrong_scene=None):
        self.runs, self.wrong_scene = 0, wrong_scene

    def infer(self, feeds):
        wrong = self.runs == self.wrong_scene
        self.runs += 1
        return {'depth': feeds['image'] + 0.5 * wrong}


@pytest.mark.parametrize('scene', [0, 1, 2])
def test_every_scene_counts(networks, tmp_path, scene):
    card = networks.card_of(networks.cnn(tmp_path / 'cnn.onnx'))
    assert check_parity(Echo(), Echo(), card, (48, 32), Rung.FULL).problem == ''
    assert check_parity(Echo(scene), Echo(), card, (48, 32), Rung.HALF).problem


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_one_number_that_is_not_finite_is_enough(bad):
    found = DEPTH.copy()
    found[3, 4] = bad
    assert 'not finite at 1 of 2000' in judged(found).problem


def test_what_the_reference_does_not_know_is_not_compared():
    wanted = DEPTH.copy()
    wanted[0] = np.nan
    assert judged(DEPTH, wanted).problem == ''
    assert judged(DEPTH, np.full_like(DEPTH, np.nan)).problem == ''


def test_another_shape_and_a_missing_output_are_named():
    assert 'has the shape (39, 50)' in judged(DEPTH[1:]).problem
    assert compare({}, {}, ['depth'], TIGHT).problem == 'the output depth is missing'


def test_a_single_number_is_compared_relatively():
    wanted = np.array([2.0], np.float32)
    assert judged(wanted * 1.005, wanted).problem == ''
    assert judged(wanted * 1.02, wanted).problem


def test_a_constant_map_is_compared_relatively():
    flat = np.full((20, 20), 3.0, np.float32)
    assert judged(flat + 0.001, flat).problem == ''
    assert judged(flat + 0.1, flat).problem


def test_truth_values_may_differ_in_a_hundredth():
    wanted = DEPTH > 2.0
    found = wanted.copy()
    found.flat[:20] ^= True
    assert judged(found, wanted).problem == ''
    found.flat[20] ^= True
    assert 'differs in' in judged(found, wanted).problem


def test_inputs_are_fixed_varied_and_like_those_of_frames(networks, tmp_path):
    card = networks.card_of(networks.cnn(tmp_path / 'cnn.onnx'))
    scenes = [inputs_at(card, (48, 32), scene)['image'] for scene in range(3)]
    assert scenes[0].shape == (1, 3, 32, 48)
    assert scenes[0].min() >= 0.0
    assert scenes[0].max() <= 1.0
    np.testing.assert_array_equal(scenes[1], inputs_at(card, (48, 32), 1)['image'])
    assert min(np.abs(scenes[0] - scenes[i]).mean() for i in (1, 2)) > 0.05
    assert min(scene.std() for scene in scenes) > 0.03


def test_stereo_inputs_lie_apart(tmp_path):
    from depth_perception.inference.cards import load_card

    feeds = inputs_at(load_card('window-stereo'), (64, 48))
    left, right = (array.astype(np.float32) for array in feeds.values())
    assert left.shape == right.shape
    np.testing.assert_array_equal(left[..., -1, 10:40], right[..., -1, 7:37])
    assert np.abs(left - right).mean() > 1.0 / 255.0 * max(left.max(), 1.0)


def test_size_is_fixed_by_the_file_or_the_policy(networks, tmp_path):
    from depth_perception.inference.backend import TensorSpec

    path = networks.cnn(tmp_path / 'cnn.onnx')
    free = (TensorSpec('image', 'float32', (1, 3, None, None)),)
    bound = (TensorSpec('image', 'float32', (1, 3, 64, 80)),)
    stretched = networks.card_of(path)
    assert fixed_size(stretched, free) == (48, 32)
    assert fixed_size(stretched, bound) == (80, 64)
    follows = networks.card_of(path, resize='{policy: lower_bound, size: 64, multiple: 8}')
    assert fixed_size(follows, free) is None
    assert size_for_image(follows, free, (640, 480)) == (88, 64)
    assert size_of(follows, {'image': (1, 3, 64, 88)}) == (88, 64)


def test_every_card_gets_inputs_that_its_network_takes(prover, tmp_path):
    from depth_perception.inference.cards import load_card, with_tensor_names
    from depth_perception.inference.ort_backend import OrtBackend

    for name, net in prover.NETWORKS.items():
        file = prover.stand_in_card(name, net, prover.scene_for(net, (158, 118)), tmp_path)
        with OrtBackend(tmp_path / 'stand_in.onnx', 1) as backend:
            card = with_tensor_names(load_card(str(file)), backend)
            size = size_for_image(card, backend.inputs, (158, 118))
            feeds = inputs_at(card, size, scene=2)
            problems = [spec.problem(feeds[spec.name]) for spec in backend.inputs]
            assert set(problems) == {None}, name
            assert size_of(card, {n: array.shape for n, array in feeds.items()}) == size
            assert used_outputs(card) <= {spec.name for spec in backend.outputs}


def test_only_the_outputs_that_a_card_uses_are_compared():
    from depth_perception.inference.cards import load_card

    assert used_outputs(load_card('window-stereo')) >= {'disparity'}
