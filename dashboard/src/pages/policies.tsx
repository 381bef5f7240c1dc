import { useState } from 'preact/hooks';
import type { Expert, Live, ModelCard, Models, Policies, Score, Trend as TrendData } from '../api';
import { read } from '../client';
import { number, percent, span } from '../pure/format';
import { href } from '../pure/route';
import { policyName, ruleName } from '../pure/words';
import { useRead } from '../reader';
import { Chip } from '../ui/chip';
import { Select } from '../ui/select';
import { Card } from './policies/card';
import { Policy } from './policies/policy';
import { Reliability } from './policies/reliability';
import { Trend } from './policies/trend';

/** The agent's scores are read again this often. */
const REFRESH_S = 5;

export function PoliciesPage({ live, isDark }: { live: Live | null; isDark: boolean }) {
  const period = Math.floor((live?.unix ?? 0) / REFRESH_S);
  const { answer: policies, refused } = useRead('policies', (signal) => read<Policies>('policies', signal), period);
  const { answer: models } = useRead('models', (signal) => read<Models>('models', signal));
  const [chosen, setChosen] = useState<string | null>(null);
  // Each agent keeps its own scores, so in a cluster they are looked at node by node.
  const nodes = [...new Set(policies?.scores.flatMap(({ node }) => node ?? []))];
  const node = chosen != null && nodes.includes(chosen) ? chosen : nodes[0];
  const scores = policies?.scores.filter((score) => score.node === node) ?? [];
  const isEmpty = policies && policies.policies.length + policies.scores.length === 0;
  return (
    <section class="policies">
      <h1>Policies and models</h1>
      {!policies && <p class="empty">{refused?.message ?? 'Loading…'}</p>}
      {isEmpty && <p class="empty">No policy: nothing can fire.</p>}
      {policies?.policies.map((policy) => <Policy key={`${policy.policyKind} ${policyName(policy)}`} policy={policy} />)}
      {live?.cluster && policies && (nodes.length > 0
        ? <div class="tools"><Select label="Scores as kept on" value={node ?? ''} options={nodes.map((name) => [name, name] as const)} onChange={setChosen} /></div>
        : <p class="soft foot">The scores of rules second by second are kept by agents: they are shown for nodes that are shown live.</p>)}
      {policies && scores.map((score) => <Rule key={ruleName(score)} score={score} trend={policies.trends.find((each) => each.node === node && ruleName(each) === ruleName(score))} cards={models?.models ?? null} isDark={isDark} />)}
    </section>
  );
}

const signed = (value: number | null | undefined) => (value == null ? '–' : `${value > 0 ? '+' : ''}${number(value, 0)} %`);

function Rule({ score, trend, cards, isDark }: { score: Score; trend: TrendData | undefined; cards: ModelCard[] | null; isDark: boolean }) {
  const { scorecard: card } = score;
  const days = card.targetSeconds / 86_400;
  return (
    <article class="panel rule">
      <div class="alert-head">
        <h2>{ruleName(score)}</h2>
        <Chip mood={score.model.fallback ? 'warn' : 'none'}>{score.model.name}</Chip>
        <a class="when" href={href({ page: 'try', uid: null, rule: ruleName(score) })} aria-label={`Try ${ruleName(score)} with another threshold or confidence`}>Try</a>
      </div>
      {score.model.fallback && <p class="note">Fell back to {score.model.name}: {score.model.fallback}</p>}
      <dl class="facts big">
        <div><dt>Precision</dt><dd>{percent(score.precisionPercent)}</dd></div>
        <div><dt>Recall</dt><dd>{percent(score.recallPercent)}</dd></div>
        <div><dt>Median lead</dt><dd>{score.leadMedianSeconds == null ? '–' : `${score.leadMedianSeconds} s`}</dd></div>
        <div><dt>False alerts</dt><dd>{days > 0.01 ? `${number(card.unconfirmed / days, 1)} / target-day` : '–'}</dd></div>
        <div><dt>Needs a chance of</dt><dd>{number(score.neededPercent, 0)} %</dd></div>
      </dl>
      <p class="soft">
        {card.alerts} alerts: {card.confirmed} confirmed, {card.unconfirmed} false, {card.late} late. {card.incidents - card.gated} incidents: {card.warned} warned of, {card.missed} missed, {card.ongoing} under an earlier alert. {span(card.targetSeconds)} watched, summed over targets.
        {' '}The highest recent chance was {number(score.reachablePercent, 0)} %.
      </p>
      <Card model={score.model} cards={cards} />
      {trend && <Trend trend={trend} isDark={isDark} />}
      <div class="halves">
        <Reliability bins={score.reliability} needed={score.neededPercent / 100} />
        {score.experts && <Experts score={score} experts={score.experts} />}
      </div>
    </article>
  );
}

function Experts({ score, experts }: { score: Score; experts: Expert[] }) {
  return (
    <div>
      <h3>Who is heard</h3>
      <table class="experts">
        <caption class="soft">Skill over the best rule of thumb ({score.bestRule?.[1] ?? 'none yet'}), {span(score.skillSeconds ?? 0)} of truth; the mixture has {signed(score.skillPercent?.[1])} at q 0.9</caption>
        <thead><tr><th scope="col">Expert</th><th scope="col">Weight, q 0.9</th><th scope="col">Skill, q 0.9</th></tr></thead>
        <tbody>
          {[...experts].sort((a, b) => b.weights[1] - a.weights[1]).map((expert) => (
            <tr key={expert.name}>
              <th scope="row">{expert.name}</th>
              <td><span class="bar" aria-hidden="true"><i style={{ width: `${Math.round(100 * expert.weights[1])}%` }} /></span>{number(100 * expert.weights[1], 0)} %</td>
              <td>{signed(expert.skillPercent[1])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
