import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as tls from 'node:tls';
import { centerIdOf, clientIdOf, signingKeyFromSeed } from '../format/signing.ts';
import { DAY_MS } from '../model/time.ts';
import {
  type CertifiedKey,
  CLOCK_SKEW_MS,
  issueClientCertificate,
  issueServerCertificate,
  LIFETIME,
  makeIssuer,
  makeRoot,
  needsRenewal,
  parseCertificate,
  privateKeyPem,
  publicKeyHash,
  rawKeyHash,
  readClientCertificate,
  readPrivateKeyPem,
  readServerCertificate,
} from './certificates.ts';

const seed = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const keyOf = (fill: number) => signingKeyFromSeed(seed(fill));
const now = Date.now();
const issuance = (fill: number, at = now) => ({ serial: new Uint8Array(16).fill(fill), now: at });

function center(fill: number, at = now) {
  const id = centerIdOf(keyOf(fill).publicKey);
  const root = makeRoot(id, keyOf(fill + 1), issuance(fill + 1, at));
  const issuer = makeIssuer(id, root, keyOf(fill + 2), issuance(fill + 2, at));
  return { id, root, issuer };
}

const home = center(10);
const client = clientIdOf(keyOf(40).publicKey);
const clientKey = keyOf(41);
const serverKey = keyOf(42);
const names = ['localhost', '127.0.0.1', '::1', 'backup.example.org'];
const serverLeaf = (issuer: CertifiedKey = home.issuer, at = now): string =>
  issueServerCertificate(
    issuer,
    { center: home.id, names, publicKey: serverKey.publicKey },
    issuance(200, at),
  );
const clientLeaf = (issuer: CertifiedKey = home.issuer, at = now, key = clientKey): string =>
  issueClientCertificate(issuer, { client, publicKey: key.publicKey }, issuance(201, at));

