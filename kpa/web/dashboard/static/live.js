// The fleet as the server tells of it: all rows once, then those that changed.

const SILENCE = 12; // seconds without an event after which the connection counts as lost
const AGAIN = 2; // seconds until the next attempt

const byName = new Intl.Collator(undefined, { numeric: true }).compare;
const keyOf = (row) => `${row[0]}/${row[1]}`;

/** Emits "change" when rows did, "connection" when the connection is lost or back. */
export class Fleet extends EventTarget {
  constructor() {
    super();
    this.rows = new Map(); // by key
    this.columns = [];
    this.profile = "";
    this.connected = null; // not known yet
    this.offset = 0; // seconds that the server's clock is ahead of ours
    this.heard = 0;
    setInterval(() => this.#watch(), 1000);
    document.addEventListener("visibilitychange", () => this.connect());
  }

  /** Seconds since the epoch by the server's clock. */
  now() {
    return Date.now() / 1000 + this.offset;
  }

  /** Listen anew. Only pages in sight do: browsers allow a host six connections, over all its pages. */
  connect() {
    this.source?.close();
    if (document.hidden) return;
    this.heard = Date.now() / 1000;
    this.source = new EventSource("/api/stream");
    this.source.addEventListener("fleet", (event) => {
      const message = JSON.parse(event.data);
      this.columns = message.columns;
      this.rows = new Map(message.rows.map((row) => [keyOf(row), this.#named(row)]));
      this.#rank();
      this.#hear(message);
    });
    this.source.addEventListener("change", (event) => {
      const message = JSON.parse(event.data);
      const before = this.rows.size;
      for (const [namespace, name] of message.gone) this.rows.delete(`${namespace}/${name}`);
      let added = 0;
      for (const row of message.rows) {
        const old = this.rows.get(keyOf(row));
        this.rows.set(keyOf(row), this.#named(row, old?.rank));
        added += old ? 0 : 1;
      }
      if (added) this.#rank();
      this.#hear(message, message.rows.length || message.gone.length || !before);
    });
    this.source.addEventListener("error", () => this.#connected(false));
  }

  #named(row, rank) {
    const named = { key: keyOf(row), rank };
    this.columns.forEach((column, place) => (named[column] = row[place]));
    const state = stateOf(named);
    named.state = state;
    named.text = `${named.key} ${named.service} ${state} ${named.mode} ${named.activity} ${named.rule}`.toLowerCase();
    return named;
  }

  /** Number the names in their order, so that sorting compares numbers. */
  #rank() {
    const rows = [...this.rows.values()].sort((a, b) => byName(a.key, b.key));
    rows.forEach((row, place) => (row.rank = place));
  }

  #hear(message, changed = true) {
    this.profile = message.profile;
    this.heard = Date.now() / 1000;
    this.offset = message.time - this.heard;
    this.#connected(true);
    if (changed) this.dispatchEvent(new Event("change"));
  }

  #connected(now) {
    if (this.connected === now) return;
    this.connected = now;
    this.dispatchEvent(new Event("connection"));
  }

  /** Try again where the browser does not: after an answer that is no stream, or silence. */
  #watch() {
    if (document.hidden) return;
    const quiet = Date.now() / 1000 - this.heard;
    const closed = this.source?.readyState === EventSource.CLOSED;
    if (quiet > SILENCE || (closed && quiet > AGAIN)) {
      this.#connected(false);
      this.connect();
    }
  }
}

/** One word for what a revision does. */
function stateOf(row) {
  return row.mode !== "panic" && row.activity !== "active" ? row.activity : row.mode;
}

/** The JSON of an address; null for what is not there. */
export async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
