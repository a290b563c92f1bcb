/**
 * How the hardened host runs Node. V8 accepts cached data only if it was made with exactly the same flags, so the build
 * and the benchmarks take them from here, and the unit must have the same.
 */
export const HARDENED_NODE: {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} = {
  /** No compilers, because memory can't be both writable and executable; a heap and spaces that fit into 128 MiB. */
  flags: ['--jitless', '--v8-pool-size=0', '--max-old-space-size=64', '--max-semi-space-size=4', '--expose-gc'],
  /** Few threads and arenas, no configuration file of OpenSSL (it is not readable), no search for the time zone. */
  env: { UV_THREADPOOL_SIZE: '2', MALLOC_ARENA_MAX: '1', OPENSSL_CONF: '/nonexistent', TZ: 'UTC' },
};
