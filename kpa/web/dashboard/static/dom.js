// Elements of the page.

export const element = (id) => document.getElementById(id);

/** Change a text only if it is another: what is unchanged costs nothing, and is not read out again. */
export function text(target, value) {
  if (target.textContent !== String(value)) target.textContent = value;
}
