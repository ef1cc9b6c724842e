"""What the figures of an evaluation cost beside the network, and whether memory stays flat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import tempfile
from typing import Any

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.errors import ModelError
from depth_perception.evaluation.bag_writer import BagWriter, Transform
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.judge import JudgeOptions
from depth_perception.evaluation.rendered import rendered_scene
from depth_perception.evaluation.runner import evaluate_unit
from depth_perception.evaluation.streams import find_cameras, find_truth
from depth_perception.evaluation.units import choose_models, Span, Unit
from depth_perception.inference.cards import artifact_path, load_card
import numpy as np

FRAMES = 2000  # of the long recording
SHOWN = 41  # of those, as many are served per model; the first is not counted
MODELS = ('sgbm', 'nvtiny-513x161', 'psmnet-kitti2015', 'fastdepth')


class Meter:
    """A report that notes the memory of this process as frames pass."""

    def __init__(self) -> None:
        self.rss_mib: dict[int, float] = {}

    def progress(self, done: int, total: int) -> None:
        """Note the memory now and then."""
        del total
        if done % 200 == 0:
            pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
            self.rss_mib[done] = pages * 4096 / 2**20

    def should_stop(self) -> bool:
        """Go on."""
        return False


def measure() -> dict[str, Any]:
    """Return the share of the figures in the network's time, by model, and the memory."""
    with tempfile.TemporaryDirectory() as folder:
        large = _bag(Path(folder) / 'large', 1, SHOWN)
        shares = {}
        for model in MODELS:
            card = load_card(model)
            try:
                if card.builtin is None:
                    artifact_path(card)
            except ModelError:
                shares[model] = 'its network is not here: depth_perception models fetch'
                continue
            shares[model] = _share(_unit(large, model, FRAMES))
        small = _bag(Path(folder) / 'small', 4, FRAMES)
        memory = _memory(_unit(small, 'sgbm,sgbm.num_disparities=32', FRAMES))
    return {'640x480, dense truth, all figures': shares, f'{FRAMES} frames': memory}


def _share(unit: Unit) -> dict[str, float]:
    columns = evaluate_unit(unit, Meter())['columns']
    network = np.asarray(columns['online/network_ms'][1:])  # the first frame warms up
    figures = np.asarray(columns['online/metrics_ms'][1:])
    return {
        'network [ms]': float(network.mean()),
        'figures [ms]': float(figures.mean()),
        'figures / network [%]': float(100.0 * figures.sum() / network.sum()),
    }


def _memory(unit: Unit) -> dict[str, float]:
    meter = Meter()
    evaluate_unit(unit, meter)
    first, last = min(meter.rss_mib), max(meter.rss_mib)
    return {
        f'after {first} frames [MiB]': meter.rss_mib[first],
        f'after {last} frames [MiB]': meter.rss_mib[last],
        'growth [MiB]': meter.rss_mib[last] - meter.rss_mib[first],
    }


def _bag(path: Path, shrink: int, frames: int) -> Path:
    """Write the rendered scene, 1 / shrink of its size, seen by a camera that moves."""
    scene = rendered_scene()
    half = slice(None, None, shrink)
    left, right = (pixels[half, half] for pixels in (scene.left, scene.right))
    assert scene.truth is not None
    truth = scene.truth[half, half]
    height, width = truth.shape
    rig = _smaller(scene.rig, width, height, shrink)
    with BagWriter(path) as bag:
        for number in range(frames):
            stamp_ns = 1_700_000_000 * 10**9 + number * 100_000_000
            bag.write_camera_info('/left/camera_info', stamp_ns, 'eye', rig.left)
            bag.write_camera_info('/right/camera_info', stamp_ns, 'eye', rig.right, rig.baseline_m)
            bag.write_image('/left/image_rect', stamp_ns, 'eye', left, 'rgb8')
            bag.write_image('/right/image_rect', stamp_ns, 'eye', right, 'rgb8')
            bag.write_image('/ground_truth/depth', stamp_ns, 'eye', truth, '32FC1')
            pose = np.eye(4)
            pose[0, 3] = 0.001 * (number % 50)
            bag.write_transforms(stamp_ns, [Transform('map', 'eye', pose)], static=False)
    return path


def _smaller(rig: StereoRig, width: int, height: int, shrink: int) -> StereoRig:
    cameras = [
        PinholeCamera(width, height, c.fx / shrink, c.fy / shrink, c.cx / shrink, c.cy / shrink)
        for c in (rig.left, rig.right)
    ]
    return StereoRig(cameras[0], cameras[1], rig.baseline_m)


def _unit(bag: Path, model: str, expected: int) -> Unit:
    (choice,) = choose_models([model], [])
    with Recording(bag) as recording:
        (camera,) = find_cameras(recording)
        camera = camera if choice.task == 'stereo' else camera.mono()
        truth, _ = find_truth(recording, camera)
    unit = Unit(
        bag=bag,
        bag_name=bag.name,
        bag_sha256='',
        model=choice,
        camera=camera,
        truth=truth,
        options=JudgeOptions(),
        span=Span(),
        truth_tolerance_ms=20.0,
        journal=Path(),
        expected=expected,
    )
    return replace(unit, journal=bag.parent / f'{unit.key[:16]}.jsonl')
