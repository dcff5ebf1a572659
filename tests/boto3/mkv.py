"""Just enough Matroska to write fragments for PutMedia and to read GetMedia's answer."""

import itertools

EBML, SEGMENT, INFO, TRACKS = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B
CLUSTER, TIMECODE, SIMPLE_BLOCK = 0x1F43B675, 0xE7, 0xA3
TAGS, TAG, SIMPLE_TAG, TAG_NAME, TAG_STRING = 0x1254C367, 0x7373, 0x67C8, 0x45A3, 0x4487
CONTAINERS = {SEGMENT, CLUSTER, TAGS, TAG, SIMPLE_TAG}
LEVEL_1 = {INFO, TRACKS, CLUSTER, TAGS}

END_OF_FRAGMENT = "AWS_KINESISVIDEO_END_OF_FRAGMENT"


def element(ident, *content):
    body = b"".join(content)
    size = (1 << 56 | len(body)).to_bytes(8, "big")
    return ident.to_bytes((ident.bit_length() + 7) // 8, "big") + size + body


def unsigned(ident, value):
    return element(ident, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def text(ident, value):
    return element(ident, value.encode())


def track(number):
    return element(
        0xAE,
        unsigned(0xD7, number),  # TrackNumber
        unsigned(0x73C5, number),  # TrackUID
        unsigned(0x83, 1),  # TrackType: video
        text(0x86, "V_MPEG4/ISO/AVC"),
        element(0xE0, unsigned(0xB0, 640), unsigned(0xBA, 480)),
    )


def header(tracks=1):
    """All that comes before the first cluster."""
    return (
        element(EBML, text(0x4282, "matroska"), unsigned(0x4287, 2), unsigned(0x4285, 2))
        + SEGMENT.to_bytes(4, "big")
        + b"\xff"  # unknown size
        + element(INFO, unsigned(0x2AD7B1, 1_000_000))
        + element(TRACKS, *(track(number + 1) for number in range(tracks)))
    )


def cluster(start_ms, frames=3, step_ms=100, track=1, size=100):
    """A fragment: its frames hold their own times, so that no two are alike."""
    blocks = []
    for number in range(frames):
        offset_ms = number * step_ms
        key = 0x80 if number == 0 else 0
        payload = f"frame at {start_ms + offset_ms} ".encode().ljust(size, b".")
        head = bytes([0x80 | track]) + offset_ms.to_bytes(2, "big") + bytes([key])
        blocks.append(element(SIMPLE_BLOCK, head, payload))
    return element(CLUSTER, unsigned(TIMECODE, start_ms), *blocks)


def tags(*pairs):
    """One Tags element with all of these names and values."""
    simple = (text(TAG_NAME, name) + text(TAG_STRING, value) for name, value in pairs)
    return element(TAGS, element(TAG, *(element(SIMPLE_TAG, each) for each in simple)))


def end_of_fragment():
    return tags((END_OF_FRAGMENT, ""))


class Chunk:
    """A document of GetMedia's answer: one fragment and what the service says of it."""

    def __init__(self):
        self.has_tracks = False
        self.timecodes = []
        self.frames = []
        self.tags = {}
        self.order = []  # level-1 elements as they came

    def __getattr__(self, name):
        return self.tags.get("AWS_KINESISVIDEO_" + name.upper())


def read_vint(data, at, keep_marker):
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    bits = 7 * length
    is_unknown = not keep_marker and value == (2 << bits) - 1
    return at + length, None if is_unknown else value if keep_marker else value & (1 << bits) - 1


def elements(data):
    """All elements in order, containers before what they hold."""
    at = 0
    while at < len(data):
        at, ident = read_vint(data, at, keep_marker=True)
        at, size = read_vint(data, at, keep_marker=False)
        if ident in CONTAINERS:
            yield ident, b""
        else:
            assert at + size <= len(data), "the answer ends inside an element"
            yield ident, data[at : at + size]
            at += size


def chunks(data):
    """The documents of GetMedia's answer."""
    found = []
    name = None
    for ident, body in elements(data):
        if ident == EBML:
            found.append(Chunk())
        chunk = found[-1]
        if ident in LEVEL_1:
            chunk.order.append(ident)
        if ident == TRACKS:
            chunk.has_tracks = True
        elif ident == TIMECODE:
            chunk.timecodes.append(int.from_bytes(body, "big"))
        elif ident == SIMPLE_BLOCK:
            chunk.frames.append(bytes(body[4:]))
        elif ident == TAG_NAME:
            name = body.decode()
        elif ident == TAG_STRING:
            chunk.tags[name] = body.decode()
    return found


def frames_of(*clusters):
    """The frames that these clusters hold."""
    blocks = itertools.chain.from_iterable(elements(each) for each in clusters)
    return [body[4:] for ident, body in blocks if ident == SIMPLE_BLOCK]
