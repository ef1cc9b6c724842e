"""The one place that chooses between the standard ROS packages and our own.

On a full ROS 2 installation message_filters pairs the inputs, cv_bridge converts encodings that
the image codec does not know, and sensor_msgs_py reads clouds. Where a package is missing, or is
there but broken (cv_bridge built against another numpy), our own code serves instead, and
`installation_report` says so.
"""

from __future__ import annotations

from functools import cache
import importlib
import importlib.metadata
from typing import Any

from builtin_interfaces.msg import Time
from depth_perception.core.types import AnyArray, Pixels
from depth_perception.errors import SettingsError
from depth_perception.messages.pairing import InputSynchroniser, own_synchroniser
import numpy as np
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

# What a missing or broken installation raises: a compiled module for another numpy fails with
# AttributeError or SystemError, a missing shared library with ImportError or OSError.
_BROKEN_IMPORT = (ImportError, AttributeError, SystemError, OSError)


class _Stamped:
    """What message_filters wants to see of a message: a header with a stamp."""

    __slots__ = ('header', 'item', 'stamp_ns')

    def __init__(self, stamp_ns: int, item: Any) -> None:
        seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
        self.header = Header(stamp=Time(sec=seconds, nanosec=nanoseconds))
        self.stamp_ns = stamp_ns
        self.item = item


class _MessageFilters:
    """message_filters' synchroniser behind the interface of core.sync."""

    def __init__(self, count: int, tolerance_ns: int | None, queue_size: int) -> None:
        filters = importlib.import_module('message_filters')
        self._inputs = [filters.SimpleFilter() for _ in range(count)]
        if tolerance_ns is None:
            self._synchroniser = filters.TimeSynchronizer(self._inputs, queue_size)
        else:
            # It wants the difference below the slop, we allow the tolerance itself.
            slop_s = (tolerance_ns + 1.5) * 1e-9
            self._synchroniser = filters.ApproximateTimeSynchronizer(
                self._inputs, queue_size, slop_s
            )
        self._synchroniser.registerCallback(self._take)
        self._matched: list[tuple[_Stamped, ...]] = []

    def _take(self, *items: _Stamped) -> None:
        self._matched.append(items)

    def add(self, index: int, stamp_ns: int, item: Any) -> tuple[Any, ...] | None:
        self._matched.clear()
        self._inputs[index].signalMessage(_Stamped(stamp_ns, item))
        if not self._matched:
            return None
        matched = self._matched.pop()
        # It keeps what is older than a set, and would make sets of the past from it.
        for queue, kept in zip(self._synchroniser.queues, matched, strict=True):
            for stamp in [stamp for stamp in queue if stamp < kept.stamp_ns]:
                del queue[stamp]
        return tuple(stamped.item for stamped in matched)

    def waiting(self) -> list[int]:
        return [len(queue) for queue in self._synchroniser.queues]


def synchroniser(
    count: int, tolerance_ns: int | None, queue_size: int, *, standard: bool
) -> InputSynchroniser[Any]:
    """Return a synchroniser of message_filters, or of our own.

    Args:
        count: Number of inputs.
        tolerance_ns: Greatest difference between the stamps of a set; None wants equal stamps.
        queue_size: Items kept per input.
        standard: Use message_filters.
    """
    make = _MessageFilters if standard else own_synchroniser
    return InputSynchroniser(count, lambda: make(count, tolerance_ns, queue_size))


def make_synchroniser(
    count: int, *, approximate: bool, tolerance_s: float, queue_size: int
) -> InputSynchroniser[Any]:
    """Return the synchroniser of this installation.

    Args:
        count: Number of inputs.
        approximate: Pair stamps that differ by up to `tolerance_s`; else only equal ones.
        tolerance_s: Greatest difference between the stamps of a set [s].
        queue_size: Items kept per input.

    Raises:
        SettingsError: If a number is out of its range.
    """
    if count < 1 or not 0.0 <= tolerance_s <= 3600.0 or queue_size < 1:
        raise SettingsError(
            'synchroniser wants count >= 1, tolerance_s in [0, 3600] and queue_size >= 1, '
            f'got {count}, {tolerance_s} and {queue_size}'
        )
    tolerance_ns = round(tolerance_s * 1e9) if approximate else None
    standard = _importable('message_filters') == ''
    return synchroniser(count, tolerance_ns, queue_size, standard=standard)


