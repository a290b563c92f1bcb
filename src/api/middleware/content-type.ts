import { RecorderError } from '../../errors.ts';
import type { Check } from './checks.ts';

/**
 * Lets through bodies that say they are plain JSON in UTF-8, or say nothing.
 *
 * Throws RecorderError `unsupported_media_type` for another type, character set or content coding.
 */
export const contentType = (): Check => (ctx) => {
  const { 'content-type': type = JSON_TYPE, 'content-encoding': coding = 'identity' } = ctx.req.headers;
  if (type !== JSON_TYPE && !isJson(type.toLowerCase())) {
    throw new RecorderError('unsupported_media_type', `Content-Type must be ${JSON_TYPE}, in UTF-8`);
  }
  if (coding.toLowerCase() !== 'identity') {
    throw new RecorderError('unsupported_media_type', 'Content-Encoding must be identity: bodies are sent as they are');
  }
};

const JSON_TYPE = 'application/json';

const isJson = (header: string): boolean => {
  const [type, ...parameters] = header.split(';').map((part) => part.trim());
  return type === JSON_TYPE && parameters.every(isHarmless);
};

const isHarmless = (parameter: string): boolean =>
  !parameter.startsWith('charset') || parameter === 'charset=utf-8' || parameter === 'charset="utf-8"';
