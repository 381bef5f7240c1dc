import { useMemo, useState } from 'preact/hooks';
import type { Live, Overview } from '../api';
import { read } from '../client';
import { number } from '../pure/format';
import { arrange, haystack, type Filter, type Key, type Order } from '../pure/order';
import { href } from '../pure/route';
import { useRead } from '../reader';
import { Search, Select } from '../ui/select';
import { Places } from './overview/places';
import { Streams } from './overview/streams';
import { Table } from './overview/table';
import { COLUMNS, shownColumns } from './overview/columns';

const TILES = [
  ['trouble', 'bad', 'In trouble', 'above the threshold now'],
  ['warning', 'warn', 'Warning', 'a breach is likely within 10 s'],
  ['calm', 'good', 'Calm', 'forecast below the threshold'],
  ['waiting', 'none', 'Not forecast', 'warming up, or no policy'],
] as const;

interface Props {
  live: Live | null;
  /** The node that is looked at, of a cluster. */
  node: string | null;
  isDark: boolean;
}

export function OverviewPage({ live, node, isDark }: Props) {
  const { answer: overview, refused } = useRead('overview', (signal) => read<Overview>('overview', signal), live?.roster, ({ roster }) => roster);
  const [chosen, setFilter] = useState<Filter>({ text: '', standing: 'all' });
  const filter = useMemo(() => ({ ...chosen, node }), [chosen, node]);
  const [order, setOrder] = useState<Order>({ key: 'urgency', descending: false });
  const stacks = useMemo(() => overview?.targets.map(haystack) ?? [], [overview]);
  const columns = useMemo(() => shownColumns(overview?.targets ?? []), [overview]);
  // An event of another roster does not fit these targets.
  const latest = overview && (live?.latest && live.roster === overview.roster ? live.latest : overview.latest);
  const rows = useMemo(
    () => (overview && latest ? arrange(overview.targets, stacks, latest, filter, order) : []),
    [overview, stacks, latest, filter, order],
  );
  if (!overview || !latest) return <p class="empty">{refused?.message ?? 'Loading…'}</p>;
  if (!(live?.unix ?? overview.unix)) return <p class="empty">Waiting for {overview.cluster ? 'the API server' : 'the first tick of the agent'} at {overview.source.url}…</p>;
  const counts = live?.counts ?? overview.counts;
  const sort = (key: Key) =>
    setOrder((before) => ({ key, descending: before.key === key ? !before.descending : COLUMNS[key].startsDescending }));
  return (
    <section class="overview">
      <h1 class="hidden">Overview</h1>
      <div class="tiles" role="group" aria-label="Show only">
        {TILES.map(([standing, mood, name, hint]) => (
          <button
            key={standing} type="button" class={`tile ${mood}${counts[standing] ? '' : ' zero'}`} aria-pressed={filter.standing === standing}
            onClick={() => setFilter({ ...filter, standing: filter.standing === standing ? 'all' : standing })}
          >
            <b>{number(counts[standing], 0)}</b><span>{name}</span><small>{hint}</small>
          </button>
        ))}
      </div>
      <div class="tools">
        <Search label="Filter by name, label, policy" value={filter.text} onChange={(text) => setFilter({ ...filter, text })} />
        <Select label="Sort by" value={order.key} options={columns.map((key) => [key, COLUMNS[key].words] as const)} onChange={sort} />
        <Places targets={overview.targets} nodes={overview.cluster?.nodes ?? []} filter={filter} onNamespace={(namespace) => setFilter({ ...filter, namespace })} />
        <span class="soft" role="status">{number(rows.length, 0)} of {number(overview.targets.length, 0)} targets{overview.notKept ? `, ${number(overview.notKept, 0)} more are beyond what this dashboard keeps` : ''}</span>
      </div>
      {live?.cluster && <Streams streams={live.cluster} nodes={overview.cluster?.nodes ?? []} />}
      {overview.targets.length === 0 && overview.cluster
        ? <p class="empty">No target is known yet: no node is streamed, and no alert is firing. Choose a node.</p>
        : overview.targets.length === 0
        ? <p class="empty">No targets: no policy selects a pod on this node or, on one host, no <code>--target netns:NAME</code> was given.</p>
        : rows.length === 0
          ? <p class="empty">No target matches. <button type="button" onClick={() => { setFilter({ text: '', standing: 'all' }); location.hash = href({ page: 'overview' }); }}>Show all</button></p>
          : <Table targets={overview.targets} latest={latest} rows={rows} columns={columns} order={order} onSort={sort} unix={live?.unix ?? overview.unix} isDark={isDark} />}
    </section>
  );
}
