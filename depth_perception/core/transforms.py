"""The tree of frames: where was this frame, at this time, seen from that one?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import math
from typing import Any

from depth_perception.errors import FrameError
import numpy as np
from numpy.typing import NDArray

DEFAULT_TOLERANCE_NS = 100_000_000
"""A transform is used so long before the first and after the last time it is known for."""
_MAX_GAP_NS = 2_000_000_000  # longer gaps are not interpolated
_MAX_FRAMES = 10_000
_UNSETTLED = 256  # samples of a frame that may wait before the old ones are dropped
_MAX_SAMPLES = 20_000  # of a frame, where old ones are dropped

Pose = NDArray[np.float64]


def rotation_from_quaternion(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (3, 3) rotation of a unit quaternion (x, y, z, w)."""
    x, y, z, w = (float(value) for value in quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def slerp(
    first: NDArray[np.float64], second: NDArray[np.float64], fraction: float
) -> NDArray[np.float64]:
    """Return the unit quaternion at `fraction` of the shorter arc between two (Shoemake 1985)."""
    dot = float(first @ second)
    if dot < 0.0:
        second, dot = -second, -dot
    if dot > 1.0 - 1e-9:
        mixed = first + fraction * (second - first)
    else:
        angle = math.acos(dot)
        mixed = (
            math.sin((1.0 - fraction) * angle) * first + math.sin(fraction * angle) * second
        ) / math.sin(angle)
    return np.asarray(mixed / np.linalg.norm(mixed))


def pose_from(translation: NDArray[np.float64], quaternion: NDArray[np.float64]) -> Pose:
    """Return the (4, 4) pose of a translation [m] and a unit quaternion (x, y, z, w)."""
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_quaternion(quaternion)
    pose[:3, 3] = translation
    return pose


def pose_from_rpy(numbers: Sequence[float]) -> Pose:
    """Return the (4, 4) pose of x, y, z [m], roll, pitch, yaw [rad] about fixed axes (as URDF)."""
    x, y, z, roll, pitch, yaw = numbers
    pose = np.eye(4)
    for angle, (one, other) in ((roll, (1, 2)), (pitch, (2, 0)), (yaw, (0, 1))):
        turn = np.eye(4)
        turn[one, one] = turn[other, other] = math.cos(angle)
        turn[other, one], turn[one, other] = math.sin(angle), -math.sin(angle)
        pose = turn @ pose
    pose[:3, 3] = x, y, z
    return pose


def inverse_of(pose: Pose) -> Pose:
    """Return the inverse of a rigid (4, 4) pose."""
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse


@dataclass
class _Edge:
    """The pose of a child in its parent over time: 7 numbers a sample, sorted when first read."""

    parent: str
    is_static: bool
    keep_ns: int | None
    stamps: list[int] = field(default_factory=list)
    samples: list[tuple[float, ...]] = field(default_factory=list)
    stamps_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    values: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 7)))
    newest_ns: int = -(1 << 63)

    def add(self, stamp_ns: int, sample: tuple[float, ...]) -> None:
        """Take a sample; of a static edge the last one is all there is to know.

        One that is older than all that is kept tells that time jumped back: the past is worth
        nothing then.
        """
        keep_ns = self.keep_ns
        if self.is_static or (keep_ns is not None and stamp_ns < self.newest_ns - keep_ns):
            self.stamps, self.samples = [], []
            self.stamps_ns, self.values = np.empty(0, np.int64), np.empty((0, 7))
            self.newest_ns = stamp_ns
        self.newest_ns = max(self.newest_ns, stamp_ns)
        self.stamps.append(stamp_ns)
        self.samples.append(sample)
        if keep_ns is not None and len(self.stamps) >= _UNSETTLED:
            self.settle()

    def settle(self) -> None:
        """Move what came in to the sorted arrays; of equal stamps the last one stays."""
        if not self.stamps:
            return
        stamps = np.concatenate([self.stamps_ns, np.asarray(self.stamps, np.int64)])
        values = np.concatenate([self.values, np.asarray(self.samples, np.float64)])
        self.stamps, self.samples = [], []
        order = np.argsort(stamps, kind='stable')
        stamps, values = stamps[order], values[order]
        last = np.append(stamps[1:] != stamps[:-1], True)
        self.stamps_ns, self.values = stamps[last], values[last]
        if self.keep_ns is not None:
            old = int(np.searchsorted(self.stamps_ns, self.newest_ns - self.keep_ns))
            recent = slice(max(old, self.stamps_ns.size - _MAX_SAMPLES), None)
            self.stamps_ns, self.values = self.stamps_ns[recent], self.values[recent]


