import type { PathKey } from '../../src/model/paths.ts';
import { SimulatedNode } from '../../src/sim/node.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { Clock } from '../../src/world/ports.ts';
import { clockConformance } from './clock.ts';
import { databasesConformance } from './databases.ts';
import { diskConformance } from './disk.ts';
import { filesConformance } from './files.ts';
import { monitorConformance } from './monitor.ts';
import { randomConformance } from './random.ts';
import { workConformance } from './work.ts';

const newNode = (): SimulatedNode => new SimulatedNode(new Simulation({ seed: 1 }), { name: 'node' });

const simulations = new WeakMap<Clock, Simulation>();
clockConformance(
  'simulated',
  () => {
    const node = newNode();
    const { clock } = node.boot();
    simulations.set(clock, node.simulation);
    return clock;
  },
  { pass: (clock, waiting) => simulations.get(clock)!.finish(waiting) },
);

monitorConformance('simulated', () => {
  const node = newNode();
  const { records } = node.simulation.recorder;
  const told = (): object[] =>
    records.map((record) => (record.what === 'event' ? record.event : record.problem));
  return { monitor: node.boot().monitor, told };
});

randomConformance('simulated', () => newNode().boot().random);

for (const sectorBytes of [512, 4096]) {
  diskConformance(`simulated, sectors of ${sectorBytes} bytes`, async () => {
    const node = new SimulatedNode(new Simulation({ seed: 1 }), { name: 'node', sectorBytes });
    const { disk } = node.boot();
    await disk.makeDirectory('/data');
    return { disk, directory: '/data' };
  });
}

databasesConformance('simulated', async () => {
  const { databases, disk } = newNode().boot();
  await disk.makeDirectory('/data');
  return { databases, path: '/data/database' };
});

workConformance('simulated', () => ({ work: newNode().boot().work }));

for (const superuser of [true, false]) {
  filesConformance(
    superuser ? 'simulated, as root' : 'simulated, as a user',
    async () => {
      const node = newNode();
      node.files.superuser = superuser;
      node.files.makeDirectory('/root');
      return {
        files: node.boot().files,
        root: 'root' as PathKey,
        meddle: {
          rename: async (from, to) => node.files.rename(from, to),
          remove: async (path) => node.files.remove(path),
        },
      };
    },
    { owners: superuser, devices: superuser },
  );
}
