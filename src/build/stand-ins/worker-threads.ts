/**
 * Takes the place of worker_threads in the bundle, for pino, which asks it for this and nothing else. Node's own is
 * compiled anew at each start under `--jitless`.
 */
export const isMainThread = true;
