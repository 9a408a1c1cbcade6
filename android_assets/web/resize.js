/**
 * The resize `triangle-22bit-v1`, equal to Python's to the last bit.
 *
 * The whole frame is squashed to 224 x 224 by a triangle filter whose weights are rounded to 22-bit
 * fixed point: first along the rows, then along the columns, rounded to bytes after each.
 */

export const RESIZE_ID = "triangle-22bit-v1";
export const SIZE = 224;

const BITS = 22;
const ONE = 1 << BITS;
const HALF = 1 << (BITS - 1);

/**
 * @param {Uint8Array} rgb height x width x 3 bytes
 * @returns {Uint8Array} 224 x 224 x 3 bytes
 */
export function resize(rgb, width, height) {
  const rows = along(rgb, { lines: height, from: width, step: 3, line: width * 3, acrossLine: SIZE * 3, acrossStep: 3 });
  return along(rows, { lines: SIZE, from: height, step: SIZE * 3, line: 3, acrossLine: 3, acrossStep: SIZE * 3 });
}

/** One pass: each of `lines` runs of `from` pixels, `step` bytes apart, becomes one of 224. */
function along(source, { lines, from, step, line, acrossLine, acrossStep }) {
  if (from === SIZE) return source;
  const { starts, counts, weights, stride } = filter(from);
  const target = new Uint8Array(lines * SIZE * 3);
  for (let number = 0; number < lines; number++) {
    for (let place = 0; place < SIZE; place++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let at = number * line + starts[place] * step;
      for (let tap = place * stride; tap < place * stride + counts[place]; tap++) {
        const weight = weights[tap];
        red += source[at] * weight;
        green += source[at + 1] * weight;
        blue += source[at + 2] * weight;
        at += step;
      }
      const to = number * acrossLine + place * acrossStep;
      target[to] = red >> BITS;
      target[to + 1] = green >> BITS;
      target[to + 2] = blue >> BITS;
    }
  }
  return target;
}

/** For each of 224 places: the first pixel, how many there are, and their weights. */
function filter(from) {
  const scale = from / SIZE;
  const reach = Math.max(scale, 1);
  const stride = Math.ceil(reach) * 2 + 1;
  const starts = new Int32Array(SIZE);
  const counts = new Int32Array(SIZE);
  const weights = new Int32Array(SIZE * stride);
  for (let place = 0; place < SIZE; place++) {
    const centre = (place + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const count = Math.min(Math.trunc(centre + reach + 0.5), from) - start;
    const shares = Array.from({ length: count }, (_, tap) => triangle((tap + start - centre + 0.5) * (1 / reach)));
    const sum = shares.reduce((total, share) => total + share, 0);
    starts[place] = start;
    counts[place] = count;
    shares.forEach((share, tap) => {
      weights[place * stride + tap] = Math.trunc((share / sum) * ONE + 0.5);
    });
  }
  return { starts, counts, weights, stride };
}

function triangle(distance) {
  return Math.max(1 - Math.abs(distance), 0);
}
