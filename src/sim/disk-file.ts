import type { RandomStream } from './random.ts';

/** 4 KiB where not told: what the page cache writes back. A sector is never changed in place; undefined is a hole. */
export type Sector = Uint8Array | undefined;

/** A file's bytes at one moment; shares its sectors with the file. */
export interface FileImage {
  readonly kind: 'file';
  readonly size: number;
  readonly sectors: readonly Sector[];
}

/**
 * What of the unsynced survives a crash: `kill` ends the process only, so that everything stays as it is; the others are
 * power losses. `keep` is the luckiest, `lose` the unluckiest, `draw` takes every choice from the seed.
 */
export type CrashPolicy = 'kill' | 'keep' | 'lose' | 'draw';

/** How one crash draws: the probability with which each unsynced thing survives. */
export interface SurvivalDraw {
  readonly random: RandomStream;
  readonly survival: number;
}

/** What keeps a file's bytes while it is open as a database: they change at commits only, and are durable then. */
export interface LiveContent {
  /** The same object until the next commit. */
  committed(): FileImage;
}

/** The content of one inode: what readers see, and what would be left of it after a power loss. */
export class DiskFile {
  readonly kind = 'file';
  readonly sectorBytes: number;
  #live: LiveContent | null = null;
  #loaded: FileImage | null = null;
  readonly #sectors: Sector[] = [];
  #allocated = 0;
  #size = 0;
  #durableSize = 0;
  /** By sector changed since the last sync: what the platter has there. */
  readonly #unsynced = new Map<number, Sector>();
  /** The same of sectors whose sync failed: the kernel calls them clean, so no later sync writes them (FAULTS A10). */
  readonly #lost = new Map<number, Sector>();

  /** Told of every change of `allocated`. */
  #account: (bytes: number) => void;

  constructor(sectorBytes: number, image?: FileImage, account: (bytes: number) => void = () => {}) {
    this.sectorBytes = sectorBytes;
    this.#account = account;
    if (image !== undefined) this.#load(image);
  }

  get size(): number {
    this.#refresh();
    return this.#size;
  }

  get live(): LiveContent | null {
    return this.#live;
  }

  /** From now on (until null) the bytes are whatever `live` has committed. */
  setLive(live: LiveContent | null): void {
    this.#refresh();
    this.#live = live;
    this.#loaded = null;
  }

  /** Bytes of the disk that it takes. */
  get allocated(): number {
    return this.#allocated;
  }

  /** It has lost its last name: its bytes are free. */
  abandon(): void {
    this.#account(-this.#allocated);
    this.#account = () => {};
  }

