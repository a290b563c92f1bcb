/**
 * The preference `wait` of a `Prefer` header: RFC 7240, sections 2 and 4.3.
 *
 * A header holds preferences with commas between them, each with a value and parameters of its own. The first one of a
 * name counts, and what can't be understood is ignored, as the RFC says.
 */

/** The longest wait that is honoured, in seconds. It is an upper bound, so a shorter wait honours a longer one. */
const LONGEST_WAIT = 40;

const TOKEN = String.raw`[!#$%&'*+.^_\x60|~\w-]+`;
const PREFERENCE = new RegExp(
  String.raw`^[ \t]*(${TOKEN})(?:[ \t]*=[ \t]*(?:(${TOKEN})|"((?:[^"\\]|\\.)*)"))?[ \t]*(?:;|$)`,
);

/**
 * For how long a client wants to wait at most: whole seconds up to 40. More counts as 40; with 0 it does not want to wait.
 * @param header all `Prefer` headers of a request, joined with commas; undefined when it has none
 * @returns undefined when there is no such preference, or none that can be honoured
 */
export function preferredWait(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  for (const preference of preferencesIn(header)) {
    const [, name = '', token, quoted] = PREFERENCE.exec(preference) ?? [];
    if (name.toLowerCase() !== 'wait') continue;
    const value = token ?? quoted?.replaceAll(/\\(.)/g, '$1') ?? '';
    return /^\d{1,9}$/.test(value) ? Math.min(Number(value), LONGEST_WAIT) : undefined;
  }
  return undefined;
}

/** The preferences in a header: what is between commas that are not in quotation marks. */
function* preferencesIn(header: string): Generator<string> {
  let begin = 0;
  let isQuoted = false;
  for (let at = 0; at < header.length; at++) {
    const character = header[at];
    if (character === '"') isQuoted = !isQuoted;
    else if (isQuoted && character === '\\') at++;
    else if (!isQuoted && character === ',') {
      yield header.slice(begin, at);
      begin = at + 1;
    }
  }
  yield header.slice(begin);
}
