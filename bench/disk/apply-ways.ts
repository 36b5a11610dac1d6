/**
 * Three ways to bring the same writes onto a disk: each has a file of its own, whose every block has been written. The
 * two floors make their system calls at once: trips to another thread would be a good part of their time.
 */
import { fdatasyncSync, writeSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { native } from '../../src/native.js';
import { chunksOf } from './chunks.js';

const PIECE_BYTES = 1024 * 1024;
/** One for the journal, one for the disk (native/disk/journal.h). */
const FLUSHES_PER_TRANSACTION = 2;
const SESSION = '0123456789abcdef0123456789abcdef';

export interface Transaction {
  /** From 1 on. */
  number: number;
  offsets: readonly number[];
  /** Of each write. */
  writeBytes: number;
  content: Buffer;
}

export interface Way {
  /** Durable when it resolves. Resolves with how long that took, ms. */
  write(transaction: Transaction): Promise<number>;
  close(): Promise<void>;
}

export interface Place {
  directory: string;
  diskBytes: number;
}

/** Journal, flush, in place, flush: what the backup does with a committed checkpoint. */
export async function applied({ directory, diskBytes }: Place): Promise<Way> {
  const path = `${directory}/replica`;
  const journalDirectory = `${directory}/journal`;
  await mkdir(journalDirectory);
  await writeWhole(path, diskBytes);
  const disks = [{ path, bytes: diskBytes }];
  const store = await native.disks.openStore({ journalDirectory, disks });
  const position = (epoch: number) => ({ session: SESSION, term: 1, epoch });
  await store.beginCopy();
  await store.commit([], position(0));
  return {
    write: (transaction) => {
      const chunks = chunksOf(transaction);
      return took(() => store.commit(chunks, position(transaction.number)));
    },
    close: () => store.close(),
  };
}

/** From front to back, over and over, with as many flushes, evenly spread. */
export async function copied({ directory, diskBytes }: Place): Promise<Way> {
  const path = `${directory}/copy`;
  await writeWhole(path, diskBytes);
  const file = await open(path, 'r+');
  return {
    write: ({ number, content }) => {
      const first = (number * content.length) % diskBytes;
      const flushedBytes = content.length / FLUSHES_PER_TRANSACTION;
      return took(async () => {
        for (let at = 0; at < content.length; at += flushedBytes) {
          writeSync(file.fd, content, at, flushedBytes, first + at);
          fdatasyncSync(file.fd);
        }
      });
    },
    close: () => file.close(),
  };
}

/** Straight in place with one flush, all or nothing or a part of it: what the disk takes for these very places. */
export async function inPlace({ directory, diskBytes }: Place): Promise<Way> {
  const path = `${directory}/in-place`;
  await writeWhole(path, diskBytes);
  const file = await open(path, 'r+');
  return {
    write: ({ offsets, writeBytes, content }) =>
      took(async () => {
        offsets.forEach((offset, index) => {
          writeSync(file.fd, content, index * writeBytes, writeBytes, offset);
        });
        fdatasyncSync(file.fd);
      }),
    close: () => file.close(),
  };
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

async function writeWhole(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'wx');
  try {
    const piece = Buffer.alloc(PIECE_BYTES, 0x5a);
    for (let at = 0; at < bytes; at += piece.length) await file.write(piece, 0, piece.length, at);
    await file.sync();
  } finally {
    await file.close();
  }
}
