// Runs in a kernel VM: an IFB with a plug, as the kernel shows it.
import { execFileSync } from 'node:child_process';

const run = (file, ...args) => execFileSync(file, args, { encoding: 'utf8' });
run('tc', 'qdisc', 'add', 'dev', 'ifb0', 'root', 'plug', 'limit', '100000');
console.log(run('tc', 'qdisc', 'show', 'dev', 'ifb0'));
