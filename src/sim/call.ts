import { LowtideError } from '../model/errors.ts';
import type { Incarnation } from './incarnation.ts';
import type { Line, Sequence } from './line.ts';
import type { Copied } from './message.ts';

export type Direction = 'there' | 'back';
export type MessageKind = 'request' | 'answer' | 'item' | 'end' | 'error' | 'cancel' | 'enough';

/** One message as observers and fault rules see it. */
export interface MessageFace {
  readonly from: string;
  readonly to: string;
  readonly method: string;
  readonly direction: Direction;
  readonly kind: MessageKind;
  /** With the constant for its envelope. */
  readonly bytes: number;
}

/**
 * `lose`: the connection breaks instead of delivering it. A request may also arrive a second time, so much later; the
 * second answer reaches nobody.
 */
export type Tampering = 'lose' | { readonly againAfterMs: number } | undefined;

/** What every message of the network is shown to, before it is carried. */
export type Tamper = (message: MessageFace) => Tampering;

/** Of a message without its content: headers, framing. */
const ENVELOPE_BYTES = 200;

export function unreachable(node: string, why: string): LowtideError {
  return new LowtideError('center-unreachable', `${node} cannot be reached: ${why}`);
}

/** One end of a call. It ends once: with null when all is done, with an error when the connection broke. */
export class CallSide {
  readonly incarnation: Incarnation;
  readonly #callbacks = new Set<(error: LowtideError | null) => void>();
  readonly #forget: () => void;
  #ended = false;

  constructor(incarnation: Incarnation, onCrash: () => void) {
    this.incarnation = incarnation;
    this.#forget = incarnation.onEnd(onCrash);
  }

  get ended(): boolean {
    return this.#ended;
  }

  onEnd(callback: (error: LowtideError | null) => void): void {
    this.#callbacks.add(callback);
  }

  end(error: LowtideError | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forget();
    for (const callback of this.#callbacks) callback(error);
    this.#callbacks.clear();
  }
}

export interface CallParts {
  readonly method: string;
  readonly caller: Incarnation;
  readonly there: Line;
  readonly back: Line;
  readonly tamper: Tamper;
  readonly onOver: (call: Call) => void;
}

/** One call of one method: its own connection, which breaks as a whole. */
export class Call {
  readonly method: string;
  readonly caller: CallSide;
  /** Null until the request has arrived. */
  callee: CallSide | null = null;
  readonly lines: Readonly<Record<Direction, Line>>;
  readonly #tamper: Tamper;
  readonly #onOver: (call: Call) => void;
  #broken = false;
  readonly #sequences: Record<Direction, Sequence> = { there: { lastArrival: 0 }, back: { lastArrival: 0 } };

  constructor(parts: CallParts) {
    this.method = parts.method;
    this.lines = { there: parts.there, back: parts.back };
    this.#tamper = parts.tamper;
    this.#onOver = parts.onOver;
    this.caller = this.#side(parts.caller, 'there');
  }

  /** The request has arrived where somebody serves it. */
  accept(callee: Incarnation): CallSide {
    this.callee = this.#side(callee, 'back');
    return this.callee;
  }

  /** One message as an operation of its sender; given up if the sender's side has ended meanwhile. */
  async send(
    direction: Direction,
    kind: MessageKind,
    content: Copied<unknown>,
    deliver: () => void,
  ): Promise<void> {
    const sender = direction === 'there' ? this.caller : this.callee;
    if (sender === null || sender.ended) return;
    const line = this.lines[direction];
    const [from, to] = [line.from.name, line.to.name];
    const bytes = content.bytes + ENVELOPE_BYTES;
    const detail = `${from} -> ${to} ${this.method} ${kind} ${bytes}`;
    const request = { kind: 'network.send', detail, changes: true, bytes: content.arrays };
    await sender.incarnation.operation(request, () => {
      if (sender.ended) return;
      const tampering = this.#tamper({ from, to, method: this.method, direction, kind, bytes });
      if (tampering === 'lose') {
        this.#carry(direction, bytes, () => this.break('the connection was lost'));
        return;
      }
      this.#carry(direction, bytes, deliver);
      if (tampering !== undefined && kind === 'request') {
        const { simulation } = sender.incarnation;
        simulation.after(tampering.againAfterMs, () => line.carry(bytes, { lastArrival: 0 }, deliver));
      }
    });
  }

  /** Both ends learn that the connection is gone; what is still on its way goes with it. */
  break(why: string): void {
    this.#broken = true;
    this.caller.end(unreachable(this.lines.there.to.name, why));
    this.callee?.end(unreachable(this.lines.there.from.name, why));
  }

  /** Nobody serves what was asked for. */
  refuse(): void {
    this.#carry('back', 0, () => this.break('nothing answers there'));
  }

  /** The caller wants no more, and tells the other end so. */
  cancel(): void {
    if (this.caller.ended) return;
    this.caller.end(null);
    const { from, to } = this.lines.there;
    const detail = `${from.name} -> ${to.name} ${this.method} cancel ${ENVELOPE_BYTES}`;
    const gone = (): void => this.callee?.end(unreachable(from.name, 'it wants no more'));
    void this.caller.incarnation.operation({ kind: 'network.send', detail, changes: true }, () =>
      this.#carry('there', ENVELOPE_BYTES, gone),
    );
  }

  /** To an end that is still there. A request arrives even if its sender has died since. */
  #carry(direction: Direction, bytes: number, deliver: () => void): void {
    const receiver = (): CallSide | null => (direction === 'there' ? this.callee : this.caller);
    this.lines[direction].carry(bytes, this.#sequences[direction], () => {
      if (!this.#broken && receiver()?.ended !== true) deliver();
    });
  }

  /** When the process of a side dies, the kernel of its machine tells the other one. */
  #side(incarnation: Incarnation, direction: Direction): CallSide {
    const side = new CallSide(incarnation, () => {
      side.end(null);
      this.#carry(direction, 0, () => this.break('its process has ended'));
    });
    side.onEnd(() => {
      if (this.caller.ended && this.callee?.ended !== false) this.#onOver(this);
    });
    return side;
  }
}
