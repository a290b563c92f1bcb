import { randomBytes } from 'node:crypto';

const POOL_BYTES = 4096;

/** Random bytes that can't be guessed, drawn from the system many at a time: a draw costs as much for few as for many. */
export function randomPool(): (bytes: number) => Buffer {
  let pool = Buffer.alloc(0);
  let drawn = 0;
  return (bytes) => {
    if (drawn + bytes > pool.length) [pool, drawn] = [randomBytes(POOL_BYTES), 0];
    drawn += bytes;
    return pool.subarray(drawn - bytes, drawn);
  };
}
