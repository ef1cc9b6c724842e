"""The adapters of CUDA: cuda-python on a driver that is played, pycuda as it is documented."""

from pathlib import Path
import shutil
import subprocess
import sys
from types import ModuleType, SimpleNamespace

from depth_perception.errors import BackendUnavailableError, InferenceError
from depth_perception.inference.cuda_driver import CudaDevice
from depth_perception.inference.cuda_runtime import open_runtime
import numpy as np
import pytest

HERE = Path(__file__).parent
DEVICE = CudaDevice(0, 'Fake GPU', (8, 7), 16, 13000, integrated=False)
JETSON = CudaDevice(0, 'Fake GPU', (8, 7), 16, 13000, integrated=True)

START = """
import sys, threading
import numpy as np
from depth_perception.inference.cuda_driver import find_device
from depth_perception.inference.cuda_runtime import open_runtime
device = find_device()
"""
COPIES = """
import dataclasses
for integrated in (False, True):
    cuda = open_runtime(dataclasses.replace(device, integrated=integrated), 'cuda-python')
    stream = cuda.make_stream()
    slots = [cuda.make_slot((2, 3), dtype) for dtype in ('float32', 'float16', 'uint8')]
    empty = cuda.make_slot((0, 3), 'float32')
    for slot in slots:
        slot.host[...] = np.arange(6).reshape(2, 3)
        cuda.upload(slot, stream)
        if not integrated:
            slot.host[...] = 0
        cuda.download(slot, stream)
    cuda.synchronise(stream)
    print(cuda.mapped, [int(slot.host[1, 2]) for slot in slots])
    cuda.free_slot(slots.pop())
    cuda.close()
"""
GRAPH = """
cuda = open_runtime(device, 'cuda-python')
stream, slot = cuda.make_stream(), None
slot = cuda.make_slot((4,), 'float32')
graph = cuda.capture(stream, lambda: cuda.upload(slot, stream))
for value in (3.0, 5.0):
    slot.host[...] = value
    cuda.launch(graph, stream)
    slot.host[...] = 0.0
    cuda.download(slot, stream)
    cuda.synchronise(stream)
    print(slot.host.tolist())
def fails():
    raise ValueError('inside')
try:
    cuda.capture(stream, fails)
except ValueError as error:
    print(error)
cuda.synchronise(stream)
cuda.close()
"""
OTHER_THREAD = """
cuda = open_runtime(device, 'cuda-python')
def use():
    try:
        cuda.make_slot((4,), 'float32')
    except Exception as error:
        print(type(error).__name__, error)
thread = threading.Thread(target=use)
thread.start()
thread.join()
cuda.close()
"""
ENGINE = """
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import fake_tensorrt, sample_networks
from depth_perception.inference.onnx_network import read_network, Rung
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.inference.tensorrt_backend import TensorRTBackend
from depth_perception.inference.tensorrt_build import build_plan, BuildOptions, ShapeRange
path = sample_networks.cnn(Path(sys.argv[2]) / 'cnn.onnx')
options = BuildOptions({'image': ShapeRange.fixed((1, 3, 32, 48))})
plan = build_plan(fake_tensorrt.fake(), read_network(path).content(Rung.FULL), options).plan
x = np.random.default_rng(0).random((1, 3, 32, 48), np.float32)
def cuda():
    return open_runtime(device, 'cuda-python')
with TensorRTBackend(fake_tensorrt.fake(), plan, cuda, 'an engine', graph=False) as backend:
    for _ in range(3):
        found = backend.infer({'image': x})['depth']
    print(np.abs(found - OrtBackend(path).infer({'image': x})['depth']).max() < 1e-5)
"""
KERNELS = """
import subprocess
from depth_perception.core.frame import Picture
from depth_perception.inference import kernel_twins as twins
from depth_perception.inference.card_schema import InputSpec, ResizeSpec
from depth_perception.inference.cuda_kernels import FusedKernels
from depth_perception.inference.cuda_python import CudaPythonRuntime
from depth_perception.inference.resize import plan_resize
from pathlib import Path
def compiled(self, source):
    folder = Path(sys.argv[2])
    whole = source + Path(sys.argv[1], 'host_kernels.cpp').read_text()
    (folder / 'k.cpp').write_text(whole)
    library = str(folder / 'k.so')
    command = ['g++', '-shared', '-fPIC', '-o', library, str(folder / 'k.cpp')]
    subprocess.run(command, check=True)
    return library.encode() + b'\\0'
CudaPythonRuntime.compile = compiled
cuda = open_runtime(device, 'cuda-python')
kernels, stream = FusedKernels(cuda), cuda.make_stream()
picture = Picture(np.random.default_rng(0).integers(0, 255, (30, 41, 3), np.uint8), 'bgr')
resize = ResizeSpec('stretch', (50, 67))
spec = InputSpec(tensor='x', source='left')
plan = plan_resize(resize, 41, 30)
arguments = twins.prepare_arguments(picture, plan, resize, spec)
wanted = twins.prepare_twin(picture.pixels, arguments)
image, tensor = cuda.make_slot((30, 41, 3), 'uint8'), cuda.make_slot((3, 50, 67), 'float32')
image.host[...] = picture.pixels
cuda.upload(image, stream)
kernels.prepare(image.address, tensor.address, arguments, stream)
cuda.download(tensor, stream)
cuda.synchronise(stream)
print(float(np.abs(tensor.host - wanted).max()) < 1.2 / 255, tensor.host.std() > 0.1)
shown = twins.PublishArguments(
    width=67, height=50, map_width=67, map_height=50, scaled_width=67, scaled_height=50, gain=1.0,
    s=2.0, relative=0.1, rho_near=5.0, rho_far=0.1, most_sigma=0.3, fx=50.0, fy=50.0)
maps = [cuda.make_slot((50, 67), 'float32') for _ in range(3)]
maps[0].host[...] = tensor.host[0] + 0.2
cuda.upload(maps[0], stream)
kernels.publish((maps[0].address, 0, 0, 0), (maps[1].address, maps[2].address, 0), shown, stream)
for one in maps[1:]:
    cuda.download(one, stream)
cuda.synchronise(stream)
depth, sigma = twins.publish_twin(maps[0].host, shown)
print(np.allclose(maps[1].host, depth), np.allclose(maps[2].host, sigma))
last = twins.FinishArguments(
    width=67, height=50, jump=0.02, grazing_x=1.7, grazing_y=1.7, sigmas=0.1, fx=50.0, fy=50.0)
kept = [cuda.make_slot((50, 67), 'float32') for _ in range(3)]
places = maps[1].address, maps[2].address, cuda.make_slot((13, 17), 'float32').address, 0
kernels.finish(places, (kept[0].address, kept[1].address, 0), last, stream)
for one in kept[:2]:
    cuda.download(one, stream)
cuda.synchronise(stream)
wanted = twins.finish_twin(depth, sigma, last)
print(np.allclose(kept[0].host, wanted[0], equal_nan=True), bool(np.isnan(kept[0].host).any()))
cuda.close()
"""


