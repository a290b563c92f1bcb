import { spawnSync } from 'node:child_process';
import type { Context } from 'mocha';

/**
 * Runs a Python program once over a list of texts and gives its list of answers. The program finds the list in `texts`
 * and leaves its own in `answers`. Without a python3 on the machine the test is skipped, and says so.
 */
export const askPython = (test: Context, program: string, texts: readonly string[]): readonly unknown[] => {
  const script = `import json, sys\ntexts = json.load(sys.stdin)\n${program}\njson.dump(answers, sys.stdout)`;
  const { error, status, stdout, stderr } = spawnSync('python3', ['-c', script], {
    input: JSON.stringify(texts),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') {
    console.warn(`python3 is not there: skipped "${test.test?.fullTitle()}"`);
    return test.skip();
  }
  if (status !== 0) throw new Error(`python3 failed: ${stderr}`, { cause: error });
  return JSON.parse(stdout) as readonly unknown[];
};
