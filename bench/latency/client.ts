/** The client of the guest whose clock the figures are taken by (client.c), in the client’s namespace. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../src/lab/command.js';
import type { Lab } from '../../src/lab/lab.js';
import type { Place } from '../../src/lab/place.js';
import { SPIN_PORT } from '../../src/lab/ports.js';
import { CLIENT_SLACK_MS } from '../limits.js';
import {
  type ClosedLoop,
  parseBulk,
  parseClosedLoop,
  parseMicroseconds,
  parseSpin,
  type SpinTook,
} from './client-lines.js';

const SOURCE = fileURLToPath(new URL('../../../bench/latency/client.c', import.meta.url));

export class MeasuringClient {
  private constructor(
    private readonly lab: Lab,
    private readonly directory: string,
  ) {}

  static async build(lab: Lab): Promise<MeasuringClient> {
    const directory = await mkdtemp(`${tmpdir()}/understudy-client-`);
    await runCommand('gcc', ['-O2', '-o', `${directory}/client`, SOURCE]);
    return new MeasuringClient(lab, directory);
  }

  /** Round trips of ICMP echoes with gaps of 20 to 120 ms, evenly, µs. @throws LAB_COMMAND_FAILED */
  async ping(address: string, count: number, from: Place = this.lab.client): Promise<number[]> {
    return parseMicroseconds(await this.#run(from, ['ping', address, count]));
  }

  /** SET and GET by turns over each of `clients` connections. @throws LAB_COMMAND_FAILED */
  async redis(address: string, clients: number, seconds: number): Promise<ClosedLoop> {
    return parseClosedLoop(
      await this.#run(this.lab.client, ['redis', address, clients, seconds], seconds),
    );
  }

  /** Large values from Redis in the guest over one connection, MB/s. @throws LAB_COMMAND_FAILED */
  async bulk(address: string, seconds: number): Promise<number> {
    return parseBulk(await this.#run(this.lab.client, ['bulk', address, seconds], seconds));
  }

  /** How long spin in the guest takes for so many rounds. @throws LAB_COMMAND_FAILED */
  async spin(address: string, rounds: number): Promise<SpinTook> {
    return parseSpin(await this.#run(this.lab.client, ['spin', address, SPIN_PORT, rounds]));
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true });
  }

  async #run(place: Place, args: readonly (string | number)[], seconds = 0): Promise<string> {
    const timeoutMs = seconds * 1000 + CLIENT_SLACK_MS;
    return (await place.exec(`${this.directory}/client`, args.map(String), { timeoutMs })).stdout;
  }
}
