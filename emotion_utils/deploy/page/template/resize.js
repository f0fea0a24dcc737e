// A square of pixels to the size that the network takes, to the very bits of OpenCV's resize in store/resize.py.

// `pixels`: RGBA bytes of a square of `side` pixels, as a canvas gives them. Returns RGB bytes of size x size.
function resizeSquare(pixels, side, size) {
  const rgb = new Uint8Array(side * side * 3);
  for (let i = 0, j = 0; j < rgb.length; i += 4, j += 3) {
    rgb[j] = pixels[i]; rgb[j + 1] = pixels[i + 1]; rgb[j + 2] = pixels[i + 2];
  }
  if (side === size) return rgb;
  return side > size ? averageAreas(rgb, side, size) : interpolate(rgb, side, size);
}

// INTER_LINEAR: weights of 11 bits; the sum of a row is cut to a whole number before the rows are joined.
function interpolate(rgb, side, size) {
  const columns = linearTaps(side, size, true), lines = linearTaps(side, size, false);
  const out = new Uint8Array(size * size * 3);
  const rows = new Map();  // of the source, stretched
  const stretch = (y) => {
    if (rows.has(y)) return rows.get(y);
    const row = new Int32Array(size * 3);
    for (let x = 0; x < size; x++) {
      const { low, high, first, second } = columns[x];
      for (let c = 0; c < 3; c++)
        row[x * 3 + c] = rgb[(y * side + low) * 3 + c] * first + rgb[(y * side + high) * 3 + c] * second;
    }
    rows.set(y, row);
    return row;
  };
  for (let y = 0; y < size; y++) {
    const { low, high, first, second } = lines[y], top = stretch(low), bottom = stretch(high);
    for (let i = 0; i < size * 3; i++)
      out[y * size * 3 + i] = ((first * (top[i] >> 4)) >> 16) + ((second * (bottom[i] >> 4)) >> 16) + 2 >> 2;
  }
  return out;
}

// Beyond an edge lies the edge's own pixel. Its two weights are added up across, but not down, which rounds otherwise.
function linearTaps(side, size, across) {
  const taps = [], scale = side / size, clip = (at) => Math.min(Math.max(at, 0), side - 1);
  for (let i = 0; i < size; i++) {
    const centre = Math.fround((i + 0.5) * scale - 0.5), low = Math.floor(centre);
    const isOutside = across && (low < 0 || low >= side - 1), part = isOutside ? 0 : Math.fround(centre - low);
    taps.push({ low: clip(low), high: clip(low + 1), first: roundEven(Math.fround(1 - part) * 2048),
      second: roundEven(part * 2048) });
  }
  return taps;
}

// INTER_AREA: the mean of what a pixel covers, in single precision and in OpenCV's order.
function averageAreas(rgb, side, size) {
  return side % size === 0 ? averageBlocks(rgb, side, size) : averageParts(rgb, side, size);
}

function averageBlocks(rgb, side, size) {
  const block = side / size, out = new Uint8Array(size * size * 3), share = Math.fround(1 / (block * block));
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) for (let c = 0; c < 3; c++) {
    let sum = 0;
    for (let j = 0; j < block; j++) for (let i = 0; i < block; i++)
      sum += rgb[((y * block + j) * side + x * block + i) * 3 + c];
    out[(y * size + x) * 3 + c] = block === 2 ? (sum + 2) >> 2 : roundEven(Math.fround(sum * share));
  }
  return out;
}

function averageParts(rgb, side, size) {
  const parts = areaParts(side, size), out = new Uint8Array(size * size * 3), width = size * 3;
  const row = new Float32Array(width), sum = new Float32Array(width);
  let target = 0;
  const write = () => { for (let i = 0; i < width; i++) out[target * width + i] = roundEven(sum[i]); };
  for (const { to, from, share } of parts) {
    row.fill(0);
    for (const part of parts)
      for (let c = 0; c < 3; c++)
        row[part.to * 3 + c] += Math.fround(rgb[(from * side + part.from) * 3 + c] * part.share);
    if (to !== target) { write(); target = to; sum.fill(0); }
    for (let i = 0; i < width; i++) sum[i] += Math.fround(share * row[i]);
  }
  write();
  return out;
}

// Which share of each source pixel goes to which pixel of the result.
function areaParts(side, size) {
  const parts = [], scale = side / size;
  for (let to = 0; to < size; to++) {
    const start = to * scale, end = start + scale, width = Math.min(scale, side - start);
    const last = Math.min(Math.floor(end), side - 1), first = Math.min(Math.ceil(start), last);
    if (first - start > 1e-3) parts.push({ to, from: first - 1, share: Math.fround((first - start) / width) });
    for (let from = first; from < last; from++) parts.push({ to, from, share: Math.fround(1 / width) });
    if (end - last > 1e-3)
      parts.push({ to, from: last, share: Math.fround(Math.min(Math.min(end - last, 1), width) / width) });
  }
  return parts;
}

// As cvRound: halves go to the even number.
function roundEven(value) {
  const floor = Math.floor(value), rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
