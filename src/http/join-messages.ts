import { z } from 'zod';
import type { Enrolled } from '../identity/enrollment.ts';
import type { JoinRequest, RenewRequest } from '../identity/proof.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import { bytesText, idText, instant, textUpTo } from '../protocol/fields.ts';
import { faceMessage, MEMBERSHIP_BYTES_MAX } from '../protocol/messages.ts';

const PEM_LENGTH_MAX = 20_000;
const center = idText<CenterId>(32);
const client = idText<ClientId>(32);

/** The secret stands in the body, never in a path or a header: those end up in logs. */
export const joinMessage: z.ZodType<JoinRequest> = z.strictObject({
  center,
  secret: bytesText(32, 32),
  client,
  instanceKey: bytesText(32, 32),
  tlsKey: bytesText(32, 32),
  host: textUpTo(200),
  membership: bytesText(1, MEMBERSHIP_BYTES_MAX),
  proof: bytesText(64, 64),
});

export const renewMessage: z.ZodType<RenewRequest> = z.strictObject({
  center,
  client,
  tlsKey: bytesText(32, 32),
  at: instant,
  proof: bytesText(64, 64),
});

export const enrolledMessage: z.ZodType<Enrolled> = z.object({
  client,
  name: textUpTo(200),
  role: z.enum(['agent', 'relay', 'peer']),
  chain: textUpTo(PEM_LENGTH_MAX),
  center: faceMessage,
});
