import { useMemo, useState } from 'preact/hooks';
import type { Live, Nodes, NodeView } from '../api';
import { read } from '../client';
import { number, percent } from '../pure/format';
import { age, chosenNodes, nodeStanding, streamWords, type NodeFilter } from '../pure/nodes';
import { href } from '../pure/route';
import { useRead } from '../reader';
import { Chip } from '../ui/chip';
import { Search, Select } from '../ui/select';

/** Nodes are read again this often. */
const REFRESH_S = 5;
const PAGE = 50;
const SHOWN = [['all', 'all'], ['wrong', 'with something wrong'], ['streamed', 'shown live']] as const;

export function NodesPage({ live }: { live: Live | null }) {
  const period = Math.floor((live?.unix ?? 0) / REFRESH_S);
  const { answer: nodes, refused } = useRead('nodes', (signal) => read<Nodes>('nodes', signal), period);
  const [filter, setFilter] = useState<NodeFilter>({ text: '', only: 'all' });
  const [most, setMost] = useState(PAGE);
  const found = useMemo(() => (nodes ? chosenNodes(nodes.nodes, filter) : []), [nodes, filter]);
  const change = (part: Partial<NodeFilter>) => {
    setFilter({ ...filter, ...part });
    setMost(PAGE);
  };
  return (
    <section class="nodes">
      <h1>Nodes</h1>
      {nodes && <Lines lines={nodes.problems} kind="problem" />}
      {nodes && <Lines lines={nodes.remarks} kind="remark" />}
      <div class="tools">
        <Search label="Filter by name, kernel, sensor, trouble" value={filter.text} onChange={(text) => change({ text })} />
        <Select label="Show" value={filter.only} options={SHOWN} onChange={(only) => change({ only })} />
        <span class="soft" role="status">{nodes ? `${number(found.length, 0)} of ${number(nodes.nodes.length, 0)} ${nodes.nodes.length === 1 ? 'node' : 'nodes'}` : ''}</span>
      </div>
      {!nodes && <p class="empty">{refused?.message ?? 'Loading…'}</p>}
      {nodes && found.length === 0 && <p class="empty">{nodes.nodes.length ? 'No node matches.' : 'No node is known: agents start with the first policy, and an agent that is connected says how it is within seconds.'}</p>}
      <ol class="node-list">{found.slice(0, most).map((node) => <Item key={node.name} node={node} isCluster={live?.cluster != null} />)}</ol>
      {found.length > most && <button type="button" class="more" onClick={() => setMost(most + 4 * PAGE)}>Show more</button>}
      {nodes?.notes.map((note) => <p key={note} class="soft foot">Not known: {note}</p>)}
    </section>
  );
}

function Lines({ lines, kind }: { lines: string[]; kind: 'problem' | 'remark' }) {
  return lines.length > 0 ? <ul class={`findings ${kind}`}>{lines.map((line) => <li key={line}>{line}</li>)}</ul> : null;
}

function Item({ node, isCluster }: { node: NodeView; isCluster: boolean }) {
  const [mood, words] = nodeStanding(node);
  const active = node.sensors.filter(({ state }) => state === 'Active').length;
  return (
    <li class={mood === 'bad' ? 'panel node bad' : 'panel node'}>
      <div class="alert-head">
        {isCluster ? <a class="name" href={href({ page: 'overview', node: node.name })} title={`Targets on ${node.name}`}>{node.name}</a> : <b class="name">{node.name}</b>}
        <Chip mood={mood}>{words}</Chip>
        {node.stream && <Chip mood={node.stream.state === 'Live' ? 'good' : node.stream.state === 'Stale' ? 'bad' : 'none'} {...(node.stream.reason && { title: node.stream.reason })}>{streamWords(node.stream)}</Chip>}
        <span class="soft when">{node.heartbeatAgeSeconds == null ? '' : `reported ${age(node.heartbeatAgeSeconds)}`}</span>
      </div>
      <dl class="facts">
        <div><dt>Targets</dt><dd>{node.targets == null ? '–' : number(node.targets, 0)}</dd></div>
        <div><dt>Firing</dt><dd>{node.firing == null ? '–' : number(node.firing, 0)}</dd></div>
        <div><dt>Coverage</dt><dd>{percent(node.coveragePercent)}</dd></div>
        <div><dt>RTT</dt><dd>{node.rttSource?.toLowerCase() ?? '–'}</dd></div>
        <div><dt>Sensors</dt><dd>{node.sensors.length ? `${active} of ${node.sensors.length}` : '–'}</dd></div>
        <div><dt>Waiting</dt><dd>{node.pending == null ? '–' : number(node.pending, 0)}</dd></div>
        <div><dt>CPU</dt><dd>{node.cpu ?? '–'}</dd></div>
        <div><dt>Memory</dt><dd>{node.memory ?? '–'}</dd></div>
        <div><dt>Agent</dt><dd>{node.agentVersion ?? '–'}</dd></div>
        <div><dt>Kernel</dt><dd>{node.kernel ?? '–'}</dd></div>
      </dl>
      {node.losses.length > 0 && <p class="note">Lost: {node.losses.map(({ what, count }) => `${number(count, 0)} ${what}`).join(', ')}</p>}
      <Lines lines={node.problems} kind="problem" />
      <Lines lines={node.remarks} kind="remark" />
      {node.sensors.length + node.conditions.length > 0 && <Details node={node} />}
    </li>
  );
}

function Details({ node }: { node: NodeView }) {
  return (
    <details>
      <summary>Sensors and conditions</summary>
      <ul class="sensors" aria-label="Sensors">
        {node.sensors.map(({ name, need, state, reason, limits }) => (
          <li key={name}>
            <Chip mood={state === 'Active' ? 'good' : need === 'Required' && state === 'Unavailable' ? 'bad' : 'warn'}>{state.toLowerCase()}</Chip> <b>{name}</b>
            <span class="soft"> {need.toLowerCase()}{reason ? `: ${reason}` : ''}{limits ? `; by design: ${limits}` : ''}</span>
          </li>
        ))}
      </ul>
      {node.conditions.length > 0 && (
        <ul class="sensors" aria-label="Conditions">
          {node.conditions.map(({ type, status, reason, message }) => <li key={type}><b>{type}</b> is {status}: {reason}<span class="soft"> {message}</span></li>)}
        </ul>
      )}
    </details>
  );
}
