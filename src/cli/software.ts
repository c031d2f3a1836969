import { hostname } from 'node:os';
import type { Software } from '../node/agent-home.ts';
import pkg from '../../package.json' with { type: 'json' };

export function softwareVersion(): string {
  return pkg.version;
}

/** What wrote a snapshot: stored in its sealed half. */
export function softwareName(): string {
  return `lowtide ${pkg.version}`;
}

export function hostName(): string {
  return hostname() || 'localhost';
}

export function software(): Software {
  return { name: softwareName(), host: hostName() };
}
