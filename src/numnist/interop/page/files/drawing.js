// What is on the page: strokes of the pen, a sample or a picture; and the way back.
import { image } from "./images.js";

/** Side of the square picture that the network's reader is given, and the white margin in it, in pixels. */
export const SIDE = 112;
const MARGIN = 8;

/** A history of entries. Each is {kind, fresh, ...}; what is seen are those since the last one that is `fresh`.
 *
 * stroke: {points: [x, y, x, y, ...], width}; sample: {strokes: [those]}; picture: {grey, shown}; nothing: {}.
 * Coordinates and widths are in sides of the pad.
 */
export class Drawing {
  entries = [];

  get seen() {
    let first = this.entries.length - 1;
    while (first > 0 && !this.entries[first].fresh) first--;
    return this.entries.slice(Math.max(first, 0));
  }

  /** All strokes that are seen. */
  get strokes() {
    return this.seen.flatMap((entry) => (entry.kind === "stroke" ? [entry] : (entry.strokes ?? [])));
  }

  /** The picture that is seen, if one is. */
  get picture() {
    return this.seen.find((entry) => entry.kind === "picture");
  }

  get isEmpty() {
    return !this.picture && !this.strokes.length;
  }

  get canUndo() {
    return this.entries.length > 0;
  }

  /** Whether the next stroke begins a new drawing: it does on a sample or a picture. */
  get beginsAnew() {
    return this.entries[this.entries.length - 1]?.kind !== "stroke";
  }

  begin(width) {
    const stroke = { kind: "stroke", fresh: this.beginsAnew, points: [], width };
    this.entries.push(stroke);
    return stroke;
  }

  /** Show something instead of what is seen; returns its entry. */
  show(entry) {
    this.entries.push({ ...entry, fresh: true });
    return this.entries[this.entries.length - 1];
  }

  clear() {
    if (!this.isEmpty) this.show({ kind: "nothing" });
  }

  undo() {
    this.entries.pop();
  }

  /** Draw all strokes: `scale` pixels to a side of the pad, which begins at (offset, offset). */
  draw(context, scale, offset = 0) {
    context.lineCap = context.lineJoin = "round";
    for (const { points, width } of this.strokes) {
      context.lineWidth = width * scale;
      smooth(context, points, scale, offset);
    }
  }
}

/** Draw a smooth curve: quadratic pieces between the middles of neighbouring points, a dot for a single one. */
function smooth(context, points, scale, offset) {
  const x = (i) => points[2 * i] * scale + offset;
  const y = (i) => points[2 * i + 1] * scale + offset;
  const n = points.length / 2;
  context.beginPath();
  if (n === 1) {
    context.arc(x(0), y(0), context.lineWidth / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  context.moveTo(x(0), y(0));
  for (let i = 1; i < n - 1; i++) context.quadraticCurveTo(x(i), y(i), (x(i) + x(i + 1)) / 2, (y(i) + y(i + 1)) / 2);
  context.lineTo(x(n - 1), y(n - 1));
  context.stroke();
}

/** The strokes as a sheet of white paper with black ink, which is what is read: what one saves, `numnist predict` reads
 * the same.
 */
export class Sheet {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = SIDE;
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.grey = image(SIDE, SIDE);
  }

  /** The grey values of a drawing: 0 black, 255 white. */
  read(drawing) {
    const { context, grey } = this;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, SIDE, SIDE);
    context.fillStyle = context.strokeStyle = "#000";
    drawing.draw(context, SIDE - 2 * MARGIN, MARGIN);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    for (let i = 0; i < grey.data.length; i++) grey.data[i] = data[4 * i];
    return grey;
  }
}
