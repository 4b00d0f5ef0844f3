// From any grey picture of something written to a digit in MNIST's form, exactly as `numnist predict` does it.
// A port of numnist/data/ink.py, prepare.py and centre_digit of normalise.py.
import {
  areaResize, blockMeans, border, crop, mapped, medianOfSorted, otsuOfSorted,
  padded, range, runningMaximum, sorted,
} from "./images.js";
import { STROKE, grown, mainDigit, mask, withoutBorderMarks, withoutSpecks } from "./marks.js";
import { inkIsLight, paper } from "./page_light.js";

const WORKING_SIDE = 1024;
const SMALL_SIDE = 64;
const ONE_GREY = 0.75;
const DARK_PAGE = 64;
const FAINTEST = 0.05;
const PALE = 0.15;
const NOISES = 3;
const LEAST_NOISES = 6;
const THIN_PEN = 1.7;
const PEN = 2.1;

/** The digit in a grey picture (0 to 255, {data, height, width}) as bytes of `size` (H, W); null where no ink stands
 * out. Returns {pixels: Uint8Array, leftOut}.
 */
export function prepare(grey, size) {
  const ink = findInk(grey);
  const found = ink && mainDigit(ink);
  if (!found) return null;
  return { pixels: centreDigit(thickened(found.ink), size), leftOut: found.leftOut };
}

/** The ink in a picture of dark ink on a light page, or of light ink on a dark one, 0 to 255; null where is none.
 *
 * g (255 - g where the ink is light) becomes the contrast c = (p - g) / max(p, 64) with the paper p, less the page's
 * median. The page is what lies below Otsu's threshold of c, or below 0.15; its median absolute deviation gives the
 * noise σ. The strokes are the upper class of a second Otsu threshold, among the c above max(3σ, 0.05), without
 * specks and what hangs on the border. In them and in the pixels next to them
 *
 *     ink = 255 clip((c - l) / (s - l), 0, 1),   l = max(3σ, s/8), s the median of c in the strokes
 *
 * A picture of up to 64 pixels a side with three quarters of its border in one grey is taken at its word instead.
 */
export function findInk(grey) {
  let picture = blockMeans(grey, WORKING_SIDE);
  const [low, high] = range(picture.data);
  if (high - low < FAINTEST * 255) return null;
  const edge = border(picture);
  const usual = medianOfSorted(sorted(edge));
  if (Math.max(picture.height, picture.width) <= SMALL_SIDE) {
    if (edge.filter((v) => v === usual).length / edge.length >= ONE_GREY) return difference(picture, usual);
  }
  if (inkIsLight(picture)) picture = mapped(picture, (v) => 255 - v);
  const pageLight = paper(picture).data;
  const contrast = mapped(picture, (v, i) => (pageLight[i] - v) / Math.max(pageLight[i], DARK_PAGE));

  const ascending = sorted(contrast.data);
  const pageEnd = upTo(ascending, Math.max(otsuOfSorted(ascending), PALE));
  const median = medianOfSorted(ascending, pageEnd);
  const noise = 1.4826 * medianDeviation(ascending, pageEnd, median);
  const floor = Math.max(NOISES * noise, FAINTEST);
  for (let i = 0; i < contrast.data.length; i++) contrast.data[i] -= median;

  const candidates = mapped(contrast, (c) => c);
  let kept;
  for (let round = 0; round < 2; round++) { // what hangs on the border may be darker than ink
    const found = aboveOtsu(candidates, floor);
    kept = withoutBorderMarks(found);
    if (kept === found) break;
    const gone = { ...found, data: found.data.map((v, i) => (v && !kept.data[i] ? 1 : 0)) };
    if (!gone.data.includes(1)) break;
    grown(gone).data.forEach((v, i) => {
      if (v) candidates.data[i] = 0;
    });
  }
  const strokes = withoutSpecks(kept);
  const inStrokes = sorted(contrast.data.filter((_, i) => strokes.data[i]));
  const full = inStrokes.length ? medianOfSorted(inStrokes) : 0;
  if (full <= LEAST_NOISES * noise) return null;
  const least = Math.max(NOISES * noise, full / 8);
  const near = grown(strokes).data;
  const share = (c) => Math.min(Math.max((c - least) / (full - least), 0), 1);
  return mapped(contrast, (c, i) => (near[i] ? 255 * share(c) : 0));
}

/** How many of the sorted values are at most t. */
function upTo(ascending, t) {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] <= t) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The median of |v - median| over the first `count` sorted values: both sides of the median, merged outwards. */
function medianDeviation(ascending, count, median) {
  let right = upTo(ascending, median);
  let left = right - 1;
  const next = () => {
    const below = left >= 0 ? median - ascending[left] : Infinity;
    const above = right < count ? ascending[right] - median : Infinity;
    return below <= above ? (left--, below) : (right++, above);
  };
  let [before, middle] = [0, 0];
  for (let i = 0; i <= count >> 1; i++) [before, middle] = [middle, next()];
  return count % 2 ? middle : (before + middle) / 2;
}

