/**
 * PGlite's folder is one process's at a time. While the fleet has it, commands reach the fleet over a socket beside the
 * folder, which only their owner may open: a line of JSON with the command, and lines with what comes of it.
 */
import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { relative } from 'node:path';
import { createInterface } from 'node:readline';
import { SECOND } from '../clock.ts';
import { type ErrorCode, RecorderError } from '../errors.ts';
import { isUnreachable, whyUnreachable } from './database.ts';
import { administer, type Administered, ADMINISTRATION, type AdministrationRequest } from './administration.ts';

/** What Linux takes as the path of a socket, in bytes. */
const LONGEST_PATH = 107;
/** In characters: a name, and labels. */
const LONGEST_REQUEST = 64 * 1024;
const REQUEST_WITHIN = 10 * SECOND;
const OWNER_ONLY = 0o600;

type Line =
  | { readonly note: string }
  | { readonly answer: string | null }
  | { readonly error: string; readonly code: ErrorCode | null };

/** The path of the socket, from the root or from the working directory; undefined where both are too long. */
function pathFor(folder: string): string | undefined {
  const path = `${folder}.socket`;
  return [path, relative(process.cwd(), path)].find((one) => Buffer.byteLength(one) <= LONGEST_PATH);
}

/**
 * Takes commands for a folder that this process has.
 * @returns what ends that
 */
export async function takeCommands(
  folder: string,
  core: Administered,
  log: { warn(fields: object, message: string): void },
): Promise<() => Promise<void>> {
  const path = pathFor(folder);
  if (path === undefined) return async () => {};
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket)).on('error', () => socket.destroy());
    void answer(socket, core);
  });
  server.on('error', (err) => log.warn({ err }, 'no commands while the fleet runs'));
  // What a process has left that was killed: the folder is this one's.
  rmSync(path, { force: true });
  try {
    server.listen(path);
    await once(server, 'listening');
    chmodSync(path, OWNER_ONLY);
  } catch {
    // The fleet does its work without: whoever wants a command ends it first.
    server.close();
    return async () => {};
  }
  return async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of open) socket.destroy();
    await closed;
  };
}

async function answer(socket: Socket, core: Administered): Promise<void> {
  const say = (line: Line): void => void (socket.writable && socket.write(`${JSON.stringify(line)}\n`));
  try {
    const request = requestIn(await firstLine(socket));
    say({ answer: (await administer(core, request, (note) => say({ note }))) ?? null });
  } catch (thrown) {
    const error = isUnreachable(thrown) ? new RecorderError('log_unavailable', whyUnreachable(thrown)) : thrown;
    const known = error instanceof RecorderError;
    say({ error: known ? error.message : String((error as Error)?.stack ?? error), code: known ? error.code : null });
  }
  socket.end();
}

async function firstLine(socket: Socket): Promise<string> {
  socket.setEncoding('utf8').setTimeout(REQUEST_WITHIN, () => socket.destroy());
  let text = '';
  while (!text.includes('\n') && text.length <= LONGEST_REQUEST) {
    const [chunk] = (await once(socket, 'data')) as [string];
    text += chunk;
  }
  socket.setTimeout(0);
  return text.split('\n')[0]!;
}

function requestIn(line: string): AdministrationRequest {
  const { command, name, newName, labels, who } = JSON.parse(line) as Record<string, unknown>;
  const texts = [name, newName ?? '', who, ...Object.values(Object(labels) as object)];
  if (!ADMINISTRATION.some((one) => one === command) || !texts.every((text) => typeof text === 'string'))
    throw new RecorderError('invalid_request', 'no command that the fleet that runs knows; is it of another version?');
  return { command, name, newName, labels, who } as AdministrationRequest;
}

/**
 * Has the fleet that runs carry a command out.
 * @returns what the command prints, as `printed`; undefined where no fleet takes commands for the folder
 * @throws RecorderError as the fleet says
 */
export async function askFleet(
  folder: string,
  request: AdministrationRequest,
  note: (line: string) => void,
): Promise<{ readonly printed: string | undefined } | undefined> {
  const path = pathFor(folder);
  if (path === undefined) return undefined;
  const socket = createConnection(path);
  try {
    await once(socket, 'connect');
  } catch {
    return undefined;
  }
  socket.write(`${JSON.stringify(request)}\n`);
  for await (const text of createInterface(socket)) {
    const line = JSON.parse(text) as Line;
    if ('note' in line) note(line.note);
    else if ('answer' in line) return { printed: line.answer ?? undefined };
    else if (line.code !== null) throw new RecorderError(line.code, line.error);
    else throw new Error(line.error);
  }
  throw new Error('the fleet has ended before it answered; try again');
}
