"""Clouds for navigation as messages: unorganised, finite, and of a size that costmaps can bear."""

from __future__ import annotations

from array import array
from typing import Any

from depth_perception.core.nav_points import NAV_FIELDS, NavCloud
from sensor_msgs.msg import PointCloud2, PointField


def message_of_nav(cloud: NavCloud, header: Any) -> PointCloud2:
    """Return the message of a cloud.

    Its fields are FLOAT32: x, y, z [m] in the optical frame, `uncertainty`, one standard deviation
    of z [m], and, where the floor is known, `height` above it [m].

    Args:
        cloud: The points.
        header: std_msgs/Header of the image.
    """
    count = len(cloud.points)
    values = cloud.values().astype('<f4')
    step = values.shape[1] * 4
    data = array('B')
    data.frombytes(values.tobytes())
    return PointCloud2(
        header=header,
        height=1,
        width=count,
        fields=[
            PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
            for place, name in enumerate(NAV_FIELDS[: values.shape[1]])
        ],
        is_bigendian=False,
        point_step=step,
        row_step=step * count,
        data=data,
        is_dense=True,
    )
