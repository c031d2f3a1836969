import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeMixed } from '../../scripts/trees/make-mixed.ts';
import { between, type Draw, randomBytes, seeded, TextMaker } from '../../scripts/trees/seeded.ts';

const SMALL_EDITS = 20;
const MIDDLE_EDITS = 4;

/** A tree of mixed files that changes as people's do: edits, appends, new, gone, moved, other modes and times. */
export class ChangingTree {
  readonly path: string;
  readonly #draw: Draw;
  readonly #text: TextMaker;
  #round = 0;

  constructor(path: string, bytes: number, seed: string) {
    this.path = path;
    this.#draw = seeded(`${seed} changes`);
    this.#text = new TextMaker(this.#draw);
    makeMixed(path, bytes, seed);
  }

  /** About a third of the bytes become new ones. */
  change(): void {
    const round = ++this.#round;
    for (let edit = 0; edit < SMALL_EDITS; edit++) writeFileSync(this.#some('small'), this.#text.make(3000));
    for (let edit = 0; edit < MIDDLE_EDITS; edit++) {
      writeFileSync(this.#some('middle'), randomBytes(this.#draw, between(this.#draw, 200_000, 2_000_000)));
    }
    this.#large();
    rmSync(this.#some('small'));
    writeFileSync(join(this.path, `new-${round}`), this.#text.make(50_000));
    linkSync(join(this.path, `new-${round}`), join(this.path, `linked-${round}`));
    symlinkSync(`new-${round}`, join(this.path, `symlink-${round}`));
    chmodSync(this.#some('small'), 0o600 + (round % 64));
    utimesSync(this.#some('middle'), 1_000_000_000 + round, 1_000_000_000.5 + round);
    const moved = join(this.path, 'middle', '0');
    if (existsSync(moved)) renameSync(moved, join(this.path, 'middle', `moved-${round}`));
  }

  /** One written anew, one changed in its middle, one grown. */
  #large(): void {
    const folder = join(this.path, 'large');
    const [first, second, third] = this.#shuffled(readdirSync(folder)).map((name) => join(folder, name));
    writeFileSync(first!, randomBytes(this.#draw, statSync(first!).size));
    const file = openSync(second!, 'r+');
    writeSync(file, randomBytes(this.#draw, 100_000), 0, 100_000, Math.floor(statSync(second!).size / 2));
    closeSync(file);
    appendFileSync(third!, this.#text.make(300_000));
  }

  #some(kind: string): string {
    const folders = readdirSync(join(this.path, kind)).toSorted();
    const folder = join(this.path, kind, this.#pick(folders));
    return join(folder, this.#pick(readdirSync(folder).toSorted()));
  }

  #pick(list: readonly string[]): string {
    return list[between(this.#draw, 0, list.length - 1)]!;
  }

  #shuffled(list: readonly string[]): string[] {
    const keyed = list.toSorted().map((item) => ({ item, key: this.#draw() }));
    return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
  }
}
