import { RecorderError } from '../../errors.ts';
import type { Check } from './checks.ts';

const JSON_TYPE = 'application/json';

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
    const { 'content-type': type = JSON_TYPE, 'content-encoding': coding } = headers;
    if (type !== JSON_TYPE && !isJson(type.toLowerCase())) {
      throw new RecorderError('unsupported_media_type', `Content-Type must be ${JSON_TYPE}, in UTF-8`);
    }
    headers['content-type'] = JSON_TYPE;
    if (coding === undefined) return;
    if (coding.toLowerCase() !== 'identity') {
      throw new RecorderError(
        'unsupported_media_type',
        'Content-Encoding must be identity: bodies are sent as they are',
      );
    }
    delete headers['content-encoding'];
  };

const isJson = (header: string): boolean => {
  const [type, ...parameters] = header.split(';').map((part) => part.trim());
  return type === JSON_TYPE && parameters.every(isHarmless);
};

const isHarmless = (parameter: string): boolean =>
  !parameter.startsWith('charset') || parameter === 'charset=utf-8' || parameter === 'charset="utf-8"';
