"""Messages of sensors beside the camera, for the tests of references."""

from array import array
from types import SimpleNamespace as Message

from depth_perception.core.camera import PinholeCamera
from depth_perception.messages.references import ReferenceBuffer
from depth_perception.parameters import MonoSettings
import numpy as np

CAMERA = PinholeCamera(160, 120, 200.0, 190.0, 78.5, 61.25)
S = 10**9
NOW = 1_700_000_000 * S
EYE = 'eye'
POINTS = np.array([[0.5, -0.25, 2.0], [-0.4, 0.3, 4.0], [0.1, 0.6, 3.0]])
IN_OPTICAL = (-0.5, 0.5, -0.5, 0.5)  # a body frame (x ahead) sees an optical one turned by this
UNIT = (0.0, 0.0, 0.0, 1.0)


def header(stamp_ns, frame=EYE):
    sec, nanosec = divmod(stamp_ns, S)
    return Message(frame_id=frame, stamp=Message(sec=sec, nanosec=nanosec))


def cloud(points, stamp_ns=NOW, frame=EYE, *, names='xyz', kind='<f4', rows=1, **changes):
    """Return a cloud whose columns are numbers of one kind."""
    table = np.asarray(points, kind)
    size = table.dtype.itemsize
    fields = [
        Message(name=name, offset=size * i, datatype={4: 7, 8: 8}[size], count=1)
        for i, name in enumerate(names)
    ]
    made = Message(
        header=header(stamp_ns, frame), height=rows, width=len(table) // rows, fields=fields,
        is_bigendian=kind[0] == '>', point_step=size * len(fields),
        row_step=size * len(fields) * (len(table) // rows), is_dense=True,
        data=array('B', table.tobytes()),
    )  # fmt: skip
    vars(made).update(changes)
    return made


def depth_image(values, stamp_ns=NOW, frame=EYE, encoding='32FC1', **changes):
    values = np.asarray(values, {'32FC1': '<f4', '16UC1': '<u2'}[encoding])
    made = Message(
        header=header(stamp_ns, frame), height=values.shape[0], width=values.shape[1],
        encoding=encoding, is_bigendian=0, step=values.strides[0], data=values.tobytes(),
    )  # fmt: skip
    vars(made).update(changes)
    return made


def info(camera, frame=EYE, stamp_ns=NOW):
    c = camera
    roi = Message(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    return Message(
        header=header(stamp_ns, frame), width=c.width, height=c.height, roi=roi, binning_x=0,
        binning_y=0, distortion_model='plumb_bob', d=np.zeros(5),
        k=np.array([c.fx, 0, c.cx, 0, c.fy, c.cy, 0, 0, 1.0]), r=np.eye(3).ravel(),
        p=np.array([c.fx, 0, c.cx, 0, 0, c.fy, c.cy, 0, 0, 0, 1.0, 0]),
    )  # fmt: skip


def transforms(*edges):
    """Return a TFMessage of (parent, child, stamp_ns, translation, quaternion)."""
    return Message(
        transforms=[
            Message(
                header=header(stamp_ns, parent), child_frame_id=child,
                transform=Message(
                    translation=Message(**dict(zip('xyz', t, strict=True))),
                    rotation=Message(**dict(zip('xyzw', q, strict=True))),
                ),
            )
            for parent, child, stamp_ns, t, q in edges
        ]
    )  # fmt: skip


def buffer_of(**given):
    return ReferenceBuffer(MonoSettings(**given))


def around(buffer, stamp_ns=NOW):
    return buffer.surroundings_at(stamp_ns, CAMERA, EYE)


def expected(points):
    """Return (u, v, rho) of points in the frame of the camera, by rising rho."""
    x, y, z = np.asarray(points, float).T
    table = np.stack([CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy, 1 / z])
    return table[:, np.argsort(table[2])]


def found(references):
    table = np.stack([references.u, references.v, references.rho])
    return table[:, np.argsort(table[2])]


def driving(buffer, speed=2.0, until_ns=NOW):
    """Let the base drive ahead at some m/s from one second before now, and turn the tree."""
    buffer.locator.add(transforms(('base', EYE, 0, (0.0, 0.0, 0.5), IN_OPTICAL)), static=True)
    for part in range(11):
        at = NOW - S + part * S // 10
        if at <= until_ns:
            where = (speed * part / 10, 0.0, 0.0)
            buffer.locator.add(transforms(('odom', 'base', at, where, UNIT)), static=False)


def sparse_depth(shape=(120, 160), encoding='32FC1'):
    values = np.zeros(shape)
    values[10, 150], values[100, 7] = (2.0, 4.0) if encoding == '32FC1' else (2000, 4000)
    return values
