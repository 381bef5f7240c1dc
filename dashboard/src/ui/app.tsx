import { useEffect, useRef, useState } from 'preact/hooks';
import type { About, Live } from '../api';
import { read } from '../client';
import { useLive } from '../live';
import { AlertsPage } from '../pages/alerts';
import { NodesPage } from '../pages/nodes';
import { OverviewPage } from '../pages/overview';
import { PoliciesPage } from '../pages/policies';
import { SignIn } from '../pages/signin';
import { TargetPage } from '../pages/target';
import { TryPage } from '../pages/try';
import { parse, type Route } from '../pure/route';
import { useRead } from '../reader';
import { useTheme } from '../theme';
import { Banner } from './banner';
import { Header } from './header';

/** What the stream is asked for. */
function viewOf(route: Route): string {
  switch (route.page) {
    case 'target': return `view=target&uid=${encodeURIComponent(route.uid)}`;
    case 'try':
    case 'unknown': return 'view=alerts';
    case 'overview': return route.node ? `view=overview&node=${encodeURIComponent(route.node)}` : 'view=overview';
    default: return `view=${route.page}`;
  }
}

function useRoute(): Route {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parse(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return route;
}

const TITLES = { overview: 'Overview', target: 'Target', alerts: 'Alerts', policies: 'Policies and models', nodes: 'Nodes', try: 'Try a policy', unknown: 'No such page' };

export function App() {
  const route = useRoute();
  const [theme, isDark, choose] = useTheme();
  const [live, setLive] = useState<Live | null>(null);
  const main = useRef<HTMLElement>(null);
  // Asked whenever the stream fails, too: the token may be another by now.
  const { answer: about, refused, again } = useRead('about', (signal) => read<About>('about', signal));
  const isSignedOut = refused?.status === 401;
  const connection = useLive(isSignedOut ? null : viewOf(route), setLive, again);

  const trouble = live ? live.counts.trouble + live.counts.warning : 0;
  useEffect(() => {
    document.title = `${trouble ? `(${trouble}) ` : ''}${TITLES[route.page]} · netprecursor`;
  }, [trouble, route.page]);

  // Who uses a screen reader or the keyboard starts at the new page, not behind the link that led there.
  const first = useRef(true);
  const place = route.page === 'target' ? route.uid : route.page;
  useEffect(() => {
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [place]);

  if (isSignedOut) return <SignIn onDone={again} />;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
      <Header route={route} live={live} theme={theme} onTheme={choose} />
      <Banner live={live} connection={connection} refused={refused} />
      <main id="main" ref={main} tabIndex={0} class={connection.failures > 0 || (live && live.source.state !== 'Live') ? 'stale' : ''}>
        <Page route={route} live={live} about={about} isDark={isDark} />
      </main>
    </>
  );
}

function Page({ route, live, about, isDark }: { route: Route; live: Live | null; about: About | null; isDark: boolean }) {
  switch (route.page) {
    case 'overview': return <OverviewPage live={live} node={route.node ?? null} isDark={isDark} />;
    case 'target': return about && <TargetPage key={route.uid} uid={route.uid} at={route.at} live={live} about={about} isDark={isDark} />;
    case 'alerts': return <AlertsPage live={live} />;
    case 'policies': return <PoliciesPage live={live} isDark={isDark} />;
    case 'nodes': return <NodesPage live={live} />;
    case 'try': return <TryPage key={`${route.uid} ${route.rule}`} uid={route.uid} rule={route.rule} live={live} isDark={isDark} />;
    default: return <section><h1>No such page</h1><p class="empty">Nothing is at {route.hash}. <a href="#/">Go to the overview.</a></p></section>;
  }
}
