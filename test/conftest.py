"""Fixtures shared by all tests."""

import importlib.util
from pathlib import Path
import sys

from hang_guard import HangGuard
import pytest

SHARED = Path(__file__).resolve().parents[2] / 'shared'
HANG_S = 300.0  # more than any limit inside a test; nothing takes as long that does not hang


def pytest_configure(config):
    if not config.option.usepdb and config.option.capture != 'no':  # nobody looks into it
        config.pluginmanager.register(HangGuard(HANG_S))


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """Return the folder of sample data beside the checkout, or skip with the reason."""
    if not (SHARED / 'data').is_dir():
        pytest.skip('the sample data beside the checkout (../shared) is not there')
    return SHARED


def _module(path):
    """Return a module of the tests that is no test itself."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def evaluation_bags():
    """Return the module evaluation_bags, which writes small recordings with known truth."""
    pytest.importorskip('rosbags')
    return _module(Path(__file__).with_name('evaluation') / 'evaluation_bags.py')


@pytest.fixture(scope='session')
def coded_network():
    """Return the module coded_network: a relative network whose output is in the picture."""
    for package in ('onnx', 'onnxruntime', 'cv2'):
        pytest.importorskip(package)
    return _module(Path(__file__).with_name('coded_network.py'))


@pytest.fixture(scope='session')
def fake_tensorrt():
    """Return the module fake_tensorrt, a TensorRT and a CUDA without a GPU."""
    pytest.importorskip('onnx')
    _module(Path(__file__).with_name('inference') / 'fake_cuda.py')
    return _module(Path(__file__).with_name('inference') / 'fake_tensorrt.py')


@pytest.fixture(scope='session')
def networks():
    """Return the module sample_networks, which writes small networks and their cards."""
    pytest.importorskip('onnx')
    return _module(Path(__file__).with_name('inference') / 'sample_networks.py')
