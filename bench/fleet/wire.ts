import { connect, createServer, type Server, type Socket } from 'node:net';

const BIN_MS = 100;
/** Bytes that are let onto a line at once. */
const PIECE_BYTES = 16 * 1024;
/** A timer that comes late must not cost the line anything: so much of what it could have carried may follow at once. */
const LATE_MS = 250;

/** A network line that several computers share: what one sends waits until the others' bytes before it have gone. */
export class WireLine {
  readonly name: string;
  readonly bytesPerSecond: number;
  #freeAt = 0;

  constructor(name: string, bytesPerSecond: number) {
    this.name = name;
    this.bytesPerSecond = bytesPerSecond;
  }

  /** @returns milliseconds until these bytes have gone */
  take(bytes: number): number {
    const now = performance.now();
    this.#freeAt = Math.max(now - LATE_MS, this.#freeAt) + (bytes / this.bytesPerSecond) * 1000;
    return this.#freeAt - now;
  }
}

/** The way of one computer to the center over its line, on a port of its own: counts what the computer sends. */
export class Way {
  readonly line: WireLine;
  /** Bytes up in each tenth of a second since `from`, by the wall clock. */
  readonly bins: number[] = [];
  readonly from = Date.now();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(line: WireLine, center: number) {
    this.line = line;
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#join(socket, center));
  }

  static async open(line: WireLine, center: number): Promise<Way> {
    const way = new Way(line, center);
    await new Promise<void>((resolve) => way.#server.listen(0, '127.0.0.1', resolve));
    return way;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Bytes up within a stretch of time, to a tenth of a second. */
  bytesBetween(start: number, end: number): number {
    const [first, last] = [start, end].map((at) => Math.floor((at - this.from) / BIN_MS));
    return this.bins.slice(Math.max(0, first!), Math.max(0, last!)).reduce((a, b) => a + (b ?? 0), 0);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #join(below: Socket, center: number): void {
    const above = connect(center, '127.0.0.1');
    for (const [socket, other] of [
      [below, above],
      [above, below],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    above.pipe(below);
    void this.#carryUp(below, above);
  }

  async #carryUp(below: Socket, above: Socket): Promise<void> {
    try {
      for await (const data of below as AsyncIterable<Buffer>) {
        for (let at = 0; at < data.length; at += PIECE_BYTES) {
          const piece = data.subarray(at, at + PIECE_BYTES);
          const wait = this.line.take(piece.length);
          if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
          this.#count(piece.length);
          if (!above.write(piece))
            await new Promise((resolve) => above.once('drain', resolve).once('close', resolve));
        }
      }
      above.end();
    } catch {
      above.destroy();
    }
  }

  #count(bytes: number): void {
    const bin = Math.floor((Date.now() - this.from) / BIN_MS);
    this.bins[bin] = (this.bins[bin] ?? 0) + bytes;
  }
}
