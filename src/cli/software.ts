import { hostname } from 'node:os';
import type { Software } from '../node/agent/home.ts';
import { VERSION } from '../world/version.ts';

export function softwareVersion(): string {
  return VERSION;
}

/** What wrote a snapshot: stored in its sealed half. */
export function softwareName(): string {
  return `lowtide ${VERSION}`;
}

export function hostName(): string {
  return hostname() || 'localhost';
}

export function software(): Software {
  return { name: softwareName(), host: hostName() };
}
