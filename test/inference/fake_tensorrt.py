"""A TensorRT without a GPU, in the personalities of several releases, and a CUDA to go with it.

A plan holds the network it was built from; running an engine runs that network in ONNX Runtime, on
numbers that lie at the addresses it was given. `wrong` perturbs what comes out.
"""

import ctypes
import json
from types import SimpleNamespace

from depth_perception.inference.cuda_driver import CudaDevice
from depth_perception.inference.cuda_runtime import make_slot_array, slot_bytes
from depth_perception.inference.tensorrt_api import TensorRT
from fake_cuda import FakeCuda
import numpy as np
import onnx

__all__ = ['FakeCuda']
MAGIC = b'fake plan '
DEVICE = CudaDevice(0, 'Fake GPU', (8, 7), 16, 12060, integrated=False)


class Kind:
    """A value of an enum."""

    def __init__(self, name, number):
        self.name = name
        self.number = number

    def __int__(self):
        return self.number


def enum(*names):
    return SimpleNamespace(**{name: Kind(name, number) for number, name in enumerate(names)})


DataType = enum('FLOAT', 'HALF', 'INT8', 'INT32', 'BOOL', 'UINT8', 'INT64')
TYPES = {
    onnx.TensorProto.FLOAT: DataType.FLOAT,
    onnx.TensorProto.FLOAT16: DataType.HALF,
    onnx.TensorProto.INT8: DataType.INT8,
    onnx.TensorProto.INT32: DataType.INT32,
    onnx.TensorProto.BOOL: DataType.BOOL,
    onnx.TensorProto.UINT8: DataType.UINT8,
    onnx.TensorProto.INT64: DataType.INT64,
}
NUMPY = {'FLOAT': 'float32', 'HALF': 'float16', 'INT64': 'int64', 'UINT8': 'uint8'}


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = 'internal error', 'error', 'warning'

    def __init__(self):
        self.ready = True


class FakeTensorRT:
    """The module, with a diary of what was done with it."""

    def __init__(self, version, wrong=(), slow=None):
        number = int(version.split('.')[0])
        self.__version__ = version
        self.wrong = wrong
        self.slow = slow  # called in each step of a build
        self.diary = []
        self.loaded = []
        self.ILogger = ILogger
        self.DataType = DataType
        self.TensorIOMode = enum('NONE', 'INPUT', 'OUTPUT')
        self.MemoryPoolType = enum('WORKSPACE')
        self.DeviceType = enum('GPU', 'DLA')
        flags = ['TF32', 'GPU_FALLBACK']
        creation = []
        if number < 11:
            flags += ['FP16', 'INT8', 'OBEY_PRECISION_CONSTRAINTS']
            creation += ['EXPLICIT_BATCH']
        if number >= 10:
            creation += ['STRONGLY_TYPED']
            self.IProgressMonitor = type('IProgressMonitor', (), {})
        self.BuilderFlag = enum(*flags)
        self.NetworkDefinitionCreationFlag = enum(*creation)
        self.explicit_batch_is_required = number < 10
        self.Builder = lambda log: Builder(self, log)
        self.OnnxParser = Parser
        self.Runtime = lambda log: Runtime(self, log)


class Tensor:
    def __init__(self, info):
        self.name = info.name
        self.dtype = TYPES[info.type.tensor_type.elem_type]
        sides = info.type.tensor_type.shape.dim
        self.shape = tuple(d.dim_value if d.HasField('dim_value') else -1 for d in sides)


class Network:
    def __init__(self, trt, flags):
        self.trt, self.flags = trt, flags
        self.model, self.inputs, self.layers = None, [], []

    num_inputs = property(lambda self: len(self.inputs))
    num_layers = property(lambda self: len(self.layers))

    def get_input(self, index):
        return self.inputs[index]

    def get_layer(self, index):
        return self.layers[index]


class Layer:
    num_outputs = 1
    precision = None

    def __init__(self, name, kind):
        self.name, self.kind, self.types = name, kind, {}

    def get_output(self, index):
        assert index == 0
        return SimpleNamespace(dtype=self.kind)

    def set_output_type(self, index, kind):
        self.types[index] = kind


class Parser:
    def __init__(self, network, log):
        self.network, self.log, self.errors = network, log, []

    num_errors = property(lambda self: len(self.errors))

    def get_error(self, index):
        text = self.errors[index]
        return SimpleNamespace(desc=lambda: text, node=lambda: 3, node_name=lambda: 'odd')

    def parse(self, content):
        network = self.network
        if network.trt.explicit_batch_is_required and not network.flags:
            self.errors.append('network must have an explicit batch')
            return False
        try:
            model = onnx.load_from_string(content)
        except Exception:  # noqa: BLE001
            self.errors.append('Failed to parse the ONNX model')
            return False
        network.model = model
        network.inputs = [Tensor(info) for info in model.graph.input]
        inferred = onnx.shape_inference.infer_shapes(model)
        values = [*inferred.graph.value_info, *inferred.graph.output]
        types = {v.name: TYPES[v.type.tensor_type.elem_type] for v in values}
        network.layers = [Layer(n.name, types[n.output[0]]) for n in model.graph.node]
        return True


class TimingCache:
    def __init__(self, content):
        self.content = content

    def serialize(self):
        return self.content + b'+'


class Config:
    progress_monitor = None
    DLA_core = -1

    def __init__(self, trt):
        self.trt, self.profiles, self.flags, self.pools = trt, [], {'TF32'}, {}

    def add_optimization_profile(self, profile):
        self.profiles.append(profile)

    def set_memory_pool_limit(self, pool, size):
        self.pools[pool.name] = size

    def set_flag(self, flag):
        self.flags.add(flag.name)

    def clear_flag(self, flag):
        self.flags.discard(flag.name)

    def create_timing_cache(self, content):
        return TimingCache(content)

    def set_timing_cache(self, cache, ignore_mismatch):
        self.trt.diary.append(('timing', cache.content))
        return cache.content != b'of another release'


