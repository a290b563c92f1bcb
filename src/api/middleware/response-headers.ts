import type { Check } from './checks.ts';

/** Headers that every answer carries, unless it knows better: not kept by caches, and taken for what it says it is. */
export const responseHeaders =
  (): Check =>
  ({ res }) => {
    res.setHeader('Cache-Control', 'no-store');
    res.setHeader('X-Content-Type-Options', 'nosniff');
  };
