// Runs in a kernel VM: what the product itself says about write tracking under that kernel.
import { judgeHost } from '/understudy/dist/hypervisor/check.js';
import { native } from '/understudy/dist/native.js';

console.log(
  JSON.stringify({ selfTest: await native.memory.selfTest(), refusals: await judgeHost() }),
);
