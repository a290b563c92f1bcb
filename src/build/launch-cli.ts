#!/usr/bin/env node
/**
 * The entry of `dist/cli.js`: asks for the right Node before anything that needs it is loaded.
 *
 * It imports nothing statically, because imports come first: an older Node would stop at `node:sqlite` with a stack
 * trace.
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
