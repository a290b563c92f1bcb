/** `npm run schemas`: writes the JSON Schemas into `policy/`. */
import { writeFile } from 'node:fs/promises';
import { jsonSchemas } from './json-schemas.ts';

for (const [name, schema] of Object.entries(jsonSchemas())) {
  await writeFile(new URL(`../../policy/${name}`, import.meta.url), `${JSON.stringify(schema, null, 2)}\n`);
}
