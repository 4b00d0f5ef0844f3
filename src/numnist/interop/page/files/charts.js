// What a prediction looks like: bars, the image that the network sees, its heat map, the maps of every layer.
import { CLASS_COLOURS, channels, inkOn, paintInk, paintLarge, paintSigned } from "./colours.js";
import { range } from "./images.js";

const MOST_MAPS = 64;
const MOST_COLUMNS = 400; // of the history
const MOST_COLUMNS_OF_BARS = 12; // beside each other on a phone

/** What each kind of layer does, in a line. */
const DOES = {
  Conv2d: "small filters slide over the image and answer where they find their pattern",
  BatchNorm: "each map is brought to a common scale",
  ReLU: "what is below 0 becomes 0",
  LeakyReLU: "what is below 0 becomes small",
  Sigmoid: "everything is squeezed between 0 and 1",
  Tanh: "everything is squeezed between -1 and 1",
  MaxPool2d: "of each window the largest stays",
  AvgPool2d: "of each window the mean stays",
  GlobalAvgPool2d: "of each map the mean stays",
  Flatten: "all values in one row",
  Dropout: "lets everything pass, but for training",
  Linear: "every value has its weight in each sum",
  Softmax: "shares that sum to 1",
  LogSoftmax: "logarithms of shares that sum to 1",
};

/** An element with attributes and children; text is text, never HTML. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** 0.9834 as "98.3 %"; never 100.0 for less. */
export function percent(p) {
  return `${(Math.floor(1000 * p + 1e-9) / 10).toFixed(1)} %`;
}

/** A colour of the page's style as [r, g, b]. */
function themed(name) {
  return channels(getComputedStyle(document.documentElement).getPropertyValue(name).trim());
}

/** The probabilities: a button for each class, which asks for its heat map. */
export class Bars {
  constructor(list, classes, choose) {
    list.replaceChildren();
    list.classList.toggle("many", classes.length > MOST_COLUMNS_OF_BARS);
    this.rows = classes.map((name, k) => {
      const [fill, share] = [element("i", { class: "fill" }), element("span", { class: "share" })];
      fill.style.background = CLASS_COLOURS[k % CLASS_COLOURS.length];
      const button = element("button", { type: "button", "aria-pressed": "false" },
        element("b", {}, name), element("span", { class: "track", "aria-hidden": "true" }, fill), share);
      button.addEventListener("click", () => choose(k));
      list.append(element("li", {}, button));
      return { button, fill, share };
    });
  }

  /** shares: (K,) or null for none; best, asked: classes. */
  show(shares, best, asked) {
    this.rows.forEach(({ button, fill, share }, k) => {
      fill.style.setProperty("--share", shares ? shares[k] : 0);
      share.textContent = shares ? percent(shares[k]) : "–";
      button.classList.toggle("best", shares !== null && k === best);
      button.setAttribute("aria-pressed", String(shares !== null && k === asked));
    });
  }
}

/** Draw the image that the network sees; over it, fainter then, the heat map if there is one. */
export function drawImage(canvas, [H, W], pixels, heat) {
  const context = canvas.getContext("2d");
  if (canvas.width !== W || canvas.height !== H) [canvas.width, canvas.height] = [W, H];
  canvas.style.aspectRatio = `${W} / ${H}`;
  context.clearRect(0, 0, W, H);
  if (!pixels) return;
  const layer = element("canvas", { width: W, height: H });
  const own = layer.getContext("2d");
  const colours = own.createImageData(W, H);
  paintInk(pixels, themed("--ink"), colours.data);
  own.putImageData(colours, 0, 0);
  context.globalAlpha = heat ? 0.45 : 1;
  context.drawImage(layer, 0, 0);
  context.globalAlpha = 1;
  if (!heat) return;
  paintSigned(heat, colours.data);
  own.putImageData(colours, 0, 0);
  context.drawImage(layer, 0, 0);
}

