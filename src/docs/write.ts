/** Writes the generated documents into docs/; `script/docs` runs it. */
import { writeFile } from 'node:fs/promises';
import { generatedDocs } from './generated.js';

for (const [name, text] of Object.entries(await generatedDocs())) {
  await writeFile(new URL(`../../docs/${name}`, import.meta.url), text);
}
