import type { ComponentChildren } from 'preact';
import type { Standing } from '../api';
import { mood, standingWords, type Mood } from '../pure/words';

export function Chip({ mood: look, title, children }: { mood: Mood; title?: string; children: ComponentChildren }) {
  return <span class={`chip ${look}`} title={title}>{children}</span>;
}

export function StandingChip({ standing, note }: { standing: Standing; note?: string | null }) {
  return <Chip mood={mood(standing)} {...(note && { title: note })}>{standingWords(standing)}</Chip>;
}
