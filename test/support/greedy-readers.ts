/** Readers that ask for as much as they can. */
import { connect, type Socket } from 'node:net';
import type { RunningService } from './running-service.ts';

/** Bytes of the evidence of a large incident, of two-byte characters: some twenty of them fill a page. */
const LARGE = 55_000;
const LARGE_INCIDENTS = 30;
const OCCURRENCES = 40;

/** Puts more than a page of large incidents on record, and one with more than a page of history; gives its id. */
export async function recordLarge(service: RunningService): Promise<string> {
  const evidence = { text: 'ж'.repeat(LARGE / 2) };
  for (let count = 0; count < LARGE_INCIDENTS; count++) await service.report({ evidence });
  const { id } = (await service.report({ evidence, dedup_key: 'again' })).json;
  for (let count = 1; count < OCCURRENCES; count++) await service.report({ evidence, dedup_key: 'again' });
  return id;
}

/**
 * Asks for the same so many times on each of so many connections; `takes` says whether their answers are read, `token` who
 * asks.
 */
export const readAll = (
  { port }: RunningService,
  path: string,
  {
    connections,
    times = 1,
    takes = true,
    token,
  }: { connections: number; times?: number; takes?: boolean; token?: string },
): readonly Socket[] =>
  Array.from({ length: connections }, () => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    const credential = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${credential}\r\n`.repeat(times));
    return takes ? socket.resume() : socket.pause();
  });
