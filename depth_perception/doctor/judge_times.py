"""Judge stamps against clocks and against each other, rates and bandwidth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from depth_perception.doctor.facts import Facts, Stream, Subject
from depth_perception.doctor.findings import Finding, finding
from depth_perception.doctor.judge_pairs import LEAST_STAMPS, LOST_SHARE, paired
import numpy as np

HOUR_S = 3600.0
FUTURE_S, SIM_FUTURE_S = 0.1, 0.5  # /clock itself comes in steps
OTHER_CLOCK_S = 10.0  # farther apart than this are two clocks, not one that lags
LEAST_INTERVALS = 10
IRREGULAR_SHARE, LOST_FRAMES = 0.35, 0.3
LINK_SHARE = 0.7


@dataclass(frozen=True)
class Wishes:
    """What the user expects.

    Attributes:
        rate_hz: Least rate of images [Hz].
        link_mbit: What the link from the camera carries [Mbit/s]; 0: not known.
    """

    rate_hz: float = 1.0
    link_mbit: float = 0.0


def judge_times(facts: Facts, subject: Subject, wishes: Wishes) -> list[Finding]:
    """Return what is wrong with stamps, clocks and rates of the inputs."""
    found = [*_judge_clock(facts, subject)]
    explained = bool(found)
    for stream in subject.streams:
        if not stream.stamps_ns or stream.is_info:
            continue
        if max(stream.stamps_ns) <= 0:
            found.append(
                finding(
                    'stamp.zero',
                    subject.name,
                    stream.topic,
                    f'{len(stream.stamps_ns)} messages, all with stamp 0',
                    'let the driver stamp its messages with the time of capture '
                    '(header.stamp = node.now() at the latest)',
                )
            )
            continue
        found += _judge_order(subject, stream)
        if not explained:
            found += _judge_age(facts, subject, stream)
        found += _judge_info_stamps(subject, stream)
        found += _judge_rate(facts, subject, stream, wishes)
    return found


def simulated(facts: Facts, subject: Subject) -> bool:
    """Return whether the subject's time is /clock."""
    usual = bool(facts.clock_publishers) and subject.node is None
    return bool(subject.parameter('use_sim_time', usual))


def _first_image(subject: Subject) -> Stream | None:
    images = (one for one in subject.streams if not one.is_info and one.ages_s)
    return next((one for one in images if max(one.stamps_ns) > 0), None)


def _judge_clock(facts: Facts, subject: Subject) -> Iterator[Finding]:
    image = _first_image(subject)
    name = subject.node.name if subject.node is not None else subject.name
    if subject.node is not None and subject.parameter('use_sim_time', False):
        if not facts.clock_publishers:
            yield finding(
                'clock.none',
                subject.name,
                '/clock',
                'use_sim_time is true, but nobody publishes /clock: time stands at 0',
                (
                    'ros2 bag play BAG --clock, or start the simulator',
                    f'with a real camera: ros2 param set {name} use_sim_time false',
                ),
            )
        elif image is not None and image.sim_ages_s:
            sim_s, real_s = np.median(image.sim_ages_s), np.median(image.ages_s)
            if abs(sim_s) > OTHER_CLOCK_S > abs(real_s):
                yield finding(
                    'clock.mixed',
                    subject.name,
                    image.topic,
                    f'by /clock the images are {sim_s:.1f} s old, by the system {real_s:.2f} s',
                    f'ros2 param set {name} use_sim_time false, or let the camera driver use '
                    'simulated time too',
                )
    elif subject.node is not None and image is not None and image.sim_ages_s:
        sim_s, real_s = np.median(image.sim_ages_s), np.median(image.ages_s)
        if abs(real_s) > OTHER_CLOCK_S > abs(sim_s):
            yield finding(
                'clock.unused',
                subject.name,
                image.topic,
                f'by the system clock the images are {real_s:.1f} s old, by /clock {sim_s:.2f} s',
                f'ros2 param set {name} use_sim_time true, or start it with use_sim_time:=true',
            )


def _judge_order(subject: Subject, stream: Stream) -> Iterator[Finding]:
    back_s = -np.diff(np.asarray(stream.stamps_ns)) / 1e9
    jumps = back_s[back_s > 0.0]
    if jumps.size:
        yield finding(
            'stamp.backwards',
            subject.name,
            stream.topic,
            f'{jumps.size} times in {len(stream.stamps_ns)} messages, by up to '
            f'{jumps.max():.3f} s',
            'two publishers, a bag that loops, or a clock that is set while the camera runs',
        )


def _judge_age(facts: Facts, subject: Subject, stream: Stream) -> Iterator[Finding]:
    by_clock = simulated(facts, subject)
    ages_s = stream.sim_ages_s if by_clock else stream.ages_s
    if len(ages_s) < LEAST_STAMPS:
        return
    # The least age: a slow doctor or a busy machine makes ages greater, never smaller.
    least_s, usual_s = min(ages_s), float(np.median(ages_s))
    limit_s = float(subject.parameter('max_input_age_s', 0.5))
    clock = '/clock' if by_clock else 'the clock of this machine'
    if 0.0 < limit_s < least_s:
        cures = [f'raise max_input_age_s above {usual_s:.2f}, or look for the delay']
        if least_s > HOUR_S:
            cures = [
                'is this a bag? ros2 bag play --clock, and use_sim_time:=true for all nodes',
                'or -p max_input_age_s:=0.0',
            ]
        elif least_s > 2.0:
            cures.insert(0, 'synchronise the clocks of camera and computer (chrony, PTP)')
        yield finding(
            'stamp.old',
            subject.name,
            stream.topic,
            f'images are {least_s:.2f} to {max(ages_s):.2f} s old by {clock}, '
            f'max_input_age_s is {limit_s:g}',
            cures,
        )
    elif usual_s < -(SIM_FUTURE_S if by_clock else FUTURE_S):
        yield finding(
            'stamp.future',
            subject.name,
            stream.topic,
            f'stamps are {-usual_s:.3f} s ahead of {clock}',
            'synchronise the clocks of camera and computer (chrony, PTP); TF will refuse to '
            'look into the future',
        )


