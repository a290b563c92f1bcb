import { existsSync, readFileSync } from 'node:fs';
import { readVerifierKey, type Verifier } from '../signed-note.ts';

/**
 * Reads the public key of a fleet.
 * @param text the key itself, or a file that holds it
 * @throws RecorderError `invalid_request` when it is neither
 */
export const fleetKeyIn = (text: string): Verifier =>
  readVerifierKey((existsSync(text) ? readFileSync(text, 'utf8') : text).trim());
