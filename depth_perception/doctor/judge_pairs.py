"""Judge stereo pairs: stamps, calibration of the two together, and what the images show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from depth_perception.core.camera import PinholeCamera
from depth_perception.doctor.facts import Info, Sight, Stream, Subject
from depth_perception.doctor.findings import Finding, finding
from depth_perception.doctor.judge_cameras import projection, usable_camera
import numpy as np

LEAST_STAMPS = 4
LOST_SHARE = 0.5
LEAST_MATCHES = 20  # fewer say nothing about a calibration
LEAST_FEATURES = 60.0  # an image with fewer has hardly any texture
LEAST_AGREEMENT = 0.5
VERTICAL_PX, VERTICAL_ERROR_PX = 0.75, 1.5
SLOPE_PX = 2.0  # across the image, e.g. by a roll of one camera
SWAPPED_SHARE = 0.7
BASELINE_M = (0.005, 5.0)
_SYNCHRONISE = (
    'trigger both cameras by hardware, or let one driver stamp both images of a pair alike'
)
_RECTIFY = (
    'calibrate the two as a stereo camera, and feed rectified images: '
    'ros2 run camera_calibration cameracalibrator --approximate 0.01 ...; '
    'has a camera moved or been refocused since?'
)


def judge_pairs(subject: Subject) -> list[Finding]:
    """Return what is wrong between the left and the right camera."""
    left, right = subject.stream('left image'), subject.stream('right image')
    if left is None or right is None:
        return []
    found = [*_judge_stamps(subject, left, right)]
    infos = subject.stream('left image info'), subject.stream('right image info')
    left_info = infos[0].info if infos[0] is not None else None
    right_info = infos[1].info if infos[1] is not None else None
    calibrated = False
    if left_info is not None and right_info is not None:
        topic = infos[1].topic if infos[1] is not None else ''
        wrong = [*_judge_rig(subject, topic, left_info, right_info)]
        if (0, 0) != _size_of(left) == _size_of(right):  # then info.size says which is wrong
            wrong = [one for one in wrong if one.id != 'pair.size']
        found += wrong
        calibrated = not wrong
    elif _sizes_differ(left, right):
        found.append(_size_finding(subject, right.topic, _size_of(left), _size_of(right)))
    if subject.sight is not None:
        found += _judge_sight(subject, left, right, subject.sight, calibrated=calibrated)
    return found


def paired(
    stamps_ns: Sequence[int], others_ns: Sequence[int], tolerance_ns: int
) -> tuple[int, int, float]:
    """Return how many stamps have a partner, how many there are, and the usual difference.

    Only the time that both cover counts, since topics are discovered one after the other.

    Args:
        stamps_ns: Stamps to find partners for [ns].
        others_ns: Stamps of the other topic [ns].
        tolerance_ns: Greatest difference of partners [ns].

    Returns:
        Stamps with a partner, stamps looked at, and the median of the differences to the nearest
        other one [s]: positive where the other one is later.
    """
    one, other = np.unique(np.asarray(stamps_ns)), np.unique(np.asarray(others_ns))
    low, high = max(one[0], other[0]) - tolerance_ns, min(one[-1], other[-1]) + tolerance_ns
    inside = one[(one >= low) & (one <= high)]
    if inside.size == 0:
        inside = one
    after = np.clip(np.searchsorted(other, inside), 0, other.size - 1)
    before = np.clip(after - 1, 0, other.size - 1)
    later, earlier = other[after] - inside, other[before] - inside
    nearest = np.where(np.abs(later) <= np.abs(earlier), later, earlier)
    matched = int((np.abs(nearest) <= tolerance_ns).sum())
    return matched, int(inside.size), float(np.median(nearest)) / 1e9


def _judge_stamps(subject: Subject, left: Stream, right: Stream) -> Iterator[Finding]:
    if min(len(left.stamps_ns), len(right.stamps_ns)) < LEAST_STAMPS:
        return
    if max(left.stamps_ns) <= 0 or max(right.stamps_ns) <= 0:
        return  # told apart elsewhere
    approximate = bool(subject.parameter('approximate_sync', False))
    tolerance_s = float(subject.parameter('approximate_sync_tolerance_seconds', 0.01))
    tolerance_ns = round(tolerance_s * 1e9) if approximate else 0
    matched, count, offset_s = paired(left.stamps_ns, right.stamps_ns, tolerance_ns)
    if matched == 0:
        cures = [_SYNCHRONISE]
        if approximate:
            cures.append(f'-p approximate_sync_tolerance_seconds:={1.5 * abs(offset_s):.3f}')
        else:
            cures.append(
                '-p approximate_sync:=true -p approximate_sync_tolerance_seconds:='
                f'{1.5 * abs(offset_s):.3f}, for scenes and robots that move slowly'
            )
        yield finding(
            'pair.stamps',
            subject.name,
            right.topic,
            f'none of {count} left stamps has a right one within {tolerance_ns / 1e6:g} ms; '
            f'right minus left is {offset_s * 1e3:+.1f} ms',
            cures,
        )
    elif matched < LOST_SHARE * count:
        yield finding(
            'pair.losses',
            subject.name,
            right.topic,
            f'{count - matched} of {count} left images have no right one of their stamp, '
            f'{matched} have',
            (
                'images are lost on the way: give the process that publishes them more shared '
                'memory, FASTDDS_DEFAULT_PROFILES_FILE=.../config/fastdds_shm.xml '
                '(docs/interface.md, QoS)',
                'or the drivers skip frames: see the rates below with ros2 topic hz',
            ),
        )


def _judge_rig(
    subject: Subject, topic: str, left_info: Info, right_info: Info
) -> Iterator[Finding]:
    left, right = usable_camera(left_info), usable_camera(right_info)
    if left is None or right is None:
        return
    if (left.width, left.height) != (right.width, right.height):
        sizes = ((left.width, left.height), (right.width, right.height))
        yield _size_finding(subject, topic, *sizes)
    else:
        yield from _judge_agreement(subject, topic, left, right)
    fx_left, tx_left, ty_left = projection(left_info)
    fx_right, tx_right, ty_right = projection(right_info)
    baseline_m = tx_left / fx_left - tx_right / fx_right
    seen = f'P[3] is {tx_left:g} on the left and {tx_right:g} on the right'
    if ty_left != ty_right:
        yield finding(
            'pair.calibration',
            subject.name,
            topic,
            f'P[7] is {ty_left:g} on the left and {ty_right:g} on the right: the cameras lie one '
            'above the other',
            'calibrate and rectify them as a horizontal pair',
        )
    elif baseline_m == 0.0:
        yield finding(
            'pair.no_baseline',
            subject.name,
            topic,
            f'{seen}: there is no baseline',
            'calibrate the two as a stereo camera; two calibrations of single cameras do not say '
            'how far apart they are',
        )
    elif baseline_m < 0.0:
        yield finding(
            'pair.swapped_info',
            subject.name,
            topic,
            f'{seen}, a baseline of {baseline_m:.4f} m: left and right are swapped',
            'exchange the topics: -r left/camera_info:=... -r right/camera_info:=..., and the '
            'images too if those are swapped as well',
        )
    elif not BASELINE_M[0] <= baseline_m <= BASELINE_M[1]:
        yield finding(
            'pair.baseline',
            subject.name,
            topic,
            f'{seen}: a baseline of {baseline_m:g} m',
            'calibrate with the size of the pattern in metres (--square 0.025, not 25)',
        )


def _judge_agreement(
    subject: Subject, topic: str, left: PinholeCamera, right: PinholeCamera
) -> Iterator[Finding]:
    apart = [
        f'{name} is {one:.2f} on the left and {other:.2f} px on the right'
        for name, one, other, limit in (
            ('fx', left.fx, right.fx, 1e-3 * left.fx),
            ('fy', left.fy, right.fy, 1e-3 * left.fy),
            ('cy', left.cy, right.cy, 0.5),
        )
        if abs(one - other) > limit
    ]
    if apart:
        yield finding('pair.calibration', subject.name, topic, '; '.join(apart), _RECTIFY)


def _size_of(stream: Stream) -> tuple[int, int]:
    picture = stream.picture
    return (picture.width, picture.height) if picture is not None else (0, 0)


def _sizes_differ(left: Stream, right: Stream) -> bool:
    sizes = _size_of(left), _size_of(right)
    return (0, 0) not in sizes and sizes[0] != sizes[1]


def _size_finding(
    subject: Subject, topic: str, left: tuple[int, int], right: tuple[int, int]
) -> Finding:
    return finding(
        'pair.size',
        subject.name,
        topic,
        f'left {left[0]}x{left[1]}, right {right[0]}x{right[1]}',
        'set both cameras to one resolution and calibrate them at it',
    )


def _judge_sight(
    subject: Subject, left: Stream, right: Stream, sight: Sight, *, calibrated: bool
) -> Iterator[Finding]:
    topic = right.topic
    if sight.pairs == 0:
        if sight.problem and not any(one.picture is None for one in (left, right)):
            yield finding(
                'pair.unseen',
                subject.name,
                right.topic,
                sight.problem,
                'nothing, if another finding explains it; else run the doctor again',
            )
        return
    if sight.identical:
        yield finding(
            'pair.identical',
            subject.name,
            topic,
            f'left and right are byte by byte the same in {sight.pairs} pairs',
            'both inputs come from one camera: mend the remapping of one of them',
        )
        return
    if sight.features < LEAST_FEATURES:
        return  # nothing to compare; the image may be blank, or a wall
    agree = sight.matches * sight.agree
    if agree < LEAST_MATCHES * sight.pairs / 2 or sight.agree < LEAST_AGREEMENT:
        yield finding(
            'pair.unmatched',
            subject.name,
            topic,
            f'{sight.features:.0f} features on the left, {sight.matches / sight.pairs:.0f} found '
            f'on the right, {100 * sight.agree:.0f} % of them in keeping with each other',
            'do both cameras look at the same scene, at the same time, the same way up? Do the '
            'topics belong to one rig?',
        )
        return
    yield from _judge_rows(subject, topic, sight)
    if sight.behind > SWAPPED_SHARE and calibrated:
        yield finding(
            'pair.swapped',
            subject.name,
            topic,
            f'{100 * sight.behind:.0f} % of {sight.matches} matches lie behind the cameras, '
            f'disparity is {sight.disparity_px:+.1f} px: the images are swapped',
            'exchange the image topics: -r left/image_rect:=RIGHT -r right/image_rect:=LEFT '
            '(the camera_infos are the right way round)',
        )


def _judge_rows(subject: Subject, topic: str, sight: Sight) -> Iterator[Finding]:
    offset_px = abs(sight.vertical_px)
    slope_px = max(abs(sight.roll_px), abs(sight.scale_px))
    if offset_px <= VERTICAL_PX and slope_px <= SLOPE_PX:
        return
    gross = offset_px > VERTICAL_ERROR_PX or slope_px > 2 * SLOPE_PX
    yield finding(
        'pair.vertical',
        subject.name,
        topic,
        f'things are {offset_px:.2f} px {"lower" if sight.vertical_px < 0.0 else "higher"} in the '
        f'right image than in the left one, '
        f'{sight.roll_px:+.1f} px more at the right edge than at the left, '
        f'{sight.scale_px:+.1f} px more at the bottom than at the top ({sight.matches} matches)',
        _RECTIFY,
        severity='error' if gross else 'warning',
    )
