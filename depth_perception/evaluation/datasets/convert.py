"""Write the frames of a data set as a bag in the one layout of docs/datasets.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import shutil
import tempfile

from depth_perception.core.stereo import depth_from_disparity
from depth_perception.errors import DepthPerceptionError, RecordingError
from depth_perception.evaluation.bag_writer import BagWriter, Transform
from depth_perception.evaluation.datasets.sample import check_size, Entry, Lidar, Sample
import numpy as np

MONO, MONO_INFO = '/image', '/camera_info'
LEFT, LEFT_INFO = '/left/image_rect', '/left/camera_info'
RIGHT, RIGHT_INFO = '/right/image_rect', '/right/camera_info'
DEPTH, DEPTH_INFO = '/ground_truth/depth/image_rect', '/ground_truth/depth/camera_info'
DISPARITY = '/ground_truth/disparity'
VISIBLE = '/ground_truth/visible_in_both'
POINTS = '/ground_truth/points'
MAP_FRAME, LIDAR_FRAME = 'map', 'lidar'
MONO_FRAME = 'camera_optical'
LEFT_FRAME, RIGHT_FRAME = 'camera_left_optical', 'camera_right_optical'
DEPTH_FRAME = 'camera_depth_optical'
START_NS = 1_700_000_000 * 10**9  # an arbitrary day: the same bag every time
DEFAULT_RATE_HZ = 10.0


@dataclass
class Summary:
    """What was converted.

    Attributes:
        written: Number of frames in the bag.
        with_truth: How many of them have ground truth of any kind.
        skipped: Name of a frame -> why it was left out.
    """

    written: int = 0
    with_truth: int = 0
    skipped: dict[str, str] = field(default_factory=dict)


def stamps_of(entries: Sequence[Entry], rate_hz: float | None) -> list[int]:
    """Return the stamp [ns] of every frame, strictly rising and never 0.

    Args:
        entries: The frames in order.
        rate_hz: Frames per second; None takes the stamps of the data set where it has them.
    """
    own = [entry.stamp_ns for entry in entries if entry.stamp_ns is not None]
    if rate_hz is None and len(own) == len(entries) and all(np.diff([0, *own]) > 0):
        return own
    period_ns = 1e9 / (DEFAULT_RATE_HZ if rate_hz is None else rate_hz)
    return [START_NS + round(i * period_ns) for i in range(len(entries))]


def convert(
    entries: Sequence[Entry],
    path: Path,
    rate_hz: float | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Summary:
    """Write a bag; nothing is left behind if it is interrupted or fails.

    Args:
        entries: The frames in order.
        path: New folder of the bag.
        rate_hz: As of `stamps_of`.
        overwrite: Replace `path` if it is a bag, once the new bag is complete.
        progress: Called with the number of frames done, of all, and the name of the next.

    Raises:
        RecordingError: If `path` exists or cannot be written, or no frame can be used.
    """
    if path.exists() and not overwrite:
        raise RecordingError(f'{path} exists; give another --out, or --overwrite')
    if path.exists() and not (path / 'metadata.yaml').is_file():
        raise RecordingError(f'{path} is not a bag, so it is not overwritten; give another --out')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f'.{path.name}-', dir=path.parent))
    except OSError as error:
        raise RecordingError(f'cannot write {path}: {error}') from error
    try:
        summary = _write_all(entries, scratch / path.name, rate_hz, progress)
        if not summary.written:
            reason = next(iter(summary.skipped.values()), 'there is no frame')
            raise RecordingError(f'no frame could be used; the first one: {reason}')
        if path.exists():
            shutil.rmtree(path)
        (scratch / path.name).rename(path)
    except OSError as error:
        raise RecordingError(f'cannot write {path}: {error}') from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return summary


def _write_all(
    entries: Sequence[Entry],
    path: Path,
    rate_hz: float | None,
    progress: Callable[[int, int, str], None],
) -> Summary:
    summary = Summary()
    with BagWriter(path) as bag:
        layout = BagLayout(bag)
        for done, (entry, stamp_ns) in enumerate(
            zip(entries, stamps_of(entries, rate_hz), strict=True)
        ):
            progress(done, len(entries), entry.name)
            try:
                sample = entry.read()
                _check(sample)
            except DepthPerceptionError as error:
                summary.skipped[entry.name] = str(error)
                continue
            summary.written += 1
            summary.with_truth += layout.write(sample, stamp_ns)
    progress(len(entries), len(entries), '')
    return summary


def reasons(summary: Summary) -> list[tuple[str, int]]:
    """Return why frames were skipped and how often, the most frequent first.

    Paths and numbers differ from frame to frame, so the reason is told by its first example.
    """
    kinds: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for text in summary.skipped.values():
        kind = ' '.join(word for word in text.split() if word.isalpha())
        kinds[kind] += 1
        examples.setdefault(kind, text)
    return [(examples[kind], count) for kind, count in kinds.most_common()]


def _check(sample: Sample) -> None:
    camera, depth_camera = sample.camera, sample.depth_camera or sample.camera
    for what, array, grid in (
        ('the image', sample.image, camera),
        ('the right image', sample.right, camera),
        ('the disparity', sample.disparity, camera),
        ('the mask', sample.visible_in_both, camera),
        ('the depth', sample.depth, depth_camera),
    ):
        if array is not None:
            check_size(what, array.shape, grid)


class BagLayout:
    """Writes samples to the topics and frames of docs/datasets.md."""

    def __init__(self, bag: BagWriter) -> None:
        self._bag = bag
        self._statics: dict[str, Transform] = {}

    def write(self, sample: Sample, stamp_ns: int) -> bool:
        """Append one frame; return whether it has ground truth."""
        frame = MONO_FRAME if sample.rig is None else LEFT_FRAME
        self._write_tf(sample, stamp_ns, frame)
        self._write_images(sample, stamp_ns)
        has_depth = self._write_depth(sample, stamp_ns, frame)
        bag = self._bag
        if sample.disparity is not None and sample.rig is not None:
            bag.write_disparity(
                stamp_ns, frame, sample.disparity, sample.rig,
                topic=DISPARITY, step_px=sample.disparity_step_px,
            )  # fmt: skip
        if sample.visible_in_both is not None:
            mask = np.where(sample.visible_in_both, np.uint8(255), np.uint8(0))
            bag.write_image(VISIBLE, stamp_ns, frame, mask, 'mono8')
        if sample.lidar is not None:
            bag.write_points(POINTS, stamp_ns, self._lidar_frame(sample.lidar, frame),
                             sample.lidar.points)  # fmt: skip
        return has_depth or sample.disparity is not None or sample.lidar is not None

    def _write_images(self, sample: Sample, stamp_ns: int) -> None:
        bag = self._bag
        encoding = 'mono8' if sample.image.ndim == 2 else 'rgb8'
        if sample.rig is None or sample.right is None:
            bag.write_image(MONO, stamp_ns, MONO_FRAME, sample.image, encoding)
            bag.write_camera_info(MONO_INFO, stamp_ns, MONO_FRAME, sample.camera)
            return
        bag.write_image(LEFT, stamp_ns, LEFT_FRAME, sample.image, encoding)
        bag.write_camera_info(LEFT_INFO, stamp_ns, LEFT_FRAME, sample.rig.left)
        encoding = 'mono8' if sample.right.ndim == 2 else 'rgb8'
        bag.write_image(RIGHT, stamp_ns, RIGHT_FRAME, sample.right, encoding)
        bag.write_camera_info(
            RIGHT_INFO, stamp_ns, RIGHT_FRAME, sample.rig.right, sample.rig.baseline_m
        )

    def _write_depth(self, sample: Sample, stamp_ns: int, frame: str) -> bool:
        depth = sample.depth
        derived = depth is None and sample.is_metric and sample.rig is not None
        if derived and sample.disparity is not None and sample.rig is not None:
            depth = depth_from_disparity(sample.disparity, sample.rig)
        if depth is None:
            return False
        camera = sample.depth_camera or sample.camera
        depth = np.where(np.isfinite(depth), depth, np.float32(np.nan))
        if sample.depth_camera is not None:
            frame = DEPTH_FRAME
        self._bag.write_image(DEPTH, stamp_ns, frame, depth, '32FC1')
        self._bag.write_camera_info(DEPTH_INFO, stamp_ns, frame, camera)
        return True

    def _lidar_frame(self, lidar: Lidar, frame: str) -> str:
        """Return the frame of the laser: another calibration has another frame."""
        for transform in self._statics.values():
            if transform.child.startswith(LIDAR_FRAME) and transform.parent == frame and (
                np.array_equal(transform.parent_from_child, lidar.camera_from_lidar)
            ):  # fmt: skip
                return transform.child
        count = sum(child.startswith(LIDAR_FRAME) for child in self._statics)
        return LIDAR_FRAME if count == 0 else f'{LIDAR_FRAME}_{count + 1}'

    def _write_tf(self, sample: Sample, stamp_ns: int, frame: str) -> None:
        wanted = []
        if sample.rig is not None:
            right = np.eye(4)
            right[0, 3] = sample.rig.baseline_m
            wanted.append(Transform(frame, RIGHT_FRAME, right))
        if sample.lidar is not None:
            child = self._lidar_frame(sample.lidar, frame)
            wanted.append(Transform(frame, child, sample.lidar.camera_from_lidar))
        if sample.depth_camera is not None:
            wanted.append(Transform(frame, DEPTH_FRAME, np.eye(4)))
        changed = [t for t in wanted if not self._is_known(t)]
        if changed:
            self._statics.update({transform.child: transform for transform in changed})
            self._bag.write_transforms(stamp_ns, list(self._statics.values()), static=True)
        if sample.map_from_camera is not None:
            pose = Transform(MAP_FRAME, frame, sample.map_from_camera)
            self._bag.write_transforms(stamp_ns, [pose], static=False)

    def _is_known(self, transform: Transform) -> bool:
        known = self._statics.get(transform.child)
        return known is not None and np.array_equal(
            known.parent_from_child, transform.parent_from_child
        )
