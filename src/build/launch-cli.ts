#!/usr/bin/env node
/**
 * The entry of `dist/cli.js`: checks the version of Node before it loads anything that needs it.
 *
 * It has no static imports, because those run first: an older Node would stop with a stack trace at `node:sqlite`.
 */

const OLDEST_NODE = 24;

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  process.stderr.write(
    `incident-recorder needs Node ${OLDEST_NODE} or newer and this is ${process.version}; ` +
      `in a checkout, \`npx incident-recorder\` finds the right one\n`,
  );
  process.exitCode = 2;
} else {
  await import('../cli/main.ts');
}
