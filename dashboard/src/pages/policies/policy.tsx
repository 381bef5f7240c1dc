import type { PolicyRule, PolicyView } from '../../api';
import { number, percent } from '../../pure/format';
import { policyName } from '../../pure/words';
import { Chip } from '../../ui/chip';

/** A policy of a cluster: whether it is in effect, what is wrong with it and what to do, and how its rules did. */
export function Policy({ policy }: { policy: PolicyView }) {
  const worst = policy.findings.some(({ severity }) => severity === 'Fault') ? 'bad' : policy.findings.length ? 'warn' : 'good';
  return (
    <article class="panel policy">
      <div class="alert-head">
        <h2>{policyName(policy)}</h2>
        <Chip mood={policy.ready ? (worst === 'bad' ? 'warn' : 'good') : 'bad'} title={policy.reason}>{policy.ready ? 'in effect' : 'not in effect'}</Chip>
        {policy.mode !== 'Active' && <Chip mood="none">{policy.mode.toLowerCase()}: counts, never alerts</Chip>}
        <span class="soft when">{counts(policy)}</span>
      </div>
      {policy.findings.map(({ severity, condition, reason, message, advice }) => (
        <p key={`${condition} ${reason}`} class={severity === 'Fault' ? 'note bad' : severity === 'Warning' ? 'note' : 'soft'}>
          <b>{reason}</b>: {message}{advice && <>. <span class="soft">What to do: {advice}</span></>}
        </p>
      ))}
      <div class="wide-table" role="region" aria-label={`Rules of ${policyName(policy)}`} tabIndex={0}>
        <table class="experts rules">
          <thead><tr>{['Rule', 'Threshold', 'Model', 'Alerts in 24 h', 'Precision', 'Recall', 'Median lead', 'Needs a chance of'].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
          <tbody>{policy.rules.map((rule) => <Rule key={rule.name} rule={rule} />)}</tbody>
        </table>
      </div>
      {policy.conditions.length > 0 && (
        <details>
          <summary>Conditions</summary>
          <ul class="sensors" aria-label="Conditions">
            {policy.conditions.map(({ type, status, reason, message }) => <li key={type}><b>{type}</b> is {status}: {reason}<span class="soft"> {message}</span></li>)}
          </ul>
        </details>
      )}
    </article>
  );
}

function counts({ targets, firing, waiting }: PolicyView): string {
  const selected = targets == null ? 'targets not counted yet' : `${number(targets, 0)} ${targets === 1 ? 'target' : 'targets'}`;
  return `${selected}${firing ? `, ${number(firing, 0)} firing` : ''}${waiting ? `, ${number(waiting, 0)} waiting to be written` : ''}`;
}

function Rule({ rule }: { rule: PolicyRule }) {
  const verdicts = rule.alerts ? ` (${rule.confirmed} confirmed)` : '';
  return (
    <tr>
      <th scope="row">{rule.name}</th>
      <td>{rule.threshold ?? '–'}</td>
      <td title={rule.sha256 ? `SHA-256 ${rule.sha256}` : undefined}>{rule.model}{rule.leadingExpert && <span class="soft">, led by {rule.leadingExpert}</span>}</td>
      <td>{number(rule.alerts, 0)}{verdicts}{rule.missed ? `, ${number(rule.missed, 0)} missed` : ''}</td>
      <td>{percent(rule.precisionPercent)}</td>
      <td>{percent(rule.recallPercent)}</td>
      <td>{rule.leadMedian ?? '–'}</td>
      <td>{percent(rule.neededPercent)}{rule.reachablePercent == null ? '' : <span class="soft">, {percent(rule.reachablePercent)} reached</span>}</td>
    </tr>
  );
}
