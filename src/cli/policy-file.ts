import { accessSync } from 'node:fs';
import type { Policy } from '../policy/policy.ts';

/**
 * Reads a policy file as the recorder would. Whether its targets may be on other machines, `ALLOW_NON_LOOPBACK` says
 * here as it does there.
 * @throws RecorderError `invalid_policy` with every fault, and what reading a file throws that is not there
 */
export async function readPolicyFile(path: string): Promise<Policy> {
  // The recorder takes its built-in table where there is no file; who names one means it.
  accessSync(path);
  const { loadPolicy } = await import('../policy/load.ts');
  const { systemClock } = await import('../clock.ts');
  return loadPolicy(path, systemClock, process.env.ALLOW_NON_LOOPBACK === '1');
}
