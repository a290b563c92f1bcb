import { randomBytes } from 'node:crypto';

const POOL_BYTES = 4096;

/** Random bytes that can't be guessed, drawn from the system many at a time: a draw costs as much for few as for many. */
export function randomPool(): (bytes: number) => Buffer {
  let pool = Buffer.alloc(0);
  return (bytes) => {
    if (pool.length < bytes) pool = randomBytes(POOL_BYTES);
    const drawn = pool.subarray(0, bytes);
    pool = pool.subarray(bytes);
    return drawn;
  };
}
