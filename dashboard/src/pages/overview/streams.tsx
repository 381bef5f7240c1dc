import type { ClusterStreams, NodeBrief } from '../../api';
import { number } from '../../pure/format';
import { unstreamed } from '../../pure/nodes';
import { href } from '../../pure/route';

/** Which nodes are shown live, which are not, and why. */
export function Streams({ streams: { most, able, streams }, nodes }: { streams: ClusterStreams; nodes: NodeBrief[] }) {
  const live = streams.filter(({ state }) => state === 'Live');
  const others = streams.filter(({ state }) => state !== 'Live');
  const rest = unstreamed(nodes, streams);
  return (
    <div class="streams soft">
      <p>
        Live from {number(live.length, 0)} of {number(able, 0)} {able === 1 ? 'agent' : 'agents'}{live.length > 0 && ': '}
        {live.map(({ node }, at) => <span key={node}>{at > 0 && ', '}<a href={href({ page: 'overview', node })}>{node}</a></span>)}.
        {able > most && ` At most ${most} at once: those that you choose, then those with firing alerts.`}
        {rest.nodes > 0 && ` ${number(rest.targets, 0)} targets on ${number(rest.nodes, 0)} other ${rest.nodes === 1 ? 'node' : 'nodes'} are shown only while an alert on them is firing.`}
      </p>
      {others.map(({ node, state, reason }) => (
        <p key={node} class={state === 'Stale' ? 'note' : ''}><a href={href({ page: 'overview', node })}>{node}</a>: {state === 'Stale' ? `not heard, and tried again. ${reason ?? ''}` : 'connecting…'}</p>
      ))}
    </div>
  );
}
