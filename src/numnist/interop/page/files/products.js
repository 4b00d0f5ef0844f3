// Convolution and linear layers: a matrix product each. See layers.js.

/** W p + b: the matrix product of every convolution and every linear layer.
 *
 *     y[o,q] = b[o] + sum over k of W[o,k] p[q,k]
 *
 * Four rows of W at a time share each value of p. Sums are in double precision.
 * Shapes: W (O, K), b (O,), p (Q, K) -> y (O, Q).
 */
function product(W, b, p, y, O, K, Q) {
  for (let o = 0; o < O; o += 4) {
    const rows = Math.min(4, O - o);
    if (rows < 4) {
      for (let r = o; r < O; r++) {
        for (let q = 0; q < Q; q++) {
          let sum = b[r];
          for (let k = 0, w = r * K, v = q * K; k < K; k++) sum += W[w++] * p[v++];
          y[r * Q + q] = sum;
        }
      }
      return;
    }
    const [w0, w1, w2, w3] = [o * K, (o + 1) * K, (o + 2) * K, (o + 3) * K];
    for (let q = 0; q < Q; q++) {
      let [s0, s1, s2, s3] = [b[o], b[o + 1], b[o + 2], b[o + 3]];
      const v = q * K;
      for (let k = 0; k < K; k++) {
        const value = p[v + k];
        s0 += W[w0 + k] * value;
        s1 += W[w1 + k] * value;
        s2 += W[w2 + k] * value;
        s3 += W[w3 + k] * value;
      }
      y[o * Q + q] = s0;
      y[(o + 1) * Q + q] = s1;
      y[(o + 2) * Q + q] = s2;
      y[(o + 3) * Q + q] = s3;
    }
  }
}

/** y[o,i,j] = bias[o] + sum over c,u,v of xp[c, s i + u, s j + v] weight[o,c,u,v], xp with `padding` zeros around x.
 *
 * The patch under the window at each place is copied into a row first (im2col); then it is one product.
 * Shapes: x (C, H, W), weight (O, C, K, K), bias (O,) -> y (O, H', W'), H' = floor((H + 2 padding - K) / s) + 1.
 * Source: Dumoulin & Visin 2016, arXiv:1603.07285, section 2.
 */
export function conv2d({ input, output, kernel, stride, padding, weight, bias }) {
  const [C, H, W] = input;
  const [O, rows, columns] = output;
  const size = C * kernel * kernel;
  const patches = new Float32Array(rows * columns * size);
  const y = new Float32Array(O * rows * columns);
  const dx = new Float32Array(C * H * W);
  /** f(place in x, place in patches) for every value of x in every patch; what lies in the padding is left out. */
  const eachPatch = (f) => {
    for (let i = 0, row = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++, row += size) {
        for (let c = 0, at = row; c < C; c++) {
          for (let u = 0; u < kernel; u++) {
            const a = stride * i + u - padding;
            const from = (c * H + a) * W + stride * j - padding;
            for (let v = 0; v < kernel; v++, at++) {
              const column = stride * j + v - padding;
              if (a >= 0 && a < H && column >= 0 && column < W) f(from + v, at);
            }
          }
        }
      }
    }
  };
  let x;
  const cut = (from, at) => {
    patches[at] = x[from];
  };
  const dpatches = new Float32Array(patches.length);
  const fold = (from, at) => {
    dx[from] += dpatches[at];
  };
  return {
    y,
    forward(given) {
      x = given;
      eachPatch(cut);
      product(weight, bias, patches, y, O, size, rows * columns);
      return y;
    },
    /** dP = Wᵀ dy, and dx is dP added back to where each patch was cut. */
    backward(dy) {
      dpatches.fill(0);
      for (let o = 0; o < O; o++) {
        for (let q = 0; q < rows * columns; q++) {
          const d = dy[o * rows * columns + q];
          if (d === 0) continue;
          for (let k = 0, w = o * size, at = q * size; k < size; k++) dpatches[at++] += weight[w++] * d;
        }
      }
      dx.fill(0);
      eachPatch(fold);
      return dx;
    },
  };
}

/** y = W x + b. Shapes: x (K,), weight (O, K), bias (O,) -> y (O,). Backward: dx = Wᵀ dy. */
export function linear({ input: [K], output: [O], weight, bias }) {
  const y = new Float32Array(O);
  const dx = new Float32Array(K);
  return {
    y,
    forward(x) {
      product(weight, bias, x, y, O, K, 1);
      return y;
    },
    backward(dy) {
      dx.fill(0);
      for (let o = 0; o < O; o++) for (let k = 0; k < K; k++) dx[k] += weight[o * K + k] * dy[o];
      return dx;
    },
  };
}
