/**
 * The challenge, for the side that asks: lets what answers on a new connection prove that it knows a token, before
 * anything is sent there. `src/client/README.md` describes it.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { addressText, bodyDigest, NO_ADDRESS, proofKeyIdOf, proofOf } from './proof.ts';

const TARGET = '/livez';
/** In bytes. More than a recorder sends as headers and body together. */
const LONGEST_ANSWER = 16 * 1024;

/**
 * Sends the challenge on a connection that is being opened, and checks the answer. Then the connection is free for its
 * next user.
 * @param key SHA-256 of the token that both sides know
 * @param socketPath the path of the unix socket that it leads to; undefined over TCP
 * @returns what is wrong with the answer; undefined when it is proved
 * @throws the connection's error, also when it ends without an answer
 */
export async function challenge(
  socket: Socket,
  key: Buffer,
  socketPath: string | undefined,
): Promise<string | undefined> {
  const nonce = randomBytes(32).toString('base64url');
  socket.write(
    `GET ${TARGET} HTTP/1.1\r\nHost: localhost\r\n` +
      `Recorder-Challenge: nonce=${nonce}; key=${proofKeyIdOf(key)}\r\n\r\n`,
  );
  const answer = await answerOn(socket);
  if (typeof answer === 'string') return answer;
  if (answer.proof === undefined) return 'no Recorder-Proof in its answer';
  const ends =
    socketPath !== undefined
      ? { recorder: `unix:${socketPath}`, client: NO_ADDRESS }
      : {
          recorder: addressText(socket.remoteAddress ?? '', socket.remotePort ?? 0),
          client: addressText(socket.localAddress ?? '', socket.localPort ?? 0),
        };
  const body = bodyDigest(answer.body);
  const expected = proofOf(key, { nonce, method: 'GET', target: TARGET, ...ends, status: answer.status, body });
  const isRight = timingSafeEqual(Buffer.from(answer.proof, 'hex'), Buffer.from(expected, 'hex'));
  return isRight ? undefined : 'the Recorder-Proof in its answer is wrong';
}

interface Answer {
  readonly status: number;
  readonly proof: string | undefined;
  readonly body: Buffer;
}

/**
 * Reads one response, and leaves the connection to its next user. Returns what is wrong when it is not the recorder's.
 */
function answerOn(socket: Socket): Promise<Answer | string> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const settle = (settleWith: () => void): void => {
      socket.off('data', onData).off('error', onError).off('close', onClose).off('end', onClose);
      settleWith();
    };
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const answer = parsedAnswer(received);
      if (answer !== undefined) settle(() => resolve(answer));
    };
    const onError = (error: Error): void => settle(() => reject(error));
    const onClose = (): void => settle(() => reject(new Error('the connection was closed')));
    socket.on('data', onData).on('error', onError).on('close', onClose).on('end', onClose);
  });
}

/** The response in these bytes; undefined when there is more to come; a text that says why it is not the recorder's. */
function parsedAnswer(received: Buffer): Answer | string | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (received.length > LONGEST_ANSWER) return 'its answer is too long';
  if (headEnd === -1) return undefined;
  const head = received.toString('latin1', 0, headEnd);
  const status = /^HTTP\/1\.1 (\d{3})(?: |\r|$)/.exec(head)?.[1];
  const length = /^content-length: *(\d{1,5}) *\r?$/im.exec(head)?.[1];
  if (status === undefined || length === undefined) return 'its answer is not that of a recorder';
  const body = received.subarray(headEnd + 4);
  if (body.length > Number(length)) return 'its answer is longer than it says';
  if (body.length < Number(length)) return undefined;
  const proof = /^recorder-proof: *([\da-f]{64}) *\r?$/im.exec(head)?.[1];
  return { status: Number(status), proof, body };
}
