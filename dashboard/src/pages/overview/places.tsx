import { useMemo } from 'preact/hooks';
import type { NodeBrief, Target } from '../../api';
import type { Filter } from '../../pure/order';
import { placesOf } from '../../pure/nodes';
import { href } from '../../pure/route';
import { Select } from '../../ui/select';

interface Props {
  targets: Target[];
  nodes: NodeBrief[];
  filter: Filter;
  onNamespace: (namespace: string | null) => void;
}

const ALL = '';

/** Where targets are, to choose from. The node is part of the address, because who chooses one has it streamed. */
export function Places({ targets, nodes, filter, onNamespace }: Props) {
  const places = useMemo(() => placesOf(targets, nodes), [targets, nodes]);
  const options = (names: string[], known: string | null | undefined) => {
    // A bookmark may name what is gone.
    const all = known != null && !names.includes(known) ? [...names, known] : names;
    return [[ALL, 'all'] as const, ...all.map((name) => [name, name] as const)];
  };
  return (
    <>
      {places.namespaces.length > 1 && <Select label="Namespace" value={filter.namespace ?? ALL} options={options(places.namespaces, filter.namespace)} onChange={(namespace) => onNamespace(namespace || null)} />}
      {(places.nodes.length > 1 || filter.node != null) && (
        <Select label="Node" value={filter.node ?? ALL} options={options(places.nodes, filter.node)} onChange={(node) => { location.hash = href(node ? { page: 'overview', node } : { page: 'overview' }); }} />
      )}
    </>
  );
}
