import type { MemberRow } from './tables.ts';

type Row = Pick<MemberRow, 'client' | 'joined' | 'via' | 'node' | 'left_at'>;

/** Those by which something may come here still: nobody on the way has left what it had joined. */
export function liveMembers<Member extends Row>(rows: readonly Member[]): ReadonlySet<Member> {
  const ended = endOfWays(rows);
  return new Set(rows.filter((row) => ended(row) === null));
}

/** Says whose leaving has ended a way: the row of the machine itself, or of the first relay above it that left; null if it goes on. */
export function endOfWays<Member extends Row>(rows: readonly Member[]): (row: Member) => Member | null {
  const gone = new Map(
    rows.filter((row) => isDirect(row) && row.left_at !== null).map((row) => [row.client, row]),
  );
  const relays = Map.groupBy(
    rows.filter((row) => row.node !== null && !isDirect(row)),
    ({ via, node }) => `${via} ${node}`,
  );
  const end = (row: Member, passed: ReadonlySet<Member>): Member | null => {
    if (row.left_at !== null) return row;
    if (isDirect(row)) return null;
    const above = (relays.get(`${row.via} ${row.joined}`) ?? []).filter((each) => !passed.has(each));
    // What joined no relay that was told of has joined the one that told of it.
    if (above.length === 0) return gone.get(row.via) ?? null;
    const ends = above.map((relay) => end(relay, new Set([...passed, relay])));
    return ends.includes(null) ? null : ends[0]!;
  };
  return (row) => end(row, new Set([row]));
}

const isDirect = ({ client, via }: Row): boolean => client === via;