def bgr_by_cv_bridge(msg: Image) -> Pixels | None:
    """Return (H, W, 3) uint8 BGR of an image in any encoding that cv_bridge knows.

    Returns:
        None if cv_bridge is not installed, does not work, or does not know the encoding.
    """
    bridge, _ = _cv_bridge()
    if bridge is None:
        return None
    try:
        plain = _without_padding(bridge, msg)
        pixels = np.ascontiguousarray(bridge.imgmsg_to_cv2(plain, 'bgr8'))
    except Exception:  # noqa: BLE001  cv_bridge raises what OpenCV, boost and numpy raise
        return None
    wanted = (msg.height, msg.width, 3)
    return pixels if pixels.shape == wanted and pixels.dtype == np.uint8 else None


def _without_padding(bridge: Any, msg: Image) -> Image:
    """Return `msg` little-endian and with rows end to end.

    The Python cv_bridge gives wrong pixels if step is not a whole number of pixels, and fails on
    big-endian data under numpy 2.
    """
    dtype, channels = bridge.encoding_to_dtype_with_channels(msg.encoding)
    little = np.dtype(dtype).newbyteorder('<')
    row_bytes = msg.width * channels * little.itemsize
    swapped = msg.is_bigendian and little.itemsize > 1
    if msg.step == row_bytes and not swapped:
        return msg
    rows = np.frombuffer(msg.data, np.uint8).reshape(msg.height, msg.step)[:, :row_bytes]
    items = np.ascontiguousarray(rows).view(little)
    plain = Image(height=msg.height, width=msg.width, encoding=msg.encoding, step=row_bytes)
    plain.data.frombytes(items.byteswap().tobytes() if swapped else items.tobytes())
    return plain


def xyz_by_sensor_msgs_py(cloud: PointCloud2) -> AnyArray | None:
    """Return the points of a cloud as a structured array with the fields x, y and z.

    Returns:
        None if sensor_msgs_py is not installed, or cannot read this layout: it ignores padding
        at the end of rows and swaps big-endian data in place, in the message itself.
    """
    padded = cloud.row_step != cloud.point_step * cloud.width and cloud.height > 1
    if padded or cloud.is_bigendian or _importable('sensor_msgs_py.point_cloud2'):
        return None
    reader = importlib.import_module('sensor_msgs_py.point_cloud2')
    try:
        points: AnyArray = reader.read_points(cloud, field_names=['x', 'y', 'z'])
    except (AssertionError, KeyError, TypeError, ValueError):
        return None  # it wants every field to be sound, also those that nobody asks for
    return points


def installation_report() -> dict[str, str]:
    """Return which package does each job here: its version, or 'own' and the reason."""
    return {
        'message_filters': _described('message_filters', _importable('message_filters')),
        'cv_bridge': _described('cv_bridge', _cv_bridge()[1]),
        'sensor_msgs_py': _described('sensor_msgs_py', _importable('sensor_msgs_py.point_cloud2')),
    }


def _described(package: str, problem: str) -> str:
    if problem:
        return f'own ({problem})'
    try:
        return importlib.metadata.version(package.replace('_', '-'))
    except importlib.metadata.PackageNotFoundError:
        return 'installed, version unknown'


@cache
def _importable(module: str) -> str:
    """Return '' if `module` can be imported, else why not."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        return 'not installed'
    except _BROKEN_IMPORT as error:
        return f'broken: {error}'
    return ''


@cache
def _cv_bridge() -> tuple[Any, str]:
    """Return a CvBridge that has shown that it works, or None and the reason."""
    problem = _importable('cv_bridge')
    if problem:
        return None, problem
    probe = Image(height=2, width=1, encoding='rgb8', step=6)
    probe.data.frombytes(bytes((1, 2, 3, 0, 0, 0, 4, 5, 6, 0, 0, 0)))
    try:
        bridge = importlib.import_module('cv_bridge').CvBridge()
        pixels = bridge.imgmsg_to_cv2(probe, 'bgr8')
    except Exception as error:  # noqa: BLE001  a bridge built for another numpy raises anything
        return None, f'broken: {error}'
    if np.array_equal(pixels, [[[3, 2, 1]], [[6, 5, 4]]]):
        return bridge, ''
    return None, 'broken: wrong pixels from a padded image'
