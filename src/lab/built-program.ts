/** Where a program of ours lies compiled: a child process needs JavaScript, also when its parent is a test that runs from src/. */
import { fileURLToPath } from 'node:url';

/** `relative` is the compiled file beside the caller, `callerUrl` its import.meta.url. */
export function builtProgram(relative: string, callerUrl: string): string {
  const url = new URL(relative, callerUrl);
  url.pathname = url.pathname.replace(/\/src\/((?:lab|chaos)\/.*)$/, '/dist/$1');
  return fileURLToPath(url);
}
