/**
 * `npm run types`: type-checks every project of the repository and prints the errors of all of them, each once. Exits
 * with 1 when there are any.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const COMPILER = fileURLToPath(import.meta.resolve('typescript/package.json').replace('package.json', 'bin/tsc'));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const PROJECTS = ['.', 'src/console', 'test/console', 'test/browser'];

const results = await Promise.all(
  PROJECTS.map(async (project) => {
    const args = [COMPILER, '-p', project, '--pretty', 'false'];
    const compiler = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
    const [output] = await Promise.all([text(compiler.stdout), once(compiler, 'close')]);
    return { output, failed: compiler.exitCode !== 0 };
  }),
);
// Projects share files: the same error comes from several of them.
const lines = new Set(results.flatMap(({ output }) => output.split('\n')).filter((line) => line !== ''));
if (lines.size > 0) process.stdout.write(`${[...lines].join('\n')}\n`);
if (results.some(({ failed }) => failed)) process.exitCode = 1;
