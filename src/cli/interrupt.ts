/** The end of a command that goes on until it is told to stop: Ctrl-C, SIGTERM, or a reader that went away. */

/** Its signal is aborted once; a second Ctrl-C ends the process as ever. */
export function ended(): AbortController {
  const over = new AbortController();
  const end = (): void => over.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  // `understudy events --follow | head`: nobody reads on.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    end();
  });
  return over;
}
