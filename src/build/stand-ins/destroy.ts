import type { Readable } from 'node:stream';

/**
 * Replaces the package destroy in the bundle, for Koa. What the package does besides is for streams of old versions of
 * Node, and loads two of Node's modules at each start.
 */
export const destroy = (stream: Readable, suppress = false): Readable => {
  stream.destroy();
  if (suppress) stream.removeAllListeners('error').on('error', () => {});
  return stream;
};

export { destroy as 'module.exports' };
