// Colours of maps, as in numnist/view: viridis from small to large, purple for and orange against.

const VIRIDIS = table(
  "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c " +
    "1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
);
const FOR = [112, 66, 165];
const AGAINST = [224, 123, 20];

/** 256 colours, interpolated between those given. */
function table(hexadecimal) {
  const anchors = hexadecimal.split(" ").map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const colours = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (anchors.length - 1);
    const k = Math.min(Math.floor(place), anchors.length - 2);
    for (let c = 0; c < 3; c++) colours[3 * i + c] = anchors[k][c] + (anchors[k + 1][c] - anchors[k][c]) * (place - k);
  }
  return colours;
}

/** Write n values from `start` on as colours, on their own scale from least to greatest; data is RGBA. */
export function paintLarge(values, start, n, data, offset = 0) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = start; i < start + n; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  const scale = high > low ? 255 / (high - low) : 0;
  for (let i = 0; i < n; i++) {
    const colour = 3 * Math.round((values[start + i] - low) * scale);
    const at = 4 * (offset + i);
    data[at] = VIRIDIS[colour];
    data[at + 1] = VIRIDIS[colour + 1];
    data[at + 2] = VIRIDIS[colour + 2];
    data[at + 3] = 255;
  }
}

/** Write values of both signs over what lies below: the larger, the less transparent. */
export function paintSigned(values, data) {
  let most = 0;
  for (const v of values) most = Math.max(most, Math.abs(v));
  values.forEach((v, i) => {
    data.set(v < 0 ? AGAINST : FOR, 4 * i);
    data[4 * i + 3] = most ? 235 * (Math.abs(v) / most) ** 0.8 : 0;
  });
}

/** Write grey values as ink of one colour (r, g, b): the more, the less transparent. */
export function paintInk(pixels, ink, data) {
  pixels.forEach((v, i) => {
    data.set(ink, 4 * i);
    data[4 * i + 3] = v;
  });
}

/** A colour for each class, told apart on a light and on a dark page. */
export const CLASS_COLOURS = [
  "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B07A00", "#3A8FC7", "#8C564B", "#7B5FB2", "#6B7A1E", "#C03A5B",
];

/** The channels of "#rrggbb", 0 to 255. */
export function channels(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** Black or white, whichever stands out more on a colour, so by 4.5 at least:
 *
 *     (L + 0.05) / 0.05 > 1.05 / (L + 0.05)   where black does, L the relative luminance from 0 to 1
 *
 * Source: WCAG 2.2, "contrast ratio" and "relative luminance".
 */
export function inkOn(colour) {
  const linear = channels(colour).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? "#000000" : "#ffffff";
}
