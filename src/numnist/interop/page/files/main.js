// The page: what is drawn goes through the reader and the networks into the charts, once per frame.
import { Bars, Course, Layers, drawImage, element, percent } from "./charts.js";
import { CLASS_COLOURS, inkOn } from "./colours.js";
import { Drawing, Sheet } from "./drawing.js";
import { range } from "./images.js";
import { GRAD_CAM, Network, probabilities } from "./network.js";
import { Lens } from "./lens.js";
import { prepare } from "./normalise.js";
import { Pad } from "./pad.js";
import { pictureIn, readPicture } from "./pictures.js";
import { Replay, placed } from "./replay.js";

const content = JSON.parse(document.getElementById("content").textContent);
const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const networks = content.models.map((description) => new Network(description));
const { classes, size } = networks[0];
const drawing = new Drawing();
const sheet = new Sheet();
const replay = new Replay();
const lens = new Lens($("lens"));
const OVERFLOW = "this model's numbers overflow";
const turns = {}; // which sample of a digit comes next

let network = networks[0];
let asked = null; // the class whose heat map is shown; null: the most probable
let method = GRAD_CAM;
let now = null; // what was found last: {pixels, leftOut, answers: [{shares, best}]}, null for those that overflow
let frame = 0;
let stale = false; // whether the drawing is another than the one that was read last

const pad = new Pad($("pad"), drawing, {
  began: () => (drawing.beginsAnew ? another() : undefined),
  changed: () => {
    stale = true;
    look();
  },
  moved: () => look(),
  ended: () => settled(),
  said,
});
const bars = new Bars($("bars"), classes, (k) => {
  asked = k === asked ? null : k;
  show();
});
const course = new Course($("course"), classes);
let layers;

/** Say something: on the screen, and to a screen reader. */
function said(words) {
  $("status").textContent = words;
}

/** Bring the page up to date in the next frame. */
function look() {
  if (!frame) frame = requestAnimationFrame(update);
}

function update() {
  frame = 0;
  pad.draw();
  if (stale) read();
  show();
}

/** Bring what is drawn to the networks' form and ask them all. */
function read() {
  stale = false;
  const found = drawing.isEmpty ? null : prepare(drawing.picture?.grey ?? sheet.read(drawing), size);
  if (!found) {
    now = null;
    course.columns = [];
    return;
  }
  const answers = networks.map((each) => {
    const shares = probabilities(each.logits(found.pixels));
    return { shares, best: shares && shares.indexOf(range(shares)[1]) };
  });
  now = { ...found, answers };
  const { shares } = answers[networks.indexOf(network)];
  if (shares) course.add(shares);
}

/** Show what was found. */
function show() {
  const answer = now?.answers[networks.indexOf(network)];
  const shares = answer?.shares;
  const about = asked ?? answer?.best ?? null;
  document.body.classList.toggle("empty", drawing.isEmpty);
  $("undo").disabled = !drawing.canUndo;
  $("clear").disabled = drawing.isEmpty;
  $("save").disabled = drawing.isEmpty || drawing.picture !== undefined;
  $("digit").textContent = shares ? classes[answer.best] : "?";
  const none = drawing.isEmpty ? "waiting for your digit" : answer ? OVERFLOW : "no ink found";
  $("sure").textContent = shares ? percent(shares[answer.best]) : none;
  bars.show(shares ?? null, answer?.best, about);
  networks.forEach((each, i) => {
    const [best, share] = $("models").children[i].querySelectorAll("b, .share");
    const one = now?.answers[i];
    best.textContent = one?.shares ? classes[one.best] : "–";
    best.classList.toggle("other", Boolean(one?.shares && shares) && one.best !== answer.best);
    share.textContent = one?.shares ? percent(one.shares[one.best]) : one ? "overflow" : "";
  });
  const heat = shares ? network.heat(about, method) : null;
  drawImage($("seen"), size, now?.pixels);
  drawImage($("heat"), size, now?.pixels, heat);
  $("why").textContent = shares ? ` for ${classes[about]}` : "";
  course.draw();
  layers.show(Boolean(answer));
}

/** A stroke, a sample or a picture is complete: say what the network says of it. */
function settled() {
  cancelAnimationFrame(frame);
  update();
  const answer = now?.answers[networks.indexOf(network)];
  if (drawing.isEmpty) return said("The pad is empty.");
  if (!answer) return said("No ink found: draw darker, or larger.");
  if (!answer.shares) return said(`No answer: ${OVERFLOW}.`);
  const order = answer.shares.map((_, k) => k).sort((a, b) => answer.shares[b] - answer.shares[a]);
  const [first, second] = order.map((k) => `${classes[k]}, ${percent(answer.shares[k])}`);
  const next = answer.shares[order[1]] >= 0.001 ? ` Next: ${second}.` : "";
  const rest = now.leftOut ? " What lies far from the largest stroke was left out: one digit at a time." : "";
  said(`I read ${first}.${next}${rest}`);
}

