import { basename, dirname, join } from 'node:path';

/** The path to which a file next to the log is archived. */
export const archivedPath = (path: string): string => join(dirname(path), 'archive', basename(path));
