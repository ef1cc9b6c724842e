"""Give Fast DDS, the default middleware, room for images in shared memory."""

from __future__ import annotations

from importlib import metadata
import os
from pathlib import Path
import shutil

from depth_perception.resources import resource_path

FAST_DDS_2, FAST_DDS_3 = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
FIRST_RCLPY_ON_FAST_DDS_3 = 8  # Jazzy has 7, Kilted 9
SHARED_MEMORY = Path('/dev/shm')
ROOM_BYTES = 256 * 2**20  # four processes with the profile's segment of 64 MiB


def profile_variable() -> str:
    """Return the environment variable that this ROS distribution reads; others make it warn."""
    try:
        major = int(metadata.version('rclpy').split('.')[0])
    except metadata.PackageNotFoundError:
        return FAST_DDS_3
    return FAST_DDS_3 if major >= FIRST_RCLPY_ON_FAST_DDS_3 else FAST_DDS_2


def profile_environment() -> dict[str, str]:
    """Return the environment variables that give a process the package's Fast DDS profile.

    Empty if the user has chosen a profile, or if shared memory has no room for the segments
    (a container has 64 MiB unless told otherwise, and Fast DDS would fail to start).
    """
    if any(os.environ.get(variable) for variable in (FAST_DDS_2, FAST_DDS_3)):
        return {}
    if not SHARED_MEMORY.is_dir() or shutil.disk_usage(SHARED_MEMORY).free < ROOM_BYTES:
        return {}
    return {profile_variable(): str(resource_path('config', 'fastdds_shm.xml'))}
