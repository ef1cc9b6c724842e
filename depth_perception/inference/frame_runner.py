"""The work of the fused kernels: pictures into tensors, metric maps into depth, sigma and cloud.

It lives in the thread that owns the CUDA runtime, see `tensorrt_backend`. Before a kernel serves,
what it writes is compared with its numpy twin, once for every size, as the parity gate does with
engines.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, final

from depth_perception.core.frame import Picture
from depth_perception.core.types import AnyArray
from depth_perception.inference.cuda_kernels import cells_along, FusedKernels
from depth_perception.inference.cuda_runtime import CudaRuntime, Slot
from depth_perception.inference.frame_jobs import ImageInput, Published, PublishJob
from depth_perception.inference.kernel_check import (
    image_difference,
    probe_job,
    probe_picture,
    publish_difference,
)

_MOST_GRAPHS = 16  # then settings change too often for recording to pay
Slots = dict[str, Slot]


@final
class Recorder:
    """Runs work, and records it as a graph once it came twice the same.

    Args:
        cuda: The runtime of the calling thread.
        wanted: Whether to record at all.
    """

    def __init__(self, cuda: CudaRuntime, *, wanted: bool) -> None:
        self._cuda = cuda
        self._left = _MOST_GRAPHS if wanted and cuda.captures else 0
        self._key: Hashable = None
        self._graph: Any = None

    def run(self, key: Hashable, work: Callable[[], None], stream: int) -> bool:
        """Queue work; return whether the stream can still be used.

        Args:
            key: Equal for equal work.
            work: Queues it.
            stream: Where.
        """
        if key != self._key:
            self._key, self._graph = key, None
            work()
            return True
        if self._graph is None and self._left:
            self._left -= 1
            try:
                self._graph = self._cuda.capture(stream, work)
            except Exception:  # noqa: BLE001 - not all can be recorded; it runs as it is
                self._left = 0
                return False
        if self._graph is None:
            work()
        else:
            self._cuda.launch(self._graph, stream)
        return True


@final
class FrameRunner:
    """Kernels, and the memory that frames need beside that of the network.

    Args:
        cuda: The runtime of the calling thread.

    Raises:
        Exception: Whatever the compiler or the driver says, if the kernels cannot be made.
    """

    def __init__(self, cuda: CudaRuntime) -> None:
        self._cuda = cuda
        self._kernels = FusedKernels(cuda)
        self._images: dict[tuple[int, tuple[int, ...]], Slot] = {}
        self._shown: dict[int, tuple[Picture, Slot]] = {}  # pictures that are on the device now
        self._maps: tuple[tuple[int, int], Slots] = ((0, 0), {})

    # Before the network

    def fill(self, images: tuple[ImageInput, ...]) -> list[Slot]:
        """Copy pictures to where the device reads them; the same picture once."""
        self._shown = {}
        return [self._placed(image.picture) for image in images]

    def _placed(self, picture: Picture) -> Slot:
        if id(picture) in self._shown:
            return self._shown[id(picture)][1]
        key = len(self._shown), picture.pixels.shape
        for old in [old for old in self._images if old[0] == key[0] and old != key]:
            self._cuda.free_slot(self._images.pop(old))
        if key not in self._images:
            self._images[key] = self._cuda.make_slot(picture.pixels.shape, 'uint8')
        slot = self._images[key]
        slot.host[...] = picture.pixels
        self._shown[id(picture)] = picture, slot
        return slot

    def queue_images(
        self, images: tuple[ImageInput, ...], places: list[Slot], inputs: Mapping[str, Slot],
        stream: int,
    ) -> None:  # fmt: skip
        """Queue uploads and the kernel that makes tensors of pictures."""
        for slot in {slot.address: slot for slot in places}.values():
            self._cuda.upload(slot, stream)
        for image, slot in zip(images, places, strict=True):
            tensor = inputs[image.tensor]
            address = tensor.address + image.first * tensor.host.dtype.itemsize
            self._kernels.prepare(slot.address, address, image.arguments, stream)

    def check_images(
        self, images: tuple[ImageInput, ...], inputs: Mapping[str, Slot], stream: int
    ) -> str:
        """Return how the kernel differs from its twin; '' if it does not."""
        pictures: dict[int, Picture] = {}
        for image in images:
            pictures.setdefault(id(image.picture), probe_picture(image.picture, len(pictures)))
        probes = tuple(
            ImageInput(i.tensor, pictures[id(i.picture)], i.arguments, i.first) for i in images
        )
        self.queue_images(probes, self.fill(probes), inputs, stream)
        for name in {image.tensor for image in images}:
            self._cuda.download(inputs[name], stream)
        self._cuda.synchronise(stream)
        self._shown = {}
        for probe in probes:
            found = inputs[probe.tensor].host.reshape(-1)[probe.first :]
            problem = image_difference(probe, found)
            if problem:
                return f'{probe.tensor} {problem}'
        return ''

    # After it

    def fill_maps(self, job: PublishJob) -> Slots:
        """Copy maps, and the picture unless it is there already, to where the device reads."""
        shape = job.rho.shape
        if self._maps[0] != shape:
            for slot in self._maps[1].values():
                self._cuda.free_slot(slot)
            self._maps = shape, {}
            kinds = {'far': 'uint8'}
            for name in ('rho', 'score', 'far', 'first depth', 'first sigma', 'depth', 'sigma'):
                self._maps[1][name] = self._cuda.make_slot(shape, kinds.get(name, 'float32'))
            cells = cells_along(shape[0]), cells_along(shape[1])
            self._maps[1]['cells'] = self._cuda.make_slot(cells, 'float32')
            self._maps[1]['cloud'] = self._cuda.make_slot((*shape, 5), 'uint32')
        slots = dict(self._maps[1])
        slots['rho'].host[...] = job.rho
        slots['score'].host[...] = job.sigma_rho
        if job.far is None:
            del slots['far']
        else:
            slots['far'].host[...] = job.far
        if job.picture is None:
            del slots['cloud']
        elif id(job.picture) not in self._shown:
            self._shown = {}
            slots['new picture'] = slots['picture'] = self._placed(job.picture)
        else:
            slots['picture'] = self._shown[id(job.picture)][1]
        return slots

    def queue_maps(self, job: PublishJob, slots: Slots, stream: int) -> None:
        """Queue uploads, the kernels that make depth, sigma and cloud, and downloads."""
        for name in ('rho', 'score', 'far', 'new picture'):
            if name in slots:
                self._cuda.upload(slots[name], stream)
        place = {name: slot.address for name, slot in slots.items()}
        colours, cloud = place.get('picture', 0), place.get('cloud', 0)
        sources = place['rho'], place['score'], place.get('far', 0), colours
        results = place['depth'], place['sigma'], cloud
        if job.finish is None:
            self._kernels.publish(sources, results, job.publish, stream)
        else:
            first = place['first depth'], place['first sigma']
            self._kernels.publish(sources, (*first, 0), job.publish, stream)
            self._kernels.finish(
                (*first, place['cells'], colours), results, job.finish, stream
            )  # fmt: skip
        for name in ('depth', 'sigma', 'cloud'):
            if name in slots:
                self._cuda.download(slots[name], stream)

    def check_maps(self, job: PublishJob, stream: int) -> str:
        """Return how the kernels differ from their twins; '' if they do not."""
        probe = probe_job(job)
        slots = self.fill_maps(probe)
        self.queue_maps(probe, slots, stream)
        self._cuda.synchronise(stream)
        self._shown = {}  # the picture of the frame is overwritten
        return publish_difference(probe, published(slots))


def published(slots: Slots) -> Published:
    """Return what the kernels wrote: depth and sigma as arrays of their own."""
    cloud: AnyArray | None = slots['cloud'].host if 'cloud' in slots else None
    return Published(slots['depth'].host.copy(), slots['sigma'].host.copy(), cloud)
