"""The parts of the stereo network that have a known answer."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip('torch', reason='training needs PyTorch (training/requirements.txt)')

from training.stereo.blocks import Widths  # noqa: E402
from training.stereo.evidence import correlation, folded, unfolded  # noqa: E402
from training.stereo.export import export  # noqa: E402
from training.stereo.losses import losses, plane_cross_entropy, Weights  # noqa: E402
from training.stereo.model import StereoNetwork  # noqa: E402
from training.stereo.refinement import expected, neighbours  # noqa: E402
from training.stereo.semantics import Semantics  # noqa: E402
from training.stereo.train import learning_rate, Training  # noqa: E402
from training.stereo.volume import shifted  # noqa: E402


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    found = StereoNetwork().eval()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return found


def test_correlation_compares_left_with_right_at_every_disparity():
    torch.manual_seed(1)
    left, right, planes = torch.randn(1, 3, 2, 10), torch.randn(1, 3, 2, 20), 8
    found = correlation(left, right, planes)
    assert found.shape == (1, 2, 10, planes)
    for x in range(10):
        for plane in range(planes):
            column = 2 * x - (planes - 1 - plane)
            product = (left[0, :, 1, x] * right[0, :, 1, column]).sum() if column >= 0 else 0.0
            assert found[0, 1, x, plane] == pytest.approx(float(product), abs=1e-5)


def test_folding_puts_four_planes_into_one():
    evidence = [torch.randn(2, 4, 6, 16) for _ in range(2)]
    x = folded(evidence)
    assert x.shape == (2, 4, 8, 4, 6)
    assert (x[1, 3, 2 * 1 + 0] == evidence[0][1, :, :, 13]).all()
    assert (x[0, 2, 2 * 3 + 1] == evidence[1][0, :, :, 11]).all()


def test_unfolding_spreads_cells_and_planes():
    x = torch.randn(1, 4, 16, 3, 5)
    found = unfolded(x)
    assert found.shape == (1, 6, 10, 16)
    assert found[0, 3, 8, 4 * 2 + 3] == x[0, 2, 4 * 3 + 2 * 1 + 0, 1, 4]


def test_shifted_channels_come_from_the_neighbour_planes():
    x = torch.randn(1, 5, 8, 2, 2)
    found = shifted(x)
    assert (found[:, :-1, :2] == x[:, 1:, :2]).all()
    assert (found[:, 1:, 2:4] == x[:, :-1, 2:4]).all()
    assert (found[:, :, 4:] == x[:, :, 4:]).all()
    assert not found[:, -1, :2].any()
    assert not found[:, 0, 2:4].any()


def test_expectation_is_over_the_best_planes_only():
    score = torch.full((1, 1, 1, 32), -20.0)
    score[..., 31 - 10], score[..., 31 - 11], score[..., 2] = 5.0, 5.0, 4.9
    disparity, mass, everywhere, places = expected(score)
    assert float(disparity) == pytest.approx(21.0, abs=1e-3)
    assert 0.6 < float(mass) < 0.7
    assert float(everywhere) > 30.0
    assert places.shape == (1, 1, 1, 5)


def test_neighbours_are_in_rows_and_columns():
    x = torch.arange(24.0).view(1, 1, 4, 6)
    found = neighbours(x, (-1, 0, 1))
    assert found.shape == (1, 9, 4, 6)
    assert (found[0, 4] == x[0, 0]).all()
    assert found[0, 0, 2, 3] == x[0, 0, 1, 2]
    assert found[0, 5, 2, 5] == x[0, 0, 2, 5]  # repeated at the border


def test_untrained_network_takes_the_best_evidence():
    """Before anything is learned, the score is the evidence: a shifted picture is found."""
    torch.manual_seed(2)
    image = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 96, 240), 3, 1, 1)
    with torch.no_grad():
        found = StereoNetwork().eval()(image[..., :192], image[..., 16 : 16 + 192], 16)
    assert (found.coarse[0, 0, 4:-4, 10:-4] - 16.0).abs().median() < 0.5


def test_range_and_size_are_free(network):
    pair = torch.rand(2, 1, 3, 64, 96)
    with torch.no_grad():
        for planes in (16, 48):
            found = network(pair[0], pair[1], planes)
            assert found.disparity.shape == found.log_variance.shape == (1, 1, 64, 96)
            assert found.score.shape == (1, 16, 24, planes)


def test_exported_file_answers_the_same(network, tmp_path, monkeypatch):
    """Among other things: strides of the encoder, which is padded as TensorFlow pads."""
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnx')
    network = copy.deepcopy(network)
    semantics = network.context.semantics
    with torch.no_grad():
        for module in semantics.encoder.modules():  # so that what the encoder sees counts
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
        for last in (semantics.to8, semantics.at8, semantics.to16, semantics.to32):
            torch.nn.init.normal_(last.weight, 0.0, 0.3)
    monkeypatch.setattr('training.onnx_file.store_as_half', lambda _model: None)
    export(network, tmp_path / 'net.onnx', 64)
    session = onnxruntime.InferenceSession(
        str(tmp_path / 'net.onnx'), providers=['CPUExecutionProvider']
    )
    image = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 64, 128), 3, 1, 1)
    pair = image[..., :96], image[..., 8:104]
    with torch.no_grad():
        wanted = network(*pair, 32)
    feeds = {'left': pair[0].numpy(), 'right': pair[1].numpy()}
    disparity, log_variance = session.run(None, feeds)
    assert (torch.from_numpy(disparity) - wanted.disparity).abs().median() < 5e-4
    assert (torch.from_numpy(log_variance) - wanted.log_variance).abs().median() < 5e-4


def test_pictures_of_others_change_nothing_to_begin_with():
    semantics = Semantics(Widths()).eval()
    with torch.no_grad():
        found = semantics(torch.rand(1, 3, 64, 96))
    assert [tuple(x.shape) for x in found] == [(1, 48, 8, 12), (1, 64, 4, 6), (1, 64, 2, 3)]
    assert not any(x.any() for x in found)


def test_encoder_learns_at_a_tenth_of_the_rate_and_keeps_its_statistics(tmp_path):
    training = Training(tmp_path)
    training.network.train()
    encoder = training.network.context.semantics.encoder
    before = encoder._bn0.running_mean.clone()
    training.step(made_up_batch(4), 16, 1e-3)
    rates = {g['lr']: g['params'] for g in training.optimiser.param_groups}
    theirs = {id(p) for p in encoder.parameters()}
    assert {id(p) for p in rates[1e-4]} == theirs
    assert not theirs & {id(p) for p in rates[1e-3]}
    assert torch.equal(encoder._bn0.running_mean, before)


def test_cross_entropy_is_least_at_the_truth():
    score = torch.zeros(1, 1, 1, 32)
    score[..., 31 - 7] = 9.0
    at, beside = (plane_cross_entropy(score, torch.full((1, 1, 1), d)) for d in (14.0, 17.0))
    assert float(at) < 0.01
    assert float(beside) > 4.0


def made_up_batch(seed):
    torch.manual_seed(seed)
    known = torch.ones(1, 1, 64, 96)
    return {
        'left': torch.rand(1, 3, 64, 96),
        'right': torch.rand(1, 3, 64, 96),
        'truth': 11.0 * known,
        'known': known,
        'seen4': torch.ones(1, 16, 24),
    }


def test_training_goes_on_where_it_was_stopped(tmp_path):
    torch.manual_seed(3)
    first = Training(tmp_path, None)
    first.step(made_up_batch(1), 16, 1e-3)
    first.checkpoint.save()
    second = Training(tmp_path, None)
    assert second.state == {'step': 1, 'spent_s': 0.0}
    for training in (first, second):
        training.step(made_up_batch(2), 16, 1e-3)
    for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_rate_rises_and_falls():
    assert learning_rate(0.0, 1.0) < 0.1
    assert learning_rate(0.02, 1.0) == pytest.approx(1.0)
    assert learning_rate(0.5, 1.0) > learning_rate(0.8, 1.0) > learning_rate(1.0, 1.0)
    assert learning_rate(1.0, 1.0) == pytest.approx(0.01)


def test_losses_teach_every_part(network):
    network.train()
    pair = torch.rand(2, 1, 3, 64, 96)
    truth = torch.full((1, 1, 64, 96), 11.0)
    found = network(pair[0], pair[1], 32)
    total, parts = losses(found, truth, torch.ones_like(truth), torch.ones(1, 16, 24), Weights())
    network.zero_grad()
    total.backward()
    network.eval()
    assert torch.isfinite(total)
    epe = float((found.disparity.detach() - 11.0).abs().mean())
    assert float(parts['epe']) == pytest.approx(epe)
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []
