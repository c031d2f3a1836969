import { LowtideError } from '../../model/errors.ts';
import type { Role } from '../context.ts';

/** What systemd shall run, and as whom. */
export interface Service {
  readonly role: Role;
  /** Path of the command line. */
  readonly program: string;
  readonly data: string;
  /** The data folder, and where links in it lead. */
  readonly writable: readonly string[];
  /** Null for a service of the user's own, which his systemd runs. */
  readonly user: string | null;
  /** Whether anything of it is in somebody's home, or below /tmp: that cannot be hidden from it then. */
  readonly inHome: boolean;
  readonly inTemporary: boolean;
}

export const unitName = (role: Role): string => `lowtide-${role}.service`;

/**
 * The unit file (systemd.unit(5), systemd.exec(5)). What others connect to is shut in: it needs its store and the network. An agent
 * is not: it reads what its jobs name and runs the programs that its owner allowed, and only stands back behind other work.
 * @throws LowtideError `bad-request` for a path that no unit can name
 */
export function unitText(service: Service): string {
  const { role, program, data, user } = service;
  const start = [program, role, 'run', '--data', data].map(quoted).join(' ');
  const sections: readonly (readonly [string, readonly string[]])[] = [
    [
      'Unit',
      [
        `Description=Lowtide ${role}`,
        ...(user === null
          ? []
          : ['Wants=network-online.target', 'After=network-online.target time-sync.target']),
      ],
    ],
    [
      'Service',
      [
        'Type=exec',
        `ExecStart=${start}`,
        ...(user === null ? [] : [`User=${user}`]),
        'Restart=on-failure',
        'RestartSec=10',
        'UMask=0077',
        'LimitNOFILE=65536',
        ...(role === 'agent' ? STANDS_BACK : []),
        ...(role === 'agent' || user === null ? [] : shutIn(service)),
      ],
    ],
    ['Install', [`WantedBy=${user === null ? 'default.target' : 'multi-user.target'}`]],
  ];
  const body = sections.map(([title, lines]) => [`[${title}]`, ...lines].join('\n')).join('\n\n');
  return `# Written by 'lowtide service install'.\n${body}\n`;
}

const STANDS_BACK = ['Nice=10', 'CPUWeight=50', 'IOSchedulingPriority=7'];

/** Memory that can be written and run is what V8 compiles into: that one lock cannot be had. */
function shutIn({ writable, inHome, inTemporary }: Service): string[] {
  return [
    'NoNewPrivileges=yes',
    'CapabilityBoundingSet=',
    'ProtectSystem=strict',
    `ReadWritePaths=${writable.map(quoted).join(' ')}`,
    ...(inHome ? [] : ['ProtectHome=yes']),
    ...(inTemporary ? [] : ['PrivateTmp=yes']),
    'PrivateDevices=yes',
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'ProtectProc=invisible',
    'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'LockPersonality=yes',
    'SystemCallArchitectures=native',
    'SystemCallFilter=@system-service',
    'SystemCallErrorNumber=EPERM',
  ];
}

function quoted(text: string): string {
  if (/[\p{Cc}]/u.test(text)) {
    const shown = JSON.stringify(text);
    throw new LowtideError(
      'bad-request',
      `${shown} cannot stand in a unit of systemd: name it without control characters`,
    );
  }
  if (/^[\w@+=:,./-]+$/.test(text)) return text;
  // `%` begins a specifier, `$` a variable.
  return `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;
}
