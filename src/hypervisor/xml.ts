/** Reading and changing domain XML: strict parsing with a size limit, and typed accessors. */
import { DOMParser, type Document, type Element, onErrorStopParsing } from '@xmldom/xmldom';
import { messageOf } from '../errors.js';
import { hypervisorError } from './errors.js';
import { DOMAIN_XML_BYTES_MAX } from './limits.js';

/** @throws HYP_XML_BAD when too large, not well-formed, with a DOCTYPE, or not a domain */
export function parseDomainXml(xml: string): { document: Document; root: Element } {
  if (xml.length > DOMAIN_XML_BYTES_MAX) throw bad(`${xml.length} bytes are more than allowed`);
  if (xml.includes('<!DOCTYPE')) throw bad('a DOCTYPE is not allowed');
  const document = parse(xml);
  const root = document.documentElement;
  if (root === null || root.tagName !== 'domain') throw bad('the root element is not <domain>');
  return { document, root };
}

export function elements(parent: Element): Element[] {
  const found: Element[] = [];
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) {
    if (node.nodeType === node.ELEMENT_NODE) found.push(node as Element);
  }
  return found;
}

export function children(parent: Element | undefined, tagName: string): Element[] {
  return parent === undefined ? [] : elements(parent).filter((e) => e.tagName === tagName);
}

/** The first element at `path`, each step a child. */
export function at(parent: Element | undefined, ...path: string[]): Element | undefined {
  return path.reduce<Element | undefined>((element, step) => children(element, step)[0], parent);
}

export function attribute(element: Element | undefined, name: string): string | undefined {
  return element?.getAttribute(name) ?? undefined;
}

export function text(element: Element | undefined): string | undefined {
  const value = element?.textContent?.trim();
  return value === '' ? undefined : value;
}

export function append(parent: Element, child: Element): Element {
  parent.appendChild(child);
  return child;
}

/** @throws HYP_XML_BAD */
export function required(value: string | undefined, what: string): string {
  if (value === undefined) throw bad(`${what} is missing`);
  return value;
}

/** For text and attribute values in XML that is put together by hand. */
export function escapeXml(value: string): string {
  return value.replace(/[&<>'"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A libvirt size element (`<memory unit='KiB'>`) in bytes. @throws HYP_XML_BAD */
export function sizeBytes(element: Element | undefined, what: string): number {
  const unit = attribute(element, 'unit') ?? 'KiB';
  const factor = UNIT_BYTES.get(unit);
  const value = Number(required(text(element), what));
  const bytes = value * (factor ?? Number.NaN);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw bad(`${what} is not a size`);
  return bytes;
}

/** formatdomain: "b"/"bytes", decimal KB/MB/GB/TB, binary k/KiB, M/MiB, G/GiB, T/TiB. */
const UNIT_BYTES = new Map<string, number>(
  Object.entries({
    b: 1,
    bytes: 1,
    KB: 1e3,
    k: 2 ** 10,
    KiB: 2 ** 10,
    MB: 1e6,
    M: 2 ** 20,
    MiB: 2 ** 20,
    GB: 1e9,
    G: 2 ** 30,
    GiB: 2 ** 30,
    TB: 1e12,
    T: 2 ** 40,
    TiB: 2 ** 40,
  }),
);

function parse(xml: string): Document {
  try {
    return new DOMParser({ onError: onErrorStopParsing }).parseFromString(xml, 'text/xml');
  } catch (error) {
    throw bad(messageOf(error));
  }
}

function bad(why: string) {
  return hypervisorError('HYP_XML_BAD', `bad domain XML: ${why}`);
}
