import { spawnSync } from 'node:child_process';

/** Skips the tests of this `describe`, loudly, unless these programs are there; each is in the Debian package of its name. */
export function needsPrograms(...names: readonly string[]): void {
  before(function skipWithout() {
    const missing = names.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
    if (missing.length === 0) return;
    console.warn(`SKIPPED: ${this.test?.parent?.fullTitle()}: this machine lacks the package ${missing.join(' and ')}`);
    this.skip();
  });
}
