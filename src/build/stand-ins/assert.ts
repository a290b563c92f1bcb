/**
 * Replaces node:assert in the bundle. Koa and sonic-boom use only this call. Node's own module checks the terminal's
 * colours when it is loaded.
 */
export const assert = (value: unknown, message?: string): void => {
  if (!value) throw new Error(message ?? 'assertion failed');
};

export { assert as 'module.exports' };
