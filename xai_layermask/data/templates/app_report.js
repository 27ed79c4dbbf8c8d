// Explanations: start, progress, cancel, and the report in a frame without an origin.

import { ask } from "./app_server.js";

const INTERVAL = 400; // milliseconds between questions for the progress

export class Explanation {
  constructor(part, { fail, choices }) {
    Object.assign(this, { part, fail, choices, round: 0 });
    part.form.addEventListener("submit", (event) => { event.preventDefault(); this.start(); });
    part.cancel.addEventListener("click", () => this.stop());
  }

  async start() {
    const round = ++this.round;
    this.running(true);
    this.part.stage.textContent = "Starting …";
    this.part.progress.removeAttribute("value");
    try {
      const body = JSON.stringify(this.choices());
      let state = await ask("POST", "api/explanation", { body });
      while (round === this.round && (state.state === "waiting" || state.state === "running")) {
        this.show(state);
        await new Promise((resolve) => setTimeout(resolve, INTERVAL));
        if (round === this.round) state = await ask("GET", "api/explanation", {}, false);
      }
      if (round !== this.round) return;
      if (state.state === "failed") this.fail(state.error);
      if (state.state === "done") this.finish(state.report);
      this.running(false);
    } catch (error) {
      if (round !== this.round) return;
      this.running(false);
      this.fail(error.status === 410 ? "The session has expired: press Explain again." : error.message);
    }
  }

  async stop() {
    this.round += 1;
    this.running(false);
    await ask("DELETE", "api/explanation", {}, false).catch(() => {});
  }

  // Forget what belongs to another photograph. The server has cancelled it.
  reset() {
    this.round += 1;
    this.running(false);
    this.part.result.hidden = true;
    this.part.report.removeAttribute("src");
  }

  running(is) {
    this.part.running.hidden = !is;
    this.part.cancel.hidden = !is;
    this.part.explain.disabled = is;
  }

  show({ state, done, total, ahead }) {
    const { stage, progress } = this.part;
    if (state === "waiting" || !total) {
      stage.textContent = state === "waiting" && ahead ? `Waiting: ${ahead} before this one` : "Preparing …";
      return;
    }
    progress.max = total;
    progress.value = done;
    stage.textContent = `${done} of ${this.choices().samples === "auto" ? "at most " : ""}${total} samples`;
  }

  finish(key) {
    const { result, report, download, open } = this.part;
    result.hidden = false;
    report.src = open.href = `reports/${key}`;
    download.href = `reports/${key}?download=1`;
    result.scrollIntoView({ block: "nearest" });
  }
}
