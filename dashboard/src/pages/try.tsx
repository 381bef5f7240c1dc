import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Live, Overview, Target } from '../api';
import { read } from '../client';
import { number } from '../pure/format';
import { haystack, matches } from '../pure/order';
import { commonLabels, draftOf, meaning, MOST_UIDS, requestOf, rulesOf, type Draft } from '../pure/trial';
import { ruleName } from '../pure/words';
import { useRead } from '../reader';
import type { Choices } from '../trial';
import { Search, Select } from '../ui/select';
import { Controls } from './try/controls';
import { Figures, limit, Tables } from './try/figures';
import { TrialChart } from './try/chart';
import { useTrial } from './try/trial';
import { Written } from './try/written';

interface Props {
  uid: string | null;
  rule: string | null;
  isDark: boolean;
}

export function TryPage({ uid, rule, live, isDark }: Props & { live: Live | null }) {
  const overview = useRead('overview', (signal) => read<Overview>('overview', signal), live?.roster, ({ roster }) => roster);
  const choices = useRead('try', (signal) => read<Choices>('try', signal));
  const refused = overview.refused ?? choices.refused;
  if (!overview.answer || !choices.answer) return <p class="empty">{refused?.message ?? 'Loading…'}</p>;
  return <Bench targets={overview.answer.targets} choices={choices.answer} uid={uid} rule={rule} isDark={isDark} />;
}

/** A name for this page: its next request ends the one before. */
const pageName = () => `try-${[...crypto.getRandomValues(new Uint32Array(3))].map((part) => part.toString(36)).join('')}`;

const KEPT = '';

/** The rule that a target's chart shows. */
const first = (target: Target | undefined) => (target?.rules[0] ? ruleName(target.rules[0]) : null);

function Bench({ targets, choices, uid, rule, isDark }: Props & { targets: Target[]; choices: Choices }) {
  const [page] = useState(pageName);
  const rules = useMemo(() => rulesOf(targets), [targets]);
  const asked = rule ?? first(targets.find((target) => target.uid === uid));
  const start = (name: string | null) => draftOf(rules.find((each) => ruleName(each) === name) ?? null, choices.models, choices.defaultModel);
  const [from, setFrom] = useState(asked ?? '');
  const [draft, setDraft] = useState<Draft>(() => start(asked));
  const [only, setOnly] = useState(uid);
  const [filter, setFilter] = useState('');
  const [round, setRound] = useState(0);
  const stacks = useMemo(() => targets.map(haystack), [targets]);
  const chosen = useMemo(() => {
    if (only != null) return targets.filter((target) => target.uid === only);
    return targets.filter((target, at) => matches(stacks[at] ?? '', filter.trim()) && (!from || target.rules.some((each) => ruleName(each) === from)));
  }, [targets, stacks, only, filter, from]);
  const labels = useMemo(() => commonLabels(chosen), [chosen]);
  const isAll = chosen.length === targets.length;
  const isRecorded = draft.recording != null;
  const isNone = !isRecorded && chosen.length === 0 && targets.length > 0;
  const request = isNone ? null : requestOf(draft, page, isAll ? null : chosen.map((target) => target.uid), labels);
  const { answer, asked: sent, refused, isRunning } = useTrial(request, round);
  const isStale = isRunning || JSON.stringify(sent) !== JSON.stringify(request);
  const change = (part: Partial<Draft['rule']>) => setDraft((before) => ({ ...before, rule: { ...before.rule, ...part } }));
  const peers = meaning(rules.find((each) => ruleName(each) === from)?.rtt ?? '').peers;
  useEffect(() => { if (only != null && !targets.some((target) => target.uid === only)) setOnly(null); }, [only, targets]);
  return (
    <section class="try-page">
      <h1>Try a policy</h1>
      <p class="soft">What a rule would have warned of, by the code that agents run. It begins with what training learned, not with what an agent has learned since. {limit(choices.mostTargetSeconds)}</p>
      <div class="panel">
        <div class="tools first">
          <Select
            label="Seconds" value={draft.recording == null ? KEPT : `r ${draft.recording}`} onChange={(value) => setDraft({ ...draft, recording: value === KEPT ? null : value.slice(2) })}
            options={[[KEPT, 'kept by this dashboard'], ...(choices.recordings ?? []).map(({ name }) => [`r ${name}`, name] as const)]}
          />
          <Select
            label="Start from" value={from} options={[['', 'a new rule'], ...rules.map((each) => [ruleName(each), ruleName(each)] as const)]}
            onChange={(name) => { setFrom(name); setDraft({ ...start(name), recording: draft.recording }); }}
          />
          {!isRecorded && only == null && <Search label="Only targets with name, label, policy" value={filter} onChange={setFilter} />}
          {!isRecorded && only != null && <button type="button" onClick={() => setOnly(null)}>Only {chosen[0]?.name ?? only}: show all</button>}
          <button type="button" disabled={!request} onClick={() => setRound(round + 1)}>Try again</button>
          {!isRecorded && <span class="soft">{number(chosen.length, 0)} of {number(targets.length, 0)} targets{!isAll && chosen.length > MOST_UIDS ? `, of which the first ${MOST_UIDS} are tried` : ''}</span>}
          {choices.recordings == null && <span class="soft"><code>netprecursor dashboard --recordings DIRECTORY</code> tries on recordings, too.</span>}
          {choices.moreRecordings > 0 && <span class="soft">{number(choices.moreRecordings, 0)} more recordings are not listed.</span>}
        </div>
        <Controls draft={draft} choices={choices} onChange={change} />
        {peers && <p class="note">The rule is about {peers}. Peers cannot be told apart in what is kept, so it is tried over all of them.</p>}
        {refused && <p class="note" role="alert">{refused.message}</p>}
        {isNone && <p class="note">No target matches.</p>}
        <p class="hidden" role="status">{isStale ? 'Trying…' : answer ? `Tried: ${answer.figures.alerts} alerts, ${answer.figures.unconfirmed} of them false` : ''}</p>
        <div class={isStale ? 'tried outdated' : 'tried'}>{answer ? <Figures answer={answer} /> : !refused && !isNone && <p class="empty">Trying…</p>}</div>
      </div>
      {answer && (
        <>
          <div class={isStale ? 'outdated' : ''}><TrialChart answer={answer} thresholdUs={sent?.rule.thresholdUs ?? draft.rule.thresholdUs} isDark={isDark} /></div>
          <div class={isStale ? 'outdated' : ''}><Tables answer={answer} thresholdUs={draft.rule.thresholdUs} confidencePercent={draft.rule.confidencePercent} onThreshold={(thresholdUs) => change({ thresholdUs })} onConfidence={(confidencePercent) => change({ confidencePercent })} /></div>
          <Written
            draft={draft} labels={labels} yaml={answer.yaml} isStale={isStale || refused != null} onLabels={(byLabels) => setDraft({ ...draft, byLabels })}
            onPolicy={(part) => setDraft((before) => ({ ...before, policy: { ...before.policy, ...part } }))}
          />
        </>
      )}
    </section>
  );
}
