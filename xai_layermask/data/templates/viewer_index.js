"use strict";
(() => {
  const entries = [...document.querySelectorAll(".entry")];
  const words = document.getElementById("words");
  const count = document.getElementById("count");
  const texts = entries.map((entry) => entry.textContent.toLowerCase());
  document.getElementById("filter").hidden = entries.length < 2;
  words.addEventListener("input", () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    entries.forEach((entry, i) => {
      entry.hidden = !wanted.every((word) => texts[i].includes(word));
      shown += !entry.hidden;
    });
    count.textContent = shown === entries.length ? `${shown} pictures` : `${shown} of ${entries.length} pictures`;
  });
})();
