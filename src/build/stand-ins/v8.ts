/** Replaces node:v8 in the bundle. Koa asks it alone whether it becomes part of a snapshot of the heap, which it does not. */
export const startupSnapshot = undefined;
