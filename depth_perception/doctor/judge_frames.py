"""Judge frame ids and TF."""

from __future__ import annotations

from collections.abc import Iterator

from depth_perception.doctor.facts import Facts, Frames, Stream, Subject
from depth_perception.doctor.findings import Finding, finding, Severity

_LOOKS_UP = 0.8  # z of the optical axis: a camera at the ceiling, or x forward and z up
_STATIC = (
    'ros2 run tf2_ros static_transform_publisher --x X --y Y --z Z --roll -1.5708 --pitch 0 '
    '--yaw -1.5708 --frame-id {base} --child-frame-id {frame}'
)


def judge_frames(facts: Facts, subject: Subject) -> list[Finding]:
    """Return what is wrong with the frames of a camera."""
    found: list[Finding] = []
    for stream in subject.streams:
        if stream.is_info or not stream.frame_ids:
            continue
        found += _judge_ids(subject, stream)
        if stream.frame_id and stream is subject.streams[0]:
            found += _judge_place(facts.frames, subject, stream)
    left, right = subject.stream('left image'), subject.stream('right image')
    frames = [one.frame_id for one in (left, right) if one is not None and one.frame_id]
    if right is not None and len(set(frames)) > 1:
        found.append(
            finding(
                'frame.pair',
                subject.name,
                right.topic,
                f'{frames[0]!r} on the left, {frames[1]!r} on the right',
                'nothing to do for this node, which uses the left one; '
                'image_geometry::StereoCameraModel wants both to be equal',
            )
        )
    return found


def _judge_ids(subject: Subject, stream: Stream) -> Iterator[Finding]:
    info = subject.stream(f'{stream.role} info')
    if not stream.frame_id:
        yield finding(
            'frame.empty',
            subject.name,
            stream.topic,
            'frame_id is empty',
            'set the frame id in the driver (usually frame_id:=camera_optical_frame)',
        )
        return
    if len(stream.frame_ids) > 1:
        yield finding(
            'frame.changes',
            subject.name,
            stream.topic,
            f'{len(stream.frame_ids)} frame ids: {", ".join(map(repr, stream.frame_ids[:4]))}',
            'two publishers on one topic? Give each camera its own topic',
        )
    if info is not None and info.frame_ids and info.frame_id != stream.frame_id:
        yield finding(
            'frame.info',
            subject.name,
            info.topic,
            f'{info.frame_id!r} on the camera_info, {stream.frame_id!r} on the image',
            'does the camera_info belong to this image? Let the driver write one frame id to both',
        )
    if stream.frame_id.rsplit('/', 1)[-1].endswith('_link'):
        yield finding(
            'frame.not_optical',
            subject.name,
            stream.topic,
            f'frame_id is {stream.frame_id!r}; frames called *_link have x forward and z up',
            'let the driver use the optical frame (camera_optical_frame), a child of the link '
            'rotated by roll -90, yaw -90 degrees',
        )


def _judge_place(frames: Frames, subject: Subject, stream: Stream) -> Iterator[Finding]:
    placed = frames.placed.get(stream.frame_id)
    if frames.lacking or placed is None:
        return
    needed = bool(subject.parameter('ground.frame', '')) or (
        subject.parameter('filters.temporal', '') == 'motion'
    )
    severity: Severity = 'error' if needed else 'warning'
    cure = _STATIC.format(base=frames.base, frame=stream.frame_id)
    if not placed.root:
        seen = f'TF does not know {stream.frame_id!r}'
        if frames.received == 0:
            seen = 'nothing came on /tf and /tf_static'
        yield finding(
            'tf.missing',
            subject.name,
            stream.frame_id,
            seen,
            ('start robot_state_publisher, or for a fixed camera: ' + cure,),
            severity=severity,
        )
        return
    if not placed.base:
        known = frames.base in frames.known
        yield finding(
            'tf.unconnected',
            subject.name,
            stream.frame_id,
            f'{stream.frame_id!r} hangs below {placed.root!r}, '
            + (
                f'{frames.base!r} does not'
                if known
                else f'and TF knows no {frames.base!r}; it knows {", ".join(frames.known[:8])}'
            )
            + (f'; {placed.problem}' if placed.problem else ''),
            (
                cure,
                'if the base of the robot has another name: --base-frame NAME',
            ),
            severity=severity,
        )
    elif placed.down > _LOOKS_UP and not stream.frame_id.endswith('_link'):
        yield finding(
            'frame.not_optical',
            subject.name,
            stream.topic,
            f'by TF the z axis of {stream.frame_id!r} points up ({placed.down:+.2f}): as an '
            'optical frame it would look at the ceiling',
            'rotate the frame: z must point forward, x right, y down (roll -90, yaw -90 degrees '
            'below a frame with x forward)',
        )
