// Just enough Matroska to write fragments for PutMedia and to read GetMedia's answer.

const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;
const CLUSTER = 0x1f43b675;
const SIMPLE_BLOCK = 0xa3;
const [TAGS, TAG, SIMPLE_TAG, TAG_NAME, TAG_STRING] = [0x1254c367, 0x7373, 0x67c8, 0x45a3, 0x4487];
const CONTAINERS = new Set([SEGMENT, CLUSTER, TAGS, TAG, SIMPLE_TAG]);

function unsigned(value) {
  const digits = value.toString(16);
  return Buffer.from(digits.padStart(digits.length + (digits.length % 2), "0"), "hex");
}

function element(ident, ...content) {
  const body = Buffer.concat(content.map((each) => (Buffer.isBuffer(each) ? each : unsigned(each))));
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE((1n << 56n) | BigInt(body.length));
  return Buffer.concat([unsigned(ident), size, body]);
}

/** All that comes before the first cluster. */
export function header() {
  const track = element(
    0xae,
    element(0xd7, 1), // TrackNumber
    element(0x73c5, 1), // TrackUID
    element(0x83, 1), // TrackType: video
    element(0x86, Buffer.from("V_MPEG4/ISO/AVC")),
    element(0xe0, element(0xb0, 640), element(0xba, 480)),
  );
  return Buffer.concat([
    element(EBML, element(0x4282, Buffer.from("matroska")), element(0x4287, 2), element(0x4285, 2)),
    unsigned(SEGMENT),
    Buffer.from([0xff]), // unknown size
    element(0x1549a966, element(0x2ad7b1, 1_000_000)),
    element(0x1654ae6b, track),
  ]);
}

/** A fragment of one frame, which holds this text. */
export function cluster(startMs, text) {
  const block = element(SIMPLE_BLOCK, Buffer.from([0x81, 0, 0, 0x80]), Buffer.from(text));
  return element(CLUSTER, element(0xe7, startMs), block);
}

/** Where a variable-length number at `at` ends, and what it is. */
function vint(data, at, keepMarker) {
  const length = Math.clz32(data[at]) - 23;
  const marked = BigInt("0x" + data.subarray(at, at + length).toString("hex"));
  const value = keepMarker ? marked : marked & ((1n << BigInt(7 * length)) - 1n);
  return [at + length, Number(value)];
}

/** The documents of GetMedia's answer: what is in their frames, and their tags. */
export function chunks(data) {
  const found = [];
  let name;
  for (let at = 0; at < data.length; ) {
    let ident, size;
    [at, ident] = vint(data, at, true);
    [at, size] = vint(data, at, false);
    if (CONTAINERS.has(ident)) continue;
    const body = data.subarray(at, (at += size));
    if (body.length < size) throw new Error("the answer ends inside an element");
    if (ident === EBML) found.push({ frames: [], tags: {} });
    const chunk = found.at(-1);
    if (ident === SIMPLE_BLOCK) chunk.frames.push(body.subarray(4).toString());
    if (ident === TAG_NAME) name = body.toString();
    if (ident === TAG_STRING) chunk.tags[name] = body.toString();
  }
  return found;
}
