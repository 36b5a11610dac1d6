// Runs in a kernel VM: output on both streams, then an exit code of its own.
process.stdout.write('first\n');
process.stderr.write('last without an end of line — ünïcode');
process.exitCode = 3;
