/**
 * The floor: the least that a server on `node:http` can do and still record a report durably. It parses the same JSON,
 * appends as many bytes with the same group commit and answers with a body as long. No checks, no chain, no statechart,
 * no read models, no log lines. What the service gives is measured as a share of what this gives.
 *
 * Run as `floor PORT LOG ENTRY_BYTES ANSWER_BYTES`.
 */
import { createServer } from 'node:http';
import { groupCommit } from './group-commit.ts';

const [port, path = '', entryBytes, answerBytes] = process.argv.slice(2);
const answer = Buffer.alloc(Number(answerBytes), 'x');
const append = await groupCommit(path, Number(entryBytes));

createServer((request, response) => {
  if (request.method === 'GET') {
    response.end();
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    JSON.parse(Buffer.concat(chunks).toString());
    void append().then(() => {
      response.writeHead(201, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
      response.end(answer);
    });
  });
}).listen(Number(port), '127.0.0.1');
