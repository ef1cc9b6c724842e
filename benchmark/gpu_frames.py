"""Whole frames through the estimator on a GPU: right, how late, and what overlap gains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import time
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.cloud import POINT_STEP
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.stereo import StereoRig
from depth_perception.inference.cards import load_card
from depth_perception.inference.cloud_packer import pack_cloud_fast
from depth_perception.inference.estimator import open_estimator
from depth_perception.inference.estimator_base import DepthEstimator
from depth_perception.parameters import MonoEstimatorSettings, StereoEstimatorSettings
from gpu_findings import Findings
import numpy as np

WIDTH, HEIGHT = 640, 480
CAMERA = PinholeCamera(WIDTH, HEIGHT, 500.0, 500.0, 319.5, 239.5)
MOST_MEDIAN = 0.01  # relative, of depth on the GPU and on the CPU
MOST_FLIPPED = 0.03  # share of pixels that are known on one side only
Frame = Any


def frames_of(task: str, count: int) -> list[Frame]:
    """Return invented frames, each another one."""
    random = np.random.default_rng(4)
    slope = np.add.outer(np.linspace(0, 90, HEIGHT), np.linspace(0, 80, WIDTH + 40))[..., None]
    made: list[Frame] = []
    for index in range(count):
        texture = slope + random.integers(0, 80, (HEIGHT, WIDTH + 40, 3))
        pixels = texture.clip(0, 255).astype(np.uint8)
        left, right = (
            Picture(np.ascontiguousarray(pixels[:, first : first + WIDTH]), 'bgr')
            for first in (0, 20)
        )
        made.append(
            StereoFrame(left, right, StereoRig(CAMERA, CAMERA, 0.1), stamp_ns=index)
            if task == 'stereo'
            else MonoFrame(left, CAMERA, stamp_ns=index)
        )
    return made


def published(estimate: DepthEstimate, frame: Frame, out: bytearray) -> None:
    """Do what a node does with a result: fill the messages of depth, sigma and cloud."""
    estimate.depth.tobytes()
    estimate.sigma.tobytes()
    if estimate.cloud is not None:
        np.frombuffer(out, np.uint32)[:] = estimate.cloud.reshape(-1)
    else:
        pack_cloud_fast(estimate.depth, estimate.sigma, CAMERA, frame.image, out)


def in_turn(estimator: DepthEstimator[Any], frames: list[Frame], out: bytearray) -> list[float]:
    """Serve frames one after the other; return the latency of each [ms]."""
    times = []
    for frame in frames:
        start = time.perf_counter()
        published(estimator.estimate(frame), frame, out)
        times.append((time.perf_counter() - start) * 1e3)
    return times


def overlapped(estimator: DepthEstimator[Any], frames: list[Frame], out: bytearray) -> list[float]:
    """Serve frames as the node does, the next one begun before this one is published."""
    times, starts = [], {}

    def begun(index: int) -> Any:
        starts[index] = time.perf_counter()
        return estimator.begin(frames[index])

    ticket = begun(0)
    for index, frame in enumerate(frames):
        ticket.wait()
        estimate = estimator.finish(ticket)
        if index + 1 < len(frames):
            ticket = begun(index + 1)
        published(estimate, frame, out)
        times.append((time.perf_counter() - starts[index]) * 1e3)
    return times


def compare(found: DepthEstimate, wanted: DepthEstimate, findings: Findings) -> None:
    """Demand that a frame is the same as on the CPU."""
    both = found.valid & wanted.valid
    off = np.abs(found.depth[both] / wanted.depth[both] - 1.0)
    median = float(np.median(off)) if off.size else np.inf
    flipped = float((found.valid != wanted.valid).mean())
    findings.tell('difference from the CPU, median', median)
    findings.demand('frames are those of the CPU', median < MOST_MEDIAN, f'{median:.2%}')
    findings.demand('the same pixels are known', flipped < MOST_FLIPPED, f'{flipped:.2%}')


def measure(model: str, frames: int = 300) -> Findings:
    """Return figures of an estimator with TensorRT, with and without the kernels."""
    findings, task = Findings(), load_card(model).task
    kind = StereoEstimatorSettings if task == 'stereo' else MonoEstimatorSettings
    settings = kind(
        model=model, backend='tensorrt', tensorrt__while_building='wait',
        ground__camera_height_m=1.0, ground__pitch_deg=12.0,
    )  # fmt: skip
    shown = frames_of(task, min(frames, 30))
    shown = [shown[index % len(shown)] for index in range(frames)]
    out = bytearray(WIDTH * HEIGHT * POINT_STEP)
    with open_estimator(replace(settings, backend='onnxruntime')) as cpu:
        wanted = cpu.estimate(shown[-1])
    ways: dict[str, Callable[..., list[float]]] = {'in turn': in_turn, 'overlapped': overlapped}
    for title, kernels in (('kernels', True), ('no kernels', False)):
        with open_estimator(replace(settings, tensorrt__kernels=kernels)) as gpu:
            gpu.wants_cloud = True
            in_turn(gpu, shown[:3], out)  # builds, checks and records
            if kernels:
                findings.tell('network', gpu.backend.description)
                problem = gpu.backend.warning
                findings.demand('the kernels serve', gpu.backend.kernels_problem == '', problem)
                compare(gpu.estimate(shown[-1]), wanted, findings)
            for name, way in ways.items():
                start = time.perf_counter()
                times = np.array(way(gpu, shown, out))
                took = (time.perf_counter() - start) * 1e3 / len(times)
                findings.tell(f'{title}, {name}: time per frame [ms]', took)
                findings.tell(f'{title}, {name}: latency p50 [ms]', float(np.median(times)))
                p95 = float(np.percentile(times, 95))
                findings.tell(f'{title}, {name}: latency p95 [ms]', p95)
    return findings
