import { RecorderError } from '../../errors.ts';

/** Room for every filter, and still short enough for a `Link` header, where the query may grow threefold. */
const LONGEST_QUERY = 4096;

/**
 * Parses a query string (`application/x-www-form-urlencoded`) into the values of each parameter, in the order given.
 * @throws RecorderError `invalid_request` when it is too long or its percent-encoding is not UTF-8
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
