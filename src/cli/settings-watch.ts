import { isLowtideError } from '../model/errors.ts';
import { MINUTE_MS } from '../model/time.ts';
import type { CollectingSettings } from '../node/settings/collecting-settings.ts';
import type { Clock } from '../world/ports.ts';

/** A node's settings, of which some may change while it runs. */
export interface WatchedSettings {
  /** As they are in the file now, or were when it was last without a mistake. */
  readonly refresh: () => Promise<Pick<CollectingSettings, 'conditions'>>;
  readonly setConditions: (conditions: CollectingSettings['conditions']) => void;
  /** Anything is other than a minute ago. */
  readonly onChange: () => void;
}

/**
 * What is changed in the file takes effect within a minute.
 * @param inForce the conditions that the node began with
 */
export async function watchSettings(
  clock: Clock,
  { refresh, setConditions, onChange }: WatchedSettings,
  inForce: CollectingSettings['conditions'],
  stop: AbortSignal,
): Promise<void> {
  let conditions = JSON.stringify(inForce);
  let all = JSON.stringify(await refresh());
  for (;;) {
    await clock.sleep(MINUTE_MS, stop);
    if (stop.aborted) return;
    const now = await refresh();
    if (stop.aborted) return;
    const text = JSON.stringify(now);
    if (text !== all) onChange();
    all = text;
    if (JSON.stringify(now.conditions) === conditions) continue;
    conditions = JSON.stringify(now.conditions);
    try {
      setConditions(now.conditions);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
    }
  }
}