@pytest.fixture(scope='module')
def on_fake_driver(tmp_path_factory):
    """Return a function that runs a script on a machine whose CUDA driver is played."""
    pytest.importorskip('cuda.bindings', reason='cuda-bindings is not installed')
    compiler = shutil.which('gcc') or shutil.which('cc')
    if compiler is None:
        pytest.skip('there is no C compiler')
    folder = tmp_path_factory.mktemp('driver')
    command = [
        compiler, '-shared', '-fPIC', '-o', str(folder / 'libcuda.so.1'),
        str(HERE / 'fake_driver.c'), '-ldl',
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=60)

    def run(script):
        done = subprocess.run(
            ['env', f'LD_LIBRARY_PATH={folder}', sys.executable, '-c', START + script,
             str(HERE), str(folder)],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        *lines, left = done.stdout.splitlines()
        assert left == 'left: 0 contexts, 0 allocations, 0 streams, 0 graphs, 0 modules'
        return lines

    return run


def test_cuda_python_copies_or_maps_and_frees_all(on_fake_driver):
    assert on_fake_driver(COPIES) == ['False [5, 5, 5]', 'True [5, 5, 5]']


def test_cuda_python_replays_graphs(on_fake_driver):
    assert on_fake_driver(GRAPH) == [str([3.0] * 4), str([5.0] * 4), 'inside']


def test_cuda_python_belongs_to_its_thread(on_fake_driver):
    (said,) = on_fake_driver(OTHER_THREAD)
    assert said == 'InferenceError CUDA: cuMemHostAlloc says CUDA_ERROR_INVALID_CONTEXT'


def test_kernels_are_launched_through_cuda_python(on_fake_driver):
    if shutil.which('g++') is None:
        pytest.skip('there is no C++ compiler')
    assert on_fake_driver(KERNELS) == ['True True', 'True True', 'True True']


def test_an_engine_runs_through_cuda_python(on_fake_driver):
    pytest.importorskip('onnx')
    assert on_fake_driver(ENGINE) == ['True']


class FakePycuda:
    """What pycuda.driver offers, as documented, with a diary."""

    def __init__(self):
        self.diary = []
        self.Error = type('Error', (Exception,), {})
        self.host_alloc_flags = SimpleNamespace(DEVICEMAP=2)
        self.ctx_stack = 0

    def init(self):
        self.diary.append('init')

    def Device(self, index):  # noqa: N802
        assert index == 0
        return SimpleNamespace(retain_primary_context=lambda: self)

    def push(self):
        self.diary.append('push')

    def pop(self):
        self.diary.append('pop')

    def detach(self):
        self.diary.append('detach')

    def Stream(self):  # noqa: N802
        return SimpleNamespace(handle=0x77, synchronize=lambda: self.diary.append('wait'))

    def pagelocked_empty(self, shape, dtype, mem_flags=0):
        buffer = Mapped(np.zeros(shape, dtype))
        self.diary.append(('host', mem_flags))
        return np.asarray(buffer)

    def mem_alloc(self, size):
        return Allocation(self, size)

    def memcpy_htod_async(self, to, source, stream):
        to.content[...] = source

    def memcpy_dtoh_async(self, to, source, stream):
        to[...] = source.content


class Mapped:
    """What owns a page-locked array."""

    def __init__(self, array):
        self.array = array
        self.__array_interface__ = array.__array_interface__

    def get_device_pointer(self):
        return 0xABC00


class Allocation:
    def __init__(self, cuda, size):
        self.cuda, self.content = cuda, np.zeros(size, np.uint8)

    def __int__(self):
        return self.content.ctypes.data

    def free(self):
        self.cuda.diary.append('free')


@pytest.fixture
def pycuda(monkeypatch):
    played = FakePycuda()
    package = ModuleType('pycuda')
    package.VERSION_TEXT = '2026.1'
    package.driver = played
    monkeypatch.setitem(sys.modules, 'pycuda', package)
    monkeypatch.setitem(sys.modules, 'pycuda.driver', played)
    return played


def test_pycuda_copies_and_gives_the_primary_context_back(pycuda):
    cuda = open_runtime(DEVICE, 'pycuda')
    assert cuda.title == 'pycuda 2026.1'
    stream = cuda.make_stream()
    slots = [cuda.make_slot((2, 3), dtype) for dtype in ('float32', 'float16')]
    for slot in slots:
        slot.host[...] = np.arange(6).reshape(2, 3)
        cuda.upload(slot, stream)
        slot.host[...] = 0
        cuda.download(slot, stream)
        assert slot.host.tolist() == [[0, 1, 2], [3, 4, 5]]
    cuda.synchronise(stream)
    cuda.close()
    assert pycuda.diary == [
        'init', 'push', ('host', 0), ('host', 0), 'wait', 'free', 'free', 'pop', 'detach',
    ]  # fmt: skip
    assert 'pycuda.autoinit' not in sys.modules


def test_pycuda_maps_on_a_jetson(pycuda):
    cuda = open_runtime(JETSON, 'pycuda')
    slot = cuda.make_slot((2, 3), 'float32')
    assert slot.address == 0xABC00
    assert pycuda.diary[-1] == ('host', 2)
    slot.host[...] = 7
    cuda.upload(slot, cuda.make_stream())
    assert slot.host.tolist() == [[7, 7, 7]] * 2


def test_pycuda_has_no_graphs(pycuda):
    cuda = open_runtime(DEVICE, 'pycuda')
    assert not cuda.captures
    with pytest.raises(InferenceError, match='cannot record'):
        cuda.capture(0, print)


def test_a_package_that_fails_is_named(monkeypatch, pycuda):
    def init():
        raise pycuda.Error('no device')

    pycuda.init = init
    with pytest.raises(BackendUnavailableError, match='pycuda cannot use Fake GPU: no device'):
        open_runtime(DEVICE, 'pycuda')