def _judge_info_stamps(subject: Subject, stream: Stream) -> Iterator[Finding]:
    info = subject.stream(f'{stream.role} info')
    if info is None or not info.stamps_ns or subject.parameter('cache_camera_info', False):
        return
    # Only images since the first camera_info: topics are discovered one after the other.
    since_s = info.arrivals_s[0]
    images = [
        stamp_ns
        for stamp_ns, arrival_s in zip(stream.stamps_ns, stream.arrivals_s, strict=True)
        if arrival_s >= since_s
    ]
    if len(images) < LEAST_STAMPS:
        return
    approximate = bool(subject.parameter('approximate_sync', False))
    tolerance_s = float(subject.parameter('approximate_sync_tolerance_seconds', 0.01))
    tolerance_ns = round(tolerance_s * 1e9) if approximate else 0
    known = np.asarray(info.stamps_ns)
    matched = sum(bool(np.abs(known - one).min() <= tolerance_ns) for one in images)
    if matched >= LOST_SHARE * len(images):
        return
    _, _, offset_s = paired(images, info.stamps_ns, tolerance_ns)
    yield finding(
        'stamp.info',
        subject.name,
        info.topic,
        f'{matched} of {len(images)} images have a camera_info of their stamp; there were '
        f'{len(info.stamps_ns)} camera_infos, {offset_s * 1e3:+.1f} ms from the images',
        (
            'let the driver publish image and camera_info together, with one stamp',
            '-p cache_camera_info:=true takes the newest camera_info whatever its stamp',
        ),
    )


def _judge_rate(
    facts: Facts, subject: Subject, stream: Stream, wishes: Wishes
) -> Iterator[Finding]:
    stamps_s = np.unique(np.asarray(stream.stamps_ns)) / 1e9
    if stamps_s.size < 2:
        return
    intervals_s = np.diff(stamps_s)
    rate_hz = float(1.0 / np.median(intervals_s))
    if rate_hz < wishes.rate_hz:
        yield finding(
            'rate.low',
            subject.name,
            stream.topic,
            f'{rate_hz:.2f} Hz by the stamps of {stamps_s.size} images, wanted at least '
            f'{wishes.rate_hz:g}',
            (
                'look at frame rate and exposure time of the camera, and at the load of its '
                'computer (a long exposure in the dark halves the rate)',
                'say --rate for another expectation',
            ),
        )
    yield from _judge_gaps(facts, subject, stream, intervals_s * rate_hz, rate_hz)
    mbit = stream.bytes * 8e-6 * rate_hz
    if wishes.link_mbit > 0.0 and mbit > LINK_SHARE * wishes.link_mbit:
        yield finding(
            'rate.link',
            subject.name,
            stream.topic,
            f'{stream.bytes / 1e6:.2f} MB at {rate_hz:.1f} Hz are {mbit:.0f} Mbit/s, the link '
            f'carries {wishes.link_mbit:g}',
            'send compressed images (image_transport:=compressed), mono8 instead of colour, '
            'fewer pixels or fewer frames; or run the depth node on the computer of the camera',
        )


def _judge_gaps(
    facts: Facts, subject: Subject, stream: Stream, periods: object, rate_hz: float
) -> Iterator[Finding]:
    gaps = np.asarray(periods, np.float64)
    if gaps.size < LEAST_INTERVALS:
        return
    whole = np.round(gaps)
    lost = int((whole - 1)[whole > 1].sum())
    on_grid = float((np.abs(gaps - whole) < 0.15).mean())
    if on_grid > 0.8 and lost > LOST_FRAMES * (lost + gaps.size):
        yield finding(
            'rate.losses',
            subject.name,
            stream.topic,
            f'{lost} of {lost + gaps.size} images at {rate_hz:.1f} Hz did not arrive, '
            f'{stream.bytes / 1e6:.2f} MB each',
            _loss_cures(facts, stream),
        )
    elif float((np.abs(gaps - 1.0) > 0.5).mean()) > IRREGULAR_SHARE:
        yield finding(
            'rate.irregular',
            subject.name,
            stream.topic,
            f'{rate_hz:.1f} Hz, but intervals from {gaps.min() / rate_hz * 1e3:.0f} to '
            f'{gaps.max() / rate_hz * 1e3:.0f} ms',
            'look at the load of the computer of the camera, and at USB and network links that '
            'it shares; let the driver stamp at capture, not at publishing',
        )


def _loss_cures(facts: Facts, stream: Stream) -> list[str]:
    around = facts.surroundings
    cures = []
    if 'fastrtps' in around.middleware:
        cures.append(
            'on one computer: start the publisher with FASTDDS_DEFAULT_PROFILES_FILE='
            '.../config/fastdds_shm.xml; stock Fast DDS has 0.5 MiB of shared memory'
        )
    if 0 <= around.receive_buffer_bytes < max(2**21, stream.bytes):
        cures.append(
            f'over the network: the UDP receive buffer is {around.receive_buffer_bytes} bytes; '
            'sudo sysctl -w net.core.rmem_max=8388608 net.ipv4.ipfrag_time=3'
        )
    if any(one.reliability == 'best_effort' for one in stream.matching):
        cures.append('let the driver publish reliable: best effort loses large images first')
    cures.append('or send less: compressed, mono8, smaller, slower')
    return cures
