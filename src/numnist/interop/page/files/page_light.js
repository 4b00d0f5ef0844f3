// What a page looks like without its ink: which of dark and light is ink, and how the light falls.
// A port of numnist/data/background.py.
import { blockMeans, border, closing, image, interpolated, mapped, otsuOfSorted, range, sorted } from "./images.js";

const VOTING_SIDE = 32;
const SURFACE_SIDE = 64;
const CLOSING_SIDE = 256;
const WIDEST_STROKE = 0.4; // strokes are narrower than this share of the picture's side
const DARKEST_PAPER = 8;
const LIGHT_INK = 0.3;
const BRIGHT = 0.9;
const POWERS = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]]; // of x and y in each term of the surface

/** Whether light ink stands on a dark page: the sum, over the picture and the picture minus its local median, of
 *
 *     1 - (share of light pixels) - (share of light border pixels)
 *
 * with light what is above Otsu's threshold, is above 0.3.
 */
export function inkIsLight(picture) {
  const small = blockMeans(picture, VOTING_SIDE);
  const median = localMedian(small);
  const flat = image(small.height, small.width, small.data.map((v, i) => v - median[i]));
  let evidence = 0;
  for (const x of [small, flat]) {
    const [low, high] = range(x.data);
    if (high === low) continue;
    const threshold = otsuOfSorted(sorted(x.data));
    const light = mapped(x, (v) => (v > threshold ? 1 : 0));
    const share = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
    evidence += 1 - share(light.data) - share(border(light));
  }
  return evidence > LIGHT_INK;
}

/** The median over 2a+1 rows and 2b+1 columns around each pixel, a and b a quarter of the sides, the image mirrored
 * at its edges.
 *
 * The values are replaced by their ranks; a histogram of ranks is moved along each row, and the place of its middle
 * moves with it. Source: Huang, Yang & Tang 1979, A fast two-dimensional median filtering algorithm.
 */
function localMedian({ data, height, width }) {
  const a = Math.max(1, Math.floor(height / 4));
  const b = Math.max(1, Math.floor(width / 4));
  const values = [...new Set(data)].sort((u, v) => u - v);
  const rankOf = new Map(values.map((v, rank) => [v, rank]));
  const ranks = Array.from(data, (v) => rankOf.get(v));
  const inside = (i, n) => (i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i);
  const middle = ((2 * a + 1) * (2 * b + 1)) >> 1; // so many values lie below the median
  const medians = new Float64Array(data.length);
  for (let i = 0; i < height; i++) {
    const counts = new Int32Array(values.length);
    let rank = 0;
    let below = 0; // how many values have a lower rank than `rank`
    const add = (column, sign) => {
      for (let u = i - a; u <= i + a; u++) {
        const r = ranks[inside(u, height) * width + inside(column, width)];
        counts[r] += sign;
        if (r < rank) below += sign;
      }
    };
    for (let column = -b; column <= b; column++) add(column, 1);
    for (let j = 0; j < width; j++) {
      if (j) {
        add(j - b - 1, -1);
        add(j + b, 1);
      }
      while (below > middle) below -= counts[--rank];
      while (below + counts[rank] <= middle) below += counts[rank++];
      medians[i * width + j] = values[rank];
    }
  }
  return medians;
}

/** How bright the page would be at each pixel of a picture of dark ink, without the ink: a quadratic surface that has
 * 0.9 of the picture below it takes the fall of the light; a closing of picture / surface fills every dark thing
 * narrower than 0.4 of the picture's side.
 */
export function paper(picture) {
  const small = blockMeans(picture, CLOSING_SIDE);
  const surface = mapped(quadraticSurface(small), (v) => Math.max(v, DARKEST_PAPER));
  const half = Math.max(1, Math.round((WIDEST_STROKE / 2) * Math.sqrt(small.data.length)));
  const flat = image(small.height, small.width, small.data.map((v, i) => v / surface.data[i]));
  const closedFlat = closing(flat, half);
  const closed = closing(small, half);
  closed.data.forEach((v, i) => {
    closed.data[i] = Math.min(v, closedFlat.data[i] * surface.data[i]);
  });
  return mapped(interpolated(closed, picture.height, picture.width), (v) => Math.max(v, DARKEST_PAPER));
}

/** s = a + bx + cy + dx² + exy + fy², both coordinates from -1 to 1, by iteratively reweighted least squares, ten
 * rounds: a pixel above the surface weighs 0.9 / max(|residual|, 1), one below it 0.1 / max(|residual|, 1).
 */
function quadraticSurface(x) {
  const small = blockMeans(x, SURFACE_SIDE);
  const weights = new Float64Array(small.data.length).fill(1);
  const fitted = image(small.height, small.width);
  let coefficients;
  for (let round = 0; round < 10; round++) {
    coefficients = weightedLeastSquares(small, weights);
    evaluate(coefficients, fitted);
    for (let i = 0; i < weights.length; i++) {
      const residual = small.data[i] - fitted.data[i];
      weights[i] = (residual > 0 ? BRIGHT : 1 - BRIGHT) / Math.max(Math.abs(residual), 1);
    }
  }
  return evaluate(coefficients, image(x.height, x.width));
}

