/**
 * How the guest's tap stood on its bridge before its output was held. It is kept as the tap's
 * own interface alias, so that it lives exactly as long as the tap, survives a crash of every
 * process of ours, and can be given back by whoever comes later. Pure.
 */
import { holdError } from './errors.js';
import { INTERFACE_ALIAS_CHARS_MAX } from './limits.js';

export interface PortRecord {
  readonly bridge: string;
  /** The clsact qdisc on the tap is ours and goes with the hold. */
  readonly ownsQdisc: boolean;
  /** Bridge port settings that differ from the kernel's defaults, in ip's words. */
  readonly settings: Readonly<Record<string, string>>;
  /** VLANs as `10`, `20-30`, with `.p` (port VLAN) and `.u` (untagged); empty without filtering. */
  readonly vlans: readonly string[];
  /** The alias the tap had. */
  readonly alias: string;
}

const mark = 'understudy:1';

/** The alias text; HOLD_RECORD_TOO_LONG when the kernel could not keep it. */
export function encodePortRecord(record: PortRecord): string {
  const settings = Object.entries(record.settings).map(([name, value]) => `${name}.${value}`);
  const text = [
    mark,
    `bridge=${record.bridge}`,
    `qdisc=${record.ownsQdisc ? 'own' : 'foreign'}`,
    `port=${settings.join(',')}`,
    `vlan=${record.vlans.join(',')}`,
    `alias=${encodeURIComponent(record.alias)}`,
  ].join(';');
  if (text.length > INTERFACE_ALIAS_CHARS_MAX) {
    throw holdError('HOLD_RECORD_TOO_LONG', `the port record has ${text.length} characters`);
  }
  return text;
}

/** Undefined when the alias is somebody else's. */
export function decodePortRecord(alias: string): PortRecord | undefined {
  const [first, ...parts] = alias.split(';');
  if (first !== mark) return undefined;
  const fields = new Map(parts.map((part) => splitAt(part, '=')));
  const bridge = fields.get('bridge');
  if (bridge === undefined) return undefined;
  const list = (name: string) => (fields.get(name) ?? '').split(',').filter((item) => item !== '');
  return {
    bridge,
    ownsQdisc: fields.get('qdisc') === 'own',
    settings: Object.fromEntries(list('port').map((item) => splitAt(item, '.'))),
    vlans: list('vlan'),
    alias: decodeURIComponent(fields.get('alias') ?? ''),
  };
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
