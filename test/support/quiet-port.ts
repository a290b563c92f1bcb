import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Below this, other programs have ports of their own. */
const LOWEST = 15_000;

/**
 * A TCP port of the loopback where nobody listens, for a program that binds it later, or again. The kernel gives it to nobody
 * meanwhile: it is below those that it chooses from.
 */
export async function quietPort(): Promise<number> {
  const [lowest] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/).map(Number);
  if (lowest === undefined || lowest <= LOWEST) return freePort(0);
  for (;;) {
    const port = await freePort(randomInt(LOWEST, lowest)).catch(() => undefined);
    if (port !== undefined) return port;
  }
}

/** @param port 0 for any */
const freePort = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const { port: bound } = server.address() as { readonly port: number };
      server.close(() => resolve(bound));
    });
  });