/** The pixel's coordinate from -1 to 1. */
function coordinate(i, size) {
  return (2 * i + 1) / size - 1;
}

/** The surface with these coefficients at each pixel, written to y. */
function evaluate([a, b, c, d, e, f], y) {
  for (let i = 0, at = 0; i < y.height; i++) {
    const v = coordinate(i, y.height);
    const [constant, slope] = [a + c * v + f * v * v, b + e * v];
    for (let j = 0; j < y.width; j++) {
      const u = coordinate(j, y.width);
      y.data[at++] = constant + (slope + d * u) * u;
    }
  }
  return y;
}

/** The c of least norm that minimises Σ w (v - c·t)², t the six terms above at each pixel of value v:
 *
 *     c = A⁺ b,   A = Σ w t tᵀ,   b = Σ w v t
 *
 * Every entry of A is a moment Σ w xᵐ yⁿ, summed up row by row.
 */
function weightedLeastSquares({ data, height, width }, weights) {
  const moments = Array.from({ length: 5 }, () => new Float64Array(5)); // [m][n]
  const b = new Float64Array(POWERS.length);
  for (let i = 0, at = 0; i < height; i++) {
    let [w0, w1, w2, w3, w4, v0, v1, v2] = [0, 0, 0, 0, 0, 0, 0, 0]; // Σ w xᵐ and Σ w v xᵐ of this row
    for (let j = 0; j < width; j++, at++) {
      const x = coordinate(j, width);
      const w = weights[at];
      const [wx, wxx, wv] = [w * x, w * x * x, w * data[at]];
      w0 += w;
      w1 += wx;
      w2 += wxx;
      w3 += wxx * x;
      w4 += wxx * x * x;
      v0 += wv;
      v1 += wv * x;
      v2 += wv * x * x;
    }
    const y = coordinate(i, height);
    const ofRow = [w0, w1, w2, w3, w4];
    const powers = [1, y, y * y, y * y * y, y * y * y * y];
    for (let m = 0; m < 5; m++) for (let n = 0; n < 5; n++) moments[m][n] += ofRow[m] * powers[n];
    const ofValues = [v0, v1, v2];
    for (let k = 0; k < b.length; k++) b[k] += ofValues[POWERS[k][0]] * powers[POWERS[k][1]];
  }
  const A = POWERS.map(([m, n]) => Float64Array.from(POWERS, ([k, l]) => moments[m + k][n + l]));
  return pseudoInverseTimes(A, b);
}

/** A⁺ b of a symmetric matrix, by its eigenvectors, which Jacobi's rotations find; A is overwritten.
 *
 * Source: Golub & Van Loan 2013, Matrix Computations, section 8.5.
 */
function pseudoInverseTimes(A, b) {
  const n = A.length;
  const V = A.map((_, k) => Float64Array.from(A, (__, l) => (k === l ? 1 : 0)));
  const diagonal = () => A.reduce((sum, row, k) => sum + Math.abs(row[k]), 0);
  const beside = () => A.reduce((sum, row, k) => sum + row.reduce((s, v, l) => s + (k === l ? 0 : Math.abs(v)), 0), 0);
  for (let sweep = 0; sweep < 20 && beside() > 1e-16 * diagonal(); sweep++) {
    for (let p = 0; p < n - 1; p++) {
      for (let q = p + 1; q < n; q++) {
        if (A[p][q] === 0) continue;
        const τ = (A[q][q] - A[p][p]) / (2 * A[p][q]);
        const t = (τ < 0 ? -1 : 1) / (Math.abs(τ) + Math.sqrt(1 + τ * τ));
        const c = 1 / Math.sqrt(1 + t * t);
        const s = t * c;
        for (let k = 0; k < n; k++) rotate(A[k], p, A[k], q, c, s);
        for (let k = 0; k < n; k++) rotate(A[p], k, A[q], k, c, s);
        for (let k = 0; k < n; k++) rotate(V[k], p, V[k], q, c, s);
      }
    }
  }
  const largest = Math.max(...A.map((row, k) => Math.abs(row[k])));
  const result = new Float64Array(n);
  for (let e = 0; e < n; e++) {
    if (A[e][e] <= 1e-13 * largest) continue; // a direction in which these terms do not differ
    let along = 0;
    for (let k = 0; k < n; k++) along += V[k][e] * b[k];
    for (let k = 0; k < n; k++) result[k] += (V[k][e] * along) / A[e][e];
  }
  return result;
}

/** (u, v) = (c u - s v, s u + c v) for u = rows[k] and v = others[l]. */
function rotate(rows, k, others, l, c, s) {
  const [u, v] = [rows[k], others[l]];
  rows[k] = c * u - s * v;
  others[l] = s * u + c * v;
}
