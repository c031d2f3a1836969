import type { Command } from 'commander';
import { centerPaths, openCenterHome } from '../../../node/center/home.ts';
import { readCenterSettings } from '../../../node/settings/center-settings.ts';
import { overviewPeople } from '../../../node/center/overview.ts';
import { centerPeople } from '../../../node/center/people.ts';
import { Pulls } from '../../../node/center/pulls.ts';
import { LastGood } from '../../../node/settings/yaml-file.ts';
import { serveNode } from '../../collecting-daemon.ts';
import { httpsConnector } from '../../connector.ts';
import { type Context, dataFolder } from '../../context.ts';
import type { LogMonitor } from '../../log-monitor.ts';
import { softwareName } from '../../software.ts';
import { daemonAction, FOREGROUND, newVerb } from '../../verb.ts';
import { whenNobodyRuns } from '../../when-free.ts';
import { type NodeOptions, withNodeData } from './options.ts';

export function centerRunVerb(): Command {
  const verb = newVerb('run', {
    summary: 'Run the center: hears offers, orders computers one after another to send, keeps what arrives',
    about: FOREGROUND + ': what had arrived is kept, and the rest is asked for when it runs again.',
    examples: [['lowtide center run', 'in a terminal, or from a service manager']],
  });
  return withNodeData(verb, 'center').action(daemonAction(run));
}

async function run(context: Context, log: LogMonitor, options: NodeOptions): Promise<void> {
  const { world, stop } = context;
  const data = dataFolder('center', options.data);
  const { socket, config, identity } = centerPaths(data);
  const home = await whenNobodyRuns(context, socket, () => openCenterHome(world, data));
  const { name } = home.authority.face;
  const file = new LastGood(world, home.settings, () => readCenterSettings(world, config));
  const connector = httpsConnector(world, identity);
  const pulls = new Pulls(home, connector, softwareName());
  try {
    const mistake = async (): Promise<string | null> => {
      await file.current();
      return file.mistake;
    };
    const desk = { ...home, running: true, mistake, software: softwareName() };
    const people = { ...centerPeople(desk), ...overviewPeople(desk), ...pulls.people };
    const served = { ...home, people, socket, refresh: () => file.current() };
    await serveNode(context, log, served, stop, (where) => {
      world.monitor.event({ kind: 'started', role: 'center', name });
      context.output.line(`  ${where}`);
    });
  } finally {
    await pulls.end();
    connector.close();
    await home.node.close();
  }
  world.monitor.event({ kind: 'stopped', role: 'center', name });
}
