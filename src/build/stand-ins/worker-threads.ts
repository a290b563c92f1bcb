/**
 * Replaces worker_threads in the bundle. pino uses only this value. With `--jitless`, Node's own module would be
 * compiled again at each start.
 */
export const isMainThread = true;
