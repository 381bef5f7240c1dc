import type { Live } from '../api';
import { href, type Route } from '../pure/route';
import type { Theme } from '../theme';
import { clock, number } from '../pure/format';

const PAGES = [
  ['overview', 'Overview'],
  ['alerts', 'Alerts'],
  ['policies', 'Policies'],
  ['nodes', 'Nodes'],
  ['try', 'Try'],
] as const;

const NEXT: Record<Theme, Theme> = { system: 'dark', dark: 'light', light: 'system' };
const SYMBOL: Record<Theme, string> = { system: '◐', dark: '●', light: '○' };

interface Props {
  route: Route;
  live: Live | null;
  theme: Theme;
  onTheme: (theme: Theme) => void;
}

export function Header({ route, live, theme, onTheme }: Props) {
  const current = route.page === 'target' ? 'overview' : route.page;
  return (
    <header>
      <a class="brand" href="#/">net<span>precursor</span></a>
      <nav aria-label="Pages">
        {PAGES.map(([page, name]) => (
          <a key={page} href={page === 'try' ? href({ page, uid: null, rule: null }) : href({ page })} aria-current={current === page ? 'page' : undefined}>{name}</a>
        ))}
      </nav>
      <div class="source">{live && <SourceChip live={live} />}</div>
      <button type="button" class="icon" onClick={() => onTheme(NEXT[theme])} title={`Theme: ${theme}`} aria-label={`Theme: ${theme}. Switch to ${NEXT[theme]}`}>
        <span aria-hidden="true">{SYMBOL[theme]}</span>
      </button>
    </header>
  );
}

function SourceChip({ live: { source, unix, cluster } }: { live: Live }) {
  const mood = source.state === 'Live' ? 'good' : source.state === 'Connecting' ? 'none' : 'bad';
  const lost = source.lostTicks ? `, ${number(source.lostTicks, 0)} ticks lost` : '';
  const of = cluster ? `, ${cluster.streams.length} of ${cluster.able} nodes streamed` : '';
  const title = `${source.url}${of}${source.agentVersion ? `, agent ${source.agentVersion}` : ''}${source.kernel ? `, kernel ${source.kernel}` : ''}${lost}`;
  return (
    <span class={`chip ${mood}`} title={title}>
      <i class="pulse" aria-hidden="true" />{source.state.toLowerCase()} <span class="wide">{clock(unix)}</span>
    </span>
  );
}
