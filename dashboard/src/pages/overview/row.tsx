import { useMemo } from 'preact/hooks';
import type { Latest, Spark as SparkData, Target } from '../../api';
import { chance, time } from '../../pure/format';
import type { Key } from '../../pure/order';
import { href } from '../../pure/route';
import { mood, ruleName } from '../../pure/words';
import { StandingChip } from '../../ui/chip';
import { Spark } from '../../ui/spark';

interface Props {
  target: Target;
  at: number;
  latest: Latest;
  columns: Key[];
  index: number;
  spark: SparkData | undefined;
  isNarrow: boolean;
  /** Width of the sparkline of round trips, px. */
  rttWidth: number;
  isDark: boolean;
}

export function Row({ target, at, latest, columns, index, spark, isNarrow, rttWidth, isDark }: Props) {
  const standing = latest.standing[at] ?? 'Unselected';
  return (
    <tr role="row" class={`target ${mood(standing)}`} aria-rowindex={index}>
      {columns.map((key) => <Cell key={key} column={key} {...{ target, at, latest, standing, spark, isNarrow, rttWidth, isDark }} />)}
    </tr>
  );
}

type CellProps = Omit<Props, 'columns' | 'index'> & { column: Key; standing: Latest['standing'][number] };

function Cell({ column, target, at, latest, standing, spark, isNarrow, rttWidth, isDark }: CellProps) {
  const rule = target.rules[0];
  const wrap = (content: preact.ComponentChildren) => <td role="cell" class={`c-${column}`}>{content}</td>;
  switch (column) {
    case 'urgency': return wrap(<StandingChip standing={standing} />);
    case 'name': return wrap(<a class="name" href={href({ page: 'target', uid: target.uid, at: null })} title={target.name}>{target.name}</a>);
    case 'policy': return wrap(rule ? ruleName(rule) : '–');
    case 'measured': return wrap(<><b class="m">{time(latest.measuredUs[at])}</b><RttSpark spark={spark} thresholdUs={rule?.thresholdUs ?? null} width={rttWidth} isDark={isDark} /></>);
    case 'forecast': return wrap(<b class="f">{time(latest.forecastUs[at])}</b>);
    case 'threshold': return wrap(time(rule?.thresholdUs));
    case 'chance': return wrap(<><b>{chance(latest.chance[at])}</b><ChanceSpark spark={spark} needed={rule?.needed ?? null} isNarrow={isNarrow} isDark={isDark} /></>);
    default: return wrap(target[column] ?? '–');
  }
}

const NOTHING: (number | null)[] = [];

function RttSpark({ spark, thresholdUs, width, isDark }: { spark: SparkData | undefined; thresholdUs: number | null; width: number; isDark: boolean }) {
  const lines = useMemo(
    () => [
      { values: spark?.forecastUs ?? NOTHING, colour: 'forecast' as const, width: 1 },
      { values: spark?.measuredUs ?? NOTHING, colour: 'measured' as const },
    ],
    [spark],
  );
  // Calm looks calm: what is far below the threshold is drawn far below it.
  const highest = (spark?.measuredUs ?? NOTHING).reduce((most: number, value) => Math.max(most, value ?? 0), 0);
  const top = Math.max(1.15 * highest, 1.15 * (thresholdUs ?? 0));
  return <Spark lines={lines} level={thresholdUs} top={top} width={width} height={30} isDark={isDark} />;
}

function ChanceSpark({ spark, needed, isNarrow, isDark }: { spark: SparkData | undefined; needed: number | null; isNarrow: boolean; isDark: boolean }) {
  const lines = useMemo(() => [{ values: spark?.chance ?? NOTHING, colour: 'chance' as const, isArea: true }], [spark]);
  return <Spark lines={lines} level={needed} top={1} width={isNarrow ? 84 : 82} height={30} isDark={isDark} />;
}
