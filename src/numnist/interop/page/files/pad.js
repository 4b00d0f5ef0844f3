// The pad: strokes by mouse, finger, pen, or keyboard.

const STEP = 0.04; // of the pad's side, for a press of an arrow key
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Draws into a Drawing what is done on a canvas.
 *
 * tell: {began(), changed(), moved(), ended(), said(words)}: before a stroke, after every point of it, when the
 * keyboard's pen has moved or come or gone, at the end of a stroke, for the screen reader.
 */
export class Pad {
  width = 0.085;
  cursor = null; // {x, y} of the keyboard's pen, while the pad has the keyboard
  stroke = null;

  constructor(canvas, drawing, tell) {
    Object.assign(this, { canvas, drawing, tell });
    this.pressed = new Set();
    const on = (name, f) => canvas.addEventListener(name, f.bind(this));
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.up);
    on("keydown", this.key);
    on("keyup", (event) => this.pressed.delete(event.key));
    on("focus", () => {
      if (!canvas.matches(":focus-visible")) return;
      this.cursor ??= { x: 0.5, y: 0.2 };
      tell.moved();
    });
    on("blur", () => {
      this.pressed.clear();
      if (this.byKey) this.end();
      this.cursor = null;
      tell.moved();
    });
    on("contextmenu", (event) => event.preventDefault());
  }

  /** Whether a stroke is under way. */
  get isDown() {
    return this.stroke !== null;
  }

  down(event) {
    if (this.stroke || event.button > 0) return;
    this.tell.began();
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.cursor = null;
    this.byKey = false;
    this.stroke = this.drawing.begin(this.width);
    this.add(event);
  }

  move(event) {
    if (!this.stroke || this.byKey || event.pointerId !== this.pointer) return;
    const points = event.getCoalescedEvents?.() ?? [];
    for (const each of points.length ? points : [event]) this.add(each);
  }

  up(event) {
    if (!this.stroke || this.byKey || event.pointerId !== this.pointer) return;
    this.end();
  }

  add({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    this.point((clientX - box.left) / box.width, (clientY - box.top) / box.height);
  }

  /** A point of the stroke, unless the pen has hardly moved; it stays on the pad. */
  point(x, y) {
    const { points } = this.stroke;
    const [u, v] = [x, y].map((c) => Math.min(Math.max(c, 0), 1));
    const n = points.length;
    if (n && Math.hypot(u - points[n - 2], v - points[n - 1]) < 0.003) return;
    points.push(u, v);
    this.tell.changed();
  }

  end() {
    this.stroke = null;
    this.byKey = false;
    this.tell.ended();
  }

  /** Arrows move the pen, with Shift by a quarter as far; Space puts it down and takes it up, Escape takes it up. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || (this.stroke && !this.byKey)) return;
    if (event.key in ARROWS) {
      this.pressed.add(event.key);
      this.cursor ??= { x: 0.5, y: 0.2 };
      const step = event.shiftKey ? STEP / 4 : STEP;
      for (const key of this.pressed) {
        const [dx, dy] = ARROWS[key];
        this.cursor.x = Math.min(Math.max(this.cursor.x + dx * step, 0), 1);
        this.cursor.y = Math.min(Math.max(this.cursor.y + dy * step, 0), 1);
      }
      if (this.stroke) this.point(this.cursor.x, this.cursor.y);
      this.tell.moved();
    } else if (event.key === " " && !event.repeat) {
      if (this.stroke) {
        this.end();
      } else {
        this.tell.began();
        this.cursor ??= { x: 0.5, y: 0.2 };
        this.byKey = true;
        this.stroke = this.drawing.begin(this.width);
        this.point(this.cursor.x, this.cursor.y);
        this.tell.said("Pen down.");
      }
    } else if (event.key === "Escape" && this.stroke) {
      this.end();
    } else if (event.key !== " ") {
      return;
    }
    event.preventDefault();
  }

  /** Draw the pad as it is seen. */
  draw() {
    const { canvas, drawing } = this;
    const side = Math.round(canvas.clientWidth * Math.min(window.devicePixelRatio || 1, 3));
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    context.clearRect(0, 0, side, side);
    if (drawing.picture) {
      const { shown } = drawing.picture;
      const scale = Math.min(side / shown.width, side / shown.height);
      const [w, h] = [shown.width * scale, shown.height * scale];
      context.drawImage(shown, (side - w) / 2, (side - h) / 2, w, h);
    }
    context.fillStyle = context.strokeStyle = style.color;
    drawing.draw(context, side);
    if (this.cursor) {
      context.strokeStyle = style.outlineColor;
      context.lineWidth = side / 100;
      context.beginPath();
      context.arc(this.cursor.x * side, this.cursor.y * side, (this.width * side) / (this.stroke ? 2 : 1.4), 0, 7);
      context.stroke();
    }
  }
}
