// Frames as they come from the server (depth_perception/view/encoding.py says how they are laid out).

const HALF = new Float32Array(65536); // value of every float16
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) HALF[bits] = fraction ? NaN : sign * Infinity;
  else if (exponent === 0) HALF[bits] = sign * fraction * 2 ** -24;
  else HALF[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function floats(half) {
  const values = new Float32Array(half.length);
  for (let i = 0; i < half.length; i++) values[i] = HALF[half[i]];
  return values;
}

// Returns the header with `depth` and `sigma` (Float32Array), `halves` (the same as float16 bits)
// and `image` (ImageBitmap) added where the frame has them.
export async function parseFrame(buffer) {
  const view = new DataView(buffer);
  if (view.getUint32(0) !== 0x44505631) throw new Error('this is not a frame');
  const length = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const part = (name) => header.parts[name] && [8 + length + header.parts[name][0], header.parts[name][1]];
  const frame = { ...header, halves: {} };
  for (const name of ['depth', 'sigma']) {
    const place = part(name);
    if (!place) continue;
    frame.halves[name] = new Uint16Array(buffer, place[0], place[1] / 2);
    frame[name] = floats(frame.halves[name]);
  }
  const picture = part('image');
  if (picture) {
    const blob = new Blob([new Uint8Array(buffer, ...picture)]);
    frame.image = await createImageBitmap(blob).catch(() => undefined);
  }
  return frame;
}

// Asks for frames one after the other and hands each to `show`; waits while `paused()`.
export async function follow({ camera, paused, show, lost }) {
  const token = new URLSearchParams(location.search).get('token') ?? '';
  let after = -1;
  for (;;) {
    if (paused() || document.hidden) {
      await new Promise((done) => setTimeout(done, 200));
      continue;
    }
    const query = new URLSearchParams({ camera: camera(), after });
    if (token) query.set('token', token);
    try {
      const answer = await fetch(`frame?${query}`);
      if (!answer.ok) throw new Error((await answer.text()).trim());
      const frame = await parseFrame(await answer.arrayBuffer());
      if (frame.number !== undefined) after = frame.number;
      show(frame);
    } catch (error) {
      lost(error instanceof TypeError ? 'the viewer does not answer; is it still running?' : error.message);
      await new Promise((done) => setTimeout(done, 1000));
    }
    await new Promise(requestAnimationFrame);
  }
}