test('certificates say who, for how long and for what', () => {
  const server = new X509Certificate(serverLeaf());
  assert.equal(readServerCertificate(server).center, home.id);
  assert.equal(server.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(server.checkIP('::1'), '::1');
  assert.equal(server.checkHost('backup.example.org'), 'backup.example.org');
  assert.equal(server.ca, false);
  const leaf = readClientCertificate(new X509Certificate(clientLeaf()));
  assert.equal(leaf.client, client);
  assert.equal(leaf.keyHash, rawKeyHash(clientKey.publicKey));
  assert.equal(leaf.notBefore, Math.floor((now - CLOCK_SKEW_MS) / 1000) * 1000);
  assert.equal(leaf.notAfter, Math.floor((now + LIFETIME.client) / 1000) * 1000);
  assert.throws(() => readClientCertificate(server), { code: 'not-enrolled' });
  assert.throws(() => readServerCertificate(new X509Certificate(clientLeaf())), { code: 'wrong-center' });
});

test('the same facts give the same certificate', () => {
  assert.equal(clientLeaf(), clientLeaf());
});

test('a serial number with its first bit set, and a life past 2049, are valid DER', () => {
  const late = Date.UTC(2060, 0, 1);
  const { root, issuer } = center(60, late);
  const leaf = issueClientCertificate(
    issuer,
    { client, publicKey: clientKey.publicKey },
    {
      serial: Buffer.from('00ff'.repeat(8), 'hex'),
      now: late,
    },
  );
  assert.equal(new X509Certificate(leaf).serialNumber, 'FF00FF00FF00FF00FF00FF00FF00FF');
  assert.equal(new X509Certificate(root.certificate).validToDate.getTime(), late + LIFETIME.root);
});

test('OpenSSL accepts the chain, strictly, for its purpose only', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lowtide-certificates-'));
  after(() => rmSync(directory, { recursive: true }));
  const put = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const root = put('root', home.root.certificate);
  const issuer = put('issuer', home.issuer.certificate);
  const verify = (leaf: string, purpose: string): string =>
    execFileSync(
      'openssl',
      ['verify', '-x509_strict', '-CAfile', root, '-untrusted', issuer, '-purpose', purpose, leaf],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
  const server = put('server', serverLeaf());
  const person = put('client', clientLeaf());
  assert.match(verify(server, 'sslserver'), /: OK/);
  assert.match(verify(person, 'sslclient'), /: OK/);
  assert.throws(() => verify(person, 'sslserver'), /unsuitable certificate purpose|unsupported/);
  assert.throws(() => verify(server, 'sslclient'), /unsuitable certificate purpose|unsupported/);
  const deeper = makeIssuer(center(80).id, home.issuer, keyOf(90), issuance(90));
  put('issuer', home.issuer.certificate + deeper.certificate);
  const below = put('below', clientLeaf(deeper));
  assert.throws(() => verify(below, 'sslclient'), /path length constraint/);
});

interface Ends {
  readonly server: tls.TlsOptions;
  readonly client: tls.ConnectionOptions;
}

/** What the server thinks of the client, or the error of the handshake. */
async function handshake(ends: Ends): Promise<string> {
  const server = tls.createServer({ minVersion: 'TLSv1.3', requestCert: true, ...ends.server });
  const seen = new Promise<string>((resolve) => {
    server.on('secureConnection', (socket) => {
      resolve(socket.authorized ? 'authorized' : String(socket.authorizationError));
      socket.end();
    });
    server.on('tlsClientError', (error) => resolve(error.message));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = tls.connect({ host: '127.0.0.1', port, ...ends.client });
  const failed = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  socket.resume();
  const accepted = once(socket, 'secureConnect').then(() => seen);
  accepted.catch(() => {});
  const answer = await Promise.race([accepted, failed]);
  socket.destroy();
  server.close();
  return answer;
}

const ends = (changes: { server?: tls.TlsOptions; client?: tls.ConnectionOptions } = {}): Ends => ({
  server: {
    key: privateKeyPem(serverKey),
    cert: serverLeaf() + home.issuer.certificate,
    ca: home.root.certificate,
    rejectUnauthorized: false,
    ...changes.server,
  },
  client: {
    key: privateKeyPem(clientKey),
    cert: clientLeaf() + home.issuer.certificate,
    ca: home.root.certificate,
    ...changes.client,
  },
});

test('a mutual TLS 1.3 handshake succeeds with Ed25519 throughout', async () => {
  assert.equal(await handshake(ends()), 'authorized');
});

test('a client of another center, expired, not yet valid, or with a server certificate is not authorized (faults 20)', async () => {
  const other = center(70);
  const foreign = { cert: clientLeaf(other.issuer) + other.issuer.certificate };
  assert.match(
    await handshake(ends({ client: foreign })),
    /SELF_SIGNED|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY/,
  );
  const old = { cert: clientLeaf(home.issuer, now - 2 * LIFETIME.client) + home.issuer.certificate };
  assert.equal(await handshake(ends({ client: old })), 'CERT_HAS_EXPIRED');
  const early = { cert: clientLeaf(home.issuer, now + DAY_MS) + home.issuer.certificate };
  assert.equal(await handshake(ends({ client: early })), 'CERT_NOT_YET_VALID');
  const server = { key: privateKeyPem(serverKey), cert: serverLeaf() + home.issuer.certificate };
  assert.equal(await handshake(ends({ client: server })), 'INVALID_PURPOSE');
});

test('a client cannot play the server, and TLS 1.2 is refused (faults 20)', async () => {
  const asServer = { key: privateKeyPem(clientKey), cert: clientLeaf() + home.issuer.certificate };
  assert.equal(await handshake(ends({ server: asServer })), 'INVALID_PURPOSE');
  assert.match(
    await handshake(ends({ client: { maxVersion: 'TLSv1.2' } })),
    /PROTOCOL_VERSION|unsupported protocol/i,
  );
});

test('keys go to PEM and come back; what is no Ed25519 key is refused', () => {
  assert.deepEqual(readPrivateKeyPem(privateKeyPem(serverKey), 'here').seed, serverKey.seed);
  assert.throws(() => readPrivateKeyPem('nonsense', 'server.key'), {
    code: 'wrong-key',
    message: 'server.key does not hold an Ed25519 private key',
  });
  assert.throws(() => parseCertificate('nonsense'), { code: 'bad-request' });
  assert.equal(publicKeyHash(home.root.certificate), rawKeyHash(home.root.key.publicKey));
});

test('a certificate needs renewal when less than a third of its life is left', () => {
  const leaf = clientLeaf();
  assert.equal(needsRenewal(leaf, now + LIFETIME.client / 2), false);
  assert.equal(needsRenewal(leaf, now + (LIFETIME.client * 3) / 4), true);
});

test('a certificate that was made while a clock was ahead needs renewal once that is set right', () => {
  const leaf = clientLeaf();
  assert.equal(needsRenewal(leaf, now - CLOCK_SKEW_MS / 2), false);
  assert.equal(needsRenewal(leaf, now - 2 * CLOCK_SKEW_MS), true);
});
