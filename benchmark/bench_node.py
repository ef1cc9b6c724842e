"""The real stereo node: overhead per stage, latency under overload, memory over many frames."""

from __future__ import annotations

import os
from typing import Any

from feeder import Feeder, NodeProcess, PROFILE, RAW_OUTPUTS
import rclpy

OUTSIDE = {'arrive', 'queue', 'infer', 'service'}  # the middleware, waiting, the matcher, the sum


def overhead(seconds: float = 12.0) -> dict[str, Any]:
    """Return the durations of the stages of a 640x480 frame with all raw outputs [ms].

    The node has one core to itself; the camera and the listener have the other one.
    """
    cores = sorted(os.sched_getaffinity(0))
    node = NodeProcess(['threads:=1', 'sgbm.mode:=3way', 'max_input_age_s:=0.0'], {cores[-1]})
    feeder = Feeder(640, 480, list(RAW_OUTPUTS))
    try:
        feeder.wait_until_served()
        feeder.run(4.0, seconds)
        stages = {name: values[0] for name, values in feeder.percentiles_ms('stage').items()}
    finally:
        feeder.close()
        node.stop()
    total = sum(value for name, value in stages.items() if name not in OUTSIDE)
    return {'stages_p50_ms': stages, 'overhead_p50_ms': total}


def overload(seconds: float = 10.0) -> dict[str, Any]:
    """Return latency stamp -> publish and drops with a camera at 0.8, 2 and 5 times the rate.

    The node's own rate is measured first, with a slow camera.
    """
    node = NodeProcess(['threads:=1', 'max_input_age_s:=0.0'], os.sched_getaffinity(0))
    feeder = Feeder(640, 480, ['depth/image_rect', 'points'])
    result: dict[str, Any] = {}
    try:
        feeder.wait_until_served()
        feeder.run(2.0, 8.0)
        service_ms = feeder.percentiles_ms('stage')['service'][0]
        result['service_p50_ms'] = service_ms
        for factor in (1.0, 2.0, 5.0):
            rate_hz = factor * (0.8 if factor == 1.0 else 1.0) * 1e3 / service_ms
            before = _counts(feeder)
            # The percentiles look back on 300 frames; run until these are all of this rate.
            feeder.run(rate_hz, max(seconds, 330.0 * service_ms / 1e3))
            after = _counts(feeder)
            p50, p95, p99 = feeder.percentiles_ms('latency')['stamp to publish']
            result[f'{factor:g}x'] = {
                'camera_hz': rate_hz,
                'latency_p50_ms': p50,
                'latency_p95_ms': p95,
                'latency_p99_ms': p99,
                'p95_over_service': p95 / feeder.percentiles_ms('stage')['service'][0],
                'served': after[0] - before[0],
                'dropped_overload': after[1] - before[1],
            }
    finally:
        feeder.close()
        node.stop()
    return result


def memory(frames: int = 10_000) -> dict[str, float]:
    """Return how the resident memory of the node grows over many frames [MiB]."""
    node = NodeProcess(
        ['threads:=1', 'sgbm.mode:=3way', 'sgbm.num_disparities:=16', 'max_input_age_s:=0.0'],
        os.sched_getaffinity(0),
    )
    feeder = Feeder(160, 120, list(RAW_OUTPUTS))
    try:
        feeder.wait_until_served()
        feeder.run(120.0, 60.0, frames=1000)
        first = node.resident_mib()
        start = feeder.received
        feeder.run(120.0, 240.0, frames=start + frames)
        last = node.resident_mib()
        served = feeder.received - start
    finally:
        feeder.close()
        node.stop()
    return {'frames': served, 'first_mib': first, 'last_mib': last, 'growth_mib': last - first}


def _counts(feeder: Feeder) -> tuple[int, int]:
    served = int(feeder.status.get('frames out', 0))
    return served, int(feeder.status.get('dropped overload', 0))


def setup() -> None:
    """Prepare the middleware of this process and of its children."""
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('FASTDDS_DEFAULT_PROFILES_FILE', str(PROFILE))
    os.environ.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE', str(PROFILE))
    rclpy.init()
