// The playground: connects the picture, the predictions and the explanation.

import { showAnswer, showInput, showWhole } from "./app_answers.js";
import { Editor } from "./app_editor.js";
import { Explanation } from "./app_report.js";
import { ask, limits, onNewSession } from "./app_server.js";

const PAUSE = 120; // milliseconds after a change until the network is asked
const get = (id) => document.getElementById(id);
const tools = [...document.querySelectorAll("[data-tool]")];
const examples = [...document.querySelectorAll("[data-example].example")];
const cards = [...document.querySelectorAll("[data-masking]")];
const state = { source: null, picture: 0, bitmap: null, timer: 0, asking: null, dirty: false };

const editor = new Editor(get("picture"), { changed, moved: (sentence) => { get("announce").textContent = sentence; } });
const explanation = new Explanation(
  { form: get("form"), cancel: get("cancel"), explain: get("explain"), running: get("running"), stage: get("stage"),
    progress: get("progress"), result: get("result"), report: get("report"), download: get("download"), open: get("open") },
  { fail, choices: () => ({ model: model(), masking: get("masking").value, segments: get("segments").value, samples: get("samples").value }) },
);

function model() { return get("model").value; }

function fail(sentence) {
  const place = get("error");
  place.textContent = sentence;
  place.hidden = false;
  place.scrollIntoView({ block: "nearest" });
}

// Run an action; what goes wrong becomes a sentence in the page.
async function attempt(action) {
  get("error").hidden = true;
  try {
    await action();
  } catch (error) {
    if (error.name !== "AbortError" && error.status !== 409) fail(error.message);
  }
}

function bytes(base64) { return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)); }

async function bitmapOf(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return createImageBitmap(image);
}

// Send a photograph: {example} or {file}.
function choose(source) {
  if (source.example) {
    return ask("POST", "api/example", { query: { model: model(), name: source.example } });
  }
  if (source.file.size > limits.bytes) {
    const size = (source.file.size / 1e6).toFixed(1);
    throw new Error(`expected at most ${limits.bytes / 1e6} MB, got ${size} MB: make the picture smaller`);
  }
  const headers = { "X-Name": encodeURIComponent(source.file.name), "Content-Type": "application/octet-stream" };
  return ask("POST", "api/upload", { query: { model: model() }, body: source.file, headers });
}

// A question that is under way names the photograph of the old session, so the network is asked again.
onNewSession(async () => {
  if (!state.source) return;
  state.picture = (await choose(state.source)).picture;
  state.dirty = true;
});

async function open(source) {
  await attempt(async () => {
    const chosen = model();
    let view = await choose(source);
    if (model() !== chosen) view = { presence: view.presence, ...await ask("GET", "api/view", { query: { model: model() } }) };
    state.source = source;
    await show(view, view.presence && unpacked(bytes(view.presence), view.width * view.height));
  });
}

async function show(view, presence) {
  state.picture = view.picture;
  state.bitmap = await bitmapOf(view.image);
  explanation.reset();
  editor.load(state.bitmap, view.width, view.height, presence);
  editor.canvas.setAttribute("aria-label", `Photograph ${view.name}`);
  for (const button of examples) {
    const chosen = button.dataset.example === state.source.example;
    button.setAttribute("aria-pressed", chosen);
    if (chosen) get("story").textContent = button.dataset.story;
  }
  if (!state.source.example) get("story").textContent = view.name;
  showWhole(document.querySelector(".whole"), view.whole, state.bitmap);
  changed();
  clearTimeout(state.timer);
  await predict();
  await segment();
}

function unpacked(packed, count) { return Uint8Array.from({ length: count }, (_, at) => (packed[at >> 3] >> (7 - (at & 7))) & 1); }

async function segment() {
  const found = await ask("GET", "api/segments", { query: { model: model(), segments: get("segments").value } });
  if (found.picture === state.picture) editor.setSegments(new Uint16Array(bytes(found.ids).buffer));
}

// After each change: count what is gone, and ask the network soon.
function changed() {
  get("removed").textContent = `${Math.round(100 * editor.removed)} % removed`;
  get("undo").disabled = !editor.past.length;
  get("redo").disabled = !editor.future.length;
  state.dirty = true;
  if (!state.timer) state.timer = setTimeout(predict, PAUSE);
}

// One question at a time, always about the latest state.
async function predict() {
  state.timer = 0;
  if (state.asking) return;
  state.dirty = false;
  const { bitmap, picture } = state, { width, height } = editor, presence = editor.presence.slice();
  const started = performance.now();
  document.body.classList.add("busy");
  state.asking = attempt(async () => {
    const answer = await ask("POST", "api/predict", { query: { model: model(), picture }, body: editor.packed() });
    if (picture !== state.picture) return;
    const filled = await bitmapOf(answer.filled);
    const sentences = answer.answers.map((one) => {
      const card = cards.find((other) => other.dataset.masking === one.masking);
      showInput(card, bitmap, width, height, presence, filled);
      return showAnswer(card, one);
    });
    get("summary").textContent = sentences.join(" ");
    get("took").textContent = `Predictions under ${cards.length} maskings in ${((performance.now() - started) / 1000).toFixed(2)} s.`;
    document.body.dataset.answered = Number(document.body.dataset.answered ?? 0) + 1;
  });
  await state.asking;
  state.asking = null;
  document.body.classList.toggle("busy", state.dirty);
  if (state.dirty && !state.timer) predict();
}

for (const button of tools) {
  button.addEventListener("click", () => {
    editor.tool = button.dataset.tool;
    for (const one of tools) one.setAttribute("aria-pressed", one === button);
    get("size").disabled = editor.tool === "segments";
    editor.draw();
  });
}
for (const button of examples) button.addEventListener("click", () => open({ example: button.dataset.example }));
get("size").addEventListener("input", (event) => { editor.size = Number(event.target.value); editor.draw(); });
for (const name of ["undo", "redo", "clear", "invert"]) get(name).addEventListener("click", () => editor.presence && editor[name]());
get("file").addEventListener("change", (event) => {
  if (event.target.files.length) open({ file: event.target.files[0] });
  event.target.value = "";
});
get("segments").addEventListener("change", () => attempt(segment));
get("model").addEventListener("change", () => attempt(async () => show(await ask("GET", "api/view", { query: { model: model() } }))));
document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length) open({ file: event.dataTransfer.files[0] });
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files][0];
  if (file) open({ file });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (editor.presence) { editor.draw(); changed(); } });

open({ example: document.body.dataset.example });
