import { accessSync } from 'node:fs';
import type { Policy } from '../policy/policy.ts';

/**
 * Reads a policy file as the recorder does. `ALLOW_NON_LOOPBACK` allows targets on other machines, as it does there.
 * @throws RecorderError `invalid_policy` with every fault; the error of `node:fs` when the file can't be read
 */
export async function readPolicyFile(path: string): Promise<Policy> {
  // Without the file the recorder uses its built-in rules. Here a missing file is an error.
  accessSync(path);
  const { loadPolicy } = await import('../policy/load.ts');
  const { systemClock } = await import('../clock.ts');
  return loadPolicy(path, systemClock, process.env.ALLOW_NON_LOOPBACK === '1');
}
