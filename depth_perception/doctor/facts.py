"""What the doctor has seen on the graph: plain numbers and texts that go through JSON and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FACTS_SCHEMA = 'depth_perception.doctor.facts/1'
RELIABLE, BEST_EFFORT = 'reliable', 'best_effort'
TRANSIENT_LOCAL, VOLATILE = 'transient_local', 'volatile'


@dataclass(frozen=True)
class Endpoint:
    """A publisher or a subscription: its node, type and quality of service."""

    node: str
    type: str
    reliability: str = RELIABLE
    durability: str = VOLATILE


@dataclass(frozen=True)
class Roi:
    """The window of the sensor that a camera_info is of [px]."""

    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0
    do_rectify: bool = False


@dataclass(frozen=True)
class Info:
    """The newest camera_info of a topic; named as in the message."""

    width: int
    height: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]
    binning_x: int = 0
    binning_y: int = 0
    roi: Roi = field(default_factory=Roi)


@dataclass(frozen=True)
class Picture:
    """One image of a topic.

    Attributes:
        width: [px], of the decoded image where that was possible.
        height: Likewise.
        encoding: As in the message, or the format of a compressed one.
        problem: Why the node cannot decode it; '' if it can.
        cause: Short name of the problem, as in the drop counters of the node.
        contrast: Standard deviation of the grey values, 0..127; NaN if not decoded.
        brightness: Mean of the grey values, 0..255; NaN if not decoded.
    """

    width: int
    height: int
    encoding: str
    problem: str = ''
    cause: str = ''
    contrast: float = float('nan')
    brightness: float = float('nan')


@dataclass(frozen=True)
class Stream:
    """One input topic of a camera, and what arrived on it while the doctor listened.

    Attributes:
        role: 'image', 'left image', 'right image', or the same with 'info'.
        topic: Resolved name.
        type: Message type that is wanted there.
        publishers: Who publishes it, in any type.
        subscribers: Who listens, but for the doctor.
        similar: Published topics of the type wanted, most similar names first.
        other_transport: Topic that carries the same images raw or compressed; '' if none does.
        arrivals_s: When messages arrived [s], from the first look on.
        stamps_ns: Their stamps [ns].
        ages_s: How old they were by the clock of this machine [s].
        sim_ages_s: How old they were by /clock [s]; empty without one.
        bytes: Size of the newest message.
        frame_ids: Those seen, in order.
        calibrations: How many different camera_infos came.
        info: The newest camera_info.
        picture: One of the images.
    """

    role: str
    topic: str
    type: str
    publishers: tuple[Endpoint, ...] = ()
    subscribers: tuple[Endpoint, ...] = ()
    similar: tuple[str, ...] = ()
    other_transport: str = ''
    arrivals_s: tuple[float, ...] = ()
    stamps_ns: tuple[int, ...] = ()
    ages_s: tuple[float, ...] = ()
    sim_ages_s: tuple[float, ...] = ()
    bytes: int = 0
    frame_ids: tuple[str, ...] = ()
    calibrations: int = 0
    info: Info | None = None
    picture: Picture | None = None

    @property
    def is_info(self) -> bool:
        """Whether camera_infos are wanted here, not images."""
        return self.role.endswith('info')

    @property
    def matching(self) -> tuple[Endpoint, ...]:
        """The publishers of the type that is wanted."""
        return tuple(one for one in self.publishers if one.type == self.type)

    @property
    def frame_id(self) -> str:
        """The newest frame id; '' if there is none."""
        return self.frame_ids[-1] if self.frame_ids else ''


@dataclass(frozen=True)
class Sight:
    """What live image pairs show, by features found in both.

    Attributes:
        pairs: Pairs of images that were compared.
        features: Features of the left images, on average.
        matches: Features found in both images and kept, of all pairs together.
        agree: Share of the matches that follow one smooth shift in height.
        vertical_px: Median of row left minus row right [px], of the full image.
        roll_px: Change of that from the left to the right edge of the image [px].
        scale_px: Change of that from the top to the bottom of the image [px].
        disparity_px: Median of column left minus column right [px].
        behind: Share of the matches that the calibration puts behind the cameras.
        identical: Whether left and right are the same picture, byte by byte.
        problem: Why no pair could be compared; '' if one could.
    """

    pairs: int = 0
    features: float = 0.0
    matches: int = 0
    agree: float = 0.0
    vertical_px: float = 0.0
    roll_px: float = 0.0
    scale_px: float = 0.0
    disparity_px: float = 0.0
    behind: float = 0.0
    identical: bool = False
    problem: str = ''


@dataclass(frozen=True)
class Output:
    """What a depth node publishes, and who listens."""

    topic: str
    publisher: Endpoint
    subscribers: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class NodeFacts:
    """A depth node.

    Attributes:
        name: Fully qualified name.
        count: How many nodes of that name there are.
        answers: Whether it answered a service call.
        state: Lifecycle state; '' if it did not say.
        parameters: Name -> value.
        statuses: Number of messages on ~/status.
        level: Level of the newest status: 0 OK, 1 WARN, 2 ERROR; -1 without one.
        message: Its sentence.
        values: Its figures.
        outputs: What it publishes.
        woken: Whether the doctor subscribed to one of its outputs.
        heard: Messages that came on that one.
        heard_ages_s: How old they were by the clock of this machine [s].
    """

    name: str
    count: int = 1
    answers: bool = True
    state: str = ''
    parameters: dict[str, Any] = field(default_factory=dict)
    statuses: int = 0
    level: int = -1
    message: str = ''
    values: dict[str, str] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    woken: bool = False
    heard: int = 0
    heard_ages_s: tuple[float, ...] = ()

    @property
    def is_active(self) -> bool:
        """Whether it is in the lifecycle state that works."""
        return self.state == 'active'


@dataclass(frozen=True)
class Subject:
    """A camera or a pair, with the depth node that serves it, if one does.

    Attributes:
        name: The node, or the topics.
        streams: Its inputs: images first, then camera_infos, left before right.
        node: The depth node.
        sight: What pairs of images show.
    """

    name: str
    streams: tuple[Stream, ...] = ()
    node: NodeFacts | None = None
    sight: Sight | None = None

    def stream(self, role: str) -> Stream | None:
        """Return the stream of a role, or None."""
        return next((stream for stream in self.streams if stream.role == role), None)

    def parameter(self, name: str, default: Any) -> Any:
        """Return a parameter of the node; `default` where it has none or did not say."""
        parameters = self.node.parameters if self.node is not None else {}
        return parameters.get(name, default)


@dataclass(frozen=True)
class Placed:
    """Where TF has a camera frame.

    Attributes:
        root: Top of its tree; '' if TF does not know the frame.
        base: Whether it hangs together with the base frame.
        down: z of the optical axis in the base frame, -1 down to 1 up; NaN without a base.
        problem: Why it could not be looked up.
    """

    root: str = ''
    base: bool = False
    down: float = float('nan')
    problem: str = ''


@dataclass(frozen=True)
class Frames:
    """What TF says.

    Attributes:
        lacking: Why TF could not be looked at; '' if it could.
        received: Messages on /tf and /tf_static.
        base: Frame that cameras should be connected to.
        known: Names of all frames.
        placed: Camera frame -> where it is.
    """

    lacking: str = ''
    received: int = 0
    base: str = 'base_link'
    known: tuple[str, ...] = ()
    placed: dict[str, Placed] = field(default_factory=dict)


@dataclass(frozen=True)
class Surroundings:
    """The machine and the middleware, as the doctor's process sees them."""

    distribution: str = ''
    middleware: str = ''
    domain: str = '0'
    discovery_range: str = ''
    profile: bool = False
    shared_memory_mib: int = -1
    receive_buffer_bytes: int = -1


@dataclass(frozen=True)
class Facts:
    """All that was seen.

    Attributes:
        schema: Version of this layout.
        seconds: How long the doctor listened [s].
        busy: Share of that time in which this machine did not let it keep up.
        nodes: Names of all other nodes, one entry per node.
        topics: Number of published topics besides those that every node has.
        clock_publishers: Who publishes /clock.
        subjects: Cameras and depth nodes.
        missing_nodes: Nodes asked for that are not there.
        frames: What TF says.
        surroundings: The machine and the middleware.
    """

    schema: str = FACTS_SCHEMA
    seconds: float = 0.0
    busy: float = 0.0
    nodes: tuple[str, ...] = ()
    topics: int = 0
    clock_publishers: tuple[str, ...] = ()
    subjects: tuple[Subject, ...] = ()
    missing_nodes: tuple[str, ...] = ()
    frames: Frames = field(default_factory=Frames)
    surroundings: Surroundings = field(default_factory=Surroundings)