  /** Bytes of the disk that `write` would take in addition. */
  growth(position: number, length: number): number {
    let growth = 0;
    const end = Math.ceil((position + length) / this.sectorBytes);
    for (let index = Math.floor(position / this.sectorBytes); index < end; index++) {
      if (this.#sectors[index] === undefined) growth += this.sectorBytes;
    }
    return growth;
  }

  read(position: number, length: number): Uint8Array {
    this.#refresh();
    const end = Math.max(position, Math.min(this.#size, position + length));
    const bytes = new Uint8Array(end - position);
    for (let at = position; at < end;) {
      const within = at % this.sectorBytes;
      const take = Math.min(this.sectorBytes - within, end - at);
      const sector = this.#sectors[Math.floor(at / this.sectorBytes)];
      if (sector !== undefined) bytes.set(sector.subarray(within, within + take), at - position);
      at += take;
    }
    return bytes;
  }

  write(position: number, bytes: Uint8Array): void {
    this.#requireAtRest();
    for (let done = 0; done < bytes.length;) {
      const within = (position + done) % this.sectorBytes;
      const piece = bytes.subarray(done, done + this.sectorBytes - within);
      this.#change(Math.floor((position + done) / this.sectorBytes), within, piece);
      done += piece.length;
    }
    this.#size = Math.max(this.#size, position + bytes.length);
  }

  truncate(length: number): void {
    this.#requireAtRest();
    const whole = Math.ceil(length / this.sectorBytes);
    for (let index = whole; index < this.#sectors.length; index++) this.#remember(index);
    this.#cut(whole);
    const within = length % this.sectorBytes;
    const last = Math.floor(length / this.sectorBytes);
    if (within > 0 && this.#sectors[last] !== undefined) {
      this.#change(last, within, new Uint8Array(this.sectorBytes - within));
    }
    this.#size = length;
  }

  sync(): void {
    this.#unsynced.clear();
    this.#durableSize = this.#size;
  }

  /**
   * The sync failed: what it should have written is lost.
   * @param forget whether readers see that at once (as on Btrfs) or only after a crash (ext4, XFS)
   */
  failSync(forget: boolean): void {
    for (const [index, sector] of this.#unsynced) this.#lost.set(index, sector);
    this.#unsynced.clear();
    if (!forget) return;
    for (const [index, sector] of this.#lost) this.#put(index, sector);
    this.#lost.clear();
    this.#resize(this.#durableSize);
  }

  /** Damage at rest: nobody is told. */
  corrupt(offset: number, xor: Uint8Array): void {
    this.#requireAtRest();
    if (offset < 0 || offset + xor.length > this.#size) throw new RangeError('the file is shorter than that');
    for (let done = 0; done < xor.length; done++) {
      const index = Math.floor((offset + done) / this.sectorBytes);
      const copy = copyOf(this.#sectors[index], this.sectorBytes);
      const at = (offset + done) % this.sectorBytes;
      copy[at] = (copy[at] as number) ^ (xor[done] as number);
      this.#put(index, copy);
    }
  }

  /** Other bytes at rest: nobody is told. */
  replace(bytes: Uint8Array): void {
    this.#requireAtRest();
    this.#load(imageOfBytes(Uint8Array.from(bytes), this.sectorBytes));
  }

  /** What readers see now. */
  image(): FileImage {
    this.#refresh();
    return { kind: 'file', size: this.#size, sectors: [...this.#sectors] };
  }

  /** What a crash would leave. */
  imageAfter(policy: CrashPolicy, draw: SurvivalDraw): FileImage {
    this.#refresh();
    if (policy === 'kill') return this.image();
    const survived = new DiskFile(this.sectorBytes, this.image());
    const survives = survivalOf(policy, draw);
    for (const [index, sector] of this.#lost) survived.#put(index, sector);
    for (const [index, sector] of this.#unsynced) {
      if (!survives()) survived.#put(index, sector);
    }
    survived.#resize(this.#survivingSize(policy, draw));
    return survived.image();
  }

  #refresh(): void {
    const image = this.#live?.committed() ?? null;
    if (image === this.#loaded || image === null) return;
    this.#loaded = image;
    this.#load(image);
  }

  #load(image: FileImage): void {
    this.#cut(0);
    for (const [index, sector] of image.sectors.entries()) this.#put(index, sector);
    this.#size = image.size;
    this.#durableSize = image.size;
    this.#unsynced.clear();
    this.#lost.clear();
  }

  #put(index: number, sector: Sector): void {
    const before = this.#sectors[index] === undefined ? 0 : this.sectorBytes;
    const after = sector === undefined ? 0 : this.sectorBytes;
    while (this.#sectors.length < index) this.#sectors.push(undefined);
    this.#sectors[index] = sector;
    this.#allocated += after - before;
    if (after !== before) this.#account(after - before);
  }

  #cut(sectors: number): void {
    for (let index = sectors; index < this.#sectors.length; index++) this.#put(index, undefined);
    this.#sectors.length = Math.min(this.#sectors.length, sectors);
  }

  #requireAtRest(): void {
    if (this.#live !== null) throw new TypeError('the file is open as a database');
  }

  /** Sizes are metadata: written at any moment between the old and the new one, before or after the data. */
  #survivingSize(policy: CrashPolicy, { random }: SurvivalDraw): number {
    if (policy === 'keep') return this.#size;
    if (policy === 'lose' || this.#size === this.#durableSize) return this.#durableSize;
    const low = Math.min(this.#size, this.#durableSize);
    const high = Math.max(this.#size, this.#durableSize);
    const somewhere = random.between(low, high);
    const sectorEnd = Math.min(high, Math.ceil(somewhere / this.sectorBytes) * this.sectorBytes);
    return random.pick([this.#durableSize, this.#size, this.#size, sectorEnd, somewhere]);
  }

  /** Without remembering; zeros beyond the end, so that growing shows no old bytes. */
  #resize(size: number): void {
    this.#cut(Math.ceil(size / this.sectorBytes));
    const within = size % this.sectorBytes;
    const last = Math.floor(size / this.sectorBytes);
    if (within > 0 && this.#sectors[last] !== undefined) {
      this.#put(last, copyOf(this.#sectors[last], this.sectorBytes).fill(0, within));
    }
    this.#size = size;
  }

  #change(index: number, within: number, bytes: Uint8Array): void {
    this.#remember(index);
    const copy = copyOf(this.#sectors[index], this.sectorBytes);
    copy.set(bytes, within);
    this.#put(index, copy);
  }

  /** A lost sector that is written again is dirty again, and the next sync writes all of it. */
  #remember(index: number): void {
    if (this.#unsynced.has(index)) return;
    this.#unsynced.set(index, this.#lost.has(index) ? this.#lost.get(index) : this.#sectors[index]);
    this.#lost.delete(index);
  }
}

export function survivalOf(policy: CrashPolicy, draw: SurvivalDraw): () => boolean {
  if (policy === 'draw') return () => draw.random.chance(draw.survival);
  return () => policy !== 'lose';
}

/** The bytes as a file, without copying them. */
export function imageOfBytes(bytes: Uint8Array, sectorBytes: number): FileImage {
  const sectors: Sector[] = [];
  for (let at = 0; at < bytes.length; at += sectorBytes) {
    const sector = bytes.subarray(at, at + sectorBytes);
    sectors.push(sector.length === sectorBytes ? sector : copyOf(sector, sectorBytes));
  }
  return { kind: 'file', size: bytes.length, sectors };
}

function copyOf(sector: Sector, sectorBytes: number): Uint8Array {
  const copy = new Uint8Array(sectorBytes);
  if (sector !== undefined) copy.set(sector);
  return copy;
}