class TransformTree:
    """Answers where frames are, from TF messages.

    Dynamic transforms are interpolated between their two neighbours, linearly in translation and
    along the shorter arc in rotation; nothing is made up farther than the tolerance outside of
    what is known, or inside of gaps of more than two seconds. Static ones hold at any time.

    Attributes:
        ignored: Number of transforms that could not be used: not finite, without rotation, or of a
            frame in itself.

    Args:
        tolerance_ns: How far outside of the known times the nearest sample is used [ns].
        keep_ns: Samples that are older than the newest one of their frame by more than this may
            be forgotten [ns]; None keeps all of them, 64 bytes each.
    """

    def __init__(
        self, tolerance_ns: int = DEFAULT_TOLERANCE_NS, keep_ns: int | None = None
    ) -> None:
        self._tolerance_ns = tolerance_ns
        self._keep_ns = keep_ns
        self._edges: dict[str, _Edge] = {}
        self.ignored = 0

    def add(self, message: Any, *, static: bool) -> None:
        """Take the transforms of one tf2_msgs/TFMessage; nothing in it is trusted."""
        for transform in message.transforms:
            parent = str(transform.header.frame_id).lstrip('/')
            child = str(transform.child_frame_id).lstrip('/')
            t, q = transform.transform.translation, transform.transform.rotation
            sample = np.array([t.x, t.y, t.z, q.x, q.y, q.z, q.w], np.float64)
            norm = float(np.linalg.norm(sample[3:])) if np.isfinite(sample).all() else 0.0
            crowded = child not in self._edges and len(self._edges) >= _MAX_FRAMES
            if not parent or not child or parent == child or norm < 1e-6 or crowded:
                self.ignored += 1
                continue
            sample[3:] /= norm
            stamp = transform.header.stamp
            stamp_ns = int(stamp.sec) * 10**9 + int(stamp.nanosec)
            self._keep(child, parent, stamp_ns, tuple(sample.tolist()), static=static)

    def _keep(
        self, child: str, parent: str, stamp_ns: int, sample: tuple[float, ...], *, static: bool
    ) -> None:
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or edge.is_static != static:
            edge = self._edges[child] = _Edge(
                parent, static, self._keep_ns
            )  # the newest parent wins, as in tf2
        edge.add(0 if static else stamp_ns, sample)

    def forget_motion(self) -> None:
        """Drop all samples of frames that move, for time jumped; static ones hold on."""
        self._edges = {child: edge for child, edge in self._edges.items() if edge.is_static}

    def __contains__(self, frame: str) -> bool:
        frame = frame.lstrip('/')
        return frame in self._edges or any(edge.parent == frame for edge in self._edges.values())

    @property
    def has_dynamic(self) -> bool:
        """Whether any frame moves."""
        return any(not edge.is_static for edge in self._edges.values())

    @property
    def frames(self) -> list[str]:
        """Names of all frames, sorted."""
        return sorted({*self._edges, *(edge.parent for edge in self._edges.values())})

    def root_of(self, frame: str) -> str:
        """Return the frame at the top of the tree that `frame` is in.

        Raises:
            FrameError: If the tree has a loop.
        """
        return self._chain(frame.lstrip('/'))[-1]

    def lookup(self, target: str, source: str, stamp_ns: int) -> Pose:
        """Return (4, 4) float64 target_from_source at one time.

        Raises:
            FrameError: If the frames are not connected, or not known for that time.
        """
        target, source = target.lstrip('/'), source.lstrip('/')
        up, down = self._chain(source), self._chain(target)
        shared = next((frame for frame in up if frame in down), None)
        if shared is None:
            raise FrameError(
                'no_transform',
                f'the frames {target!r} and {source!r} are not connected; known frames: '
                f'{", ".join(self.frames[:20]) or "none"}; publish, or record, /tf and /tf_static',
            )
        shared_from_source = self._climb(up[: up.index(shared)], stamp_ns)
        shared_from_target = self._climb(down[: down.index(shared)], stamp_ns)
        return inverse_of(shared_from_target) @ shared_from_source

    def reach_ns(self, target: str, source: str, stamp_ns: int) -> int:
        """Return how far a time lies outside of what is known between two frames [ns], 0 within.

        That is the time for which `lookup` takes the frames to stand still.

        Raises:
            FrameError: If the tree has a loop.
        """
        up, down = self._chain(source.lstrip('/')), self._chain(target.lstrip('/'))
        reach_ns = 0
        for child in {*up} ^ {*down}:
            edge = self._edges.get(child)
            if edge is not None and not edge.is_static:
                edge.settle()
                first_ns, last_ns = int(edge.stamps_ns[0]), int(edge.stamps_ns[-1])
                reach_ns = max(reach_ns, first_ns - stamp_ns, stamp_ns - last_ns)
        return reach_ns

    def lookup_full(
        self,
        target: str,
        target_stamp_ns: int,
        source: str,
        source_stamp_ns: int,
        fixed: str | None = None,
    ) -> Pose:
        """Return target_from_source between two times, through a frame that does not move.

        Args:
            target: Frame of the result.
            target_stamp_ns: Time at which the target frame is meant [ns].
            source: Frame of what is to be moved.
            source_stamp_ns: Time at which the source frame is meant [ns].
            fixed: The frame that stands still; None: the root, if the two hang together.

        Raises:
            FrameError: As of `lookup`.
        """
        if target_stamp_ns == source_stamp_ns or not self.has_dynamic:
            return self.lookup(target, source, target_stamp_ns)
        fixed = self.root_of(target) if fixed is None else fixed
        fixed_from_source = self.lookup(fixed, source, source_stamp_ns)
        return inverse_of(self.lookup(fixed, target, target_stamp_ns)) @ fixed_from_source

    def _chain(self, frame: str) -> list[str]:
        """Return `frame`, its parent, and so on to the root."""
        chain = [frame]
        while chain[-1] in self._edges:
            parent = self._edges[chain[-1]].parent
            if parent in chain:
                raise FrameError(
                    'no_transform', f'the tree of frames has a loop: {" -> ".join(chain)}'
                )
            chain.append(parent)
        return chain

    def _climb(self, frames: Sequence[str], stamp_ns: int) -> Pose:
        """Return the pose of the first frame in the parent of the last one."""
        pose = np.eye(4)
        for frame in frames:
            pose = self._sample(frame, stamp_ns) @ pose
        return pose

    def _sample(self, child: str, stamp_ns: int) -> Pose:
        edge = self._edges[child]
        edge.settle()
        if edge.is_static:
            return pose_from(edge.values[-1, :3], edge.values[-1, 3:])
        stamps, values = edge.stamps_ns, edge.values
        first_ns, last_ns = int(stamps[0]), int(stamps[-1])
        if not first_ns - self._tolerance_ns <= stamp_ns <= last_ns + self._tolerance_ns:
            raise FrameError(
                'no_transform',
                f'{child!r} in {edge.parent!r} is known from {first_ns / 1e9:.3f} to '
                f'{last_ns / 1e9:.3f} s, but was asked for {stamp_ns / 1e9:.3f} s; publish, or '
                'record, /tf from before the first image to after the last',
            )
        after = int(np.searchsorted(stamps, stamp_ns))
        if after in (0, stamps.size) or int(stamps[after]) == stamp_ns:
            sample = values[min(after, stamps.size - 1)]
            return pose_from(sample[:3], sample[3:])
        before = after - 1
        gap_ns = int(stamps[after] - stamps[before])
        nearest_ns = min(stamp_ns - int(stamps[before]), int(stamps[after]) - stamp_ns)
        if gap_ns > _MAX_GAP_NS and nearest_ns > self._tolerance_ns:
            raise FrameError(
                'no_transform',
                f'{child!r} in {edge.parent!r} is not known for {gap_ns / 1e9:.1f} s around '
                f'{stamp_ns / 1e9:.3f} s; publish, or record, /tf without gaps',
            )
        fraction = (stamp_ns - int(stamps[before])) / gap_ns
        translation = values[before, :3] + fraction * (values[after, :3] - values[before, :3])
        return pose_from(translation, slerp(values[before, 3:], values[after, 3:], fraction))
