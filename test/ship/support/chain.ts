/** Lines of a log, linked as a recorder links them (without a key). */
import { createHash } from 'node:crypto';

export interface ChainLine {
  readonly line: string;
  readonly hash: string;
}

/** One entry more. Its text makes two histories differ. */
export function chainLine(seq: number, prev: string, text = `entry ${seq}`): ChainLine {
  const timestamp = new Date(Date.UTC(2026, 10, 30) + seq * 1000).toISOString();
  const hash = createHash('sha256').update(`${prev}|${seq}|${text}`).digest('hex');
  const data = { seq, text };
  const entry = { timestamp, event: 'incident.reported', data, prev_hash: prev, entry_hash: hash, algorithm: 'sha256' };
  return { line: JSON.stringify(entry), hash };
}

/** A log of so many entries. */
export function chain(count: number, text?: (seq: number) => string): ChainLine[] {
  const lines: ChainLine[] = [];
  for (let seq = 1; seq <= count; seq++) lines.push(chainLine(seq, lines.at(-1)?.hash ?? '', text?.(seq)));
  return lines;
}
