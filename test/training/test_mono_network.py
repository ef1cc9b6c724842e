"""The mono network, its losses and its export."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch', reason='training needs PyTorch')

import torch

from training.encoder import Same, TAP_CHANNELS
from training.mono.losses import (
    losses,
    multi_scale_gradient,
    normalised,
    scale_and_shift,
    trimmed_mae,
    Weights,
)
from training.mono.model import MonoNetwork


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(3)
    found = MonoNetwork().eval()
    for module in found.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return found


def some(*shape):
    return torch.from_numpy(np.random.default_rng(5).uniform(0.1, 2.0, shape).astype(np.float32))


def test_the_size_is_within_its_bounds(network):
    count = sum(p.numel() for p in network.parameters())
    assert 1_000_000 < count < 2_500_000


def test_outputs_have_the_size_of_the_input_and_sane_values(network):
    inverse, log_variance = network(some(2, 3, 64, 96) / 2)
    assert inverse.shape == log_variance.shape == (2, 1, 64, 96)
    assert float(inverse.detach().min()) >= 0.0
    assert torch.isfinite(log_variance).all()


def test_stride_two_is_padded_behind_as_the_published_weights_expect():
    layer = Same(1, 1, 3, 2, bias=False)
    with torch.no_grad():
        layer.weight[:] = torch.arange(9.0).view(1, 1, 3, 3)
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 0, 0] = 1.0
    assert layer(image)[0, 0].tolist() == [[0.0, 0.0], [0.0, 0.0]]  # weight [0, 0] is 0
    image[0, 0, 0, 0], image[0, 0, 3, 3] = 0.0, 1.0
    assert layer(image)[0, 0].tolist() == [[0.0, 0.0], [0.0, 4.0]]  # the centre, not the corner


def test_the_encoder_keeps_its_statistics_in_training(network):
    before = network.encoder._bn0.running_mean.clone()
    network.train()
    network(some(2, 3, 64, 64))
    network.eval()
    assert torch.equal(before, network.encoder._bn0.running_mean)


def test_frozen_blocks_have_no_gradient():
    network = MonoNetwork()
    network.freeze(5)
    frozen = [n for n, p in network.named_parameters() if not p.requires_grad]
    assert any('_conv_stem' in n for n in frozen)
    assert any('_blocks.4.' in n for n in frozen)
    assert not any('_blocks.5.' in n for n in frozen)


def test_losses_do_not_see_scale_and_shift():
    truth, known = some(2, 1, 24, 32), torch.ones(2, 1, 24, 32)
    other = truth * torch.tensor([2.0, 0.3]).view(2, 1, 1, 1) + 1.5
    torch.testing.assert_close(
        normalised(other, known), normalised(truth, known), atol=1e-5, rtol=1e-5
    )
    total, parts = losses(other, torch.full_like(truth, -12.0), truth, known, Weights())
    assert float(parts['invariant']) < 1e-5
    assert float(parts['gradient']) < 1e-5
    assert float(parts['relative']) < 1e-5
    left = 0.1 * -6.0 + 0.02 * float(parts['unit'])
    assert float(total) == pytest.approx(left, abs=1e-3)


def test_scale_and_shift_ignores_what_is_not_known():
    x, known = some(1, 1, 24, 32), torch.ones(1, 1, 24, 32)
    truth = 0.7 * x - 0.2
    known[..., :5], truth[..., :5] = 0.0, 99.0
    s, t = scale_and_shift(x, truth, known)
    assert float(s) == pytest.approx(0.7, abs=1e-5)
    assert float(t) == pytest.approx(-0.2, abs=1e-5)


def test_trimming_forgets_the_largest_fifth():
    error = torch.zeros(1, 1, 10, 100)
    error[..., :15] = 50.0
    assert float(trimmed_mae(error, torch.ones_like(error))) == pytest.approx(0.0, abs=1e-6)


def test_gradient_of_a_ramp_grows_with_the_step_of_its_grid():
    ramp = torch.arange(32.0).view(1, 1, 1, 32).expand(1, 1, 32, 32)
    found = multi_scale_gradient(ramp, torch.ones(1, 1, 32, 32), levels=3)
    assert float(found) == pytest.approx((1 + 2 + 4) / 3)


def test_the_unit_part_only_asks_for_a_spread_of_one():
    truth, known = some(1, 1, 24, 32), torch.ones(1, 1, 24, 32)
    one = normalised(truth, known)
    for factor, wanted in ((1.0, 0.0), (10.0, np.log(10.0) ** 2)):
        _, parts = losses(factor * one, torch.zeros_like(one), truth, known, Weights())
        assert float(parts['unit']) == pytest.approx(wanted, abs=1e-4)


def test_sigma_is_learned_where_the_error_is():
    truth, known = some(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    inverse = truth.clone()
    inverse[..., :8] += torch.linspace(-0.5, 0.5, 16).view(16, 1)
    log_variance = torch.zeros(1, 1, 16, 16, requires_grad=True)
    total, _ = losses(inverse, log_variance, truth, known, Weights())
    total.backward()
    mean = log_variance.grad[0, 0].mean(0)
    assert float(mean[:8].mean()) < float(mean[8:].mean())  # falls less where it is wrong


def test_the_exported_graph_says_what_the_network_says(network, tmp_path):
    onnx = pytest.importorskip('onnx')
    onnxruntime = pytest.importorskip('onnxruntime')
    from training.mono.export import export

    path = tmp_path / 'mono.onnx'
    export(network, path)
    assert path.stat().st_size < 5_000_000
    plain = {
        'Add', 'Cast', 'Clip', 'Concat', 'Constant', 'Conv', 'Div', 'Exp', 'Identity', 'Mul',
        'ReduceMean', 'Relu', 'Resize', 'Slice', 'Softplus', 'Sub', 'Tanh',
    }  # fmt: skip
    assert {node.op_type for node in onnx.load(path).graph.node} <= plain
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    for size in ((64, 96), (96, 64)):
        image = some(1, 3, *size) / 2
        found = session.run(None, {'image': image.numpy()})
        with torch.no_grad():
            inverse, log_variance = network(image)
        np.testing.assert_allclose(found[0], inverse.numpy(), rtol=0.02, atol=0.02)
        np.testing.assert_allclose(found[1], torch.exp(0.5 * log_variance).numpy(), rtol=0.05)


def test_what_is_coarse_cannot_drown_what_is_fine():
    torch.manual_seed(1)
    network = MonoNetwork().train()
    features = [7.0 * torch.randn(4, c, 32 >> k, 48 >> k) for k, c in enumerate(TAP_CHANNELS)]
    network.encoder.forward = lambda _image: features
    with torch.no_grad():  # the coarse features have grown, as they do in training
        for parameter in network.refine[-1].parameters():
            parameter.mul_(20.0)
    sizes = {}
    for name in ('narrow', 'lateral'):
        for k, module in enumerate(getattr(network, name)):
            module.register_forward_hook(
                lambda _module, _input, out, key=(name, k): sizes.update({key: out.std().item()})
            )
    network(some(4, 3, 64, 96) / 2)
    for k in range(len(network.narrow)):
        assert sizes['lateral', k] > 0.5 * sizes['narrow', k]
