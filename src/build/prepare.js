/**
 * The last step of `npm ci`: makes the pinned Node available, then builds `dist/` with it. It is plain JavaScript,
 * because an old Node may run it.
 *
 * The pinned Node comes as an optional package for each platform, and all of them bring the command `node`. npm up to
 * version 10 installs the one that fits and then clears away the commands of the others, which takes its link as well:
 * it is put back here.
 *
 * The first `npx incident-recorder` in a checkout runs this too, because npm installs the checkout into its cache for
 * that. Then `dist/` stays as it is: a service may be running from it.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const inModules = (path) => fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url));

const pinned = `node-${process.platform}-${process.arch}/bin/node`;
const link = inModules('.bin/node');
if (existsSync(inModules(pinned)) && !existsSync(link)) {
  rmSync(link, { force: true });
  symlinkSync(`../${pinned}`, link);
}

// oxlint-disable-next-line node/no-process-env -- npm says by it which of its commands runs this
const isForCommand = process.env.npm_command === 'exec';
const isBuilt = existsSync(fileURLToPath(new URL('../../dist/cli.js', import.meta.url)));

if (isForCommand && isBuilt) {
  // Nothing to do.
} else if (existsSync(inModules('rolldown'))) {
  const node = existsSync(link) ? link : process.execPath;
  const build = fileURLToPath(new URL('build.ts', import.meta.url));
  process.exitCode = spawnSync(node, [build], { stdio: 'inherit' }).status ?? 1;
} else {
  console.log('dist/ was not built: that takes the development dependencies, and they were left out');
}
