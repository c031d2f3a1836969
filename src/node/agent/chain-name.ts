import { createHmac } from 'node:crypto';
import type { KeyStore } from '../../format/domain-keys.ts';
import { deriveKey } from '../../format/siv-box.ts';
import type { Job } from '../../model/jobs.ts';

const NO_SALT = new Uint8Array(0);

/**
 * What a job's manifests call it (format F44). Centers see that, so a private job's is a name that says nothing: keyed
 * with the domain key, and always with the oldest one, so that it stays the same when a key is added. The owner's
 * ledger knows which is which.
 */
export function chainName(keys: KeyStore, job: Pick<Job, 'name' | 'private'>): string {
  if (!job.private) return job.name;
  const key = deriveKey(keys.epochs[0]!.domainKey, NO_SALT, 'lowtide/1/private-job');
  return `private-${createHmac('sha256', key).update(job.name).digest('hex').slice(0, 32)}`;
}
