"""Messages without ROS, and a client of the viewer's web server."""

from array import array
import http.client
import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest


def _header(stamp_ns):
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return SimpleNamespace(stamp=stamp, frame_id='left_optical')


class Messages:
    """Messages of a 7 x 4 camera; rows differ from columns, so that nothing can be swapped."""

    depth = np.linspace(0.5, 9.0, 28, dtype=np.float32).reshape(4, 7)
    depth[0, 1], depth[1, 2], depth[2, 3] = np.nan, np.inf, -np.inf
    sigma = (0.013 * depth).astype(np.float32)
    sigma[~np.isfinite(depth)] = np.nan

    def image(self, values, stamp_ns=1):
        encoding = {np.dtype(np.float32): '32FC1', np.dtype(np.uint8): 'rgb8'}[values.dtype]
        return SimpleNamespace(
            header=_header(stamp_ns),
            height=values.shape[0],
            width=values.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=values.nbytes // values.shape[0],
            data=array('B', values.tobytes()),
        )

    def info(self, stamp_ns=1, width=7, height=4):
        roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
        f, cx, cy = 6.5, 3.25, 1.75
        return SimpleNamespace(
            header=_header(stamp_ns),
            width=width,
            height=height,
            distortion_model='plumb_bob',
            d=[0.0] * 5,
            k=np.array([f, 0, cx, 0, f, cy, 0, 0, 1.0]),
            r=np.eye(3).ravel(),
            p=np.array([f, 0, cx, 0, 0, f, cy, 0, 0, 0, 1.0, 0]),
            binning_x=0,
            binning_y=0,
            roi=roi,
        )


@pytest.fixture
def messages():
    return Messages()


def parsed(data):
    """Return header and parts of the bytes of a frame, read as docstring and page say."""
    assert data[:4] == b'DPV1'
    (length,) = struct.unpack('<I', data[4:8])
    assert length % 4 == 0
    header = json.loads(data[8 : 8 + length])
    parts = {}
    for name, (offset, size) in header['parts'].items():
        assert offset % 4 == 0
        parts[name] = data[8 + length + offset : 8 + length + offset + size]
    return header, parts


@pytest.fixture(name='parsed')
def _parsed():
    return parsed


class Client:
    """Asks the server as a browser would, and as one would not."""

    def __init__(self, server):
        self.port = server.server_address[1]

    def get(self, target, method='GET', host=None, **headers):
        """Return status, body and headers of an answer."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=20.0)
        try:
            connection.putrequest(method, target, skip_host=True)
            hosts = [f'127.0.0.1:{self.port}'] if host is None else host
            for name in hosts:
                connection.putheader('Host', name)
            for name, value in headers.items():
                connection.putheader(name.replace('_', '-'), value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()


@pytest.fixture
def serve():
    """Return a function that serves feeds and gives a client and the server."""
    from depth_perception.view.server import ViewServer

    running, defects = [], []

    def start(feeds, host='127.0.0.1', **options):
        server = ViewServer(feeds, host, 0, **options)
        server.defect = defects.append
        running.append(server)
        server.start()
        return Client(server), server

    yield start
    for server in running:
        server.close()
    assert defects == []
