/**
 * Whether an `If-None-Match` header (RFC 9110, section 13.1.2) names an entity tag, by the weak comparison.
 *
 * Koa's `fresh` is no help: it also heeds `Cache-Control: no-cache` of the request, which `fetch` adds to each request
 * with such a header. That is meant for caches, and this is none.
 */
export const matchesTag = (header: string, tag: string): boolean =>
  header.split(',').some((given) => given.trim() === '*' || given.trim().replace(/^W\//, '') === tag);
