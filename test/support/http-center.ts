import { connectCenter, type CenterConnection } from '../../src/http/center-client.ts';
import type { HttpLimits } from '../../src/http/http-limits.ts';
import { joinCenter, type Joined, pinOf } from '../../src/http/join.ts';
import { type CenterServer, serveCenter } from '../../src/http/server.ts';
import { type Authority, createAuthority, serverCredentials } from '../../src/identity/authority.ts';
import { clientCredentials } from '../../src/identity/client-identity.ts';
import { Enrollment } from '../../src/identity/enrollment.ts';
import { type JoinToken, parseToken } from '../../src/identity/token.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import type { CenterId, ClientId } from '../../src/model/ids.ts';
import type { Limits } from '../../src/model/limits.ts';
import type { CenterApi } from '../../src/protocol/center-api.ts';
import { MemoryCenter } from './memory-center.ts';
import { realWorld, type TestWorld } from './real-world.ts';

/** A center on loopback, with real keys, a real ledger and real sockets; what it stores is in memory. */
export class HttpCenter {
  readonly world: TestWorld;
  readonly ledger: Ledger;
  readonly authority: Authority;
  readonly enrollment: Enrollment;
  readonly center: MemoryCenter;
  /** Who answers clients; what is in memory only, unless a test puts a real collector there. */
  serving: (client: ClientId) => CenterApi;
  #server: CenterServer | null = null;
  #machines = 0;

  readonly #http: Partial<HttpLimits>;

  private constructor(world: TestWorld, ledger: Ledger, authority: Authority, http: Partial<HttpLimits>) {
    this.world = world;
    this.ledger = ledger;
    this.authority = authority;
    this.enrollment = new Enrollment(world, ledger, authority);
    this.center = new MemoryCenter(authority.face);
    this.serving = (client) => this.center.apiFor(client);
    this.#http = http;
  }

  static async start(http: Partial<HttpLimits> = {}, limits: Partial<Limits> = {}): Promise<HttpCenter> {
    const world = await realWorld(limits);
    const ledger = await Ledger.open(world, `${world.directory}/ledger.db`);
    const authority = await createAuthority(world, `${world.directory}/identity`, {
      name: 'Tokyo',
      kind: 'center',
    });
    const house = new HttpCenter(world, ledger, authority, http);
    house.#server = await house.#serve(0);
    return house;
  }

  get server(): CenterServer {
    if (this.#server === null) throw new TypeError('the server was not started');
    return this.#server;
  }

  /** A new server at the same place; close the old one first. */
  async restart(): Promise<void> {
    this.#server = await this.#serve(this.server.port);
  }

  #serve(port: number): Promise<CenterServer> {
    const { world, authority, enrollment } = this;
    return serveCenter({
      world,
      credentials: () => serverCredentials(world, authority, ['127.0.0.1', 'localhost']),
      enrollment,
      api: (client) => this.serving(client),
      listen: { host: '127.0.0.1', port },
      limits: this.#http,
    });
  }

  async token(name: string, role: 'agent' | 'relay' = 'agent'): Promise<JoinToken> {
    const addresses = [{ host: '127.0.0.1', port: this.server.port }];
    return parseToken((await this.enrollment.makeToken({ addresses, name, role })).text);
  }

  /** @param node what it is called as a node itself, if it is a relay */
  async join(name: string, node?: CenterId): Promise<Joined> {
    const directory = `${this.world.directory}/machine${this.#machines++}/identity`;
    const token = await this.token(name, node === undefined ? 'agent' : 'relay');
    return await joinCenter(this.world, directory, token, { host: name, ...(node && { node }) });
  }

  connect({ identity, center }: Joined, http: Partial<HttpLimits> = {}): CenterConnection {
    const credentials = clientCredentials(identity, center);
    return connectCenter({ pin: pinOf(center), ca: center.ca, credentials, limits: this.world.limits, http });
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.ledger.close();
    await this.world.dispose();
  }
}
