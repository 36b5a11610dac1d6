/** What can go wrong with `understudy-chaos` itself, each with what to do about it. */
import { errorsOf } from '../errors.js';

export const chaosErrors = {
  CHAOS_USAGE: {
    meaning: 'The command line is wrong.',
    remedy: 'See `understudy-chaos --help`.',
  },
  CHAOS_SCHEDULE_INVALID: {
    meaning: 'The schedule file is not one, or names a fault or a value that there is not.',
    remedy: 'Correct the line named in the message; docs/chaos.md lists faults and keys.',
  },
  CHAOS_INVENTORY_INVALID: {
    meaning: 'The inventory cannot be read, or does not name exactly two hosts.',
    remedy: 'Correct the inventory, or choose the two hosts with --group.',
  },
  CHAOS_HOST_NOT_ALLOWED: {
    meaning: 'A host is not marked as one that faults may be put into. Nothing was touched.',
    remedy:
      'Set `understudy_chaos_allowed: true` for each host whose guests may be disturbed, and for no other.',
  },
  CHAOS_HOST_UNREACHABLE: {
    meaning: 'A host cannot be reached over ssh, or its key is not the known one.',
    remedy:
      'Connect once with `ssh` to see why; the host’s key must be in known_hosts and yours accepted there.',
  },
  CHAOS_HOST_LACKS: {
    meaning: 'A host lacks a program that faults are put in or mended with. Nothing was touched.',
    remedy: 'Install the packages named in the message on that host.',
  },
  CHAOS_COMMAND_FAILED: {
    meaning: 'A command that puts a fault in, or mends one, failed on a host.',
    remedy:
      'Read its output in the message. Everything put in was mended as far as possible; see docs/chaos.md for doing it by hand.',
  },
  CHAOS_FAULT_IMPOSSIBLE: {
    meaning: 'A fault has nothing to act on: no such process, no disk that may be filled.',
    remedy: 'The message says what is missing; leave the fault out of the schedule.',
  },
  CHAOS_NOT_PROTECTED: {
    meaning: 'The domain was not protected within the bound, so there is nothing to prove.',
    remedy: 'Look at `understudy status DOMAIN` on both hosts; see docs/operations.md.',
  },
  CHAOS_PROMISE_BROKEN: {
    meaning:
      'An answered write is missing, or packets were heard that the guest has forgotten, or two instances were heard.',
    remedy:
      'This is a bug in understudy, or a planted one: keep the report and the logs of both hosts.',
  },
  CHAOS_WORKLOAD_FAILED: {
    meaning: 'The client that writes to Redis in the guest could not begin, or ended by itself.',
    remedy: 'See whether the guest’s Redis answers at the address given with --redis.',
  },
  CHAOS_STOPPED: {
    meaning: 'The run was stopped before its end. What was put in has been mended.',
    remedy: 'Start it again; the same seed gives the same faults.',
  },
} as const;

export const chaosError = errorsOf(chaosErrors);
