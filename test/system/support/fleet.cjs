/**
 * Stands in for a fleet on the machine, over https: `node fleet.cjs ADDRESS PORT CERTIFICATE KEY`. It takes whatever a shipper sends and keeps the
 * lines in memory; `GET /kept` gives how many, and which machine has enrolled.
 */
const { readFileSync } = require('node:fs');
const { createServer } = require('node:https');
const { gunzipSync } = require('node:zlib');

const [address, port, cert, key] = process.argv.slice(2);
let kept = 0;
let hash = '';
let statuses = 0;
let enrolled;

const bodyOf = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
};

createServer({ cert: readFileSync(cert), key: readFileSync(key) }, async (request, response) => {
  const body = await bodyOf(request);
  const answer = (status, value) =>
    response.writeHead(status).end(value === undefined ? undefined : JSON.stringify(value));
  const { pathname, searchParams } = new URL(request.url, 'http://fleet');
  if (pathname === '/kept') return answer(200, { kept, statuses, enrolled });
  if (pathname === '/api/v1/enrol') {
    enrolled = JSON.parse(body);
    return answer(201, { machine: enrolled.machine, fleet: 'stand-in', fleet_key: 'stand-in+00000000+AAAA' });
  }
  if (pathname.endsWith('/status')) return answer(200, { statuses: ++statuses });
  if (pathname.endsWith('/commands')) return setTimeout(() => answer(200, []), 1000 * Number(searchParams.get('wait')));
  if (request.method === 'GET') return kept === 0 ? answer(404, {}) : answer(200, { through: kept, hash });
  const lines = gunzipSync(body).toString().trimEnd().split('\n');
  kept = Number(searchParams.get('from')) + lines.length - 1;
  hash = JSON.parse(lines.at(-1)).entry_hash;
  answer(200, { through: kept, hash });
}).listen(Number(port), address);
