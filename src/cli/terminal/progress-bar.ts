/** A progress bar on standard error, if that is a terminal. */

export interface ProgressBar {
  readonly show: (done: number) => void;
  readonly end: () => void;
}

/** Milliseconds before the bar appears, and between two updates. */
const PATIENCE = 300;
const PAUSE = 100;
const CELLS = 30;

const NONE: ProgressBar = { show: () => {}, end: () => {} };

export function progressBar(total: number): ProgressBar {
  if (!process.stderr.isTTY) return NONE;
  let next = performance.now() + PATIENCE;
  let isShown = false;
  return {
    show: (done) => {
      const now = performance.now();
      if (now < next) return;
      next = now + PAUSE;
      isShown = true;
      const part = Math.min(1, done / Math.max(1, total));
      const full = Math.round(part * CELLS);
      process.stderr.write(`\r${'█'.repeat(full)}${'░'.repeat(CELLS - full)} ${Math.floor(part * 100)} %`);
    },
    end: () => {
      // Erases the line: ECMA-48, EL.
      if (isShown) process.stderr.write('\r\u001b[K');
    },
  };
}
