"""Looking for a GPU and a TensorRT without harm."""

import ctypes.util
import subprocess
import sys
from types import SimpleNamespace

from depth_perception.errors import BackendUnavailableError
from depth_perception.inference import cuda_runtime, tensorrt_api
from depth_perception.inference.cuda_driver import CudaDevice, find_device
from depth_perception.inference.cuda_runtime import available_adapter
from depth_perception.inference.tensorrt_api import load_tensorrt
import pytest

ORIN = CudaDevice(0, 'Orin', (8, 7), 16, 12060, integrated=True)
ADA = CudaDevice(0, 'RTX 4090', (8, 9), 128, 13000, integrated=False)


class Driver:
    """The functions of libcuda that are called."""

    def __init__(self, count=1, fails=None, code=100):
        self.count, self.fails, self.code = count, fails, code
        self.attributes = {75: 8, 76: 7, 16: 16, 18: 1}

    def __getattr__(self, name):
        if name == self.fails:
            return lambda *arguments: self.code
        return getattr(self, f'_{name}')

    def _cuInit(self, flags):  # noqa: N802
        return 0

    def _cuDriverGetVersion(self, pointer):  # noqa: N802
        pointer._obj.value = 12060
        return 0

    def _cuDeviceGetCount(self, pointer):  # noqa: N802
        pointer._obj.value = self.count
        return 0

    def _cuDeviceGet(self, pointer, index):  # noqa: N802
        pointer._obj.value = index
        return 0

    def _cuDeviceGetName(self, buffer, size, handle):  # noqa: N802
        buffer.value = b'Orin'
        return 0

    def _cuDeviceGetAttribute(self, pointer, number, handle):  # noqa: N802
        pointer._obj.value = self.attributes[number]
        return 0

    def _cuGetErrorName(self, code, pointer):  # noqa: N802
        pointer._obj.value = b'CUDA_ERROR_NO_DEVICE'
        return 0


def test_the_device_is_described_as_the_driver_does():
    assert find_device(0, lambda name: Driver()) == ORIN
    assert str(ORIN) == 'Orin (compute capability 8.7, CUDA 12.6)'


def no_library(name):
    raise OSError(f'{name}: cannot open shared object file')


@pytest.mark.parametrize(
    ('load', 'words'),
    [
        (no_library, r'no CUDA driver \(libcuda\.so\.1 cannot be loaded\)'),
        (lambda name: Driver(count=0), 'CUDA device 0 is asked for, none there'),
        (lambda name: Driver(fails='cuInit'), r'cuInit says CUDA_ERROR_NO_DEVICE \(100\)'),
        (lambda name: Driver(fails='cuInit', code=803), 'is the driver newer'),
        (lambda name: object(), 'has no cuInit'),
    ],
)
def test_why_there_is_no_device_is_said(load, words):
    with pytest.raises(BackendUnavailableError, match=words):
        find_device(0, load)


def test_another_device_than_there_are_is_refused():
    with pytest.raises(BackendUnavailableError, match='device 3 is asked for, 1 there'):
        find_device(3, lambda name: Driver())


def modules(monkeypatch, **versions):
    """Make these modules, and no others, importable by `load_tensorrt`."""

    def load(name):
        if name not in versions:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
        found = versions[name]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(tensorrt_api.importlib, 'import_module', load)


def module(version, **members):
    return SimpleNamespace(__version__=version, Builder=1, OnnxParser=1, **members)


RTX = module('1.7.1.116', ComputeCapability=SimpleNamespace(SM86=1, SM89=2))


def test_the_full_tensorrt_is_preferred(monkeypatch):
    modules(monkeypatch, tensorrt=module('10.3.0'), tensorrt_rtx=RTX)
    assert load_tensorrt(ORIN).title == 'TensorRT 10.3.0'


@pytest.mark.parametrize('found', [ImportError('libnvinfer.so.11'), OSError('libcudart.so')])
def test_one_that_cannot_be_imported_is_passed_over(monkeypatch, found):
    modules(monkeypatch, tensorrt=found, tensorrt_rtx=RTX)
    assert load_tensorrt(ADA).title == 'TensorRT-RTX 1.7.1.116'
    with pytest.raises(BackendUnavailableError, match=f'tensorrt: {found}; TensorRT-RTX .* 8.7'):
        load_tensorrt(ORIN)


@pytest.mark.parametrize(
    ('version', 'words'),
    [('8.5.2', 'older than 8.6'), ('10.2.0', 'wrong results'), ('8.4.1.5', 'older')],
)
def test_releases_that_are_too_old_or_bad_are_refused(monkeypatch, version, words):
    modules(monkeypatch, tensorrt=module(version))
    with pytest.raises(BackendUnavailableError, match=words):
        load_tensorrt(ORIN)


def test_a_lean_runtime_is_refused(monkeypatch):
    modules(monkeypatch, tensorrt=SimpleNamespace(__version__='11.4.0'))
    with pytest.raises(BackendUnavailableError, match='has no builder'):
        load_tensorrt(ORIN)


def test_without_a_device_the_full_tensorrt_is_not_even_imported(monkeypatch):
    modules(monkeypatch, tensorrt=AssertionError('imported'), tensorrt_rtx=RTX)
    assert load_tensorrt(None).is_rtx
    modules(monkeypatch, tensorrt=AssertionError('imported'))
    with pytest.raises(BackendUnavailableError, match='cannot be touched without a GPU'):
        load_tensorrt(None)


def test_the_package_for_cuda_is_chosen_by_what_is_installed(monkeypatch):
    there = {'pycuda'}
    monkeypatch.setattr(cuda_runtime, '_is_installed', lambda name: name in there)
    assert available_adapter() == 'pycuda'
    with pytest.raises(BackendUnavailableError, match='needs cuda-python'):
        available_adapter('cuda-python')
    there = {'cuda-python'}
    assert available_adapter() == 'cuda-python'
    there = set()
    with pytest.raises(BackendUnavailableError, match='pip install cuda-bindings'):
        available_adapter()


SAY = """
import sys
from depth_perception.inference.cards import load_card
from depth_perception.inference.estimator import open_backend
from depth_perception.parameters import StereoEstimatorSettings
with open_backend(load_card('window-stereo'), StereoEstimatorSettings()) as backend:
    print(backend.description)
print(sorted({'tensorrt', 'tensorrt_rtx', 'pycuda', 'onnx'} & set(sys.modules)))
"""


@pytest.mark.skipif(
    ctypes.util.find_library('cuda') is not None, reason='this machine has a CUDA driver'
)
def test_on_a_machine_without_a_driver_nothing_of_nvidias_is_imported():
    done = subprocess.run(
        [sys.executable, '-c', SAY], capture_output=True, text=True, check=True, timeout=120
    )
    said, imported = done.stdout.splitlines()
    assert 'no TensorRT: there is no CUDA driver' in said
    assert imported == '[]'
