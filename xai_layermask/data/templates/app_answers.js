// The predictions beside the picture: bars, a verdict for each masking, and what each masking shows to the network.

import { chequer } from "./app_editor.js";

const COLOURS = { black: "#000", grey: "rgb(124 116 104)" };

export function percent(share) {
  const value = 100 * share;
  return value >= 99.95 || value === 0 ? `${value.toFixed(0)} %` : value < 0.1 ? "< 0.1 %" : `${value.toFixed(value < 10 ? 1 : 0)} %`;
}

export function showWhole(card, answer, bitmap) {
  bars(card, answer.top, answer.target);
  picture(card, bitmap);
}

// Show the answer of one masking; returns the sentence for screen readers.
export function showAnswer(card, answer) {
  const verdict = card.querySelector(".verdict"), title = card.getAttribute("aria-label");
  if (answer.error) {
    card.classList.remove("keeps");
    verdict.textContent = answer.error;
    card.querySelector(".bars").replaceChildren();
    return `${title}: ${answer.error}.`;
  }
  const { target, top: [first] } = answer, keeps = first.class === target.class;
  card.classList.toggle("keeps", keeps);
  verdict.textContent = keeps ? `✓ still ${target.label}` : `✗ ${first.label}`;
  const listed = answer.top.some((one) => one.class === target.class);
  bars(card, listed ? answer.top : [...answer.top, { ...target, rest: true }], target);
  return `${title}: ${first.label}, ${percent(first.probability)}.`;
}

function bars(card, rows, target) {
  card.querySelector(".bars").replaceChildren(...rows.map((row) => {
    const item = element("li", row.class === target.class ? "target" : "");
    if (row.rest) item.classList.add("rest");
    const name = element("span", "name", row.label);
    name.title = row.label;
    const track = element("span", "track"), bar = element("span", "bar");
    bar.style.display = track.style.display = "block";
    bar.style.width = `${100 * row.probability}%`;
    track.append(bar);
    item.append(name, element("span", "share", percent(row.probability)), track);
    return item;
  }));
}

function element(name, kind, text = "") {
  const made = document.createElement(name);
  made.className = kind;
  made.textContent = text;
  return made;
}

// What the network gets: the picture with paint, with the server's fill, or with nothing where nothing is present.
export function showInput(card, bitmap, width, height, presence, filled) {
  const name = card.dataset.masking, gone = document.createElement("canvas");
  gone.width = width;
  gone.height = height;
  chequer(gone, presence);
  const canvas = picture(card, name === "neighbor" && filled ? filled : bitmap);
  if (name === "neighbor") return;
  const context = canvas.getContext("2d");
  if (COLOURS[name]) {
    const paint = gone.getContext("2d");
    paint.globalCompositeOperation = "source-in";
    paint.fillStyle = COLOURS[name];
    paint.fillRect(0, 0, width, height);
  }
  context.drawImage(gone, 0, 0, canvas.width, canvas.height);
}

function picture(card, bitmap) {
  const canvas = card.querySelector("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  return canvas;
}
