import { useState } from 'preact/hooks';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import { spelled } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { isOld } from '../live-entries.ts';
import { announce } from '../live-region.ts';
import { perform } from '../operator.ts';
import { machineOfPage } from '../posture/live-posture.ts';
import { reasonOf } from '../request.ts';

interface RetryButtonProps {
  readonly action: ContainmentAction;
  /** Only for this incident; for all when left out. */
  readonly incident?: string;
  readonly label?: string;
  readonly look?: 'sm' | 'link';
}

/** A button that has a delivery tried again. */
export const RetryButton = ({ action, incident, label = 'Try now', look = 'sm' }: RetryButtonProps) => {
  const [isUnderWay, setUnderWay] = useState(false);
  const retry = async (): Promise<void> => {
    setUnderWay(true);
    try {
      await perform('/api/v1/containment/retry', {
        action,
        ...(incident !== undefined && { incident_id: incident }),
        ...(incident === undefined && machineOfPage.peek() !== undefined && { machine: machineOfPage.peek() }),
      });
      announce(`${spelled(action)} is tried again`);
    } catch (error) {
      announce(`${spelled(action)} is not tried again: ${reasonOf(error)}`);
    } finally {
      setUnderWay(false);
    }
  };
  const obstacle = isOld.value ? 'has to wait: what is shown may have changed' : obstacleFor(['operator']);
  return (
    <button
      type="button"
      class={look}
      disabled={isUnderWay || obstacle !== undefined}
      title={obstacle === undefined ? undefined : `This ${obstacle}`}
      onClick={() => void retry()}
    >
      {label}
    </button>
  );
};
