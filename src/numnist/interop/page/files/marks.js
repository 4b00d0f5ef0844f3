// Which marks on a page are writing, and which of them the digit. Masks are {data: Uint8Array, height, width}.
// A port of numnist/data/components.py, marks.py and main_digit of digits.py.
import { image } from "./images.js";

const SPECK = 0.04; // of the largest mark's area
const LEAST_SIDE = 0.015; // of the picture's longer side
const ALONG = 0.7;
const CORNER = 0.15; // of both sides
const NEAR = 0.5;

/** Ink of this much, of 255, belongs to a stroke; what is less is the grey at its edge. */
export const STROKE = 128;

/** The mask of what is at least, or with `strict` above, a value. */
export function mask(x, least, strict = false) {
  const data = new Uint8Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = strict ? x.data[i] > least : x.data[i] >= least;
  return { data, height: x.height, width: x.width };
}

/** The 8-connected components of a mask, numbered from 0 in the order in which a reader of rows meets them.
 *
 * Runs of pixels are the nodes of a forest; two that touch in neighbouring rows are joined, the later root under the
 * earlier one. Returns labels (-1 outside the mask), and for each component its area and rectangle
 * [top, bottom) × [left, right).
 */
export function components({ data, height, width }) {
  const row = [], start = [], end = [], parent = [];
  const root = (r) => {
    while (parent[r] !== r) r = parent[r] = parent[parent[r]];
    return r;
  };
  let above = 0; // the first run of the row above
  for (let i = 0; i < height; i++) {
    const first = row.length;
    let u = above;
    for (let j = 0; j < width; j++) {
      if (!data[i * width + j]) continue;
      const run = row.length;
      row.push(i);
      start.push(j);
      while (j < width && data[i * width + j]) j++;
      end.push(j);
      parent.push(run);
      while (u < first && end[u] < start[run]) u++;
      for (let v = u; v < first && start[v] <= j; v++) {
        const [a, b] = [root(v), root(run)];
        parent[Math.max(a, b)] = Math.min(a, b);
      }
    }
    above = first;
  }
  const found = { labels: new Int32Array(height * width).fill(-1), height, width, marks: [] };
  const number = new Map();
  row.forEach((i, run) => {
    const r = root(run);
    if (!number.has(r)) {
      number.set(r, found.marks.length);
      found.marks.push({ area: 0, top: i, bottom: 0, left: width, right: 0 });
    }
    const mark = found.marks[number.get(r)];
    mark.area += end[run] - start[run];
    mark.bottom = i + 1;
    mark.left = Math.min(mark.left, start[run]);
    mark.right = Math.max(mark.right, end[run]);
    found.labels.fill(number.get(r), i * width + start[run], i * width + end[run]);
  });
  return found;
}

/** The pixels of the chosen components. */
function chosenMask({ labels, height, width }, chosen) {
  const data = new Uint8Array(labels.length);
  for (let i = 0; i < data.length; i++) data[i] = labels[i] >= 0 && chosen[labels[i]] ? 1 : 0;
  return { data, height, width };
}

/** A mask and the pixels next to it. */
export function grown({ data, height, width }) {
  const result = new Uint8Array(data.length);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      if (!data[i * width + j]) continue;
      const [left, right, bottom] = [Math.max(0, j - 1), Math.min(width, j + 2), Math.min(height, i + 2)];
      for (let u = Math.max(0, i - 1); u < bottom; u++) result.fill(1, u * width + left, u * width + right);
    }
  }
  return { data: result, height, width };
}

/** A mask without what runs along most of a side of the picture, or a part of two sides around a corner: the edge of
 * a table, the shadow of a phone; unless nothing else would be left.
 */
export function withoutBorderMarks(of) {
  const found = components(of);
  const { labels, height, width, marks } = found;
  const contact = marks.map(() => [0, 0, 0, 0]); // pixels on the top, bottom, left, right side
  const touch = (pixel, side) => {
    if (labels[pixel] >= 0) contact[labels[pixel]][side]++;
  };
  for (let j = 0; j < width; j++) {
    touch(j, 0);
    touch((height - 1) * width + j, 1);
  }
  for (let i = 0; i < height; i++) {
    touch(i * width, 2);
    touch(i * width + width - 1, 3);
  }
  const kept = contact.map(([top, bottom, left, right]) => {
    const [across, down] = [Math.max(top, bottom) / width, Math.max(left, right) / height];
    return Math.max(across, down) < ALONG && Math.min(across, down) < CORNER;
  });
  return kept.some(Boolean) ? chosenMask(found, kept) : of;
}

/** A mask without components of less than 0.04 of the largest one's area, or tiny in the picture. */
export function withoutSpecks(of) {
  const found = components(of);
  const least = Math.max(3, LEAST_SIDE * Math.max(of.height, of.width));
  const large = found.marks.map((m) => Math.max(m.bottom - m.top, m.right - m.left) >= least);
  const most = Math.max(0, ...found.marks.filter((_, k) => large[k]).map((m) => m.area));
  return chosenMask(found, found.marks.map((m, k) => large[k] && m.area >= SPECK * most));
}

/** The ink of the one digit in a picture: the largest connected stroke and what is near it, cropped; null where no ink
 * is strong enough. Returns {ink, leftOut}: leftOut is whether other strokes were left out.
 *
 * Near is what the gap between the two rectangles sets apart by at most half the larger side of the largest.
 */
export function mainDigit(ink) {
  const found = components(mask(ink, STROKE));
  const { marks } = found;
  if (!marks.length) return null;
  const largest = marks.reduce((best, m) => (m.area > best.area ? m : best));
  const near = NEAR * Math.max(largest.bottom - largest.top, largest.right - largest.left);
  const chosen = marks.map((m) => {
    const across = Math.max(m.left - largest.right, largest.left - m.right);
    const down = Math.max(m.top - largest.bottom, largest.top - m.bottom);
    return Math.max(across, down) <= near;
  });
  const own = chosenMask(found, chosen);
  const foreign = grown(chosenMask(found, chosen.map((c) => !c)));
  const belongs = (i) => (foreign.data[i] && !own.data[i] ? 0 : ink.data[i]);
  let [top, bottom, left, right] = [ink.height, 0, ink.width, 0];
  for (let i = 0, at = 0; i < ink.height; i++) {
    for (let j = 0; j < ink.width; j++, at++) {
      if (!belongs(at)) continue;
      top = Math.min(top, i);
      bottom = i + 1;
      left = Math.min(left, j);
      right = Math.max(right, j + 1);
    }
  }
  const digit = image(bottom - top, right - left);
  for (let i = top; i < bottom; i++) {
    for (let j = left; j < right; j++) digit.data[(i - top) * digit.width + j - left] = belongs(i * ink.width + j);
  }
  return { ink: digit, leftOut: chosen.includes(false) };
}
