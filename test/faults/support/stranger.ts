/**
 * A stranger without a token, as a process of its own: `node stranger.ts PORT WAY CONNECTIONS PATH…`. It holds so many
 * connections and opens each again when it is closed, until it is killed.
 */
import { connect, type Socket } from 'node:net';

const [port = '', way = '', connections = '', ...paths] = process.argv.slice(2);

const AHEAD = 16;
/** When connections are left and opened again, in milliseconds. */
const RENEW = 3000;
/** Less than the time after which a connection that was refused at once is opened again would flood the attacker. */
const REOPEN = 20;

let asked = 0;
const nextPath = (): string => paths[asked++ % paths.length]!;
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const ahead = (count: number): string => Array.from({ length: count }, () => get(nextPath())).join('');

const MALFORMED = [
  'ECHO\r\n\r\n',
  '\x16\x03\x01\x02',
  'GET / HTTP/1.1\r\nE CHO: 1\r\n\r\n',
  `GET /${'x'.repeat(17_000)} HTTP/1.1\r\n\r\n`,
  'POST /api/v1/incidents/report HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n',
  get('/nowhere').repeat(1000),
];

/** What it does on a new connection. */
const WAYS: Readonly<Record<string, (socket: Socket) => void>> = {
  /** Asks for much and reads nothing. */
  unread: (socket) => {
    socket.pause();
    socket.write(ahead(AHEAD));
    setTimeout(() => socket.destroy(), RENEW + 1000 * Math.random());
  },
  /** Asks for much and leaves. */
  leaving: (socket) => {
    socket.write(ahead(1 + (asked % AHEAD)), () => setTimeout(() => socket.destroy(), RENEW * 0.1 * Math.random()));
  },
  /** Asks on as soon as something is answered. */
  greedy: (socket) => {
    socket.on('data', () => socket.write(get(nextPath())));
    socket.write(get(nextPath()));
  },
  /** Sends a header that never ends, or a body, or reads a little now and then. */
  slow: (socket) => {
    const kind = asked++ % 3;
    if (kind === 0) socket.write('GET / HTTP/1.1\r\nHost: loc');
    else if (kind === 1) {
      socket.write('POST /api/v1/incidents/report HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n{');
    } else socket.write(ahead(AHEAD));
    socket.pause();
    const drip = setInterval(() => {
      if (kind !== 2) socket.write('x');
      else socket.read(16);
    }, 500);
    socket.once('close', () => clearInterval(drip));
  },
  malformed: (socket) => {
    socket.resume();
    socket.write(MALFORMED[asked++ % MALFORMED.length]!);
  },
};

function open(): void {
  const kinds = Object.keys(WAYS);
  const act = WAYS[way === 'all' ? kinds[asked % kinds.length]! : way]!;
  const socket = connect(Number(port), '127.0.0.1', () => act(socket));
  socket.on('error', () => {});
  socket.once('close', () => setTimeout(open, REOPEN));
}

for (let count = 0; count < Number(connections); count++) open();
