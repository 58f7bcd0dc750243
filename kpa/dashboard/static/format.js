// Numbers and times as people read them.

/** A load with four digits; "no data" for none. */
export const load = (value) => (value === null || value === undefined ? "no data" : trim(value));

export const trim = (value) => String(Number(value.toPrecision(4)));

/** Seconds as Go writes durations: 1h2m, 3m5s, 8s. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (h) return m ? `${h}h${m}m` : `${h}h`;
  if (m) return s ? `${m}m${s}s` : `${m}m`;
  return `${s}s`;
}

const NEXT = { "scale to zero": "to zero", "become inactive": "inactive", "give up activation": "given up" };

/** What happens next, counting down. */
export function next(what, at, now) {
  if (!what) return "";
  const left = at - now;
  return `${NEXT[what] ?? what} ${left > 0.5 ? `in ${duration(left)}` : "now"}`;
}
