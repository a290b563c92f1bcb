/** As much as is kept of what a service says, in characters. */
const KEPT = 200;

/** The beginning of what a service says; never half a character. */
export const excerptOf = (text: string): string =>
  text
    .slice(0, KEPT)
    .replace(/[\uD800-\uDBFF]$/, '')
    .toWellFormed();
