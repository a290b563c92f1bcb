import type { StartOptions } from '../../support/running-service.ts';

/**
 * Starts a service whose system calls meet a fault, as strace(1) injects it: `fdatasync:error=EIO:when=3` and the like.
 * With `path` only calls on that file count. Counts are kept per thread, so file operations get one thread.
 *
 * The tracer is detached: the process that is started is node, and signals and exit codes are its own.
 */
export const traced = (injection: string, path?: string): StartOptions => ({
  env: { UV_THREADPOOL_SIZE: '1' },
  under: [
    'strace',
    '-D',
    '-f',
    '-qqq',
    '-o',
    '/dev/null',
    // With it only the named calls stop at the tracer; but then strace 6.1 injects no signal.
    ...(injection.includes(':signal=') ? [] : ['--seccomp-bpf']),
    ...(path === undefined ? [] : ['-P', path]),
    '-e',
    `trace=${injection.slice(0, injection.indexOf(':'))}`,
    '-e',
    `inject=${injection}`,
  ],
});
