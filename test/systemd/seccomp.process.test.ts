import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { SECOND } from '../../src/clock.ts';
import { envOf } from '../bench/setting.ts';
import { needs } from '../faults/support/needs.ts';
import { until } from '../faults/support/until.ts';
import { ROOT, runningServices, type RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { allowedByProfile, allowedByUnit, madeIn, readProfile } from './support/system-calls.ts';
import { UnitFile } from './support/unit-file.ts';

/** What the profile allows and a short run on x86-64 does not make, by the reason to allow it. */
const IN_RESERVE: Readonly<Record<string, string>> = {
  'arm64 has only these': 'faccessat fchmodat mkdirat ppoll readlinkat renameat renameat2 unlinkat',
  'other versions of the C library': 'clone epoll_wait faccessat2 newfstatat poll rseq stat',
  'a machine whose clock is not readable without a call': 'clock_getres clock_gettime gettimeofday',
  'a heap that grows, and V8 that ends itself when it is full': 'mremap sigaltstack tgkill',
  'threads that wait for one another': 'clock_nanosleep sched_getparam sched_getscheduler sched_yield',
  'a process that is stopped and goes on': 'restart_syscall rt_sigreturn',
  'what a client decides: large answers, broken connections': 'getpeername recvmsg sendmsg shutdown writev',
  'a segment that goes to the archive': 'mkdir',
  "SQLite's care for the mode of its files": 'fchmod',
  'damage, and a disk that is full': 'fsync ftruncate rename statfs',
};

/** What it does without: io_uring, and SQLite's care for the owner of its files where it runs as root. */
const REFUSED = ['io_uring_setup', 'io_uring_enter', 'fchown'];

/** The last line of a trace, when the whole process has ended. */
const ENDED = /\+\+\+ (?:exited|killed) [^\n]*\n$/;

describe('the seccomp profile', () => {
  const profile = readProfile();
  const allowed = allowedByProfile(profile);

  it('refuses what it does not name', () => {
    expect(profile).to.include({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1 });
    expect(profile.syscalls.map(({ action }) => action)).to.deep.equal(profile.syscalls.map(() => 'SCMP_ACT_ALLOW'));
  });

  it('names each call once, in five groups that say what they are for', () => {
    expect(profile.syscalls).to.have.length(5);
    for (const { comment, names } of profile.syscalls) {
      expect(comment).to.not.equal('');
      expect(names).to.deep.equal(names.toSorted());
    }
    expect(new Set(allowed).size).to.equal(allowed.length);
  });

  describe("beside systemd's filter", () => {
    needs('systemd-analyze');

    it('allows nothing that the unit refuses', () => {
      const byUnit = allowedByUnit(UnitFile.read());
      expect(allowed.filter((name) => !byUnit.has(name))).to.deep.equal([]);
    });
  });

  describe('beside a traced run', () => {
    needs('strace');
    const start = runningServices();
    const directory = temporaryDirectories();
    const unit = UnitFile.read();

    it('allows what the service does, and nothing without a reason', async () => {
      const home = new ServiceHome(directory());
      const traces: string[] = [];
      const startTraced = async (env: Readonly<Record<string, string>>): Promise<RunningService> => {
        const trace = join(home.directory, `trace-${traces.push('')}`);
        traces[traces.length - 1] = trace;
        return start(home, {
          env: { ...envOf('jitless'), ...env },
          command: [...unit.nodeFlags, join(ROOT, 'dist/service.cjs')],
          under: ['strace', '-D', '-f', '-q', '-o', trace],
        });
      };

      const service = await startTraced({ AUDIT_SEGMENT_BYTES: '4096' });
      await Promise.all(Array.from({ length: 32 }, () => service.report({ evidence: { text: 'x'.repeat(2000) } })));
      const { json } = await service.report();
      for (const path of ['', '?limit=500', `/get?id=${json.id}`, `/history?id=${json.id}`]) {
        expect((await service.get(`/api/v1/incidents${path}`)).status).to.equal(200);
      }
      await service.post('/api/v1/incidents/resolve', { id: json.id });
      service.process.kill('SIGHUP');
      await service.said('policy reloaded');
      await service.end('SIGKILL');

      // The first leaves the file of its socket to the second.
      const socket = join(home.directory, 'socket');
      await (await startTraced({ BIND_ADDR: `unix:${socket}` })).end('SIGKILL');
      const last = await startTraced({ BIND_ADDR: `unix:${socket}` });
      await last.report();
      await last.end();

      const ended = (): boolean => traces.every((trace) => ENDED.test(readFileSync(trace, 'utf8')));
      const deadline = performance.now() + 30 * SECOND;
      await until(async () => ended() || performance.now() > deadline);
      expect(ended(), 'the tracers have ended').to.equal(true);
      const made = new Set(traces.flatMap((trace) => [...madeIn(readFileSync(trace, 'utf8'))]));
      const refused = [...made].filter((name) => !allowed.includes(name) && !REFUSED.includes(name));
      expect(refused, 'made and not allowed').to.deep.equal([]);
      const reserved = new Set(Object.values(IN_RESERVE).flatMap((names) => names.split(' ')));
      const idle = allowed.filter((name) => !made.has(name) && !reserved.has(name));
      expect(idle, 'allowed and neither made nor in reserve').to.deep.equal([]);
    });
  });
});