/** How the probabilities moved while the pen did: stacked shares, a column for each prediction. */
export class Course {
  columns = [];

  constructor(canvas, classes) {
    Object.assign(this, { canvas, classes });
  }

  add(shares) {
    this.columns.push(shares);
    if (this.columns.length > MOST_COLUMNS) this.columns = this.columns.filter((_, i) => i % 2);
  }

  draw() {
    const { canvas, columns } = this;
    const [width, height, dpr] = sized(canvas);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const n = Math.max(columns.length, 2);
    const x = (i) => (i / (n - 1)) * width;
    const tops = new Float64Array(columns.length);
    this.classes.forEach((name, k) => {
      const bottoms = tops.slice();
      let widest = 0;
      columns.forEach((shares, i) => {
        tops[i] += shares[k] * height;
        if (shares[k] * Math.min(1, (i + 6) / 6) > (columns[widest]?.[k] ?? 0)) widest = i;
      });
      context.fillStyle = CLASS_COLOURS[k % CLASS_COLOURS.length];
      context.beginPath();
      for (let i = 0; i < columns.length; i++) context.lineTo(x(i), bottoms[i]);
      for (let i = columns.length - 1; i >= 0; i--) context.lineTo(x(i), tops[i]);
      context.fill();
      if (columns.length < 2 || tops[widest] - bottoms[widest] < 15 * dpr) return;
      context.fillStyle = inkOn(context.fillStyle);
      context.font = `600 ${13 * dpr}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      const at = Math.min(Math.max(x(widest), 9 * dpr), width - 9 * dpr);
      context.fillText(name, at, (tops[widest] + bottoms[widest]) / 2);
    });
  }
}

/** Give a canvas as many pixels as the screen has for it. */
function sized(canvas) {
  const dpr = Math.min(window.devicePixelRatio || 1, 3);
  const [width, height] = [Math.round(canvas.clientWidth * dpr), Math.round(canvas.clientHeight * dpr)];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  return [width, height, dpr];
}

/** The layers of a network, a card for each; only those on the screen are drawn. */
export class Layers {
  constructor(list, network, lens) {
    Object.assign(this, { network, lens });
    this.cards = network.layers.map((layer, i) => this.card(layer, i === network.layers.length - 1));
    list.replaceChildren(...this.cards.map(({ item }) => item));
    this.arrange();
    this.watch = new IntersectionObserver((changes) => {
      for (const { target, isIntersecting } of changes) {
        const card = this.cards.find(({ canvas }) => canvas === target);
        card.visible = isIntersecting;
        if (isIntersecting) this.draw(card);
      }
    }, { rootMargin: "100px" });
    for (const card of this.cards) {
      this.watch.observe(card.canvas);
      if (card.many) lens.follow(card);
    }
  }

  leave() {
    this.lens.leave();
    this.watch.disconnect();
  }

  card(layer, isLast) {
    const [C, h, w] = layer.output;
    const many = layer.output.length === 3;
    const shown = many ? Math.min(C, MOST_MAPS) : C;
    const what = many ? `${C} ${C === 1 ? "map" : "maps"} of ${h}×${w}` : `${C} ${C === 1 ? "value" : "values"}`;
    const some = shown < C ? `, the first ${shown}` : "";
    const title = `${layer.position} ${layer.type}`;
    const canvas = element("canvas", { role: "img", "aria-label": `${title}: ${what}` });
    canvas.className = isLast ? "sums" : many ? "maps" : "strip";
    const item = element("li", { class: "layer" },
      element("h3", {}, title, element("span", { class: "quiet" }, ` ${what}${some}`)),
      element("p", { class: "quiet" }, DOES[layer.type] ?? ""), canvas);
    return { item, canvas, layer, shown, many, isLast, visible: false };
  }

  /** Give every canvas its place: tiles of about the same size, as many beside each other as there is room for. */
  arrange() {
    for (const card of this.cards) {
      const { canvas, item, layer, shown, many, isLast } = card;
      const [F, h, w] = layer.output;
      const across = item.clientWidth - 18;
      if (many) {
        const most = Math.max(4, Math.floor(across / (w > 8 ? 62 : 46)));
        card.columns = Math.ceil(shown / Math.ceil(shown / most)); // rows of one length
        const tile = Math.min(across / card.columns, 96);
        canvas.style.width = `${Math.floor(tile * card.columns)}px`;
        canvas.style.height = `${Math.ceil((tile * h) / w) * Math.ceil(shown / card.columns)}px`;
      } else if (!isLast) {
        card.rows = Math.ceil(F / 128);
        canvas.style.height = `${14 * card.rows}px`;
      }
    }
  }

  show(hasImage) {
    this.hasImage = hasImage;
    for (const card of this.cards) if (card.visible) this.draw(card);
    if (hasImage) this.lens.draw();
    else this.lens.leave();
  }

  draw(card) {
    if (card.isLast) this.drawSums(card);
    else if (card.many) this.drawMaps(card);
    else this.drawStrip(card);
  }

  /** A picture of n × h × w values, one below the other, to cut maps from. */
  atlas(card, n, h, w) {
    card.atlas ??= element("canvas", { width: w, height: n * h });
    const context = card.atlas.getContext("2d");
    card.pixels ??= context.createImageData(w, n * h);
    if (card.many) for (let c = 0; c < n; c++) paintLarge(card.layer.y, c * h * w, h * w, card.pixels.data, c * h * w);
    else paintLarge(card.layer.y, 0, w, card.pixels.data);
    context.putImageData(card.pixels, 0, 0);
    return card.atlas;
  }

  drawMaps(card) {
    const { canvas, shown, layer, columns } = card;
    const [, h, w] = layer.output;
    const [width, , dpr] = sized(canvas);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.hasImage) return;
    const atlas = this.atlas(card, shown, h, w);
    context.imageSmoothingEnabled = false;
    const [step, gap] = [width / columns, Math.round(3 * dpr)];
    for (let c = 0; c < shown; c++) {
      const [x, y] = [Math.round((c % columns) * step), Math.round(Math.floor(c / columns) * ((step * h) / w))];
      context.drawImage(atlas, 0, c * h, w, h, x, y, Math.round(step) - gap, Math.round((step * h) / w) - gap);
    }
  }

  drawStrip(card) {
    const { canvas, layer, rows } = card;
    const F = layer.output[0];
    const [width, height] = sized(canvas);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (!this.hasImage) return;
    const atlas = this.atlas(card, 1, 1, F);
    context.imageSmoothingEnabled = false;
    const each = Math.ceil(F / rows);
    for (let row = 0; row < rows; row++) {
      const n = Math.min(each, F - row * each);
      context.drawImage(atlas, row * each, 0, n, 1, 0, (row * height) / rows, (width * n) / each, height / rows - 2);
    }
  }

  /** The sums that the probabilities are made of: bars upwards for, downwards against. */
  drawSums({ canvas, layer }) {
    const [width, height, dpr] = sized(canvas);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (!this.hasImage) return;
    const z = layer.y;
    const [low, high] = range([...z, 0]);
    const room = height - 18 * dpr;
    const y = (v) => 2 * dpr + ((high - v) / (high - low || 1)) * (room - 2 * dpr);
    const step = width / z.length;
    const [ink, accent, wrong] = ["--ink", "--accent", "--wrong"].map((name) => `rgb(${themed(name)})`);
    context.font = `${12 * dpr}px system-ui, sans-serif`;
    context.textAlign = "center";
    z.forEach((v, k) => {
      context.fillStyle = v > 0 ? accent : wrong;
      context.fillRect(k * step + 2 * dpr, Math.min(y(0), y(v)), step - 4 * dpr, Math.max(1, Math.abs(y(v) - y(0))));
      context.fillStyle = ink;
      context.fillText(this.network.classes[k], (k + 0.5) * step, height - 4 * dpr, step);
    });
  }
}
