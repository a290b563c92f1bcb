/**
 * A client that puts load on a server and measures what comes of it.
 *
 * It writes requests that are ready bytes to plain sockets and looks of an answer only at its status and length, so it
 * takes a fraction of the time that the server takes; the machine has few processors, and a client on `node:http` would
 * be measured along with the server. (autocannon does much the same and brings 63 packages.)
 *
 * Two ways of loading: *closed*, in which every connection sends its next request when it has its answer, shows what the
 * server can do; *paced*, in which requests are due at fixed times whether or not there are answers, shows how long
 * clients wait. Their time counts from when a request was due, so a server that stalls can't hide it.
 */
import { connect, type Socket } from 'node:net';
import { SECOND } from '../../src/clock.ts';

export interface Load {
  readonly port: number;
  /** Sent in turn by each connection. */
  readonly requests: readonly Buffer[];
  /** Sends each request once, by whichever connection is free, and ends with the last of them or with the duration. */
  readonly once?: boolean;
  readonly connections: number;
  /** Milliseconds. */
  readonly duration: number;
  /** Requests a second over all connections; as many as are answered when not given. */
  readonly rate?: number;
}

export interface Measured {
  readonly answers: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Answers whose status is not 2xx. */
  readonly refused: number;
  /** The length of the last answer's body in bytes. */
  readonly bodyBytes: number;
}

/** The bytes of a request. */
export function requestBytes(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body = '',
): Buffer {
  const lines = Object.entries({ Host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = method === 'GET' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}${length}\r\n${body}`);
}

/** Puts the load on the server and gives what was measured once the last answer is there. */
export async function putLoad({ port, requests, once, connections, duration, rate }: Load): Promise<Measured> {
  const times: number[] = [];
  let refused = 0;
  let bodyBytes = 0;
  const start = performance.now();
  const end = start + duration;
  let due = start;
  let sent = 0;
  /** When the next request is due; undefined when there is none any more. */
  const nextDue = (): number | undefined => {
    if (once && sent === requests.length) return undefined;
    if (rate === undefined) return performance.now() < end ? performance.now() : undefined;
    due += SECOND / rate;
    return due < end ? due : undefined;
  };
  const sockets = await Promise.all(Array.from({ length: connections }, () => connected(port)));
  await Promise.all(
    sockets.map(async (socket) => {
      const answers = answersOf(socket);
      let turn = 0;
      for (let at = nextDue(); at !== undefined; at = nextDue()) {
        const early = at - performance.now();
        if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
        socket.write(requests[(once ? sent : turn) % requests.length]!);
        turn += 1;
        sent += 1;
        const answer = await answers.next();
        times.push(performance.now() - at);
        if (answer.status < 200 || answer.status > 299) refused += 1;
        bodyBytes = answer.bodyBytes;
      }
      socket.destroy();
    }),
  );
  const seconds = (performance.now() - start) / SECOND;
  return { answers: times.length, perSecond: times.length / seconds, ...percentiles(times), refused, bodyBytes };
}

/** The middle, the slowest hundredth and the slowest of all, of as many times as there are. */
function percentiles(times: readonly number[]): {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
} {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

export interface AnswerSeen {
  readonly status: number;
  readonly bodyBytes: number;
}

const connected = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });

/** Follows the answers on a connection, one at a time; their bodies are counted, not kept. */
export function answersOf(socket: Socket): { readonly next: () => Promise<AnswerSeen> } {
  let head = '';
  let missing = 0;
  let answer: AnswerSeen | undefined;
  let fulfil: (answer: AnswerSeen) => void;
  let refuse: (error: Error) => void;
  socket.on('close', () => refuse?.(new Error('the server closed the connection')));
  socket.on('data', (bytes: Buffer) => {
    if (answer === undefined) {
      head += bytes.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(head.slice(0, end))?.[1];
      answer = { status: Number(head.slice(9, 12)), bodyBytes: Number(length ?? 0) };
      missing = end + 4 + answer.bodyBytes - head.length;
    } else {
      missing -= bytes.length;
    }
    if (missing > 0) return;
    const whole = answer;
    head = '';
    answer = undefined;
    fulfil(whole);
  });
  return {
    next: () =>
      new Promise((resolve, reject) => {
        fulfil = resolve;
        refuse = reject;
      }),
  };
}
