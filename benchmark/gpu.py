"""Test and measure everything that needs a GPU, in one go: `python benchmark/gpu.py --json FILE`.

Both CUDA adapters; the kernels against their numpy twins; graph replay; 10,000 frames without
leak; latency, overlap and bandwidth against what the card can do; and, where there is a TensorRT,
an engine from building to the parity gate, and whole frames through an estimator. The exit code
is 1 if something computes wrong numbers or leaks; what is not installed is named and left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
import contextlib
import ctypes
from datetime import datetime, timezone
import json
from pathlib import Path
import tempfile
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture
from depth_perception.errors import DepthPerceptionError
from depth_perception.inference import kernel_twins as twins
from depth_perception.inference.card_schema import InputSpec, ResizeSpec
from depth_perception.inference.cuda_driver import CudaDevice, find_device
from depth_perception.inference.cuda_kernels import FusedKernels
from depth_perception.inference.cuda_runtime import (
    ADAPTERS,
    available_adapter,
    CudaRuntime,
    KernelCall,
    open_runtime,
    Slot,
)
from depth_perception.inference.frame_plan import publish_job
from depth_perception.inference.frame_runner import FrameRunner
from depth_perception.inference.resize import plan_resize, ResizePlan
from depth_perception.parameters import MonoEstimatorSettings
from gpu_findings import Findings, timed_ms
import gpu_frames
import numpy as np

COPY = """
struct Count { unsigned long long n; };
extern "C" __global__ void copy(const float4 *from, float4 *to, const Count count) {
  const unsigned long long step = (unsigned long long)gridDim.x * blockDim.x;
  for (unsigned long long i = blockIdx.x * blockDim.x + threadIdx.x; i < count.n; i += step)
    to[i] = from[i];
}
"""
MIB = 1 << 20
LARGE_BYTES = 256 * MIB
IMAGE = (640, 480)
RESIZE = ResizeSpec('lower_bound', 518, 14, interp='cubic')
INPUT = InputSpec(
    tensor='x', source='left', color='rgb', dtype='float32',
    mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
)  # fmt: skip
CAMERA = PinholeCamera(*IMAGE, 500.0, 500.0, 319.5, 239.5)
MOST_WRONG = 0.002  # share of pixels at the edge between two codes
MOST_LEAK_BYTES = 8 * MIB


class Count(ctypes.Structure):
    """`struct Count` of the copy kernel."""

    _fields_ = (('n', ctypes.c_ulonglong),)


def free_bytes() -> int:
    """Return the free memory of the device whose context is current."""
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    library = ctypes.CDLL('libcuda.so.1')
    library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    return free.value


def resident_bytes() -> int:
    """Return the memory of this process."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * 4096


