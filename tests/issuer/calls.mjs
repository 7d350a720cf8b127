// Which requests came, so that a test can say "one introspection, no more" without waiting.

export class Calls {
  #log = [];
  #waiters = new Set();

  record(method, path) {
    this.#log.push({ method, path });
    for (const waiter of this.#waiters) waiter();
  }

  reset() {
    this.#log = [];
  }

  /** Requests of each path since the last reset. */
  counts() {
    const counts = {};
    for (const { path } of this.#log) counts[path] = (counts[path] ?? 0) + 1;
    return counts;
  }

  /** `METHOD /path` of each request since the last reset; forgets them. */
  take() {
    return this.#log.splice(0).map(({ method, path }) => `${method} ${path}`);
  }

  /** Settles when `count` requests to paths that contain `path` have come. */
  arrival(path, count) {
    return new Promise((arrived) => {
      const look = () => {
        if (this.#log.filter((call) => call.path.includes(path)).length < count) return;
        this.#waiters.delete(look);
        arrived();
      };
      this.#waiters.add(look);
      look();
    });
  }
}
