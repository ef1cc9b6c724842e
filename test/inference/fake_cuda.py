"""A CUDA without a GPU: memory of the CPU at another address, kernels that are their twins."""

import ctypes

from depth_perception.core.frame import Picture
from depth_perception.inference import kernel_twins as twins
from depth_perception.inference.cuda_runtime import make_slot_array, Slot, slot_bytes


class FakeCuda:
    """Device memory is memory of the CPU at another address."""

    title = 'fake cuda'

    def __init__(self, captures=False, wrong=(), mapped=False):
        self.captures, self.wrong, self.mapped = captures, wrong, mapped
        self.ran = []  # kernels, in order
        self.slots, self.closed, self.launches = {}, False, 0
        self.under_way = []  # what comes back arrives when somebody waits for it

    def make_stream(self):
        return 7

    def make_slot(self, shape, dtype):
        size = slot_bytes(shape, dtype)
        device = (ctypes.c_ubyte * size)()
        slot = Slot(
            make_slot_array(bytearray(size), shape, dtype), ctypes.addressof(device), size, device
        )
        self.slots[slot.address] = slot
        return slot

    def free_slot(self, slot):
        del self.slots[slot.address]

    def upload(self, slot, stream):
        ctypes.memmove(slot.address, slot.host.ctypes.data, slot.host.nbytes)

    def download(self, slot, stream):
        arguments = slot.host.ctypes.data, slot.address, slot.host.nbytes
        self.under_way.append(lambda: ctypes.memmove(*arguments))

    def synchronise(self, stream):
        assert stream == 7
        while self.under_way:
            self.under_way.pop(0)()

    def capture(self, stream, work):
        return work

    def launch(self, graph, stream):
        self.launches += 1
        graph()

    def compile(self, source):
        if 'compile' in self.wrong:
            raise RuntimeError('there is no compiler')
        return source.encode()

    def load(self, code, name):
        assert f'KERNEL {name}('.encode() in code
        return name

    def run(self, kernel, grid, block, call, stream):
        assert stream == 7
        self.ran.append(kernel)
        if f'{kernel} fails' in self.wrong:
            raise RuntimeError('an illegal memory access')
        written = globals()[f'run_{kernel}'](call.addresses, call.structure)
        if kernel in self.wrong:
            written[...] = written * 1.01

    def close(self):
        self.closed = True


def array_at(address, shape, dtype='float32'):
    """Return what lies at an address of the device."""
    if not address:
        return None
    buffer = (ctypes.c_ubyte * slot_bytes(shape, dtype)).from_address(address)
    return make_slot_array(buffer, shape, dtype)


def run_prepare(addresses, a):
    image, tensor = addresses
    made = twins.prepare_twin(array_at(image, (a.height, a.width, a.channels), 'uint8'), a)
    out = array_at(tensor, made.shape, str(made.dtype))
    out[...] = made
    return out


def run_publish(addresses, a):
    source, score, far, colours = addresses[:4]
    shape, inner = (a.height, a.width), (a.map_height, a.map_width)
    sky = array_at(far, shape, 'uint8')
    found = twins.publish_twin(
        array_at(source, inner), a, score=array_at(score, inner),
        far=None if sky is None else sky.astype(bool),
    )  # fmt: skip
    return write(found, addresses[4:], colours, a)


def run_calm(addresses, a):
    return array_at(addresses[2], (-(-a.height // 4), -(-a.width // 4)))  # a part of the next twin


def run_finish(addresses, a):
    depth, sigma, cells, colours = addresses[:4]
    assert bool(cells) == (a.sigmas > 0.0)
    shape = a.height, a.width
    found = twins.finish_twin(array_at(depth, shape), array_at(sigma, shape), a)
    return write(found, addresses[4:], colours, a)


def write(found, places, colours, a):
    shape = a.height, a.width
    for values, place in zip(found, places[:2], strict=True):
        if place:
            array_at(place, shape)[...] = values
    if places[2]:
        pixels = array_at(colours, (*shape, 3)[: 3 if a.channels == 3 else 2], 'uint8')
        order = 'grey' if a.channels == 1 else 'bgr' if a.swap else 'rgb'
        picture = None if pixels is None else Picture(pixels, order)
        packed = twins.cloud_twin(*found, twins.camera_of(a), picture)
        array_at(places[2], (*shape, 5), 'uint32')[...] = packed
    return array_at(places[0], shape)
