import { RecorderError } from '../../errors.ts';

/** Long enough for every filter, short enough to be sent back in a `Link` header, where it may grow threefold. */
const LONGEST_QUERY = 4096;

/**
 * Reads a query string (`application/x-www-form-urlencoded`) into each parameter's values, in the order given.
 *
 * Throws RecorderError `invalid_request` for one that is too long or whose percent-encoding is not UTF-8.
 */
export const parseQuery = (query: string): Readonly<Record<string, readonly string[]>> => {
  const parameters: Record<string, string[]> = Object.create(null);
  if (query === '') return parameters;
  if (query.length > LONGEST_QUERY) {
    throw new RecorderError('invalid_request', `query string longer than ${LONGEST_QUERY} characters`);
  }
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1));
    (parameters[name] ??= []).push(value);
  }
  return parameters;
};

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (cause) {
    throw new RecorderError('invalid_request', 'malformed percent-encoding in the query string', { cause });
  }
};
