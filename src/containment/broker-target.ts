/**
 * Asks the appliance's file broker to carry out a directive: a request is a file in one directory, and its answer is a
 * file of the same name in another.
 *
 * The request is written to a temporary file, synced and renamed, so that the broker never sees half of one. Only an
 * answer that appears afterwards and names the incident counts: an earlier file belongs to an earlier request. The broker
 * may write its answer in place, so one that can't be read yet is read again.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from '../async-files.ts';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { putFile } from '../durable-file.ts';
import type { Broker } from '../policy/targets.ts';
import { excerptOf } from './excerpt.ts';
import type { DirectiveBody } from './directive.ts';
import type { AttemptResult } from './attempt-result.ts';

/** How often the answer is looked for, in milliseconds. */
const LOOK_EVERY = 250;
/** No answer is longer, in bytes. */
const LONGEST_ANSWER = 16 * 1024;

export interface BrokerRequest {
  readonly broker: Broker;
  readonly body: DirectiveBody;
  /** How long the answer is waited for, in milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

/** Asks the broker and says what came of it. Rejects only when `signal` has aborted. */
export async function ask({ broker, body, timeout, signal }: BrokerRequest): Promise<AttemptResult> {
  const name = `${body.incident_id}.json`;
  const answer = join(broker.results, name);
  try {
    const earlier = await read(answer);
    const { incident_id, reason } = body;
    // Its directory may be closed to readers, so it is not synced: a request that a power cut takes is made again.
    await putFile(join(broker.requests, name), JSON.stringify({ action: broker.action, incident_id, reason }));
    const looks = Math.ceil(timeout / LOOK_EVERY);
    let found = earlier === undefined ? '' : ' (there is one from before the request, which does not count)';
    for (let look = 0; look < looks; look++) {
      await pause(LOOK_EVERY, undefined, { signal });
      const now = await read(answer);
      if (now === undefined || now.identity === earlier?.identity) continue;
      const outcome = judge(now.text, incident_id);
      if (outcome !== undefined) return outcome;
      found = ' (there is a file that is not one)';
    }
    return { kind: 'missed', error: `no answer from the broker within ${timeout} ms${found}` };
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = error as NodeJS.ErrnoException;
    return { kind: 'missed', error: `the broker's files can't be used: ${code ?? message}` };
  }
}

/** What an answer amounts to; undefined when it is not one. */
function judge(text: string, incident: string): AttemptResult | undefined {
  const found = parsed(text);
  if (found === undefined) return undefined;
  if (found.incident_id !== incident) {
    return { kind: 'missed', error: 'the broker left an answer to another incident under this name' };
  }
  if (found.success === true) return { kind: 'done', receipt: { by: 'answer', body: excerptOf(text) } };
  const error = typeof found.error === 'string' ? excerptOf(found.error) : 'without a reason';
  return { kind: 'missed', error: `the broker could not: ${error}` };
}

function parsed(text: string): { success?: unknown; error?: unknown; incident_id?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'success' in value ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What a file holds, and an identity that differs from every earlier file of that name. */
async function read(path: string): Promise<{ readonly text: string; readonly identity: string } | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { ino, mtimeNs, ctimeNs, size } = await file.stat({ bigint: true });
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LONGEST_ANSWER), 0, LONGEST_ANSWER, 0);
    return { text: buffer.toString('utf8', 0, bytesRead), identity: [ino, mtimeNs, ctimeNs, size].join() };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  } finally {
    await file?.close();
  }
}
