import { execFileSync } from 'node:child_process';

const FAR = 'lowtide-far';
/** Between the two: who sends does not see how long the queue is, as with a router of one's own. */
const ROUTER = 'lowtide-router';
const NEAR_LINK = 'lt-near';
export const NEAR_STATISTICS = `/sys/class/net/${NEAR_LINK}/statistics/tx_bytes`;
export const FAR_ADDRESS = '10.231.78.2';

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'pipe' });

/** What runs a command at the far end. */
export const AT_FAR_END: readonly string[] = ['ip', 'netns', 'exec', FAR];

/**
 * A line to a network of its own on this machine, thin upwards with one queue for all, as the uplink of a branch is. Takes
 * root and a kernel with network namespaces and `tbf`.
 * @param queueMs how long a byte may wait in front of the line before it is dropped
 */
export function openLine(megabits: number, queueMs: number): void {
  closeLine();
  for (const name of [FAR, ROUTER]) {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('link', 'add', NEAR_LINK, 'type', 'veth', 'peer', 'name', 'lt-in', 'netns', ROUTER);
  ip('-n', ROUTER, 'link', 'add', 'lt-out', 'type', 'veth', 'peer', 'name', 'lt-far', 'netns', FAR);
  ip('address', 'add', '10.231.77.1/24', 'dev', NEAR_LINK);
  ip('-n', ROUTER, 'address', 'add', '10.231.77.2/24', 'dev', 'lt-in');
  ip('-n', ROUTER, 'address', 'add', '10.231.78.1/24', 'dev', 'lt-out');
  ip('-n', FAR, 'address', 'add', `${FAR_ADDRESS}/24`, 'dev', 'lt-far');
  ip('link', 'set', NEAR_LINK, 'up');
  ip('-n', ROUTER, 'link', 'set', 'lt-in', 'up');
  ip('-n', ROUTER, 'link', 'set', 'lt-out', 'up');
  ip('-n', FAR, 'link', 'set', 'lt-far', 'up');
  ip('netns', 'exec', ROUTER, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
  ip('route', 'add', '10.231.78.0/24', 'via', '10.231.77.2');
  ip('-n', FAR, 'route', 'add', '10.231.77.0/24', 'via', '10.231.78.1');
  const limits = ['rate', `${megabits}mbit`, 'burst', '16k', 'latency', `${queueMs}ms`];
  ip('netns', 'exec', ROUTER, 'tc', 'qdisc', 'add', 'dev', 'lt-out', 'root', 'tbf', ...limits);
}

/** Nothing of it stays. */
export function closeLine(): void {
  for (const name of [FAR, ROUTER]) {
    try {
      // The links in it go with it.
      ip('netns', 'delete', name);
    } catch {
      // There was none.
    }
  }
}
