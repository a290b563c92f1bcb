import type { Check } from './checks.ts';

/** Sets the headers of every response, which a route may replace: caches keep nothing, browsers guess no type. */
export const responseHeaders =
  (): Check =>
  ({ res }) => {
    res.setHeader('Cache-Control', 'no-store');
    res.setHeader('X-Content-Type-Options', 'nosniff');
  };
