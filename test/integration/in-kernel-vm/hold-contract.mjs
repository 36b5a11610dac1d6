// Runs in a kernel VM: the contract of the output hold for both backends, a line of JSON per case.
import { mkdirSync } from 'node:fs';
import { holderBackend } from '/understudy/dist/netbuffer/holder.js';
import { plugBackend } from '/understudy/dist/netbuffer/plug.js';
import { Contract, casesOf } from '/understudy/test/integration/netbuffer-contract.js';

// Where ip keeps its namespaces.
mkdirSync('/var/run', { recursive: true });
const contract = new Contract();
for (const backend of [plugBackend, holderBackend]) {
  for (const one of casesOf(backend)) {
    const startMs = performance.now();
    const error = await contract.run(one, backend).then(
      () => undefined,
      (failure) => String(failure?.stack ?? failure),
    );
    const ms = Math.round(performance.now() - startMs);
    console.log(JSON.stringify({ backend: backend.name, name: one.name, ms, error }));
  }
}
await contract.close();
process.exit(0);
