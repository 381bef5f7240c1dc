import type { Model, ModelCard } from '../../api';
import { quantity } from '../../pure/format';

/** What is known of the model that forecasts. One that does not come with the release is known by its digest alone. */
export function Card({ model, cards }: { model: Model; cards: ModelCard[] | null }) {
  const card = cards?.find(({ name }) => name === model.name);
  const sha256 = model.sha256 ?? card?.sha256;
  return (
    <details class="card">
      <summary>Model {model.name}</summary>
      <dl class="facts">
        <div><dt>How</dt><dd>{card?.words ?? 'Not of this release: its file is the user’s own'}</dd></div>
        {card && <div><dt>Reads</dt><dd>{card.inputs}</dd></div>}
        {card && <div><dt>Looks ahead</dt><dd>{card.horizonSeconds} s</dd></div>}
        {card?.size && <div><dt>Size</dt><dd>{card.size}{card.bytes != null && `, ${quantity(card.bytes, 'bytes')}`}</dd></div>}
        {sha256 && <div class="digest"><dt>SHA-256</dt><dd>{sha256}</dd></div>}
        {model.fallback && <div><dt>Stands in because</dt><dd>{model.fallback}</dd></div>}
      </dl>
    </details>
  );
}
