/**
 * The floor: the least that a server on `node:http` can do and still record a report durably. It parses the same JSON,
 * appends as many bytes with the same group commit (one asynchronous `fdatasync` at a time, what arrives meanwhile makes
 * the next batch) and answers with a body as long. No checks, no chain, no statechart, no read models, no log lines. What
 * the service gives is measured as a share of what this gives.
 *
 * Run as `floor PORT LOG ENTRY_BYTES ANSWER_BYTES`.
 */
import { open } from 'node:fs/promises';
import { createServer } from 'node:http';

const [port, path = '', entryBytes, answerBytes] = process.argv.slice(2);
const entry = Buffer.alloc(Number(entryBytes), 'x');
const answer = Buffer.alloc(Number(answerBytes), 'x');
const file = await open(path, 'a');

let waiting: (() => void)[] = [];
let writing = false;

async function writeBatches(): Promise<void> {
  writing = true;
  await new Promise(setImmediate);
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    await file.write(Buffer.concat(batch.map(() => entry)));
    await file.datasync();
    for (const answerOne of batch) answerOne();
  }
  writing = false;
}

createServer((request, response) => {
  if (request.method === 'GET') {
    response.end();
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    JSON.parse(Buffer.concat(chunks).toString());
    waiting.push(() => {
      response.writeHead(201, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
      response.end(answer);
    });
    if (!writing) void writeBatches();
  });
}).listen(Number(port), '127.0.0.1');
