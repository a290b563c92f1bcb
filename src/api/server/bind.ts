import { chmodSync, lstatSync, readFileSync, readlinkSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect, isIPv4, isIPv6 } from 'node:net';
import type { BindAddress, InheritedSocket } from '../../config.ts';
import { RecorderError } from '../../errors.ts';
import { isLoopback } from '../../loopback.ts';

/** Owner and group may connect: that takes the right to write. */
const SOCKET_MODE = 0o660;

/**
 * How many connections wait in the kernel to be accepted. To listen on an inherited socket sets it too, so it is the
 * `Backlog=` of the socket's unit.
 */
const BACKLOG = 1024;

/**
 * Makes the server listen on the address, or on the socket that systemd has passed. A unix socket that a killed process
 * left behind is replaced; any other file, and a socket in use, stay.
 *
 * @returns where it listens, with the port that the system chose
 * @throws RecorderError `config`, which says where and why it can't listen
 */
export const bindTo = async (server: Server, at: BindAddress | InheritedSocket): Promise<BindAddress> => {
  if (at.kind === 'inherited') return listenOn(server, at);
  try {
    if (at.kind === 'tcp') {
      await listen(server, { host: at.host, port: at.port });
      return tcpAddressOf(server) ?? at;
    }
    if (isSocket(at.path) && (await isAbandoned(at.path))) unlinkSync(at.path);
    await listen(server, { path: at.path });
    chmodSync(at.path, SOCKET_MODE);
    return at;
  } catch (cause) {
    const where = at.kind === 'tcp' ? `${at.host} port ${at.port}` : at.path;
    throw new RecorderError(
      'config',
      `can't listen on ${where}: ${messageOf(cause)}; set BIND_ADDR to a free address`,
      { cause },
    );
  }
};

/** @throws RecorderError `config`: the socket is of another kind, or reachable from other machines */
async function listenOn(server: Server, { fd, name, loopbackOnly }: InheritedSocket): Promise<BindAddress> {
  const refuse = (why: string, cause?: unknown): RecorderError =>
    new RecorderError('config', `can't listen on the socket that systemd has passed (${name || `fd ${fd}`}): ${why}`, {
      cause,
    });
  try {
    await listen(server, { fd });
  } catch (cause) {
    throw refuse(messageOf(cause), cause);
  }
  // Node knows no path of a unix socket that it has not bound itself.
  const address = tcpAddressOf(server) ?? unixAddressOf(fd);
  if (address === undefined) {
    server.close();
    throw refuse('it is neither a TCP socket nor a unix socket with a path');
  }
  if (address.kind === 'tcp' && loopbackOnly && !isLoopback(address.host)) {
    server.close();
    throw refuse(
      `${address.host} port ${address.port} is not on the loopback; correct ListenStream= in the unit of the socket, ` +
        'or set ALLOW_NON_LOOPBACK=1 if other machines are meant to reach the service',
    );
  }
  return address;
}

type Place = { readonly host: string; readonly port: number } | { readonly path: string } | { readonly fd: number };

const listen = (server: Server, place: Place): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    if (!listenAtOnce(server, place)) server.listen({ ...place, backlog: BACKLOG });
  });

/**
 * Listens without `listen`, which loads the modules for clusters and child processes first: a thirtieth of a start.
 * @returns false where this Node has no such way, or the host is a name
 */
function listenAtOnce(server: Server & { _listen2?: SetUpHandle }, place: Place): boolean {
  if (server._listen2 === undefined) return false;
  if ('fd' in place) server._listen2(null, null, null, BACKLOG, place.fd);
  else if ('path' in place) server._listen2(place.path, -1, -1, BACKLOG);
  else if (isIPv4(place.host)) server._listen2(place.host, place.port, 4, BACKLOG);
  else if (isIPv6(place.host)) server._listen2(place.host, place.port, 6, BACKLOG);
  else return false;
  return true;
}

/** What `listen` calls in the end. Node keeps its name for those who wrap it. */
type SetUpHandle = (
  address: string | null,
  port: number | null,
  addressType: 4 | 6 | -1 | null,
  backlog: number,
  fd?: number,
) => void;

function tcpAddressOf(server: Server): BindAddress | undefined {
  const address = server.address();
  if (address === null || typeof address === 'string') return undefined;
  return { kind: 'tcp', host: address.address, port: address.port };
}

/** Finds the path of an inherited unix socket: the kernel lists all of them with their inodes (proc_net(5)). */
function unixAddressOf(fd: number): BindAddress | undefined {
  const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? [];
  if (inode === undefined) return undefined;
  // The seventh field is the inode, the eighth the path, which may contain spaces.
  const line = new RegExp(String.raw`^(?:\S+ +){6}${inode} (\/.*)$`, 'm');
  const [, path] = line.exec(readFileSync('/proc/self/net/unix', 'utf8')) ?? [];
  return path === undefined ? undefined : { kind: 'unix', path };
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

const isSocket = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;

const isAbandoned = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
