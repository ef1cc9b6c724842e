"""Write rosbag2 recordings (mcap) of images and camera_info, without rclpy."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.types import AnyArray
from depth_perception.errors import RecordingError
from depth_perception.evaluation.bags import CAMERA_INFO, IMAGE, typestore
import numpy as np

_METADATA_VERSION: Literal[9] = 9  # of rosbag2: Jazzy and newer


class BagWriter:
    """Writes a rosbag2 (mcap) of images and camera_info; a context manager."""

    def __init__(self, path: Path) -> None:
        """Create the folder of the bag.

        Raises:
            RecordingError: If it exists, or cannot be written.
        """
        self._store = typestore()
        from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

        self._connections: dict[str, Any] = {}
        try:
            self._writer = Writer(
                path, version=_METADATA_VERSION, storage_plugin=StoragePlugin.MCAP
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

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        sec, nanosec = divmod(stamp_ns, 10**9)
        types = self._store.types
        stamp = types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)
        return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)

    def _write(self, topic: str, stamp_ns: int, message: Any) -> None:
        kind = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._store
            )
        self._writer.write(
            self._connections[topic], stamp_ns, self._store.serialize_cdr(message, kind)
        )