/** Ask about another of the models. */
function choose(chosen) {
  network = chosen;
  networks.forEach((each, i) => $("models").children[i].setAttribute("aria-pressed", String(each === network)));
  if (!network.methods.includes(method)) method = network.methods[0];
  $("method").replaceChildren(...network.methods.map((name) => new Option(name, name, false, name === method)));
  layers?.leave();
  layers = new Layers($("layers"), network, lens);
  const shares = now?.answers[networks.indexOf(network)].shares;
  course.columns = shares ? [shares] : [];
  update();
}

/** What is drawn from here on is another digit. */
function another() {
  stale = true;
  replay.stop();
  asked = null;
  course.columns = [];
}

/** Draw the next sample of a digit. */
function sample(name) {
  if (pad.isDown) return;
  const choices = content.samples[name];
  turns[name] = ((turns[name] ?? -1) + 1) % choices.length;
  another();
  const entry = drawing.show({ kind: "sample", strokes: placed(choices[turns[name]], pad.width) });
  if (calm.matches) settled();
  else {
    replay.play(entry, (finished) => {
      stale = true;
      (finished ? settled : update)();
    });
  }
}

async function load(file) {
  if (!file) return;
  try {
    const picture = await readPicture(file);
    if (pad.isDown) return;
    another();
    drawing.show({ kind: "picture", ...picture });
    settled();
  } catch (error) {
    said(error.message);
  }
}

function undo() {
  if (pad.isDown) return; // a second finger
  another();
  drawing.undo();
  settled();
}

function clear() {
  if (pad.isDown) return;
  another();
  drawing.clear();
  settled();
}

function save() {
  sheet.read(drawing);
  sheet.canvas.toBlob((blob) => {
    const link = element("a", { href: URL.createObjectURL(blob), download: "digit.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);
$("save").addEventListener("click", save);
$("open").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", ({ target }) => {
  load(target.files[0]);
  target.value = "";
});
$("method").addEventListener("change", ({ target }) => {
  method = target.value;
  show();
});
for (const input of document.querySelectorAll("input[name=pen]")) {
  input.addEventListener("change", () => (pad.width = Number(input.value)));
}
document.addEventListener("paste", (event) => load(pictureIn(event.clipboardData)));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const picture = pictureIn(event.dataTransfer);
  if (picture) load(picture);
  else said("What was dropped is no picture: try PNG or JPEG.");
});
document.addEventListener("keydown", (event) => {
  // A key alone does something on the pad only: elsewhere it may be a word that a voice is taken for (WCAG 2.2, 2.1.4).
  const ours = document.activeElement === $("pad");
  const key = event.key.toLowerCase();
  const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && key === "z";
  if (!isUndo && (!ours || event.ctrlKey || event.metaKey || event.altKey)) return;
  if (isUndo || key === "u") undo();
  else if (key === "c") clear();
  else if (key in content.samples) sample(key);
});
addEventListener("resize", () => {
  layers.arrange();
  look();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", look);

/** The buttons of samples and models, which depend on what is in the page. */
function furnish() {
  for (const [name, choices] of Object.entries(content.samples)) {
    const thumbnail = element("canvas", { width: 56, height: 56, "aria-hidden": "true" });
    const button = element("button", { type: "button", "aria-label": `Draw a ${name}` }, thumbnail);
    const context = thumbnail.getContext("2d");
    const shown = new Drawing();
    shown.show({ kind: "sample", strokes: placed(choices[0], pad.width) });
    context.fillStyle = context.strokeStyle = "#808080";
    shown.draw(context, 56);
    button.addEventListener("click", () => sample(name));
    $("samples").append(button);
  }
  $("sampling").hidden = !Object.keys(content.samples).length;
  for (const each of networks) {
    const button = element("button", { type: "button" }, element("span", { class: "name" }, each.name),
      element("b", {}, "–"), element("span", { class: "share" }));
    button.title = `${each.parameters.toLocaleString("en")} parameters`;
    button.addEventListener("click", () => choose(each));
    $("models").append(button);
  }
}

furnish();
choose(network);
/** For the console, and for tests: the page's own functions. */
globalThis.numnist = Object.freeze({
  CLASS_COLOURS, inkOn, Network, networks, drawing, sheet, prepare, probabilities, readPicture, current: () => now,
  update() {
    stale = true;
    update();
  },
});
const greeting = Object.keys(content.samples)[3];
if (greeting && !calm.matches) sample(greeting);
