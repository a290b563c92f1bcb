import { options } from 'preact';

/** Does something and draws what it changes before it returns, not in a microtask as Preact does. */
export const drawAtOnce = (change: () => void): void => {
  options.debounceRendering = (draw) => draw();
  try {
    change();
  } finally {
    delete options.debounceRendering;
  }
};
