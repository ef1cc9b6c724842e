"""Write rosbag2 recordings (mcap) of images, camera_info, ground truth and TF, without rclpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import AnyArray, DisparityMap
from depth_perception.errors import RecordingError
from depth_perception.evaluation.bags import (
    CAMERA_INFO,
    DISPARITY,
    IMAGE,
    POINT_CLOUD,
    typestore,
)
import numpy as np
from numpy.typing import NDArray

TF_TOPIC, TF_STATIC_TOPIC = '/tf', '/tf_static'
METADATA_VERSION: Literal[9] = 9  # of rosbag2: Jazzy and newer


@dataclass(frozen=True)
class Transform:
    """A pose in the tree of frames.

    Attributes:
        parent: Name of the frame the pose is given in.
        child: Name of the frame whose pose it is.
        parent_from_child: (4, 4) float64, rotation and translation [m].
    """

    parent: str
    child: str
    parent_from_child: NDArray[np.float64]


def quaternion_from_rotation(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit quaternion (x, y, z, w), w >= 0, of a (3, 3) rotation matrix.

    The matrix need not be quite orthonormal: the quaternion is that of the closest rotation
    (Bar-Itzhack 2000: the eigenvector of the greatest eigenvalue).
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    lower = np.array([
        [xx - yy - zz, 0.0, 0.0, 0.0],
        [yx + xy, yy - xx - zz, 0.0, 0.0],
        [zx + xz, zy + yz, zz - xx - yy, 0.0],
        [zy - yz, xz - zx, yx - xy, xx + yy + zz],
    ])  # fmt: skip
    quaternion: NDArray[np.float64] = np.linalg.eigh(lower)[1][:, -1]
    return -quaternion if quaternion[3] < 0.0 else quaternion


class BagWriter:
    """Writes a rosbag2 (mcap) of images, camera_info, ground truth and TF; a context manager.

    Attributes:
        log_ns: When the next messages were recorded [ns]; None: at their stamps.
    """

    def __init__(self, path: Path) -> None:
        """Create the folder of the bag.

        Raises:
            RecordingError: If it exists, or cannot be written.
        """
        self._store = typestore()
        from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

        self._connections: dict[str, Any] = {}
        self.log_ns: int | None = None
        try:
            self._writer = Writer(
                path, version=METADATA_VERSION, storage_plugin=StoragePlugin.MCAP
            )
            self._writer.open()
        except (WriterError, OSError) as error:
            raise RecordingError(f'cannot write {path}: {error}') from error

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def write_image(
        self, topic: str, stamp_ns: int, frame_id: str, pixels: AnyArray, encoding: str
    ) -> None:
        """Append an image; `encoding` says what the pixels are, e.g. 'rgb8' or '32FC1'."""
        cls = self._store.types[IMAGE]
        data = np.ascontiguousarray(pixels)
        height, width = data.shape[:2]
        step = data.nbytes // height
        header = self._header(stamp_ns, frame_id)
        flat = data.reshape(-1).view(np.uint8)
        self._write(topic, stamp_ns, cls(header, height, width, encoding, 0, step, flat))

    def write_camera_info(
        self,
        topic: str,
        stamp_ns: int,
        frame_id: str,
        camera: PinholeCamera,
        baseline_m: float = 0.0,
    ) -> None:
        """Append the camera_info of a rectified camera; the right one has the baseline."""
        types = self._store.types
        p = np.zeros((3, 4))
        p[:, :3] = camera.K
        p[0, 3] = -camera.fx * baseline_m
        info = types[CAMERA_INFO](
            header=self._header(stamp_ns, frame_id),
            height=camera.height,
            width=camera.width,
            distortion_model='plumb_bob',
            d=np.zeros(5),
            k=camera.K.ravel(),
            r=np.eye(3).ravel(),
            p=p.ravel(),
            binning_x=0,
            binning_y=0,
            roi=types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, do_rectify=False),
        )
        self._write(topic, stamp_ns, info)

    def write_disparity(
        self,
        stamp_ns: int,
        frame_id: str,
        disparity: DisparityMap,
        rig: StereoRig,
        *,
        topic: str,
        step_px: float = 0.0,
    ) -> None:
        """Append a DisparityImage as the stereo node publishes it.

        Args:
            stamp_ns: Stamp [ns].
            frame_id: Frame of the left image.
            disparity: (H, W) float32 [px], without the offset of the principal points, NaN
                unknown. The message holds d + doffs, so that Z = f t / d, and where unknown
                min(0, min_disparity) - 1.
            rig: Calibration of the pair.
            topic: Where to.
            step_px: Resolution of the values [px]; 0 if they are not quantised.
        """
        types = self._store.types
        adjusted = disparity + np.float32(rig.doffs_px)
        known = adjusted[np.isfinite(adjusted)]
        least_px = min(rig.doffs_px, float(known.min())) if known.size else rig.doffs_px
        values = np.where(np.isfinite(adjusted), adjusted, np.float32(min(0.0, least_px) - 1.0))
        height, width = values.shape
        header = self._header(stamp_ns, frame_id)
        flat = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint8)
        message = types[DISPARITY](
            header=header,
            image=types[IMAGE](header, height, width, '32FC1', 0, 4 * width, flat),
            f=rig.left.fx,
            t=rig.baseline_m,
            valid_window=types['sensor_msgs/msg/RegionOfInterest'](
                0, 0, height, width, do_rectify=False
            ),
            min_disparity=least_px,
            max_disparity=float(known.max()) if known.size else least_px,
            delta_d=step_px,
        )
        self._write(topic, stamp_ns, message)

    def write_points(
        self, topic: str, stamp_ns: int, frame_id: str, points: NDArray[np.float32]
    ) -> None:
        """Append (N, 4) float32 points as a cloud of x, y, z [m] and intensity."""
        types = self._store.types
        field = types['sensor_msgs/msg/PointField']
        names = ('x', 'y', 'z', 'intensity')
        data = np.ascontiguousarray(points, np.float32)
        message = types[POINT_CLOUD](
            header=self._header(stamp_ns, frame_id),
            height=1,
            width=len(data),
            fields=[field(name, 4 * i, field.FLOAT32, 1) for i, name in enumerate(names)],
            is_bigendian=False,
            point_step=16,
            row_step=16 * len(data),
            data=data.reshape(-1).view(np.uint8),
            is_dense=bool(np.isfinite(data).all()),
        )
        self._write(topic, stamp_ns, message)

    def write_transforms(
        self, stamp_ns: int, transforms: Sequence[Transform], *, static: bool
    ) -> None:
        """Append poses to /tf, or to /tf_static, which late subscribers get as well.

        Each message on /tf_static must hold all the static poses, since only the last one is
        kept for late subscribers.
        """
        types = self._store.types
        messages = []
        for transform in transforms:
            pose = transform.parent_from_child
            quaternion = quaternion_from_rotation(pose[:3, :3])
            messages.append(
                types['geometry_msgs/msg/TransformStamped'](
                    self._header(stamp_ns, transform.parent),
                    transform.child,
                    types['geometry_msgs/msg/Transform'](
                        types['geometry_msgs/msg/Vector3'](*map(float, pose[:3, 3])),
                        types['geometry_msgs/msg/Quaternion'](*map(float, quaternion)),
                    ),
                )
            )
        message = types['tf2_msgs/msg/TFMessage'](messages)
        topic = TF_STATIC_TOPIC if static else TF_TOPIC
        self._write(topic, stamp_ns, message, profiles=[_latched()] if static else [])

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        sec, nanosec = divmod(stamp_ns, 10**9)
        types = self._store.types
        stamp = types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)
        return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)

    def _write(
        self, topic: str, stamp_ns: int, message: Any, profiles: Sequence[Any] = ()
    ) -> None:
        kind = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._store, offered_qos_profiles=profiles
            )
        log_ns = stamp_ns if self.log_ns is None else self.log_ns
        self._writer.write(
            self._connections[topic], log_ns, self._store.serialize_cdr(message, kind)
        )


def _latched() -> Any:
    """Return the profile of a publisher that repeats its last message to late subscribers."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    unlimited = QosTime(0x7FFFFFFF, 0xFFFFFFFF)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL,
        deadline=unlimited,
        lifespan=unlimited,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=unlimited,
        avoid_ros_namespace_conventions=False,
    )
