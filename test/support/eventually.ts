/** Looks again after each turn of the event loop until it is so; the test's own time-out is the limit. */
export async function eventually(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}
