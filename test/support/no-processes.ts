/** Holds for the unit tests that they start no process: who tries fails, with what it tried. */
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';

const STARTERS = ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork'] as const;

let test = 'no test';

const refusal = (starter: string) => (program: unknown) => {
  throw new Error(
    `${test} calls ${starter}(${JSON.stringify(program)}), but unit tests start no processes: ` +
      'name the file *.process.test.ts',
  );
};

for (const starter of STARTERS) Object.assign(childProcess, { [starter]: refusal(starter) });
// So that it also holds for what was imported by name.
syncBuiltinESMExports();

export const mochaHooks = {
  beforeEach(this: Mocha.Context) {
    test = `"${this.currentTest?.fullTitle()}"`;
  },
};
