/**
 * Replaces zlib in the bundle. A package of the body parser names it to inflate bodies, and here those that are compressed
 * are refused before they are read. With `--jitless`, Node's own module would be compiled again at each start.
 */
const refuse = (): never => {
  throw new Error('compressed bodies are refused');
};

export { refuse as createBrotliDecompress, refuse as createUnzip };
