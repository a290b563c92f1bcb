/**
 * `npm run types`: type-checks every project of the repository and reports the errors of all of them. Exits with 1 when
 * one has errors.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const COMPILER = fileURLToPath(import.meta.resolve('typescript/package.json').replace('package.json', 'bin/tsc'));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const PROJECTS = ['.', 'src/console', 'test/console', 'test/browser'];

const exitCodes = await Promise.all(
  PROJECTS.map(async (project) => {
    const compiler = spawn(process.execPath, [COMPILER, '-p', project], { cwd: ROOT, stdio: 'inherit' });
    const [code] = (await once(compiler, 'exit')) as [number | null];
    return code;
  }),
);
if (exitCodes.some((code) => code !== 0)) process.exitCode = 1;
