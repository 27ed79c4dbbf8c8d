// The picture, with what is removed of it: a presence of one byte per pixel, strokes, segments, undo.

const STEPS = 60; // that can be undone
const SQUARE = 7; // of the chequers that stand for "not there", in pixels of the picture

export class Editor {
  constructor(canvas, { changed, moved }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.changed = changed; // called after each change of the presence
    this.moved = moved; // called with the segment that the keyboard reaches
    this.tool = "brush";
    this.size = 30;
    this.presence = null;
    this.ids = null;
    this.hovered = this.focused = -1;
    this.pointer = this.last = null;
    this.past = [];
    this.future = [];
    this.listen();
  }

  // Show a picture: a bitmap, its size, and its presence (all if none is given).
  load(bitmap, width, height, presence) {
    Object.assign(this, { bitmap, width, height, ids: null, past: [], future: [], hovered: -1, focused: -1 });
    this.presence = presence ?? new Uint8Array(width * height).fill(1);
    this.scale = Math.max(1, Math.round(672 / width));
    this.canvas.width = width * this.scale;
    this.canvas.height = height * this.scale;
    this.overlay = document.createElement("canvas");
    this.overlay.width = width;
    this.overlay.height = height;
    this.draw();
  }

  setSegments(ids) {
    this.ids = ids;
    this.hovered = this.focused = -1;
    const count = ids.reduce((most, one) => Math.max(most, one), 0) + 1;
    this.places = Array.from({ length: count }, () => ({ x: 0, y: 0, area: 0 }));
    ids.forEach((id, at) => {
      const place = this.places[id];
      place.x += at % this.width;
      place.y += Math.floor(at / this.width);
      place.area += 1;
    });
    for (const place of this.places) { place.x /= place.area; place.y /= place.area; }
    this.borders = this.outline(null);
    this.draw();
  }

  get removed() { return 1 - this.presence.reduce((sum, one) => sum + one, 0) / this.presence.length; }

  // Presence as bits, row by row.
  packed() {
    const bytes = new Uint8Array(Math.ceil(this.presence.length / 8));
    this.presence.forEach((one, at) => { if (one) bytes[at >> 3] |= 128 >> (at & 7); });
    return bytes;
  }

  remember() {
    this.past.push(this.presence.slice());
    if (this.past.length > STEPS) this.past.shift();
    this.future = [];
  }

  undo() { this.travel(this.past, this.future); }
  redo() { this.travel(this.future, this.past); }

  travel(from, to) {
    if (!from.length) return;
    to.push(this.presence);
    this.presence = from.pop();
    this.update();
  }

  clear() { this.remember(); this.presence.fill(1); this.update(); }
  invert() { this.remember(); this.presence.forEach((one, at) => { this.presence[at] = 1 - one; }); this.update(); }

  // Remove a segment, or bring it back if most of it is gone.
  toggle(id) {
    this.remember();
    let present = 0;
    this.ids.forEach((one, at) => { if (one === id) present += this.presence[at]; });
    const value = present * 2 >= this.places[id].area ? 0 : 1;
    this.ids.forEach((one, at) => { if (one === id) this.presence[at] = value; });
    this.update();
    return value;
  }

  update() { this.draw(); this.changed(); }

