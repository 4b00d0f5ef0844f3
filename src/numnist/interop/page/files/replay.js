// Samples: strokes that numnist writes, drawn before the reader's eyes.

const SECONDS = 1.6;
const HEIGHT = 0.75; // of the pad

/** A sample's strokes, in hundredths of the digit's height, as strokes in the middle of the pad. */
export function placed(strokes, width) {
  const xs = strokes.flat().filter((_, i) => i % 2 === 0);
  const middle = (Math.min(...xs) + Math.max(...xs)) / 2;
  const scale = HEIGHT / 100;
  const x = (c) => 0.5 + scale * (c - middle);
  const y = (c) => (1 - HEIGHT) / 2 + scale * c;
  return strokes.map((points) => ({ points: points.map((c, i) => (i % 2 ? y(c) : x(c))), width }));
}

/** Shows an entry of the drawing stroke by stroke. */
export class Replay {
  #frame = 0;

  /** Begin with nothing of `entry`, and have `step(finished)` called whenever there is more of it. */
  play(entry, step) {
    this.#whole = entry.strokes;
    this.#entry = entry;
    const total = entry.strokes.reduce((sum, { points }) => sum + points.length / 2, 0);
    const begin = performance.now();
    const next = (time) => {
      let left = Math.ceil((total * Math.max(time - begin, 0)) / (1000 * SECONDS));
      const finished = left >= total;
      this.#frame = finished ? 0 : requestAnimationFrame(next);
      entry.strokes = finished ? this.#whole : this.#whole.flatMap((stroke) => {
        const n = Math.min(Math.max(left, 0), stroke.points.length / 2);
        left -= stroke.points.length / 2;
        return n ? [{ ...stroke, points: stroke.points.slice(0, 2 * n) }] : [];
      });
      step(finished);
    };
    entry.strokes = [];
    this.#frame = requestAnimationFrame(next);
  }

  /** The pen is taken up: what was left to be drawn is there at once. */
  stop() {
    if (!this.#frame) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#entry.strokes = this.#whole;
  }

  #whole = [];
  #entry = null;
}
