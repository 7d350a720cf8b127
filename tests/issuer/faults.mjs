// What goes wrong, on demand. A fault waits for requests whose path contains its `path`, and
// strikes `count` of them, each `delay_ms` late.

import { json } from './http_json.mjs';

const PORTAL = '<!doctype html><title>Sign in</title><p>This network needs you to sign in.</p>';

function reply(response, status, headers, body) {
  response.writeHead(status, headers);
  response.end(body);
}

// Each kind takes (fault, response) and answers the request by itself.
const ANSWERS = {
  answer: (f, response) => json(response, f.body ?? {}, f.status ?? 503, f.headers),
  raw: (f, response) => (
    reply(response, f.status ?? 200, { 'content-type': f.content_type, ...f.headers }, f.text)),
  html: (f, response) => reply(response, f.status ?? 200, { 'content-type': 'text/html' }, PORTAL),
  empty: (f, response) => reply(response, f.status ?? 200, { 'content-length': '0' }),
  redirect: (f, response) => (
    reply(response, f.status ?? 302, { location: f.location ?? '/elsewhere' })),
  drop: (_, response) => response.socket?.destroy(),
  hang: () => {}, // no header ever; ends when the client leaves or the faults are cleared
  trickle: (f, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const timer = setInterval(() => response.write(' '), f.interval_ms ?? 20);
    response.once('close', () => clearInterval(timer));
  },
};

// These let the real answer through: late, when the faults are cleared, or changed (entra.mjs).
const PASSES = ['delay', 'hold', 'token'];

export class Faults {
  #waiting = [];
  #stuck = new Set(); // responses that `hang` and `trickle` left open
  #held = new Set(); // callbacks that let a held or delayed request go on

  add(fault) {
    const kind = fault.status === 0 ? 'drop' : fault.kind ?? 'answer';
    if (!(kind in ANSWERS) && !PASSES.includes(kind)) throw new TypeError(`no fault of kind ${kind}`);
    if (!fault.path) throw new TypeError('a fault needs a path');
    this.#waiting.push({ count: 1, delay_ms: 0, ...fault, kind });
  }

  clear() {
    this.#waiting = [];
    for (const goOn of this.#held) goOn();
    for (const response of this.#stuck) response.socket?.destroy();
    this.#stuck.clear();
  }

  /** Settles when the faults are cleared, or after so many milliseconds. */
  #cleared(within) {
    return new Promise((settle) => {
      const goOn = () => {
        clearTimeout(timer);
        this.#held.delete(goOn);
        settle();
      };
      const timer = within && setTimeout(goOn, within);
      this.#held.add(goOn);
    });
  }

  /** Strikes the request if a fault is waiting for it; true = it has been answered. */
  async strike(path, request, response) {
    const fault = this.#waiting.find((waiting) => waiting.count > 0 && path.includes(waiting.path));
    if (!fault) return false;
    fault.count -= 1;
    if (fault.kind === 'hold') await this.#cleared();
    else if (fault.delay_ms) await this.#cleared(fault.delay_ms);
    if (PASSES.includes(fault.kind)) {
      request.fault = fault;
      return false;
    }
    this.#stuck.add(response);
    response.once('close', () => this.#stuck.delete(response));
    ANSWERS[fault.kind](fault, response);
    return true;
  }
}
