import { useEffect, useRef, useState } from 'preact/hooks';
import type { Draft } from '../../pure/trial';
import { Select } from '../../ui/select';

const KINDS = [['PrecursorPolicy', 'one namespace'], ['ClusterPrecursorPolicy', 'the cluster']] as const;
const MODES = [['Active', 'publishes alerts'], ['Shadow', 'keeps score only']] as const;

/** How long the button says that it copied. */
const SAID_MS = 2_000;

interface Props {
  draft: Draft;
  labels: Record<string, string>;
  yaml: string;
  /** Whether the YAML is of an earlier draft. */
  isStale: boolean;
  onPolicy: (policy: Partial<Draft['policy']>) => void;
  onLabels: (byLabels: boolean) => void;
}

/** The policy that was tried, to be copied. */
export function Written({ draft: { policy, byLabels }, labels, yaml, isStale, onPolicy, onLabels }: Props) {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(', ');
  return (
    <div class="panel written">
      <h2>The policy</h2>
      <div class="tools">
        <Text label="Name" value={policy.name} onChange={(name) => onPolicy({ name })} />
        <Select label="Watches" value={policy.kind} options={KINDS} onChange={(kind) => onPolicy({ kind })} />
        {policy.kind === 'PrecursorPolicy' && <Text label="Namespace, if any" value={policy.namespace ?? ''} onChange={(namespace) => onPolicy({ namespace: namespace || null })} />}
        <Select label="Mode" value={policy.mode} options={MODES} onChange={(mode) => onPolicy({ mode })} />
        <Select label="Pods" value={byLabels && pairs ? 'labels' : 'all'} options={[['all', 'all'], ...(pairs ? [['labels', `with ${pairs}`] as const] : [])]} onChange={(which) => onLabels(which === 'labels')} />
      </div>
      <p class="soft">Of an existing policy only threshold, model and what it means by RTT are known here. Take over its selector, holds, confidence, peers and other rules before you apply this under its name.</p>
      <Code yaml={yaml} isStale={isStale} />
    </div>
  );
}

/** A text that is sent once it rests: each letter of a name is no trial. */
function Text({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  return (
    <label class="field">
      <span>{label}</span>
      <input type="text" value={value} maxLength={253} spellcheck={false} autocomplete="off" onChange={(event) => onChange(event.currentTarget.value.trim())} />
    </label>
  );
}

function Code({ yaml, isStale }: { yaml: string; isStale: boolean }) {
  const [said, setSaid] = useState('');
  const code = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(''), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(yaml);
      setSaid('Copied');
    } catch {
      // Without TLS browsers give pages of other machines no clipboard.
      if (code.current) getSelection()?.selectAllChildren(code.current);
      setSaid('Selected: copy it with the keyboard');
    }
  };
  return (
    <div class={isStale ? 'code outdated' : 'code'}>
      <button type="button" disabled={isStale} onClick={copy}>Copy YAML</button> <span class="soft" role="status">{said}</span>
      <pre ref={code} tabIndex={0} aria-label="Policy in YAML"><code>{yaml}</code></pre>
    </div>
  );
}
