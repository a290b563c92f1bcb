import type { Plugin } from 'rolldown';

/** What Koa and the API send and receive; Koa also calls some of them `text`, `html`, `json` and `bin`. */
const MEDIA_TYPES = new Set([
  'application/json',
  'application/octet-stream',
  'application/x-www-form-urlencoded',
  'image/svg+xml',
  'text/css',
  'text/html',
  'text/javascript',
  'text/plain',
]);

/**
 * Cuts the table of mime-db down to the media types that occur here.
 *
 * Koa and the body parser bring four copies of the full table (2,500 types, 180 kB each), and each is read and indexed at
 * start. Without them the bundle is half as big, and a start takes a fifth less time and 14 MB less memory.
 */
export const fewMediaTypes = (): Plugin => ({
  name: 'few-media-types',
  transform: {
    filter: { id: /\/mime-db\/db\.json$/ },
    handler(table) {
      const types = Object.entries(JSON.parse(table) as object).filter(([type]) => MEDIA_TYPES.has(type));
      return { code: JSON.stringify(Object.fromEntries(types)), map: { mappings: '' } };
    },
  },
});
