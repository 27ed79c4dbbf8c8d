"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const data = JSON.parse(byId("data").textContent);
  const { look, maskings, targets } = data;
  const state = {
    target: 0, masking: maskings.length - 1, opacity: look.opacity, sign: look.sign, scale: look.scale,
    outlines: look.outlines, best: 0, hovered: -1, pinned: -1, rows: 10,
  };
  const PALE = 0.25; // opacity of a score whose interval contains 0, as in figures
  const THUMB = 96; // CSS pixels

  // ---- maps of segments -------------------------------------------------------------------------------------------

  function decode({ width, height, runs }) {
    const bytes = Uint8Array.from(atob(runs), (letter) => letter.charCodeAt(0));
    const ids = new Int32Array(width * height);
    let at = 0;
    const number = () => {
      let value = 0;
      for (let factor = 1; ; factor *= 128) {
        const byte = bytes[at++];
        value += (byte & 127) * factor;
        if (byte < 128) return value;
      }
    };
    for (let place = 0; at < bytes.length;) {
      const id = number();
      ids.fill(id, place, (place += number()));
    }
    return { width, height, ids };
  }

  /** Areas as shares of the picture, and centres in pixels. */
  function measure(map) {
    const count = map.ids.reduce((most, id) => Math.max(most, id), 0) + 1;
    const parts = Array.from({ length: count }, () => ({ pixels: 0, x: 0, y: 0 }));
    map.ids.forEach((id, place) => {
      const part = parts[id];
      part.pixels += 1;
      part.x += place % map.width;
      part.y += Math.floor(place / map.width);
    });
    for (const part of parts) {
      part.x /= part.pixels;
      part.y /= part.pixels;
      part.area = part.pixels / map.ids.length;
    }
    return parts;
  }

  /** Straight edges between two segments, as [one, other, path]; -1 is outside of the picture. */
  function edgesOf({ width, height, ids }) {
    const found = [];
    const id = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? -1 : ids[y * width + x]);
    for (const [across, along, right] of [[height, width, true], [width, height, false]]) {
      const before = right ? (i, j) => id(j, i - 1) : (i, j) => id(i - 1, j);
      const after = right ? (i, j) => id(j, i) : (i, j) => id(i, j);
      for (let i = 0; i <= across; i += 1) {
        for (let j = 0; j < along; j += 1) {
          const [one, other, start] = [before(i, j), after(i, j), j];
          if (one === other) continue;
          while (j + 1 < along && before(i, j + 1) === one && after(i, j + 1) === other) j += 1;
          found.push([one, other, right ? `M${start} ${i}H${j + 1}` : `M${i} ${start}V${j + 1}`]);
        }
      }
    }
    return found;
  }

  /** An SVG path along the edges between segments with different labels; without `outside`, not around the picture. */
  function borders(map, labels, outside) {
    map.edges ??= edgesOf(map);
    const label = (id) => (id < 0 ? outside : labels[id]);
    return map.edges.filter(([one, other]) => label(one) !== label(other)
      && (outside !== null || (one >= 0 && other >= 0))).map(([, , path]) => path).join("");
  }

  const maps = data.maps.map(decode);
  for (const map of maps) map.parts = measure(map);

  // ---- scores -----------------------------------------------------------------------------------------------------

  const scoresOf = (masking, target = state.target) => maskings[masking].scores[target];
  const errorOf = (masking, segment) => maskings[masking].errors[state.target][segment];
  const isPlayed = (masking, segment) => maskings[masking].played || segment < scoresOf(masking).length - 1;
  const fits = (score) => state.sign === "both" || (state.sign === "positive" ? score > 0 : score < 0);
  const isUncertain = (masking, segment) => {
    const error = errorOf(masking, segment);
    return error !== null && Math.abs(scoresOf(masking)[segment]) < 1.96 * error;
  };

  function limitOf(masking) {
    if (look.vmax) return look.vmax;
    const every = state.scale === "own" ? [scoresOf(masking)] : maskings.flatMap((one) => one.scores);
    return Math.max(...every.map((scores) => scores.reduce((most, score) => Math.max(most, Math.abs(score)), 0))) || 1;
  }

  /** Segments by descending score. */
  const ranked = (masking) => scoresOf(masking).map((_, segment) => segment)
    .filter((segment) => isPlayed(masking, segment))
    .sort((one, other) => scoresOf(masking)[other] - scoresOf(masking)[one] || one - other);

  /** Which segments are among the best of the sign. */
  function visible(masking) {
    const scores = scoresOf(masking);
    const shown = new Uint8Array(scores.length);
    const order = scores.map((score, segment) => [Math.abs(score), segment])
      .filter(([, segment]) => isPlayed(masking, segment) && fits(scores[segment]))
      .sort((one, other) => other[0] - one[0] || one[1] - other[1]);
    const best = state.best >= scores.length ? order.length : state.best;
    for (const [, segment] of order.slice(0, best)) shown[segment] = 1;
    return shown;
  }

  const isDimmed = () => state.sign !== "both" || state.best < scoresOf(state.masking).length;

  // ---- colours ----------------------------------------------------------------------------------------------------

  const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const stops = data.stops.map(rgb);
  const neutral = rgb(data.neutral);
  const css = ([red, green, blue]) => `rgb(${Math.round(red)} ${Math.round(green)} ${Math.round(blue)})`;
  const mix = (one, other, share) => one.map((value, channel) => value + (other[channel] - value) * share);

  function colourOf(score, limit) {
    const place = (Math.max(-1, Math.min(1, score / limit)) + 1) / 2 * (stops.length - 1);
    const left = Math.min(Math.floor(place), stops.length - 2);
    return mix(stops[left], stops[left + 1], place - left);
  }

  // ---- painting ---------------------------------------------------------------------------------------------------

  /** The photograph at a scale, its local contrast, and the segment of each pixel. */
  function canvasOf(photo, map, scale) {
    const width = Math.round(map.width * scale);
    const height = Math.round(map.height * scale);
    const draw = (source, w, h) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: w, height: h });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.imageSmoothingQuality = "high";
      context.drawImage(source, 0, 0, w, h);
      return canvas;
    };
    const pixels = (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const sharp = pixels(draw(photo, width, height));
    const blurred = pixels(draw(draw(photo, 8, 8), width, height));
    const grey = new Float32Array(width * height);
    const relief = new Float32Array(width * height);
    const ids = new Int32Array(width * height);
    for (let place = 0; place < grey.length; place += 1) {
      const luma = (of) => (0.299 * of[4 * place] + 0.587 * of[4 * place + 1] + 0.114 * of[4 * place + 2]) / 255;
      grey[place] = luma(sharp);
      relief[place] = Math.max(0.6, Math.min(1, 0.94 + 0.45 * (grey[place] - luma(blurred))));
      const x = Math.floor((place % width) / scale);
      const y = Math.floor(Math.floor(place / width) / scale);
      ids[place] = map.ids[Math.min(y, map.height - 1) * map.width + Math.min(x, map.width - 1)];
    }
    return { width, height, sharp, grey, relief, ids };
  }

  function paint(canvas, ground, masking) {
    const { width, height, sharp, grey, relief, ids } = ground;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const image = context.createImageData(width, height);
    const limit = limitOf(masking);
    const shown = visible(masking);
    const share = state.opacity / 100;
    const faded = Math.min(1, 2 * share); // the photograph turns grey, or its colours would mix with those of scores
    const colours = scoresOf(masking).map((score, segment) =>
      (isUncertain(masking, segment) ? mix(neutral, colourOf(score, limit), PALE) : colourOf(score, limit)));
    const dims = look.dim || state.opacity > 0;
    const out = image.data;
    for (let place = 0, at = 0; place < ids.length; place += 1, at += 4) {
      const segment = ids[place];
      if (shown[segment]) {
        const colour = colours[segment];
        const light = relief[place] * share;
        const pale = 255 * grey[place] * faded;
        for (let channel = 0; channel < 3; channel += 1) {
          out[at + channel] = (sharp[at + channel] * (1 - faded) + pale) * (1 - share) + colour[channel] * light;
        }
      } else if (dims) {
        out[at] = out[at + 1] = out[at + 2] = 150 + 102 * grey[place];
      } else {
        for (let channel = 0; channel < 3; channel += 1) out[at + channel] = sharp[at + channel];
      }
      out[at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  // ---- text -------------------------------------------------------------------------------------------------------

  const MINUS = "\u2212";
  const number = (value, digits = 3) => {
    if (value === null) return "unknown";
    const size = Math.abs(value);
    if (size === 0) return "0";
    const text = size >= 1e5 || size < 1e-4 ? size.toExponential(digits - 1)
      : size.toFixed(Math.max(0, Math.min(8, digits - 1 - Math.floor(Math.log10(size)))));
    return (value < 0 ? MINUS : "") + text;
  };
  /** With as many decimals as the largest score needs. */
  const score = (value, limit) => {
    const decimals = Math.max(0, Math.min(8, 2 - Math.floor(Math.log10(limit))));
    const text = limit < 1e-4 || limit >= 1e5 ? Math.abs(value).toExponential(2) : Math.abs(value).toFixed(decimals);
    return (value < 0 ? MINUS : value > 0 ? "+" : "") + text;
  };
  const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "text") made.textContent = value;
      else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  function svg(tag, attributes = {}, text = "") {
    const made = document.createElementNS(byId("lines").namespaceURI, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  }

  // ---- parts of the page ------------------------------------------------------------------------------------------

  const stage = byId("stage");
  const lines = byId("lines");
  const photo = new Image();
  let grounds = []; // by map
  let ranks = []; // of the segments, from 1
  let order = [];

  const map = () => maps[maskings[state.masking].map];
  const ground = () => grounds[maskings[state.masking].map];
  const focused = () => (state.hovered >= 0 ? state.hovered : state.pinned);

  function drawPicture() {
    paint(byId("picture"), ground(), state.masking);
    for (const thumb of all("[data-thumb]")) {
      const masking = Number(thumb.dataset.thumb);
      const own = maps[maskings[masking].map];
      own.small ??= canvasOf(photo, own, 2 * THUMB / Math.max(own.width, own.height));
      paint(thumb, own.small, masking);
    }
    const scores = scoresOf(state.masking);
    const label = targets[state.target].label;
    const names = order.slice(0, 3).map((segment) => `segment ${segment} (${score(scores[segment], limitOf(state.masking))})`);
    byId("picture").setAttribute("aria-label",
      `Picture with the scores of ${scores.length} segments for ${label}. Highest: ${names.join(", ")}.`);
    drawOutlines();
  }

  function drawOutlines() {
    const { width, height } = map();
    lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    lines.replaceChildren();
    if (state.outlines) {
      map().borders ??= borders(map(), map().parts.map((_, segment) => segment), null);
      lines.append(svg("path", { d: map().borders, class: "thin" }));
    }
    if (isDimmed()) {
      const scores = scoresOf(state.masking);
      const shown = visible(state.masking);
      for (const sign of [-1, 1]) {
        const labels = scores.map((value, segment) => (shown[segment] && value * sign > 0 ? segment : -1));
        const edges = borders(map(), labels, -1);
        const path = svg("path", { d: edges, class: "chosen" });
        path.style.stroke = css(colourOf(sign, 1));
        lines.append(svg("path", { d: edges, class: "around" }), path);
      }
    }
    for (const [segment, kind] of [[state.pinned, "pinned"], [state.hovered, "hovered"]]) {
      if (segment < 0) continue;
      const path = borders(map(), map().parts.map((_, other) => Number(other === segment)), 0);
      lines.append(svg("path", { d: path, class: `halo ${kind}` }), svg("path", { d: path, class: `focus ${kind}` }));
    }
  }

  function drawLegend() {
    const limit = limitOf(state.masking);
    const [low, high] = [state.sign === "positive" ? 0 : -limit, state.sign === "negative" ? 0 : limit];
    const colours = data.stops.map((_, i) => css(colourOf(low + (high - low) * i / (data.stops.length - 1), limit)));
    byId("ramp").style.background = `linear-gradient(to right, ${colours.join(", ")})`;
    byId("low").textContent = low ? number(low, 2) : "0";
    byId("high").textContent = high ? number(high, 2) : "0";
    byId("zero").hidden = !(low && high);
    const [against, pro] = all("#legend .end");
    against.hidden = !low;
    pro.hidden = !high;
    const segment = focused();
    const value = segment < 0 ? NaN : scoresOf(state.masking)[segment];
    const marker = byId("marker");
    marker.hidden = !(value >= low * 1.0001 && value <= high * 1.0001);
    marker.style.left = `${100 * (value - low) / (high - low)}%`;
  }

  function drawReadout() {
    const segment = focused();
    const readout = byId("readout");
    if (segment < 0) {
      readout.replaceChildren(element("p", { class: "empty", text: "No segment chosen." }));
      return;
    }
    const masking = state.masking;
    const value = scoresOf(masking)[segment];
    const error = errorOf(masking, segment);
    const part = map().parts[segment];
    const verdict = !isPlayed(masking, segment) ? "Missing pixels, which have no score."
      : isUncertain(masking, segment) ? "Its 95 % interval contains 0."
        : value === 0 ? "Its score is 0." : `${value > 0 ? "Supports" : "Opposes"} ${targets[state.target].label}.`;
    const facts = [
      ["score", score(value, limitOf(masking))],
      ["standard error", number(error, 2)],
      ["rank", ranks[segment] ? `${ranks[segment]} of ${order.length}` : "none"],
      ["area", percent(part.area)],
    ];
    readout.replaceChildren(
      element("p", { class: "which" },
        element("span", { class: "swatch", id: "swatch" }),
        element("b", { text: `Segment ${segment}` }),
        element("span", { text: ` ${verdict}` }),
        segment === state.pinned ? element("span", { class: "tag", text: "kept" }) : null),
      element("dl", {}, ...facts.map(([name, text]) =>
        element("div", {}, element("dt", { text: name }), element("dd", { text })))));
    byId("swatch").style.background = css(colourOf(value, limitOf(masking)));
  }

  function drawTable() {
    const masking = state.masking;
    const scores = scoresOf(masking);
    const limit = limitOf(masking);
    const reach = (segment, sign) => scores[segment] + sign * 1.96 * (errorOf(masking, segment) ?? 0);
    const low = order.reduce((least, segment) => Math.min(least, reach(segment, -1)), 0);
    const high = order.reduce((most, segment) => Math.max(most, reach(segment, 1)), low < 0 ? 0 : 1e-300);
    const x = (value) => 100 * (value - low) / (high - low);
    const row = (segment) => {
      const value = scores[segment];
      const error = errorOf(masking, segment);
      const bar = element("span", { class: "value-bar", "aria-hidden": "true" });
      const fill = element("i", { class: "fill" });
      Object.assign(fill.style, {
        left: `${Math.min(x(0), x(value))}%`, width: `${Math.abs(x(value) - x(0))}%`, background: css(colourOf(Math.sign(value), 1)),
      });
      if (isUncertain(masking, segment)) fill.classList.add("pale");
      bar.style.setProperty("--zero", `${x(0)}%`);
      bar.append(fill);
      if (error !== null) {
        const whisker = element("i", { class: "whisker" });
        Object.assign(whisker.style, { left: `${x(value - 1.96 * error)}%`, width: `${x(value + 1.96 * error) - x(value - 1.96 * error)}%` });
        bar.append(whisker);
      }
      const text = `${score(value, limit)}${error === null ? "" : ` ± ${number(1.96 * error, 2)}`}`;
      return element("tr", { "data-segment": segment, onpointerenter: () => hover(segment), onpointerleave: () => hover(-1) },
        element("td", { text: ranks[segment] }),
        element("td", {}, element("button", {
          type: "button", class: "plain pin", "aria-pressed": String(segment === state.pinned), text: `Segment ${segment}`,
          onclick: () => pin(segment), onfocus: () => hover(segment), onblur: () => hover(-1),
        })),
        element("td", {}, element("div", { class: "score" }, bar, element("span", { class: "figure", text }))),
        element("td", { class: "number", text: percent(map().parts[segment].area) }));
    };
    byId("segments").tBodies[0].replaceChildren(...order.slice(0, state.rows).map(row));
    const more = byId("more");
    more.hidden = order.length <= 10;
    more.textContent = state.rows > 10 ? "Show the first 10" : `Show all ${order.length}`;
    const { reliability, advice, output } = maskings[masking];
    const known = reliability[state.target];
    byId("trust").textContent = `The scores are contributions to ${targets[state.target].label}, measured in ${output}. `
      + (known === null ? "" : `Reliability ${known.toFixed(2)}: the correlation to expect with the scores of infinitely many samples. `)
      + advice;
  }

  function drawChart(kind, title) {
    const [width, height, left, bottom, top, right] = [420, 250, 40, 36, 12, 12];
    const x = (share) => left + share * (width - left - right);
    const most = Math.max(0.1, ...maskings.flatMap((one) => one.measures[state.target][kind]?.y ?? []));
    const step = [0.02, 0.05, 0.1, 0.2, 0.25].find((size) => most / size <= 5) ?? 0.25;
    const ceiling = Math.min(1, Math.ceil(most / step - 1e-9) * step);
    const y = (value) => height - bottom - value / ceiling * (height - top - bottom);
    const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}. The areas are in the table below.` });
    for (let tick = 0; tick <= ceiling + 1e-9; tick += step) {
      chart.append(svg("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick), class: "grid" }),
        svg("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, `${Math.round(100 * tick)} %`));
    }
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
      chart.append(svg("text", { x: x(tick), y: height - bottom + 16, "text-anchor": tick === 1 ? "end" : "middle" }, `${100 * tick} %`));
    }
    chart.append(svg("text", { x: x(0.5), y: height - 4, "text-anchor": "middle", class: "axis" },
      kind === "deletion" ? "pixels removed, highest scores first" : "pixels inserted, highest scores first"));
    maskings.forEach((one, index) => {
      const curve = one.measures[state.target][kind];
      if (!curve) return;
      const points = curve.x.map((share, i) => `${x(share).toFixed(1)},${y(curve.y[i]).toFixed(1)}`).join(" ");
      const line = svg("polyline", { points, class: index === state.masking ? "curve current" : "curve" });
      Object.assign(line.style, { stroke: ink(one.colour), strokeDasharray: one.dash });
      chart.append(line);
    });
    return element("figure", {}, element("figcaption", { text: title }), chart);
  }

  /** Black is drawn in the colour of text, which is light on a dark ground. */
  const ink = (colour) => (rgb(colour).every((value) => value < 32) ? "var(--ink)" : colour);

  function drawMeasures() {
    if (!byId("measures")) return;
    const t = state.target;
    const has = (name) => maskings.some((one) => one.measures[t][name] !== undefined);
    const curves = has("deletion");
    byId("charts").replaceChildren(...(curves ? [drawChart("deletion", `Deletion: probability of ${targets[t].label}`),
      drawChart("insertion", `Insertion: probability of ${targets[t].label}`)] : []));
    const removed = maskings.map((one) => one.measures[t].removed).find(Boolean);
    const columns = [
      ["deletion", "Deletion AUC ↓", (value) => value.auc.toFixed(3)],
      ["insertion", "Insertion AUC ↑", (value) => value.auc.toFixed(3)],
      ["alignment", "Alignment ↑", (value) => number(value)],
      ["jaccard", `Jaccard, top ${data.k} ↑`, (value) => number(value)],
      ["kept", `Without the top ${removed}`, (value) => (value ? "still predicted" : "no longer predicted")],
    ].filter(([name]) => has(name));
    byId("measured").tHead.replaceChildren(element("tr", {},
      element("th", { scope: "col", text: "Masking" }), ...columns.map(([, text]) => element("th", { scope: "col", class: "number", text }))));
    byId("measured").tBodies[0].replaceChildren(...maskings.map((one, index) => {
      const key = svg("svg", { viewBox: "0 0 24 8", class: "key", "aria-hidden": "true" });
      const line = svg("line", { x1: 0, x2: 24, y1: 4, y2: 4 });
      Object.assign(line.style, { stroke: ink(one.colour), strokeDasharray: one.dash });
      key.append(line);
      return element("tr", { class: index === state.masking ? "current" : null },
        element("th", { scope: "row" }, ...(curves ? [key] : []), element("span", { text: one.name })),
        ...columns.map(([name, , text]) => {
          const value = one.measures[t][name];
          return element("td", { class: "number", text: value === undefined ? "" : value === null ? "undefined" : text(value) });
        }));
    }));
    const by = maskings.map((one) => one.measures[t].deletion?.by).find(Boolean);
    byId("measures-note").textContent = [
      by ? `Segments were removed by ${by} for every row, whichever masking the scores are from. Good scores have a low deletion area and a high insertion area.` : "",
      has("alignment") ? "Alignment is the cosine between scores and the object mask per segment, with its mean subtracted; Jaccard is the overlap of the best segments with the mask." : "",
    ].filter(Boolean).join(" ");
  }

  function drawMade() {
    const one = maskings[state.masking];
    byId("made").textContent = [one.made, one.note && `Picture: ${one.note}.`].filter(Boolean).join(" ");
    byId("settings").tBodies[0].replaceChildren(...Object.entries(one.settings).map(([name, text]) =>
      element("tr", {}, element("th", { scope: "row", text: name.replaceAll("_", " ") }), element("td", { text }))));
  }

  function drawControls() {
    const count = scoresOf(state.masking).length;
    const best = byId("best");
    best.max = count;
    best.value = Math.min(state.best, count);
    const text = state.best >= count ? `all ${count}` : `${state.best} of ${count}`;
    byId("best-shown").textContent = text;
    best.setAttribute("aria-valuetext", text);
    byId("opacity").value = state.opacity;
    byId("opacity-shown").textContent = `${state.opacity} %`;
    byId("outlines").checked = state.outlines;
    for (const name of ["sign", "scale", "masking", "target"]) {
      for (const input of all(`input[name=${name}]`)) input.checked = input.value === String(state[name]);
    }
    for (const shown of all("[data-shown]")) shown.textContent = maskings[state.masking].predictions[shown.dataset.shown];
  }

  function refresh() {
    order = ranked(state.masking);
    ranks = [];
    order.forEach((segment, place) => { ranks[segment] = place + 1; });
    drawControls();
    drawPicture();
    drawLegend();
    drawReadout();
    drawTable();
    drawMeasures();
    drawMade();
  }

  // ---- acting -----------------------------------------------------------------------------------------------------

  function hover(segment) {
    if (segment === state.hovered) return;
    state.hovered = segment;
    showFocus();
  }

  function pin(segment) {
    state.pinned = segment === state.pinned ? -1 : segment;
    showFocus();
  }

  function showFocus() {
    drawOutlines();
    drawLegend();
    drawReadout();
    for (const row of all("#segments tbody tr")) {
      const segment = Number(row.dataset.segment);
      row.classList.toggle("hovered", segment === state.hovered);
      row.classList.toggle("pinned", segment === state.pinned);
      row.querySelector("button").setAttribute("aria-pressed", String(segment === state.pinned));
    }
  }

  function segmentAt(event) {
    const box = stage.getBoundingClientRect();
    const { width, height, ids } = map();
    const x = Math.floor((event.clientX - box.left) / box.width * width);
    const y = Math.floor((event.clientY - box.top) / box.height * height);
    return x < 0 || y < 0 || x >= width || y >= height ? -1 : ids[y * width + x];
  }

  /** The nearest segment whose centre lies in a direction. */
  function neighbour(segment, dx, dy) {
    const { parts } = map();
    const from = parts[segment];
    let [found, least] = [segment, Infinity];
    order.forEach((other) => {
      const [x, y] = [parts[other].x - from.x, parts[other].y - from.y];
      const along = x * dx + y * dy;
      const across = Math.abs(x * dy + y * dx);
      if (other === segment || along <= 0 || across > along) return;
      const distance = along + 2 * across;
      if (distance < least) [found, least] = [other, distance];
    });
    return found;
  }

  function keyboard(event) {
    const current = focused();
    const place = current < 0 ? -1 : order.indexOf(current);
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    let next = null;
    if (arrows[event.key]) next = current < 0 ? order[0] : neighbour(current, ...arrows[event.key]);
    else if (event.key === "PageDown") next = order[Math.min(place + 1, order.length - 1)];
    else if (event.key === "PageUp") next = order[Math.max(place - 1, 0)];
    else if (event.key === "Home") next = order[0];
    else if (event.key === "End") next = order[order.length - 1];
    else if (event.key === "Enter" || event.key === " ") { if (current >= 0) pin(current); }
    else if (event.key === "Escape") { state.pinned = -1; hover(-1); showFocus(); }
    else return;
    event.preventDefault();
    if (next !== null) hover(next);
  }

  // ---- downloads --------------------------------------------------------------------------------------------------

  const stem = ((data.source ?? "").split(/[/\\]/).pop().replace(/\.[^.]*$/, "").replace(/[^\w-]+/g, "-").replace(/^-+|-+$/g, "")
    || "explanation").slice(0, 60);

  function save(blob, ending) {
    const link = element("a", { href: URL.createObjectURL(blob), download: `${stem}-scores.${ending}` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function records() {
    return maskings.flatMap((one, masking) => targets.flatMap((target, t) => {
      const scores = one.scores[t];
      const place = new Map(scores.map((_, segment) => segment).filter((segment) => isPlayed(masking, segment))
        .sort((a, b) => scores[b] - scores[a] || a - b).map((segment, rank) => [segment, rank + 1]));
      return scores.map((value, segment) => ({
        masking: one.name, target: target.index, label: target.label, segment, score: value,
        standard_error: one.errors[t][segment], rank: place.get(segment) ?? null,
        area: maps[one.map].parts[segment].area, x: maps[one.map].parts[segment].x, y: maps[one.map].parts[segment].y,
      }));
    }));
  }

  function saveCsv() {
    // A cell of text that starts like a formula must not become one in a spreadsheet.
    const cell = (value) => {
      if (typeof value !== "string") return String(value ?? "");
      const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const every = records();
    const rows = [Object.keys(every[0]), ...every.map(Object.values)].map((row) => row.map(cell).join(","));
    save(new Blob([`${rows.join("\r\n")}\r\n`], { type: "text/csv" }), "csv");
  }

  function saveJson() {
    const settings = Object.fromEntries(maskings.map((one) => [one.name, one.settings]));
    const content = { title: data.title, source: data.source, command: data.command, settings, scores: records() };
    save(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }), "json");
  }

  function savePng() {
    const own = map();
    const scale = Math.max(1, Math.round(1024 / Math.max(own.width, own.height)));
    const canvas = document.createElement("canvas");
    paint(canvas, canvasOf(photo, own, scale), state.masking);
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    for (const path of lines.children) {
      const style = getComputedStyle(path);
      const shown = lines.getBoundingClientRect().width;
      Object.assign(context, { strokeStyle: style.stroke, lineWidth: parseFloat(style.strokeWidth) * own.width / shown, lineCap: "square", globalAlpha: Number(style.opacity) });
      context.stroke(new Path2D(path.getAttribute("d")));
    }
    canvas.toBlob((blob) => save(blob, "png"), "image/png");
  }

  // ---- start ------------------------------------------------------------------------------------------------------

  function listen() {
    const set = (name, value) => { state[name] = value; refresh(); };
    let pending = 0;
    const later = (name) => (event) => {
      state[name] = Number(event.target.value);
      drawControls();
      pending ||= requestAnimationFrame(() => { pending = 0; drawPicture(); });
    };
    byId("opacity").addEventListener("input", later("opacity"));
    byId("best").addEventListener("input", later("best"));
    byId("outlines").addEventListener("change", (event) => set("outlines", event.target.checked));
    for (const name of ["sign", "scale"]) {
      for (const input of all(`input[name=${name}]`)) input.addEventListener("change", () => set(name, input.value));
    }
    for (const input of all("input[name=target]")) input.addEventListener("change", () => set("target", Number(input.value)));
    for (const input of all("input[name=masking]")) {
      input.addEventListener("change", () => {
        const whole = state.best >= scoresOf(state.masking).length;
        if (maskings[Number(input.value)].map !== maskings[state.masking].map) state.pinned = -1;
        state.masking = Number(input.value);
        state.hovered = -1;
        if (whole) state.best = scoresOf(state.masking).length;
        refresh();
      });
    }
    stage.addEventListener("pointermove", (event) => hover(segmentAt(event)));
    stage.addEventListener("pointerleave", () => hover(-1));
    stage.addEventListener("click", (event) => { const segment = segmentAt(event); if (segment >= 0) pin(segment); });
    stage.addEventListener("keydown", keyboard);
    stage.addEventListener("blur", () => hover(-1));
    byId("more").addEventListener("click", () => { state.rows = state.rows > 10 ? 10 : Infinity; drawTable(); });
    byId("save-csv").addEventListener("click", saveCsv);
    byId("save-json").addEventListener("click", saveJson);
    byId("save-png").addEventListener("click", savePng);
    byId("copy")?.addEventListener("click", async (event) => {
      const button = event.target;
      try {
        await navigator.clipboard.writeText(data.command);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(byId("command"));
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  photo.addEventListener("load", () => {
    const count = scoresOf(state.masking).length;
    state.best = look.count === null ? count : Math.min(look.count, count);
    grounds = maps.map((one) => canvasOf(photo, one, Math.max(1, Math.min(4, Math.round(720 / one.width)))));
    stage.style.aspectRatio = `${maps[0].width} / ${maps[0].height}`;
    document.body.classList.remove("static");
    listen();
    refresh();
    document.body.dataset.ready = "true";
  });
  photo.src = data.picture;
})();
