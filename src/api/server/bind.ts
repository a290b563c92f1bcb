import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { BindAddress } from '../../config.ts';
import { RecorderError } from '../../errors.ts';

/** Owner and group may connect: that takes the right to write. */
const SOCKET_MODE = 0o660;

/**
 * Makes the server listen on the address. A unix socket that a killed process left behind is replaced; any other file,
 * and a socket in use, stay.
 *
 * @throws RecorderError `config`, which says where and why it can't listen
 */
export const bindTo = async (server: Server, bind: BindAddress): Promise<void> => {
  try {
    if (bind.kind === 'tcp') {
      await listen(server, { host: bind.host, port: bind.port });
      return;
    }
    if (isSocket(bind.path) && (await isAbandoned(bind.path))) unlinkSync(bind.path);
    await listen(server, { path: bind.path });
    chmodSync(bind.path, SOCKET_MODE);
  } catch (cause) {
    const where = bind.kind === 'tcp' ? `${bind.host} port ${bind.port}` : bind.path;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RecorderError('config', `can't listen on ${where}: ${why}; set BIND_ADDR to a free address`, { cause });
  }
};

const listen = (server: Server, options: { host: string; port: number } | { path: string }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });

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