  // Where a segment is, in words.
  whereabouts(id) {
    const { x, y, area } = this.places[id];
    const row = ["top", "middle", "bottom"][Math.min(2, Math.floor(3 * y / this.height))];
    const column = ["left", "centre", "right"][Math.min(2, Math.floor(3 * x / this.width))];
    return `Segment ${id + 1} of ${this.places.length}, ${row} ${column}, ${(100 * area / this.ids.length).toFixed(1)} % of the picture`;
  }

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.presence) return;
      const at = this.locate(event);
      if (this.tool === "segments") {
        if (this.ids) { this.focused = this.idAt(at); this.toggle(this.focused); }
        return;
      }
      canvas.setPointerCapture(event.pointerId);
      this.remember();
      this.last = at;
      this.stroke(at, at);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.presence) return;
      const at = this.pointer = this.locate(event);
      if (this.last) {
        const coalesced = event.getCoalescedEvents?.() ?? [];
        for (const one of coalesced.length ? coalesced : [event]) {
          const next = this.locate(one);
          this.stroke(this.last, next);
          this.last = next;
        }
        return;
      }
      const hovered = this.tool === "segments" && this.ids ? this.idAt(at) : -1;
      if (hovered !== this.hovered || this.tool !== "segments") { this.hovered = hovered; this.draw(); }
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"])
      canvas.addEventListener(name, () => { if (this.last) { this.last = null; this.update(); } });
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.hovered = -1; this.draw(); });
    canvas.addEventListener("blur", () => { this.draw(); });
    canvas.addEventListener("focus", () => { this.draw(); });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (!this.presence || event.altKey) return;
    if (event.key.toLowerCase() === "u" || (event.key === "z" && (event.ctrlKey || event.metaKey))) {
      this.undo();
    } else if (!this.ids || event.ctrlKey || event.metaKey) {
      return;
    } else if (event.key === "Enter" || event.key === " ") {
      if (this.focused < 0) this.focused = this.idAt({ x: this.width / 2, y: this.height / 2 });
      const present = this.toggle(this.focused);
      this.moved(`${this.whereabouts(this.focused)}: ${present ? "brought back" : "removed"}.`);
    } else if (event.key.startsWith("Arrow")) {
      this.focused = this.focused < 0 ? this.idAt({ x: this.width / 2, y: this.height / 2 }) : this.neighbour(event.key);
      this.draw();
      this.moved(`${this.whereabouts(this.focused)}.`);
    } else {
      return;
    }
    event.preventDefault();
  }

  // The nearest segment in the direction of an arrow key; the same one at the edge.
  neighbour(key) {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    const from = this.places[this.focused];
    let best = this.focused, least = Infinity;
    this.places.forEach((place, id) => {
      const along = (place.x - from.x) * dx + (place.y - from.y) * dy;
      const across = Math.abs((place.x - from.x) * dy) + Math.abs((place.y - from.y) * dx);
      if (id !== this.focused && along > 0 && across <= 1.5 * along && along + 2 * across < least) {
        best = id;
        least = along + 2 * across;
      }
    });
    return best;
  }

  locate(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width * this.width, y: (event.clientY - box.top) / box.height * this.height };
  }

  idAt({ x, y }) {
    const column = Math.min(this.width - 1, Math.max(0, Math.floor(x)));
    const row = Math.min(this.height - 1, Math.max(0, Math.floor(y)));
    return this.ids[row * this.width + column];
  }

  // Set the pixels within half the brush's size of a line.
  stroke(from, to) {
    const radius = this.size / 2 * this.width / 224, value = this.tool === "eraser" ? 1 : 0;
    const dx = to.x - from.x, dy = to.y - from.y, length = dx * dx + dy * dy;
    const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - radius));
    const right = Math.min(this.width - 1, Math.ceil(Math.max(from.x, to.x) + radius));
    const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - radius));
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(from.y, to.y) + radius));
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const px = x + 0.5 - from.x, py = y + 0.5 - from.y;
        const share = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        if ((px - share * dx) ** 2 + (py - share * dy) ** 2 <= radius * radius) this.presence[y * this.width + x] = value;
      }
    }
    this.update();
  }

  // The borders of a segment, or of all, in pixels of the canvas.
  outline(id) {
    const { width, height, ids, scale } = this, path = new Path2D();
    const borders = (a, b) => a !== b && (id === null || a === id || b === id);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const own = ids[y * width + x];
        if (x + 1 < width && borders(own, ids[y * width + x + 1])) {
          path.moveTo((x + 1) * scale, y * scale);
          path.lineTo((x + 1) * scale, (y + 1) * scale);
        }
        if (y + 1 < height && borders(own, ids[(y + 1) * width + x])) {
          path.moveTo(x * scale, (y + 1) * scale);
          path.lineTo((x + 1) * scale, (y + 1) * scale);
        }
      }
    }
    return path;
  }

  draw() {
    if (!this.presence) return;
    const { context, canvas, scale } = this;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.bitmap, 0, 0, canvas.width, canvas.height);
    chequer(this.overlay, this.presence, 238);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.overlay, 0, 0, canvas.width, canvas.height);
    const reached = document.activeElement === canvas && canvas.matches(":focus-visible");
    if (this.ids && (this.tool === "segments" || reached)) {
      this.trace(this.borders, "rgb(0 0 0 / 45%)", 2);
      this.trace(this.borders, "rgb(255 255 255 / 75%)", 1);
      if (this.hovered >= 0) this.frame(this.hovered, "#fff");
      if (reached && this.focused >= 0) this.frame(this.focused, "#ffd23f");
    }
    if (this.pointer && this.tool !== "segments") {
      const circle = new Path2D();
      circle.arc(this.pointer.x * scale, this.pointer.y * scale, this.size / 2 * this.width / 224 * scale, 0, 7);
      this.trace(circle, "rgb(0 0 0 / 60%)", 4);
      this.trace(circle, "#fff", 2);
    }
  }

  frame(id, colour) {
    const path = this.outline(id);
    this.trace(path, "#000", 8);
    this.trace(path, colour, 4);
  }

  trace(path, colour, width) {
    this.context.strokeStyle = colour;
    this.context.lineWidth = width;
    this.context.lineCap = "square";
    this.context.stroke(path);
  }
}

// Fill a canvas with chequers where nothing is present, and with nothing elsewhere.
export function chequer(canvas, presence, opacity = 255) {
  const style = getComputedStyle(document.documentElement), context = canvas.getContext("2d");
  const colours = ["--check-a", "--check-b"].map((name) => rgb(style.getPropertyValue(name).trim()));
  const image = context.createImageData(canvas.width, canvas.height);
  for (let at = 0; at < presence.length; at++) {
    if (presence[at]) continue;
    const x = at % canvas.width, y = Math.floor(at / canvas.width);
    const colour = colours[(Math.floor(x / SQUARE) + Math.floor(y / SQUARE)) & 1];
    image.data.set([...colour, opacity], 4 * at);
  }
  context.putImageData(image, 0, 0);
}

function rgb(hex) {
  const digits = hex.length === 4 ? [...hex.slice(1)].map((one) => one + one) : hex.slice(1).match(/../g);
  return digits.map((one) => parseInt(one, 16));
}
