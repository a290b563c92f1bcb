import type { IncomingHttpHeaders } from 'node:http';
import type { Context } from 'koa';
import { RecorderError } from '../../errors.ts';
import type { Check } from './checks.ts';

const JSON_TYPE = 'application/json';
const LINES_TYPE = 'application/x-ndjson';

/**
 * Admits bodies that declare plain JSON in UTF-8, or declare nothing. Behind it every request has the type
 * `application/json` and no content coding: koa-bodyparser reads no body without a type, and is particular about
 * parameters and about the case of a coding.
 *
 * @throws RecorderError `unsupported_media_type` for another type, character set or content coding
 */
export const contentType =
  (): Check =>
  ({ req: { headers } }) => {
    const { 'content-type': type = JSON_TYPE } = headers;
    if (type !== JSON_TYPE && !isOfType(JSON_TYPE, type)) {
      throw new RecorderError('unsupported_media_type', `Content-Type must be ${JSON_TYPE}, in UTF-8`);
    }
    headers['content-type'] = JSON_TYPE;
    requireNoCoding(headers);
  };

/**
 * Admits the bodies of batches: a JSON array, or NDJSON, whose lines `sentAsLines` asks for. Behind it the same holds as
 * behind `contentType`.
 *
 * @throws RecorderError `unsupported_media_type`
 */
export const batchType =
  (): Check =>
  ({ req: { headers }, state }) => {
    const { 'content-type': type = JSON_TYPE } = headers;
    state.isLines = isOfType(LINES_TYPE, type);
    if (state.isLines !== true && !isOfType(JSON_TYPE, type)) {
      throw new RecorderError('unsupported_media_type', `Content-Type must be ${JSON_TYPE} or ${LINES_TYPE}, in UTF-8`);
    }
    headers['content-type'] = JSON_TYPE;
    requireNoCoding(headers);
  };

/** Whether the batch was sent as NDJSON. */
export const sentAsLines = ({ state }: Context): boolean => state.isLines === true;

function requireNoCoding(headers: IncomingHttpHeaders): void {
  const { 'content-encoding': coding } = headers;
  if (coding === undefined) return;
  if (coding.toLowerCase() !== 'identity') {
    throw new RecorderError('unsupported_media_type', 'Content-Encoding must be identity: bodies are sent as they are');
  }
  delete headers['content-encoding'];
}

const isOfType = (wanted: string, header: string): boolean => {
  const [type, ...parameters] = header
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  return type === wanted && parameters.every(isHarmless);
};

const isHarmless = (parameter: string): boolean =>
  !parameter.startsWith('charset') || parameter === 'charset=utf-8' || parameter === 'charset="utf-8"';
