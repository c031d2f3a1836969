import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP relay on loopback that counts what goes up through it. Nothing is held back. */
export class Meter {
  /** When so many bytes had come: by the wall clock in milliseconds. */
  readonly arrivals: { readonly at: number; readonly bytes: number }[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(port: number, to: number) {
    this.#server = createServer((down) => {
      const up = connect(to, '127.0.0.1');
      for (const socket of [down, up]) {
        this.#sockets.add(socket);
        socket.setNoDelay(true);
        socket.on('error', () => {});
        socket.on('close', () => {
          down.destroy();
          up.destroy();
          this.#sockets.delete(socket);
        });
      }
      down.on('data', (bytes: Buffer) => {
        this.arrivals.push({ at: Date.now(), bytes: bytes.length });
        if (!up.write(bytes)) {
          down.pause();
          up.once('drain', () => down.resume());
        }
      });
      up.pipe(down);
    });
    this.#server.listen(port, '127.0.0.1');
  }

  /** Bytes that came in [from, until). */
  between(from: number, until: number): number {
    return this.arrivals.reduce((sum, { at, bytes }) => (at >= from && at < until ? sum + bytes : sum), 0);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
