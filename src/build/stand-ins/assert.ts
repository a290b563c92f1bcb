/**
 * Takes the place of node:assert in the bundle, for Koa and sonic-boom, which call it like this and no other way. Node's
 * own looks at the terminal's colours when it is loaded.
 */
export const assert = (value: unknown, message?: string): void => {
  if (!value) throw new Error(message ?? 'assertion failed');
};

export { assert as 'module.exports' };
