/**
 * Whether an `If-None-Match` header (RFC 9110, section 13.1.2) names an entity tag, by the weak comparison.
 *
 * Koa's own `fresh` also heeds the request's `Cache-Control: no-cache`, which `fetch` adds to each request with such a
 * header; that asks caches for something, and we are none.
 */
export const matchesTag = (header: string, tag: string): boolean =>
  header.split(',').some((given) => given.trim() === '*' || given.trim().replace(/^W\//, '') === tag);