class Profile(dict):
    def set_shape(self, name, low, opt, high):
        self[name] = (low, opt, high)


class Builder:
    num_DLA_cores = 2  # noqa: N815

    def __init__(self, trt, log):
        self.trt, self.log = trt, log

    def create_network(self, flags=0):
        return Network(self.trt, flags)

    def create_builder_config(self):
        self.config = Config(self.trt)
        return self.config

    def create_optimization_profile(self):
        return Profile()

    def build_serialized_network(self, network, config):
        self.trt.diary.append(('build', network, config))
        monitor = config.progress_monitor
        if monitor is not None:
            monitor.phase_start('Building', None, 4)
        for step in range(4):
            if self.trt.slow is not None:
                self.trt.slow(step)
            if monitor is not None and not monitor.step_complete('Building', step):
                return None
        if any(-1 in tensor.shape for tensor in network.inputs) and not config.profiles:
            self.log.log(ILogger.ERROR, 'no optimization profile has been defined')
            return None
        head = {
            'version': self.trt.__version__,
            'shapes': {tensor.name: list(tensor.shape) for tensor in network.inputs},
            'ranges': config.profiles[0] if config.profiles else {},
        }
        return MAGIC + json.dumps(head).encode() + b'\n' + network.model.SerializeToString()


class Runtime:
    def __init__(self, trt, log):
        self.trt, self.log = trt, log

    def deserialize_cuda_engine(self, plan):
        self.trt.loaded.append(bytes(plan))
        head, _, content = bytes(plan).partition(b'\n')
        if not head.startswith(MAGIC):
            self.log.log(ILogger.ERROR, 'magic tag does not match')
            return None
        head = json.loads(head[len(MAGIC) :])
        if head['version'] != self.trt.__version__:
            self.log.log(ILogger.ERROR, 'built by another release')
            return None
        return Engine(self.trt, head, content)


class Engine:
    def __init__(self, trt, head, content):
        import onnxruntime

        self.trt, self.head = trt, head
        model = onnx.load_from_string(content)
        self.half = any(i.data_type == onnx.TensorProto.FLOAT16 for i in model.graph.initializer)
        ends = {value.name for value in model.graph.output}
        self.mixed = any(
            node.op_type == 'Cast' and node.attribute[0].i == 1 and node.output[0] not in ends
            for node in model.graph.node
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # threads that spin would keep each other from working
        self.session = onnxruntime.InferenceSession(
            content, options, providers=['CPUExecutionProvider']
        )
        self.tensors = {t.name: Tensor(t) for t in [*model.graph.input, *model.graph.output]}
        self.inputs = {t.name for t in model.graph.input}

    num_io_tensors = property(lambda self: len(self.tensors))

    def get_tensor_name(self, index):
        return list(self.tensors)[index]

    def get_tensor_mode(self, name):
        modes = self.trt.TensorIOMode
        return modes.INPUT if name in self.inputs else modes.OUTPUT

    def get_tensor_dtype(self, name):
        return self.tensors[name].dtype

    def get_tensor_shape(self, name):
        return tuple(self.head['shapes'].get(name, self.tensors[name].shape))

    def create_execution_context(self):
        return Context(self)


class Context:
    refuses = False

    def __init__(self, engine):
        self.engine, self.shapes, self.addresses = engine, {}, {}
        self.found = {}  # shapes of inputs and name -> shape of an output

    def set_input_shape(self, name, shape):
        pinned = self.engine.get_tensor_shape(name)
        low, _, high = self.engine.head['ranges'].get(name, (pinned, pinned, pinned))
        self.shapes[name] = tuple(shape)
        return all(a <= side <= b for a, side, b in zip(low, shape, high, strict=True))

    def get_tensor_shape(self, name):
        if name in self.shapes:
            return self.shapes[name]
        key = (*sorted(self.shapes.items()), name)
        if key not in self.found:
            feeds = {
                n: np.zeros(shape, NUMPY[self.engine.tensors[n].dtype.name])
                for n, shape in self.shapes.items()
            }
            self.found[key] = self.engine.session.run([name], feeds)[0].shape
        return self.found[key]

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def array(self, name):
        shape = self.get_tensor_shape(name)
        dtype = NUMPY[self.engine.tensors[name].dtype.name]
        size = slot_bytes(shape, dtype)
        buffer = (ctypes.c_ubyte * size).from_address(self.addresses[name])
        return make_slot_array(buffer, shape, dtype)

    def execute_async_v3(self, stream):
        if self.refuses or 'refuses' in self.engine.trt.wrong:
            return False
        engine = self.engine
        names = [name for name in engine.tensors if name not in engine.inputs]
        found = engine.session.run(names, {n: self.array(n) for n in engine.inputs})
        precision = ('mixed' if engine.mixed else 'fp16') if engine.half else 'fp32'
        for name, right in zip(names, found, strict=True):
            value = right
            if precision in engine.trt.wrong:
                value = right + 0.2 * np.ptp(right) * (np.indices(right.shape)[-1] % 7 > 3)
            if f'nan in {precision}' in engine.trt.wrong:
                value = np.full_like(right, np.nan)
            self.array(name)[...] = value
        return True


def fake(version='10.3.0', wrong=(), slow=None):
    """Return a TensorRT of this release."""
    return TensorRT(FakeTensorRT(version, wrong, slow), 'tensorrt', version)