class Chain:
    """What happens to a frame on the GPU, with the network left out: its map comes as it is."""

    def __init__(self, cuda: CudaRuntime, kernels: FusedKernels) -> None:
        self.cuda, self.kernels = cuda, kernels
        width, height = IMAGE
        self.plan: ResizePlan = plan_resize(RESIZE, width, height)
        net_width, net_height = self.plan.target
        self.stream = cuda.make_stream()
        random = np.random.default_rng(0)
        self.picture = Picture(random.integers(0, 255, (height, width, 3), np.uint8), 'bgr')
        self.image = cuda.make_slot((height, width, 3), 'uint8')
        self.tensor = cuda.make_slot((3, net_height, net_width), 'float32')
        self.map = cuda.make_slot((net_height, net_width), 'float32')
        self.depth = cuda.make_slot((height, width), 'float32')
        self.sigma = cuda.make_slot((height, width), 'float32')
        self.cloud = cuda.make_slot((height, width, 5), 'uint32')
        self.before = twins.prepare_arguments(self.picture, self.plan, RESIZE, INPUT)
        self.after = twins.PublishArguments(
            width=width, height=height, map_width=net_width, map_height=net_height,
            scaled_width=net_width, scaled_height=net_height, channels=3, swap=1, gain=1.0, s=1.0,
            relative=0.1, rho_near=5.0, rho_far=0.05, most_sigma=0.3, fx=CAMERA.fx, fy=CAMERA.fy,
            cx=CAMERA.cx, cy=CAMERA.cy,
        )  # fmt: skip
        self.image.host[...] = self.picture.pixels
        slope = np.add.outer(np.linspace(0.1, 1.0, net_height), np.linspace(0.0, 0.5, net_width))
        self.map.host[...] = slope
        cuda.upload(self.map, self.stream)
        cuda.synchronise(self.stream)

    def prepare(self) -> None:
        """Queue the first kernel."""
        self.kernels.prepare(self.image.address, self.tensor.address, self.before, self.stream)

    def publish(self) -> None:
        """Queue the second kernel."""
        self.kernels.publish(
            (self.map.address, 0, 0, self.image.address),
            (self.depth.address, self.sigma.address, self.cloud.address), self.after, self.stream,
        )  # fmt: skip

    def queue(self) -> None:
        """Queue a whole frame."""
        self.cuda.upload(self.image, self.stream)
        self.prepare()
        self.publish()
        for slot in (self.depth, self.cloud):
            self.cuda.download(slot, self.stream)

    def wait(self) -> None:
        """Wait for it."""
        self.cuda.synchronise(self.stream)


@contextlib.contextmanager
def opened(device: CudaDevice, adapter: str) -> Iterator[CudaRuntime]:
    """Open a runtime and close it."""
    cuda = open_runtime(device, adapter)
    try:
        yield cuda
    finally:
        cuda.close()


def check_kernels(chain: Chain, findings: Findings) -> None:
    """Compare what the kernels write with their twins."""
    chain.queue()
    for slot in (chain.tensor, chain.sigma):
        chain.cuda.download(slot, chain.stream)
    chain.wait()
    wanted = twins.prepare_twin(chain.picture.pixels, chain.before)
    off = float(np.abs(chain.tensor.host - wanted).max()) / max(chain.before.gain)
    findings.demand('prepare agrees with numpy', off < 1.2, f'{off:.2f} of 255')
    depth, sigma = twins.publish_twin(chain.map.host, chain.after)
    for name, slot, right in (('depth', chain.depth, depth), ('sigma', chain.sigma, sigma)):
        wrong = float((~np.isclose(slot.host, right, rtol=1e-4, equal_nan=True)).mean())
        findings.demand(f'publish agrees with numpy: {name}', wrong < MOST_WRONG, f'{wrong:.2%}')
    cloud = twins.cloud_twin(chain.depth.host, chain.sigma.host, CAMERA, chain.picture)
    same = np.isclose(
        chain.cloud.host.view(np.float32), cloud.view(np.float32), rtol=1e-4, atol=1e-5,
        equal_nan=True,
    ) | (chain.cloud.host == cloud)  # fmt: skip
    findings.demand('publish agrees with numpy: cloud', bool(same.mean() > 1.0 - MOST_WRONG))


def check_runner(cuda: CudaRuntime, picture: Picture, findings: Findings) -> None:
    """Let the part of the backend that serves whole frames check its kernels, as it does there."""
    runner, stream = FrameRunner(cuda), cuda.make_stream()
    rho = np.full((IMAGE[1], IMAGE[0]), 0.5, np.float32)
    sky = np.zeros(rho.shape, np.bool_)
    for flying in (True, False):
        settings = MonoEstimatorSettings(filters__flying_pixels=flying)
        job = publish_job((rho, 0.1 * rho, sky), CAMERA, picture, settings, 0.3)
        problem = runner.check_maps(job, stream)
        name = 'with' if flying else 'without'
        findings.demand(f'maps {name} the filter of flying pixels', problem == '', problem)


