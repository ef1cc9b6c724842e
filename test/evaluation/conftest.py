"""For the data sets: writers in the codings of their devkits, and a reader of the bags."""

from types import SimpleNamespace

from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.datasets.convert import convert
from depth_perception.evaluation.datasets.formats import entries_of
from depth_perception.evaluation.datasets.sample import Options
from depth_perception.evaluation.pictures import write_image
import numpy as np
import pytest


def picture(height, width, seed=0):
    """Return RGB noise."""
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def put(path, content):
    """Write text, bytes or an image, making the folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_image(path, content)
    return path


def pfm(values):
    """Return the bytes of a little-endian PFM: rows from the bottom up."""
    height, width = values.shape
    header = f'Pf\n{width} {height}\n-1.0\n'.encode()
    return header + values[::-1].astype('<f4').tobytes()


def converted(tmp_path, name, source, **given):
    """Convert everything and return topic -> messages, with options, summary and path beside."""
    extra = {key: given.pop(key) for key in ('scenes', 'limit', 'rate_hz') if key in given}
    options = Options(source, **given)
    entries = entries_of(name, options, extra.get('scenes', ()), extra.get('limit'))
    path = tmp_path / 'bag'
    summary = convert(entries, path, extra.get('rate_hz'), overwrite=True)
    with Recording(path) as recording:
        by_topic = {topic: [] for topic in recording.types}
        for message in recording.messages(sorted(by_topic)):
            by_topic[message.topic].append(message)
    return SimpleNamespace(topics=by_topic, options=options, summary=summary, path=path)


def floats(image):
    """Return the values of a 32FC1 image message."""
    return np.frombuffer(image.data.tobytes(), '<f4').reshape(image.height, image.width)


def matrix_of(stamped):
    """Return the (4, 4) parent_from_child of a TransformStamped."""
    q, t = stamped.transform.rotation, stamped.transform.translation
    w, v = q.w, np.array([q.x, q.y, q.z])
    cross = np.array([[0, -q.z, q.y], [q.z, 0, -q.x], [-q.y, q.x, 0]])
    matrix = np.eye(4)
    matrix[:3, :3] = (w * w - v @ v) * np.eye(3) + 2 * np.outer(v, v) + 2 * w * cross
    matrix[:3, 3] = [t.x, t.y, t.z]
    return matrix


def warp_errors(left, right, disparity, shifts):
    """Return the median grey error of right at u - d - shift against left, for each shift."""
    rows, columns = np.nonzero(np.isfinite(disparity))
    found = []
    for shift in shifts:
        target = np.rint(columns - disparity[rows, columns] - shift).astype(int)
        inside = (target >= 0) & (target < left.shape[1])
        seen = right[rows[inside], target[inside]].astype(float)
        found.append(np.abs(seen - left[rows[inside], columns[inside]]).mean(axis=-1).mean())
    return found


@pytest.fixture
def data(tmp_path):
    """Return the functions of this file; `source` is an empty folder for a data set."""
    pytest.importorskip('rosbags')
    pytest.importorskip('cv2')
    source = tmp_path / 'source'
    source.mkdir()
    return SimpleNamespace(
        source=source,
        picture=picture,
        put=lambda name, content: put(source / name, content),
        pfm=pfm,
        converted=lambda name, folder=source, **given: converted(tmp_path, name, folder, **given),
        floats=floats,
        matrix_of=matrix_of,
        warp_errors=warp_errors,
    )
