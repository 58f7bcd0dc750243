// Numbers and times as people read them.

/** A load with three digits at least; "no data" for none. */
export const load = (value) => (value === null || value === undefined ? "no data" : short(value));

export function short(value) {
  if (value === 0) return "0";
  return value >= 100 ? count(value) : value.toFixed(value >= 10 ? 1 : 2);
}

/** A whole number with its thousands apart. */
export const count = (value) => Math.round(value).toLocaleString();

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

const PRECISE = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const DATED = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short", hourCycle: "h23" });
const ROUGH = new Intl.DateTimeFormat(undefined, { timeStyle: "short", hourCycle: "h23" });

/** The local time of a unix time: 15:04:05. */
export const clock = (at) => PRECISE.format(at * 1000);

/** The same with its day. */
export const dayAndClock = (at) => DATED.format(at * 1000);

/** The local time without seconds. */
export const roughClock = (at) => ROUGH.format(at * 1000);

/** A text with its times of day, which kpa writes in UTC, in local time. */
export function localTimes(text, now) {
  return text.replace(/(\d\d):(\d\d):(\d\d) UTC/g, (_, hours, minutes, seconds) => {
    const day = new Date(now * 1000).setUTCHours(hours, minutes, seconds, 0) / 1000;
    return clock(day + 86400 * Math.round((now - day) / 86400));
  });
}
