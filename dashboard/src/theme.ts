/** Dark or light: as the system has it until somebody chooses. */

import { useEffect, useState } from 'preact/hooks';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'netprecursor.theme';

function remembered(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    // Storage may be switched off; then the choice lasts as long as the page.
    return 'system';
  }
}

const darkness = matchMedia('(prefers-color-scheme: dark)');

function apply(theme: Theme): boolean {
  const isDark = theme === 'dark' || (theme === 'system' && darkness.matches);
  document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
  return isDark;
}

/** The choice, whether it is dark now, and how to choose. */
export function useTheme(): [Theme, boolean, (theme: Theme) => void] {
  const [theme, setTheme] = useState(remembered);
  const [isDark, setDark] = useState(() => apply(theme));
  useEffect(() => {
    const follow = () => setDark(apply(theme));
    follow();
    darkness.addEventListener('change', follow);
    return () => darkness.removeEventListener('change', follow);
  }, [theme]);
  const choose = (next: Theme) => {
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // As above.
    }
    setTheme(next);
  };
  return [theme, isDark, choose];
}

/** Colours of the canvas, from the style sheet. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
