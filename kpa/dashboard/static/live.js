// The fleet as the server tells of it: all rows once, then those that changed.

export class Fleet extends EventTarget {
  constructor() {
    super();
    this.rows = new Map();
    this.columns = [];
    this.profile = "";
    this.connected = false;
    this.offset = 0; // seconds that the server's clock is ahead of ours
  }

  /** Seconds since the epoch by the server's clock. */
  now() {
    return Date.now() / 1000 + this.offset;
  }

  connect() {
    const source = new EventSource("/api/stream");
    source.addEventListener("fleet", (event) => {
      const told = JSON.parse(event.data);
      this.columns = told.columns;
      this.rows = new Map(told.rows.map((row) => [`${row[0]}/${row[1]}`, this.#named(row)]));
      this.#heard(told);
    });
    source.addEventListener("change", (event) => {
      const told = JSON.parse(event.data);
      for (const row of told.rows) this.rows.set(`${row[0]}/${row[1]}`, this.#named(row));
      for (const [namespace, name] of told.gone) this.rows.delete(`${namespace}/${name}`);
      this.#heard(told);
    });
    source.addEventListener("error", () => {
      this.connected = false;
      this.dispatchEvent(new Event("connection"));
    });
  }

  #named(row) {
    const named = { key: `${row[0]}/${row[1]}` };
    this.columns.forEach((column, place) => (named[column] = row[place]));
    return named;
  }

  #heard(told) {
    this.profile = told.profile;
    this.offset = told.time - Date.now() / 1000;
    this.connected = true;
    this.dispatchEvent(new Event("connection"));
    this.dispatchEvent(new Event("change"));
  }
}

/** The JSON of an address; null for what is not there. */
export async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
