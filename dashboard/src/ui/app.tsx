import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { About, Live } from '../api';
import { read, Refused } from '../client';
import { useLive } from '../live';
import { AlertsPage } from '../pages/alerts';
import { OverviewPage } from '../pages/overview';
import { PoliciesPage } from '../pages/policies';
import { SignIn } from '../pages/signin';
import { TargetPage } from '../pages/target';
import { parse, type Route } from '../pure/route';
import { useTheme } from '../theme';
import { Banner } from './banner';
import { Header } from './header';

/** What the stream is asked for. */
function viewOf(route: Route): string {
  switch (route.page) {
    case 'target': return `view=target&uid=${encodeURIComponent(route.uid)}`;
    case 'unknown': return 'view=alerts';
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

const TITLES = { overview: 'Overview', target: 'Target', alerts: 'Alerts', policies: 'Policies and models', unknown: 'No such page' };

export function App() {
  const route = useRoute();
  const [theme, isDark, choose] = useTheme();
  const [about, setAbout] = useState<About | null>(null);
  const [live, setLive] = useState<Live | null>(null);
  const [refused, setRefused] = useState<Refused | null>(null);
  const main = useRef<HTMLElement>(null);
  const connection = useLive(refused ? null : viewOf(route), setLive);

  const begin = useCallback(() => {
    read<About>('about').then(
      (answer) => {
        setAbout(answer);
        setRefused(null);
      },
      (error: unknown) => setRefused(error instanceof Refused ? error : new Refused(0, String(error))),
    );
  }, []);
  useEffect(begin, [begin]);
  // Without an answer at all the program may just be starting.
  useEffect(() => {
    if (!refused || refused.status === 401) return undefined;
    const timer = setTimeout(begin, 2000);
    return () => clearTimeout(timer);
  }, [refused, begin]);

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

  if (refused?.status === 401) return <SignIn onDone={begin} />;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
      <Header route={route} live={live} theme={theme} onTheme={choose} />
      <Banner live={live} connection={connection} refused={refused} />
      <main id="main" ref={main} tabIndex={0} class={live && (live.source.state !== 'Live' || !connection.isOpen) ? 'stale' : ''}>
        <Page route={route} live={live} about={about} isDark={isDark} />
      </main>
    </>
  );
}

function Page({ route, live, about, isDark }: { route: Route; live: Live | null; about: About | null; isDark: boolean }) {
  switch (route.page) {
    case 'overview': return <OverviewPage live={live} isDark={isDark} />;
    case 'target': return about && <TargetPage key={route.uid} uid={route.uid} at={route.at} live={live} about={about} isDark={isDark} />;
    case 'alerts': return <AlertsPage live={live} />;
    case 'policies': return <PoliciesPage live={live} isDark={isDark} />;
    default: return <section><h1>No such page</h1><p class="empty">Nothing is at {route.hash}. <a href="#/">Go to the overview.</a></p></section>;
  }
}
