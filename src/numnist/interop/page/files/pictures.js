// Pictures from files, as `numnist predict` reads them: grey values by luminance, turned as the camera says.
// A port of numnist/data/image_files.py for what a browser decodes.
import { image } from "./images.js";

const MOST = 1024; // longer sides are reduced by block means, as numnist/data/ink.py does first
const SMALLEST_SIDE = 4;
const MOST_PIXELS = 2 ** 26;
const LEAST_CONTRAST = 32;

/** The grey values of a picture file, 0 black to 255 white, and a canvas that shows it: {grey, shown}.
 *
 * A transparent background is laid on white, or on black where hardly any contrast is left on white.
 * Throws an Error with one line for the reader when it cannot be used.
 */
export async function readPicture(file) {
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, options)
    .catch(() => createImageBitmap(file)) // of browsers that do not know the options
    .catch(() => {
      throw new Error("This is no picture that the browser can read: try PNG or JPEG.");
    });
  try {
    const { width, height } = bitmap;
    if (Math.min(width, height) < SMALLEST_SIDE) {
      throw new Error(`A picture of ${width}×${height} pixels holds no digit.`);
    }
    if (width * height > MOST_PIXELS) throw new Error("This picture is too large: at most 64 megapixels.");
    const [onWhite, onBlack] = [grey(bitmap, "#fff"), grey(bitmap, "#000")];
    const chosen = onWhite.contrast < Math.min(LEAST_CONTRAST, onBlack.contrast) ? onBlack : onWhite;
    return { grey: chosen, shown: drawn(chosen) };
  } finally {
    bitmap.close();
  }
}

/** Block means of the luminance of a picture on a page of this colour, a strip of rows at a time.
 *
 *     L = (19595 R + 38470 G + 7471 B + 32768) >> 16        ITU-R BT.601, as Pillow rounds it
 */
function grey(bitmap, page) {
  const k = Math.ceil(Math.max(bitmap.width, bitmap.height) / MOST);
  const result = image(Math.max(1, Math.floor(bitmap.height / k)), Math.max(1, Math.floor(bitmap.width / k)));
  const strip = document.createElement("canvas");
  const columns = Math.min(bitmap.width, result.width * k);
  strip.width = columns;
  strip.height = Math.min(bitmap.height, k);
  const context = strip.getContext("2d", { willReadFrequently: true });
  let [low, high] = [255, 0];
  for (let i = 0; i < result.height; i++) {
    context.fillStyle = page;
    context.fillRect(0, 0, columns, strip.height);
    context.drawImage(bitmap, 0, -i * k);
    const { data } = context.getImageData(0, 0, columns, strip.height);
    for (let at = 0; at < data.length / 4; at++) {
      const value = (19595 * data[4 * at] + 38470 * data[4 * at + 1] + 7471 * data[4 * at + 2] + 32768) >> 16;
      low = Math.min(low, value);
      high = Math.max(high, value);
      result.data[i * result.width + Math.min(Math.floor((at % columns) / k), result.width - 1)] += value;
    }
  }
  const area = (columns / result.width) * strip.height;
  for (let i = 0; i < result.data.length; i++) result.data[i] /= area;
  return Object.assign(result, { contrast: high - low });
}

/** A canvas that shows grey values. */
export function drawn({ data, height, width }) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  data.forEach((v, i) => pixels.data.set([v, v, v, 255], 4 * i));
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** The first picture among what was pasted or dropped. */
export function pictureIn(transfer) {
  return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/"));
}
