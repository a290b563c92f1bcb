/**
 * Mocha's root hooks: when a suite has ended, nothing that its tests started still runs. A leak fails the suite and is
 * named, with the test and the line that started it. A run that does not end by itself names what keeps it up and fails.
 *
 * Leaks are timers and handles that keep the process up (sockets, servers, pipes, watchers), open files, and child
 * processes. What was unref'd ends with the process and is no leak.
 */
import { createHook } from 'node:async_hooks';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** How long what was closed may take to go, in milliseconds: the other end of a connection closes a little later. */
const PATIENCE = Number(process.env.LEAK_PATIENCE ?? 5000);
const LOOK_EVERY = 10;
/** Enough frames to reach the test through the libraries. */
const FRAMES = 30;

const ROOT = resolve(import.meta.dirname, '../..');

/** What may leak, by Node's own names. */
const KINDS: Readonly<Record<string, string>> = {
  Timeout: 'a timer',
  TCPSERVERWRAP: 'a server',
  PIPESERVERWRAP: 'a server on a unix socket',
  TCPWRAP: 'a connection',
  PIPEWRAP: 'a pipe or a connection to a unix socket',
  UDPWRAP: 'a UDP socket',
  FSEVENTWRAP: 'a watched file',
  STATWATCHER: 'a watched file',
  WORKER: 'a thread',
};

interface Resource {
  hasRef?(): boolean | null;
}

interface Started {
  readonly kind: string;
  readonly resource: Resource;
  readonly test: string;
  /** Keeps the stack; to format each one at once would be slow. */
  readonly at: Error;
}

const started = new Map<number, Started>();
let runningTest = 'no test';

createHook({
  trackPromises: false,
  init(id, type, _trigger, resource) {
    const kind = KINDS[type];
    if (kind === undefined) return;
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = FRAMES;
    started.set(id, { kind, resource, test: runningTest, at: new Error('started here') });
    Error.stackTraceLimit = stackTraceLimit;
  },
  destroy(id) {
    started.delete(id);
  },
}).enable();

/** What was there before the first test, and what has been reported: each leak fails one suite. */
const known = new Set<unknown>();

/** Everything that runs or is open now, by what identifies it. */
function findRunning(): ReadonlyMap<unknown, string> {
  const found = new Map<unknown, string>();
  for (const { kind, resource, test, at } of started.values()) {
    if (resource.hasRef?.() === true && !isOfMocha(at)) found.set(resource, `${kind} of ${test}${lineOf(at)}`);
  }
  for (const path of openFiles()) found.set(path, `the open file ${path}`);
  for (const [pid, command] of children()) found.set(Number(pid), `the process ${pid}: ${command}`);
  return found;
}

/** Whether it is the time-out of a test or hook. */
const isOfMocha = ({ stack = '' }: Error): boolean => /resetTimeout \(\S+\/mocha\/lib\/runnable/.test(stack);

/** Where in this project something was started; empty when its stack does not reach there. */
function lineOf({ stack = '' }: Error): string {
  const places = stack
    .split('\n')
    .flatMap((frame) => /(?:\(|at |file:\/\/)(\/[^\s()]+:\d+):\d+\)?$/.exec(frame)?.[1] ?? []);
  const own = places.find((place) => {
    const path = relative(ROOT, place);
    return !/^(\.\.|node_modules)\//.test(path) && !place.startsWith(import.meta.filename);
  });
  return own === undefined ? '' : `, started in ${relative(ROOT, own)}`;
}

/** The files and directories that this process has open. */
function openFiles(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return /^\/(?!dev\/|proc\/|memfd:)/.test(path) ? [path] : [];
    } catch {
      // It was that of the directory which has just been read.
      return [];
    }
  });
}

/** The child processes, with their command lines. */
function children(): readonly (readonly [pid: string, command: string])[] {
  const pids = readdirSync('/proc/self/task').flatMap((thread) => {
    try {
      return readFileSync(`/proc/self/task/${thread}/children`, 'utf8').split(' ').filter(Boolean);
    } catch {
      // A thread may end meanwhile.
      return [];
    }
  });
  return pids.map((pid) => [pid, commandOf(pid)] as const);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() || 'ended, not waited for';
  } catch {
    return 'ended';
  }
}

/** The leaks: all that runs now and is not known, once what is about to go has had time to. */
async function findLeaks(): Promise<readonly string[]> {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const leaks = [...findRunning()].filter(([what]) => !known.has(what));
    if (leaks.length === 0) return [];
    if (performance.now() > deadline) {
      for (const [what] of leaks) known.add(what);
      return leaks.map(([, text]) => text);
    }
    // Not to be found itself.
    await pause(LOOK_EVERY, undefined, { ref: false });
  }
}

const list = (leaks: Iterable<string>): string => [...leaks].map((leak) => `\n  - ${leak}`).join('');

export const mochaHooks = {
  beforeAll(this: Mocha.Context) {
    for (const what of findRunning().keys()) known.add(what);
    for (const suite of this.test!.parent!.suites) {
      // Added last, so it runs when the hooks of the suite have cleaned up.
      suite.afterAll('leaves nothing running', async function expectNothingRuns(this: Mocha.Context) {
        this.timeout(2 * PATIENCE);
        runningTest = `no test, after "${suite.title}"`;
        const leaks = await findLeaks();
        if (leaks.length > 0) throw new Error(`"${suite.title}" leaves behind:${list(leaks)}`);
      });
    }
  },
  beforeEach(this: Mocha.Context) {
    runningTest = `"${this.currentTest?.fullTitle()}"`;
  },
};

/** Mocha ends when nothing is left to do; what keeps it up fails the run and is named. */
export function mochaGlobalTeardown(): void {
  setTimeout(() => {
    const left = [...findRunning()].flatMap(([what, text]) =>
      typeof what === 'string' && known.has(what) ? [] : [text],
    );
    console.error(`The tests have ended, but not their process. What still runs:${list(left)}`);
    process.exit(1);
  }, PATIENCE).unref();
}
