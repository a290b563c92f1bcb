import { isUtf8 } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import { timestamp } from '../clock.ts';
import { ACTIONS } from '../../machines/vocabulary.ts';
import { BUILT_IN_RULES } from './defaults.ts';
import { digestPolicy } from './digest.ts';
import { parseFile } from './parse.ts';
import { partsOf } from './parts.ts';
import type { Policy } from './policy.ts';
import type { Targets } from './targets.ts';
import { DEFAULT_ATTENTION_AFTER, DEFAULT_OVERDUE_AFTER, refusedPolicy } from './policy.ts';

/** Far larger than any policy, in bytes. */
const LARGEST_FILE = 256 * 1024;

/**
 * Loads the policy from a file; the built-in one when the file does not exist (ENOENT only). The built-in rules never
 * replace a file that exists.
 * @param allowNonLoopback whether targets may be on other machines
 * @param given the targets that the environment names; the digest is that of the file alone
 * @throws RecorderError `invalid_policy` when the file exists and can't be read or is not a policy; `fields.faults`
 *   lists every fault with its line
 */
export const loadPolicy = (path: string, clock: Clock, allowNonLoopback = false, given: Targets = {}): Policy => {
  const bytes = readBytes(path);
  const { content, classes } = bytes === undefined ? BUILT_IN : parseFile(decode(bytes, path), path, allowNonLoopback);
  return {
    ...content,
    source: bytes === undefined ? 'built-in' : 'file',
    path: bytes === undefined ? undefined : path,
    digest: digestPolicy(content),
    parts: partsOf(content, classes),
    loaded_at: timestamp(clock.now()),
    ...withGiven(content.targets, given),
  };
};

/** The targets of a file, and those of the environment for the other actions. */
const withGiven = (targets: Targets, given: Targets): Partial<Policy> => {
  const from = ACTIONS.filter((action) => given[action] !== undefined && targets[action] === undefined);
  return from.length === 0 ? {} : { targets: { ...given, ...targets }, from_environment: from };
};

const BUILT_IN: ReturnType<typeof parseFile> = {
  content: {
    version: 1,
    rules: BUILT_IN_RULES,
    targets: {},
    notify: [],
    attention_after: DEFAULT_ATTENTION_AFTER,
    overdue_after: DEFAULT_OVERDUE_AFTER,
  },
  classes: [],
};

/** The content of the file; undefined when it does not exist. */
const readBytes = (path: string): Buffer | undefined => {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return readRegularFile(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw refusedPolicy([{ file: path, line: 1, message: `can't be read: ${message}` }], error);
  }
};

const readRegularFile = (file: number): Buffer => {
  const status = fstatSync(file);
  if (!status.isFile()) throw new Error('it is not a regular file');
  if (status.size > LARGEST_FILE) throw new Error(`it has ${status.size} bytes; at most ${LARGEST_FILE} are allowed`);
  return readFileSync(file);
};

const decode = (bytes: Buffer, path: string): string => {
  const text = bytes.toString();
  if (isUtf8(bytes)) return text;
  // The decoder writes U+FFFD in place of invalid bytes.
  const line = text.split('\uFFFD', 1)[0]!.split('\n').length;
  throw refusedPolicy([
    { file: path, line, message: 'there are bytes here that are not UTF-8; save the file as UTF-8' },
  ]);
};