def measure_bandwidth(cuda: CudaRuntime, findings: Findings) -> float:
    """Return what the memory of the card carries [GB/s]; tell that of the bus, too."""
    stream = cuda.make_stream()
    slots = [cuda.make_slot((LARGE_BYTES,), 'uint8') for _ in range(2)]
    kernel = cuda.load(cuda.compile(COPY), 'copy')
    call = KernelCall((slots[0].address, slots[1].address), Count(LARGE_BYTES // 16))

    def finish(work: Callable[[], None]) -> Callable[[], None]:
        def whole() -> None:
            work()
            cuda.synchronise(stream)

        return whole

    copied = timed_ms(finish(lambda: cuda.run(kernel, (4096, 1), (256, 1), call, stream)), 20)
    card = 2 * LARGE_BYTES / copied / 1e6
    findings.tell('memory of the card [GB/s]', card)
    if not cuda.mapped:
        for name, move in (('to the card', cuda.upload), ('from the card', cuda.download)):
            took = timed_ms(finish(lambda move=move: move(slots[0], stream)), 5)  # type: ignore[misc]
            findings.tell(f'{name} [GB/s]', LARGE_BYTES / took / 1e6)
    for slot in slots:
        cuda.free_slot(slot)
    return card


def measure_kernels(chain: Chain, card: float, findings: Findings) -> None:
    """Time each kernel, many in a row so that launching does not count."""
    row = 200

    def many(work: Callable[[], None]) -> Callable[[], None]:
        def whole() -> None:
            for _ in range(row):
                work()
            chain.wait()

        return whole

    moved: dict[str, tuple[Callable[[], None], tuple[Slot, ...]]] = {
        'prepare': (chain.prepare, (chain.image, chain.tensor)),
        'publish': (
            chain.publish, (chain.map, chain.image, chain.depth, chain.sigma, chain.cloud),
        ),
    }  # fmt: skip
    for name, (work, slots) in moved.items():
        took = timed_ms(many(work), 5) / row
        rate = sum(slot.nbytes for slot in slots) / took / 1e6
        findings.tell(f'{name} [ms]', took)
        findings.tell(f'{name}, share of the bandwidth of the card', rate / card)


def measure_frames(cuda: CudaRuntime, chains: list[Chain], frames: int, found: Findings) -> None:
    """Time whole frames: one by one, replayed, and one while the one before is on its way back."""
    chain = chains[0]

    def plain() -> None:
        chain.image.host[...] = chain.picture.pixels
        chain.queue()
        chain.wait()

    times = np.array([timed_ms(plain, 1) for _ in range(200)])
    found.tell('frame, p50 [ms]', float(np.median(times)))
    found.tell('frame, p95 [ms]', float(np.percentile(times, 95)))
    one = timed_ms(plain, 300)
    if cuda.captures:
        graph = cuda.capture(chain.stream, chain.queue)
        wanted = chain.cloud.host.copy()
        chain.cloud.host[...] = 0

        def replayed() -> None:
            chain.image.host[...] = chain.picture.pixels
            cuda.launch(graph, chain.stream)
            chain.wait()

        replayed()
        found.demand('a replayed frame is the same', bool((chain.cloud.host == wanted).all()))
        found.tell('frame, replayed [ms]', timed_ms(replayed, 300))
    turn = [0]

    def overlapped() -> None:
        now, before = chains[turn[0] % 2], chains[(turn[0] + 1) % 2]
        now.image.host[...] = now.picture.pixels
        now.queue()
        before.wait()
        turn[0] += 1

    two = timed_ms(overlapped, 300)
    found.tell('frame, two at a time [ms]', two)
    found.tell('gain by overlap', one / two)
    before_device, before_host = free_bytes(), resident_bytes()
    for _ in range(frames):
        overlapped()
    for one_chain in chains:
        one_chain.wait()
    lost, grown = before_device - free_bytes(), resident_bytes() - before_host
    found.tell('frames for the leak test', frames)
    found.demand('no device memory is lost', lost <= MOST_LEAK_BYTES, f'{lost / MIB:.1f} MiB')
    found.demand('no host memory is lost', grown <= MOST_LEAK_BYTES, f'{grown / MIB:.1f} MiB')


def measure_adapter(device: CudaDevice, adapter: str, frames: int) -> Findings:
    """Test and measure one adapter."""
    findings = Findings()
    with opened(device, adapter) as cuda:
        findings.tell('package', cuda.title)
        card = measure_bandwidth(cuda, findings)
        kernels = FusedKernels(cuda)
        chains = [Chain(cuda, kernels) for _ in range(2)]
        check_kernels(chains[0], findings)
        check_runner(cuda, chains[0].picture, findings)
        measure_kernels(chains[0], card, findings)
        measure_frames(cuda, chains, frames, findings)
    return findings


def measure_engine(model: str) -> Findings:
    """Build, check and time an engine of a card."""
    from depth_perception.inference.backend_choice import find_acceleration, toolbox, wish_for
    from depth_perception.inference.cards import artifact_path, load_card
    from depth_perception.inference.engine_cache import EngineCache
    from depth_perception.inference.engine_inputs import inputs_at, size_for_image
    from depth_perception.inference.onnx_network import read_network
    from depth_perception.inference.tensorrt_build import Watch
    from depth_perception.inference.tensorrt_ladder import find_engine, Toolbox

    findings, settings = Findings(), MonoEstimatorSettings()
    found = find_acceleration(settings)
    card = load_card(model)
    network = read_network(artifact_path(card))
    kept = toolbox(found, settings)
    with tempfile.TemporaryDirectory() as folder:
        tools = Toolbox(
            kept.tensorrt, kept.device, kept.open_cuda, kept.open_reference,
            EngineCache(Path(folder) / 'engines'),
        )  # fmt: skip
        with tools.open_reference(network) as reference:
            size = size_for_image(card, reference.inputs, IMAGE)
        outcome = find_engine(tools, wish_for(card, network, size, settings), Watch())
    findings.tell('TensorRT', tools.tensorrt.title)
    findings.tell('building [s]', outcome.seconds)
    for reason in outcome.reasons:
        findings.tell('note', reason)
    findings.demand('an engine computes what the network says', outcome.engine is not None)
    if outcome.engine is not None and outcome.rung is not None:
        with outcome.engine as engine:
            feeds = inputs_at(card, size)
            findings.tell('precision', outcome.rung.value)
            findings.tell(
                'inference with copies [ms]', timed_ms(lambda: _infer(engine, feeds), 300)
            )
    return findings


def _infer(engine: Any, feeds: Any) -> None:
    engine.infer(feeds)


def main() -> int:
    """Run all that can run here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='store the figures in this file')
    parser.add_argument('--frames', type=int, default=10_000, help='length of the leak test')
    parser.add_argument('--model', default='floor-stixels', help='card of the network to compile')
    arguments = parser.parse_args()
    try:
        device = find_device()
    except DepthPerceptionError as error:
        print(f'nothing to measure: {error}')
        return 2
    print(f'{datetime.now(timezone.utc):%Y-%m-%d} {device}')
    report: dict[str, Any] = {
        'date': f'{datetime.now(timezone.utc):%Y-%m-%d}',
        'device': str(device),
    }
    faults = []
    parts: dict[str, Callable[[], Findings]] = {
        name: lambda name=name: measure_adapter(  # type: ignore[misc]
            device, available_adapter(name), arguments.frames
        )
        for name in ADAPTERS
    }
    parts['engine'] = lambda: measure_engine(arguments.model)
    parts['whole frames'] = lambda: gpu_frames.measure(arguments.model)
    for name, part in parts.items():
        print(f'== {name}', flush=True)
        try:
            findings = part()
        except DepthPerceptionError as error:
            print(f'  left out: {error}')
            report[name] = {'left out': str(error)}
            continue
        report[name] = findings.figures
        faults += [f'{name}: {fault}' for fault in findings.faults]
    for fault in faults:
        print(f'WRONG: {fault}')
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + '\n')
    return 1 if faults else 0


if __name__ == '__main__':
    raise SystemExit(main())
