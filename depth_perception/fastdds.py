"""Give Fast DDS, the default middleware, room for images in shared memory.

Stock Fast DDS has half a megabyte of shared memory per process; larger images are lost or late,
reliable or not. The profile in config/ asks for 64 MiB, which a container may not have.
"""

from __future__ import annotations

from importlib import metadata
import os
from pathlib import Path
import re
import shutil

from depth_perception.resources import resource_path, user_cache

FAST_DDS_2, FAST_DDS_3 = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
FIRST_RCLPY_ON_FAST_DDS_3 = 8  # Jazzy has 7, Kilted 9
SHARED_MEMORY = Path('/dev/shm')
MIB = 2**20
FULL_SEGMENT_MIB = 64
LEAST_SEGMENT_MIB = 4
SHARE = 8  # processes that are to find room in the free shared memory


def profile_variable() -> str:
    """Return the environment variable that this ROS distribution reads; others make it warn."""
    try:
        major = int(metadata.version('rclpy').split('.')[0])
    except metadata.PackageNotFoundError:
        return FAST_DDS_3
    return FAST_DDS_3 if major >= FIRST_RCLPY_ON_FAST_DDS_3 else FAST_DDS_2


def profile_environment() -> dict[str, str]:
    """Return the environment variables that give a process a Fast DDS profile for images.

    Empty if the user has chosen a profile, or if shared memory has hardly any room: Fast DDS
    fails to start with a segment that does not fit.
    """
    if any(os.environ.get(variable) for variable in (FAST_DDS_2, FAST_DDS_3)):
        return {}
    size_mib = segment_mib()
    if size_mib < LEAST_SEGMENT_MIB:
        return {}
    path = resource_path('config', 'fastdds_shm.xml')
    if size_mib < FULL_SEGMENT_MIB:
        path = _scaled(path, size_mib)
    return {profile_variable(): str(path)}


def segment_mib() -> int:
    """Return the size of a segment [MiB]: a power of two, `SHARE` of which fit, at most 64."""
    if not SHARED_MEMORY.is_dir():
        return 0
    room_mib = shutil.disk_usage(SHARED_MEMORY).free // MIB // SHARE
    return min(FULL_SEGMENT_MIB, 1 << max(0, room_mib.bit_length() - 1)) if room_mib else 0


def _scaled(profile: Path, size_mib: int) -> Path:
    """Return a copy of the profile with smaller segments, kept in the user's cache."""
    text = profile.read_text(encoding='utf-8')
    sized = re.sub(r'(<(segment_size|maxMessageSize)>)\d+', rf'\g<1>{size_mib * MIB}', text)
    path = user_cache() / f'fastdds_{size_mib}mib.xml'
    if not path.is_file() or path.read_text(encoding='utf-8') != sized:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f'{path.name}.{os.getpid()}')
        draft.write_text(sized, encoding='utf-8')
        draft.replace(path)
    return path
