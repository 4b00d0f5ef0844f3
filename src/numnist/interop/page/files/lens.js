// A lens over the maps of the layers: what lies under the pointer, large.
import { range } from "./images.js";

const LENS_SIDE = 180; // of the lens, in pixels of the page
const AWAY = 18; // from the pointer

/** Shows one map of a card of `Layers` beside the pointer. */
export class Lens {
  constructor(box) {
    [this.box, this.canvas, this.words] = [box, box.querySelector("canvas"), box.querySelector("p")];
    this.at = null;
  }

  /** Follow the pointer over the canvas of a card that shows maps. */
  follow(card) {
    const look = ({ clientX, clientY }) => {
      const box = card.canvas.getBoundingClientRect();
      const [tile, rows] = [box.width / card.columns, Math.ceil(card.shown / card.columns)];
      const column = Math.min(Math.max(Math.floor((clientX - box.left) / tile), 0), card.columns - 1);
      const row = Math.min(Math.max(Math.floor((clientY - box.top) / (box.height / rows)), 0), rows - 1);
      const c = row * card.columns + column;
      this.at = c < card.shown ? { card, c } : null;
      const { style } = this.box;
      style.left = `${Math.min(Math.max(clientX - LENS_SIDE / 2, 4), document.documentElement.clientWidth - LENS_SIDE - 4)}px`;
      style.top = `${clientY > LENS_SIDE + 4 * AWAY ? clientY - LENS_SIDE - 3 * AWAY : clientY + AWAY}px`;
      this.draw();
    };
    card.canvas.addEventListener("pointermove", look);
    card.canvas.addEventListener("pointerdown", look);
    for (const name of ["pointerleave", "pointercancel"]) card.canvas.addEventListener(name, () => this.leave());
  }

  leave() {
    this.at = null;
    this.draw();
  }

  /** Draw the map as it is now. */
  draw() {
    this.box.hidden = !this.at?.card.atlas;
    if (this.box.hidden) return;
    const { card, c } = this.at;
    const [, h, w] = card.layer.output;
    [this.canvas.width, this.canvas.height] = [w, h];
    this.canvas.style.aspectRatio = `${w} / ${h}`;
    this.canvas.getContext("2d").drawImage(card.atlas, 0, c * h, w, h, 0, 0, w, h);
    const values = card.layer.y.subarray(c * h * w, (c + 1) * h * w);
    const [low, high] = range(values).map((v) => v.toFixed(2));
    this.words.textContent = `map ${c}: ${low} to ${high}`;
  }
}
