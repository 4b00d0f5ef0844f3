// The layers, one function each: from a layer's description to {y, forward(x), backward(dy)}.
// Shapes are those of one sample, (C, H, W) or (F,), stored row by row; y and dx are allocated once and used again.
// Formulas and names as in numnist/ops/; normalisation is in evaluation mode, with the running statistics.
import { conv2d, linear } from "./products.js";

/** f(place in y, place of each element in x) for every window of a pooling layer. */
function windows({ input: [C, H, W], output: [, rows, columns], size, stride }, start, each, end) {
  for (let c = 0, to = 0; c < C; c++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++, to++) {
        start(to);
        for (let u = 0; u < size; u++) {
          const from = (c * H + stride * i + u) * W + stride * j;
          for (let v = 0; v < size; v++) each(from + v, to);
        }
        end(to);
      }
    }
  }
}

/** The largest value in each window; backward gives each dy to its window's first maximum. */
function maxPool2d(layer) {
  const y = new Float32Array(count(layer.output));
  const winner = new Int32Array(y.length);
  const dx = new Float32Array(count(layer.input));
  let x;
  let best;
  return {
    y,
    forward(given) {
      x = given;
      windows(layer, () => (best = -1), (from) => {
        if (best < 0 || x[from] > x[best]) best = from;
      }, (to) => {
        winner[to] = best;
        y[to] = x[best];
      });
      return y;
    },
    backward(dy) {
      dx.fill(0);
      winner.forEach((from, to) => (dx[from] += dy[to]));
      return dx;
    },
  };
}

/** The mean of each window; backward shares each dy equally. */
function avgPool2d(layer) {
  const y = new Float32Array(count(layer.output));
  const dx = new Float32Array(count(layer.input));
  const area = layer.size * layer.size;
  let sum = 0;
  return {
    y,
    forward(x) {
      windows(layer, () => (sum = 0), (from) => (sum += x[from]), (to) => (y[to] = sum / area));
      return y;
    },
    backward(dy) {
      dx.fill(0);
      windows(layer, () => {}, (from, to) => (dx[from] += dy[to] / area), () => {});
      return dx;
    },
  };
}

/** The mean of every channel: (C, H, W) becomes (C,). */
function globalAvgPool2d({ input: [C, H, W] }) {
  const y = new Float32Array(C);
  const dx = new Float32Array(C * H * W);
  return {
    y,
    forward(x) {
      for (let c = 0; c < C; c++) {
        let sum = 0;
        for (let at = c * H * W; at < (c + 1) * H * W; at++) sum += x[at];
        y[c] = sum / (H * W);
      }
      return y;
    },
    backward(dy) {
      dy.forEach((d, c) => dx.fill(d / (H * W), c * H * W, (c + 1) * H * W));
      return dx;
    },
  };
}

/** y = weight (x - mean) / √(var + eps) + bias per channel; the statistics are constants, so
 * dx = weight / √(var + eps) dy.
 */
function batchNorm({ input, eps, weight, bias, running_mean: mean, running_var: variance }) {
  const y = new Float32Array(count(input));
  const dx = new Float32Array(y.length);
  const area = y.length / input[0];
  const scale = weight.map((w, c) => w / Math.sqrt(variance[c] + eps));
  return {
    y,
    forward(x) {
      for (let c = 0, at = 0; c < scale.length; c++) {
        const [a, m, b] = [scale[c], mean[c], bias[c]];
        for (const end = at + area; at < end; at++) y[at] = a * (x[at] - m) + b;
      }
      return y;
    },
    backward(dy) {
      for (let at = 0; at < dx.length; at++) dx[at] = dy[at] * scale[Math.floor(at / area)];
      return dx;
    },
  };
}

/** An activation y = f(x) of each value, and its derivative f′ as a function of x and y. */
const elementwise = (f, derivative) => ({ input, ...layer }) => {
  const y = new Float32Array(count(input));
  const dx = new Float32Array(y.length);
  let x;
  return {
    y,
    forward(given) {
      x = given;
      for (let i = 0; i < y.length; i++) y[i] = f(x[i], layer);
      return y;
    },
    backward(dy) {
      for (let i = 0; i < y.length; i++) dx[i] = dy[i] * derivative(x[i], y[i], layer);
      return dx;
    },
  };
};

/** Softmax along the last axis, y = exp(x - max) / Σ exp(x - max), or its logarithm.
 *
 * Backward: dx = y (dy - Σ y dy); of the logarithm dx = dy - exp(y) Σ dy.
 */
const softmaxOf = (logarithm) => ({ input }) => {
  const y = new Float32Array(count(input));
  const dx = new Float32Array(y.length);
  const K = input[input.length - 1];
  const rows = (f) => {
    for (let start = 0; start < y.length; start += K) f(start, start + K);
  };
  return {
    y,
    forward(x) {
      rows((start, end) => {
        const row = x.subarray(start, end);
        const most = Math.max(...row);
        const total = row.reduce((sum, v) => sum + Math.exp(v - most), 0);
        row.forEach((v, k) => {
          y[start + k] = logarithm ? v - most - Math.log(total) : Math.exp(v - most) / total;
        });
      });
      return y;
    },
    backward(dy) {
      rows((start, end) => {
        let sum = 0;
        for (let k = start; k < end; k++) sum += logarithm ? dy[k] : dy[k] * y[k];
        for (let k = start; k < end; k++) dx[k] = logarithm ? dy[k] - Math.exp(y[k]) * sum : y[k] * (dy[k] - sum);
      });
      return dx;
    },
  };
};

/** What changes nothing in the order in which values are stored. */
const identity = () => {
  const layer = {
    y: null,
    forward(x) {
      layer.y = x;
      return x;
    },
    backward: (dy) => dy,
  };
  return layer;
};

function count(shape) {
  return shape.reduce((product_, n) => product_ * n, 1);
}

/** The layers by the name that a description gives them. */
export const LAYERS = {
  Conv2d: conv2d,
  Linear: linear,
  MaxPool2d: maxPool2d,
  AvgPool2d: avgPool2d,
  GlobalAvgPool2d: globalAvgPool2d,
  BatchNorm: batchNorm,
  ReLU: elementwise((x) => (x > 0 ? x : 0), (x) => (x > 0 ? 1 : 0)),
  LeakyReLU: elementwise((x, { slope }) => (x > 0 ? x : slope * x), (x, _, { slope }) => (x > 0 ? 1 : slope)),
  Sigmoid: elementwise(sigmoid, (_, y) => y * (1 - y)),
  Tanh: elementwise(Math.tanh, (_, y) => 1 - y * y),
  Softmax: softmaxOf(false),
  LogSoftmax: softmaxOf(true),
  Dropout: identity,
  Flatten: identity,
};

/** 1 / (1 + exp(-x)), from exp(-|x|), which cannot overflow. */
function sigmoid(x) {
  const e = Math.exp(-Math.abs(x));
  return (x >= 0 ? 1 : e) / (1 + e);
}
