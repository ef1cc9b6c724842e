"""Several cameras and one network on the CPU: in one batch, in turns, or a network each.

Usage: python benchmark/multi_camera.py [--cameras 2 4] [--size 224x160] [--threads 2]
    [--models FOLDER]

Prints, for each network, the time and the CPU time of one frame of all cameras (all ask at the
same moment) as a share of that of taking turns. `fastdepth` needs the folder with the sample
models. Files with a fixed batch are measured as copies in which it is free.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import statistics
import tempfile
import time

from depth_perception.inference.backend import Backend
from depth_perception.inference.ort_backend import OrtBackend
from depth_perception.inference.shared_network import SharedNetwork
import numpy as np
import onnx

ROUNDS = 7
SHIPPED = Path(__file__).resolve().parents[1] / 'models'


def with_free_batch(path: Path, folder: Path) -> Path:
    """Write a copy of a network whose tensors begin with a free side."""
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = 'batch'
    del model.graph.value_info[:]
    target = folder / path.name
    onnx.save(model, target)
    return target


def feeds_of(backend: Backend, width: int, height: int, seed: int) -> dict[str, np.ndarray]:
    """Return what a camera asks for: noise of one image."""
    random = np.random.default_rng(seed)
    shapes = {spec.name: (1, spec.shape[1] or 3, height, width) for spec in backend.inputs}
    return {name: random.random(shape, np.float32) for name, shape in shapes.items()}


class Cameras:
    """Clients that all ask at the same moment, each in a thread of its own."""

    def __init__(self, clients: list[Backend], width: int, height: int) -> None:
        self._clients = clients
        self._feeds = [feeds_of(one, width, height, i) for i, one in enumerate(clients)]
        self._threads = ThreadPoolExecutor(len(clients))

    def frame(self) -> list[dict[str, np.ndarray]]:
        """Return the answers to one frame of every camera."""
        return list(self._threads.map(Backend.infer, self._clients, self._feeds))

    def close(self) -> None:
        """End the threads and free the networks."""
        self._threads.shutdown()
        for client in self._clients:
            client.close()


def ways(path: Path, count: int, threads: int) -> dict[str, Callable[[], list[Backend]]]:
    """Return how `count` cameras may run a network."""

    def shared(largest: int) -> list[Backend]:
        network = SharedNetwork(OrtBackend(path, threads), largest_batch=largest)
        return [network.client() for _ in range(count)]

    return {
        'in turns': lambda: shared(1),
        'one batch': lambda: shared(count),
        'a network each': lambda: [OrtBackend(path, threads) for _ in range(count)],
    }


def measure(
    path: Path, count: int, width: int, height: int, threads: int
) -> dict[str, tuple[float, float]]:
    """Return way -> median time and CPU time of a frame of all cameras [ms].

    The ways take turns, too, so that other load meets them alike.
    """
    made = {
        name: Cameras(make(), width, height) for name, make in ways(path, count, threads).items()
    }
    answers = {}
    for name, cameras in made.items():
        for _ in range(3):  # the first batch is compared with single runs
            answers[name] = cameras.frame()
    for name, found in answers.items():
        for mine, other in zip(found, answers['in turns'], strict=True):
            for tensor, values in mine.items():
                np.testing.assert_allclose(values, other[tensor], rtol=1e-3, err_msg=name)
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
    for _ in range(ROUNDS):
        for name, cameras in made.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            cameras.frame()
            wall_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
            took[name].append((wall_s * 1e3, cpu_s * 1e3))
    for cameras in made.values():
        cameras.close()
    return {
        name: (statistics.median(w for w, _ in times), statistics.median(c for _, c in times))
        for name, times in took.items()
    }


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cameras', type=int, nargs='+', default=[2, 4])
    parser.add_argument('--size', default='224x160', help='size of the network, WIDTHxHEIGHT')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--models', type=Path, help='folder with fastdepth_nchw_dynamic.onnx')
    args = parser.parse_args()
    width, height = map(int, args.size.split('x'))
    paths = [SHIPPED / 'floor_stixels.onnx', SHIPPED / 'window_stereo.onnx']
    if args.models:
        paths.insert(0, args.models / 'fastdepth_nchw_dynamic.onnx')
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            try:
                free = with_free_batch(path, Path(folder))
                tables = {n: measure(free, n, width, height, args.threads) for n in args.cameras}
            except Exception as error:  # noqa: BLE001 - a network that cannot do it is a result
                print(f'{path.name}: {error}')
                continue
        print(f'{path.name}, {width}x{height}, {args.threads} threads')
        for count, took in tables.items():
            (turns, turns_cpu) = took['in turns']
            shares = ', '.join(
                f'{way} {wall / turns:.2f} (CPU {cpu / turns_cpu:.2f})'
                for way, (wall, cpu) in took.items()
                if way != 'in turns'
            )
            print(f'  {count} cameras: in turns {turns:.1f} ms; share of that: {shares}')


if __name__ == '__main__':
    main()
