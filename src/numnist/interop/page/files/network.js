// A model of the page: its weights decoded, a forward pass that keeps what every layer gives, and what mattered.
import { range } from "./images.js";
import { LAYERS } from "./layers.js";

const NORMALISES = new Set(["BatchNorm", "ReLU", "LeakyReLU", "Sigmoid", "Tanh"]);

/** The names of the heat maps, as in numnist/view/saliency.py. */
export const GRAD_CAM = "Grad-CAM";
export const GRADIENT = "gradient";

/** A model from its description (see interop/page/models.py).
 *
 * Members: name, size [H, W], classes, layers [{position, type, output, y}], and
 *   logits(pixels)   one byte per pixel -> (K,), divided by the temperature, as `Predictor.logits`
 *   heat(k, method)  the map of the last image for class k -> Float32Array of H W
 */
export class Network {
  constructor(description) {
    const { name, preprocess, temperature, layers, weights } = description;
    const floats = decoded(weights);
    Object.assign(this, { name, temperature, classes: preprocess.classes, size: preprocess.image_size });
    this.parameters = description.parameters;
    this.layers = layers.map((layer) => {
      const tensors = {};
      for (const [key, [start, end]] of Object.entries(layer.tensors)) tensors[key] = floats.subarray(start, end);
      const made = LAYERS[layer.type]({ ...layer.fields, ...tensors, input: layer.input, output: layer.output });
      return Object.assign(made, { position: layer.position, type: layer.type, output: layer.output });
    });
    this.levels = standardised(preprocess);
    this.gain = preprocess.scale / preprocess.std;
    this.x = new Float32Array(this.size[0] * this.size[1]);
    this.convolution = this.layers.map((layer) => layer.type).lastIndexOf("Conv2d");
  }

  /** The heat maps that make sense: Grad-CAM needs a convolution. */
  get methods() {
    return this.convolution < 0 ? [GRADIENT] : [GRAD_CAM, GRADIENT];
  }

  logits(pixels) {
    for (let i = 0; i < this.x.length; i++) this.x[i] = this.levels[pixels[i]];
    let values = this.x;
    for (const layer of this.layers) values = layer.forward(values);
    return values.map((z) => z / this.temperature);
  }

  heat(k, method) {
    return method === GRAD_CAM ? this.gradCam(k) : this.gradient(k);
  }

  /** ∂z_k / ∂image: by how much the logit rises per grey level of each pixel.
   *
   * Source: Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034, section 3.
   */
  gradient(k) {
    return this.backward(k, 0).map((d) => d * this.gain);
  }

  /** Where the maps A of the last convolution, behind its normalisation and activation, speak for the class:
   *
   *     w_c = mean over i,j of ∂z_k / ∂A[c,i,j]        s = max(0, sum over c of w_c A[c])
   *
   * brought to the image's size bilinearly.
   * Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
   */
  gradCam(k) {
    let cut = this.convolution + 1;
    while (cut < this.layers.length && NORMALISES.has(this.layers[cut].type)) cut++;
    const { y: A, output: [C, h, w] } = this.layers[cut - 1];
    const dA = this.backward(k, cut);
    const s = new Float32Array(h * w);
    for (let c = 0; c < C; c++) {
      let weight = 0;
      for (let i = c * h * w; i < (c + 1) * h * w; i++) weight += dA[i];
      weight /= h * w;
      for (let i = 0; i < h * w; i++) s[i] += weight * A[c * h * w + i];
    }
    return enlarged(s.map((v) => Math.max(0, v)), [h, w], this.size);
  }

  /** ∂z_k by what goes into the layer `first`. */
  backward(k, first) {
    let dy = new Float32Array(this.classes.length);
    dy[k] = 1;
    for (let i = this.layers.length - 1; i >= first; i--) dy = this.layers[i].backward(dy);
    return dy;
  }
}

/** Softmax of logits, as numbers from 0 to 1; null where a logit is not finite. */
export function probabilities(logits) {
  if (!logits.every(Number.isFinite)) return null;
  const [, most] = range(logits);
  const powers = Array.from(logits, (z) => Math.exp(z - most));
  const total = powers.reduce((sum, p) => sum + p, 0);
  return powers.map((p) => p / total);
}

/** What each of the 256 grey levels becomes, in single precision as in NumPy: (scale v - mean) / std. */
function standardised({ scale, mean, std }) {
  const [a, m, s] = [scale, mean, std].map(Math.fround);
  return Float32Array.from({ length: 256 }, (_, v) => Math.fround(Math.fround(v * a) - m) / s);
}

/** float32, little-endian, from base64. */
function decoded(base64) {
  const text = atob(base64);
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** A map brought to another size, bilinearly; its corners lie on the corners. */
function enlarged(values, [h, w], [H, W]) {
  const result = new Float32Array(H * W);
  const at = (i, j) => (i < h && j < w ? values[i * w + j] : 0);
  for (let i = 0; i < H; i++) {
    const y = (i * (h - 1)) / Math.max(1, H - 1);
    const v = Math.floor(y);
    for (let j = 0; j < W; j++) {
      const x = (j * (w - 1)) / Math.max(1, W - 1);
      const u = Math.floor(x);
      const upper = at(v, u) + (at(v, u + 1) - at(v, u)) * (x - u);
      const lower = at(v + 1, u) + (at(v + 1, u + 1) - at(v + 1, u)) * (x - u);
      result[i * W + j] = upper + (lower - upper) * (y - v);
    }
  }
  return result;
}
