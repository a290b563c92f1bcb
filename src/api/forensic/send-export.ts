import type { ServerResponse } from 'node:http';
import { SECOND } from '../../clock.ts';

/** In milliseconds. */
export interface SendingLimits {
  /** How long a client may take nothing. */
  readonly stalled: number;
  /** How long it may take for the whole export: until then the export holds a place, and room on the disk. */
  readonly whole: number;
}

const LIMITS: SendingLimits = { stalled: 20 * SECOND, whole: 300 * SECOND };

/**
 * Sends an export as fast as its client reads. Ends when the client leaves.
 * @throws Error when the client is too slow
 */
export async function sendExport(
  response: ServerResponse,
  prepared: { read(): AsyncIterable<Uint8Array | string> },
  limits = LIMITS,
): Promise<void> {
  let isLate = false;
  const deadline = setTimeout(() => (isLate = true), limits.whole).unref();
  try {
    for await (const piece of prepared.read()) {
      if (response.closed) return;
      if (response.write(piece)) continue;
      if (isLate || !(await isTaken(response, limits.stalled))) throw new Error('its client does not read it in time');
    }
    response.end();
  } finally {
    clearTimeout(deadline);
  }
}

/** Resolves when the client has taken what was written, or has left; with false when it takes nothing for so long. */
const isTaken = (response: ServerResponse, patience: number): Promise<boolean> =>
  new Promise((resolve) => {
    const end = (isInTime: boolean): void => {
      clearTimeout(timer);
      response.off('drain', go).off('close', go);
      resolve(isInTime);
    };
    const go = (): void => end(true);
    const timer = setTimeout(() => end(false), patience);
    response.on('drain', go).on('close', go);
    if (response.closed) go();
  });
