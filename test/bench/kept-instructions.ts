import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Instructions } from './count-instructions.ts';

/** The file with the figure that the test holds. */
export const KEPT = join(import.meta.dirname, 'instructions.json');

export const keptInstructions = (): Instructions => JSON.parse(readFileSync(KEPT, 'utf8')) as Instructions;
