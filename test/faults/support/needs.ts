/** What tests need from the machine. Where it is missing the tests are skipped, and say so by name. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Box } from '../../bench/setting.ts';

const runs = (program: string, ...args: readonly string[]): boolean => spawnSync(program, args).status === 0;

const LIBFAKETIME = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));

/** The library that pretends another time; there when `needs('libfaketime')` let the test run. */
export const libfaketime = (): string => LIBFAKETIME!;

const mayMount = (): boolean => {
  const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-'));
  const mounted = runs('mount', '-t', 'tmpfs', 'tmpfs', directory);
  if (mounted) runs('umount', directory);
  rmdirSync(directory);
  return mounted;
};

const mayMakeBox = (): boolean => {
  try {
    Box.make(`needs-${process.pid}`).remove();
    return true;
  } catch {
    return false;
  }
};

/** Each with what to do about it and the question whether it is there. */
const NEEDS = {
  strace: ['the package strace', () => runs('strace', '-D', '-o', '/dev/null', 'true')],
  'systemd-analyze': ['the package systemd', () => runs('systemd-analyze', '--version')],
  'systemd-nspawn': ['the package systemd-container', () => runs('systemd-nspawn', '--version')],
  debootstrap: ['the package debootstrap', () => runs('debootstrap', '--version')],
  openssl: ['the package openssl', () => runs('openssl', 'version')],
  prlimit: ['the package util-linux (prlimit)', () => runs('prlimit', '--version')],
  libfaketime: ['the package libfaketime', () => LIBFAKETIME !== undefined],
  x64: ['a processor of the kind x64', () => process.arch === 'x64'],
  valgrind: ['the package valgrind', () => runs('valgrind', '--version')],
  mount: ['the right to mount (root)', mayMount],
  box: ['the right to make control groups (root)', mayMakeBox],
  loop: ['a loop device and the package e2fsprogs', () => runs('losetup', '--find') && runs('mkfs.ext4', '-V')],
  alertmanager: ['the package prometheus-alertmanager', () => runs('prometheus-alertmanager', '--version')],
  promtool: ['the package prometheus (promtool)', () => runs('promtool', '--version')],
  openmetrics: [
    'the package python3-prometheus-client',
    () => runs('/usr/bin/python3', '-c', 'import prometheus_client.openmetrics.parser'),
  ],
} as const satisfies Record<string, readonly [string, () => boolean]>;

/** Skips the tests of this `describe`, loudly, unless all this is there. */
export function needs(...names: readonly (keyof typeof NEEDS)[]): void {
  before(function skipWithout() {
    const missing = names.filter((name) => !NEEDS[name][1]()).map((name) => NEEDS[name][0]);
    if (missing.length === 0) return;
    console.warn(`SKIPPED: ${this.test?.parent?.fullTitle()}: this machine lacks ${missing.join(' and ')}`);
    this.skip();
  });
}