/** Ink by its difference from the page's grey, of the sign that has more of it, stretched to 255. */
function difference(picture, grey) {
  const light = mapped(picture, (v) => Math.max(v - grey, 0));
  const dark = mapped(picture, (v) => Math.max(grey - v, 0));
  const sum = (x) => x.data.reduce((total, v) => total + v, 0);
  const ink = sum(light) >= sum(dark) ? light : dark;
  const [, full] = range(ink.data);
  return mapped(ink, (v) => 255 * (v / full));
}

/** The mask of what Otsu's threshold takes for the darker part of all that lies above the noise. */
function aboveOtsu(contrast, floor) {
  const values = sorted(contrast.data.filter((v) => v > floor));
  const alike = values.length < 2 || values[0] === values[values.length - 1];
  return mask(contrast, alike ? floor : otsuOfSorted(values), true);
}

/** Ink of a thin pen drawn with a thicker one; other ink as it is.
 *
 * The mean width of the strokes is w = 2 A / P, with A their area and P their outline, π/4 of the number of pixel
 * edges on it. A digit that would be thinner than 1.7 pixels in MNIST's form becomes one of 2.1, by the maximum over a
 * whole number of rows and columns.
 */
export function thickened(ink) {
  const strokes = padded(mapped(ink, (v) => (v >= STROKE ? 1 : 0)), 1);
  let [area, edges] = [0, 0];
  for (let i = 0, at = 0; i < strokes.height; i++) {
    for (let j = 0; j < strokes.width; j++, at++) {
      area += strokes.data[at];
      if (j && strokes.data[at] !== strokes.data[at - 1]) edges++;
      if (i && strokes.data[at] !== strokes.data[at - strokes.width]) edges++;
    }
  }
  const longer = Math.max(ink.height, ink.width);
  const width = (2 * area) / Math.max((Math.PI / 4) * edges, 1);
  const half = Math.floor(((PEN / 20) * longer - width) / 2);
  if (20 * width >= THIN_PEN * longer || half < 1) return ink;
  return runningMaximum(padded(ink, half), half);
}

/** A digit in MNIST's form: cropped to its ink, scaled by area averaging so that its longer side fills a box (20 of 28
 * pixels), stretched to 255, and placed where its centre of mass comes nearest to the pixel in the middle:
 *
 *     v = floor(255 a / max a + 1/2),   top = floor(H//2 - Σ i v[i,j] / Σ v + 1/2), left likewise
 *
 * Shapes: ink (h, w), size [H, W] -> Uint8Array of H W.
 * Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits.
 */
export function centreDigit(ink, [H, W]) {
  const box = Math.max(1, Math.floor((40 * Math.min(H, W) + 28) / 56));
  const digit = cropped(ink);
  const longer = Math.max(digit.height, digit.width);
  const [h, w] = [digit.height, digit.width].map((side) =>
    Math.max(1, Math.floor((2 * box * side + longer) / (2 * longer))),
  );
  const scaled = areaResize(digit, h, w);
  const [, most] = range(scaled.data);
  const rows = new Float64Array(h);
  const columns = new Float64Array(w);
  const v = scaled.data.map((a, at) => {
    const value = Math.floor(255 * (a / most) + 0.5);
    rows[Math.floor(at / w)] += value;
    columns[at % w] += value;
    return value;
  });
  const [top, left] = [place(rows, H), place(columns, W)];
  const result = new Uint8Array(H * W);
  for (let i = 0; i < h; i++) result.set(v.subarray(i * w, (i + 1) * w), (top + i) * W + left);
  return result;
}

/** The smallest rectangle that holds all ink above 0. */
function cropped(ink) {
  let [top, bottom, left, right] = [ink.height, 0, ink.width, 0];
  for (let i = 0, at = 0; i < ink.height; i++) {
    for (let j = 0; j < ink.width; j++, at++) {
      if (!(ink.data[at] > 0)) continue;
      [top, bottom] = [Math.min(top, i), i + 1];
      [left, right] = [Math.min(left, j), Math.max(right, j + 1)];
    }
  }
  return crop(ink, top, bottom, left, right);
}

/** Where a digit with this mass per row begins: floor(length//2 - centre + 1/2), within the image. */
function place(profile, length) {
  let [mass, moment] = [0, 0];
  profile.forEach((m, i) => {
    mass += m;
    moment += i * m;
  });
  const start = Math.floor((2 * mass * Math.floor(length / 2) - 2 * moment + mass) / (2 * mass));
  return Math.min(Math.max(start, 0), length - profile.length);
}
