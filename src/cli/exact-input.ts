/**
 * What the user gives as text is sent exactly as it is, or refused: the decoders of Node replace what they can't read.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { UsageError } from './exit.ts';

const REPLACEMENT = '\ufffd';
const BYTE_ORDER_MARK = '\ufeff';

/** @throws UsageError when an argument of the process is not UTF-8 */
export function requireExactArguments(): void {
  if (!process.argv.some((argument) => argument.includes(REPLACEMENT))) return;
  if (isUtf8(givenArguments())) return;
  throw new UsageError('an argument is not UTF-8');
}

/** The arguments as bytes (proc_pid_cmdline(5)). Bytes that are not UTF-8 where the system does not say. */
function givenArguments(): Uint8Array {
  try {
    return readFileSync('/proc/self/cmdline');
  } catch {
    return Uint8Array.of(0xff);
  }
}

/**
 * Decodes what was read from a file or standard input.
 * @param what names it in the message
 * @throws Error when it is not UTF-8, or begins with a byte-order mark, as the recorder refuses it
 */
export function exactText(bytes: Uint8Array, what: string): string {
  if (!isUtf8(bytes)) throw new Error(`${what} is not UTF-8`);
  return withoutMark(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'), what);
}

/** Returns the text. @throws Error when it begins with a byte-order mark, as the recorder refuses it */
export function withoutMark(text: string, what: string): string {
  if (!text.startsWith(BYTE_ORDER_MARK)) return text;
  throw new Error(`${what} begins with a byte-order mark (U+FEFF), which is no JSON: write it without`);
}
