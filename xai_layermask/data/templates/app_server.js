// Requests to the server of this page. A session that has expired is opened again, with its photograph.

export class Refused extends Error {
  constructor(sentence, status) { super(sentence); this.status = status; }
}

let session = null;
export const limits = { bytes: Infinity };
let restore = async () => {};

// What is sent again when a new session had to be opened.
export function onNewSession(action) { restore = action; }

async function open() {
  const answer = await send("api/session", { method: "POST" });
  session = answer.session;
  limits.bytes = answer.bytes;
}

async function send(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer. Is it still running?", 0);
  }
  const answer = await response.json().catch(() => ({ error: `The server failed (status ${response.status}).` }));
  if (!response.ok) throw new Refused(answer.error, response.status);
  return answer;
}

export async function ask(method, address, { query = {}, body, headers = {}, signal } = {}, again = true) {
  if (session === null) await open();
  const path = `${address}?${new URLSearchParams(query)}`;
  try {
    return await send(path, { method, body, signal, headers: { ...headers, "X-Session": session } });
  } catch (error) {
    if (error.status !== 410 || !again) throw error;
    session = null;
    await open();
    if (address !== "api/upload" && address !== "api/example") await restore();
    return ask(method, address, { query, body, headers, signal }, false);
  }
}
