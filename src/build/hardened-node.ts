/**
 * How Node is run on the hardened host. V8 takes cached data only when it was made under the very same flags, so the
 * build and the benchmarks have them from here, and the unit has to say the same.
 */
export const HARDENED_NODE: {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} = {
  /** No compilers, as memory can't be both writable and executable; a heap and spaces that fit 128 MiB. */
  flags: ['--jitless', '--v8-pool-size=0', '--max-old-space-size=64', '--max-semi-space-size=4'],
  /** Few threads and arenas, no configuration of OpenSSL that can't be read, and no search for the local time zone. */
  env: { UV_THREADPOOL_SIZE: '2', MALLOC_ARENA_MAX: '1', OPENSSL_CONF: '/nonexistent', TZ: 'UTC' },
};
