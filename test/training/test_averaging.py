"""The average of weights, against its closed form."""

import pytest

torch = pytest.importorskip('torch', reason='training needs PyTorch (training/requirements.txt)')

from training.averaging import Average  # noqa: E402


def test_it_forgets_its_start_quickly_and_counts_whole_numbers():
    network = torch.nn.BatchNorm1d(1)
    average = Average(network, 0.5)
    with torch.no_grad():
        network.weight.fill_(3.0)
    network.num_batches_tracked.fill_(7)
    average.update(network, 0)  # keeps a tenth of 1
    assert average.network.weight.item() == pytest.approx(0.1 * 1.0 + 0.9 * 3.0)
    assert average.network.num_batches_tracked.item() == 7
    average.update(network, 1000)  # keeps half of it
    assert average.network.weight.item() == pytest.approx(0.5 * 2.8 + 0.5 * 3.0)
    assert not average.network.weight.requires_grad
